"""Each control after the trade on its boundary: it fires on the tick, and not one tick before."""

import numpy as np
import pytest

from gateway import layout
from gateway.config import load
from gateway.control_sections import PostTrade
from gateway.core.memory import FRACTION_ONE
from gateway.errors import ConfigurationError
from gateway.ops.balance_watch import BalanceWatch
from gateway.ops.equity_watch import EquityWatch
from gateway.ops.gap_watch import GapWatch
from gateway.ops.slippage_watch import SlippageWatch
from gateway.ops.strategy_watch import StrategyWatch, results_of
from gateway.ops.unknown_watch import UnknownWatch

S, MS = 10**9, 10**6
MORNING = 1_767_600_000 * S  # 2026-01-05, 08:00 UTC
SETTINGS = PostTrade()


def controls(breaches):
    return [breach.control for breach in breaches]


# ---- DRAWDOWN, DAILY -------------------------------------------------------------------------------------------------


def test_drawdown_fires_at_five_percent_of_the_hours_highest_and_not_one_unit_before():
    watch = EquityWatch(SETTINGS)
    watch.look(MORNING, 1_000_000)
    assert watch.look(MORNING + S, 950_001) == []
    assert controls(watch.look(MORNING + 2 * S, 950_000)) == ["DRAWDOWN"]
    assert (watch.drawdown_max, watch.drawdown_max_ppm) == (50_000, 50_000)


def test_drawdown_is_measured_in_a_window_that_rolls():
    watch = EquityWatch(PostTrade(drawdown_s=3600))
    watch.look(MORNING, 1_000_000)
    watch.look(MORNING + 1800 * S, 960_000)
    assert controls(watch.look(MORNING + 3600 * S, 950_000)) == ["DRAWDOWN"]
    assert watch.look(MORNING + 3601 * S, 950_000) == [], "the highest has left the window"
    assert controls(watch.look(MORNING + 3602 * S, 912_000)) == ["DRAWDOWN"]


@pytest.mark.parametrize("equity", [0, -1, 1 << 62, -(1 << 63)])
def test_equity_that_is_no_number_an_account_has_is_the_loss_of_everything(equity):
    assert controls(EquityWatch(SETTINGS).look(MORNING, equity)) == ["DRAWDOWN", "DAILY"]


def test_daily_fires_at_three_percent_of_the_days_beginning_in_its_zone():
    watch = EquityWatch(PostTrade(zone="America/New_York", drawdown_ppm=1_000_000))
    midnight = 1_767_589_200 * S  # 2026-01-05, 00:00 in New York
    assert watch.turn_day(midnight - 1, 2_000_000) is False
    assert watch.turn_day(midnight, 1_000_000) is True and watch.turn_day(midnight + 1, 7) is False
    assert watch.look(midnight + S, 970_001) == []
    assert controls(watch.look(midnight + S, 970_000)) == ["DAILY"]
    assert watch.turn_day(midnight + 86_400 * S - 1, 970_000) is False
    assert watch.turn_day(midnight + 86_400 * S, 970_000) is True
    assert watch.look(midnight + 86_401 * S, 970_000) == []


def test_a_clock_that_steps_back_begins_no_day():
    watch = EquityWatch(SETTINGS)
    watch.turn_day(MORNING, 1_000_000)
    assert watch.turn_day(MORNING - 86_400 * S, 500_000) is False and watch.day_base == 1_000_000


def test_marks_outlive_the_watch():
    first, second = EquityWatch(SETTINGS), EquityWatch(SETTINGS)
    first.turn_day(MORNING, 1_000_000)
    first.look(MORNING, 1_000_000)
    second.restore(first.state())
    assert controls(second.look(MORNING + S, 950_000)) == ["DRAWDOWN", "DAILY"]


def test_after_a_human_resumed_falls_are_measured_from_there():
    watch = EquityWatch(SETTINGS)
    watch.turn_day(MORNING, 1_000_000)
    watch.look(MORNING, 1_000_000)
    assert watch.look(MORNING + S, 900_000)
    watch.resume()
    assert watch.look(MORNING + 2 * S, 900_000) == [] and watch.look(MORNING + 3 * S, 873_001) == []
    assert controls(watch.look(MORNING + 4 * S, 873_000)) == ["DAILY"]


# ---- SIZE, STRATEGY ------------------------------------------------------------------------------------------------


