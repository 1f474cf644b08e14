"""From the configuration to the words of the gate: units, permissions, hours, a version that is odd while they change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway import layout
from gateway.config import load
from gateway.core.gate import session_fails
from gateway.core.limit_units import fraction, multiple, rate_words
from gateway.core.memory import FRACTION_ONE
from gateway.instance import Instance
from gateway.ops import disabled
from gateway.ops.limit_block import (
    await_session,
    deny_new_risk,
    follow_hours,
    hours_ns,
    instrument_limits,
    named_limits,
    prepare_account,
)
from gateway.risk_sections import Hours
from tests.corridor_bench import LIMITS
from tests.stage_bench import unique_name

SECOND_NS = 1_000_000_000
HOURS = {"hours.open": "09:30", "hours.close": "16:00", "hours.zone": "America/New_York"}


def ns(text: str) -> int:
    """Nanoseconds of a moment in New York."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND_NS


@pytest.fixture
def instance():
    made = Instance.create(unique_name("limits"))
    yield made
    made.close(remove=True)


def account_of(instance):
    return instance.regions["gate"].view("gate_account")[0]


def test_limits_are_written_in_the_units_of_the_gate(instance):
    settings = {"portfolio.rates": {"EUR": 1.08}, "external.enabled": True, "strategy.position_max": 7}
    prepare_account(instance, load(None, {**LIMITS, **settings, "external.instruments": ["*"]}), now_ns=5)
    account = account_of(instance)
    assert account["limits_version"] == 2
    assert account["gross_max"] == LIMITS["risk.gross_max"] * 10_000
    assert account["rates"]["fraction"][:2].tolist() == [FRACTION_ONE, -(-108 * FRACTION_ONE // 100)]
    assert account["rates"]["time_ns"][:2].tolist() == [5, 5]
    assert account["strategies"]["flags"].tolist()[:3] == [1, 1, 0]
    assert account["strategies"]["position_max"].tolist()[:2] == [7, LIMITS["risk.position_max"]]


def test_a_row_of_limits_that_is_unset_denies(instance):
    prepare_account(instance, load(None), now_ns=5)
    account = account_of(instance)
    assert account["gross_max"] == account["net_max"] == account["capital"] == account["rate_interval_ns"] == 0
    assert instrument_limits(load(None)) == named_limits(load(None)) == {}


def test_symbols_that_are_named_have_limits_and_permissions_of_their_own():
    chosen = load(
        None,
        {
            **LIMITS,
            "risk.own": {"AAPL": {"value_max": 3}},
            "portfolio.groups": ["MSFT QQQ@-0.5"],
            "portfolio.rates": {"EUR": 1.1},
            "portfolio.currencies": {"SAP": "EUR"},
            "strategy.instruments": ["AAPL", "MSFT"],
            "strategy.sides": "sell",
            "external.enabled": True,
            "external.instruments": ["*"],
        },
    )
    named = named_limits(chosen)
    assert instrument_limits(chosen)["permits"] == 0b1100
    assert named["AAPL"]["value_max"] == 30_000 and named["AAPL"]["permits"] == 0b1110
    assert (named["QQQ"]["group"], named["QQQ"]["weight_fraction"]) == (1, -FRACTION_ONE // 2)
    assert named["SAP"]["currency"] == 1 and named["SAP"]["permits"] == 0b1100


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-03-06T12:00", "2026-03-06T09:30", "2026-03-06T16:00"),
        ("2026-03-06T16:00", "2026-03-09T09:30", "2026-03-09T16:00"),  # a Friday's close: Monday, an hour of summer ahead
        ("2026-03-08T03:00", "2026-03-09T09:30", "2026-03-09T16:00"),
    ],
)
def test_hours_are_those_of_the_day_that_is_or_comes(now, opens, closes):
    hours = Hours(open="09:30", close="16:00", zone="America/New_York")
    assert hours_ns(hours, ns(now)) == (ns(opens), ns(closes))


def test_a_night_session_closes_on_the_next_day():
    hours = Hours(open="18:00", close="17:00", zone="America/New_York", days=["sun", "mon"])
    assert hours_ns(hours, ns("2026-03-09T03:00")) == (ns("2026-03-08T18:00"), ns("2026-03-09T17:00"))


def test_without_hours_and_for_a_recording_the_day_has_no_end():
    assert hours_ns(Hours(), 5) == hours_ns(Hours(open="09:30", close="16:00"), None) == (1, 1 << 62)


def test_the_next_day_is_written_once_the_last_has_closed(instance):
    chosen = load(None, {**LIMITS, **HOURS})
    prepare_account(instance, chosen, now_ns=ns("2026-03-06T12:00"))
    assert not follow_hours(instance, chosen, ns("2026-03-06T16:00") - 1)
    assert follow_hours(instance, chosen, ns("2026-03-06T16:00"))
    assert account_of(instance)["hours_open_ns"] == ns("2026-03-09T09:30")
    assert account_of(instance)["limits_version"] == 4


def test_nothing_new_leaves_after_new_risk_is_denied(instance):
    prepare_account(instance, load(None, LIMITS), now_ns=5)
    deny_new_risk(instance)
    assert account_of(instance)["rate_interval_ns"] == 0


def test_an_account_that_awaits_a_session_denies_without_one_and_until_core_has_heard_its_beginning(instance):
    account, control = instance.regions["gate"].view("gate_account"), instance.control
    await_session(instance)
    for connection, heard, failed in ((0, None, 1), (1, None, 1), (1, 1, 0), (0, None, 1), (2, None, 1)):
        control["session_connection"] = connection
        if heard is not None:
            account["session_connection"] = heard
        assert session_fails(instance.address("control"), instance.address("gate")) == failed


def test_units_round_against_us_and_absurd_ones_deny():
    assert multiple(1) == 2**64 - 1 and multiple(0) == multiple(-1) == multiple(2**31) == 0
    assert fraction(1) == -(-FRACTION_ONE // 10**6) and fraction(-1) == -fraction(1)
    assert rate_words(3, 1, 0)["rate_interval_ns"] == 333_333_334
    assert rate_words(0, 1, 0)["rate_interval_ns"] == 0 and rate_words(5, 1, 20)["rate_span_ns"] == -1


def test_a_disabled_strategy_is_disabled_at_the_next_start_until_a_human_enables_it(instance, tmp_path):
    chosen = load(None, {**LIMITS, "instance.state": str(tmp_path)})
    prepare_account(instance, chosen, now_ns=5)
    rows = account_of(instance)["strategies"]
    assert disabled.follow(instance, chosen) == []
    rows["repeated"][0] = 1
    assert disabled.follow(instance, chosen) == ["main"] and disabled.follow(instance, chosen) == []
    rows["repeated"][0] = 0
    disabled.restore(instance, chosen)
    assert rows["repeated"].tolist()[:2] == [1, 0]
    assert disabled.enable(tmp_path, "main") and not disabled.enable(tmp_path, "main")
    rows["repeated"][0] = 0
    disabled.restore(instance, chosen)
    assert rows["repeated"][0] == 0


def test_a_list_of_the_disabled_that_cannot_be_read_disables_everybody(instance, tmp_path):
    chosen = load(None, {**LIMITS, "instance.state": str(tmp_path)})
    disabled.path_in(tmp_path).write_bytes(b"\xff\xfe")
    prepare_account(instance, chosen, now_ns=5)
    disabled.restore(instance, chosen)
    assert account_of(instance)["strategies"]["repeated"][0] == 1


def test_every_control_has_an_id_of_its_own():
    names = layout.names("gate_reason", "GATE_")
    assert sorted(names) == list(range(len(names))) and len({*names.values()}) == len(names)
