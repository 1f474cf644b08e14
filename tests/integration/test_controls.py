"""Every control fires on the real core: what `gateway demo --every-control` promises, and that a silent one is noticed."""

import pytest

from gateway import layout
from gateway.ops import control_drill
from gateway.ops.control_drill import fire_every_control, missing
from tests.corridor_bench import unique_name


@pytest.fixture(scope="module")
def fired():
    return fire_every_control(unique_name("drill"))


def test_every_control_before_the_trade_fires(fired):
    ids = {name for name in layout.names("gate_reason", "GATE_").values() if name != "REASONS"}
    assert {*fired["pre_trade"]} == ids and min(fired["pre_trade"].values()) >= 1


def test_every_control_after_the_trade_fires_once(fired):
    assert fired["post_trade"] == dict.fromkeys((name for _, name in control_drill.POST_TRADE), 1)
    assert missing(fired) == []


def test_a_control_that_does_not_fire_is_missing(monkeypatch):
    def harmless(market, first):
        market.order(quantity=1)

    monkeypatch.setitem(control_drill.CASES, "QTY", harmless)
    monkeypatch.setattr(control_drill, "_fire_after_the_trade", lambda market, first: {"GAP": 0})
    assert missing(fire_every_control(unique_name("drill"))) == ["pre_trade QTY", "pre_trade DISABLED", "post_trade GAP"]
