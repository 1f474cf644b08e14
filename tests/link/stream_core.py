"""A naive core for tests of the streams: a book of orders in rows that never move, told as records, with scans.

What gateway/core does in kernels, in the plainest way; and Book, the twin that applies what a reader is given. Hard rule:
the source remembers its whole book behind every record, so that a reader's book is compared record by record.
"""

import random

import numpy as np

from gateway import layout
from gateway.link.streams import records

ADD, REDUCE, DELETE = (layout.value(f"EVENT_{name}") for name in ("ADD", "REDUCE", "DELETE"))
INSTRUMENTS = 3


class NaiveCore:
    """Orders in rows; `take` gives the records since the last call. `node` and `boot_id` as a source of streams has them."""

    def __init__(self, random_: random.Random, rows: int = 24, node: int = 7):
        self.random, self.node = random_, node
        self.life = 0
        self.history: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}  # life and sequence → the book behind it
        self.rows: list[tuple[int, int, int] | None] = [None] * rows  # id, instrument, quantity
        self.wanted = self.scans = self.shed = 0
        self.begin()

    def begin(self) -> None:
        """A new life: sequences and the order of records begin anew, the books are what they are."""
        self.life += 1
        self.boot_id = self.life.to_bytes(16, "big")
        self.sequence, self.next_id = 0, getattr(self, "next_id", 0)
        self.out: list[np.ndarray] = []
        self.cursor: int | None = None  # of the running scan
        self.again = False
        self.lost = 0

    def request_scan(self) -> None:
        """As the word snapshot_wanted."""
        self.wanted += 1

    def book(self) -> dict[int, tuple[int, int]]:
        """Order id → instrument, quantity."""
        return {row[0]: (row[1], row[2]) for row in self.rows if row}

    def take(self) -> np.ndarray:
        """The records since the last call, in their order."""
        found = np.concatenate(self.out) if self.out else records.rows(0)
        self.out = []
        return found

    def lose(self, events: int) -> None:
        """The ring was full: events happen that no record tells; a scan that runs is given up and begins anew."""
        for _ in range(events):
            self._change(tell=False)
        self.lost += events
        self.shed += events
        self.again = self.again or self.cursor is not None
        self.cursor = None

    def step(self, events: int, scanned: int) -> None:
        """Some events and a part of a scan."""
        for _ in range(events):
            self._change(tell=True)
        self._scan(scanned)

    def _change(self, tell: bool) -> None:
        """One order comes, shrinks or goes."""
        index = self.random.randrange(len(self.rows))
        row = self.rows[index]
        flags = records.UNSCANNED if self.cursor is not None and index >= self.cursor else 0
        if row is None:
            self.next_id += 1
            row = (self.next_id, self.random.randrange(INSTRUMENTS), self.random.randint(1, 1000))
            self.rows[index], kind, quantity = row, ADD, row[2]
        elif row[2] > 1 and self.random.random() < 0.6:
            quantity = self.random.randint(1, row[2] - 1)
            self.rows[index], kind = (row[0], row[1], row[2] - quantity), REDUCE
        else:
            self.rows[index], kind, quantity = None, DELETE, 0
        if tell:
            self._tell(records.EVENT, flags, kind, *row[:2], quantity)

    def _scan(self, scanned: int) -> None:
        if self.cursor is None:
            if not (self.wanted or self.again):
                return
            self.wanted, self.again, self.cursor = 0, False, 0
            self._tell(records.SCAN_BEGIN)
        for _ in range(scanned):
            if self.cursor == len(self.rows):
                self.cursor = None
                self.scans += 1
                self._settle()
                return
            row, self.cursor = self.rows[self.cursor], self.cursor + 1
            if row is not None:
                self._tell(records.ORDER, 0, ADD, *row)

    def _settle(self) -> None:
        """Every book is whole."""
        for instrument in range(INSTRUMENTS):
            self._tell(records.SETTLED, instrument=instrument)
        self._tell(records.SCAN_END)

    def _tell(
        self, kind: int, flags: int = 0, event: int = 0, order: int = 0, instrument: int = 0, quantity: int = 0
    ) -> None:
        if self.lost:
            count, self.lost = self.lost, 0
            self._put(records.LOST, 0, 0, 0, 0, 0, count)
        self._put(kind, flags, event, order, instrument, quantity, 0)

    def _put(self, kind: int, flags: int, event: int, order: int, instrument: int, quantity: int, count: int) -> None:
        self.sequence += 1
        row = records.rows(1)
        row["sequence"], row["kind"], row["flags"], row["count"] = self.sequence, kind, flags, count
        row["time_ns"] = self.life
        if kind == records.SETTLED:
            records.books(row)["instrument"] = instrument
        else:
            row["event"]["kind"], row["event"]["order_id"] = event, order
            row["event"]["instrument"], row["event"]["quantity"] = instrument, quantity
        self.out.append(row)
        self.history[self.life, self.sequence] = self.book()


class Book:
    """The naive twin of a receiving core: applies every row it is given and checks itself against the source's history."""

    def __init__(self, core: NaiveCore):
        self.core = core
        self.orders: dict[int, tuple[int, int]] = {}
        self.whole = False  # a scan has ended and nothing was lost since
        self.scanning = False
        self.last = 0  # sequence
        self.life = 0  # of the source, of which that is
        self.applied: list[int] = []
        self.wholes = self.compared = 0

    def apply(self, rows: np.ndarray) -> None:
        """Rows in the order given; AssertionError where they break what streams promise."""
        for row in rows:
            kind, sequence = int(row["kind"]), int(row["sequence"])
            if kind == records.LOST:
                self.whole = self.scanning = False
                self.last = sequence or 0
                continue
            life = self.life if kind == records.SETTLED else int(row["time_ns"])  # SETTLED has books where others have times
            assert life == self.life or not (self.whole or self.scanning), f"life {life} goes on with books of {self.life}"
            assert (life, sequence) > (self.life, self.last), (
                f"record {sequence} of life {life} after {self.last} of {self.life}"
            )
            self.life, self.last = life, sequence
            self.applied.append(sequence)
            self._apply(kind, row)
            if self.whole:
                self.compared += 1
                assert self.orders == self.core.history[life, sequence], f"another book behind record {sequence}"

    def _apply(self, kind: int, row: np.void) -> None:
        if kind == records.SCAN_BEGIN:
            self.orders, self.scanning, self.whole = {}, True, False
        elif kind == records.SCAN_END:
            assert self.scanning, "the end of a scan that never began"
            self.scanning, self.whole = False, True
            self.wholes += 1
        elif kind in (records.EVENT, records.ORDER):
            assert self.whole or self.scanning, "a record for books that are not followed"
            self._order(kind, row["event"])

    def _order(self, kind: int, event: np.void) -> None:
        identity, instrument, quantity = (int(event[name]) for name in ("order_id", "instrument", "quantity"))
        if event["kind"] == ADD:
            assert identity not in self.orders, f"order {identity} comes twice"
            self.orders[identity] = (instrument, quantity)
        elif event["kind"] == DELETE:
            assert identity in self.orders, f"order {identity} goes and was not there"
            del self.orders[identity]
        else:
            assert identity in self.orders, f"order {identity} shrinks and was not there"
            before = self.orders[identity][1]
            assert before > quantity, f"order {identity} shrinks below nothing"
            self.orders[identity] = (instrument, before - quantity)
