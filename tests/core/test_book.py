"""Book ⑤, rule by rule: flags, marks, sessions, priority, names, refusals of the store."""

import numpy as np
import pytest

from gateway.core import book_reader, book_store
from gateway.layout import size, value
from tests.book_streams import FIELDS, Stream
from tests.book_twins import Twins, reasons_of
from tests.naive import ADD, CLEAR, DELETE, EXECUTE, REDUCE, REPLACE, TRADE
from tests.naive_trust import BUY, GAP, INSTRUMENT, SELL, STATUS

VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")
CROSSED = value("BOOK_CROSSED")
SYMBOL = int.from_bytes(b"ACME    ", "little")


class Story:
    """Twins told event by event; instrument 5 unless said otherwise."""

    def __init__(self, flags: int = VALID, **capacities: int):
        self.twins = Twins(**capacities)
        if flags:
            self.twins.begin_session(1)
        self.sequence = 0

    def tell(self, kind: int, **fields: int) -> int:
        self.sequence += 1
        event = dict.fromkeys(FIELDS, 0) | {"kind": kind, "instrument": 5, "sequence": self.sequence} | fields
        return self.twins.apply(event)

    def add(self, order_id: int, side: int, price: int, quantity: int, **fields: int) -> int:
        return self.tell(ADD, order_id=order_id, side=side, price=price, quantity=quantity, **fields)

    def flags(self, instrument: int = 5) -> int:
        return int(self.twins.rows["flags"][instrument])

    def levels(self, side: int, limit: int | None = None) -> list[tuple[int, int, int]]:
        return book_reader.levels(self.twins.store.handle, 5, side, limit)


def test_an_order_id_of_zero_is_an_order_like_any_other():
    story = Story()
    assert story.add(0, BUY, 10_000, 7) == 1
    assert story.levels(BUY) == [(10_000, 7, 1)]
    assert story.tell(DELETE, order_id=0) == 1
    assert story.levels(BUY) == []
    assert story.tell(DELETE, order_id=0) == 0
    assert reasons_of(story.twins.counters) == {"FEED_ORDER_UNKNOWN": 1}


def test_levels_come_best_first_from_both_trees():
    story = Story()
    for order_id, price in enumerate([10_000, 10_001, 9_999, 0, -1, -9_900, 1 << 61, -(1 << 62), (1 << 62) - 1]):
        story.add(order_id, SELL, price, 1)
    prices = [price for price, _, _ in story.levels(SELL)]
    assert prices == [-(1 << 62), -9_900, -1, 0, 9_999, 10_000, 10_001, 1 << 61, (1 << 62) - 1]
    assert [price for price, _, _ in story.levels(SELL, 2)] == [-(1 << 62), -9_900]
    story.twins.compare()


def test_an_execution_keeps_the_place_in_the_queue_and_a_replacement_loses_it():
    story = Story()
    for order_id in (1, 2, 3):
        story.add(order_id, BUY, 10_000, 10)
    story.tell(EXECUTE, order_id=1, quantity=4)
    story.tell(REPLACE, order_id=2, other_id=20, price=10_000, quantity=10)
    assert book_reader.queue(story.twins.store.handle, 5, BUY, 10_000) == [(1, 6), (3, 10), (20, 10)]


def test_a_replacement_that_restores_the_top_is_no_change_of_the_top():
    story = Story()
    story.add(1, BUY, 10_000, 10)
    assert story.tell(REPLACE, order_id=1, other_id=2, price=10_000, quantity=10) == 0
    assert story.tell(REPLACE, order_id=2, other_id=2, price=10_000, quantity=11) == 1


def test_a_gap_marks_every_book_stale_even_those_that_come_later():
    story = Story()
    story.add(1, BUY, 10_000, 10)
    story.add(2, BUY, 10_000, 10, instrument=6)
    story.tell(GAP, quantity=3)
    story.tell(GAP, quantity=3)
    story.add(3, BUY, 10_000, 10, instrument=7)
    for instrument in (5, 6, 7):
        assert story.flags(instrument) & (STALE | VALID) == STALE


def test_a_mark_that_was_undone_for_one_book_is_made_again():
    story = Story()
    story.add(1, BUY, 10_000, 10)
    story.add(2, BUY, 10_000, 10, instrument=6)
    story.tell(GAP, quantity=1)
    story.tell(CLEAR)
    assert story.flags() & (STALE | VALID) == VALID
    assert story.flags(6) & (STALE | VALID) == STALE
    story.tell(GAP, quantity=1)
    assert story.flags() & (STALE | VALID) == STALE


def test_an_unknown_order_faults_a_complete_book_only():
    complete, joined_late = Story(flags=VALID), Story(flags=0)
    for story in (complete, joined_late):
        story.tell(EXECUTE, order_id=99, quantity=1)
        assert reasons_of(story.twins.counters) == {"FEED_ORDER_UNKNOWN": 1}
    assert complete.flags() & FAULT
    assert not joined_late.flags() & (FAULT | VALID)


def test_more_than_is_left_removes_the_order_and_faults_the_book():
    for kind in (EXECUTE, REDUCE):
        story = Story()
        story.add(1, BUY, 10_000, 10)
        story.tell(kind, order_id=1, quantity=11)
        assert story.levels(BUY) == []
        assert story.flags() & FAULT
        assert reasons_of(story.twins.counters) == {"FEED_QUANTITY_EXCESS": 1}


