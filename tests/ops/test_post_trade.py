"""The controls after the trade over an instance's memory: what they halt, tell, and let go."""

import os

import numpy as np
import pytest

from gateway import layout
from gateway.cli.main import main
from gateway.ops import disabled, post_trade_record, resumption
from gateway.ops.breach import Breach
from gateway.ops.halts import BITS, word_of
from gateway.ops.post_trade import PostTrade
from gateway.ops.summary import post_trade as summary_of
from tests.post_trade_desk import (
    CAPITAL,
    MORNING,
    MS,
    Compared,
    S,
    code_now,
    configuration_file,
    controls_in,
    fill,
    record,
)


@pytest.fixture
def control(tmp_path):
    with controls_in(tmp_path / "state") as make:
        yield make


@pytest.fixture
def file(tmp_path):
    return configuration_file(tmp_path)


def test_a_drawdown_halts_the_account_before_it_is_told_and_its_file_is_written_between(control, monkeypatch):
    running, order = control(), []
    running.turn(turns=3)
    real = post_trade_record.write

    def write(state, what):
        order.append(("file", int(running.account["halted"])))
        real(state, what)

    monkeypatch.setattr(post_trade_record, "write", write)
    running.controls._tell = lambda line: order.append(("told", line.split()[0]))
    running.account["profit_value"] = -CAPITAL * 5 // 100 + 1
    running.turn()
    assert running.account["halted"] & BITS["DRAWDOWN"] == 0
    order.clear()
    running.account["profit_value"] = -CAPITAL * 5 // 100
    running.turn()
    assert order[0] == ("file", BITS["DRAWDOWN"] | BITS["DAILY"]) and order[1] == ("told", "DRAWDOWN")
    running.turn(turns=200)
    assert (running.fired("DRAWDOWN"), running.fired("DAILY")) == (1, 1), "a halt that stands fires once"
    assert summary_of(running.instance)["max_drawdown"] == 0.05


def test_what_is_halted_stays_halted_over_a_restart_and_the_window_with_it(control):
    first = control()
    first.turn(turns=3)
    first.account["profit_value"] = -CAPITAL * 3 // 100
    first.turn()
    assert first.account["halted"] == BITS["DAILY"]
    second = control()  # no close: the first one crashed
    assert second.account["halted"] == BITS["DAILY"], "before a core starts"
    second.now = first.now
    second.turn()
    assert second.told == [] and second.controls.equity.equity_high == CAPITAL
    second.account["profit_value"] = -CAPITAL * 5 // 100
    second.turn()
    assert second.account["halted"] == BITS["DAILY"] | BITS["DRAWDOWN"], "measured from the first run's highest"


def test_a_halt_of_the_day_ends_with_it_and_a_drawdowns_does_not(control):
    running = control()
    running.turn()
    running.account["profit_value"] = -CAPITAL * 5 // 100
    running.turn()
    running.now += 86_400 * S
    running.turn(turns=2)
    assert running.account["halted"] == BITS["DRAWDOWN"] and "new day" in running.told[-1]


