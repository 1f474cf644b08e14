"""keyd's own key service: everything derives from one root by HKDF, so a restart gives the same secrets.

    root ─┬─ secret  ‖ name ‖ period ‖ generation ─► the secret of a period
          ├─ wrap    ‖ name ───────────────────────► AES-256-GCM key that wraps it, the clear head associated
          ├─ certify ──────────────────────────────► Ed25519 key of the service
          └─ revoked ──────────────────────────────► HMAC key of the file of revocations

Hard rule: only periods near now are given out, so who is allowed today learns nothing of next year.
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway import clock, limits
from gateway.errors import GatewayError
from gateway.link.keys import keyd_revocations, sealed_root
from gateway.link.keys.held_secret import zero
from gateway.link.keys.key_certificate import Certificate
from gateway.link.keys.key_service import (
    DAILY,
    PERIODS_BACK,
    SECRET_BYTES,
    KeyRefusal,
    KeyRefused,
    Wrapped,
    check_near,
    head_of,
    period_of,
)
from gateway.link.keys.keyd_revocations import Revocations

PURPOSE = b"gateway keyd 1"
NONCE_BYTES = 12
KEY_VERSION = 1  # of the service's Ed25519 key: a root has one


class KeydVault:
    """A KeyService over an opened root. One thread."""

    def __init__(self, root: bytearray, revocations: Revocations, now_ns: Callable[[], int] = clock.utc_ns):
        """Takes `root` over; close() zeroes it."""
        self._root, self._revocations, self._now_ns = root, revocations, now_ns
        self._signing = Ed25519PrivateKey.from_private_bytes(_derive(root, b"certify"))

    @classmethod
    def create(cls, path: Path, passphrase: bytes, log_n: int = sealed_root.LOG_N) -> None:
        """A new sealed root, and its file of revocations. Raises GatewayError."""
        revocations = keyd_revocations.path_of(path)
        if revocations.exists():
            raise GatewayError(f"{revocations} is there already: the file of another root; remove it, or name another root")
        sealed_root.create(path, passphrase, log_n)
        root = sealed_root.open_sealed(path, passphrase)
        Revocations.create(revocations, _derive(root, b"revoked"))
        zero(root)

    @classmethod
    def open(cls, path: Path, passphrase: bytes, now_ns: Callable[[], int] = clock.utc_ns) -> "KeydVault":
        """The service of a sealed root. Raises ConfigurationError or GatewayError, one line each."""
        root = sealed_root.open_sealed(path, passphrase)
        revocations = Revocations.read(keyd_revocations.path_of(path), _derive(root, b"revoked"))
        return cls(root, revocations, now_ns)

    def wrapped(self, name: str, period: int) -> bytes:
        """See KeyService. EARLY and LATE for a period that is not near now."""
        check_near(name, period, self._now_ns())
        generation = self._revocations.generation(name, period)
        head, nonce = head_of(name, period, generation), os.urandom(NONCE_BYTES)
        secret = self._secret(name, period, generation)
        return head + nonce + self._wrapper(name).encrypt(nonce, secret, head)

    def unwrap(self, wrapped: bytes) -> bytearray:
        """See KeyService."""
        said = Wrapped.unpack(wrapped)
        nonce, sealed = said.sealed[:NONCE_BYTES], said.sealed[NONCE_BYTES:]
        if len(said.sealed) != NONCE_BYTES + SECRET_BYTES + sealed_root.TAG_BYTES:
            raise KeyRefused(KeyRefusal.DAMAGED)
        head = head_of(said.name, said.period, said.generation)
        try:
            secret = bytearray(self._wrapper(said.name).decrypt(nonce, sealed, head))
        except InvalidTag:
            raise KeyRefused(KeyRefusal.DAMAGED) from None
        check_near(said.name, said.period, self._now_ns())
        if said.generation != self._revocations.generation(said.name, said.period):
            zero(secret)
            raise KeyRefused(KeyRefusal.REVOKED)
        return secret

    def certify(self, source: int, public_key: bytes, day: int) -> bytes:
        """See KeyService. Only for today and the days ahead: nobody becomes the author of what is past."""
        check_near(DAILY, day, self._now_ns())
        if day < period_of(DAILY, self._now_ns() - limits.KEY_CLOCK_NS):
            raise KeyRefused(KeyRefusal.LATE)
        said = Certificate(source, KEY_VERSION, day, self._revocations.generation(DAILY, day), public_key)
        return said.body() + self._signing.sign(said.signed_text())

    def authority(self, source: int) -> dict[int, bytes]:
        """See KeyService. One key signs for every source here."""
        return {KEY_VERSION: self._signing.public_key().public_bytes_raw()}

    def revoke(self, name: str, period: int) -> int:
        """See KeyService."""
        now_ns = self._now_ns()
        check_near(name, period, now_ns)
        return self._revocations.revoke(
            name, period, {name: period_of(name, now_ns) - back for name, back in PERIODS_BACK.items()}
        )

    def close(self) -> None:
        """Overwrites the root."""
        zero(self._root)

    def _secret(self, name: str, period: int, generation: int) -> bytes:
        return _derive(self._root, b"secret", head_of(name, period, generation))

    def _wrapper(self, name: str) -> AESGCM:
        return AESGCM(_derive(self._root, b"wrap", name.encode()))

    def __repr__(self) -> str:
        return f"KeydVault(revocations={len(self._revocations)})"


def _derive(root: bytearray, purpose: bytes, text: bytes = b"") -> bytes:
    """HKDF-Expand (RFC 5869, 2.3): the root is uniform already."""
    return HKDFExpand(hashes.SHA256(), SECRET_BYTES, b"\0".join((PURPOSE, purpose, text))).derive(bytes(root))
