"""A network in virtual time for two gateways: TCP that keeps its order and its bytes, UDP that keeps neither.

    write ──► leaves as the bandwidth allows ──► latency, jitter, losses sent again ──► arrives, in order       TCP
    send  ──► lost, doubled, late, damaged, or arrives                                                          UDP

A damaged byte of TCP arrives: its checksum counts as repaired, or nothing of ours would be tested. Hard rule: everything
is drawn from one seeded generator and one clock, so that a seed is a run.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

MICROSECOND, MILLISECOND, SECOND = 1_000, 1_000_000, 1_000_000_000
SOCKET_BYTES = 64 * 1024  # what a kernel takes before it says that there is no room
SEGMENT_BYTES = 1448
RESEND_NS = 40 * MILLISECOND  # until a lost segment has been noticed and sent again


class Clock:
    """Virtual time: calls in the order of their time, then in the order they were asked for."""

    def __init__(self, now_ns: int):
        self.now_ns = now_ns
        self._calls: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def at(self, time_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        """Calls then, or as soon as possible."""
        self._asked += 1
        heapq.heappush(self._calls, (max(time_ns, self.now_ns), self._asked, call, arguments))

    def turn(self, end_ns: int) -> bool:
        """The next call, if one comes before the end."""
        if not self._calls or self._calls[0][0] > end_ns:
            self.now_ns = max(self.now_ns, end_ns)
            return False
        self.now_ns, _, call, arguments = heapq.heappop(self._calls)
        call(*arguments)
        return True


@dataclass
class Faults:
    """How bad one direction of the way is; rates are parts of one."""

    latency_ns: int = 5 * MILLISECOND
    jitter_ns: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    reorder: float = 0.0
    damage: float = 0.0  # of segments and datagrams
    bytes_per_second: int = 0  # 0: as many as come
    cut: bool = False  # nothing gets through this way

    def delay_ns(self, random: Random) -> int:
        """Of one packet that arrives."""
        return self.latency_ns + (random.randrange(self.jitter_ns) if self.jitter_ns else 0)


def damaged(data: bytes, random: Random) -> bytes:
    """One bit of it is another."""
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


@dataclass
class Counts:
    """What happened to packets, so that a test can ask whether its fault fired."""

    segments: int = 0
    resent: int = 0
    damaged: int = 0
    datagrams: int = 0
    lost: int = 0
    doubled: int = 0
    late: int = 0
    cut: int = 0


@dataclass
class Way:
    """One direction between the gateways: TCP segments in order, datagrams in any."""

    clock: Clock
    random: Random
    faults: Faults
    counts: Counts
    _leaves_ns: int = 0
    last_datagram: bytes = b""
    datagram_delivers: Callable[[bytes], None] = lambda data: None

    def leaves_ns(self, size_bytes: int) -> int:
        """When so many bytes are on the line."""
        begins = max(self._leaves_ns, self.clock.now_ns)
        if self.faults.bytes_per_second:
            begins += size_bytes * SECOND // self.faults.bytes_per_second
        self._leaves_ns = begins
        return begins

    def send(self, datagram: bytes) -> None:
        """A datagram: it has no rights. What finds a full line is dropped."""
        self.counts.datagrams += 1
        self.last_datagram = datagram
        random, faults = self.random, self.faults
        if faults.cut or random.random() < faults.loss or self._leaves_ns > self.clock.now_ns + SECOND:
            self.counts.lost += 1
            return
        leaves_ns = self.leaves_ns(len(datagram))
        copies = 1 + (random.random() < faults.duplication)
        self.counts.doubled += copies - 1
        for _ in range(copies):
            data, delay_ns = datagram, faults.delay_ns(random)
            if random.random() < faults.reorder:
                self.counts.late += 1
                delay_ns += random.randrange(30 * MILLISECOND)
            if random.random() < faults.damage:
                self.counts.damaged += 1
                data = damaged(data, random)
            self.clock.at(leaves_ns + delay_ns, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        self.datagram_delivers(data)


@dataclass
class Flow:
    """One direction of a TCP connection: bytes in their order, or none."""

    way: Way
    delivers: Callable[[bytes], None]
    open: bool = True
    held_bytes: int = 0
    _arrives_ns: int = 0
    _stalled: list[bytes] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Bytes the kernel still takes."""
        return max(0, SOCKET_BYTES - self.held_bytes) if self.open else 0

    def write(self, data: bytes) -> None:
        """Cut into segments; each arrives behind the one before."""
        for start in range(0, len(data), SEGMENT_BYTES):
            self._put(data[start : start + SEGMENT_BYTES])

    def finish(self) -> None:
        """Says that nothing follows: the other end reads b"" behind what is on the way."""
        self._arrives_ns = max(self._arrives_ns, self.way.clock.now_ns + self.way.faults.delay_ns(self.way.random))
        self.way.clock.at(self._arrives_ns, self._arrive, b"")

    def _put(self, segment: bytes) -> None:
        way, faults, random = self.way, self.way.faults, self.way.random
        self.held_bytes += len(segment)
        way.counts.segments += 1
        delay_ns = faults.delay_ns(random)
        while random.random() < faults.loss:
            way.counts.resent += 1
            delay_ns += RESEND_NS
        if random.random() < faults.damage:
            way.counts.damaged += 1
            segment = damaged(segment, random)
        self._arrives_ns = max(self._arrives_ns, way.leaves_ns(len(segment)) + delay_ns)
        way.clock.at(self._arrives_ns, self._arrive, segment)

    def _arrive(self, segment: bytes) -> None:
        if not self.open:
            return
        if self.way.faults.cut:
            self._stalled.append(segment)
            return
        waiting, self._stalled = [*self._stalled, segment], []
        for data in waiting:
            if self.open:
                self.held_bytes -= len(data)
                self.delivers(data)

    def restore(self) -> None:
        """The way is whole again: what was on it arrives."""
        waiting, self._stalled = self._stalled, []
        for data in waiting:
            if self.open:
                self.held_bytes -= len(data)
                self.delivers(data)
