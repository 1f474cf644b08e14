"""The same records from a local ring and from a capture as a client gets them from the network: same rows, same cursors.

    ring core_link (observer) ─┐
    capture file ──────────────┼─► raw rows in ring order ─► Join ─► rows that a reader applies ─► Place: cursor
    network (client.py) ───────┘

Hard rule: which rows come out is decided by Join alone, and where one stands by Place alone, whatever they come from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gateway import limits
from gateway.errors import LinkError
from gateway.link.streams import records
from gateway.link.streams.cursor import Cursor, Place
from gateway.link.streams.join import Join, Phase, Reading
from gateway.link.streams.record_file import RecordFileReader
from gateway.link.streams.records import RecordReader
from gateway.link.streams.stream_reader import Item
from gateway.link.streams.stream_request import MARKET_DATA


class Following:
    """Raw rows of one source in; items out. `cursor` stands behind the last row given out."""

    def __init__(self, cursor: Cursor | None = None, reading: Reading = Reading.JOINED):
        phase = None if cursor is None else (Phase.LIVE if cursor.synchronised else Phase.SYNCHRONISING)
        self._join, self._from = Join(reading, phase), cursor
        self._place = Place(cursor, reading is not Reading.LIVE)
        self._source: tuple[int, bytes] | None = None if cursor is None else cursor[:2]
        self._next = 0 if cursor is None else cursor.sequence

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on; None while there is nothing to go on from."""
        return self._place.cursor

    def take(self, rows: np.ndarray, source: tuple[int, bytes]) -> list[Item]:
        """The next raw rows: those that are new and to be applied. What is missing between them is said by a LOST first."""
        items = []
        if self._source is not None and source != self._source:
            items += self._give(records.own_word(records.LOST), source)
            self._next = 0
        self._source = source
        for run in records.numbered_runs(rows):
            first = int(run[0]["sequence"])
            if self._next and first > self._next:
                items += self._give(records.own_word(records.LOST), source)
            fresh = run[max(self._next - first, 0) :]
            self._next = max(self._next, first + len(run))
            items += self._give(fresh, source)
        return items

    def _give(self, rows: np.ndarray, source: tuple[int, bytes]) -> list[Item]:
        kept = self._join.take(rows)
        self._place.take(kept, source)
        return [Item(MARKET_DATA, kept, (), 0, source)] if len(kept) else []


class RingFollower:
    """Follows core_link of an instance on this host, as an observer: core never waits for it, and what it misses it says."""

    def __init__(self, handle: Any, source: tuple[int, bytes], cursor: Cursor | None = None, join: bool = True):
        """`handle`: instance.reader("core_link", reliable=False). It begins at the oldest record that is there."""
        self._reader = RecordReader(handle, limits.LINK_RECORDS_PER_TURN)
        self._following = Following(cursor, Reading.JOINED if join else Reading.LIVE)
        self._source = source

    def poll(self) -> list[Item]:
        """What has come since the last call, perhaps nothing."""
        rows = self._reader.take()
        return self._following.take(rows, self._source) if len(rows) else []

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on."""
        return self._following.cursor


class FileFollower:
    """Iterates over a capture, from its first SCAN_BEGIN or from a cursor."""

    def __init__(self, path: Path, cursor: Cursor | None = None, join: bool = True):
        """Raises LinkError for a file that is no capture."""
        self._reader = RecordFileReader(path)
        self._cursor = cursor
        self._following = Following(cursor, Reading.JOINED if join else Reading.LIVE)

    def __iter__(self) -> Iterator[Item]:
        """Raises LinkError at damage, and for a cursor that the capture does not hold."""
        wanted = self._cursor
        for block in self._reader:
            if wanted is not None and block.source != wanted[:2]:
                continue
            if wanted is not None and int(block.rows[0]["sequence"]) > wanted.sequence:
                raise LinkError(f"{self._reader.path} does not hold record {wanted.sequence}; begin without a cursor")
            if wanted is None or int(block.rows[-1]["sequence"]) >= wanted.sequence:
                wanted = None
                yield from self._following.take(block.rows, block.source)
        if wanted is not None and wanted.sequence:
            raise LinkError(f"{self._reader.path} ends before {wanted}; begin without a cursor, or take a longer capture")

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on behind what was given out."""
        return self._following.cursor

    @property
    def torn_bytes(self) -> int:
        """Bytes of an unfinished tail, once the end was reached."""
        return self._reader.torn_bytes
