"""The order gateway of the simulated venue: SoupBinTCP on a kernel socket, around the same matching engine.

    client ═ TCP ═ connection ── session_core ──► venue step          a thread of its own, beside the venue's loop
                       ▲                              │
                       └──── log ◄── core_session ◄───┘ MoldUDP64 packets in frames, as on the wire

Beside the corridor. Hard rule: a report has its sequence from the engine; the log only repeats it, in order, to whoever is
logged in. Every end of a connection is told to the engine when it cancels on disconnect.
"""

import select
import threading
from collections import Counter, deque
from typing import Any, NamedTuple

import numpy as np

from gateway import clock, layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.instance import Instance, handle_address
from gateway.protocols import moldudp64, ouch50
from gateway.protocols.soupbintcp_server import Log, Server
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost, Message
from gateway.venues.simulator.drop_copy import DropCopyPort
from gateway.venues.simulator.order_connection import CONNECTIONS_MAX, Connection, listen
from gateway.venues.simulator.order_faults import FaultClock
from gateway.venues.simulator.order_settings import OrderSettings

BATCH = 64
HEADERS_BYTES = layout.value("VENUE_HEADERS_BYTES")
MESSAGE, LOST = layout.value("FRAME_MESSAGE"), layout.value("FRAME_SESSION")
ARRIVALS_MAX = 1 << 16
CLIENT_AT = {b"O": ouch50.offsets_of("EnterOrder").cl_ord_id, b"U": ouch50.offsets_of("ReplaceOrder").cl_ord_id}
CLIENT_BYTES = 14
CANCELS = (b"X", b"C")  # Cancel Order, Mass Cancel
CANCEL_BYTES_MIN = 5  # type and reference
DAY_NS = 86_400_000_000_000
REST_SECONDS, REST_ALONE_SECONDS, STOP_SECONDS = 0.0002, 0.005, 5.0


class Arrival(NamedTuple):
    """One message of a client: the venue's time, type, reference, and the client order id of an order or a replacement."""

    time_ns: int
    letter: str
    reference: int
    client_order_id: str


