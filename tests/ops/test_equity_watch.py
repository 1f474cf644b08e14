"""Controls after the trade on what the account and each strategy is worth, each on its boundary; and their settings."""

import numpy as np
import pytest

from gateway import layout
from gateway.config import load
from gateway.control_sections import PostTrade
from gateway.core.memory import FRACTION_ONE
from gateway.errors import ConfigurationError
from gateway.ops.equity_watch import EquityWatch
from gateway.ops.strategy_watch import StrategyWatch, results_of
from tests.post_trade_desk import controls

S = 10**9
MORNING = 1_767_600_000 * S  # 2026-01-05, 08:00 UTC
SETTINGS = PostTrade()


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
