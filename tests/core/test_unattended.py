"""With the latch set and control silent, core cancels what is open, and nothing else leaves."""

import numpy as np
import pytest
from numba import njit

from gateway import kernel_cache, layout
from gateway.core.memory import address_of
from gateway.core.resolution import sweep_unanswered
from gateway.core.unattended import ROWS_PER_LOOK, cancel_unattended, make_unattended
from gateway.protocols import ouch50
from tests.order_desk import NOW_NS, SECOND_NS, STRATEGY, Desk

SILENT_NS = 5 * SECOND_NS
LATE_NS = NOW_NS + SILENT_NS + 1
OTHER = 2  # another strategy's row

kernel_cache.prepare()


@njit(cache=True)
def _look(core, now_ns):
    return cancel_unattended(core, now_ns)


@njit(cache=True)
def _age(path, now_ns):
    return sweep_unanswered(path, now_ns)


class Unattended:
    """A desk with orders in its table, whose control gave its last sign of life at NOW_NS."""

    def __init__(self, orders: int = 3, others: int = 0, orders_rows: int = 64):
        self.desk = Desk(orders_rows=orders_rows).open()
        self.desk.set_strategy(OTHER, **STRATEGY)
        self.desk.set_limits(1, permits=0b11 | 0b11 << 2 * OTHER)
        self.unattended, self._keep = make_unattended(SILENT_NS)
        self.core = np.zeros(1, dtype=layout.dtype("core"))
        self.core["path"], self.core["unattended"] = self.desk.path.address, address_of(self.unattended)
        self.open(orders)
        self.open(others, strategy=OTHER)
        self.beat = self.desk.control["heartbeats"][0, layout.value("PROCESS_CONTROL") :][:1]
        self.beat["state"], self.beat["time_ns"] = layout.value("PROCESS_RUNNING"), NOW_NS
        self.desk.control["kill_latch"] = layout.value("KILL_CONTROL_STALE")

    def open(self, orders: int, **terms: int) -> None:
        """Small orders that rest, one journalled and sent after the other."""
        for _ in range(orders):
            assert self.desk.send(time_in_force=0, quantity=1, **terms) == set()
            self.desk.sent()
            self.desk.records()

    def look(self, now_ns: int = LATE_NS) -> list[int]:
        """One look; the references of the cancels that left. Nothing but cancels may leave."""
        sent = int(_look(address_of(self.core), now_ns))
        pairs = self.desk.sent()
        assert len(pairs) == sent
        assert all(slot["kind"] == layout.value("ORDER_SLOT_CANCEL") for slot, _ in pairs)
        for slot, frame in pairs:
            message = ouch50.decode(frame[-ouch50.size_of("CancelOrder") :], ouch50.INBOUND)
            assert message["user_ref_num"] == slot["reference"] and message["quantity"] == 0
        return [int(slot["reference"]) for slot, _ in pairs]


def test_every_open_order_is_cancelled_once():
    desk = (unattended := Unattended(orders=5)).desk
    desk.orders["state"][2] = layout.value("ORDER_PARTIAL")
    assert unattended.look() == [1, 2, 3, 4, 5]
    assert {desk.state(reference) for reference in range(1, 6)} == {"CANCELLING"}
    assert unattended.look() == unattended.look(LATE_NS + SECOND_NS) == []
    assert desk.rows["open_buy"][1] == 5  # what is not proven stays reserved


def test_the_orders_of_every_strategy():
    assert Unattended(orders=1, others=1).look() == [1, 2]


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("kill_latch", "KILL_CLEAR"),
        ("state", "PROCESS_ABSENT"),
        ("state", "PROCESS_STARTING"),
        ("state", "PROCESS_STOPPED"),
    ],
)
def test_nothing_is_cancelled_for_a_control_that_is_not_missed(field, number):
    unattended = Unattended()
    (unattended.desk.control if field == "kill_latch" else unattended.beat)[field] = layout.value(number)
    assert unattended.look() == []


def test_an_order_that_control_sent_to_close_a_position_is_left():
    unattended = Unattended()
    unattended.desk.orders["strategy"][2] = layout.value("GATE_STRATEGIES") - 1
    assert unattended.look() == [1, 3] and unattended.look() == []


def test_the_silence_has_to_last():
    unattended = Unattended()
    assert unattended.look(LATE_NS - 1) == []
    assert len(unattended.look(LATE_NS)) == 3


def test_a_control_that_comes_back_takes_over():
    unattended = Unattended()
    unattended.look()
    unattended.beat["time_ns"] = LATE_NS
    unattended.desk.orders["state"][1] = layout.value("ORDER_ACCEPTED")
    assert unattended.look(LATE_NS + 1) == []


def test_any_reason_of_the_latch_counts():
    """A person's signal finds control dead just as its silence does."""
    unattended = Unattended()
    unattended.desk.control["kill_latch"] = layout.value("KILL_SIGNAL")
    assert len(unattended.look()) == 3


def test_a_cancel_without_an_answer_is_sent_again_once_the_order_is_unknown():
    unattended = Unattended(orders=1)
    unattended.desk.adoption["unknown_ns"] = 2 * SECOND_NS
    assert unattended.look() == [1]
    again_ns = LATE_NS + 2 * SECOND_NS
    assert _age(unattended.desk.path.address, again_ns) == 1
    assert unattended.look(again_ns) == [1]


def test_a_full_ring_holds_the_rest_for_the_next_look():
    unattended = Unattended(orders=40)
    rounds = [unattended.look() for _ in range(40)]
    assert sorted(sum(rounds, [])) == list(range(1, 41))
    assert max(map(len, rounds)) <= 16


def test_a_full_journal_stops_no_cancel():
    unattended = Unattended(orders=40)
    found: list[int] = []
    for _ in range(40):
        found += unattended.look()
    assert len(found) == 40 and int(unattended.desk.journal.writer[0].shed) > 0


def test_one_look_is_bounded_and_the_next_one_goes_on():
    """Orders that are over stand between two that are not."""
    unattended = Unattended(orders=2, orders_rows=4 * ROWS_PER_LOOK)
    unattended.desk.table["next_reference"] = 4 * ROWS_PER_LOOK
    last = 4 * ROWS_PER_LOOK - 1
    unattended.desk.orders[last] = unattended.desk.orders[2]
    unattended.desk.orders["reference"][last] = last
    looks = [unattended.look() for _ in range(5)]
    assert sum(map(len, looks)) == 3 and looks[0] == [1, 2] and [last] in looks


def test_a_replay_has_no_control_to_miss():
    unattended = Unattended()
    unattended.core["unattended"] = 0
    assert unattended.look() == []
