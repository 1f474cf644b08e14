"""The simulated venue's order gateway: sessions on a real socket around an engine that the test plays."""

import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gateway import clock, layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.errors import PortError, UsageError
from gateway.instance import Instance, handle_address
from gateway.native import ffi
from gateway.protocols import moldudp64, udp
from gateway.protocols.soupbintcp_client import Client
from gateway.protocols.soupbintcp_stream import Event, Lost, Message
from gateway.venues.simulator.order_faults import FaultClock
from gateway.venues.simulator.order_gateway import LOST, MESSAGE, OrderGateway
from gateway.venues.simulator.order_settings import OrderSettings, SessionFaults
from gateway.venues.simulator.process import REGIONS, RINGS
from tests.session_desk import taken
from tests.stage_bench import unique_name

SECOND, MILLISECOND = 1_000_000_000, 1_000_000
WAIT_SECONDS = 10.0


class Engine:
    """The venue's step, played by the test: reads session_core, writes core_session."""

    def __init__(self, instance: Instance, gateway: OrderGateway):
        self.instance, self.gateway, self.sequence = instance, gateway, 1
        self.writer, self.reader = gateway._engine

    def orders(self) -> list[tuple[int, bytes]]:
        """(flags, message) that came since the last call."""
        return taken(self.reader)

    def report(self, *messages: bytes) -> None:
        """One packet of reports, in a frame as the step writes it."""
        packet = moldudp64.encode("ORD0000001", self.sequence, list(messages))
        self.sequence += len(messages)
        frame = udp.frame(packet, source="10.77.0.2", destination="10.77.0.1", source_port=41002, destination_port=41001)
        header = ffi.new("struct order_slot *")
        header.size = len(frame)
        data = np.frombuffer(frame, dtype=np.uint8)
        size = layout.size("order_slot")
        assert ring.put(handle_address(self.writer), handle_address(header), size, address_of(data), len(frame))


class User:
    """A client on a socket."""

    def __init__(self, gateway: OrderGateway, name: str = "GWSIM", password: str = "simulated", sequence: int = 1):
        self.socket = socket.create_connection(("127.0.0.1", gateway.port))
        self.socket.setblocking(False)
        self.client = Client(name, password, "", sequence)
        self.client.connect(time.monotonic_ns())
        self.events: list[Event] = []

    def turn(self) -> None:
        data = self.client.output()
        if data:
            self.socket.sendall(data)
        try:
            self.events += self.client.receive(self.socket.recv(1 << 16), time.monotonic_ns())
        except BlockingIOError:
            pass
        except OSError:
            self.events += self.client.receive(b"", time.monotonic_ns())

    def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.client.send(payload, time.monotonic_ns())
        self.turn()

    @property
    def is_open(self) -> bool:
        return self.client.phase == "open"

    @property
    def lost(self) -> str:
        return next((event.reason for event in self.events if isinstance(event, Lost)), "")

    @property
    def reports(self) -> list[tuple[int, bytes]]:
        return [tuple(event) for event in self.events if isinstance(event, Message)]


