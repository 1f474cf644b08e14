"""The records of the regional link as numpy rows: slots of core_link and link_core, executions, quotes, and their kinds.

      core_link ─ RecordReader ─► batch ─ is_live / is_scan ─► streams …… ─► RecordWriter ─ link_core

A batch is a one-dimensional array of struct link_slot; those that say it otherwise are seen through `books` and `listings`
of the same memory. Contract and order: native/layout/link.h. Hard rule: a batch is a copy, never the ring itself.
"""

from typing import Any

import numpy as np

from gateway.core.memory import address_of
from gateway.core.ring import acknowledge_drained, drain, put_many
from gateway.instance import handle_address
from gateway.layout import dtype, names, size, value
from gateway.native import ffi, lib

SCHEMA_LINK, SCHEMA_EXECUTIONS, SCHEMA_QUOTES = 1, 2, 3  # numbers of the codec

SLOT, BOOK, LISTING = dtype("link_slot"), dtype("link_book"), dtype("link_listing")
EXECUTION, QUOTE = dtype("link_execution"), dtype("link_quote")
SLOT_BYTES, SEQUENCE_BYTES = size("link_slot"), 8
SLOT_WORDS = SLOT_BYTES // SEQUENCE_BYTES
HEAD_BYTES = 64  # in front of what `size` counts

EVENT, RUN, LOST = value("LINK_EVENT"), value("LINK_RUN"), value("LINK_LOST")
SCAN_BEGIN, SCAN_END = value("LINK_SCAN_BEGIN"), value("LINK_SCAN_END")
LISTING_KIND, BOOK_KIND, SETTLED = value("LINK_LISTING"), value("LINK_BOOK"), value("LINK_SETTLED")
ORDER, LEVEL, CHANNEL = value("LINK_ORDER"), value("LINK_LEVEL"), value("LINK_CHANNEL")
DOWN, UP = value("LINK_DOWN"), value("LINK_UP")
UNSCANNED, QUIET, LIVE = value("LINK_UNSCANNED"), value("LINK_QUIET"), value("LINK_LIVE")
JOINING = value("LINK_JOINING")
KINDS = names("link_kind", "LINK_")
SCHEMAS = {SCHEMA_LINK: SLOT, SCHEMA_EXECUTIONS: EXECUTION, SCHEMA_QUOTES: QUOTE}


def is_scan(batch: np.ndarray) -> np.ndarray:
    """Which rows belong to a scan (stream `snapshots`); the others are live (stream `market_data`)."""
    kinds: np.ndarray = batch["kind"].copy()  # side by side: what follows takes a tenth of the time
    return (kinds >= SCAN_BEGIN) & (kinds <= SCAN_END) & (batch["flags"] & LIVE == 0)


def is_live(batch: np.ndarray) -> np.ndarray:
    """Which rows are live: events, runs, losses, instruments that came."""
    return ~is_scan(batch)


def books(batch: np.ndarray) -> np.ndarray:
    """The same rows as struct link_book; of use where the kind is BOOK or SETTLED. The batch must be contiguous."""
    return batch.view(BOOK)


def listings(batch: np.ndarray) -> np.ndarray:
    """The same rows as struct link_listing; of use where the kind is LISTING. The batch must be contiguous."""
    return batch.view(LISTING)


def rows(count: int) -> np.ndarray:
    """Empty slots, their size words set."""
    batch = np.zeros(count, SLOT)
    batch["size"] = SLOT_BYTES - HEAD_BYTES
    return batch


def copied(batch: np.ndarray) -> np.ndarray:
    """Rows that lie side by side, as rows of one's own; as words, since numpy copies structs one by one."""
    return batch.view(np.uint64).copy().view(SLOT)


def without_sequences(batch: np.ndarray) -> np.ndarray:
    """The rows as bytes without their sequence words, a copy: `count` × 120, for the codec (SCHEMA_LINK)."""
    words = np.ascontiguousarray(batch).view(np.uint64).reshape(len(batch), SLOT_WORDS)
    return words[:, 1:].copy().view(np.uint8)


def with_sequences(body: bytes | bytearray | memoryview | np.ndarray, first_sequence: int) -> np.ndarray:
    """The opposite: rows numbered from `first_sequence` on. Raises ValueError for a body that is no whole number of rows."""
    packed = np.frombuffer(body, np.uint8)
    width = SLOT_BYTES - SEQUENCE_BYTES
    if len(packed) % width:
        raise ValueError(f"{len(packed)} bytes are no whole number of records of {width}")
    count = len(packed) // width
    words = np.empty((count, SLOT_WORDS), np.uint64)
    words[:, 0] = np.arange(first_sequence, first_sequence + count, dtype=np.uint64)
    words[:, 1:] = packed.view(np.uint64).reshape(count, SLOT_WORDS - 1)
    return words.reshape(-1).view(SLOT)


def numbered_runs(batch: np.ndarray) -> list[np.ndarray]:
    """A batch in pieces whose sequences follow one another: what a batch on the wire may hold."""
    if len(batch) == 0:
        return []
    breaks = np.flatnonzero(np.diff(batch["sequence"].astype(np.int64)) != 1) + 1
    return np.split(batch, breaks)


class RecordReader:
    """Takes records out of a ring: as its one reliable reader (core_link in the process link), or as an observer.

    An observer may be too slow; `missed` counts what it never saw, and its next batch begins behind that.
    """

    def __init__(self, handle: Any, rows_max: int):
        self._handle = handle  # struct ring_reader *
        self._address = handle_address(handle)
        self._room = np.zeros(rows_max, SLOT)
        self._reliable = bool(handle.reliable)

    def take(self) -> np.ndarray:
        """A copy of the next records, at most `rows_max`, perhaps none. A reliable reader's slots are not given back yet."""
        if self._reliable:
            count = drain(self._address, address_of(self._room), len(self._room))
        else:
            room = ffi.cast("void *", address_of(self._room))
            count = max(0, lib.ring_observe_many(self._handle, room, SLOT_BYTES, len(self._room)))
        return copied(self._room[:count])

    @property
    def missed(self) -> int:
        """Records that an observer never saw."""
        return int(self._handle.missed)

    def acknowledge(self) -> None:
        """What was taken is safe: its slots belong to core again."""
        if self._reliable:
            acknowledge_drained(self._address)

    @property
    def position(self) -> int:
        """How many records of this ring were taken: the sequence of the last one."""
        return int(self._handle.position)


class RecordWriter:
    """Puts records into link_core, in order; what finds no room is the caller's to offer again."""

    def __init__(self, handle: Any):
        self._address = handle_address(handle)
        self._keep = handle

    def put(self, batch: np.ndarray) -> int:
        """How many of the rows went in. Each row's `sequence` becomes its `source_sequence`; 0 stays 0 (the link's own)."""
        own = copied(np.ascontiguousarray(batch))
        own["source_sequence"] = own["sequence"]
        return int(put_many(self._address, address_of(own), SLOT_BYTES, len(own)))


def own_word(kind: int) -> np.ndarray:
    """One record that the link itself says: DOWN, UP, or LOST (the source's numbers begin anew)."""
    batch = rows(1)
    batch["kind"] = kind
    return batch
