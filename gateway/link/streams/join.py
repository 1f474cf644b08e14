"""Follows records in their one total order: which of them a reader applies, and when it is synchronised.

                         ┌──────────────── LOST ────────────────┐
                         ▼                                      │
    WAITING ── SCAN_BEGIN ──► SYNCHRONISING ── SCAN_END ──► LIVE┘
    drops all                 scan and live records; until  live records; scans of others
                              a book is SETTLED, its        and JOINING ones dropped,
                              UNSCANNED ones dropped,       UNSCANNED ones applied
                              from then on its JOINING ones

The same for a local ring, a capture file and the network, so that all three give the same records (native/layout/link.h).
Hard rule: a record's fate depends on the records before it alone, never on how they were cut into batches.
"""

from enum import Enum

import numpy as np

from gateway.link.streams import records


class Reading(Enum):
    """What a reader wants: books kept whole, live records as they come, or one whole scan."""

    JOINED = "joined"
    LIVE = "live"
    SCAN = "scan"


class Phase(Enum):
    """How far it is."""

    WAITING = "waiting"
    SYNCHRONISING = "synchronising"
    LIVE = "live"
    COMPLETE = "complete"  # of Reading.SCAN


class Join:
    """The fate of each record, by all records before it."""

    def __init__(self, reading: Reading = Reading.JOINED, phase: Phase | None = None):
        self.reading = reading
        self.phase = phase or (Phase.LIVE if reading is Reading.LIVE else Phase.WAITING)
        self.scans = 0  # followed to their end
        self.losses = 0
        self._settled: set[int] = set()  # instruments whose book is whole in the scan that is followed

    @property
    def applies_all(self) -> bool:
        """Whether it is in the middle of a scan, where every record of the ring counts."""
        return self.phase is Phase.SYNCHRONISING

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Those of the next rows, in their order, that are to be applied."""
        kinds = rows["kind"].copy()
        marks = np.flatnonzero((kinds == records.LOST) | (kinds == records.SCAN_BEGIN) | (kinds == records.SCAN_END))
        if len(marks) == 0 and self.phase is Phase.LIVE:
            keep = self._live(rows)
            return rows if keep.all() else rows[keep]
        keep = np.zeros(len(rows), bool)
        begin = 0
        for mark in [*marks.tolist(), len(rows)]:
            self._between(rows[begin:mark], keep[begin:mark])
            if mark < len(rows):
                keep[mark] = self._mark(int(kinds[mark]))
            begin = mark + 1
        return rows[keep]

    def _between(self, rows: np.ndarray, keep: np.ndarray) -> None:
        """Rows without a mark among them."""
        if self.phase is Phase.SYNCHRONISING:
            keep[:] = True
            self._unfinished(rows, keep)
        elif self.phase is Phase.LIVE:
            keep[:] = self._live(rows)

    def _live(self, rows: np.ndarray) -> np.ndarray:
        """Which rows a reader applies whose books are whole."""
        found: np.ndarray = records.is_live(rows) & (rows["flags"] & records.JOINING == 0)
        return found

    def _unfinished(self, rows: np.ndarray, keep: np.ndarray) -> None:
        """Rows on the line between what the scan has told and what it has not: few, so one by one."""
        kinds, flags = rows["kind"], rows["flags"]
        settled = kinds == records.SETTLED
        for index in np.flatnonzero(settled | (flags & (records.UNSCANNED | records.JOINING) != 0)).tolist():
            if settled[index]:
                self._settled.add(int(records.books(rows[index : index + 1])[0]["instrument"]))
            else:
                whole = int(rows[index]["event"]["instrument"]) in self._settled
                keep[index] = whole if flags[index] & records.UNSCANNED else not whole

    def _mark(self, kind: int) -> bool:
        """Whether a mark itself is applied; the phase moves."""
        before = self.phase
        if kind == records.LOST:
            return self._lose()
        if self.reading is Reading.LIVE or before in (Phase.LIVE, Phase.COMPLETE):
            return False
        if kind == records.SCAN_BEGIN:
            self.phase = Phase.SYNCHRONISING
            self._settled.clear()
            return True
        if before is not Phase.SYNCHRONISING:
            return False
        self.scans += 1
        self.phase = Phase.COMPLETE if self.reading is Reading.SCAN else Phase.LIVE
        return True

    def _lose(self) -> bool:
        """Records are missing: books are wrong until the next scan."""
        before = self.phase
        if before in (Phase.WAITING, Phase.COMPLETE):
            return False
        self.losses += 1
        if self.reading is not Reading.LIVE:
            self.phase = Phase.WAITING
        return True
