"""GAP ⑦: an instrument whose book was fed and then lacks data, by a gap that does not heal in time.

Hard rule: a book that never was valid in this run has no gap; STALE denies it without this control.
"""

import numpy as np

from gateway import layout
from gateway.control_sections import PostTrade
from gateway.ops.breach import INSTRUMENT, Breach

MILLISECOND_NS = 1_000_000
AHEAD_NS = 1000 * MILLISECOND_NS  # a gap that began later than now by more: a clock has stepped
VALID, STALE = layout.value("BOOK_VALID"), layout.value("BOOK_STALE")


class GapWatch:
    """Which books were valid, and which gaps were told of."""

    def __init__(self, settings: PostTrade):
        self.settings = settings
        self._fed: set[int] = set()
        self._told: dict[int, int] = {}  # stale_since_ns of the gap that fired

    def look(self, now_ns: int, books: np.ndarray, permitted: np.ndarray) -> list[Breach]:
        """Looks at the books (struct book) of the instruments numbered in `permitted`; each gap fires once."""
        found = []
        flags, since = books["flags"][permitted], books["stale_since_ns"][permitted]
        stale = flags & STALE != 0
        self._fed.update(permitted[(flags & VALID != 0) & ~stale].tolist())
        for index in np.flatnonzero(stale).tolist():
            number, since_ns = int(permitted[index]), int(since[index])
            if number not in self._fed or self._told.get(number) == since_ns:
                continue
            age_ns = now_ns - since_ns
            if age_ns >= self.settings.gap_ms * MILLISECOND_NS or age_ns < -AHEAD_NS:
                self._told[number] = since_ns
                symbol = bytes(books[number]["symbol"]).decode("ascii", "replace").rstrip()
                why = f"its book has lacked data for {age_ns // MILLISECOND_NS} ms"
                found.append(Breach("GAP", INSTRUMENT, symbol, why))
        return found
