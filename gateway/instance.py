"""One appliance's folder of shared memory: made by control, attached by every process and every tool.

    /dev/shm/gateway-NAME/      control  counters  gate  orders  books  levels  book_orders  io_core  core_io  …  lock

Hard rule: nobody looks behind a region header before native `region_check` has accepted it.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import numpy as np

from gateway import clock, layout, pipeline
from gateway.errors import AttachError
from gateway.native import address, ffi, lib, text

FOLDER = Path("/dev/shm")
PREFIX = "gateway-"
POPULATE_ROOM_TIMES = 2  # free memory of the file system, at least, for what is faulted in
POPULATED_BYTES = {  # of those that are not brought in whole
    "levels": 64 << 20,  # nodes are handed out in order: these are the first ones
    "holdings": 8 << 20,  # of the first two strategies
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def folder_of(name: str, parent: Path = FOLDER) -> Path:
    """The folder of an instance below `parent`; refuses names that would leave it."""
    if not NAME.fullmatch(name):
        raise AttachError(f"instance name {name!r}: use up to 40 letters, digits, '_', '.', '-'")
    return parent / (PREFIX + name)


def running(parent: Path = FOLDER) -> list[str]:
    """Names of the instances whose folders stand below `parent`."""
    return sorted(path.name.removeprefix(PREFIX) for path in parent.glob(PREFIX + "*") if path.is_dir())


def is_held(name: str, parent: Path = FOLDER) -> bool:
    """Whether a process runs this instance: who made it holds its lock for as long as it lives."""
    try:
        lock = os.open(folder_of(name, parent) / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _map(file: int, size_bytes: int, writable: bool) -> Any:
    """The file in memory (cdata) until nothing refers to it any more. Raises OSError."""
    base = lib.region_map(file, size_bytes, int(writable))
    if base == ffi.NULL:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
    return ffi.gc(base, lambda gone, unmap=lib.region_unmap: unmap(gone, size_bytes), size_bytes)


class Mapping:
    """A shared file mapped whole; `address` is its first byte. What is mapped read-only faults when it is written."""

    def __init__(self, path: Path, size_bytes: int | None = None, writable: bool = True):
        try:
            flags = (os.O_RDWR if writable else os.O_RDONLY) | (os.O_CREAT | os.O_EXCL if size_bytes else 0)
            file = os.open(path, flags | os.O_CLOEXEC, 0o600)
            try:
                if size_bytes:
                    os.ftruncate(file, size_bytes)
                self.size_bytes = os.fstat(file).st_size
                self._map = _map(file, self.size_bytes, writable)
            finally:
                os.close(file)
        except OSError as problem:
            raise AttachError(f"{path}: {problem.strerror}") from problem
        self.path = path
        self.bytes = np.frombuffer(ffi.buffer(self._map, self.size_bytes), dtype=np.uint8)  # keeps the map alive
        self.bytes.flags.writeable = writable
        self.address = address(self._map)

    def populate(self, size_bytes: int | None = None) -> None:
        """Faults pages in, huge ones where the kernel can; where memory is short they wait for their use."""
        wanted_bytes = min(size_bytes or self.size_bytes, self.size_bytes)
        room = os.statvfs(self.path)
        if room.f_bavail * room.f_frsize > POPULATE_ROOM_TIMES * wanted_bytes:
            lib.region_populate(self._map, wanted_bytes)

    def view(self, struct: str, offset: int = 0, rows: int | None = None) -> np.ndarray:
        """Rows of a struct at `offset`, or one record (as an array of one) when `rows` is None."""
        count = 1 if rows is None else rows
        end = offset + count * layout.size(struct)
        return self.bytes[offset:end].view(layout.dtype(struct))


def _region_bytes(region: pipeline.Region) -> int:
    return layout.size(region.header) + region.rows * layout.size(region.struct)


def _ring_bytes(ring: pipeline.Ring) -> int:
    return layout.size("ring_header") + ring.depth * ring.slot_bytes


def _format_region(mapping: Mapping, region: pipeline.Region) -> None:
    header = mapping.view("region_header")[0]
    header["magic"] = layout.MAGIC
    header["version"] = layout.VERSION
    header["layout_hash"] = layout.LAYOUT_HASH
    header["kind"] = layout.value(region.kind)
    header["size_bytes"] = mapping.size_bytes
    if region.name == "control":
        clock.calibrate(mapping.address + layout.offsets("control_block").clock)
    header["ready"] = 1


def _refuse(problem: Any, path: Path) -> None:
    reason = text(problem)
    if reason:
        raise AttachError(f"{path}: {reason}")


class Instance:
    """The mapped folder. Views are live: numpy arrays over shared memory, in structs of native/layout."""

    def __init__(self, folder: Path, regions: dict[str, Mapping], rings: dict[str, Mapping], lock: int | None):
        self.name = folder.name.removeprefix(PREFIX)
        self.folder = folder
        self.regions = regions
        self.rings = rings
        self._lock = lock
        self.control = regions["control"].view("control_block")[0:1]
        self.counters = regions["counters"].view("counters")[0:1]

    @classmethod
    def create(
        cls,
        name: str,
        parent: Path = FOLDER,
        rings: tuple[pipeline.Ring, ...] = pipeline.RINGS,
        regions: tuple[pipeline.Region, ...] = pipeline.REGIONS,
        settle: Callable[[Path], None] = lambda folder: None,
    ) -> "Instance":
        """Makes the folder afresh; refuses while another process runs this instance.

        `settle` is called with the folder, locked, before what an earlier run left in it is removed; when it raises,
        everything stays.
        """
        folder = folder_of(name, parent)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _take_lock(folder / "lock", name)
        try:
            settle(folder)
        except BaseException:
            os.close(lock)
            raise
        for left_over in folder.iterdir():
            if left_over.name != "lock":
                left_over.unlink()
        maps = {}
        for region in regions:
            maps[region.name] = Mapping(folder / region.name, _region_bytes(region))
            _format_region(maps[region.name], region)
        ring_maps = {}
        for ring in rings:
            mapping = Mapping(folder / ring.name, _ring_bytes(ring))
            geometry = (ring.depth, ring.slot_bytes, int(ring.reliable))
            _refuse(lib.ring_format(_pointer(mapping), mapping.size_bytes, *geometry), mapping.path)
            ring_maps[ring.name] = mapping
        return cls(folder, maps, ring_maps, lock)

    @classmethod
    def attach(
        cls,
        name: str,
        parent: Path = FOLDER,
        rings: tuple[pipeline.Ring, ...] = pipeline.RINGS,
        regions: tuple[pipeline.Region, ...] = pipeline.REGIONS,
        writable: Container[str] | None = None,
    ) -> "Instance":
        """Maps an existing folder; every region must carry this build's layout.

        `writable` names the rings and regions that may be written, None: all. Observers and strategies outside write none
        but their own ring; limits and positions are control's and core's.
        """
        folder = folder_of(name, parent)
        if not folder.is_dir():
            others = ", ".join(running(parent)) or "none"
            raise AttachError(f"no instance {name!r} here (running: {others}); start one with: gateway run CONFIG")
        maps = {}
        for region in regions:
            mapping = maps[region.name] = Mapping(folder / region.name, writable=_may_write(writable, region.name))
            kind = layout.value(region.kind)
            _refuse(lib.region_check(_pointer(mapping), mapping.size_bytes, kind), mapping.path)
        ring_maps = {}
        for ring in rings:
            mapping = ring_maps[ring.name] = Mapping(folder / ring.name, writable=_may_write(writable, ring.name))
            kind = layout.value("REGION_RING")
            _refuse(lib.region_check(_pointer(mapping), mapping.size_bytes, kind), mapping.path)
        return cls(folder, maps, ring_maps, None)

    def read_only(self, name: str) -> Mapping:
        """The same file once more, read-only: what a strategy inside core is given."""
        return Mapping(self.regions[name].path, writable=False)

    def body(self, name: str) -> int:
        """Address of the first row behind a region's header."""
        region = next(region for region in pipeline.REGIONS if region.name == name)
        return self.regions[name].address + layout.size(region.header)

    def rows(self, name: str) -> np.ndarray:
        """The rows of a region as a structured array."""
        region = next(region for region in pipeline.REGIONS if region.name == name)
        return self.regions[name].view(region.struct, layout.size(region.header), region.rows)

    def address(self, name: str) -> int:
        """Address of a region's header struct (control, counters, gate …)."""
        return self.regions[name].address

    @property
    def clock_address(self) -> int:
        """Address of the struct clock_calibration all processes share."""
        return self.address("control") + layout.offsets("control_block").clock

    def writer(self, name: str) -> Any:
        """A struct ring_writer (cdata, keep it alive) on a ring; resumes where the last producer stopped."""
        handle = ffi.new("struct ring_writer *")
        mapping = self.rings[name]
        _refuse(lib.ring_attach_writer(_pointer(mapping), mapping.size_bytes, handle), mapping.path)
        return handle

    def reader(self, name: str, reliable: bool = True) -> Any:
        """A struct ring_reader (cdata, keep it alive): the reliable reader, or an observer."""
        handle = ffi.new("struct ring_reader *")
        mapping = self.rings[name]
        _refuse(lib.ring_attach_reader(_pointer(mapping), mapping.size_bytes, int(reliable), handle), mapping.path)
        return handle

    def populate(self, *names: str) -> None:
        """Brings these rings and regions into this process whole; of large ones what most days need."""
        for name in names:
            mapping = self.regions.get(name) or self.rings[name]
            mapping.populate(POPULATED_BYTES.get(name))

    def close(self, remove: bool = False) -> None:
        """Drops the lock; `remove` deletes the folder (its creator does that at the end)."""
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _may_write(writable: Container[str] | None, name: str) -> bool:
    return writable is None or name in writable


def _take_lock(path: Path, name: str) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(lock)
        raise AttachError(f"instance {name!r} is already running; stop it or choose another name") from problem
    return lock


def _pointer(mapping: Mapping) -> Any:
    return ffi.cast("void *", mapping.address)


def handle_address(handle: Any) -> int:
    """The address of a cdata struct, for kernels."""
    return address(handle)
