"""The order session is up again: what never came is over, what may be lost works again, and only then is risk allowed."""

import random

import numpy as np
import pytest
from numba import njit

from gateway import kernel_cache, layout
from gateway.core.memory import address_of
from gateway.core.order_packets import NEVER, OrderPackets
from gateway.core.session_news import on_session_up
from gateway.protocols import ouch50, soupbintcp
from tests.order_desk import EPOCH, NOW_NS, Desk

STATES = {
    name: layout.value(f"ORDER_{name}") for name in ("SENT", "ACCEPTED", "PARTIAL", "CANCELLING", "REJECTED", "FILLED")
}


kernel_cache.prepare()


@njit(cache=True)
def _up(core, news):
    on_session_up(core, news)


def tell(desk: Desk, connection: int, first: int, last: int) -> None:
    """struct session_news to core."""
    news = np.zeros(1, dtype=layout.dtype("session_news"))
    news["connection"], news["next_reference"], news["reference_transmitted"] = connection, first, last
    core = np.zeros(1, dtype=layout.dtype("core"))
    core["path"], core["account"], core["now_ns"] = desk.path.address, address_of(desk.gate), NOW_NS
    _up(address_of(core), address_of(news))


def sent(desk: Desk, count: int) -> list[int]:
    for _ in range(count):
        desk.intend(time_in_force=0)
    assert desk.submit() == count
    return list(range(1, count + 1))


def state(desk: Desk, reference: int) -> str:
    number = int(desk.orders["state"][reference % len(desk.orders)])
    return next(name for name, value in STATES.items() if value == number)


def test_orders_from_the_venues_next_reference_on_are_over_and_give_their_reservation_back() -> None:
    desk = Desk().open()
    sent(desk, 5)
    assert desk.rows["open_buy"][1] == 500
    tell(desk, 1, first=3, last=4)
    assert [state(desk, reference) for reference in range(1, 6)] == ["SENT", "SENT", "REJECTED", "REJECTED", "SENT"]
    assert desk.rows["open_buy"][1] == 300 and desk.counters["orders_lost"][0] == 2
    assert desk.orders["reject_code"][3] == layout.value("REFUSAL_LOST")


def test_an_order_that_was_heard_of_is_never_given_up() -> None:
    desk = Desk().open()
    sent(desk, 2)
    desk.orders["venue_order_id"][1] = 77
    desk.orders["filled"][2] = 10
    tell(desk, 1, first=1, last=2)
    assert [state(desk, reference) for reference in (1, 2)] == ["SENT", "SENT"] and desk.counters["orders_lost"][0] == 0


def test_a_cancel_that_may_be_lost_leaves_its_order_working_and_able_to_be_cancelled_again() -> None:
    desk = Desk().open()
    sent(desk, 3)
    desk.orders["venue_order_id"][1:4] = 9
    desk.orders["state"][1:4] = STATES["CANCELLING"]
    desk.orders["filled"][2] = 10
    tell(desk, 1, first=4, last=3)
    assert [state(desk, reference) for reference in (1, 2, 3)] == ["ACCEPTED", "PARTIAL", "ACCEPTED"]
    assert desk.rows["open_buy"][1] == 300


def test_new_risk_waits_until_core_has_heard_the_beginning_of_the_connection_that_is_up() -> None:
    desk = Desk().open()
    desk.account["session_connection"] = NEVER
    assert "SESSION" in desk.ask(), "no connection was ever up"
    desk.control["session_connection"] = 1
    assert "SESSION" in desk.ask(), "up, but not heard"
    tell(desk, 1, first=1, last=0)
    assert "SESSION" not in desk.ask()
    desk.control["session_connection"] = 0
    assert "SESSION" in desk.ask(), "lost"
    desk.control["session_connection"] = 2
    assert "SESSION" in desk.ask(), "up again, its replay not heard"
    tell(desk, 2, first=1, last=0)
    assert "SESSION" not in desk.ask()


def test_every_live_row_is_settled_as_a_plain_reading_of_the_rule_says() -> None:
    for seed in range(40):
        chance = random.Random(seed)
        desk = Desk().open()
        sent(desk, 12)
        for reference in range(1, 13):
            desk.orders["state"][reference] = chance.choice([STATES["SENT"], STATES["ACCEPTED"], STATES["CANCELLING"]])
            desk.orders["venue_order_id"][reference] = chance.choice([0, 0, 5])
            desk.orders["filled"][reference] = chance.choice([0, 0, 0, 7])
        before = desk.orders.copy()
        first, last = chance.randrange(0, 14), chance.randrange(0, 14)
        tell(desk, seed + 1, first, last)
        for reference in range(1, 13):
            row, now = before[reference], desk.orders[reference]
            unheard = row["venue_order_id"] == 0 and row["filled"] == 0
            if first <= reference <= last and unheard:
                assert (state(desk, reference), now["open"]) == ("REJECTED", 0), f"seed {seed}"
            elif row["state"] == STATES["CANCELLING"]:
                facts = "PARTIAL" if row["filled"] else "ACCEPTED"
                assert state(desk, reference) == (facts if row["venue_order_id"] else "SENT"), f"seed {seed}"
            else:
                assert now["state"] == row["state"] and now["open"] == row["open"], f"seed {seed}"
        assert desk.rows["open_buy"][1] == int(desk.orders["open"].sum()), f"seed {seed}"


@pytest.mark.parametrize("firm", ["", "ABCD"])
def test_an_order_over_tcp_is_one_whole_packet_with_the_message_a_datagram_would_carry(firm: str) -> None:
    messages = []
    for templates in (OrderPackets(epoch=EPOCH, site="A", firm=firm), None):
        desk = Desk(firm=firm)
        if templates is not None:
            desk.frames = templates  # type: ignore[assignment]
            desk.attach()
        desk.open()
        desk.intend(price=1_000_200, quantity=300)
        desk.intend("MASS_CANCEL")
        desk.intend("CANCEL", order_reference=1)
        assert desk.submit() == 3
        messages.append(desk.core_io.take_all())
    size, head = layout.offsets("order_slot").size, layout.size("order_slot")
    over_tcp, datagrams = messages
    for packet_slot, frame_slot in zip(over_tcp, datagrams, strict=True):
        packet = packet_slot[head : head + int.from_bytes(packet_slot[size : size + 4], "little")]
        frame = frame_slot[head : head + int.from_bytes(frame_slot[size : size + 4], "little")]
        ((kind, *_),), rest = soupbintcp.split(packet)
        assert chr(kind) == "U" and rest == b"" and packet[3:] == frame[42:]
        assert ouch50.decode(packet[3:], ouch50.INBOUND)
