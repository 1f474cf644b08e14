"""Reduce-only, on its boundary and not one share before; and the terms that the gate knows."""

import pytest

from gateway import layout
from gateway.core.order_frames import HEADERS_BYTES
from gateway.protocols import ouch50
from tests.order_desk import SLOT_BYTES, Desk

POST, REDUCE = layout.value("INTENT_POST_ONLY"), layout.value("INTENT_REDUCE_ONLY")
DAY, IOC, FOK, GTC = 0, 3, layout.value("TIME_FOK"), layout.value("TIME_GTC")
BUY, SELL = 1, 2


@pytest.fixture
def desk() -> Desk:
    return Desk().open()


def holding(desk: Desk, position: int) -> Desk:
    desk.set_limits(1, position=position, mark=1_000_100)
    desk.settle_rows()
    return desk


def slots(desk: Desk) -> list[tuple[str, int, dict]]:
    """(kind, flags, message) of everything that left."""
    rows = []
    for record in desk.core_io.take_all():
        slot = memoryview(record)
        size, kind, flags = (int.from_bytes(slot[a:b], "little") for a, b in ((8, 12), (12, 14), (14, 16)))
        message = bytes(slot[SLOT_BYTES + HEADERS_BYTES : SLOT_BYTES + size])
        rows.append((layout.names("order_slot_kind", "ORDER_SLOT_")[kind], flags, ouch50.decode(message, ouch50.INBOUND)))
    return rows


@pytest.mark.parametrize(("position", "side"), [(300, SELL), (-300, BUY)])
def test_a_reduction_may_close_the_position_and_not_one_share_more(desk: Desk, position: int, side: int) -> None:
    holding(desk, position)
    assert desk.ask(side=side, quantity=301, flags=REDUCE) == {"REDUCE"}
    assert desk.ask(side=side, quantity=300, flags=REDUCE) == set()
    assert desk.ask(side=3 - side, quantity=1, flags=REDUCE) == {"REDUCE"}


def test_what_is_open_on_its_side_counts_and_what_is_open_on_the_other_does_not(desk: Desk) -> None:
    holding(desk, 300)
    assert desk.send(side=SELL, quantity=200, flags=REDUCE) == set()
    assert desk.send(side=BUY, quantity=500, price=999_000, time_in_force=DAY) == set()
    assert desk.send(side=SELL, quantity=101, flags=REDUCE) == {"REDUCE"}
    assert desk.send(side=SELL, quantity=100, flags=REDUCE) == set()
    assert desk.send(side=SELL, quantity=1, flags=REDUCE) == {"REDUCE"}


def test_without_a_position_nothing_is_a_reduction(desk: Desk) -> None:
    for side in (BUY, SELL):
        assert desk.ask(side=side, quantity=1, flags=REDUCE) == {"REDUCE"}


@pytest.mark.parametrize("position", [300, -300])
def test_a_reduction_passes_a_kill_and_a_halt_and_nothing_else_does(desk: Desk, position: int) -> None:
    holding(desk, position)
    side = SELL if position > 0 else BUY
    desk.control["kill_latch"] = 1
    desk.set_strategy(0, halted=1)
    desk.set_account(halted=1)
    assert desk.ask(side=side) == {"KILL", "DISABLED"}
    assert desk.ask(side=side, quantity=301, flags=REDUCE) == {"KILL", "DISABLED", "REDUCE"}
    assert desk.send(side=side, quantity=300, flags=REDUCE) == set()
    ((kind, flags, message),) = slots(desk)
    assert (kind, flags) == ("REDUCE", layout.value("ORDER_SLOT_ENTERS")) and message["quantity"] == 300


