"""Every attempt to come in, one JSON line each, chained by hash; a flood becomes one line a second.

    attempt ─► of this address, this second, the first 5?  of all, the first 64? ─► a line in full ─► JournalFile
                                      └─ else counted, by reason ─► one line when the second is over

    {"time": "2026-01-05T09:30:00.123456Z", "event": "open", "outcome": "refused", "reason": "MAC", "peer": 2,
     "address": "192.0.2.7", "principal": "desk-7", "stream": "snapshots", "proven": false, "chain": "…64 hex digits…"}

`chain` is SHA-256 of the chain before and of the line's own bytes before ", \"chain\"". What is granted is always written in
full. Hard rule: memory is bounded whatever comes, and nothing is granted that was not written down.
"""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from gateway import limits

SECOND_NS = 1_000_000_000
CHAIN_BEGIN = "0" * 64
GRANTED, REFUSED, ENDED = "granted", "refused", "ended"
_MARK = b', "chain": "'


class Sink(Protocol):
    """Where lines go: journal_file.JournalFile."""

    chain: str

    def append(self, line: bytes, chain: str) -> None:
        """Takes a line: a process that dies no longer loses it. Raises OSError."""

    def sync(self) -> bool:
        """Whether the disk has everything; if not, it is asked to, and nobody waits. Raises OSError of the last time."""

    def close(self) -> None:
        """The disk has everything on return. Raises OSError."""


class Attempt(NamedTuple):
    """What is written down of one attempt."""

    event: str  # connect, handshake, open, renew, end
    outcome: str  # GRANTED, REFUSED, ENDED
    reason: str = ""
    peer: int = 0  # node; 0: not known yet
    address: str = ""
    principal: str = ""
    stream: str = ""
    proven: bool = False  # the MAC, or the handshake, has shown who it is; else it is what was claimed


class Journal:
    """The journal of one process. Time comes in."""

    def __init__(self, sink: Sink):
        self._sink = sink
        self._second = -1
        self._written = 0  # refusals in full, of this second
        self._sources: dict[str, int] = {}
        self._held: Counter[str] = Counter()  # refusals that are only counted, by reason
        self._held_untold = 0  # of addresses that there was no room to tell apart
        self._sync_ns: int | None = None  # when the disk is asked next
        self.lines = self.aggregated = self.unwritten = 0
        self.problem = ""  # why a line was not written, the last time

    def record(self, attempt: Attempt, now_ns: int) -> bool:
        """Writes it down, or counts it where too many come; False: it is not written down, so it must not be granted."""
        self.tick(now_ns)
        if attempt.outcome == REFUSED and not self._in_full(attempt.address):
            self._held[attempt.reason] += 1
            self.aggregated += 1
            return True
        words: dict[str, Any] = {**attempt._asdict(), "address": attempt.address[: limits.ADDRESS_TEXT_MAX]}
        return self._write({name: value for name, value in words.items() if value != ""}, now_ns)

    def _in_full(self, address: str) -> bool:
        """Whether a refusal of this address still has its own line in this second."""
        address = address[: limits.ADDRESS_TEXT_MAX]
        seen = self._sources.get(address)
        if seen is None and len(self._sources) >= limits.ACCESS_SOURCES_MAX:
            self._held_untold += 1
            return False
        self._sources[address] = (seen or 0) + 1
        if (seen or 0) >= limits.ACCESS_LINES_PER_SOURCE or self._written >= limits.ACCESS_LINES_PER_SECOND:
            return False
        self._written += 1
        return True

    def tick(self, now_ns: int) -> None:
        """What a second leaves behind: the line of what was only counted; the disk, when it is time."""
        second = now_ns // SECOND_NS
        if second != self._second:
            self._close_second()
            self._second = second
        if self._sync_ns is not None and not now_ns < self._sync_ns <= now_ns + limits.ACCESS_SYNC_NS:
            try:
                synced = self._sink.sync()
            except OSError as problem:
                self.problem, synced = str(problem.strerror), False
            self._sync_ns = None if synced else now_ns + limits.ACCESS_SYNC_NS

    def _close_second(self) -> None:
        if self._held:
            words = {
                "event": "flood",
                "outcome": REFUSED,
                "count": self._held.total(),
                "reasons": dict(self._held),
                "addresses": len(self._sources),
                "from_other_addresses": self._held_untold,
            }
            if not self._write(words, self._second * SECOND_NS + SECOND_NS - 1):
                self.unwritten += self._held.total() - 1
        self._held.clear()
        self._sources.clear()
        self._written = self._held_untold = 0

    def _write(self, words: dict[str, Any], now_ns: int) -> bool:
        body = json.dumps({"time": _text(now_ns), **words}).encode()[:-1]
        chain = next_chain(self._sink.chain, body)
        try:
            self._sink.append(body + _MARK + chain.encode() + b'"}\n', chain)
        except OSError as problem:
            self.unwritten += 1
            self.problem = str(problem.strerror)
            return False
        self.lines += 1
        if self._sync_ns is None:
            self._sync_ns = now_ns + limits.ACCESS_SYNC_NS
        return True

    def close(self) -> None:
        """Writes what was only counted, syncs and closes the file. Never raises for what a disk does."""
        self._close_second()
        try:
            self._sink.close()
        except OSError as problem:
            self.problem = str(problem.strerror)


def _text(now_ns: int) -> str:
    whole, rest_ns = divmod(max(now_ns, 0), SECOND_NS)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


def next_chain(chain: str, body: bytes) -> str:
    """The chain behind a line, from the chain before it and the line's bytes before its own chain."""
    return hashlib.sha256(chain.encode() + body).hexdigest()


def chain_of(line: bytes) -> tuple[bytes, str] | None:
    """(bytes that are chained, chain) of a line; None for what is no line of ours, such as one that a crash has torn."""
    body, mark, rest = line.rstrip(b"\n").rpartition(_MARK)
    if not mark or len(rest) != len(CHAIN_BEGIN) + 2 or not rest.endswith(b'"}'):
        return None
    return body, rest[:-2].decode("ascii", "replace")
