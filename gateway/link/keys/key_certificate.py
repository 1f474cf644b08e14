"""The certificate of a node's signing key for one day: who may sign as the source, said by the key service.

      0  2  magic "GC"      4  2  source node     8  4  day (since 1970)    16  32  Ed25519 public key of the node
      2  1  version 1       6  2  version of     12  4  generation of the   48  64  Ed25519 signature of the service
      3  1  0                     the service key       day's secret                over the context and bytes 0–47

Integers are little-endian. Hard rule: a certificate counts for the source and the day that the reader asks about, no others.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.link.keys.key_service import KeyRefusal, KeyRefused

BODY = struct.Struct("<2sBBHHII32s")
SIGNATURE_BYTES = 64
BYTES = BODY.size + SIGNATURE_BYTES
PUBLIC_KEY_BYTES = 32
MAGIC, VERSION = b"GC", 1
CONTEXT = b"gateway link certificate 1\0"


class Certificate(NamedTuple):
    """What a certificate says."""

    source: int
    key_version: int
    day: int
    generation: int
    public_key: bytes

    def body(self) -> bytes:
        """Bytes 0 to 47."""
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            raise KeyRefused(KeyRefusal.MALFORMED, "an Ed25519 public key has 32 bytes")
        try:
            return BODY.pack(MAGIC, VERSION, 0, self.source, self.key_version, self.day, self.generation, self.public_key)
        except struct.error:
            raise KeyRefused(KeyRefusal.MALFORMED, "node, day or version out of range") from None

    def signed_text(self) -> bytes:
        """What the service signs: the context tells it from everything else an Ed25519 key may sign."""
        return CONTEXT + self.body()


def read(certificate: bytes) -> Certificate:
    """What it says, unchecked. Raises KeyRefused (CERTIFICATE) for what is none."""
    if len(certificate) != BYTES:
        raise KeyRefused(KeyRefusal.CERTIFICATE, f"{BYTES} bytes")
    magic, version, reserved, source, key_version, day, generation, key = BODY.unpack_from(certificate)
    if magic != MAGIC or version != VERSION or reserved:
        raise KeyRefused(KeyRefusal.CERTIFICATE, "another format")
    return Certificate(source, key_version, day, generation, key)


def check(certificate: bytes, authority: Mapping[int, bytes], source: int, day: int, generation: int) -> bytes:
    """The node's public key, when the service certified it for `source`, `day` and `generation`. Raises KeyRefused."""
    said = read(certificate)
    if (said.source, said.day, said.generation) != (source, day, generation):
        raise KeyRefused(KeyRefusal.CERTIFICATE, "it is another source's, day's or generation's")
    key = authority.get(said.key_version)
    if key is None:
        raise KeyRefused(KeyRefusal.CERTIFICATE, "signed with a key that the service does not show")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(certificate[BODY.size :], said.signed_text())
    except (InvalidSignature, ValueError):
        raise KeyRefused(KeyRefusal.CERTIFICATE, "the signature is wrong") from None
    return said.public_key
