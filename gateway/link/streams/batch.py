"""A batch of link records as it travels: slots without their sequence words, what numbers them in the first one. SCHEMA_LINK

    [ slot 0: … size = first − previous … source_sequence = first … ][ slot 1 ] …                120 bytes each

Both words say nothing in a source's own ring (always 64 and 0), so the batch stays a whole number of slots, as the codec
wants it. `first` numbers slot 0, the others follow by 1. `previous` is the last live record of the source before `first`,
whatever scans stand in between: who is synchronised sees from it that nothing live is missing. Hard rule: a batch is of one
stream only.
"""

import struct
from typing import NamedTuple

import numpy as np

from gateway import layout, limits
from gateway.link.streams import records

FIRST, GAP = struct.Struct("<Q"), struct.Struct("<I")
FIRST_AT = layout.offsets("link_slot").source_sequence - records.SEQUENCE_BYTES
GAP_AT = layout.offsets("link_slot").size - records.SEQUENCE_BYTES
GAP_MAX = (1 << 32) - 1
ROW_BYTES = records.SLOT_BYTES - records.SEQUENCE_BYTES
SIZE = records.SLOT_BYTES - records.HEAD_BYTES


class Batch(NamedTuple):
    """Records `first` … `end - 1`, all live or all of scans."""

    previous: int
    rows: np.ndarray

    @property
    def first(self) -> int:
        """The sequence of the first record."""
        return int(self.rows[0]["sequence"])

    @property
    def end(self) -> int:
        """One past the sequence of the last one."""
        return self.first + len(self.rows)

    def behind(self, sequence: int) -> "Batch":
        """What of it is not before `sequence`; perhaps nothing."""
        return Batch(self.previous, self.rows[max(sequence - self.first, 0) :])


def encode(batch: Batch) -> memoryview:
    """The bytes of a batch that is not empty and whose sequences follow one another."""
    body, first = records.without_sequences(batch.rows).reshape(-1).data, batch.first
    FIRST.pack_into(body, FIRST_AT, first)
    GAP.pack_into(body, GAP_AT, min(first - batch.previous, GAP_MAX))
    return body


def decode(body: bytes, scan: bool, mixed: bool | None = False) -> Batch:
    """The batch of a body of stream snapshots (`scan`) or market_data. Raises ValueError(reason).

    `mixed`: of either; None: of both in one batch, as a capture has it.
    """
    count, rest = divmod(len(body), ROW_BYTES)
    if rest or not 0 < count <= limits.LINK_BATCH_RECORDS_MAX:
        raise ValueError("LENGTH")
    (first,), (gap,) = FIRST.unpack_from(body, FIRST_AT), GAP.unpack_from(body, GAP_AT)
    if not 0 < gap <= first or first + count >= 1 << 63:
        raise ValueError("SEQUENCE")
    rows = records.with_sequences(body, first)
    rows["size"][0], rows["source_sequence"][0] = SIZE, 0
    kinds = rows["kind"].copy()
    if kinds.min() == 0 or kinds.max() > records.SCAN_END:
        raise ValueError("KIND")
    if mixed is not None:
        scans = records.is_scan(rows)
        if np.any(scans != (scans[0] if mixed else scan)):
            raise ValueError("STREAM")
    return Batch(first - gap, rows)


def cut(rows: np.ndarray, previous: int, most: int = limits.LINK_BATCH_RECORDS) -> tuple[list[Batch], int]:
    """Rows of a ring in batches of one stream and at most `most` rows each, in order; the last live sequence behind them."""
    if len(rows) == 0:
        return [], previous
    scan = records.is_scan(rows)
    sequences = rows["sequence"].astype(np.int64)
    edges = np.flatnonzero((scan[1:] != scan[:-1]) | (np.diff(sequences) != 1)) + 1
    found = []
    for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True):
        for at in range(begin, end, most):
            batch = Batch(previous, rows[at : min(at + most, end)])
            found.append(batch)
            if not scan[begin]:
                previous = batch.end - 1
    return found, previous
