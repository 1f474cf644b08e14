"""`gateway resume`: what a control after the trade has halted stays halted until a human gives the code."""

import pytest

from gateway.cli import resume
from gateway.cli.main import main
from gateway.ops import disabled, post_trade_record, resumption
from gateway.ops.breach import Breach
from gateway.ops.halts import BITS
from tests.post_trade_desk import CAPITAL, MS, code_now, configuration_file, controls_in


@pytest.fixture
def control(tmp_path):
    with controls_in(tmp_path / "state") as make:
        yield make


@pytest.fixture
def file(tmp_path):
    return configuration_file(tmp_path)


def test_halted_stays_halted_until_a_human_gives_the_code(control, file, capsys):
    running = control()
    running.turn()
    running.account["profit_value"] = -CAPITAL * 6 // 100
    running.turn()
    assert main(["resume", file]) == 1 and "DRAWDOWN" in capsys.readouterr().out
    assert main(["resume", file, "account"]) == 2 and "--code" in capsys.readouterr().err
    assert main(["resume", file, "account", "--code", "123456"]) == 5 and "gateway totp" in capsys.readouterr().err
    code = code_now(running)
    assert main(["resume", file, "strategy=main", "--code", code]) == 1, "nothing of it is halted, and no code is spent"
    assert running.account["halted"]
    assert main(["resume", file, "account", "--code", code]) == 0
    running.turn(passed=100 * MS)
    assert running.account["halted"] == 0 and resumption.waiting(control.state) == []
    running.turn(turns=100)
    assert running.account["halted"] == 0, "falls are measured from here"
    assert main(["resume", file, "--json"]) == 0
    running.account["profit_value"] = -CAPITAL * 12 // 100
    running.turn()
    assert main(["resume", file, "account", "--code", code]) == 5 and "used already" in capsys.readouterr().err
    assert running.account["halted"]


def test_what_was_resumed_while_nothing_ran_trades_from_the_next_start_on(control, file):
    running = control()
    running.list(1)
    running.controls.halts.add(Breach("GAP", "instrument", "AAPL", "why"), 1)
    running.turn()
    assert running.rows["halted"][1] == BITS["GAP"]
    assert main(["resume", file, "instrument=AAPL", "--code", code_now(running)]) == 0
    after = control()
    after.list(1)
    after.turn()
    assert after.rows["halted"][1] == 0 and resumption.waiting(control.state) == []


def test_a_strategy_that_repeat_disabled_is_resumed_by_the_same_verb(control, file):
    running = control()
    running.account["strategies"]["repeated"][0] = 1
    disabled.follow(running.instance, running.settings)
    assert resume.standing(running.settings) == {"strategy=main": {"REPEAT": {"at": 0, "why": "too many executions"}}}
    assert main(["resume", file, "strategy=main", "--code", code_now(running)]) == 0
    running.turn(passed=100 * MS)
    assert disabled.names(control.state) == set()


def test_a_damaged_file_is_shown_and_resumed_as_halted(control, file, capsys):
    running = control()
    post_trade_record.path_in(control.state).write_bytes(b"cheese")
    assert main(["resume", file]) == 1 and "RECORD" in capsys.readouterr().out
    assert main(["resume", file, "account", "--code", code_now(running)]) == 0
    assert control().account["halted"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["cheese", "strategy", "strategy=", "instrument=", "account=1", "", "instrument=" + "A" * 300]
)
def test_what_cannot_be_halted_cannot_be_resumed(control, file, what):
    assert main(["resume", file, what, "--code", "123456"]) == 2
