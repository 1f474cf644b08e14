"""Both ends of the ring benchmark: the shared memory, every contender's two functions, and how a side is pinned.

The parent is side 0; the peer process (ring_peer.py) is side 1. Each direction has its own area:

    side 0 ── area 0 ──► side 1
    side 0 ◄── area 1 ── side 1
"""

import ctypes
from typing import Any

import numpy as np

from gateway.errors import AttachError
from gateway.layout import size
from gateway.native import address, at, ffi, lib, text
from gateway.ops.bench import ring_kernels
from gateway.ops.bench.compiled import load

LINE, CLASSIC, OURS_C, OURS_NUMBA = "bare cache line", "classic head/tail ring", "gateway (C)", "gateway (numba)"
HOPS = (LINE, CLASSIC, OURS_C, OURS_NUMBA)
BURSTS = (CLASSIC, OURS_C, OURS_NUMBA)
SLOT_BYTES = 64
AREA_BYTES = 1 << 18
ARENA_BYTES = 2 * AREA_BYTES


class Sides:
    """The contenders over one piece of shared memory at `base` (ARENA_BYTES, page aligned)."""

    def __init__(self, base: int) -> None:
        self.areas = (base, base + AREA_BYTES)
        self.library: Any = load("ring_hop")
        self.depth = int(self.library.ring_depth())
        self.ring_bytes = size("ring_header") + self.depth * SLOT_BYTES
        assert max(self.ring_bytes, self.library.classic_bytes(), self.library.line_bytes()) <= AREA_BYTES
        for name in ("hop_line", "hop_classic", "hop_ring", "burst_classic", "burst_ring"):
            function = getattr(self.library, name)
            function.restype = ctypes.c_int64
            words = [ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64] if name[0] == "h" else [ctypes.c_int64] * 2
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *words]
        ring_kernels.hop_ring(0, 0, 0, 0, 0, 0)  # compiled here, not inside a run with a deadline
        ring_kernels.burst_ring(0, 0, 0, 0, 0)

    def reset(self) -> None:
        """Side 0, before each run: zeroed areas, which is where the contenders that are no gateway ring begin."""
        for area in self.areas:
            ctypes.memset(area, 0, AREA_BYTES)

    def format(self) -> None:
        """Makes both areas rings."""
        for area in self.areas:
            problem = text(lib.ring_format(at(area, "void *"), self.ring_bytes, self.depth, SLOT_BYTES, 1))
            if problem:
                raise AttachError(problem)

    def _handles(self, side: int) -> tuple[Any, Any]:
        writer, reader = ffi.new("struct ring_writer *"), ffi.new("struct ring_reader *")
        problem = text(lib.ring_attach_writer(at(self.areas[side], "void *"), self.ring_bytes, writer))
        problem = problem or text(lib.ring_attach_reader(at(self.areas[1 - side], "void *"), self.ring_bytes, 1, reader))
        if problem:
            raise AttachError(problem)
        return writer, reader

    def hop(self, kind: str, side: int, rounds: int, ticks: np.ndarray, deadline_ticks: int) -> int:
        """Runs one side of `rounds` round trips; see contenders/ring_hop.c for the result."""
        out, into = self.areas[side], self.areas[1 - side]
        rest = (side, rounds, ticks.ctypes.data, deadline_ticks)
        if kind == LINE:
            return int(self.library.hop_line(out, into, *rest))
        if kind == CLASSIC:
            return int(self.library.hop_classic(out, into, *rest))
        writer, reader = self._handles(side)
        if kind == OURS_C:
            return int(self.library.hop_ring(address(writer), address(reader), *rest))
        return int(ring_kernels.hop_ring(address(writer), address(reader), *rest))

    def burst(self, kind: str, side: int, records: int, deadline_ticks: int) -> int:
        """Runs one side of a burst from side 0 to side 1."""
        if kind == CLASSIC:
            return int(self.library.burst_classic(self.areas[0], self.areas[0], side, records, deadline_ticks))
        writer, reader = self._handles(0)[0], self._handles(1)[1]
        if kind == OURS_C:
            return int(self.library.burst_ring(address(writer), address(reader), side, records, deadline_ticks))
        return int(ring_kernels.burst_ring(address(writer), address(reader), side, records, deadline_ticks))


def is_ring(kind: str) -> bool:
    """Whether a contender runs over a formatted ring."""
    return kind in (OURS_C, OURS_NUMBA)
