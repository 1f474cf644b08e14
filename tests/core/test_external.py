"""Orders of another process ⑥→⑦: the same gate, their own identity, and nothing of their slot is believed."""

import numpy as np
import pytest
from numba import njit

from gateway import layout
from gateway.core.external import take_external
from gateway.core.memory import address_of
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.native import ffi
from gateway.ops.trader import Trader
from tests.order_desk import NOW_NS, SECOND_NS, STRATEGY, Desk
from tests.stage_bench import unique_name

OUTSIDE = 1  # the strategy's row
PRICE = 1_000_200


@njit
def _take(core):
    return take_external(core)


class Outside:
    """A desk whose core also reads external_core, and the trader at the other end."""

    def __init__(self):
        self.instance = Instance.create(unique_name("external"))
        self.trader = Trader(self.instance.name)
        self.desk = Desk().open()
        self.desk.set_strategy(OUTSIDE, **STRATEGY)
        for instrument in (1, 2):
            self.desk.set_limits(instrument, permits=0b11 << 2 * OUTSIDE)
        self.intents = np.zeros(1, dtype=layout.dtype("intents"))
        self.intents["strategy"] = OUTSIDE
        self.core = ffi.new("struct core *")
        self.core.external = self.instance.reader("external_core")[0]
        self.core.path, self.core.external_intents = self.desk.path.address, address_of(self.intents)

    def take(self, late_ns: int = 0) -> int:
        """One turn of core, `late_ns` after the trader's clock; the desk's books are of that instant."""
        self.core.now_ns = int(self.trader._slot["time_ns"][0]) + late_ns
        for rows, names in ((self.desk.books, ("time_ns",)), (self.desk.rows, ("window_ns", "last_price_ns"))):
            for name in names:
                rows[name] = self.core.now_ns
        return int(_take(int(ffi.cast("uintptr_t", self.core))))

    def refused(self) -> set[str]:
        """Controls that refused so far."""
        names = layout.names("gate_reason", "GATE_")
        return {names[int(number)] for number in np.flatnonzero(self.desk.account["rejects"][0])}


@pytest.fixture
def outside():
    made = Outside()
    yield made
    made.instance.close(remove=True)


def test_an_order_from_outside_leaves_by_the_same_gate(outside):
    assert outside.trader.send(1, "buy", quantity=100, price=PRICE, signal_id=5)
    assert outside.take() == 1
    assert outside.refused() == set() and len(outside.desk.sent()) == 1
    order = outside.desk.order(1)
    assert (order["strategy"], order["signal_id"], order["open"]) == (OUTSIDE, 5, 100)
    assert outside.desk.holdings["open_buy"][OUTSIDE, 1] == 100


def test_what_the_gate_refuses_inside_it_refuses_from_outside(outside):
    outside.trader.send(1, "buy", quantity=5000, price=PRICE)
    outside.trader.send(3, "buy", quantity=100, price=PRICE)
    outside.trader.send(1, "sell", quantity=100, price=1)
    outside.trader.send(70_000, "sell", quantity=100, price=PRICE)
    assert outside.take() == 4
    assert outside.desk.sent() == [] and {"QTY", "PERM", "PRICE", "STATE"} <= outside.refused()


def test_the_latch_stops_orders_from_outside_and_lets_their_cancels_pass(outside):
    outside.trader.send(1, "buy", quantity=100, price=PRICE, life="day")
    outside.take()
    outside.desk.control["kill_latch"] = 1
    outside.trader.send(1, "buy", quantity=50, price=PRICE)
    outside.trader.send(1, kind="cancel", reference=1)
    assert outside.take() == 2
    assert outside.refused() == {"KILL"} and len(outside.desk.sent()) == 2


def test_who_sends_is_what_core_was_told(outside):
    outside.trader._intent["strategy"] = 0
    outside.trader.send(1, "buy", quantity=100, price=PRICE)
    outside.take()
    assert outside.desk.order(1)["strategy"] == OUTSIDE


def test_an_order_of_another_strategy_is_out_of_reach(outside):
    outside.desk.set_limits(1, permits=0b1111)
    assert outside.desk.send() == set()
    outside.trader.send(1, kind="cancel", reference=1)
    outside.take()
    assert outside.refused() == {"ORDERS"} and outside.desk.state(1) == "SENT"


def test_an_order_that_is_too_old_or_of_another_clock_is_refused(outside):
    for late_ns, fate in ((SECOND_NS, "sent"), (SECOND_NS + 1, "refused"), (-SECOND_NS - 1, "refused")):
        outside.trader.send(1, "buy", quantity=100, price=PRICE, signal_id=late_ns % 7 + 1)
        outside.desk.set_account(bucket_ns=0)
        outside.take(late_ns)
        assert bool(outside.desk.sent()) == (fate == "sent"), late_ns
    assert "PERM" in outside.refused()


def test_rubbish_in_the_ring_is_refused_and_counted(outside):
    draw = np.random.default_rng(7)
    for _ in range(200):
        outside.trader._intent.view(np.uint8)[:] = draw.integers(0, 256, layout.size("intent"), dtype=np.uint8)
        slot = outside.trader._slot
        slot["time_ns"] = NOW_NS
        outside.trader._intent["kind"] = int(draw.integers(0, 6))
        assert _put(outside.trader)
        outside.take()
    decisions, sent = int(outside.desk.account["decisions"][0]), len(outside.desk.sent())
    assert decisions == 200 and sent == int(outside.desk.account["cancels"][0])
    assert outside.desk.rows["open_buy"].sum() == outside.desk.rows["open_sell"].sum() == 0


def _put(trader):
    from gateway.core import ring
    from gateway.instance import handle_address

    sizes = layout.size("intent_slot"), layout.size("intent")
    slot, intent = address_of(trader._slot), address_of(trader._intent)
    return ring.put(handle_address(trader._writer), slot, sizes[0], intent, sizes[1])


def test_a_full_ring_says_so(outside):
    sent = 0
    while outside.trader.send(1, "buy", quantity=1, price=PRICE, signal_id=sent + 1):
        sent += 1
    assert sent == 256
    assert outside.take() == 16


def test_without_permission_to_send_nothing_is_read(outside):
    outside.core.external_intents = 0
    outside.trader.send(1, "buy", quantity=100, price=PRICE)
    assert outside.take() == 0


def test_a_trader_cannot_write_limits_or_positions(outside):
    with pytest.raises(ValueError, match="read-only"):
        outside.trader.instance.rows("gate")["position"][1] = 5
    with pytest.raises(ValueError, match="read-only"):
        outside.trader.instance.control["kill_latch"] = 0
    with pytest.raises(AttachError):
        Trader("test-no-such-instance")
