"""Both ends of the ring benchmark: who takes part, the shared memory, and every contender's two functions.

The parent is side 0; the peer process (ring_peer.py), or a thread for what holds addresses, is side 1. Each direction
has its own area:

    side 0 ── area 0 ──► side 1
    side 0 ◄── area 1 ── side 1
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.errors import AttachError
from gateway.layout import size
from gateway.native import address, at, ffi, lib, text
from gateway.ops.bench import ring_kernels
from gateway.ops.bench.compiled import load

LINE, LINES, CLASSIC = "bare cache line", "bare lines, 1,024 in turn", "classic head/tail ring"
OURS_C, OURS_NUMBA = "gateway (C)", "gateway (numba)"
RTE, BOOST, MOODYCAMEL = "DPDK rte_ring", "boost spsc_queue", "moodycamel ReaderWriterQueue"
SLOT_BYTES = 64
AREA_BYTES = 1 << 18
ARENA_BYTES = 2 * AREA_BYTES
PLACES, PLACE_BYTES = 61, 4096 + 64  # where the one bare line lies: which line it is decides about a third of its hop


@dataclass(frozen=True)
class Kind:
    """A contender: contenders/`library` has hop_`suffix` and burst_`suffix`; no library: the numba kernels."""

    name: str
    library: str
    suffix: str
    bursts: bool = True
    threads: bool = False  # both sides in this process: it holds addresses
    note: str = ""

    @property
    def ours(self) -> bool:
        """Whether it runs over a gateway ring."""
        return self.suffix == "ring"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(LINE, "ring_hop", "line", bursts=False),
        Kind(LINES, "ring_hop", "lines", bursts=False),
        Kind(CLASSIC, "ring_hop", "classic"),
        Kind(OURS_C, "ring_hop", "ring"),
        Kind(OURS_NUMBA, "", "ring"),
        Kind(RTE, "ring_rte", "rte", note="one producer, one consumer; copies; bursts 16 at a time"),
        Kind(BOOST, "ring_boost", "boost", note="bursts 16 at a time"),
        Kind(MOODYCAMEL, "ring_moodycamel", "moodycamel", threads=True, note="threads of one process: it keeps pointers"),
    )
}


class Sides:
    """The contenders over one piece of shared memory at `base` (ARENA_BYTES, page aligned)."""

    def __init__(self, base: int) -> None:
        self.areas = (base, base + AREA_BYTES)
        self.libraries: dict[str, Any] = {}
        self.place = 0  # of the bare line: both sides say the same in each run
        self.depth = int(self.library(KINDS[OURS_C]).ring_depth())
        self.ring_bytes = size("ring_header") + self.depth * SLOT_BYTES
        assert self.ring_bytes <= AREA_BYTES
        ring_kernels.hop_ring(0, 0, 0, 0, 0, 0)  # compiled here, not inside a run with a deadline
        ring_kernels.burst_ring(0, 0, 0, 0, 0)

    def library(self, kind: Kind) -> Any:
        """The library of a contender, compiled when it is first asked for. Raises CapabilityError."""
        if kind.library not in self.libraries:
            self.libraries[kind.library] = load(kind.library)
        return self.libraries[kind.library]

    def prepare(self, kind: Kind) -> None:
        """Side 0, before each run: both areas as the contender begins with."""
        for area in self.areas:
            ctypes.memset(area, 0, AREA_BYTES)
            if kind.ours:
                problem = text(lib.ring_format(at(area, "void *"), self.ring_bytes, self.depth, SLOT_BYTES, 1))
                if problem:
                    raise AttachError(problem)
            elif make := getattr(self.library(kind), f"{kind.suffix}_make", None):
                bytes_needed = getattr(self.library(kind), f"{kind.suffix}_bytes")
                bytes_needed.restype, make.argtypes = ctypes.c_int64, [ctypes.c_void_p]
                assert bytes_needed() <= AREA_BYTES and make(area) == 0, f"{kind.name} does not fit"

    def end(self, kind: Kind) -> None:
        """Side 0, after each run: what the contender holds outside the areas is given back."""
        if kind.threads:
            for area in self.areas:
                getattr(self.library(kind), f"{kind.suffix}_end")(ctypes.c_void_p(area))

    def _handles(self, side: int) -> tuple[Any, Any]:
        writer, reader = ffi.new("struct ring_writer *"), ffi.new("struct ring_reader *")
        problem = text(lib.ring_attach_writer(at(self.areas[side], "void *"), self.ring_bytes, writer))
        problem = problem or text(lib.ring_attach_reader(at(self.areas[1 - side], "void *"), self.ring_bytes, 1, reader))
        if problem:
            raise AttachError(problem)
        return writer, reader

    def _call(self, kind: Kind, what: str, out: int, into: int, *rest: int) -> int:
        if not kind.library:
            kernels = {"hop": ring_kernels.hop_ring, "burst": ring_kernels.burst_ring}
            return int(kernels[what](out, into, *rest))
        function = getattr(self.library(kind), f"{what}_{kind.suffix}")
        function.restype = ctypes.c_int64
        words = [ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64] if what == "hop" else [ctypes.c_int64] * 2
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *words]
        return int(function(out, into, *rest))

    def hop(self, kind: Kind, side: int, rounds: int, ticks: np.ndarray, deadline_ticks: int) -> int:
        """Runs one side of `rounds` round trips; see contenders/ring_hop.h for the result."""
        out, into = self.areas[side], self.areas[1 - side]
        rest = (side, rounds, ticks.ctypes.data, deadline_ticks)
        if kind.name == LINE:
            out, into = (area + self.place * PLACE_BYTES for area in (out, into))
        if not kind.ours:
            return self._call(kind, "hop", out, into, *rest)
        writer, reader = self._handles(side)
        return self._call(kind, "hop", address(writer), address(reader), *rest)

    def burst(self, kind: Kind, side: int, records: int, deadline_ticks: int) -> int:
        """Runs one side of a burst from side 0 to side 1."""
        rest = (side, records, deadline_ticks)
        if not kind.ours:
            return self._call(kind, "burst", self.areas[0], self.areas[0], *rest)
        writer, reader = self._handles(0)[0], self._handles(1)[1]
        return self._call(kind, "burst", address(writer), address(reader), *rest)
