"""Writes what core decided and what the venue reported to an append-only file: the reliable reader of core_journal.

    journal.bin    struct region_header, then struct journal_slot records of 192 bytes, oldest first

Hard rule: a record is acknowledged to core only after the file has it. A full ring stops new risk, never the journal.
"""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.errors import GatewayError
from gateway.instance import Instance, handle_address

BATCH = 4096
SYNC_INTERVAL_NS = 1_000_000_000
HEADER_BYTES = layout.size("region_header")


class Journal:
    """The open journal of one run."""

    def __init__(self, instance: Instance, folder: Path):
        self.path = folder / "journal.bin"
        self.records = 0
        self.observers: list[Callable[[np.ndarray], None]] = []  # see every batch of records once the file has it
        self._reader: Any = instance.reader("core_journal")
        self._batch = np.zeros(BATCH * limits.JOURNAL_SLOT_BYTES, dtype=np.uint8)
        self._synced_ns = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = _open(self.path)
        except OSError as problem:
            raise GatewayError(f"journal {self.path}: {problem.strerror}; choose another [journal] folder") from problem

    @property
    def is_open(self) -> bool:
        """False once closed."""
        return self._file >= 0

    def drain(self, now_ns: int) -> int:
        """Writes everything that waits; returns the records written. Synced to the disk once a second."""
        written = 0
        while (found := ring.drain(handle_address(self._reader), address_of(self._batch), BATCH)) > 0:
            batch = self._batch[: found * limits.JOURNAL_SLOT_BYTES]
            self._write(batch)
            ring.acknowledge_drained(handle_address(self._reader))
            self._show(batch)
            written += found
        self.records += written
        if now_ns - self._synced_ns > SYNC_INTERVAL_NS:
            os.fdatasync(self._file)
            self._synced_ns = now_ns
        return written

    def _write(self, data: np.ndarray) -> None:
        try:
            _write_all(self._file, data)
        except OSError as problem:
            raise GatewayError(f"journal {self.path}: {problem.strerror}; nothing trades without a journal") from problem

    def _show(self, batch: np.ndarray) -> None:
        records = batch.view(layout.dtype("journal_slot"))
        records.flags.writeable = False
        for observer in self.observers:
            observer(records)

    def close(self) -> None:
        """Syncs and closes; a second call does nothing."""
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = -1


def _open(path: Path) -> int:
    """The file, open behind its last whole record; one of another layout is put aside, never written on."""
    if path.exists() and path.stat().st_size > 0:
        with path.open("rb") as old:
            header = old.read(HEADER_BYTES)
        if _problem_of(header):
            path.rename(next(other for other in _other_names(path) if not other.exists()))
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
    view = memoryview(data.data)
    while view:
        view = view[os.write(file, view) :]


def read(path: Path) -> np.ndarray:
    """The records of a journal file, as an array of struct journal_slot; a torn last record is left out."""
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise GatewayError(f"journal {path}: {cause.strerror}") from cause
    problem = _problem_of(content[:HEADER_BYTES])
    if problem:
        raise GatewayError(f"journal {path}: {problem}")
    whole = (len(content) - HEADER_BYTES) // limits.JOURNAL_SLOT_BYTES * limits.JOURNAL_SLOT_BYTES
    return np.frombuffer(content[HEADER_BYTES : HEADER_BYTES + whole], dtype=layout.dtype("journal_slot"))


def _problem_of(header: bytes) -> str:
    """Why these first bytes begin no journal of this build; "" when they do."""
    if len(header) < HEADER_BYTES:
        return "shorter than its header"
    row = np.frombuffer(header, dtype=layout.dtype("region_header"))[0]
    same = row["magic"] == layout.MAGIC and row["layout_hash"] == layout.LAYOUT_HASH
    return "" if same else "written by a build with another layout"


def _other_names(path: Path) -> Iterator[Path]:
    return (path.with_name(f"journal-{number}.bin") for number in count(1))
