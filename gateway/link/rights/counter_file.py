"""The counter of an issuer's tokens: never the same number twice in one life, however often the process starts.

    CounterFile     boot id and a number written ahead by 64; a start goes on behind it   (short processes: one life for all)
    ProcessCounter  a boot id made for this process, from 1                                (long ones: a life each)

Hard rule: a number is handed out only after a higher one is on disk, so that what a crash costs is numbers, never repeats.
"""

import json
from pathlib import Path
from typing import Protocol

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.rights import file_lock
from gateway.ops import durable_file

BOOT_BYTES = 16


class Counter(Protocol):
    """Numbers of one life."""

    boot_id: bytes

    def next(self) -> int:
        """The next number, from 1."""


class ProcessCounter:
    """Numbers of this process's life."""

    def __init__(self, boot_id: bytes):
        """`boot_id`: 16 random bytes that no other life ever had."""
        self.boot_id, self._last = boot_id, 0

    def next(self) -> int:
        """The next number."""
        self._last += 1
        return self._last


class CounterFile:
    """Numbers that go on where the last process stopped; one process holds the file at a time."""

    def __init__(self, path: Path, fresh_boot_id: bytes):
        """`fresh_boot_id` begins a life where there is no file. Raises GatewayError: damaged, not writable, held."""
        self.path = path
        held, unusable = "wait for it, or name another counter file", "name a counter file that can be written"
        with file_lock.opening(path, held, unusable) as self._lock:
            self.boot_id, self._last = _read(path) if path.exists() else (fresh_boot_id, 0)
        self._reserved = self._last

    def next(self) -> int:
        """The next number. Raises GatewayError when the disk does not take it."""
        if self._last >= self._reserved:
            reserved = self._last + limits.TOKEN_COUNTERS_AHEAD
            words = {"boot_id": self.boot_id.hex(), "counter": reserved}
            try:
                durable_file.replace(self.path, json.dumps(words).encode() + b"\n")
            except OSError as problem:
                raise GatewayError(f"{self.path}: {problem.strerror}; no token is made that could repeat one") from None
            self._reserved = reserved
        self._last += 1
        return self._last

    def close(self) -> None:
        """Lets go of the file; a second call does nothing."""
        self._lock.close()


def _read(path: Path) -> tuple[bytes, int]:
    try:
        words = json.loads(path.read_bytes())
        boot_id, counter = bytes.fromhex(words["boot_id"]), words["counter"]
        if len(boot_id) != BOOT_BYTES or type(counter) is not int or not 0 <= counter < 1 << 63:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise GatewayError(f"{path} is no counter; remove it: the next token begins a new life") from None
    return boot_id, counter
