"""Bytes at the very end of a page in front of a page that may not be touched: a read behind them ends the process."""

import ctypes
import mmap

import numpy as np

PAGE_BYTES = mmap.PAGESIZE
PROT_NONE = 0


class Guarded:
    """`room` bytes and more of memory whose end is guarded on both sides; `put` lays bytes against the upper guard."""

    def __init__(self, room: int) -> None:
        inner = -(-room // PAGE_BYTES) * PAGE_BYTES
        self._memory = mmap.mmap(-1, inner + 2 * PAGE_BYTES)
        self._view = np.frombuffer(self._memory, np.uint8)
        self._begin = int(self._view.ctypes.data)
        self._end = self._begin + PAGE_BYTES + inner
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for guard in (self._begin, self._end):
            if protect(guard, PAGE_BYTES, PROT_NONE) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, data: bytes) -> int:
        """Address of a copy of `data` whose last byte is the last before the guard."""
        address = self._end - len(data)
        ctypes.memmove(address, data, len(data))
        return address

    def put_low(self, data: bytes) -> int:
        """Address of a copy of `data` whose first byte is the first behind the lower guard."""
        ctypes.memmove(self._begin + PAGE_BYTES, data, len(data))
        return self._begin + PAGE_BYTES
