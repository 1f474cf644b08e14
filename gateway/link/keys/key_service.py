"""What the link asks of a key service: secrets of an hour and of a day, wrapped; certificates; revocation.

    keyd (keyd_vault.py)  ─┐
    keyd over a socket    ─┼─► KeyService ─► keyring.py ─► handshake, frames, tokens, signatures
    Vault, OpenBao        ─┘

A secret travels and may be stored wrapped under the service's named key; only the service opens it, for a caller it knows.
A revoked secret is replaced: the same period gets the next generation. Formats: docs/protocols/link-keys.md. Hard rule: who
is refused learns the reason and no secret; no message and no repr holds one.
"""

import struct
from enum import Enum
from typing import NamedTuple, Protocol

from gateway import limits
from gateway.errors import GatewayError

HOURLY, DAILY = "hourly", "daily"
PERIOD_SECONDS = {HOURLY: 3_600, DAILY: 86_400}
SECRET_BYTES = 32
PERIODS_BACK = {HOURLY: limits.KEY_HOURS_BACK, DAILY: limits.KEY_DAYS_BACK}
PERIODS_AHEAD = {HOURLY: limits.KEY_HOURS_AHEAD, DAILY: limits.KEY_DAYS_AHEAD}
PERIOD_LAST = (1 << 32) - 1
SECOND_NS = 1_000_000_000

HEAD = struct.Struct("<2sBBII")  # magic, version, name, period, generation
MAGIC, VERSION = b"GW", 1
CODES = {HOURLY: 1, DAILY: 2}


class KeyRefusal(Enum):
    """Why a key service gave nothing; the value says it to people."""

    MALFORMED = "the request is no request of this protocol"
    TOO_LARGE = "the message is longer than any can be"
    NOT_ALLOWED = "this caller may not ask for that"
    RATE = "too many requests; ask again in a second"
    EARLY = "that period is too far ahead; look at both clocks"
    LATE = "that period is over; look at both clocks"
    REVOKED = "that secret was revoked; ask for the wrapped one again"
    DAMAGED = "the service did not wrap that, or it was changed since"
    CERTIFICATE = "the certificate is not one of the service's, or not for this source and day"
    FULL = "as many periods are revoked as are kept"
    SEALED = "the service is sealed or not ready"
    UNREACHABLE = "the service does not answer"
    FAULT = "the service has a fault of its own"

    @property
    def passing(self) -> bool:
        """Whether asking again later may help; what is held stays good meanwhile."""
        return self in (KeyRefusal.RATE, KeyRefusal.SEALED, KeyRefusal.UNREACHABLE, KeyRefusal.FAULT)


class KeyRefused(GatewayError):
    """A key service gave nothing; `reason` says why, the message is one line."""

    def __init__(self, reason: KeyRefusal, detail: str = ""):
        self.reason = reason
        super().__init__(f"key service: {reason.value}" + (f" ({detail})" if detail else ""))


class KeyService(Protocol):
    """A key service, as its caller sees it. Every call may block up to its own timeout, and raises KeyRefused."""

    def wrapped(self, name: str, period: int) -> bytes:
        """The newest generation of the secret `name` (HOURLY, DAILY) of a period, wrapped: bytes of a Wrapped."""

    def unwrap(self, wrapped: bytes) -> bytearray:
        """The 32 bytes within; the caller zeroes them. REVOKED for a generation that is no longer the newest."""

    def certify(self, source: int, public_key: bytes, day: int) -> bytes:
        """A certificate (key_certificate.py) that this Ed25519 key signs for node `source` on that day."""

    def authority(self, source: int) -> dict[int, bytes]:
        """The Ed25519 public keys, by version, that check certificates of node `source`."""

    def revoke(self, name: str, period: int) -> int:
        """Replaces the secret of a period; the generation that holds now. Durable when it returns."""


class Wrapped(NamedTuple):
    """One wrapped secret. `sealed` is opaque to everybody but the service that made it."""

    name: str
    period: int
    generation: int  # from 1; each revocation adds one
    sealed: bytes

    def pack(self) -> bytes:
        """Its bytes: 12 of head, then `sealed`."""
        return head_of(self.name, self.period, self.generation) + self.sealed

    @classmethod
    def unpack(cls, data: bytes) -> "Wrapped":
        """Raises KeyRefused (DAMAGED, TOO_LARGE) for what is none."""
        if len(data) > limits.KEY_WRAPPED_BYTES_MAX:
            raise KeyRefused(KeyRefusal.TOO_LARGE)
        if len(data) <= HEAD.size:
            raise KeyRefused(KeyRefusal.DAMAGED)
        magic, version, code, period, generation = HEAD.unpack_from(data)
        name = next((name for name, known in CODES.items() if known == code), "")
        if magic != MAGIC or version != VERSION or not name or not generation:
            raise KeyRefused(KeyRefusal.DAMAGED)
        return cls(name, period, generation, bytes(data[HEAD.size :]))


def head_of(name: str, period: int, generation: int) -> bytes:
    """The clear head of a wrapped secret: what a service authenticates together with what it seals."""
    return HEAD.pack(MAGIC, VERSION, CODES[name], period, generation)


def check_period(name: str, period: int) -> None:
    """Raises KeyRefused (MALFORMED) for what is no name and period."""
    if name not in CODES or type(period) is not int or not 0 <= period <= PERIOD_LAST:
        raise KeyRefused(KeyRefusal.MALFORMED, "name is hourly or daily, period a number of hours or days since 1970")


def check_near(name: str, period: int, now_ns: int) -> None:
    """Raises KeyRefused: MALFORMED, or EARLY and LATE for a period that no honest caller needs now."""
    check_period(name, period)
    now = period_of(name, now_ns)
    if period > now + PERIODS_AHEAD[name]:
        raise KeyRefused(KeyRefusal.EARLY)
    if period < now - PERIODS_BACK[name]:
        raise KeyRefused(KeyRefusal.LATE)


def period_of(name: str, now_ns: int) -> int:
    """The hour or day, counted from 1970, that a time (nanoseconds, UTC) lies in."""
    return now_ns // (PERIOD_SECONDS[name] * SECOND_NS)
