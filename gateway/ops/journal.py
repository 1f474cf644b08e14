"""Writes what core decided and what the venue reported to an append-only file: the reliable reader of core_journal.

    journal.bin    struct region_header, then struct journal_slot records of 128 bytes, oldest first

Hard rule: a record is acknowledged to core only after the file has it. A full ring stops new risk, never the journal.
"""

import os
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


class Journal:
    """The open journal of one run."""

    def __init__(self, instance: Instance, folder: Path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / "journal.bin"
        self.records = 0
        self._reader: Any = instance.reader("core_journal")
        self._batch = np.zeros(BATCH * limits.JOURNAL_SLOT_BYTES, dtype=np.uint8)
        self._synced_ns = 0
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            if os.fstat(self._file).st_size == 0:
                os.write(self._file, _header())
        except OSError as problem:
            raise GatewayError(f"journal {self.path}: {problem.strerror}; choose another [journal] folder") from problem

    @property
    def is_open(self) -> bool:
        """False once closed."""
        return self._file >= 0

    def drain(self, now_ns: int) -> int:
        """Writes everything that waits; returns the records written. Synced to the disk once a second."""
        written = 0
        while (count := ring.drain(handle_address(self._reader), address_of(self._batch), BATCH)) > 0:
            _write_all(self._file, self._batch[: count * limits.JOURNAL_SLOT_BYTES])
            ring.acknowledge_drained(handle_address(self._reader))
            written += count
        self.records += written
        if now_ns - self._synced_ns > SYNC_INTERVAL_NS:
            os.fdatasync(self._file)
            self._synced_ns = now_ns
        return written

    def close(self) -> None:
        """Syncs and closes; a second call does nothing."""
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = -1


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
    content = path.read_bytes()
    header_bytes, record_bytes = layout.size("region_header"), layout.size("journal_slot")
    if len(content) < header_bytes:
        raise GatewayError(f"journal {path}: shorter than its header")
    header = np.frombuffer(content[:header_bytes], dtype=layout.dtype("region_header"))[0]
    if header["magic"] != layout.MAGIC or header["layout_hash"] != layout.LAYOUT_HASH:
        raise GatewayError(f"journal {path}: written by a build with another layout")
    whole = (len(content) - header_bytes) // record_bytes * record_bytes
    return np.frombuffer(content[header_bytes : header_bytes + whole], dtype=layout.dtype("journal_slot"))
