"""The slow, obvious twin of the link's receiving side: records one by one into naive books.

It takes the whole of core_link, scans of others included: what a reader passes over, it passes over here.
"""

from typing import Any

from gateway.layout import names, value
from gateway.link.streams import records
from tests.book_streams import FIELDS
from tests.naive import ADD, CLEAR, DELETE, EXECUTE, FROM, LEVEL, OVERLAY, REDUCE, REPLACE, SET, THROUGH, TRADE, NaiveBooks
from tests.naive_trust import (
    BOUND,
    CROSSED,
    FAULT,
    GAP,
    INSTRUMENT,
    KNOWN,
    LEVELS,
    NAMED,
    OF_SNAPSHOT,
    ONE_INSTRUMENT,
    RECOVERABLE,
    RECOVERED,
    SKIPPING,
    SNAPSHOT,
    SNAPSHOT_BEGIN,
    STALE,
    STATUS,
    VALID,
    NaiveBook,
)

KINDS = names("link_kind", "LINK_")
NEWS = value("LINK_NEWS")
ORDER_EVENTS = (ADD, EXECUTE, REDUCE, DELETE, REPLACE, SET, TRADE, STATUS, INSTRUMENT)
LEVEL_EVENTS = (LEVEL, FROM, THROUGH, OVERLAY)


def event_of(row: Any) -> dict[str, int]:
    """The event of a record."""
    return {name: int(row["event"][name]) for name in FIELDS}


class NaiveMirror:
    """Books of another region, out of its records."""

    def __init__(self, instruments: int):
        self.instruments = instruments
        self.books = NaiveBooks(instruments)
        self.state = "WAITING"
        self.settled: set[int] = set()

    def take(self, rows: Any) -> None:
        """Records in their order."""
        for index in range(len(rows)):
            self._record(rows[index : index + 1])

    def _record(self, one: Any) -> None:
        row, kind = one[0], KINDS[int(one["kind"][0])]
        if kind == "LOST":
            self.state = "WAITING"
        elif kind == "SCAN_BEGIN" and self.state != "LIVE":
            self.state, self.settled = "SCANNING", set()
            event = event_of(row)
            self.books = NaiveBooks(self.instruments, tick=event["price"], depth=event["quantity"])
        elif self.state != "WAITING":
            self.books.channel_now, self.books.arrivals = int(row["channel"]), int(row["arrivals"])
            if kind in ("EVENT", "RUN"):
                getattr(self, f"_{kind.lower()}")(row, int(row["flags"]))
            elif row["flags"] & records.LIVE and kind == "BOOK":
                self._opened(records.books(one)[0])
            elif self.state == "SCANNING":
                self._scanned(one, kind)

    def _run(self, row: Any, _flags: int) -> None:
        if self.state == "SCANNING":
            self.state = "WAITING"
        else:
            self.books.begin_session(int(row["count"]))

    def _event(self, row: Any, flags: int) -> None:
        event = event_of(row)
        whole_channel = event["kind"] == RECOVERED or (event["kind"] == GAP and not event["flags"] & ONE_INSTRUMENT)
        if self.state == "LIVE" or whole_channel or event["instrument"] in self.settled:
            if not flags & (records.JOINING | NEWS):
                self.books.apply(event)
        elif not flags & (records.UNSCANNED | NEWS):
            self._build(event)

    def _build(self, event: dict[str, int]) -> None:
        if event["kind"] in (CLEAR, SNAPSHOT_BEGIN):
            self.books._empty(self.books.open(event["instrument"]))
        elif event["kind"] in ORDER_EVENTS:
            self.books.apply(event)
        elif event["kind"] in LEVEL_EVENTS:
            event["flags"] |= OF_SNAPSHOT
            self.books.apply(event)
        self._distrust(event["instrument"])

    def _distrust(self, instrument: int) -> None:
        if instrument in self.books.books:
            self.books.books[instrument].flag(STALE, VALID | RECOVERABLE | SNAPSHOT | SKIPPING | FAULT)

    def _opened(self, said: Any) -> None:
        instrument = int(said["instrument"])
        if instrument not in self.books.books:
            self.books.open(instrument).depth = int(said["depth"])
        if self.state == "LIVE":
            self.settled.add(instrument)
        elif instrument not in self.settled:
            self._distrust(instrument)

    def _scanned(self, one: Any, kind: str) -> None:
        row = one[0]
        if kind == "BOOK":
            self._define(records.books(one)[0])
        elif kind in ("ORDER", "LEVEL"):
            event = event_of(row)
            if kind == "ORDER":
                self.books.arrivals = int(row["priority"]) - 1
            self.books.apply(event)
            self._distrust(event["instrument"])
        elif kind == "CHANNEL":
            self.books.flags_new[int(row["channel"])] = int(row["count"])
        elif kind == "SETTLED":
            self._settle(records.books(one)[0])
        elif kind == "SCAN_END":
            assert row["count"] == len(self.settled)
            self.state = "LIVE"

    def _define(self, said: Any) -> None:
        flags = KNOWN | STALE | (int(said["book_flags"]) & (NAMED | BOUND))
        before = self.books.books.get(int(said["instrument"]))
        book = NaiveBook(flags, min(int(said["channel"]), 255), int(said["tick"]), int(said["depth"]))
        assert before is None or not (before.sides[1] or before.sides[2]), "nothing is in a book before it is defined"
        self._write(book, said)
        self.books.books[int(said["instrument"])] = book

    def _settle(self, said: Any) -> None:
        instrument = int(said["instrument"])
        book = self.books.open(instrument)
        assert sum(order.instrument == instrument for order in self.books.orders.values()) == said["orders"]
        book.flags = (int(said["book_flags"]) & ~CROSSED & ~LEVELS) | (book.flags & CROSSED)
        book.flags |= int(said["book_flags"]) & LEVELS
        self._write(book, said)
        self.settled.add(instrument)

    def _write(self, book: NaiveBook, said: Any) -> None:
        book.channel, book.depth = min(int(said["channel"]), 255), int(said["depth"])
        book.symbol = int.from_bytes(said["symbol"].ljust(8, b"\0"), "little")
        for name in ("trading", "last_price", "snapshot_sequence"):
            setattr(book, name, int(said[name]))
        book.sequence = int(said["book_sequence"])
