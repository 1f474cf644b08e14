"""From an hour's secret to the key of one connection, one direction, one epoch. docs/protocols/link.md, "Keys"

Below protection.py and datagram.py. Hard rule: connection, direction, epoch and hour all stand in the derivation, so
that no two of them ever share a key; the nonce is the IV xor a record number that never repeats under it.
"""

import struct
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LABEL = b"gateway link"
CONTEXT = struct.Struct("<BBII")  # connection direction epoch hour
KEY_BYTES, IV_BYTES = 32, 12


class EpochKey(NamedTuple):
    """The cipher and the IV (as a big-endian number) of one epoch."""

    cipher: AESGCM
    iv: int


def derive(session_key: bytes, secret: bytes, connection: int, direction: int, epoch: int, hour: int) -> EpochKey:
    """HKDF-SHA256: salt = session key of the handshake, input = the hour's secret, info = label and context."""
    info = LABEL + CONTEXT.pack(connection, direction, epoch, hour)
    material = HKDF(SHA256(), KEY_BYTES + IV_BYTES, session_key, info).derive(secret)
    return EpochKey(AESGCM(material[:KEY_BYTES]), int.from_bytes(material[KEY_BYTES:], "big"))
