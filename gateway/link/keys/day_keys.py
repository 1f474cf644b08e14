"""What a node derives from the secret of a day, and its own signing key of that day.

    daily secret ─ HKDF ─► key of source n for transaction ids      every node can compute it: proves that one of us wrote
                 └ HKDF ─► key of tokens                            every node can check them
    chance ─► Ed25519 key ─ certified by the service ─► signature   only this node has it: proves which of us wrote

Hard rule: the signing key is never derived from what other nodes hold; a shared secret lets every region forge the others'.
"""

import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.link.keys.held_secret import HeldSecret

DERIVED_BYTES = 32
TRANSACTION, TOKEN = b"gateway transaction 1", b"gateway token 1"


def derive(secret: bytes, purpose: bytes, *numbers: int) -> bytes:
    """HKDF-SHA256 without salt; `numbers` (u32, little-endian) stand behind the purpose and a zero byte."""
    info = purpose + b"\0" + struct.pack(f"<{len(numbers)}I", *numbers)
    return HKDF(hashes.SHA256(), DERIVED_BYTES, None, info).derive(secret)


class DayKeys:
    """The keys of one day. The signing key lives as long as this object; a restart makes and certifies another."""

    def __init__(self, day: int, secret: HeldSecret):
        self.day, self._secret = day, secret
        self._signing = Ed25519PrivateKey.generate()
        self.public_key = self._signing.public_key().public_bytes_raw()
        self.certificate = b""  # until the service gave it

    @property
    def generation(self) -> int:
        """Of the day's secret: a revocation makes another object."""
        return self._secret.generation

    @property
    def certified(self) -> bool:
        """Whether others will believe what is signed."""
        return bool(self.certificate)

    def transaction_key(self, source: int) -> bytes | None:
        """The HMAC key of node `source` for transaction ids; None once the day was dropped."""
        secret = self._secret.read()
        return None if secret is None else derive(secret, TRANSACTION, source, self.day)

    def token_key(self) -> bytes | None:
        """The HMAC key of tokens; None once the day was dropped."""
        secret = self._secret.read()
        return None if secret is None else derive(secret, TOKEN, self.day)

    def sign(self, data: bytes) -> bytes:
        """64 bytes; who checks needs `certificate` too."""
        return self._signing.sign(data)

    def drop(self) -> None:
        """Forgets the secret."""
        self._secret.drop()

    def __repr__(self) -> str:
        return f"DayKeys(day={self.day}, generation={self.generation}, certified={self.certified})"
