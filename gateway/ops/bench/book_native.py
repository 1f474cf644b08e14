"""Books written by hand in C and C++, beside ours in the suite `book`: the same packets, the same levels at checkpoints.

    own C hash map     contenders/book_map.c: open addressing, sorted arrays of levels
    own C++ maps       contenders/book_tree.cpp: std::unordered_map and std::map, as most open C++ books are

Hard rule: they keep levels and nothing else: no gaps, channels, completed events or counters, which ours has.
"""

import ctypes
import time
from typing import Any

import numpy as np

from gateway.ops.bench.compiled import load

NAMES = {"own C hash map": "book_map", "own C++ maps": "book_tree"}
NOTE = "levels alone: no gaps, flags, completed events, counters"
POINTER, INT64 = ctypes.c_void_p, ctypes.c_int64


class NativeBooks:
    """The books of every symbol in one of NAMES. Raises CapabilityError where it cannot be compiled."""

    def __init__(self, name: str):
        library, prefix = load(NAMES[name]), NAMES[name]
        self._function = {key: getattr(library, f"{prefix}_{key}") for key in ("new", "free", "feed", "differences")}
        self._function["new"].restype = POINTER
        self._function["free"].argtypes = [POINTER]
        self._function["feed"].restype = self._function["differences"].restype = INT64
        self._function["feed"].argtypes = [*[POINTER] * 4, INT64]
        self._function["differences"].argtypes = [*[POINTER] * 5, INT64, INT64]
        self._books = self._function["new"]()
        self.messages = 0  # fed so far

    def close(self) -> None:
        """Gives the memory back."""
        self._function["free"](self._books)

    def feed(self, data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, packets: int) -> int:
        """Thread-CPU nanoseconds that the messages of so many packets took."""
        begin = time.thread_time_ns()
        messages = self._function["feed"](self._books, data.ctypes.data, offsets.ctypes.data, sizes.ctypes.data, packets)
        spent = time.thread_time_ns() - begin
        self.messages += int(messages)
        return spent

    def differences(self, flow: Any) -> tuple[int, int]:
        """(levels that differ from the twin of the flow, levels compared)."""
        columns = [np.ascontiguousarray(column, np.int64) for column in (flow.middles, flow.steps)]
        columns += [np.ascontiguousarray(column, np.int32) for column in (flow.levels, flow.counts)]
        symbols, _, places = flow.counts.shape
        addresses = (column.ctypes.data for column in columns)
        wrong = self._function["differences"](self._books, *addresses, symbols, places)
        return int(wrong), int(np.count_nonzero(columns[-1]))
