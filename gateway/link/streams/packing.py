"""Rows become retained entries: cut into batches of one stream, packed once, small enough for one frame each.

Between the source's records and what is retained of them. Hard rule: a batch is packed once, however many read it.
"""

from collections.abc import Callable

import numpy as np

from gateway import limits
from gateway.link.frames.wire import crc32
from gateway.link.streams import batch as batches
from gateway.link.streams import records
from gateway.link.streams.batch import Batch
from gateway.link.streams.retained import Entry

Pack = Callable[[int, bytes | memoryview], bytes]


class Packing:
    """Packs link records in their order; remembers the last live one."""

    def __init__(self, pack: Pack):
        self._pack = pack
        self.previous = 0
        self._most = limits.LINK_BATCH_RECORDS  # in one batch
        self.raw_bytes = self.packed_bytes = 0

    def entries(self, rows: np.ndarray) -> list[Entry]:
        """The entries of rows of a ring, in order."""
        found, self.previous = batches.cut(rows, self.previous, self._most)
        return [entry for batch in found for entry in self._entries_of(batch)]

    def _entries_of(self, batch: Batch) -> list[Entry]:
        """One entry, or those of its two halves while it is too large for a frame."""
        raw = batches.encode(batch)
        body = self._pack(records.SCHEMA_LINK, raw)
        scan = bool(records.is_scan(batch.rows[:1])[0])
        self._aim(len(batch.rows), len(body))
        if len(body) > limits.LINK_BATCH_BODY_BYTES and len(batch.rows) > 1:
            middle = len(batch.rows) // 2
            second = Batch(batch.previous if scan else batch.first + middle - 1, batch.rows[middle:])
            return self._entries_of(Batch(batch.previous, batch.rows[:middle])) + self._entries_of(second)
        self.raw_bytes += len(raw)
        self.packed_bytes += len(body)
        return [Entry(scan, batch.first, batch.end, records.SCHEMA_LINK, body, len(raw), crc32(raw))]

    def _aim(self, count: int, packed_bytes: int) -> None:
        """The next batch: what would have filled three quarters of a frame. What every frame costs beside its rows is most
        of the price of bulk; a body that does not fit is packed twice.
        """
        if count >= limits.LINK_BATCH_RECORDS_LEAST:
            aimed = limits.LINK_BATCH_BODY_BYTES * 3 * count // (4 * packed_bytes)
            self._most = min(max(aimed, limits.LINK_BATCH_RECORDS_LEAST), limits.LINK_BATCH_RECORDS_MOST)


def executions_entries(rows: np.ndarray, pack: Pack) -> list[Entry]:
    """The entries of executions whose sequences follow one another, however many: each fits one frame."""
    if len(rows) > limits.LINK_BATCH_RECORDS:
        pieces = range(0, len(rows), limits.LINK_BATCH_RECORDS)
        return [one for at in pieces for one in executions_entries(rows[at : at + limits.LINK_BATCH_RECORDS], pack)]
    raw = np.ascontiguousarray(rows).tobytes()
    body = pack(records.SCHEMA_EXECUTIONS, raw)
    if len(body) > limits.LINK_BATCH_BODY_BYTES and len(rows) > 1:
        middle = len(rows) // 2
        return executions_entries(rows[:middle], pack) + executions_entries(rows[middle:], pack)
    first = int(rows[0]["sequence"])
    return [Entry(False, first, first + len(rows), records.SCHEMA_EXECUTIONS, body, len(raw), crc32(raw))]