def test_a_strategy_is_halved_then_halted_and_the_gate_has_both_words(control):
    running = control()
    running.list(1)
    held = running.instance.rows("holdings")
    running.rows["fills"][1] = running.rows["mark"][1] = 1
    running.turn(turns=60)
    strategies = running.account["strategies"]
    for cash, words in ((-CAPITAL * 2 // 100, (1, 0)), (-CAPITAL * 4 // 100, (1, BITS["STRATEGY"]))):
        held["cash"][1] = running.rows["cash"][1] = cash
        running.turn(turns=20)
        assert (int(strategies["size_shift"][0]), int(strategies["halted"][0])) == words
    assert (running.fired("SIZE"), running.fired("STRATEGY")) == (1, 1)
    assert running.account["halted"] == 0
    after = control()
    assert (int(after.account["strategies"]["size_shift"][0]), int(after.account["strategies"]["halted"][0])) == words


def test_a_row_that_core_is_just_changing_is_no_loss(control):
    running = control()
    running.list(1)
    running.rows["fills"][1], running.rows["mark"][1] = 1, 100
    running.turn(turns=60)
    running.rows["cash"][1] = -CAPITAL // 2  # the row has it, the strategy's holding not yet, nor either the position
    running.instance.rows("holdings")["cash"][1] = -CAPITAL // 2
    running.turn(turns=1, passed=100 * MS)
    running.rows["position"][1] = 5
    running.turn(turns=1, passed=100 * MS)
    assert running.fired("SIZE") in (0, 1)
    running.rows["position"][1] = running.rows["cash"][1] = 0


def test_slippage_in_the_journal_halts_its_strategy(control):
    running = control()
    running.controls.observe(np.concatenate([record("DECISION", 5, ask=1_000_000), fill(5, 1_010_001)]))
    running.turn()
    assert running.account["strategies"]["halted"][0] == BITS["SLIPPAGE"] and running.account["strategies"]["halted"][1] == 0


def test_a_gap_halts_its_instrument_only_and_from_the_moment_it_is_listed_in_the_next_run(control):
    running = control()
    running.list(1)
    running.list(2, "MSFT")
    running.turn(turns=60)
    running.books["flags"][1], running.books["stale_since_ns"][1] = layout.value("BOOK_STALE"), running.now
    running.turn(turns=60)
    assert running.rows["halted"][:3].tolist() == [0, BITS["GAP"], 0]
    second = control()
    assert second.seen["symbols"] == 1 and second.instance.rows("post_trade")["symbol"][0] == word_of("AAPL")
    second.turn(turns=10)
    second.list(7)
    second.turn(turns=60)
    assert second.rows["halted"][7] == BITS["GAP"]


def test_more_halted_symbols_than_fit_halt_the_account(control):
    running = control()
    for number in range(1025):
        running.controls.halts.add(Breach("GAP", "instrument", f"S{number}", "why"), 1)
    running.turn()
    assert running.account["halted"] == BITS["GAP"] and running.seen["symbols"] == 1024


def test_a_position_that_differs_from_the_venues_pauses_new_risk_and_a_human_has_it_compared_anew(control, file):
    compared = Compared()
    running = control(venue=compared)
    running.instance.control[0]["session_connection"] = running.account["session_connection"] = 1
    running.turn(turns=10)
    compared.find(position_AAPL="ours 100, venue's 99")
    running.turn()
    assert running.account["halted"] == BITS["BALANCE"] and "AAPL ours 100, venue's 99" in running.told[-1]
    assert summary_of(running.instance)["comparisons"] == 1
    assert main(["resume", file, "account", "--code", code_now(running)]) == 0
    running.turn(passed=100 * MS)
    assert running.account["halted"] == 0 and compared.asked == 1


def test_an_unknown_order_pauses_new_risk_after_five_seconds(control):
    running = control()
    orders = running.instance.rows("orders")
    orders["state"][5], orders["reference"][5] = layout.value("ORDER_UNKNOWN"), 5
    running.turn(turns=6)
    running.turn(turns=240)
    assert running.account["halted"] == 0
    running.turn(turns=20)
    assert running.account["halted"] == BITS["UNKNOWN"]


def test_repeat_is_counted_here_too(control):
    running = control()
    running.account["strategies"]["repeated"][0] = 1
    running.turn(turns=20)
    assert running.fired("REPEAT") == 1
    disabled.follow(running.instance, running.settings)
    again = PostTrade(running.instance, running.settings, None, running.told.append)
    running.seen["fired"] = 0
    again.tick(running.now + S)
    assert running.fired("REPEAT") == 0, "an earlier run's is not counted again"


def test_what_root_resumes_in_anothers_folder_belongs_to_that_other(control):
    if os.geteuid() != 0:
        pytest.skip("needs root: gives a file away")
    control()
    os.chown(control.state, 65534, 65534)
    path = resumption.ask(control.state, "account")
    assert [(entry.stat().st_uid, entry.stat().st_mode & 0o777) for entry in (path.parent, path)] == [
        (65534, 0o700),
        (65534, 0o600),
    ]


def test_a_control_that_was_turned_off_by_name_is_off(control):
    running = control(post_trade__off=["DRAWDOWN"])
    running.turn()
    running.account["profit_value"] = -CAPITAL // 2
    running.turn()
    assert running.account["halted"] == BITS["DAILY"]


def test_a_control_may_set_the_kill_latch_besides(control):
    running = control(post_trade__kill=["DRAWDOWN"])
    running.turn()
    running.account["profit_value"] = -CAPITAL * 3 // 100
    running.turn()
    assert running.instance.control[0]["kill_latch"] == 0, "the loss of the day halts only"
    running.account["profit_value"] = -CAPITAL * 5 // 100
    running.turn()
    assert running.instance.control[0]["kill_latch"] == layout.value("KILL_POST_TRADE")


def test_without_capital_nothing_is_measured_and_before_the_session_was_heard_neither(control):
    running = control(orders__carriage="soupbintcp", orders__username="X")
    running.account["profit_value"] = -CAPITAL
    running.turn(turns=20)
    assert running.told == []
    running.account["profit_value"] = 0
    running.instance.control[0]["session_connection"] = running.account["session_connection"] = 1
    running.turn()
    assert running.controls.equity.equity == CAPITAL


def test_profit_that_no_replay_brings_back_is_carried_within_the_day(control, monkeypatch):
    first = control()
    first.account["profit_value"] = -CAPITAL * 2 // 100
    first.turn(turns=60)
    monkeypatch.setattr("gateway.clock.now_ns", lambda address: MORNING + 60 * S)
    second = control()
    second.turn()
    assert second.controls.equity.equity == CAPITAL * 98 // 100
    monkeypatch.setattr("gateway.clock.now_ns", lambda address: MORNING + 86_400 * S)
    third = control()
    third.turn()
    assert third.controls.equity.equity == CAPITAL
