"""The key of one principal for one day, from the daily secret by HKDF; and the file in which a principal carries its own.

    daily secret (keyring) ── HKDF-SHA256, info = "gateway link token" ‖ day u32 ‖ principal, 32 bytes ──► key of 32 bytes
    keys file (0600): {"principal": "desk-7", "keys": {"20779": "…64 hex digits…"}}

A key's id is its day: days since 1970-01-01, UTC. Hard rule: nothing is kept here. What the keyring has dropped (revoked)
derives no key from that moment on.
"""

import json
import os
import stat
import struct
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import GatewayError, UsageError
from gateway.ops import durable_file

DAY_NS = 86_400_000_000_000
KEY_BYTES = 32
PRINCIPAL_BYTES = 32
INFO = b"gateway link token"
FILE_BYTES_MAX = 65536


class DailySecrets(Protocol):
    """What the keyring gives."""

    def daily(self, day: int) -> bytes | None:
        """The secret of a day (days since 1970-01-01), or None: not here, or revoked."""


class TokenKeys(Protocol):
    """Who knows the keys that tokens are made and checked with."""

    def key(self, day: int, principal: bytes) -> bytes | None:
        """The key of that day and principal (32 bytes, padded with zeros), or None."""


def day_of(time_ns: int) -> int:
    """The day that a time belongs to, and with it the id of its key."""
    return time_ns // DAY_NS


def principal_bytes(principal: str) -> bytes:
    """A principal's name as tokens carry it. Raises UsageError for what is no name."""
    data = principal.encode("ascii", "replace")
    if not 0 < len(principal) <= PRINCIPAL_BYTES or not all(0x21 <= byte <= 0x7E for byte in data) or "?" in principal:
        raise UsageError(f"{principal!r} is no principal: use 1 to {PRINCIPAL_BYTES} printable characters, no blank, no ?")
    return data.ljust(PRINCIPAL_BYTES, b"\0")


def derive(secret: bytes, day: int, principal: bytes) -> bytes:
    """The token key of a day's secret for a principal."""
    info = INFO + struct.pack("<I", day) + principal
    return HKDF(SHA256(), KEY_BYTES, None, info).derive(secret)


class DerivedKeys:
    """Every principal's keys: what gateways have, since they have the daily secret."""

    def __init__(self, secrets: DailySecrets):
        self._secrets = secrets

    def key(self, day: int, principal: bytes) -> bytes | None:
        """The key, derived afresh each time (about 20 µs); None when the day's secret is not here."""
        secret = self._secrets.daily(day)
        return None if secret is None else derive(secret, day, principal)


class CarriedKeys:
    """One principal's keys of some days: what a client has."""

    def __init__(self, principal: str, keys: dict[int, bytes]):
        self.principal, self._keys = principal, dict(keys)
        self._name = principal_bytes(principal)

    @property
    def days(self) -> list[int]:
        """The days it has keys for."""
        return sorted(self._keys)

    def key(self, day: int, principal: bytes) -> bytes | None:
        """The key of that day, for its own principal only."""
        return self._keys.get(day) if principal == self._name else None


def write_keys(path: Path, principal: str, keys: dict[int, bytes]) -> None:
    """Writes a principal's keys file, mode 0600. Raises GatewayError."""
    words = {"principal": principal, "keys": {str(day): key.hex() for day, key in sorted(keys.items())}}
    try:
        durable_file.replace(path, json.dumps(words).encode() + b"\n")
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}; choose another file for the keys") from None


def read_keys(path: Path) -> CarriedKeys:
    """A principal's keys file. Raises GatewayError: not there, readable by others, damaged."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}; gateway link-token --issue makes a keys file") from None
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise GatewayError(f"others may read {path}, so its keys are not used; chmod 600 it, and issue new ones")
        data = os.read(file, FILE_BYTES_MAX + 1)
    finally:
        os.close(file)
    try:
        words = json.loads(data[:FILE_BYTES_MAX])
        keys = {int(day): bytes.fromhex(key) for day, key in words["keys"].items()}
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError
        return CarriedKeys(str(words["principal"]), keys)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        raise GatewayError(f"{path} holds no token keys; make it again: gateway link-token --issue") from None
