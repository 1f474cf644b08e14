"""Control and the venue's truth: unknown orders are decided with proof only, differences are believed the second time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway import clock, layout
from gateway.config import load
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.core.order_packets import OrderPackets
from gateway.instance import Instance, handle_address
from gateway.ops.control_record import read
from gateway.ops.drop_copy import DropCopy
from gateway.ops.order_control import OrderControl
from gateway.ops.order_resolution import ASK, NEVER_ARRIVED, WAIT, WORKING, finding
from gateway.ops.session_secret import VARIABLE
from gateway.protocols import ouch50, soupbintcp
from gateway.protocols.ouch50_account import VenueAccount
from tests.stage_bench import unique_name
from tests.venue_process import User, VenueRun, middle_of, venue_run

UNKNOWN, ACCEPTED = layout.value("ORDER_UNKNOWN"), layout.value("ORDER_ACCEPTED")
SECOND_NS = 1_000_000_000


class Room:
    """An instance whose core and session the test plays, its control, and a user of a real venue."""

    folder: Path  # of the state

    def __init__(self, instance: Instance, venue: VenueRun, **more: Any):
        keys = {"orders.carriage": "soupbintcp", "orders.username": "GWSIM", "orders.drop_copy": venue.drop_copy}
        keys |= {"reconciliation.resolve_ms": 500, "reconciliation.confirm_ms": 50, "reconciliation.every_s": 1}
        self.instance = instance
        instance.regions["session"].view("session_state")[0]["phase"] = layout.value("SESSION_UP")
        self.control = OrderControl(instance, load(None, keys | more), OrderPackets(epoch=1, site="A"))
        self.state = instance.regions["reconciliation"].view("reconciliation_state")[0]
        self.user = User(venue.orders)
        self.user.join()
        self.user.settle()
        answers = [ouch50.decode(report, ouch50.OUTBOUND) for report in self.user.reports if report[:1] == b"Q"]
        self.next = answers[-1]["next_user_ref_num"]
        for row in range(4):
            instance.rows("books")["symbol"][row] = f"SIM{row:04d} ".encode()
        instance.regions["orders"].view("order_table")[0]["next_reference"] = self.next + 100
        instance.control[0]["session_connection"] = 1

    def row(self, reference: int, **fields: int) -> None:
        row = self.instance.rows("orders")[reference % len(self.instance.rows("orders"))]
        given = {"reference": reference, "state": UNKNOWN, "side": 1, "quantity": 100, "open": 100, "price": middle_of(0)}
        for name, number in (given | fields).items():
            row[name] = number

    def enter(self, reference: int, **terms: Any) -> None:
        """A buy far below the market: it rests."""
        given = {"side": "B", "quantity": 100, "symbol": "SIM0000", "price": middle_of(0) - 30_000, "display": "Y"}
        self.user.send(ouch50.encode("EnterOrder", user_ref_num=reference, time_in_force="0", **given | terms))
        self.user.settle()

    def until(self, what: Callable[[], Any], seconds: float = 10.0) -> None:
        deadline = clock.monotonic_ns() + int(seconds * SECOND_NS)
        while not what():
            assert clock.monotonic_ns() < deadline, "in vain"
            self.control.tick()
            self.user.turn()

    def told(self) -> list[tuple[int, int]]:
        """(kind, reference) of every record of control_core."""
        slots = self._drain("control_core")
        return [(int(row["kind"]), int(row["reference"])) for row in slots.view(layout.dtype("resolution_slot"))[:, 0]]

    def packets(self) -> list[bytes]:
        """What control sent by the session."""
        header = layout.size("order_slot")
        slots = self._drain("control_session")
        return [slot[header : header + int(slot[8:12].view(np.uint32)[0])].tobytes() for slot in slots]

    def _drain(self, name: str) -> np.ndarray:
        reader = self.instance.reader(name)
        target = np.zeros((64, int(reader.slot_bytes)), dtype=np.uint8)
        count = ring.drain(handle_address(reader), address_of(target), len(target))
        ring.acknowledge_drained(handle_address(reader))
        return target[:count]

    def transmitted(self, reference: int) -> None:
        sender = self.instance.regions["session_counters"].view("counters")[0]["io"]
        sender["reference_transmitted"] = reference


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueRun]:
    with venue_run(tmp_path_factory.mktemp("venue"), "--keep-orders") as run:
        yield run


@pytest.fixture
def room(venue: VenueRun, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    monkeypatch.setenv(VARIABLE, "simulated")
    instance = Instance.create(unique_name("gateway"))
    try:
        made = Room(instance, venue, **{"instance.state": str(tmp_path), **getattr(request, "param", {})})
        made.folder = tmp_path
        yield made
        made.control.close()
        made.user.socket.close()
    finally:
        instance.close(remove=True)


@pytest.mark.slow
def test_an_order_whose_reference_the_venue_has_passed_without_a_word_never_arrived(room: Room) -> None:
    room.row(room.next)
    room.enter(room.next + 1)
    room.until(lambda: room.state["resolved"])
    assert room.told() == [(NEVER_ARRIVED, room.next)] and not room.packets() and room.state["flagged"] == 0


def test_an_order_the_venue_may_still_take_is_decided_by_a_query_behind_it(room: Room) -> None:
    room.row(room.next)
    room.transmitted(room.next)
    asked: list[bytes] = []
    room.until(lambda: asked.extend(room.packets()) or asked)
    assert asked == [soupbintcp.encode("U", ouch50.encode("AccountQuery"))] and room.told() == []
    room.user.settle()  # the session sends it, and the venue answers
    room.until(lambda: room.state["resolved"])
    assert room.told() == [(NEVER_ARRIVED, room.next)]


def test_nothing_is_asked_or_told_about_an_order_that_has_not_left_yet(room: Room, capfd: pytest.CaptureFixture) -> None:
    room.row(room.next)
    room.until(lambda: room.state["flagged"])
    assert room.packets() == [] and room.told() == [] and room.state["flagged"] == 1
    assert f"order {room.next} is UNKNOWN" in capfd.readouterr().err


def test_a_cancel_that_was_lost_leaves_the_order_working(room: Room) -> None:
    room.enter(room.next)
    room.row(room.next, venue_order_id=5)
    room.until(lambda: room.state["resolved"])
    assert room.told() == [(WORKING, room.next)]


@pytest.mark.parametrize("room", [{"orders.drop_copy": ""}], indirect=True)
def test_without_a_drop_copy_an_unknown_order_is_flagged_once(room: Room, capfd: pytest.CaptureFixture) -> None:
    room.row(room.next)
    room.until(lambda: room.state["flagged"])
    for _ in range(50):
        room.control.tick()
    assert room.state["flagged"] == 1 and room.told() == []
    assert "there is no drop copy to ask" in capfd.readouterr().err


def test_found_orders_are_cancelled_once_on_every_connection(room: Room) -> None:
    room.row(room.next, state=ACCEPTED, flags=layout.value("ORDER_FOUND"))
    for connection in (1, 2):
        room.instance.control[0]["session_connection"] = connection
        for _ in range(5):
            room.control.tick()
        assert room.packets() == [OrderPackets(epoch=1, site="A").cancel(room.next)]
    assert room.state["found"] == 1
    lines = read(room.folder)
    assert {(line["kind"], line["because"]) for line in lines} == {("cancel", "found")}, "why they went stands on disk"


@pytest.mark.parametrize("room", [{"reconciliation.found": "adopt"}], indirect=True)
def test_found_orders_may_be_left_to_their_strategy(room: Room) -> None:
    room.row(room.next, state=ACCEPTED, flags=layout.value("ORDER_FOUND"))
    room.control.tick()
    assert room.packets() == [] and room.state["found"] == 1


def agree(room: Room) -> None:
    """Our memory says what the venue's account says."""
    copy = DropCopy(room.control.copy.host + f":{room.control.copy.port}", "GWSIM", "simulated")
    assert copy.connect()
    for order in copy.account.open_orders.values():
        terms = {"price": order.price, "open": order.open, "side": 1 if order.side == "buy" else 2}
        room.row(order.reference, state=ACCEPTED, venue_order_id=9, instrument=int(order.symbol[3:]), **terms)
    for symbol, held in copy.account.positions.items():
        room.instance.rows("gate")["position"][int(symbol[3:])] = held
    room.instance.counters[0]["core"]["reports"] = copy.account.messages
    copy.close()


