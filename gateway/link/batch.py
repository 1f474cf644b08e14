"""A batch of link records as it travels: sixteen bytes of head, then slots without their sequence words. SCHEMA_LINK

    [ first: u64 | previous: u64 ][ slot 0 without sequence: 120 ][ slot 1 ] …

`first` numbers slot 0, the others follow by 1. `previous` is the last live record of the source before `first`, whatever
scans stand in between: who is synchronised sees from it that nothing live is missing. Hard rule: a batch is of one stream
only.
"""

import struct
from typing import NamedTuple

import numpy as np

from gateway import limits
from gateway.link import records

HEAD = struct.Struct("<QQ")
ROW_BYTES = records.SLOT_BYTES - records.SEQUENCE_BYTES


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


def encode(batch: Batch) -> bytes:
    """The bytes of a batch that is not empty and whose sequences follow one another."""
    return HEAD.pack(batch.first, batch.previous) + records.without_sequences(batch.rows).tobytes()


def decode(body: bytes, scan: bool, mixed: bool = False) -> Batch:
    """The batch of a body of stream snapshots (`scan`) or market_data; `mixed`: either. Raises ValueError(reason)."""
    count, rest = divmod(len(body) - HEAD.size, ROW_BYTES)
    if rest or not 0 < count <= limits.LINK_BATCH_RECORDS_MAX:
        raise ValueError("LENGTH")
    first, previous = HEAD.unpack_from(body)
    if not 0 <= previous < first or first + count >= 1 << 63:
        raise ValueError("SEQUENCE")
    rows = records.with_sequences(memoryview(body)[HEAD.size :], first)
    kinds = rows["kind"]
    if np.any((kinds == 0) | (kinds > records.SCAN_END)):
        raise ValueError("KIND")
    if np.any(records.is_scan(rows) != (bool(records.is_scan(rows[:1])[0]) if mixed else scan)):
        raise ValueError("STREAM")
    return Batch(previous, rows)


def cut(rows: np.ndarray, previous: int) -> tuple[list[Batch], int]:
    """Rows of a ring in batches of one stream each, in order, and the last live sequence behind them."""
    if len(rows) == 0:
        return [], previous
    scan = records.is_scan(rows)
    sequences = rows["sequence"].astype(np.int64)
    edges = np.flatnonzero((scan[1:] != scan[:-1]) | (np.diff(sequences) != 1)) + 1
    found = []
    for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True):
        for at in range(begin, end, limits.LINK_BATCH_RECORDS):
            batch = Batch(previous, rows[at : min(at + limits.LINK_BATCH_RECORDS, end)])
            found.append(batch)
            if not scan[begin]:
                previous = batch.end - 1
    return found, previous
