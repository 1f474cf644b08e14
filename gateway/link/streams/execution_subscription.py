"""The subscriber's side of executions, sans I/O: numbered rows, each once, and told when some are gone for good.

    channel 1   mark │ 1 2 3 │ 4 │ 5 6 …        `next_sequence` is the first one not yet had

Hard rule: what was had does not come again, and a number that is left out makes it ask again from its cursor (`failed`).
"""

from typing import Any

import numpy as np

from gateway.link.streams import records, stream_request
from gateway.link.streams.cursor import Cursor
from gateway.link.streams.stream_request import Begin

NO_ROWS = np.zeros(0, records.EXECUTION)


class ExecutionSubscription:
    """Reads the executions of one source."""

    def __init__(self, cursor: Cursor | None = None):
        self.source: tuple[int, bytes] | None = None if cursor is None else (cursor.node, cursor.boot_id)
        self.next_sequence = 0 if cursor is None else cursor.sequence
        self.failed = ""
        self.lost = 0  # numbers that the source did not keep
        self.counters = dict.fromkeys(("rows", "duplicates", "abandoned", "begins", "resumes"), 0)
        self._mark: tuple[int, int] = (0, 0)
        self._current = False  # the channel's own mark is the newest one

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on after a loss."""
        return None if self.source is None else Cursor(*self.source, self.next_sequence)

    def expect(self, request_id: int) -> None:
        """A request was made: what comes before its mark is of the past."""
        self.failed, self._current = "", False
        self._mark = max(self._mark, (request_id, 0))

    def on_delivered(self, message: Any) -> np.ndarray:
        """A message of channel 1: the executions in it that are new."""
        if message.schema != records.SCHEMA_EXECUTIONS:
            return self._on_mark(message.body)
        if self.failed or not self._current:
            self.counters["abandoned"] += 1
            return NO_ROWS
        rows = self._rows(message.body)
        if not len(rows):
            return self._fail("LENGTH")
        first, end = int(rows[0]["sequence"]), int(rows[-1]["sequence"]) + 1
        if end - first != len(rows) or np.any(np.diff(rows["sequence"].astype(np.int64)) != 1):
            return self._fail("SEQUENCE")
        if first > self.next_sequence:
            return self._fail("GAP")
        fresh = rows[max(self.next_sequence - first, 0) :]
        self.counters["duplicates"] += len(rows) - len(fresh)
        self.counters["rows"] += len(fresh)
        self.next_sequence = max(self.next_sequence, end)
        return fresh

    def _rows(self, body: bytes) -> np.ndarray:
        """Whole rows, or none."""
        whole = len(body) % records.EXECUTION.itemsize == 0
        return np.frombuffer(body, records.EXECUTION) if whole else NO_ROWS

    def _on_mark(self, body: bytes) -> np.ndarray:
        try:
            mark = stream_request.decode(body)
        except ValueError as problem:
            return self._fail(str(problem))
        if not isinstance(mark, Begin):
            return self._fail("MARK")
        key = (mark.begin, mark.generation)
        if mark.begin != self._mark[0] or key <= self._mark:  # of an older request, or of a process before us
            self._current = False
            return NO_ROWS
        self._mark, self._current = key, True
        same = self.source == (mark.node, mark.boot_id)
        if mark.resumed and (not same or mark.sequence != self.next_sequence):
            return self._fail("CURSOR")
        self.counters["resumes" if mark.resumed else "begins"] += 1
        if not mark.resumed:
            self._begin(mark, same)
        return NO_ROWS

    def _begin(self, mark: Begin, same: bool) -> None:
        """It begins at the oldest one that is kept: what lies between is lost, what was had does not come again."""
        if not same:
            self.source, self.next_sequence = (mark.node, mark.boot_id), 1
        if mark.sequence > self.next_sequence:
            self.lost += mark.sequence - self.next_sequence
            self.next_sequence = mark.sequence

    def _fail(self, reason: str) -> np.ndarray:
        self.failed = reason
        return NO_ROWS
