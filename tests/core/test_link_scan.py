"""The scan of the link ⑤→ core_link: bounded turns, what crosses its cursor, who gives way to whom."""

import numpy as np
import pytest

from gateway import limits
from gateway.core import book_reader
from gateway.layout import value
from gateway.link.streams import records
from tests.core.test_link_tap import event, kinds, order
from tests.link_regions import Source, orders_of
from tests.naive import DELETE, LEVEL, OVERLAY, REPLACE
from tests.naive_trust import BUY, SELL

ORDERS, LEVELS = value("SCAN_ORDERS"), value("SCAN_LEVELS")
BUSY = limits.LINK_SCAN_ROWS_BUSY


def row_of(region: Source, order_id: int) -> int:
    rows = book_reader.orders(region.store.handle)
    return int(np.flatnonzero((rows["order_id"] == order_id) & (rows["quantity"] != 0))[0])


def reach(region: Source, phase: int, cursor: int = 0) -> None:
    """Turns until the scan is there."""
    while region.phase < phase or (region.phase == phase and region.tap["cursor"][0] < cursor):
        region.turn(1)
    assert region.phase == phase


def test_a_scan_tells_every_book_order_level_and_what_it_is_worth():
    region = Source()
    region.begin_session(1, 0)
    for number in range(40):
        region.apply(order(number, instrument=number % 3, price=100 + number))
    for price in range(10):
        region.apply(event(LEVEL, instrument=5, side=1 + price % 2, price=price, quantity=9, order_id=4))
    region.take()
    region.ask()
    region.scan()
    batch = region.take()
    assert records.is_scan(batch).all()
    told = kinds(batch)
    content = ["BOOK"] * 4 + ["ORDER"] * 40 + ["LEVEL"] * 10 + ["CHANNEL"] + ["SETTLED"] * 4
    assert told == ["SCAN_BEGIN", *content, "SCAN_END"]
    orders = batch[batch["kind"] == records.ORDER]
    priorities = {int(row["event"]["order_id"]): int(row["priority"]) for row in orders}
    assert priorities == {order_id: row[-1] for order_id, row in orders_of(region.store).items()}
    levels = batch["event"][batch["kind"] == records.LEVEL]
    for side, best_first in ((BUY, [8, 6, 4, 2, 0]), (SELL, [1, 3, 5, 7, 9])):
        assert levels["price"][levels["side"] == side].tolist() == best_first
    settled = records.books(batch)[batch["kind"] == records.SETTLED]
    assert settled["orders"].tolist() == [14, 13, 13, 0] and settled["bid_levels"].tolist()[3] == 5
    assert batch["count"][-1] == 4 and batch["scan"][0] == batch["scan"][-1] == 1


def test_an_empty_store_is_scanned_too():
    region = Source()
    region.ask()
    region.scan()
    assert kinds(region.take()) == ["SCAN_BEGIN", "SCAN_END"]


@pytest.mark.parametrize(("worked", "rows"), [(0, limits.LINK_SCAN_ROWS), (3, BUSY)])
def test_a_turn_looks_at_a_bounded_number_of_rows_fewer_where_core_had_work(worked, rows):
    region = Source(orders=1 << 12)
    for number in range(1500):
        region.apply(order(number))
    region.take()
    region.ask()
    turns = 0
    while looked := region.turn(worked):
        assert looked <= rows + 1 and len(region.take()) <= 2 * rows
        turns += 1
    assert turns >= (1 << 12) // rows


def test_nobody_asks_and_nothing_is_scanned():
    region = Source()
    region.apply(order(1))
    region.take()
    assert region.turn() == 0 and len(region.take()) == 0


def test_who_asks_within_a_scan_gets_another_behind_it_and_three_get_one():
    region = Source()
    region.ask()
    region.turn()
    for _ in range(3):
        region.ask()
    region.scan()
    assert kinds(region.take()) == ["SCAN_BEGIN", "SCAN_END"] * 2 and region.tap["scans"][0] == 2


def test_a_scan_waits_while_half_the_ring_is_taken_and_goes_on_behind_it():
    region = Source(ring_depth=256)
    region.ask()
    for number in range(140):
        region.apply(order(number))
    assert region.turn() == 0 and region.phase == 0
    region.take()
    assert region.turn() > 0 and region.phase != 0


def test_a_full_ring_gives_the_scan_up_and_it_begins_anew():
    region = Source(ring_depth=256)
    for number in range(100):
        region.apply(order(number))
    region.take()
    region.ask()
    reach(region, ORDERS)
    for number in range(100, 400):
        region.apply(order(number))
    assert region.phase == 0 and region.tap["given_up"][0] == 1 and region.tap["answered"][0] == 0
    assert "SCAN_END" not in kinds(region.take())
    found = []
    while region.turn(1):
        found += kinds(region.take())
    assert found[:2] == ["LOST", "SCAN_BEGIN"] and found.count("SCAN_END") == 1


def test_a_run_ends_the_scan_and_another_begins():
    region = Source()
    region.apply(order(1))
    region.ask()
    reach(region, ORDERS)
    region.begin_session(1, 0)
    region.scan()
    told = kinds(region.take())
    assert told.count("SCAN_BEGIN") == 2 and told.count("SCAN_END") == 1
    assert told.index("RUN") < len(told) - 1 - told[::-1].index("SCAN_BEGIN")


