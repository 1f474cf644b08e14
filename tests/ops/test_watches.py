"""Controls after the trade on fills, books and the venue's word, each on its boundary: not one tick before."""

import numpy as np
import pytest

from gateway import layout
from gateway.control_sections import PostTrade
from gateway.ops.balance_watch import BalanceWatch
from gateway.ops.gap_watch import GapWatch
from gateway.ops.slippage_watch import SlippageWatch
from gateway.ops.unknown_watch import UnknownWatch
from tests.post_trade_desk import Compared, controls, fill, record

S = 10**9
MORNING = 1_767_600_000 * S  # 2026-01-05, 08:00 UTC
SETTINGS = PostTrade()


# ---- SLIPPAGE --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "last", "beyond"), [("BUY", 1_010_000, 1_010_001), ("SELL", 990_000, 989_999)])
def test_a_fill_may_be_one_percent_worse_than_what_its_decision_saw_and_not_one_unit_more(side, last, beyond):
    watch = SlippageWatch(SETTINGS, {0: "main"})
    watch.look(record("DECISION", 5, side, bid=1_000_000, ask=1_000_000))
    assert watch.look(fill(5, last, side=side)) == [] and watch.worst_ppm == 10_000
    found = watch.look(fill(5, beyond, side=side))
    assert [(breach.control, breach.what) for breach in found] == [("SLIPPAGE", "strategy=main")]


def test_a_better_fill_slips_nowhere():
    watch = SlippageWatch(SETTINGS, {0: "main"})
    watch.look(record("DECISION", 5, ask=1_000_000))
    assert watch.look(fill(5, 1)) == [] and watch.worst_ppm == 0


@pytest.mark.parametrize(
    "decided", [[], [record("DECISION", 5, ask=0)], [record("DECISION", 5 + 65536, ask=1)]], ids=["none", "empty", "other"]
)
def test_without_a_price_of_the_decision_the_orders_own_is_the_reference(decided):
    watch = SlippageWatch(SETTINGS, {0: "main"})
    for row in decided:
        watch.look(row)
    assert watch.look(fill(5, 1_020_100)) == []
    assert controls(watch.look(fill(5, 1_020_101))) == ["SLIPPAGE"]


def test_a_refused_decision_and_a_fill_of_nobodys_order_are_no_slippage():
    watch = SlippageWatch(SETTINGS, {0: "main"})
    watch.look(record("DECISION", 5, ask=1, reasons=1))
    assert watch.look(fill(5, 1_010_000)) == []
    assert watch.look(fill(9, 5_000_000, quantity=0, intent_price=0)) == []
    assert watch.look(fill(9, 5_000_000, strategy=7)) == [], "control's own orders take what they get"


def test_a_fill_of_an_order_without_any_price_halts():
    watch = SlippageWatch(SETTINGS, {0: "main"})
    assert controls(watch.look(fill(5, 1, intent_price=0))) == ["SLIPPAGE"]


# ---- GAP -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def books():
    rows = np.zeros(4, dtype=layout.dtype("book"))
    rows["symbol"] = b"AAPL    "
    rows["flags"] = layout.value("BOOK_VALID")
    return rows


def test_a_gap_halts_its_instrument_after_a_second_and_not_a_nanosecond_sooner(books):
    watch, permitted = GapWatch(SETTINGS), np.array([1, 2])
    assert watch.look(MORNING, books, permitted) == []
    books["flags"][[2, 3]] = layout.value("BOOK_STALE")
    books["stale_since_ns"][[2, 3]] = MORNING
    assert watch.look(MORNING + S - 1, books, permitted) == []
    found = watch.look(MORNING + S, books, permitted)
    assert [(breach.control, breach.what) for breach in found] == [("GAP", "instrument=AAPL")]
    assert watch.look(MORNING + 2 * S, books, permitted) == [], "a gap is told of once"
    books["stale_since_ns"][2] = MORNING + 5 * S
    assert len(watch.look(MORNING + 6 * S, books, permitted)) == 1


