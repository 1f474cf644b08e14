"""Writes what io saw and sent into pcapng files, from an observer of the rings (native/recorder.h), with rotation.

    out.pcapng                       without rotation
    out.00001.pcapng, out.00002 …    with it; with `files`, the oldest beyond that many are removed

Hard rule: the running instance never waits for it; what was missed is counted, and noted in the file.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import clock, layout
from gateway.errors import GatewayError
from gateway.instance import Instance
from gateway.native import ffi, lib, text

POLL_RECORDS = 4096
FULL_BYTES = 1 << 20  # a few of the writer's buffers: what did not fit was cut off again
COUNTED = (
    *("frames_in", "frames_out", "exceptions_in", "exceptions_out", "orders_refused"),
    *("dropped_in", "dropped_exceptions", "missed_in", "missed_out", "missed_exceptions"),
)
DROPS = ("drop_ring_full", "drop_oversized", "drop_truncated", "drop_port")


@dataclass(frozen=True)
class Rotation:
    """When a file ends and the next begins; 0 is never. `files` kept at most, 0: all."""

    size_bytes: int = 0
    seconds: float = 0.0
    files: int = 0

    @property
    def on(self) -> bool:
        """Whether there is more than one file."""
        return bool(self.size_bytes or self.seconds)


class Recorder:
    """Records one running instance; a context manager that ends the file."""

    def __init__(self, instance: Instance, path: Path, rotation: Rotation):
        self.instance, self.path, self.rotation = instance, path, rotation
        self.paths: deque[Path] = deque()
        self.files_written = 0
        self.native = ffi.new("struct recorder *")
        self.native.frames = instance.reader("io_core", reliable=False)[0]
        self.native.notes = instance.reader("io_recorder", reliable=False)[0]
        for index, ring in enumerate(("core_io", "control_io")):
            self.native.orders[index] = instance.reader(ring, reliable=False)[0]
        self.native.clock = ffi.cast("struct clock_calibration *", instance.clock_address)
        self._watch_drops()
        self._begin_file()

    def poll(self) -> int:
        """Takes what is there, at most some thousand records; returns how many."""
        taken = int(lib.recorder_poll(self.native, POLL_RECORDS))
        if taken < 0:
            raise self._disk_error()
        if self._is_over():
            self._end_file()
            self._begin_file()
        return taken

    def counted(self) -> dict[str, Any]:
        """What went into the files and what did not."""
        names = [str(path) for path in self.paths]
        return {
            **{name: int(getattr(self.native, name)) for name in COUNTED},
            "files_written": self.files_written,
            "files": names,
        }

    def close(self) -> None:
        """Ends the file."""
        self._end_file()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch_drops(self) -> None:
        """What io drops from now on is noted in the file."""
        address = self.instance.address("counters") + layout.offsets("counters").io
        self.native.io = ffi.cast("struct io_counters *", address)
        self.native.io_dropped = sum(int(getattr(self.native.io, name)) for name in DROPS)
        self.native.io_throttled = int(self.native.io.exception_throttled)

    def _is_over(self) -> bool:
        rotation = self.rotation
        if rotation.size_bytes and self.native.bytes_written >= rotation.size_bytes:
            return True
        return bool(rotation.seconds) and clock.monotonic_ns() - self.began_ns >= rotation.seconds * 1e9

    def _begin_file(self) -> None:
        self.files_written += 1
        path = self.path
        if self.rotation.on:
            path = path.with_name(f"{path.stem}.{self.files_written:05}{path.suffix}")
        problem = lib.recorder_open(self.native, os.fsencode(path))
        if problem != ffi.NULL:
            raise GatewayError(f"{path}: {text(problem)}")
        self.began_ns = clock.monotonic_ns()
        self.paths.append(path)
        while self.rotation.files and len(self.paths) > self.rotation.files:
            with contextlib.suppress(OSError):
                self.paths.popleft().unlink()

    def _end_file(self) -> None:
        if lib.recorder_close(self.native) != 0:
            raise self._disk_error()

    def _disk_error(self) -> GatewayError:
        path = self.paths[-1]
        with contextlib.suppress(OSError):
            free = os.statvfs(path.parent)
            if free.f_bavail * free.f_frsize < FULL_BYTES:
                return GatewayError(f"{path}: the disk is full, the file is whole up to here; free space, or use --keep")
        return GatewayError(f"{path}: the disk took no more; the file is whole up to here")


def follow(recorder: Recorder, seconds: float, rest_seconds: float) -> Iterator[int]:
    """Polls until the instance is gone or `seconds` have passed (0: no limit); yields after each poll."""
    end_ns = clock.monotonic_ns() + int(seconds * 1e9)
    while recorder.instance.folder.is_dir():
        taken = recorder.poll()
        yield taken
        if seconds and clock.monotonic_ns() >= end_ns:
            return
        if taken == 0:
            time.sleep(rest_seconds)
    while recorder.poll():  # the mapping outlives the folder
        yield 0