def test_an_order_under_another_instrument_is_left_alone_and_both_books_are_faulted():
    story = Story()
    story.add(1, BUY, 10_000, 10)
    story.tell(DELETE, order_id=1, instrument=6)
    assert story.levels(BUY) == [(10_000, 10, 1)]
    assert story.flags(5) & FAULT
    assert story.flags(6) & FAULT


def test_a_crossed_book_is_flagged_and_counted_once_per_crossing():
    story = Story()
    story.add(1, BUY, 10_000, 1)
    story.add(2, SELL, 10_000, 1)
    story.add(3, SELL, 9_000, 1)
    assert story.flags() & CROSSED
    story.tell(DELETE, order_id=1)
    assert not story.flags() & CROSSED
    story.add(4, BUY, 9_000, 1)
    assert story.twins.counters["crossed"][0] == 2


def test_a_replacement_across_the_cross_counts_once():
    story = Story()
    story.add(1, BUY, 10_000, 1)
    story.add(2, SELL, 9_000, 1)
    story.tell(REPLACE, order_id=1, other_id=3, price=9_900, quantity=1)
    assert story.twins.counters["crossed"][0] == 1


def test_prints_move_the_last_price_unless_they_do_not_count():
    story = Story()
    story.add(1, BUY, 10_000, 10)
    story.tell(EXECUTE, order_id=1, quantity=1)
    assert story.twins.rows["last_price"][5] == 10_000
    story.tell(EXECUTE, order_id=1, quantity=1, flags=value("EVENT_PRICED"), price=10_050)
    assert story.twins.rows["last_price"][5] == 10_050
    story.tell(EXECUTE, order_id=1, quantity=1, flags=value("EVENT_NON_PRINTABLE"))
    story.tell(TRADE, quantity=0, price=1)
    assert story.twins.rows["last_price"][5] == 10_050
    story.tell(TRADE, quantity=5, price=10_020)
    assert story.twins.rows["last_price"][5] == 10_020


def test_names_and_trading_states_reach_the_row():
    story = Story()
    story.tell(DELETE, order_id=77)
    assert book_reader.instruments(story.twins.store.handle) == [(5, "")]
    story.tell(INSTRUMENT, order_id=SYMBOL, quantity=100, price=100)
    story.tell(STATUS, order_id=SYMBOL, quantity=value("TRADING_HALTED"))
    story.add(1, BUY, 10_000, 1, instrument=9, other_id=SYMBOL)
    assert book_reader.instruments(story.twins.store.handle) == [(5, "ACME"), (9, "ACME")]
    assert story.twins.rows["trading"][5] == value("TRADING_HALTED")
    story.tell(STATUS, order_id=SYMBOL, quantity=9)
    assert story.twins.rows["trading"][5] == value("TRADING_UNKNOWN")


def test_a_new_session_begins_with_empty_books():
    stream, twins = Stream(41), Twins()
    for _ in range(3000):
        twins.apply(stream.draw())
    for first_sequence, flags in ((1, VALID), (500, 0)):
        twins.begin_session(first_sequence)
        twins.compare()
        assert twins.store.handle[0]["orders_live"] == 0
        assert not book_reader.orders(twins.store.handle)["quantity"].any()
        for row in twins.rows:
            assert not any(row[name] for name in ("bid_quantity", "ask_quantity", "orders", "trading", "last_price"))
            assert row["flags"] in (0, flags | value("BOOK_KNOWN"))
            assert not any(row[side][root] for side in ("bid", "ask") for root in ("root", "fine_root", "levels"))


def test_an_instrument_beyond_the_table_is_refused():
    story = Story(instruments=8)
    assert story.add(1, BUY, 10_000, 1, instrument=8) == 0
    assert story.add(1, BUY, 10_000, 1, instrument=(1 << 32) - 1) == 0
    assert reasons_of(story.twins.counters) == {"FEED_MESSAGE_FIELD": 2}


def test_a_fresh_store_leaves_its_memory_untouched():
    store = book_store.OwnedStore(instruments=64, nodes=64, orders=512)
    assert not any(body.any() for body in store.memory)
    assert all(body.ctypes.data % 64 == 0 for body in store.memory)
    assert [len(body) for body in store.memory] == [
        64 * size("book"),
        64 * size("book_node"),
        512 * size("book_order"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders": 256},
        {"orders": 1000},
        {"nodes": 1},
        {"instruments": 65_537},
        {"tick": 0},
        {"tick": (1 << 40) + 1},
        {"depth": -1},
        {"multiplier": 2},
    ],
)
def test_an_impossible_capacity_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        book_store.make_store(64, 64, 64, **wrong)


def test_memory_that_begins_inside_a_line_is_refused():
    with pytest.raises(ValueError, match="64"):
        book_store.make_store(64, 72, 64)


def test_the_reader_survives_a_torn_tree():
    story = Story()
    for order_id in range(200):
        story.add(order_id, BUY, 10_000 + order_id * 100, 1)
    nodes = book_reader.nodes(story.twins.store.handle)
    random = np.random.default_rng(3)
    for _ in range(200):
        nodes["branch"]["children"][1][random.integers(64)] = random.integers(1 << 32)
        nodes["branch"]["occupied"][1] = random.integers(1 << 63)
        for _, quantity, _ in story.levels(BUY):
            assert quantity > 0