def test_a_book_that_never_was_valid_and_one_that_healed_in_time_have_no_gap(books):
    watch, permitted = GapWatch(SETTINGS), np.array([1, 2])
    books["flags"][1] = layout.value("BOOK_STALE")
    books["stale_since_ns"][1] = 1
    assert watch.look(MORNING, books, permitted) == []
    books["flags"][2], books["stale_since_ns"][2] = layout.value("BOOK_STALE"), MORNING
    assert watch.look(MORNING + S // 2, books, permitted) == []
    books["flags"][2] = layout.value("BOOK_VALID")
    assert watch.look(MORNING + 2 * S, books, permitted) == []


def test_a_gap_of_the_far_future_fires_and_one_of_this_moment_does_not(books):
    watch, permitted = GapWatch(SETTINGS), np.array([1, 2])
    watch.look(MORNING, books, permitted)
    books["flags"][1], books["stale_since_ns"][1] = layout.value("BOOK_STALE"), MORNING + S
    assert watch.look(MORNING, books, permitted) == []
    books["stale_since_ns"][1] = MORNING + S + 1
    assert len(watch.look(MORNING, books, permitted)) == 1


# ---- UNKNOWN ---------------------------------------------------------------------------------------------------------


def test_an_order_may_be_unknown_for_five_seconds_and_not_a_nanosecond_more():
    watch = UnknownWatch(SETTINGS)
    assert watch.look(MORNING, [7]) == []
    assert watch.look(MORNING + 5 * S - 1, [7, 8]) == []
    found = watch.look(MORNING + 5 * S, [7, 8])
    assert controls(found) == ["UNKNOWN"] and " 7;" in found[0].why and " 8" not in found[0].why
    assert watch.look(MORNING + 6 * S, [7, 8]) == []
    assert controls(watch.look(MORNING + 10 * S, [7, 8])) == ["UNKNOWN"]


def test_an_order_that_was_resolved_begins_anew():
    watch = UnknownWatch(SETTINGS)
    watch.look(MORNING, [7])
    watch.look(MORNING + S, [])
    watch.look(MORNING + 2 * S, [7])
    assert watch.look(MORNING + 7 * S - 1, [7]) == []
    assert watch.look(MORNING + 7 * S, [7])


# ---- BALANCE, ORDERS -------------------------------------------------------------------------------------------------


def test_one_unit_of_a_position_and_one_order_each_halt_by_their_own_control():
    compared = Compared()
    watch = BalanceWatch(SETTINGS, compared)
    compared.find()
    assert watch.look(MORNING, True) == [] and watch.comparisons == 1
    compared.find(position_AAPL="ours 5, venue's 4")
    found = watch.look(MORNING + S, True)
    assert controls(found) == ["BALANCE"] and found[0].what == "account" and "position AAPL ours 5" in found[0].why
    assert watch.look(MORNING + 2 * S, True) == [], "said once for each comparison"
    compared.find(order_7="ours not open, venue's buy 5 AAPL at 3")
    assert controls(watch.look(MORNING + 3 * S, True)) == ["ORDERS"]
    compared.find(order_7="x", position_A="y", reports="ours 5, venue's 6")
    found = watch.look(MORNING + 4 * S, True)
    assert controls(found) == ["BALANCE", "ORDERS"] and found[0].why.startswith("2 differ")


def test_two_minutes_without_a_comparison_halt_and_not_a_nanosecond_less():
    compared = Compared()
    watch = BalanceWatch(SETTINGS, compared)
    assert watch.look(MORNING, True) == []
    assert watch.look(MORNING + 120 * S - 1, True) == []
    assert controls(watch.look(MORNING + 120 * S, True)) == ["BALANCE"]
    compared.find()
    assert watch.look(MORNING + 121 * S, True) == [] and watch.look(MORNING + 241 * S - 1, True) == []
    assert watch.look(MORNING + 500 * S, False) == [], "no order session: nothing can be compared"
    assert watch.look(MORNING + 620 * S - 1, True) == []
    assert controls(watch.look(MORNING + 620 * S, True)) == ["BALANCE"]
    watch.resume()
    assert compared.asked == 1 and watch.look(MORNING + 621 * S, True) == []
