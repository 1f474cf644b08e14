"""KEYS: no new risk without keys of the link, from the nanosecond they run out until they are there again."""

import pytest

from gateway import limits
from gateway.cli.main import main
from gateway.layout import value
from gateway.ops import resumption
from gateway.ops.halts import BITS
from gateway.ops.summary import post_trade as summary_of
from tests.post_trade_desk import CAPITAL, MS, S, code_now, configuration_file, controls_in

KEY = "A" * 43 + "="
LINKED = {"link__enabled": True, "link__node": 1, "link__key_file": "/none", "link__key_service": "unix:/none"}
LINKED |= {"link__roles_file": "/none", "link__addresses_file": "/none", "link__signer": KEY}
KEYS, HOUR = BITS["KEYS"], 3600 * S


@pytest.fixture
def control(tmp_path):
    with controls_in(tmp_path / "state") as make:
        yield make


def says(running, until_ns):
    """The link says until when its keys last."""
    running.instance.regions["link"].view("link_state")[0]["keys_until_ns"] = until_ns


def test_until_the_link_has_held_a_key_nothing_new_leaves_and_it_is_no_alarm(control):
    running = control(**LINKED)
    assert running.account["halted"] == KEYS, "before a core starts"
    assert len(running.told) == 1 and "not held a key yet" in running.told[0]
    running.turn(turns=10)
    assert running.account["halted"] == KEYS and running.fired("KEYS") == 0 and len(running.told) == 1
    says(running, running.now + HOUR)
    running.turn()
    assert running.account["halted"] == 0 and "KEYS is over" in running.told[-1]


def test_keys_count_up_to_the_last_nanosecond_and_run_out_without_anybody(control):
    running = control(**LINKED)
    until_ns = running.now + HOUR
    says(running, until_ns)
    running.turn()
    running.now = until_ns - 1
    running.turn(passed=0)
    assert running.account["halted"] == 0
    running.turn(passed=1)
    assert running.account["halted"] == KEYS and running.fired("KEYS") == 1
    assert "KEYS fired" in running.told[-1] and "gateway link CONFIG --status" in running.told[-1]
    assert summary_of(running.instance)["account_halted"] == ["KEYS"]
    running.turn(turns=200)
    assert running.fired("KEYS") == 1, "a halt that stands fires once"
    says(running, running.now + 1 + 20 * MS)
    running.turn()
    assert running.account["halted"] == 0
    running.turn(passed=1)
    assert running.account["halted"] == KEYS and running.fired("KEYS") == 2


def test_a_time_that_no_key_lasts_to_is_not_believed(control):
    running = control(**LINKED)
    says(running, running.now + limits.LINK_KEYS_NS)
    running.turn(passed=0)
    assert running.account["halted"] == 0
    says(running, running.now + limits.LINK_KEYS_NS + 1)
    running.turn(passed=0)
    assert running.account["halted"] == KEYS and "no key lasts to" in running.told[-1]
    says(running, -(2**63))
    running.turn()
    assert running.account["halted"] == KEYS


def test_a_revocation_takes_the_time_back(control):
    running = control(**LINKED)
    says(running, running.now + HOUR)
    running.turn()
    says(running, running.now - 1)
    running.turn()
    assert running.account["halted"] == KEYS


def test_who_has_no_link_needs_no_keys_also_after_a_run_that_had_one(control):
    linked = control(**LINKED)
    linked.turn()
    assert linked.account["halted"] == KEYS
    alone = control()
    assert alone.account["halted"] == 0
    alone.turn(turns=60)
    assert alone.account["halted"] == 0 and alone.fired("KEYS") == 0


def test_a_human_resumes_what_is_his_and_no_keys(control, tmp_path, capsys):
    running = control(**LINKED)
    file = configuration_file(tmp_path)
    assert main(["resume", file, "account", "--code", "123456"]) == 1, "no code is spent on it"
    assert "KEYS alone" in capsys.readouterr().err
    running.controls._heard = True
    running.turn()
    running.account["profit_value"] = -CAPITAL * 6 // 100
    running.turn()
    assert running.account["halted"] & BITS["DRAWDOWN"]
    assert main(["resume", file, "account", "--code", code_now(running)]) == 0
    seen, apply = [], running.controls.halts.apply

    def applied(*words, **named):
        apply(*words, **named)
        seen.append(int(running.account["halted"]))

    running.controls.halts.apply = applied
    running.turn(passed=100 * MS)
    assert resumption.waiting(control.state) == [] and set(seen) == {KEYS}, "not for a moment"


def test_no_configuration_turns_it_off(tmp_path, capsys):
    path = tmp_path / "gateway.toml"
    for key in ("off", "kill"):
        path.write_text(f'[post_trade]\n{key} = ["KEYS"]\n')
        assert main(["show-config", str(path)]) == 3 and "KEYS" in capsys.readouterr().err


def test_the_layout_has_one_number_for_it():
    assert 1 << value("POST_TRADE_KEYS") == KEYS
