"""Every order-level record of a real day of CME's ES future through book ⑤: top and levels equal the twin's each time."""

import numpy as np
import pytest

from gateway.core import book, book_reader
from gateway.core.book_rows import book_of, set_tick
from gateway.core.book_store import OwnedStore
from gateway.core.memory import address_of
from gateway.layout import dtype, value
from tests.databento import INSTRUMENT, MASK, TICK, Orders, book_digest, event_of, event_row, records

LEVELS_MAX = 1 << 16
RECORDS = {"20231224": 8_725, "20231225": 68_792}


@pytest.mark.slow
@pytest.mark.parametrize(("day", "tick"), [("20231224", 100), ("20231224", 7 * TICK), ("20231225", TICK)])
def test_top_and_levels_equal_the_twin_at_every_record(shared_data, day, tick):
    rows = records(shared_data, day)
    assert len(rows) == RECORDS[day]
    store, twin = OwnedStore(instruments=16, nodes=1 << 14, orders=1 << 16, tick=100), Orders()
    counters, event = np.zeros(1, dtype("core_counters")), event_row()
    book.begin_session(store.address, 1)
    line, books = book_of(store.address, INSTRUMENT), book_reader.books(store.handle)
    learn_tick(store, tick, counters)
    for position, record in enumerate(rows):
        if event_of(record, event, twin):
            book.apply_event(store.address, address_of(event), address_of(counters))
        twin.apply(record)
        top = books[INSTRUMENT].item()[:4]
        assert top == (*twin.best(1), *twin.best(2)), (position, record)
        digest, levels = book_digest(store.address, line, LEVELS_MAX)
        assert (int(digest), levels) == (twin.digest & MASK, sum(map(len, twin.levels.values()))), (position, record)
        if position % 5_000 == 0:
            compare_whole(store, twin)
    compare_whole(store, twin)
    assert not counters["reasons"].any()
    assert int(books[INSTRUMENT]["flags"]) & (value("BOOK_VALID") | value("BOOK_FAULT")) == value("BOOK_VALID")


def learn_tick(store: OwnedStore, tick: int, counters: np.ndarray) -> None:
    """As a definition message tells it."""
    event = event_row()
    event["kind"], event["instrument"], event["price"] = value("EVENT_INSTRUMENT"), INSTRUMENT, tick
    book.apply_event(store.address, address_of(event), address_of(counters))
    assert set_tick(book_of(store.address, INSTRUMENT), tick) == 1


def compare_whole(store: OwnedStore, twin: Orders) -> None:
    """Every level as the reader tells it, and the queue of the best ones in the order of priority."""
    for side in (1, 2):
        levels = twin.sorted_levels(side)
        assert book_reader.levels(store.handle, INSTRUMENT, side) == levels
        for price, _, _ in levels[:3]:
            queue = book_reader.queue(store.handle, INSTRUMENT, side, price)
            assert queue == [(order_id, twin.live[order_id][2]) for order_id in twin.queues[side, price]]