class OrderGateway:
    """Listens from the moment it is made; serves between `start` and `close`."""

    def __init__(self, instance: Instance, settings: OrderSettings, session: str):
        self.instance, self.settings, self.log = instance, settings, Log(session)
        self._engine = (instance.writer("core_session"), instance.reader("session_core"))
        self._writer, self._reader = instance.writer("session_core"), instance.reader("core_session")
        slot_bytes = int(instance.rings["core_session"].view("ring_header")[0]["slot_bytes"])
        self._batch = np.zeros((BATCH, slot_bytes), dtype=np.uint8)
        self._header = np.zeros(1, dtype=layout.dtype("frame_slot"))
        self._to_engine: deque[tuple[int, bytes, int]] = deque()  # (kind, message, when it came in)
        self.arrivals: deque[Arrival] = deque(maxlen=ARRIVALS_MAX)
        self._late: deque[tuple[int, bytes]] = deque()  # (when it is said, report)
        self.connections: list[Connection] = []
        self.counts: Counter[str] = Counter()
        self.faults = FaultClock(settings.faults)
        self._ending = threading.Event()
        self.problem = ""
        self._listener = listen(settings.host, settings.port, "order gateway")
        self.copies = None if settings.drop_copy is None else DropCopyPort(*settings.drop_copy, self.log, self._knows)
        self._thread = threading.Thread(target=self._serve, name="order-gateway", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    def rings(self) -> dict[str, int]:
        """Where the engine writes reports and reads orders, as keywords of Venue."""
        writer, reader = self._engine
        return {"report_writer": handle_address(writer), "session_reader": handle_address(reader)}

    def start(self, open_ns: int, close_ns: int) -> None:
        """Serves, on a thread of its own; the faults of the plan are spread between the two times."""
        self.faults.begin(open_ns, close_ns)
        self._thread.start()

    def close(self) -> None:
        """Ends the session: what was said still leaves, then End of Session, then every connection closes."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        for connection in self.connections:
            connection.close()
        self._listener.close()
        if self.copies is not None:
            self.copies.close()

    def report(self) -> dict[str, Any]:
        """What happened to connections, and what is in the log."""
        copies = {} if self.copies is None else {"drop_copy_logins": self.copies.logins}
        counts = {"messages": len(self.log.messages), "problem": self.problem, **self.counts, **copies}
        return {"session": self.log.session, **counts}

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not (self._ending.is_set() and self._all_said()):
                now_ns = clock.now_ns(self.instance.clock_address)
                self.turn(now_ns)
                if self.faults.is_mute(now_ns):
                    self._ending.wait(REST_ALONE_SECONDS)
                    continue
                heard: list[Any] = [] if self._to_engine or self.faults.is_stalled(now_ns) else self.connections
                rest = REST_SECONDS if self.connections else REST_ALONE_SECONDS
                select.select([self._listener, *heard], [], [], rest)
        except Exception as problem:  # the thread's end must not be silent: the venue's account names it
            self.problem = f"{type(problem).__name__}: {problem}"
            raise

    def turn(self, now_ns: int) -> None:
        """One turn: reports out of the engine, clients in, orders into the engine, faults."""
        self._take_reports(now_ns)
        if self.faults.is_mute(now_ns):
            return
        self._accept(now_ns)
        for connection in self.connections:
            if connection.open and not self._to_engine and not self.faults.is_stalled(now_ns):
                self._on(connection, connection.read(now_ns))
            if connection.open:
                self._on(connection, connection.write(now_ns))
        self._hand_over()
        if self.copies is not None:
            self.copies.turn(now_ns)
        self._fail(now_ns)
        self.connections = [connection for connection in self.connections if connection.open]

    def _all_said(self) -> bool:
        """Whether nothing is on its way any more; the session ends behind the last report."""
        self.log.ended = not self._late
        readers = [] if self.copies is None else self.copies.connections
        return self.log.ended and all(connection.is_done for connection in [*self.connections, *readers])

    def _take_reports(self, now_ns: int) -> None:
        reader = handle_address(self._reader)
        while count := int(ring.drain(reader, address_of(self._batch), BATCH)):
            for row in self._batch[:count]:
                size = int(row[8:12].view(np.uint32)[0])
                begin = layout.size("order_slot") + HEADERS_BYTES
                packet = moldudp64.decode(row[begin : layout.size("order_slot") + size].tobytes())
                due_ns = now_ns + self.settings.faults.delay_ms * 1_000_000
                self._late.extend((due_ns, message) for message in packet.messages)
            ring.acknowledge_drained(reader)
        while self._late and self._late[0][0] <= now_ns:
            self.log.append(self._late.popleft()[1])

    def _accept(self, now_ns: int) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # nobody, or somebody who has left again
            return
        if len(self.connections) >= CONNECTIONS_MAX:
            accepted.close()
            self.counts["connections_refused"] += 1
            return
        self.counts["connections"] += 1
        self.connections.append(Connection(accepted, Server(self.log, self._admit, now_ns)))

    def _admit(self, username: str, password: str) -> str:
        """'' or the reject reason code."""
        fault = self.faults.login_refusal()
        if fault:
            return fault
        return self._knows(username, password)

    def _knows(self, username: str, password: str) -> str:
        return "" if (username, password) == (self.settings.username, self.settings.password) else "A"

    def _on(self, connection: Connection, events: list[Event]) -> None:
        stamps = connection.stamps if len(connection.stamps) == len(events) else [self._now_ns()] * len(events)
        for event, stamp_ns in zip(events, stamps, strict=True):
            match event:
                case Message(_, payload):
                    self.counts["messages_received"] += 1
                    self._note(payload, stamp_ns)
                    if not self._refused(payload):
                        self._to_engine.append((MESSAGE, payload, stamp_ns))
                case Accepted():
                    connection.logged_in = True
                    self.counts["logins"] += 1
                case Lost(reason):
                    self.counts[f"lost_{reason}"] += 1
                    connection.write(0)
                    self._gone(connection)
                    connection.close()

    def _now_ns(self) -> int:
        return clock.now_ns(self.instance.clock_address)

    def _note(self, payload: bytes, stamp_ns: int) -> None:
        """What came in, and when, by the kernel's stamp: the venue's side of the wire."""
        letter, at = chr(payload[0]) if payload else "", CLIENT_AT.get(payload[:1])
        name = payload[at : at + CLIENT_BYTES].decode("latin-1").rstrip() if at is not None else ""
        self.arrivals.append(Arrival(stamp_ns, letter, int.from_bytes(payload[1:CANCEL_BYTES_MIN], "big"), name))

    def _refused(self, payload: bytes) -> bool:
        """Faults of cancels: the venue falls silent at one, or answers it with Cancel Reject (OUCH 5.0, 3.10)."""
        if payload[:1] not in CANCELS or len(payload) < CANCEL_BYTES_MIN:
            return False
        now_ns = self._now_ns()
        self.faults.note_cancel(now_ns)
        if not self.faults.refuses_cancel():
            return False
        self.counts["cancels_refused"] += 1
        reference = int.from_bytes(payload[1:CANCEL_BYTES_MIN], "big")
        answer = ouch50.encode("CancelReject", timestamp=now_ns % DAY_NS, user_ref_num=reference)
        self._late.append((now_ns + self.settings.faults.delay_ms * 1_000_000, answer))
        return True

    def _gone(self, connection: Connection) -> None:
        """A connection is over: the engine hears of it behind the last message that was read."""
        if connection.logged_in and self.settings.cancel_on_disconnect:
            self._to_engine.append((LOST, b"", self._now_ns()))
        connection.logged_in = False

    def _hand_over(self) -> None:
        while self._to_engine:
            flags, data, stamp_ns = self._to_engine[0]
            payload = np.frombuffer(data or b"\0", dtype=np.uint8)
            self._header["size"], self._header["flags"], self._header["time_receive_ns"] = len(data), flags, stamp_ns
            writer = handle_address(self._writer)
            size = layout.size("frame_slot")
            if not ring.put(writer, address_of(self._header), size, address_of(payload), len(data)):
                return
            self._to_engine.popleft()

    def _fail(self, now_ns: int) -> None:
        """The plan's cuts and duplicate logins, on whoever is logged in."""
        for connection in self.connections:
            if not (connection.open and connection.logged_in):
                continue
            kind = self.faults.due(now_ns)
            if kind:
                self.counts[f"fault_{kind}"] += 1
                self.cut(connection, kind)

    def cut(self, connection: Connection, kind: str) -> None:
        """Ends a connection: "reset", "close", "tear" (half a packet), "duplicate" (logged in elsewhere)."""
        self._gone(connection)
        connection.server.disconnect("replaced" if kind == "duplicate" else "closed")
        if kind == "tear":
            connection.tear()
        else:
            connection.close(abruptly=kind == "reset")
