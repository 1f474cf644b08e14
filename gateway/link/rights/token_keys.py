"""The key of one principal for one day, from the day's token key by HKDF; and the file in which a principal carries its own.

    daily secret ── day_keys.py ──► token key of the day ── HKDF-SHA256, info = "gateway link token" ‖ 0 ‖ principal,
    32 bytes ──► key of that principal and day, 32 bytes
    keys file (0600): {"principal": "desk-7", "keys": {"20779": "…64 hex digits…"}}

A key's id is its day: days since 1970-01-01, UTC. Hard rule: nothing is kept here. What the keyring has dropped (revoked)
derives no key from that moment on.
"""

import json
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import GatewayError, UsageError
from gateway.link.keys import secret_file
from gateway.link.keys.day_keys import TOKEN
from gateway.link.keys.day_keys import derive as derive_of_day
from gateway.link.keys.key_service import DAILY, KeyService
from gateway.ops import durable_file

DAY_NS = 86_400_000_000_000
KEY_BYTES = 32
PRINCIPAL_BYTES = 32
INFO = b"gateway link token\0"
FILE_BYTES_MAX = 65536


class DayTokenKey(Protocol):
    """What the keyring holds of a day: day_keys.DayKeys."""

    def token_key(self) -> bytes | None:
        """The key that every principal's key of that day derives from; None once the day was dropped."""


class DayRing(Protocol):
    """What the keyring gives: keyring.Keyring."""

    def day_keys(self, day: int) -> DayTokenKey | None:
        """The keys of a day (days since 1970-01-01), or None: not here."""


class TokenKeys(Protocol):
    """Who knows the keys that tokens are made and checked with."""

    def key(self, day: int, principal: bytes) -> bytes | None:
        """The key of that day and principal (32 bytes, padded with zeros), or None."""


def day_of(time_ns: int) -> int:
    """The day that a time belongs to, and with it the id of its key."""
    return time_ns // DAY_NS


def principal_bytes(principal: str) -> bytes:
    """A principal's name as tokens carry it. Raises UsageError for what is no name."""
    if not 0 < len(principal) <= PRINCIPAL_BYTES or not all("!" <= character <= "~" for character in principal):
        raise UsageError(f"{principal!r} is no principal: use 1 to {PRINCIPAL_BYTES} printable ASCII characters, no blank")
    return principal.encode("ascii").ljust(PRINCIPAL_BYTES, b"\0")


def derive(token_key: bytes, principal: bytes) -> bytes:
    """A principal's key from the token key of a day."""
    return HKDF(SHA256(), KEY_BYTES, None, INFO + principal).derive(token_key)


class DerivedKeys:
    """Every principal's keys: what gateways have, since they hold the daily secret."""

    def __init__(self, ring: DayRing):
        self._ring = ring

    def key(self, day: int, principal: bytes) -> bytes | None:
        """The key, derived afresh each time (about 20 µs); None when the day's secret is not here."""
        keys = self._ring.day_keys(day)
        token_key = keys.token_key() if keys is not None else None
        return None if token_key is None else derive(token_key, principal)


class CarriedKeys:
    """One principal's keys of some days: what a client has."""

    def __init__(self, principal: str, keys: dict[int, bytes]):
        """Raises UsageError for what is no principal."""
        self.principal, self._keys = principal, dict(keys)
        self._name = principal_bytes(principal)

    @property
    def days(self) -> list[int]:
        """The days it has keys for."""
        return sorted(self._keys)

    def key(self, day: int, principal: bytes) -> bytes | None:
        """The key of that day, for its own principal only."""
        return self._keys.get(day) if principal == self._name else None


def issued_by(service: KeyService, principal: str, days: range) -> CarriedKeys:
    """A principal's keys of these days, from a key service. Blocks; raises KeyRefused, UsageError."""
    name, keys = principal_bytes(principal), {}
    for day in days:
        secret = service.unwrap(service.wrapped(DAILY, day))
        keys[day] = derive(derive_of_day(bytes(secret), TOKEN, day), name)
        secret[:] = bytes(len(secret))
    return CarriedKeys(principal, keys)


def write_keys(path: Path, keys: CarriedKeys) -> None:
    """Writes a principal's keys file, mode 0600, over an earlier one. Raises GatewayError."""
    name = principal_bytes(keys.principal)
    held = {str(day): key.hex() for day in keys.days if (key := keys.key(day, name)) is not None}
    try:
        durable_file.replace(path, json.dumps({"principal": keys.principal, "keys": held}).encode() + b"\n")
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}; choose another file for the keys") from None


def read_keys(path: Path) -> CarriedKeys:
    """A principal's keys file. Raises GatewayError: not there, readable by others, damaged."""
    data = secret_file.read(path, "token keys", FILE_BYTES_MAX)
    try:
        words = json.loads(data)
        keys = {int(day): bytes.fromhex(key) for day, key in words["keys"].items()}
        if any(len(key) != KEY_BYTES or day < 0 for day, key in keys.items()):
            raise ValueError
        return CarriedKeys(str(words["principal"]), keys)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        raise GatewayError(f"{path} holds no token keys; make it again: gateway link-token --issue {path}") from None