class Room:
    """A gateway, its engine, and as many users as a test wants; `until` turns them all."""

    def __init__(self, instance: Instance, **settings: Any):
        self.instance = instance
        self.gateway = OrderGateway(instance, OrderSettings(port=0, **settings), "ORD0000001")
        self.engine = Engine(instance, self.gateway)
        self.users: list[User] = []

    def now_ns(self) -> int:
        return clock.now_ns(self.instance.clock_address)

    def user(self, **given: Any) -> User:
        self.users.append(User(self.gateway, **given))
        return self.users[-1]

    def until(self, what: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not what():
            assert time.monotonic() < deadline, f"in vain: {self.gateway.report()}"
            self.turn()

    def turn(self) -> None:
        self.gateway.turn(self.now_ns())
        for user in self.users:
            user.turn()
        time.sleep(0.0002)


@pytest.fixture
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    instance = Instance.create(unique_name("gateway"), rings=RINGS, regions=REGIONS)
    made = Room(instance, **getattr(request, "param", {}))
    try:
        yield made
    finally:
        for user in made.users:
            user.socket.close()
        made.gateway.close()
        instance.close(remove=True)


def test_orders_reach_the_engine_in_order_and_reports_the_client_with_their_numbers(room: Room) -> None:
    user = room.user()
    room.until(lambda: user.is_open)
    user.send(b"one", b"two")
    found: list[tuple[int, bytes]] = []
    room.until(lambda: found.extend(room.engine.orders()) or len(found) == 2)
    assert found == [(MESSAGE, b"one"), (MESSAGE, b"two")]
    room.engine.report(b"yes", b"no")
    room.engine.report(b"maybe")
    room.until(lambda: len(user.reports) == 3)
    assert user.reports == [(1, b"yes"), (2, b"no"), (3, b"maybe")]


def test_reports_wait_in_the_log_for_whoever_logs_in_later(room: Room) -> None:
    room.engine.report(b"a", b"b", b"c")
    user = room.user(sequence=2)
    room.until(lambda: len(user.reports) == 2)
    assert user.reports == [(2, b"b"), (3, b"c")]


@pytest.mark.parametrize(("kind", "reason"), [("reset", "closed"), ("close", "closed"), ("tear", "closed")])
def test_a_cut_tells_the_engine_behind_the_last_order_that_was_read(room: Room, kind: str, reason: str) -> None:
    user = room.user()
    room.until(lambda: user.is_open)
    user.send(b"last")
    room.until(lambda: room.gateway.counts["messages_received"] == 1)
    room.gateway.cut(room.gateway.connections[0], kind)
    room.until(lambda: user.lost == reason)
    assert room.engine.orders() == [(MESSAGE, b"last"), (LOST, b"")]


@pytest.mark.parametrize("room", [{"cancel_on_disconnect": False}], indirect=True)
def test_a_venue_that_keeps_orders_hears_of_no_cut(room: Room) -> None:
    user = room.user()
    room.until(lambda: user.is_open)
    room.gateway.cut(room.gateway.connections[0], "close")
    room.until(lambda: user.lost)
    room.turn()
    assert room.engine.orders() == []


def test_a_second_login_of_the_same_user_closes_the_first(room: Room) -> None:
    first = room.user()
    room.until(lambda: first.is_open)
    second = room.user()
    room.until(lambda: second.is_open and first.lost)
    assert room.gateway.counts["lost_replaced"] == 1 and room.engine.orders() == [(LOST, b"")]


def test_who_is_not_known_is_refused(room: Room) -> None:
    for wrong in ({"name": "OTHER"}, {"password": "wrong"}):
        user = room.user(**wrong)
        room.until(lambda user=user: user.lost == "login_refused")
    assert room.engine.orders() == [] and room.gateway.counts["logins"] == 0


@pytest.mark.parametrize("room", [{"faults": SessionFaults(reject=1, busy=2)}], indirect=True)
def test_logins_are_refused_as_often_as_planned(room: Room) -> None:
    for reason in ("login_refused", "login_busy", "login_busy"):
        user = room.user()
        room.until(lambda user=user, reason=reason: user.lost == reason)
    last = room.user()
    room.until(lambda: last.is_open)


@pytest.mark.parametrize("room", [{"faults": SessionFaults(delay_ms=100)}], indirect=True)
def test_a_delayed_report_is_late(room: Room) -> None:
    user = room.user()
    room.until(lambda: user.is_open)
    began = time.monotonic()
    room.engine.report(b"late")
    room.until(lambda: user.reports)
    assert time.monotonic() - began >= 0.1


def test_damage_on_the_wire_ends_the_connection_and_nothing_else(room: Room) -> None:
    chance = random.Random(3)
    for _ in range(30):
        user = room.user()
        room.until(lambda user=user: user.is_open)
        user.socket.sendall(b"\0\0" + chance.randbytes(chance.randrange(1, 200)))
        room.until(lambda user=user: user.lost)
        user.socket.close()
        room.users.remove(user)
    assert room.gateway.counts["lost_length_zero"] == 30 and len(room.gateway.connections) == 0


def test_a_taken_address_is_refused_with_its_reason() -> None:
    instance = Instance.create(unique_name("taken"), rings=RINGS, regions=REGIONS)
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortError, match="cannot listen on 127.0.0.1"):
            OrderGateway(instance, OrderSettings(port=taken.getsockname()[1]), "ORD0000001")
    finally:
        instance.close(remove=True)


def test_faults_are_spread_over_the_day_and_happen_once() -> None:
    clock_of_faults = FaultClock(SessionFaults(cut=4, duplicate=1))
    clock_of_faults.begin(0, 10 * SECOND)
    seen = [(now_ns // SECOND, kind) for now_ns in range(0, 12 * SECOND, SECOND) if (kind := clock_of_faults.due(now_ns))]
    assert seen == [(1, "reset"), (3, "close"), (5, "tear"), (7, "reset"), (9, "duplicate")]


def test_a_stall_takes_its_share_of_every_second() -> None:
    stalled = FaultClock(SessionFaults(stall_ms=200))
    assert not stalled.is_stalled(SECOND - 1)
    stalled.begin(10 * SECOND, 20 * SECOND)
    times = range(10 * SECOND, 12 * SECOND, 10 * MILLISECOND)
    assert sum(stalled.is_stalled(now_ns) for now_ns in times) == 40
    assert not FaultClock(SessionFaults()).is_stalled(11 * SECOND)


@pytest.mark.parametrize("text", ["cut", "cut=x", "cut=-1", "cut=1,cut=2", "rain=1", "cut=1001", "stall_ms=60001"])
def test_a_plan_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="session-faults"):
        SessionFaults.parse(text)


def test_a_plan_is_read() -> None:
    assert (
        SessionFaults.parse("cut=3,delay_ms=20") == SessionFaults(cut=3, delay_ms=20)
        and SessionFaults.parse("") == SessionFaults()
    )
