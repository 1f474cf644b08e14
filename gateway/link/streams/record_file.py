"""A capture of link records: what a source published, all of it in the order of its ring, in a file.

    [ magic: 8 ][ block ][ block ] …      block = [ kind u8, zero × 3 | body u32 | raw u32 | CRC-32 of all that u32 ][ body ]
    kind 1: node u16, 2 zeros, layouts u32, boot id 16: whose records follow, and how they are laid out (record_layouts.py)
    kind 2: a batch as on the wire (batch.py), packed

Hard rule: a block counts when it is whole and its CRC is right. One that ends the file early is a torn tail, which the
writer cuts off when it goes on; one in the middle is damage, and reading stops there with the place.
"""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gateway import limits
from gateway.errors import LinkError
from gateway.link.compression import codec
from gateway.link.frames.wire import crc32
from gateway.link.streams import batch as batches
from gateway.link.streams import records
from gateway.link.streams.record_layouts import layouts

MAGIC = b"GWLINK\x00\x01"
HEAD = struct.Struct("<B3xIII")
CHECKED = struct.Struct("<B3xII")
IDENTITY = struct.Struct("<H2xI16s")
SOURCE, ROWS = 1, 2
BODY_BYTES_MAX = limits.CODEC_RAW_BYTES_MAX + 1  # packed: never longer than raw and a byte


class Block(NamedTuple):
    """Rows of one source that follow one another."""

    source: tuple[int, bytes]
    rows: np.ndarray


class RecordFileWriter:
    """Appends to a capture; a torn tail of an earlier process is cut off first. A context manager."""

    def __init__(self, path: Path, pack: Callable[[int, bytes | memoryview], bytes] = codec.pack):
        """Raises LinkError for a file that is no capture, or is damaged before its tail."""
        self._pack = pack
        reader = RecordFileReader(path) if path.exists() and path.stat().st_size else None
        whole = sum(1 for _ in reader) if reader is not None else 0
        self._file = path.open("r+b" if reader is not None else "wb")
        self._source: tuple[int, bytes] | None = None
        self.blocks, self.torn_bytes = whole, 0
        if reader is not None:
            self.torn_bytes = reader.torn_bytes
            self._file.truncate(reader.end)
            self._file.seek(reader.end)
        if reader is None or reader.end == 0:
            self._file.write(MAGIC)

    def write(self, rows: np.ndarray, source: tuple[int, bytes]) -> None:
        """Rows of a source in their order."""
        if source != self._source and len(rows):
            self._block(SOURCE, IDENTITY.pack(source[0], layouts(), source[1]), IDENTITY.size)
            self._source = source
        for run in records.numbered_runs(rows[rows["sequence"] > 0]):  # 0: a word of the link, no record of the source
            for at in range(0, len(run), limits.LINK_BATCH_RECORDS_MAX):
                part = run[at : at + limits.LINK_BATCH_RECORDS_MAX]
                raw = batches.encode(batches.Batch(int(part[0]["sequence"]) - 1, part))
                self._block(ROWS, self._pack(records.SCHEMA_LINK, raw), len(raw))

    def flush(self) -> None:
        """What was written is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flushes, and closes."""
        if not self._file.closed:
            self.flush()
            self._file.close()

    def __enter__(self) -> "RecordFileWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _block(self, kind: int, body: bytes, raw_bytes: int) -> None:
        crc = crc32(body, crc32(CHECKED.pack(kind, len(body), raw_bytes)))
        self._file.write(HEAD.pack(kind, len(body), raw_bytes, crc) + body)
        self.blocks += 1


class RecordFileReader:
    """Iterates over the blocks of rows, once; then `torn_bytes` of a torn tail and `end` of what is whole are known."""

    def __init__(self, path: Path):
        """Raises LinkError for a file that is no capture."""
        self.path, self.torn_bytes, self.end = path, 0, len(MAGIC)
        try:
            self._file: Any = path.open("rb")
        except OSError as problem:
            raise LinkError(f"{path}: {problem.strerror}; name a capture of link records") from None
        self._size = path.stat().st_size
        magic = self._file.read(len(MAGIC))
        if magic != MAGIC[: len(magic)] or (len(magic) < len(MAGIC) and self._size >= len(MAGIC)):
            self._file.close()
            raise LinkError(f"{path} is no capture of link records; name another file")
        if len(magic) < len(MAGIC):
            self.torn_bytes, self.end = len(magic), 0

    def __iter__(self) -> Iterator[Block]:
        """Raises LinkError at damage, with its place."""
        source = (0, b"")
        with self._file:
            while self.end and (found := self._block()) is not None:
                kind, body, raw_bytes = found
                if kind == SOURCE:
                    source = self._identity(body)
                else:
                    rows = self._rows(body, raw_bytes)
                    self.end += HEAD.size + len(body)
                    yield Block(source, rows)
                    continue
                self.end += HEAD.size + len(body)

    def _block(self) -> tuple[int, bytes, int] | None:
        """The next whole block; None at the end, or at a torn tail."""
        left = self._size - self.end
        head = self._file.read(HEAD.size)
        self.torn_bytes = left
        if len(head) < HEAD.size:
            return None
        kind, size, raw_bytes, crc = HEAD.unpack(head)
        if size > BODY_BYTES_MAX:
            raise self._damage(f"a block of {size} bytes")  # nobody wrote that: no torn tail to be cut off
        if size > left - HEAD.size:
            return None
        body = self._file.read(size)
        whole = len(body) == size and crc32(body, crc32(CHECKED.pack(kind, size, raw_bytes))) == crc
        if not whole and HEAD.size + size == left:
            return None  # its last pages were never written
        if not whole or kind not in (SOURCE, ROWS) or (kind == SOURCE and size != IDENTITY.size):
            raise self._damage("a block's CRC is wrong" if not whole else f"a block of kind {kind}")
        self.torn_bytes = 0
        return kind, body, raw_bytes

    def _identity(self, body: bytes) -> tuple[int, bytes]:
        node, known, boot_id = IDENTITY.unpack(body)
        if known != layouts():
            raise LinkError(f"{self.path}: of a build that lays records out otherwise; read it with that build")
        return node, boot_id

    def _rows(self, body: bytes, raw_bytes: int) -> np.ndarray:
        try:
            return batches.decode(codec.unpack(records.SCHEMA_LINK, body, raw_bytes), False, None).rows
        except ValueError as problem:
            raise self._damage(str(problem)) from None

    def _damage(self, what: str) -> LinkError:
        return LinkError(f"{self.path}: damaged at byte {self.end}: {what}; read it up to there, or take another copy")
