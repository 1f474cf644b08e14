"""Stories of a source and its readers for tests of the link's records: events, scans at any time, late joiners, checkpoints.

source ── core_link ──┬── mirror 0: there from the start, synchronised by the first scan
                      ├── mirror 1 …: joins when a later scan is asked for
                      └── a naive mirror, beside each of them
"""

import random
from collections.abc import Callable

import numpy as np

from gateway.core import book_reader
from gateway.layout import value
from tests.link_regions import Mirror, Source, differences, orders_of
from tests.naive_link import NaiveMirror

SETTLING = value("SCAN_SETTLING")  # some books are whole already, others are not
Draw = Callable[[], tuple[dict[str, int], int]]


class Story:
    """`draw` gives (event, channel); `instruments` how many there may be."""

    def __init__(self, seed: int, draw: Draw, instruments: int = 9, readers: int = 2, **source: int):
        self.random = random.Random(seed)
        self.draw, self.instruments = draw, instruments
        self.source = Source(instruments, **source)
        self.waiting = [Mirror(instruments) for _ in range(readers)]
        self.readers: list[tuple[Mirror, NaiveMirror]] = []
        self.checks = {"live": 0, "settled": 0}
        self.overlap = 0  # events that came while a scan ran

    def run(self, events: int, asks: float = 0.004, turns: float = 0.5, deliveries: float = 0.05) -> None:
        """Draws so many events; the others are how often each happens for one event."""
        for _ in range(events):
            event, channel = self.draw()
            self.overlap += self.source.phase != 0
            self.source.apply(event, channel)
            if self.random.random() < asks:
                self.ask()
            if self.random.random() < turns:
                self.source.turn(1)
            if self.random.random() < deliveries or self.source.phase == SETTLING:
                self.deliver()

    def ask(self) -> None:
        """A scan is asked for, and a reader joins that has heard nothing yet."""
        self.source.ask()
        if self.waiting:
            self.deliver()
            self.readers.append((self.waiting.pop(0), NaiveMirror(self.instruments)))

    def deliver(self) -> None:
        """Everything told so far reaches every reader, and each is compared with the source."""
        rows = self.source.take()
        if self.source.tap["lost"][0]:  # core's next turn says so
            self.source.turn(1)
            rows = np.concatenate([rows, self.source.take()])
        for mirror, naive in self.readers:
            mirror.give(rows)
            naive.take(rows)
            assert mirror.phase == naive.state
            self.compare(mirror, naive)

    def finish(self) -> None:
        """Scans until every reader is synchronised."""
        if not self.readers:
            self.ask()
        for _ in range(3):
            self.source.ask()
            self.source.scan()
            self.deliver()
        assert all(mirror.phase == "LIVE" for mirror, _ in self.readers)

    def compare(self, mirror: Mirror, naive: NaiveMirror) -> None:
        """A live reader's books are the source's, whole; of one that is scanning those that are settled."""
        if mirror.phase == "LIVE":
            self.checks["live"] += 1
            found = differences(self.source.store, mirror.store)
            assert not found, found[:6]
            self._compare_naive(naive)
        elif mirror.phase == "SCANNING":
            settled = [number for number in range(self.instruments) if mirror.settled[number]]
            self.checks["settled"] += len(settled)
            found = differences(self.source.store, mirror.store, settled)
            assert not found, found[:6]

    def _compare_naive(self, naive: NaiveMirror) -> None:
        store = self.source.store
        orders = {
            key: (order.instrument, order.side, order.price, order.quantity, order.priority & 0xFFFFFFFF)
            for key, order in naive.books.orders.items()
        }
        assert orders == orders_of(store)
        for number, _ in book_reader.instruments(store.handle):
            twin, row = naive.books.books[number], book_reader.books(store.handle)[number]
            assert (twin.flags, twin.trading, twin.last_price) == (row["flags"], row["trading"], row["last_price"])
            assert [twin.levels(side) for side in (1, 2)] == [
                book_reader.levels(store.handle, number, side) for side in (1, 2)
            ]
