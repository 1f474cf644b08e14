"""Both sides of a burst that observers copy: contenders/ring_observers.c over the areas of ring_sides.py.

Hard rule: an observer is never waited for, so what it missed is counted, not refused; what it read must be right.
"""

import ctypes
from typing import Any

from gateway.errors import AttachError
from gateway.native import address, at, ffi, lib, text
from gateway.ops.bench.compiled import load
from gateway.ops.bench.ring_sides import Sides


def _library() -> Any:
    library = load("ring_observers")
    word = ctypes.c_int64
    library.observed_send.restype = library.observed_read.restype = word
    library.observed_send.argtypes = [ctypes.c_void_p, word, word, ctypes.c_void_p]
    library.observed_read.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, word, word, ctypes.c_void_p]
    return library


def send(sides: Sides, records: int, deadline_ticks: int) -> tuple[int, int]:
    """Side 0: records sent, and the ticks in which the ring had no room."""
    writer, stalled = ffi.new("struct ring_writer *"), ctypes.c_int64()
    problem = text(lib.ring_attach_writer(at(sides.areas[0], "void *"), sides.ring_bytes, writer))
    if problem:
        raise AttachError(problem)
    done = _library().observed_send(address(writer), records, deadline_ticks, ctypes.addressof(stalled))
    return int(done), stalled.value


def read(sides: Sides, observers: int, records: int, deadline_ticks: int) -> int:
    """Side 1: records read, negative when one was wrong or an observer's account does not add up."""
    missed = ctypes.c_int64()
    rest = (observers, records, deadline_ticks, ctypes.addressof(missed))
    return int(_library().observed_read(sides.areas[0], sides.ring_bytes, *rest))
