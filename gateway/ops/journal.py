"""Writes what core decided and what the venue reported to an append-only file: the reliable reader of core_journal.

    journal.bin     struct region_header, then struct journal_slot records of 192 bytes, oldest first
    journal.jsonl   what their numbers stand for (journal_context.py)

Hard rule: a record is acknowledged to core only after the file has it. A full ring stops new risk, never the journal. What
a death between writing and acknowledging leaves in both is written once: records carry their place in the ring.
"""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.config import Configuration
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.errors import GatewayError
from gateway.instance import Instance, handle_address
from gateway.ops.journal_context import JournalContext, path_beside

BATCH = 4096
MILLISECOND_NS = 1_000_000
HEADER_BYTES = layout.size("region_header")


class Journal:
    """The open journal of one run."""

    def __init__(self, instance: Instance, folder: Path, configuration: Configuration | None = None):
        """`configuration` begins a new run; without one the ring of an earlier run is written to its end."""
        self.path = folder / "journal.bin"
        self.records = 0  # written by this object
        self.observers: list[Callable[[np.ndarray], None]] = []  # see every batch once the file has it
        self._reader: Any = instance.reader("core_journal")
        self._batch = np.zeros(BATCH * limits.JOURNAL_SLOT_BYTES, dtype=np.uint8)
        self._sync_ns = configuration.journal.sync_ms * MILLISECOND_NS if configuration is not None else 0
        self._synced_ns = self._unsynced = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = _open(self.path)
            self._context = JournalContext(self.path, instance)
            self._before = (os.fstat(self._file).st_size - HEADER_BYTES) // limits.JOURNAL_SLOT_BYTES
            if configuration is not None:
                self._context.begin(self._before, configuration)
        except OSError as problem:
            raise GatewayError(f"journal {self.path}: {problem.strerror}; choose another [journal] folder") from problem
        self._written = _written_of(self.path, instance)

    @property
    def is_open(self) -> bool:
        """False once closed."""
        return self._file >= 0

    def drain(self, now_ns: int) -> int:
        """Writes everything that waits; returns the records written. Synced to the disk as [journal] sync_ms says."""
        written = 0
        while (found := ring.drain(handle_address(self._reader), address_of(self._batch), BATCH)) > 0:
            records = self._batch[: found * limits.JOURNAL_SLOT_BYTES].view(layout.dtype("journal_slot"))
            records = records[records["sequence"] > self._written]
            self._write(records, now_ns)
            ring.acknowledge_drained(handle_address(self._reader))
            written += len(records)
            if len(records):
                self._show(records)
        if self._unsynced and now_ns - self._synced_ns >= self._sync_ns:
            self._sync()
            self._synced_ns = now_ns
        return written

    def _write(self, records: np.ndarray, now_ns: int) -> None:
        try:
            self._context.note(self._before + self.records, records, now_ns)
            _write_all(self._file, records)
        except OSError as problem:
            raise GatewayError(f"journal {self.path}: {problem.strerror}; nothing trades without a journal") from problem
        self.records += len(records)
        self._unsynced += len(records)

    def _show(self, records: np.ndarray) -> None:
        records.flags.writeable = False
        for observer in self.observers:
            observer(records)

    def _sync(self) -> None:
        self._context.sync()
        os.fdatasync(self._file)
        self._unsynced = 0

    def close(self) -> None:
        """Syncs and closes; a second call does nothing."""
        if self._file >= 0:
            self._sync()
            self._context.close()
            os.close(self._file)
            self._file = -1


def _open(path: Path) -> int:
    """The file, open behind its last whole record; one of another layout is put aside, never written on."""
    if path.exists() and path.stat().st_size > 0:
        with path.open("rb") as old:
            header = old.read(HEADER_BYTES)
        if _problem_of(header):
            _put_aside(path)
    else:
        path_beside(path).unlink(missing_ok=True)  # it counts records that are gone
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    size_bytes = os.fstat(file).st_size
    if size_bytes == 0:
        os.write(file, _header())
    else:
        os.ftruncate(file, size_bytes - (size_bytes - HEADER_BYTES) % limits.JOURNAL_SLOT_BYTES)
    return file


def _header() -> bytes:
    header = np.zeros(1, dtype=layout.dtype("region_header"))
    header["magic"], header["version"], header["layout_hash"] = layout.MAGIC, layout.VERSION, layout.LAYOUT_HASH
    header["ready"] = 1
    return header.tobytes()


def _write_all(file: int, data: np.ndarray) -> None:
    view = memoryview(data.view(np.uint8).data)
    while view:
        view = view[os.write(file, view) :]


def _written_of(path: Path, instance: Instance) -> int:
    """The place in the ring of the last record of the file, if the ring still shows that very record; else 0."""
    last = read(path)[-1:]
    slots = instance.rings["core_journal"].view("journal_slot", layout.size("ring_header"), limits.JOURNAL_RING_DEPTH)
    if not len(last):
        return 0
    sequence = int(last[0]["sequence"])
    same = slots[(sequence - 1) % limits.JOURNAL_RING_DEPTH].tobytes() == last[0].tobytes()
    return sequence if same else 0


def read(path: Path) -> np.ndarray:
    """The records of a journal file, an array of struct journal_slot over the file; a torn last record is left out.

    Works while control goes on writing: what is written later is not in the array. Raises GatewayError.
    """
    try:
        with path.open("rb") as file:
            problem = _problem_of(file.read(HEADER_BYTES))
            whole = (os.fstat(file.fileno()).st_size - HEADER_BYTES) // limits.JOURNAL_SLOT_BYTES
            if problem:
                raise GatewayError(f"journal {path}: {problem}")
            if whole == 0:
                return np.zeros(0, dtype=layout.dtype("journal_slot"))
            return np.memmap(file, layout.dtype("journal_slot"), "r", HEADER_BYTES, (whole,))
    except OSError as cause:
        raise GatewayError(f"journal {path}: {cause.strerror}") from cause


def _problem_of(header: bytes) -> str:
    """Why these first bytes begin no journal of this build; "" when they do."""
    if len(header) < HEADER_BYTES:
        return "shorter than its header"
    row = np.frombuffer(header, dtype=layout.dtype("region_header"))[0]
    same = row["magic"] == layout.MAGIC and row["layout_hash"] == layout.LAYOUT_HASH
    return "" if same else "written by a build with another layout"


def _put_aside(path: Path) -> None:
    """The file and its context, under the next free number."""
    other = next(name for name in (path.with_name(f"journal-{number}.bin") for number in count(1)) if not name.exists())
    path.rename(other)
    if path_beside(path).exists():
        path_beside(path).rename(path_beside(other))
