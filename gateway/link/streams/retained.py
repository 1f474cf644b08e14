"""What a source keeps of its stream so that a subscriber resumes by cursor: packed batches by sequence, bounded.

    publish ──► append │ oldest … newest │ ──► entry(number), for every subscriber at its own place
                       └─ evicted by size ┘

A batch is packed once and sent to everybody. Hard rule: entries stand in the order of their sequences, numbered without a
hole; who asks for one that is gone is told so and never gets the next one instead.
"""

from bisect import bisect_right
from collections import deque
from typing import NamedTuple


class Entry(NamedTuple):
    """One packed batch: records `first` … `end - 1` of one stream."""

    scan: bool  # of the stream snapshots; else of market_data
    first: int  # ring sequence of its first record
    end: int  # one past that of its last one
    schema: int
    body: bytes  # as it goes into a frame
    raw_bytes: int  # before it was packed
    body_crc: int  # of the raw bytes


class Retained:
    """A store of at most `bytes_max` bytes of bodies; the newest entry always stays."""

    def __init__(self, bytes_max: int, next_sequence: int = 1):
        self.bytes_max, self.bytes = bytes_max, 0
        self.next_sequence = next_sequence  # of the next record
        self.evicted = 0  # entries that are gone: the number of the oldest one that is left
        self._entries: deque[Entry] = deque()

    @property
    def end(self) -> int:
        """The number of the next entry."""
        return self.evicted + len(self._entries)

    def append(self, entry: Entry) -> None:
        """The newest batch. Its sequences follow those of the last one (ValueError: our own bug)."""
        if entry.end <= entry.first or (self._entries and entry.first < self.next_sequence):
            raise ValueError(f"records {entry.first} to {entry.end} do not follow")
        self._entries.append(entry)
        self.next_sequence = entry.end
        self.bytes += len(entry.body)
        while self.bytes > self.bytes_max and len(self._entries) > 1:
            self.bytes -= len(self._entries.popleft().body)
            self.evicted += 1

    def entry(self, number: int) -> Entry | None:
        """The entry of this number, None when it is gone or not there yet."""
        index = number - self.evicted
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def number_of(self, sequence: int) -> int | None:
        """The entry where a reader goes on whose next record is `sequence`; None: it is gone, or nobody has published it.

        One past the newest record is `end`: the reader has everything.
        """
        if sequence == self.next_sequence:
            return self.end
        if not self._entries or not self._entries[0].first <= sequence < self.next_sequence:
            return None
        return self.evicted + bisect_right(self._entries, sequence, key=lambda entry: entry.end)

    def clear(self) -> None:
        """A new life of the source: nothing of the old one is kept, its records begin at 1, numbers go on."""
        self.evicted += len(self._entries)
        self.bytes, self.next_sequence = 0, 1
        self._entries.clear()
