"""The real books and their naive twin side by side: the same events in, everything compared."""

from collections import Counter

import numpy as np

from gateway.core import book, book_reader
from gateway.core.book_store import OwnedStore
from gateway.core.memory import address_of
from gateway.layout import dtype, names
from tests.naive import NaiveBooks
from tests.naive_trust import BUY, RECOVERABLE, SELL, SNAPSHOT, STALE

REASONS = names("feed_reason", "")
FIELDS = dtype("event").names


def event_rows(events: list[dict[str, int]]) -> np.ndarray:
    """struct event rows; negative values of unsigned fields keep their bits."""
    return np.array([tuple(event[name] for name in FIELDS) for event in events], dtype("event"))


def reasons_of(counters: np.ndarray) -> dict[str, int]:
    """Feed reasons that were counted, by name."""
    return {REASONS[code]: int(count) for code, count in enumerate(counters["reasons"][0]) if count}


class Twins:
    """One store and one naive twin of the same capacities."""

    def __init__(self, instruments: int = 64, nodes: int = 1 << 14, orders: int = 1 << 14, tick: int = 100, depth: int = 0):
        self.store = OwnedStore(instruments, nodes, orders, tick, depth)
        self.naive = NaiveBooks(instruments, nodes, orders, tick, depth)
        self.counters = np.zeros(1, dtype("core_counters"))
        self.rows = book_reader.books(self.store.handle)

    def apply(self, event: dict[str, int], channel: int | None = None) -> int:
        """Applies to both; the completed event, the answer and the book's first line agree."""
        if channel is not None:
            self.follow(channel)
        row = event_rows([event])
        changed = book.apply_event(self.store.address, address_of(row), address_of(self.counters))
        completed = dict(event)
        assert changed == self.naive.apply(completed), event
        assert row[0] == event_rows([completed])[0], event
        if event["instrument"] < len(self.rows):
            self.compare_top(event["instrument"])
        return changed

    def follow(self, channel: int) -> None:
        """What comes now comes by this channel."""
        self.store.handle["channel"] = self.naive.channel_now = channel

    def begin_session(self, first_sequence: int) -> None:
        book.begin_session(self.store.address, first_sequence)
        self.naive.begin_session(first_sequence)

    def compare_top(self, instrument: int) -> None:
        row, twin = self.rows[instrument].item(), self.naive.books.get(instrument)
        if twin is None:
            assert row[7] == 0
            return
        assert row[:6] == (*twin.top(), twin.time_ns, twin.last_price)
        assert (row[7], row[8]) == (twin.flags, twin.trading)

    def compare(self) -> None:
        """Full depth, order counts, queues, flags, names, counters, and that the pools leak nothing."""
        orders = Counter(order.instrument for order in self.naive.orders.values())
        for instrument, twin in self.naive.books.items():
            self.compare_top(instrument)
            for side in (BUY, SELL):
                assert book_reader.levels(self.store.handle, instrument, side) == twin.levels(side)
            assert self.rows["orders"][instrument] == orders[instrument]
            assert self.rows["symbol"][instrument] == twin.symbol.to_bytes(8, "little").rstrip(b"\0")
            self.compare_row(instrument)
        assert [number for number, _ in book_reader.instruments(self.store.handle)] == list(self.naive.books)
        assert reasons_of(self.counters) == self.naive.reasons
        assert self.counters["crossed"][0] == self.naive.crossed
        assert self.counters["healed"][0] == self.naive.healed
        assert self.store.handle["orders_live"][0] == len(self.naive.orders)
        self.compare_lists()
        self.compare_orders()
        self.compare_pools()

    def compare_row(self, instrument: int) -> None:
        """What strategies do not read."""
        row, twin = self.rows[instrument], self.naive.books[instrument]
        for name in ("channel", "depth", "sequence", "tick_next"):
            assert row[name] == getattr(twin, name), name
        assert row["bid"]["tick"] == row["ask"]["tick"] == twin.tick

    def compare_lists(self) -> None:
        """Every book stands in the one list that its flags say."""
        found = {}
        for channel, row in enumerate(self.store.handle[0]["channels"]):
            for name in ("fresh", "recoverable"):
                previous, instrument = 0, int(row[name])
                while instrument:
                    book_row = self.rows[instrument - 1]
                    assert book_row["previous"] == previous
                    assert found.setdefault(instrument - 1, (channel, name)) == (channel, name)
                    assert len(found) <= len(self.naive.books)
                    previous, instrument = instrument, int(book_row["next"])
        assert found == {
            instrument: (twin.channel, "recoverable" if twin.flags & RECOVERABLE else "fresh")
            for instrument, twin in self.naive.books.items()
            if twin.flags & RECOVERABLE or twin.flags & (STALE | SNAPSHOT) != STALE
        }

    def compare_orders(self) -> None:
        rows = book_reader.orders(self.store.handle)
        live = rows[rows["quantity"] != 0]
        found = {
            int(row["order_id"]): (row["instrument"], row["side"], row["price"], row["quantity"], row["priority"])
            for row in live
        }
        assert len(found) == len(live)
        assert found == {
            key: (order.instrument, order.side, order.price, order.quantity, order.priority)
            for key, order in self.naive.orders.items()
        }

    def compare_pools(self) -> None:
        nodes = book_reader.nodes(self.store.handle)
        handle = self.store.handle[0]
        leaves = free_list(nodes["leaf"], int(handle["leaves_free"]))
        branches = free_list(nodes["branch"], int(handle["branches_free"]))
        assert not nodes["leaf"]["occupied"][leaves].any()
        assert not nodes["leaf"]["levels"]["orders"][leaves].any()
        assert not nodes["leaf"]["levels"]["quantity"][leaves].any()
        assert not nodes["branch"]["occupied"][branches].any()
        assert not nodes["branch"]["children"][branches].any()
        used_leaves = int(handle["leaves_used"]) - 1 - len(leaves)
        assert used_leaves == len(self.naive.leaves)
        assert int(handle["branches_used"]) - 1 - len(branches) <= used_leaves


def free_list(pool: np.ndarray, head: int) -> list[int]:
    """Indexes in a free list."""
    found: list[int] = []
    while head:
        found.append(head)
        assert len(found) < len(pool)
        head = int(pool["parent"][head])
    return found
