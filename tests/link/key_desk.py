"""What tests of the link's keys need: a clock that is set, a root that opens fast, a service that fails when told to."""

from collections import Counter
from pathlib import Path

from gateway.link.keys.key_service import KeyRefusal, KeyRefused, KeyService
from gateway.link.keys.keyd_vault import KeydVault
from gateway.link.keys.keyring import Keyring

PASSPHRASE = b"a passphrase of the tests"
FAST = 14  # log2 of scrypt's N: the smallest that is accepted
SECOND_NS = 1_000_000_000
HOUR_NS, DAY_NS = 3_600 * SECOND_NS, 86_400 * SECOND_NS
DAY = 20_458  # 2026-01-05
HOUR = DAY * 24 + 10
NOW_NS = HOUR * HOUR_NS + 20 * 60 * SECOND_NS  # twenty past ten


class Clock:
    """A wall clock that moves when it is told to."""

    def __init__(self, now_ns: int = NOW_NS):
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, ns: int) -> int:
        self.now_ns += ns
        return self.now_ns


def flipped(data: bytes) -> bytes:
    """The same with one bit of its last byte the other way round."""
    return data[:-1] + bytes([data[-1] ^ 1])


def vault_in(folder: Path, clock: Clock) -> KeydVault:
    """keyd's vault over the root in this folder; made where there is none."""
    path = folder / "root"
    if not path.exists():
        KeydVault.create(path, PASSPHRASE, FAST)
    return KeydVault.open(path, PASSPHRASE, clock)


class Unsteady:
    """A key service that can be away, can refuse one kind of call, and counts what it is asked."""

    def __init__(self, service: KeyService):
        self.service, self.calls = service, Counter[str]()
        self.down = False
        self.refusals: dict[str, KeyRefusal] = {}

    def _called(self, call: str) -> None:
        self.calls[call] += 1
        if self.down:
            raise KeyRefused(KeyRefusal.UNREACHABLE)
        if call in self.refusals:
            raise KeyRefused(self.refusals[call])

    def wrapped(self, name: str, period: int) -> bytes:
        self._called("wrapped")
        return self.service.wrapped(name, period)

    def unwrap(self, wrapped: bytes) -> bytearray:
        self._called("unwrap")
        return self.service.unwrap(wrapped)

    def certify(self, source: int, public_key: bytes, day: int) -> bytes:
        self._called("certify")
        return self.service.certify(source, public_key, day)

    def authority(self, source: int) -> dict[int, bytes]:
        self._called("authority")
        return self.service.authority(source)

    def revoke(self, name: str, period: int) -> int:
        self._called("revoke")
        return self.service.revoke(name, period)


def held_hours(keyring: Keyring) -> list[int]:
    return [hour for hour in range(HOUR - 100, HOUR + 100) if keyring.hourly(hour) is not None]