def crossing() -> tuple[Source, int, int]:
    """A source whose scan stands between two orders: (source, scanned id, id that is not yet)."""
    region = Source()
    for number in range(200):
        region.apply(order(number))
    region.take()
    region.ask()
    reach(region, ORDERS, (1 << 12) // 2)
    region.take()
    rows = {number: row_of(region, number) for number in range(200)}
    first, last = min(rows, key=rows.__getitem__), max(rows, key=rows.__getitem__)
    assert rows[first] < region.tap["cursor"][0] <= rows[last]
    return region, first, last


def marks(batch: np.ndarray) -> list[tuple[str, int]]:
    return list(zip(kinds(batch), batch["flags"].tolist(), strict=True))


def test_an_order_whose_row_is_scanned_is_told_plainly_and_another_as_unscanned():
    region, scanned, unscanned = crossing()
    region.apply(event(DELETE, order_id=scanned))
    region.apply(event(DELETE, order_id=unscanned))
    region.apply(event(DELETE, order_id=987654))  # nobody has it
    assert marks(region.take()) == [("DELETE", 0), ("DELETE", records.UNSCANNED), ("DELETE", records.UNSCANNED)]


def test_the_row_at_the_cursor_itself_is_not_scanned_yet_and_the_one_before_it_is():
    region, chosen = Source(), {}
    for number in range(20_000):
        region.apply(order(number))
        place = row_of(region, number)
        if place in (BUSY * 8, BUSY * 8 - 2):
            chosen[place] = number
        else:
            region.apply(event(DELETE, order_id=number))
        region.take()
        if len(chosen) == 2:
            break
    region.ask()
    reach(region, ORDERS, BUSY * 8)
    assert region.tap["cursor"][0] == BUSY * 8
    region.take()
    for place in (BUSY * 8, BUSY * 8 - 2):
        region.apply(event(DELETE, order_id=chosen[place]))
    assert marks(region.take()) == [("DELETE", records.UNSCANNED), ("DELETE", 0)]


def new_ids(region: Source) -> tuple[int, int]:
    """Ids whose rows will be in front of the cursor, and behind it."""
    found: dict[bool, int] = {}
    probe = Source()
    for number in range(1000, 1400):
        probe.apply(order(number))
        found.setdefault(row_of(probe, number) < int(region.tap["cursor"][0]), number)
        probe.apply(event(DELETE, order_id=number))
    return found[True], found[False]


def test_a_replacement_across_the_cursor_is_told_in_its_scanned_half_too():
    region, scanned, unscanned = crossing()
    near, far = new_ids(region)
    region.apply(event(REPLACE, order_id=scanned, other_id=far, price=300, quantity=4))
    batch = region.take()
    assert marks(batch) == [("DELETE", records.JOINING), ("REPLACE", records.UNSCANNED)]
    assert batch["event"]["order_id"].tolist() == [scanned, scanned]
    region.apply(event(REPLACE, order_id=unscanned, other_id=near, price=500, quantity=6))
    batch = region.take()
    assert marks(batch) == [("ADD", records.JOINING), ("REPLACE", records.UNSCANNED)]
    half = batch["event"][0]
    assert (half["order_id"], half["price"], half["quantity"], half["side"]) == (near, 500, 6, 1)
    assert batch["arrivals"][0] == batch["arrivals"][1]


def test_new_orders_are_scanned_or_not_by_the_row_they_take():
    region, _, _ = crossing()
    near, far = new_ids(region)
    region.apply(order(near))
    region.apply(order(far))
    region.apply(order(near))  # refused: it is alive
    assert marks(region.take()) == [("ADD", 0), ("ADD", records.UNSCANNED), ("ADD", records.UNSCANNED)]


def test_levels_are_scanned_from_the_best_through_the_last_one_told():
    region = Source()
    for price in range(1, 201):
        region.apply(event(LEVEL, instrument=0, side=SELL, price=100 * price, quantity=5))
    region.take()
    region.ask()
    reach(region, LEVELS)
    region.turn(1)
    region.take()
    last = int(region.tap["price"][0])
    assert 0 < last < 20_000 and region.tap["side"][0] == SELL

    def say(price: int, side: int = SELL, **fields: int) -> list[tuple[str, int]]:
        region.apply(event(fields.pop("kind", LEVEL), instrument=0, side=side, price=price, **{"quantity": 3} | fields))
        return marks(region.take())

    assert say(last) == [("LEVEL", 0)] and say(100) == [("LEVEL", 0)]
    assert say(last + 1) == [("LEVEL", records.UNSCANNED)]
    assert say(50, side=BUY) == [("LEVEL", 0)]  # that side was told already, it was empty
    assert say(last + 5, kind=OVERLAY, order_id=1 << 32) == [
        ("LEVEL", records.JOINING),
        ("LEVEL_OVERLAY", records.UNSCANNED),
    ]
    assert say(100, kind=OVERLAY, order_id=2 << 32) == [("LEVEL_OVERLAY", 0)]
    assert say(0, kind=OVERLAY, order_id=999 << 32) == [("LEVEL_OVERLAY", records.UNSCANNED)]
    region.apply(order(1, instrument=0))  # refused: levels stand there
    assert marks(region.take()) == [("ADD", records.UNSCANNED)]
