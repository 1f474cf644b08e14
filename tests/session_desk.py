"""The appliance's order session in this process, with the test as its venue on a real socket of the loopback interface."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from gateway import clock, layout
from gateway.config import load
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.core.order_packets import OrderPackets
from gateway.instance import Instance, handle_address
from gateway.native import ffi
from gateway.ops.session import OrderSession
from gateway.protocols import ouch50
from gateway.protocols.soupbintcp import encode
from gateway.protocols.soupbintcp_server import Log, Server
from gateway.protocols.soupbintcp_stream import Event, Message
from tests.stage_bench import unique_name

PACKETS = OrderPackets(epoch=1, site="A")
WAIT_SECONDS = 10.0


class Venue:
    """A server of SoupBinTCP that answers Account Queries; everything else it hears is kept in `heard`."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.log = Log("S1")
        self.refusals: list[str] = []  # reject reason codes of the next logins
        self.next_reference = 1
        self.answers_queries = self.reads = True
        self.heard: list[bytes] = []
        self.events: list[Event] = []
        self.socket: socket.socket | None = None
        self.server: Server | None = None

    def turn(self) -> None:
        now_ns = time.monotonic_ns()
        try:
            accepted, _ = self.listener.accept()
            accepted.setblocking(False)
            self.socket, self.server = accepted, Server(self.log, lambda *_: (self.refusals or [""]).pop(0), now_ns)
        except BlockingIOError:
            pass
        if self.socket is None or self.server is None or not self.reads:
            return
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        events = [] if data is None else self.server.receive(data, now_ns)
        self._take(events)
        self.events += events + self.server.advance(now_ns)
        output = self.server.output()
        with suppress(OSError):
            self.socket.sendall(output)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Message) and event.payload == b"Q":
                if self.answers_queries:
                    self.log.append(ouch50.encode("AccountQueryResponse", next_user_ref_num=self.next_reference))
            elif isinstance(event, Message):
                self.heard.append(event.payload)

    def cut(self) -> None:
        assert self.socket is not None and self.server is not None
        self.server.disconnect("closed")
        self.socket.close()
        self.socket = self.server = None

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.listener.close()


class Desk:
    """Instance, venue and session; `until` turns both sides."""

    def __init__(self, instance: Instance, venue: Venue, **orders: Any):
        self.instance, self.venue = instance, venue
        self._heard: list[tuple[str, int]] = []
        port = venue.listener.getsockname()[1]
        given = {"carriage": "soupbintcp", "username": "us", "address": f"127.0.0.1:{port}", **orders}
        given = {"retry_first_ms": 1, "retry_last_ms": 4, **given}
        self.configuration = load(None, {f"orders.{key}": value for key, value in given.items()})
        self.reader = instance.reader("session_core")
        self.writers = {name: instance.writer(name) for name in ("core_session", "control_session")}
        instance.control[0]["epoch"] = 1
        spare = np.zeros(128, dtype=np.uint8)  # compiles `put`: an order must not grow old meanwhile
        journal = instance.writer("core_journal")
        ring.put(handle_address(journal), address_of(spare), 64, address_of(spare), 64)
        self.begin()

    def begin(self) -> None:
        """A new session process."""
        self.session = OrderSession(self.instance, self.configuration, chance=lambda: 0.0)

    def now_ns(self) -> int:
        return clock.now_ns(self.instance.clock_address)

    def until(self, what: Callable[[], Any], seconds: float = WAIT_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"in vain: {self.state}"
            self.turns(1)

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.session.turn(self.now_ns())
            self.venue.turn()
            time.sleep(0.0002)

    def up(self) -> None:
        self.until(lambda: self.phase == "UP")

    @property
    def state(self) -> Any:
        return self.instance.regions["session"].view("session_state")[0]

    @property
    def phase(self) -> str:
        return layout.names("session_phase", "SESSION_")[int(self.state["phase"])]

    @property
    def counters(self) -> Any:
        return self.instance.regions["session_counters"].view("counters")[0]["io"]

    @property
    def connection(self) -> int:
        return int(self.instance.control[0]["session_connection"])

    def order(self, reference: int, kind: str = "NEW", to: str = "core_session", age_ns: int = 0) -> None:
        """An order, or a cancel, as core or control publish it."""
        message = ouch50.encode("EnterOrder", user_ref_num=reference)
        packet = encode("U", message) if kind == "NEW" else PACKETS.cancel(reference)
        header = ffi.new("struct order_slot *")
        header.size, header.kind, header.epoch = len(packet), layout.value(f"ORDER_SLOT_{kind}"), 1
        header.reference, header.time_receive_ns = reference, self.now_ns() - age_ns
        data = np.frombuffer(packet, dtype=np.uint8)
        size = layout.size("order_slot")
        assert ring.put(handle_address(self.writers[to]), handle_address(header), size, address_of(data), len(packet))

    def heard(self) -> list[tuple[str, int]]:
        """(message, reference) of what the venue has heard of orders."""
        for payload in self.venue.heard[len(self._heard) :]:
            row = ouch50.decode(payload, ouch50.INBOUND)
            self._heard.append((row["message"], row["user_ref_num"]))
        return self._heard

    def records(self) -> list[tuple[int, bytes]]:
        """(flags, bytes) of every record of session_core since the last call."""
        return taken(self.reader)


def taken(reader: Any) -> list[tuple[int, bytes]]:
    """(flags, bytes) of every record of a ring of frames since the last call."""
    slot_bytes, head = int(reader.slot_bytes), layout.size("frame_slot")
    target = np.zeros((4096, slot_bytes), dtype=np.uint8)
    count = ring.drain(handle_address(reader), address_of(target), len(target))
    ring.acknowledge_drained(handle_address(reader))
    rows = []
    for slot in target[:count]:
        header = slot[:head].view(layout.dtype("frame_slot"))[0]
        rows.append((int(header["flags"]), slot[head : head + int(header["size"])].tobytes()))
    return rows


@contextmanager
def session_desk(**orders: Any) -> Iterator[Desk]:
    """A Desk that leaves nothing behind."""
    instance, venue = Instance.create(unique_name("session")), Venue()
    try:
        desk = Desk(instance, venue, **orders)
        try:
            yield desk
        finally:
            desk.session.leave(desk.now_ns())
    finally:
        venue.close()
        instance.close(remove=True)
