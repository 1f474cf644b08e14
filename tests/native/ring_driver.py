"""Compiles ring_driver.c, pairs it with the numba steps, and lays out scratch rings for the ring's tests.

    ring = ScratchRing(depth=8, slot_bytes=256)
    writer = ring.writer(SIDES["c"]);  writer.publish() -> 1 | 0
    reader = ring.reader(SIDES["numba"]);  reader.take() -> position + 1 | 0 | -1 when torn;  reader.acknowledge()
Memory is shared and anonymous, so a forked child works on the same ring at the same addresses.
"""

import ctypes
import mmap
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gateway.layout import LAYOUT_HASH, offsets, size
from gateway.native import address, at, ffi, lib, text

ROOT = Path(__file__).resolve().parents[2]
HEADER_BYTES = size("ring_header")
HEADER = offsets("ring_header")
LEDGER_WORDS = 8
POSITIONS, TORN, REACHED, OBSERVED, OBSERVED_TORN, OBSERVER_POSITION, OBSERVER_MISSED, DONE = range(LEDGER_WORDS)
STEP = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)


@cache
def compile_driver() -> ctypes.CDLL:
    """The C steps and loops as a shared library; compiled once per test session."""
    folder = tempfile.TemporaryDirectory(prefix="ring_driver")
    target = Path(folder.name) / "ring_driver.so"
    sources = [str(ROOT / "tests/native/ring_driver.c"), str(ROOT / "native/ring.c")]
    flags = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'native'}"]
    subprocess.run(
        ["gcc", *flags, f"-DGATEWAY_LAYOUT_HASH={LAYOUT_HASH:#x}ULL", *sources, "-o", str(target)],
        check=True,
        timeout=60,
    )
    library = ctypes.CDLL(str(target))
    library.folder = folder  # the file lives as long as the library
    for name in ("run_until_killed", "run_traced"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int64]
        getattr(library, name).restype = None
    return library


@dataclass(frozen=True)
class Side:
    """The steps of one implementation; each is int64(int64 context) with a C address."""

    name: str
    publish: Any
    shed: Any
    take: Any
    acknowledge: Any
    deliver: Any


@cache
def side(name: str) -> Side:
    """'c' or 'numba'."""
    if name == "c":
        driver = compile_driver()
        names = ("publish_record", "shed_record", "take_record", "acknowledge_records", "deliver_record")
        return Side("c", *(STEP(ctypes.cast(getattr(driver, step), ctypes.c_void_p).value) for step in names))
    from tests.core import ring_kernels as kernels

    steps = (kernels.publish_record, kernels.shed_record, kernels.take_record, kernels.acknowledge_records)
    return Side("numba", *(STEP(step.address) for step in (*steps, kernels.deliver_record)))


def address_of_step(step: Any) -> int:
    """The C address of a step."""
    return int(ctypes.cast(step, ctypes.c_void_p).value or 0)


class SharedMemory:
    """Anonymous shared pages, zeroed: `address`, and `words` as int64."""

    def __init__(self, size_bytes: int) -> None:
        self.map = mmap.mmap(-1, -(-size_bytes // 4096) * 4096)
        self.bytes = np.frombuffer(self.map, np.uint8)
        self.words = self.bytes.view(np.int64)
        self.address = int(self.bytes.ctypes.data)


class Ledger:
    """What the lives of producer, reader and observer did; see enum ledger_word in ring_driver.c."""

    def __init__(self, positions: int) -> None:
        self.memory = SharedMemory(LEDGER_WORDS * 8 + positions)
        self.words = self.memory.words[:LEDGER_WORDS]
        self.words[POSITIONS] = positions
        self.delivered = self.memory.bytes[LEDGER_WORDS * 8 :][:positions]


class Handle:
    """A process-local writer or reader with the context words its steps take."""

    def __init__(self, ring: "ScratchRing", kind: str, side: Side, ledger: Ledger | None, life: int) -> None:
        self.ring, self.side = ring, side
        self.struct = ffi.new(f"struct ring_{kind} *")
        self.copy = np.zeros(ring.slot_bytes // 8, np.int64)
        self.ledger = ledger or Ledger(1)
        self.context = np.array(
            [address(self.struct), self.ledger.memory.address, life, self.copy.ctypes.data], dtype=np.int64
        )
        self.context_address = int(self.context.ctypes.data)

    def publish(self) -> int:
        return int(self.side.publish(self.context_address))

    def shed(self) -> int:
        return int(self.side.shed(self.context_address))

    def take(self) -> int:
        return int(self.side.take(self.context_address))

    def acknowledge(self) -> int:
        return int(self.side.acknowledge(self.context_address))

    def observe(self) -> int:
        """One careful copy: 1 whole, 0 nothing new, -1 overrun."""
        return int(compile_driver().observe_record(ctypes.c_int64(self.context_address)))


class ScratchRing:
    """A formatted ring in anonymous shared memory."""

    def __init__(self, depth: int, slot_bytes: int = 64, reliable: bool = True) -> None:
        self.depth, self.slot_bytes = depth, slot_bytes
        self.size_bytes = HEADER_BYTES + depth * slot_bytes
        self.memory = SharedMemory(self.size_bytes)
        self.base = at(self.memory.address, "void *")
        problem = lib.ring_format(self.base, self.size_bytes, depth, slot_bytes, int(reliable))
        assert problem == ffi.NULL, text(problem)

    def header(self, field: str) -> int:
        """A 64-bit word of the shared header."""
        return int(self.memory.words[getattr(HEADER, field) // 8])

    def writer(self, side: Side, ledger: Ledger | None = None, life: int = 1) -> Handle:
        """Attaches a producer where the last one stopped."""
        handle = Handle(self, "writer", side, ledger, life)
        problem = lib.ring_attach_writer(self.base, self.size_bytes, handle.struct)
        assert problem == ffi.NULL, text(problem)
        return handle

    def reader(self, side: Side, ledger: Ledger | None = None, reliable: bool = True) -> Handle:
        """Attaches the reliable reader at its cursor, or an observer at the news."""
        handle = Handle(self, "reader", side, ledger, 0)
        problem = lib.ring_attach_reader(self.base, self.size_bytes, int(reliable), handle.struct)
        assert problem == ffi.NULL, text(problem)
        return handle