def test_a_strategy_is_reduced_at_two_percent_and_halted_at_four():
    watch = StrategyWatch(SETTINGS, ["main"])
    watch.look(MORNING, {"main": 5_000}, 1_000_000)
    assert watch.look(MORNING + S, {"main": -14_999}, 1_000_000) == []
    assert controls(watch.look(MORNING + S, {"main": -15_000}, 1_000_000)) == ["SIZE"]
    assert controls(watch.look(MORNING + S, {"main": -34_999}, 1_000_000)) == ["SIZE"]
    assert controls(watch.look(MORNING + S, {"main": -35_000}, 1_000_000)) == ["SIZE", "STRATEGY"]


def test_each_strategy_has_its_own_window():
    watch = StrategyWatch(SETTINGS, ["one", "two"])
    watch.look(MORNING, {"one": 0, "two": 0}, 1_000_000)
    found = watch.look(MORNING + S, {"one": 100_000, "two": -20_000}, 1_000_000)
    assert [(breach.control, breach.what) for breach in found] == [("SIZE", "strategy=two")]


@pytest.mark.parametrize("equity", [0, -5])
def test_without_equity_every_fall_halts(equity):
    watch = StrategyWatch(SETTINGS, ["main"])
    assert watch.look(MORNING, {"main": 0}, equity) == []
    assert controls(watch.look(MORNING, {"main": -1}, equity)) == ["SIZE", "STRATEGY"]


def test_results_are_cash_and_marked_positions_in_the_accounts_currency_rounded_down():
    rows, holdings = np.zeros(3, layout.dtype("gate_row")), np.zeros((2, 3), layout.dtype("gate_holding"))
    rates = np.zeros(16, layout.dtype("gate_rate"))
    rates["fraction"][:2] = FRACTION_ONE, FRACTION_ONE // 2
    rows["mark"], rows["currency"][2] = 1000, 1
    holdings["position"][0, 1], holdings["cash"][0, 1] = 10, -9_900
    holdings["position"][1, 2], holdings["cash"][1, 2] = -3, 2_999
    rows["position"], rows["cash"] = [0, 10, -3], [0, -9_900, 2_999]
    assert results_of(rows, holdings, rates, np.array([1, 2])) == ([100, -1], [(0, 0), (0, 0)])
    rows["position"][1] = 15
    assert results_of(rows, holdings, rates, np.array([1, 2]))[1] == [(5, 0), (0, 0)]


# ---- SLIPPAGE --------------------------------------------------------------------------------------------------------


def record(kind, reference, side="BUY", price=0, intent_price=1_010_000, bid=0, ask=0, quantity=100, strategy=0, reasons=0):
    row = np.zeros(1, dtype=layout.dtype("journal_slot"))
    row["kind"], row["reference"], row["reasons"] = layout.value(f"JOURNAL_{kind}"), reference, reasons
    row["price"], row["bid"], row["ask"], row["quantity"] = price, bid, ask, quantity
    row["intent"]["kind"] = layout.value("INTENT_NEW") if kind == "DECISION" else 0
    row["intent"]["side"], row["intent"]["price"] = layout.value(f"SIDE_{side}"), intent_price
    row["intent"]["quantity"], row["intent"]["strategy"] = quantity, strategy
    return row


def fill(reference, price, **fields):
    return record("REPORT", reference, price=price, reasons=ord("E"), **fields)


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


class Compared:
    """Stands for the comparison with the venue."""

    def __init__(self):
        self.observers, self.asked = [], 0

    def ask(self):
        self.asked += 1

    def find(self, **differences):
        for observer in self.observers:
            observer({name.replace("_", " "): text for name, text in differences.items()})


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


# ---- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["drawdown_ppm", "drawdown_s", "daily_ppm", "size_ppm", "strategy_ppm", "slippage_ppm", "gap_ms", "silence_s"]
)
@pytest.mark.parametrize("number", [0, -1, 2**63, "nan", float("nan"), float("inf")], ids=str)
def test_a_bound_of_zero_below_it_beyond_everything_or_no_number_is_refused(key, number):
    with pytest.raises(ConfigurationError, match=f"post_trade.{key}"):
        load(None, {f"post_trade.{key}": number})


@pytest.mark.parametrize(
    "fields",
    [
        {"size_ppm": 40_000},
        {"confirm_ms": 59_000},
        {"off": ["CHEESE"]},
        {"off": ["REPEAT"]},
        {"kill": ["GAP"], "off": ["GAP"]},
        {"zone": "Mars/Phobos"},
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(fields):
    with pytest.raises(ConfigurationError, match="post_trade"):
        load(None, {f"post_trade.{key}": number for key, number in fields.items()})
