"""Watches every seal of a run: a key that meets a nonce twice has given both messages away.

Hard rule: the watch stands in front of the cipher itself, so that no way of sealing goes round it.
"""

import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Nonces:
    """What was sealed, by key and nonce; `problems` names the pairs that were used twice."""

    def __init__(self) -> None:
        self.sealed: set[tuple[bytes, bytes]] = set()
        self.problems: list[str] = []

    def note(self, key: bytes, nonce: bytes) -> None:
        """A seal."""
        if (key, nonce) in self.sealed:
            self.problems.append(f"key {key[:4].hex()} sealed twice with nonce {nonce.hex()}")
        self.sealed.add((key, nonce))

    @staticmethod
    def unpack(schema: int, body: Any, raw_bytes: int) -> bytes:
        """Bodies of the simulation are not compressed."""
        raise ValueError("not compressed")


class Watched:
    """AES-GCM that tells the watch of the run."""

    watch = Nonces()

    def __init__(self, key: bytes):
        self._key = bytes(key)
        self._cipher = AESGCM(key)

    def encrypt(self, nonce: bytes, data: Any, associated: Any) -> bytes:
        Watched.watch.note(self._key, bytes(nonce))
        return self._cipher.encrypt(nonce, data, associated)

    def encrypt_into(self, nonce: bytes, data: Any, associated: Any, target: Any) -> int:
        Watched.watch.note(self._key, bytes(nonce))
        return self._cipher.encrypt_into(nonce, data, associated, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cipher, name)


def watch(patch: pytest.MonkeyPatch) -> int:
    """Puts the watch before the cipher of every module that a peer is made of; returns how many use it."""
    count = 0
    for name, module in [*sys.modules.items()]:
        if name.startswith("gateway.link.") and getattr(module, "AESGCM", None) is AESGCM:
            patch.setattr(module, "AESGCM", Watched)
            count += 1
    return count
