"""Best prices of another region, read where this region's core keeps them, never older than the bound without saying so.

    source      core_link ─ which instruments moved ─► rows of struct link_quote and a MARK ─► stream `quotes`
    receiver    MARK ─► how far books are known to be true ─► region link, `time_confirmed_ns` ─► QuoteCache, any process

A market that is quiet says nothing, and neither does a line that is clogged; a MARK tells them apart: it says which record
the source had published last. Once core has applied that record, its books are the source's as of when the MARK left: a
round trip before it came, and as much earlier as it was slower than the quickest of late. How far both clocks differ plays
no part. Hard rule: a quote is stale unless it is known to be true within the bound; what is not known is stale.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from gateway import layout, limits
from gateway.instance import Instance
from gateway.link.streams.records import is_live

QUOTE = layout.dtype("link_quote")
MARK = 0xFFFF_FFFF  # in the place of an instrument: no quote, but how far the source has come
EVERY_NS = 50_000_000  # between two lots of quotes
NEVER_NS = limits.LINK_NEVER_NS
MARKS_MAX = 1024
QUICKEST_NS = 60_000_000_000  # the quickest way of a MARK counts for one to two of these: clocks drift apart
LIVE = layout.value("BOOK_VALID")
DOUBTFUL = layout.value("BOOK_STALE") | layout.value("BOOK_FAULT") | layout.value("BOOK_SNAPSHOT")
TOP = ("bid_price", "bid_quantity", "ask_price", "ask_quantity", "last_price", "time_ns")
TRIES = 8  # to read a row that core is writing


class Quote(NamedTuple):
    """The best prices of one instrument, and how much they are worth."""

    instrument: int
    symbol: str
    bid_price: int
    bid_quantity: int
    ask_price: int
    ask_quantity: int
    last_price: int
    time_ns: int  # of the last event that touched the book, at the source
    age_ns: int  # since it was last known to be true
    stale: bool


class QuoteTops:
    """The source's side: which instruments have moved, and their tops every EVERY_NS."""

    def __init__(self, instance: Instance):
        self._books = instance.rows("books")
        self._moved: set[int] = set()
        self._position = 0
        self._told_ns = 0

    def note(self, batch: np.ndarray) -> None:
        """Records of core_link that were published."""
        if len(batch):
            self._moved.update(np.unique(batch["event"]["instrument"][batch["kind"] == layout.value("LINK_EVENT")]).tolist())
            live = batch["sequence"][is_live(batch)]
            self._position = int(live[-1]) if len(live) else self._position

    def take(self, now_ns: int) -> np.ndarray:
        """Rows that are due, the MARK last; none: not yet."""
        if now_ns - self._told_ns < EVERY_NS:
            return np.zeros(0, QUOTE)
        self._told_ns = now_ns
        moved = np.array(sorted(number for number in self._moved if number < len(self._books)), dtype=np.int64)
        self._moved.clear()
        rows = np.zeros(len(moved) + 1, QUOTE)
        books = self._books[moved]
        for name in TOP:
            rows[name][:-1] = books[name]
        rows["instrument"][:-1], rows["book_flags"][:-1] = moved, books["flags"]
        rows["sequence"] = self._position
        rows["instrument"][-1], rows["time_ns"][-1] = MARK, now_ns
        return rows


class Confirmation:
    """The receiver's side: until when the books here are known to be the source's."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque(maxlen=MARKS_MAX)  # position, when it left by our clock
        self.time_ns = 0
        self._quickest = self._quickest_before = NEVER_NS  # way of a MARK by both clocks: of this minute, of the one before
        self._since_ns = 0

    def on_quotes(self, rows: np.ndarray, now_ns: int, round_trip_ns: int) -> None:
        """Quotes that arrived. A MARK left a round trip ago at most, if it was as quick as the quickest; else earlier."""
        marks = rows[rows["instrument"] == MARK]
        if not len(marks):
            return
        mark = marks[np.argmax(marks["sequence"])]
        way_ns = now_ns - int(mark["time_ns"])
        late_ns = way_ns - self._quickest_of(way_ns, now_ns)
        self._marks.append((int(mark["sequence"]), now_ns - round_trip_ns - late_ns))

    def _quickest_of(self, way_ns: int, now_ns: int) -> int:
        if not 0 <= now_ns - self._since_ns < QUICKEST_NS:
            self._quickest, self._quickest_before, self._since_ns = NEVER_NS, self._quickest, now_ns
        self._quickest = min(self._quickest, way_ns)
        return min(self._quickest, self._quickest_before)

    def follow(self, applied: int) -> int:
        """`applied`: the source's last record that core has taken. Returns the time until which its books are true."""
        while self._marks and self._marks[0][0] <= applied:
            self.time_ns = max(self.time_ns, self._marks.popleft()[1])
        return self.time_ns

    def forget(self) -> None:
        """The source began anew, or records were lost."""
        self._marks.clear()
        self.time_ns = 0

    def restart(self) -> None:
        """The source has another clock."""
        self.forget()
        self._quickest = self._quickest_before = NEVER_NS


class QuoteCache:
    """Quotes of this instance's books for any process that has attached it."""

    def __init__(self, instance: Instance, staleness_ns: int):
        self.staleness_ns = staleness_ns
        self._books = instance.rows("books")
        self._state = instance.regions["link"].view("link_state")
        self._numbers: dict[str, int] = {}

    def read(self, instrument: int, now_ns: int) -> Quote:
        """The quote of a row, marked stale when it may be older than the bound. Raises IndexError for no row."""
        book = self._whole(instrument)
        age_ns = max(0, now_ns - int(self._state[0]["time_confirmed_ns"]))
        flags = int(book["flags"])
        stale = age_ns > self.staleness_ns or not flags & LIVE or bool(flags & DOUBTFUL)
        words = {name: int(book[name]) for name in TOP}
        symbol = book["symbol"].decode("ascii", "replace").rstrip()
        return Quote(instrument=instrument, symbol=symbol, age_ns=age_ns, stale=stale, **words)

    def find(self, symbol: str, now_ns: int) -> Quote | None:
        """The quote of a symbol, None where no book has it."""
        number = self._numbers.get(symbol)
        if number is None:
            wanted = symbol.ljust(8).encode("ascii", "replace")
            found = np.flatnonzero(np.array(self._books["symbol"]) == wanted.rstrip())
            if not len(found):
                found = np.flatnonzero(np.array(self._books["symbol"]) == wanted)
            if not len(found):
                return None
            number = self._numbers[symbol] = int(found[0])
        return self.read(number, now_ns)

    def all(self, now_ns: int) -> list[Quote]:
        """Every book that has a symbol."""
        known = np.flatnonzero(np.array(self._books["flags"]) & layout.value("BOOK_NAMED"))
        return [self.read(int(number), now_ns) for number in known]

    def _whole(self, instrument: int) -> np.void:
        """A copy of the row that two looks agree on; core may be writing it."""
        first = self._books[instrument].copy()
        for _ in range(TRIES):
            second = self._books[instrument].copy()
            if first.tobytes() == second.tobytes():
                break
            first = second
        return first
