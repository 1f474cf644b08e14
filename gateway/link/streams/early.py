"""Early processing: a large transfer is many small records, each verified alone; state at once, news only at the end.

    frames ─► opened, verified ─► rows ─► use ─► state that can be read            (M37)
                                   └────► effects, held ── SCAN_END ──► released in order
                                                        └─ LOST, another SCAN_BEGIN ──► dropped, state cleared

What is read early is true of its record and incomplete as a whole: `complete` says which. Hard rule: nothing enters that was
not delivered by a peer, so no byte that was not authenticated is ever used; and no effect leaves before the end mark.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gateway import limits
from gateway.link.streams import records

Effect = Callable[[], Any]


class EarlyState:
    """Rows of one transfer after another. `use(rows)` makes them readable, `clear()` forgets what a broken one brought."""

    def __init__(self, use: Callable[[np.ndarray], None], clear: Callable[[], None]):
        self._use, self._clear = use, clear
        self._effects: list[Effect] = []
        self.running = self.complete = False
        self.rows_early = 0  # of the running transfer, usable before its end
        self.released = self.dropped = self.begun = self.ended = 0
        self.refused = ""  # why the last one was given up

    def take(self, rows: np.ndarray, effects: Callable[[np.ndarray], list[Effect]] | None = None) -> None:
        """The next rows in their order; `effects` gives what they would set off, which is held while a transfer runs."""
        kinds = rows["kind"]
        marks = np.flatnonzero((kinds == records.SCAN_BEGIN) | (kinds == records.SCAN_END) | (kinds == records.LOST))
        begin = 0
        for mark in [*marks.tolist(), len(rows)]:
            self._between(rows[begin:mark], effects)
            if mark < len(rows):
                self._mark(rows[mark : mark + 1])
            begin = mark + 1

    def _between(self, rows: np.ndarray, effects: Callable[[np.ndarray], list[Effect]] | None) -> None:
        if len(rows) == 0 or not (self.running or self.complete):
            return
        self._use(rows)
        found = effects(rows) if effects is not None else []
        if self.complete:
            self._release(found)
            return
        self.rows_early += len(rows)
        self._effects += found
        if len(self._effects) > limits.LINK_EFFECTS_HELD_MAX:
            self._give_up("EFFECTS")

    def _mark(self, row: np.ndarray) -> None:
        kind = int(row[0]["kind"])
        if kind == records.LOST:
            self._give_up("LOST")
        elif kind == records.SCAN_BEGIN:
            if self.running:
                self._give_up("ANEW")
            self._clear()
            self.running, self.complete, self.rows_early = True, False, 0
            self.begun += 1
        elif self.running:
            self.running, self.complete = False, True
            self.ended += 1
            effects, self._effects = self._effects, []
            self._release(effects)

    def _release(self, effects: list[Effect]) -> None:
        for effect in effects:
            effect()
            self.released += 1

    def _give_up(self, reason: str) -> None:
        """What the transfer brought is no state, and what it would have set off never happens."""
        if self.running or self.complete:
            self._clear()
        self.running = self.complete = False
        self.dropped += len(self._effects)
        self._effects.clear()
        self.refused = reason

    @property
    def held(self) -> int:
        """Effects that wait for the end mark."""
        return len(self._effects)