@pytest.mark.slow
def test_accounts_that_agree_are_clean_and_a_difference_is_believed_the_second_time(room: Room) -> None:
    seen: list[dict[str, str]] = []
    room.control.reconciliation.observers.append(seen.append)
    room.enter(room.next, quantity=7)
    agree(room)
    room.until(lambda: room.state["reconciliations"] == 1)
    assert room.state["differences"] == room.state["mismatches"] == 0 and room.state["time_clean_ns"] > 0 and seen == [{}]
    room.instance.rows("gate")["position"][2] += 5
    room.row(room.next, state=ACCEPTED, venue_order_id=9, open=6, price=middle_of(0) - 30_000)
    room.until(lambda: room.state["mismatches"] == 1)
    assert room.state["differences"] == 2 and set(seen[-1]) == {f"order {room.next}", "position SIM0002"}
    assert room.state["drop_copy"] in (0, 1)


def test_a_difference_that_a_second_look_does_not_find_is_not_believed(room: Room) -> None:
    agree(room)
    room.instance.rows("gate")["position"][2] += 5
    room.until(lambda: room.control.reconciliation._suspected)
    room.instance.rows("gate")["position"][2] -= 5
    room.until(lambda: room.state["reconciliations"] == 1)
    assert room.state["mismatches"] == 0


def test_what_the_account_says_of_an_order_is_read_off_plainly(tmp_path: Path) -> None:
    row = np.zeros(1, dtype=layout.dtype("order"))
    account = VenueAccount()
    row["reference"] = 5
    assert finding(account, row[0]) == ASK
    account.apply(ouch50.encode("Rejected", user_ref_num=6))
    assert finding(account, row[0]) == NEVER_ARRIVED
    account.apply(ouch50.encode("OrderAccepted", user_ref_num=5, side="B", quantity=9, symbol="A", price=1, order_state="L"))
    assert finding(account, row[0]) == WAIT
    row["venue_order_id"] = 1
    assert finding(account, row[0]) == WORKING
    account.apply(ouch50.encode("OrderCanceled", user_ref_num=5, quantity=9, timestamp=1))
    assert finding(account, row[0]) == WAIT