def test_without_keys_of_the_link_new_risk_stops_under_its_own_name_and_what_lowers_risk_passes(desk: Desk) -> None:
    keys, drawdown = 1 << layout.value("POST_TRADE_KEYS"), 1 << layout.value("POST_TRADE_DRAWDOWN")
    holding(desk, 300)
    assert desk.send(side=BUY, quantity=5, price=999_000, time_in_force=DAY) == set()
    desk.set_account(halted=keys)
    assert desk.ask(side=BUY) == desk.ask(side=SELL) == desk.ask("REPLACE", order_reference=1) == {"KEYS"}
    assert desk.ask("CANCEL", order_reference=1) == desk.ask("MASS_CANCEL") == set()
    assert desk.ask(side=SELL, quantity=301, flags=REDUCE) == {"KEYS", "REDUCE"}
    assert desk.ask(side=SELL, quantity=300, flags=REDUCE) == set()
    desk.set_account(halted=keys | drawdown)
    assert desk.ask(side=BUY) == {"KEYS", "DISABLED"}
    desk.set_account(halted=0)
    assert desk.ask(side=BUY) == set()


def test_every_other_control_holds_for_a_reduction(desk: Desk) -> None:
    holding(desk, 300)
    desk.control["epoch"] = 99
    desk.set_account(session_lost=1)
    assert desk.ask(side=SELL, quantity=50, price=2_000_000, flags=REDUCE) == {"FENCE", "SESSION", "PRICE"}


@pytest.mark.parametrize("quantity", [0, -1, 2**31, 2**62, -(2**63), 2**63 - 1])
def test_an_absurd_quantity_reduces_nothing(desk: Desk, quantity: int) -> None:
    holding(desk, 300)
    assert "REDUCE" in desk.ask(side=SELL, quantity=quantity, flags=REDUCE)


def test_a_replacement_is_never_reduce_only(desk: Desk) -> None:
    holding(desk, 1000)
    assert desk.send(side=SELL, quantity=100, time_in_force=DAY, flags=REDUCE) == set()
    assert desk.send("REPLACE", side=SELL, quantity=50, order_reference=1, time_in_force=DAY, flags=REDUCE) == {"REDUCE"}


@pytest.mark.parametrize(
    ("life", "flags", "passes"),
    [(DAY, 0, 1), (IOC, 0, 1), (FOK, 0, 1), (GTC, 0, 0), (1, 0, 0), (255, 0, 0)]
    + [(DAY, POST, 1), (IOC, POST, 0), (FOK, POST, 0), (DAY, 4, 0), (DAY, 255, 0)],
)
def test_terms_that_the_venue_does_not_know_or_that_contradict_each_other_are_refused(
    desk: Desk, life: int, flags: int, passes: int
) -> None:
    assert ("PERM" not in desk.ask(time_in_force=life, flags=flags)) == bool(passes)


def test_fill_or_kill_is_immediate_with_the_whole_as_minimum_and_post_only_an_option(desk: Desk) -> None:
    desk.send(quantity=70, time_in_force=FOK)
    desk.send(quantity=80, time_in_force=DAY, flags=POST)
    desk.send(quantity=90, time_in_force=DAY)
    desk.send("REPLACE", quantity=85, order_reference=2, time_in_force=DAY, flags=POST)
    whole, post, plain, replaced = (message for _, _, message in slots(desk))
    assert (whole["time_in_force"], whole["min_qty"], whole["quantity"]) == ("3", 70, 70) and "post_only" not in whole
    assert (post["time_in_force"], post["post_only"]) == ("0", "P") and "min_qty" not in post
    assert plain["appendage_length"] == 0 and replaced["message"] == "Replace Order" and replaced["post_only"] == "P"


def test_the_client_order_id_says_the_strategy(desk: Desk) -> None:
    desk.set_strategy(5, flags=1, position_max=10**12, repeat_max=1024, repeat_ns=1)
    desk.set_limits(1, permits=0b11 << 10)
    assert desk.send(strategy=5) == set()
    ((_, _, message),) = slots(desk)
    assert message["cl_ord_id"] == desk.frames.client_order_id(1, 5)
