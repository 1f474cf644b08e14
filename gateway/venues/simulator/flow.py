"""The simulated venue without a wire: its frames as Python objects, for benchmarks, replays and tests.

Beside the corridor. Everything here is synthetic: made from a seed, on a clock of its own, by the same step as the
running venue. Hard rule: same arguments, same bytes.

    frames(seed=1, messages=1_000_000)            Ethernet frames of lines A and B
    write_capture(path, seed=1, messages=…)       the same as a pcapng file
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.native import ffi, lib, text
from gateway.venues.simulator.capture import CaptureWriter
from gateway.venues.simulator.settings import Settings
from gateway.venues.simulator.state import Venue
from gateway.venues.simulator.step import run_steps

SLOT_BYTES = 2048
DEPTH = 1024
STEP_NS = 50_000
HEADER_BYTES = layout.size("order_slot")
# 2024-01-02 09:30 in New York, as good a day as any
MORNING_NS = 1_704_205_800_000_000_000


class MemoryRing:
    """A ring in this process's own memory, with the handles of both ends."""

    def __init__(self, depth: int, slot_bytes: int):
        # slots begin on cache lines, as they do in a mapped file
        room = np.zeros(layout.size("ring_header") + depth * slot_bytes + 64, dtype=np.uint8)
        base = address_of(room) + (-address_of(room)) % 64
        size_bytes = layout.size("ring_header") + depth * slot_bytes
        self._keep = room
        self._writer: Any = ffi.new("struct ring_writer *")
        self._reader: Any = ffi.new("struct ring_reader *")
        pointer = ffi.cast("void *", base)
        for problem in (
            lib.ring_format(pointer, size_bytes, depth, slot_bytes, 1),
            lib.ring_attach_writer(pointer, size_bytes, self._writer),
            lib.ring_attach_reader(pointer, size_bytes, 1, self._reader),
        ):
            assert not text(problem), text(problem)
        self.slot_bytes = slot_bytes

    @property
    def writer(self) -> int:
        """Address of the struct ring_writer."""
        return int(ffi.cast("uintptr_t", self._writer))

    @property
    def reader(self) -> int:
        """Address of the struct ring_reader."""
        return int(ffi.cast("uintptr_t", self._reader))


class Bench:
    """A venue on two memory rings and a clock word: `orders` goes in, `collect` comes out, `advance` moves time."""

    def __init__(self, settings: Settings, now_ns: int = MORNING_NS, depth: int = DEPTH):
        self.clock = np.array([now_ns], dtype=np.int64)
        self.orders = MemoryRing(DEPTH, SLOT_BYTES)
        self.out = MemoryRing(depth, SLOT_BYTES)
        self._batch = np.zeros((depth, SLOT_BYTES), dtype=np.uint8)
        self.venue = Venue(settings, self.out.writer, self.orders.reader, clock_word=address_of(self.clock))
        self.venue.start(now_ns)

    def advance(self, passed_ns: int = STEP_NS, steps: int = 1) -> None:
        """Moves the clock, then takes steps."""
        self.clock[0] += passed_ns
        run_steps(self.venue.address, steps)

    def collect(self) -> list[bytes]:
        """Takes every frame that waits in the venue's core_io."""
        found = []
        while count := int(ring.drain(self.out.reader, address_of(self._batch), len(self._batch))):
            ring.acknowledge_drained(self.out.reader)
            sizes = self._batch[:count].view(np.uint32)[:, 2]
            found += [
                row[HEADER_BYTES : HEADER_BYTES + int(size)].tobytes()
                for row, size in zip(self._batch[:count], sizes, strict=True)
            ]
        return found

    def send(self, frame: bytes) -> bool:
        """Puts a frame into the venue's io_core, stamped with the clock; False when the ring is full."""
        header = np.zeros(1, dtype=layout.dtype("frame_slot"))
        header["size"], header["time_receive_ns"] = len(frame), self.clock[0]
        payload = np.frombuffer(frame, dtype=np.uint8)
        size = layout.size("frame_slot")
        return bool(ring.put(self.orders.writer, address_of(header), size, address_of(payload), len(frame)))


def frames(
    seed: int = 1, symbols: int = 32, messages: int = 100_000, rate: int = 200_000, **settings: Any
) -> Iterator[tuple[int, bytes]]:
    """(time in ns, Ethernet frame) of both lines until `messages` are sent, then the close and the end of session.

    Other keywords are those of Settings. Reports of the order session are left out.
    """
    bench = Bench(Settings(seed=seed, symbols=symbols, rate=rate, messages=messages, **settings))
    lines = {endpoint.hardware_bytes for endpoint in _groups(bench)}
    counters = bench.venue.counters
    while counters["phase"] != layout.value("VENUE_ENDED"):
        if counters["feed_messages"] >= messages:
            bench.venue.finish(int(bench.clock[0]))
        bench.advance()
        for frame in bench.collect():
            if frame[:6] in lines:
                yield int(bench.clock[0]), frame


def _groups(bench: Bench) -> tuple[Any, Any]:
    addresses = bench.venue.settings.addresses
    return addresses.line_a, addresses.line_b


def write_capture(path: Path, seed: int = 1, symbols: int = 32, messages: int = 100_000, **settings: Any) -> int:
    """Writes both lines of a synthetic session to a pcapng file with nanosecond times. Returns the frames written."""
    written = 0
    with CaptureWriter(path, comment=f"synthetic: simulated venue, seed {seed}") as capture:
        for time_ns, frame in frames(seed, symbols, messages, **settings):
            capture.write(time_ns, frame)
            written += 1
    return written
