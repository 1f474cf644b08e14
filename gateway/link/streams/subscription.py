"""The subscriber's side of market data and snapshots, sans I/O: messages of both channels in, rows in one total order out.

    channel 2  mark │ 7 8 │ 11 │ 14 …  ──┐
                                         ├─ held until its turn ─► 7 8 9 10 11 12 13 14 ─► Join ─► rows, each once
    channel 3  mark │ 9 10 │ 12 13 │ …  ──┘

In the middle of a scan every record of the ring counts, so the next one is the one whose sequence follows; live, the scans
of others are missing, and `previous` of a batch says that nothing live is. What is held is not yet consumed, so that the
channel's credit bounds it. Hard rule: a row comes out once and in order, or the subscription says why it cannot go on.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from gateway import limits
from gateway.link.streams import batch as batches
from gateway.link.streams import records, stream_request
from gateway.link.streams.batch import Batch
from gateway.link.streams.cursor import Cursor
from gateway.link.streams.join import Join, Phase, Reading
from gateway.link.streams.stream_request import CHANNELS, MARKET_DATA, SNAPSHOTS, Begin

LIVE, SCANS = CHANNELS[MARKET_DATA], CHANNELS[SNAPSHOTS]
OF_READING = {Reading.JOINED: (LIVE, SCANS), Reading.LIVE: (LIVE,), Reading.SCAN: (SCANS,)}
Consumed = Callable[[int, int], None]


class Subscription:
    """Reads one source. `next_sequence` is the first record not yet had; `failed` is a reason word, '' while all is well."""

    def __init__(self, consumed: Consumed, reading: Reading = Reading.JOINED, cursor: Cursor | None = None):
        self.reading, self.channels = reading, OF_READING[reading]
        self._consumed = consumed
        phase = None if cursor is None else (Phase.LIVE if cursor.synchronised else Phase.SYNCHRONISING)
        self.join = Join(reading, phase)
        self.source: tuple[int, bytes] | None = None if cursor is None else (cursor.node, cursor.boot_id)
        self.next_sequence = 0 if cursor is None else cursor.sequence
        self.failed = ""
        self.held_bytes = self.held_bytes_max = 0
        self.counters = dict.fromkeys(("batches", "rows", "duplicates", "abandoned", "passed", "begins", "resumes"), 0)
        self._dense = cursor is not None and not cursor.synchronised
        self._mark: tuple[int, int] = (0, 0)  # request and generation of the newest mark
        self._marks: dict[int, tuple[int, int]] = dict.fromkeys(self.channels, (0, 0))  # by channel
        self._held: dict[int, deque[tuple[Batch, int]]] = {channel: deque() for channel in self.channels}

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on after a loss; None while there is nothing to go on from."""
        if self.source is None or self.join.phase in (Phase.WAITING, Phase.COMPLETE):
            return None
        return Cursor(*self.source, self.next_sequence, self.join.phase is Phase.LIVE)

    def expect(self, request_id: int) -> None:
        """A request was made: what comes before its mark is of the past."""
        self.failed = ""
        self._mark = max(self._mark, (request_id, 0))
        self._drop_held()

    def abandon(self) -> None:
        """The source's process is another one: nothing of the one before comes any more."""
        self._drop_held()

    def on_delivered(self, message: Any) -> list[np.ndarray]:
        """A message of one of its channels: the rows that are to be applied now, in order; often none, or several."""
        channel, size_bytes = message.channel, len(message.body)
        if message.schema != records.SCHEMA_LINK:
            self._consumed(channel, size_bytes)
            return self._on_mark(channel, message.body)
        if self.failed or self._marks[channel] != self._mark:
            self.counters["abandoned"] += 1
            self._consumed(channel, size_bytes)
            return []
        try:
            batch = batches.decode(message.body, channel == SCANS, self.reading is Reading.SCAN)
        except ValueError as problem:
            self._consumed(channel, size_bytes)
            return self._fail(str(problem))
        self.counters["batches"] += 1
        self._held[channel].append((batch, size_bytes))
        self.held_bytes += size_bytes
        return self._advance()

    def lose(self) -> list[np.ndarray]:
        """The reader's books are wrong from here: what its own LOST record says, once."""
        rows = self.join.take(records.own_word(records.LOST))
        self._dense = False
        return [rows] if len(rows) else []

    def _on_mark(self, channel: int, body: bytes) -> list[np.ndarray]:
        """A mark: what follows in this channel belongs to it. One of another's request was sent to a process before us."""
        try:
            mark = stream_request.decode(body)
        except ValueError as problem:
            return self._fail(str(problem))
        if not isinstance(mark, Begin):
            return self._fail("MARK")
        key = (mark.begin, mark.generation)
        self._marks[channel] = key
        if mark.begin != self._mark[0] or key <= self._mark:
            return []
        self._mark = key
        self._drop_held()
        return self._resume(mark) if mark.resumed else self._begin(mark)

    def _resume(self, mark: Begin) -> list[np.ndarray]:
        """The source goes on where we stand."""
        self.counters["resumes"] += 1
        if self.source != (mark.node, mark.boot_id) or mark.sequence != self.next_sequence:
            return self._fail("CURSOR")
        return []

    def _begin(self, mark: Begin) -> list[np.ndarray]:
        """The source begins at a scan, or with what comes next; what we had is wrong or incomplete from here."""
        self.counters["begins"] += 1
        had = self.source is not None
        rows = self.lose() if had or self.reading is not Reading.LIVE else []
        self.source, self.next_sequence = (mark.node, mark.boot_id), mark.sequence
        self._dense = self.reading is not Reading.LIVE
        return rows

    def _advance(self) -> list[np.ndarray]:
        """Everything whose turn it is."""
        found: list[np.ndarray] = []
        while not self.failed and (channel := self._turn()) is not None:
            batch, size_bytes = self._held[channel].popleft()
            self.held_bytes -= size_bytes
            self._consumed(channel, size_bytes)
            rows = self._take(channel, batch)
            if len(rows):
                self.counters["rows"] += len(rows)
                found.append(rows)
        self.held_bytes_max = max(self.held_bytes_max, self.held_bytes)
        if self.held_bytes > limits.LINK_HELD_BYTES_MAX:
            self._fail("HELD")
        return found

    def _turn(self) -> int | None:
        """The channel whose first batch is next, None: wait. Two that both come later mean that records are missing."""
        late = 0
        for channel in self.channels:
            if not self._held[channel]:
                continue
            batch = self._held[channel][0][0]
            if batch.first <= self.next_sequence or (not self._dense and self._follows(channel, batch)):
                return channel
            late += 1
        if late == len(self.channels) or (late and not self._dense):
            self._fail("GAP")
        return None

    def _follows(self, channel: int, batch: Batch) -> bool:
        """Live: whether no live record is missing before it. A scan of somebody else is not for us."""
        return channel == SCANS or batch.previous < self.next_sequence

    def _take(self, channel: int, batch: Batch) -> np.ndarray:
        """The rows of a batch that are new and to be applied."""
        if channel == SCANS and not self._dense:
            self.counters["passed"] += len(batch.rows)
            return batch.rows[:0]
        fresh = batch.behind(self.next_sequence)
        self.counters["duplicates"] += len(batch.rows) - len(fresh.rows)
        if len(fresh.rows) == 0:
            return fresh.rows
        self.next_sequence = batch.end
        losses = self.join.losses
        rows = self.join.take(fresh.rows)
        if self.join.phase in (Phase.LIVE, Phase.COMPLETE) or self.join.losses != losses:
            self._dense = False
        self.counters["passed"] += len(fresh.rows) - len(rows)
        return rows

    def _fail(self, reason: str) -> list[np.ndarray]:
        self.failed = reason
        self._drop_held()
        return []

    def _drop_held(self) -> None:
        """What is held belongs to what was; its credit goes back."""
        for channel, held in self._held.items():
            for _, size_bytes in held:
                self.counters["abandoned"] += 1
                self._consumed(channel, size_bytes)
            held.clear()
        self.held_bytes = 0
