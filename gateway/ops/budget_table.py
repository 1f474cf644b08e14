"""The table of request budgets that every process of the host shares: a small file, a row for each venue and address.

    header   magic, version, size of a row
    row      name, used_ns, ban_until_ns, granted and denied, CRC-32 of the rest

Owner: whoever comes first makes it. Writers: everybody, each with the file's lock. Hard rule: a table that is short, of
another version, whose row has another checksum, or whose lock nobody lets go of, is a TableFault, never a guess.
"""

import errno
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway import limits
from gateway.ops.durable_file import sync_folder

MAGIC = b"GWBUDGET"
HEADER = struct.Struct("<8sII48x")
ROW = struct.Struct(f"<{limits.BUDGET_NAME_BYTES}sqqqq24xI4x")
VERSION = 1
LOCK_SECONDS = 0.1  # whoever holds it longer is stopped, or dead to us
LOCK_POLL_SECONDS = 0.0005
assert HEADER.size == 64 and ROW.size == 128


class TableFault(Exception):
    """The table cannot be used; the message says why."""


@dataclass
class Row:
    """What the host knows of one venue from one address."""

    used_ns: int = 0
    ban_until_ns: int = 0
    granted: int = 0
    denied: int = 0


class BudgetTable:
    """The open table and one row of it."""

    def __init__(self, path: Path, name: str):
        """`name` says venue and address. Raises ValueError for one that does not fit."""
        self.path = path
        self.name = name.encode()
        if not 0 < len(self.name) <= limits.BUDGET_NAME_BYTES or b"\0" in self.name:
            raise ValueError(f"{name!r} does not fit into {limits.BUDGET_NAME_BYTES} bytes")
        self._file = -1
        self._offset = 0

    @contextmanager
    def row(self) -> Iterator[Row]:
        """The row, under the lock; what the body leaves in it is written. Raises TableFault."""
        try:
            self._open()
            with _locked(self._file):
                self._offset = self._offset or self._find()
                row = self._read(self._offset)
                before = Row(**row.__dict__)
                yield row
                if row != before:
                    self._write(row)
                if row.ban_until_ns != before.ban_until_ns:
                    os.fsync(self._file)
        except OSError as problem:
            self.close()
            raise TableFault(f"{self.path}: {problem.strerror}") from None
        except TableFault:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._offset = -1, 0

    def _open(self) -> None:
        if self._file >= 0 and os.fstat(self._file).st_nlink:
            return
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with _locked(self._file):
            if os.fstat(self._file).st_size == 0:
                rows = ROW.size * limits.BUDGET_ROWS_MAX
                os.pwrite(self._file, HEADER.pack(MAGIC, VERSION, ROW.size) + bytes(rows), 0)
                os.fsync(self._file)
                sync_folder(self.path.parent)

    def _find(self) -> int:
        """Offset of the row of this name, taken now if it is new."""
        header = os.pread(self._file, HEADER.size, 0)
        whole = HEADER.size + ROW.size * limits.BUDGET_ROWS_MAX
        if len(header) < HEADER.size or HEADER.unpack(header) != (MAGIC, VERSION, ROW.size):
            raise TableFault(f"{self.path} is no table of request budgets")
        if os.fstat(self._file).st_size != whole:
            raise TableFault(f"{self.path} has another length")
        for number in range(limits.BUDGET_ROWS_MAX):
            offset = HEADER.size + number * ROW.size
            data = os.pread(self._file, ROW.size, offset)
            if not any(data):
                self._offset = offset
                self._write(Row())
                return offset
            if ROW.unpack(data)[0].rstrip(b"\0") == self.name:
                return offset
        raise TableFault(f"{self.path} has no row left")

    def _read(self, offset: int) -> Row:
        data = os.pread(self._file, ROW.size, offset)
        if len(data) < ROW.size:
            raise TableFault(f"{self.path} has another length")
        name, *words, digest = ROW.unpack(data)
        row = Row(*words)
        if digest != zlib.crc32(data[:-8]) or name.rstrip(b"\0") != self.name or min(words) < 0:
            raise TableFault(f"{self.path}: the row of {self.name.decode()} is damaged")
        return row

    def _write(self, row: Row) -> None:
        words = (row.used_ns, row.ban_until_ns, row.granted, row.denied)
        data = ROW.pack(self.name, *words, 0)[:-8]
        whole = data + struct.pack("<I4x", zlib.crc32(data))
        if os.pwrite(self._file, whole, self._offset) != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def _locked(file: int) -> Iterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TableFault("the table of request budgets is held by a process that does not let go") from None
            time.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
