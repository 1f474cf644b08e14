"""The order session ⑧ of the appliance: OUCH 5.0 over SoupBinTCP on a kernel socket, beside io and core.

    core ── core_session ──► io.c ──► socket ══════ venue           what may leave is decided in native/io.c
    core ◄── session_core ◄── io.c ◄── client ◄── socket

    the first login of a run asks where the day ends by now (sequence 0), the next one reads from the beginning up to there
    WAITING ─► CONNECTING ─► LOGIN ─► REPLAY ── Account Query answered ──► UP        any loss: WAITING, after a back-off
                                └─► REFUSED: a person must act               end of session: ENDED

A login is followed by an Account Query (OUCH 5.0, 2.8): its answer stands behind every report that was missed and names the
next new reference, so core learns in one record which orders went down with the connection (core/session_news.py).
Hard rule: a report is handed to core before `next_sequence` moves; a death between repeats it, and core drops the copy.
"""

import contextlib
import errno
import random
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway import clock, layout, limits
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops.backoff import Backoff
from gateway.ops.session_secret import password_of
from gateway.ops.session_wire import ROWS, SessionWire, news
from gateway.protocols import moldudp64, ouch50
from gateway.protocols.soupbintcp_client import Client
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost, Message
from gateway.sections import host_and_port

MILLISECOND_NS = 1_000_000
READ_BYTES = 8192  # of one turn: what follows stays with the kernel, and holds the venue up in the end
REPORTS, UP_NEWS = layout.value("FRAME_REPORTS"), layout.value("FRAME_SESSION")
ANSWER = ord(ouch50.BY_KEY["AccountQueryResponse"].type)
ANSWER_BYTES = ouch50.size_of("AccountQueryResponse")
FOR_GOOD = {"login_refused": "SESSION_REFUSED", "ended": "SESSION_ENDED"}


class OrderSession:
    """One appliance's session; `turn` does a bounded amount of work."""

    def __init__(self, instance: Instance, configuration: Configuration, chance: Callable[[], float] = random.random):
        orders = configuration.orders
        self.instance, self.chance = instance, chance
        self.host, self.port = host_and_port(orders.address)
        self.state: Any = instance.regions["session"].view("session_state")[0]
        session = self.state["session"].decode() or orders.session
        sequence = int(self.state["next_sequence"]) or 1
        self.client = Client(orders.username, password_of(configuration), session, sequence)
        self.wire = SessionWire(instance, configuration.watch.order_age_max_ms * MILLISECOND_NS)
        self.backoff = Backoff(orders.retry_first_ms, orders.retry_last_ms)
        self.state["cancel_on_disconnect"] = orders.cancel_on_disconnect
        self._socket: socket.socket | None = None
        self._unsent = b""  # of the session's own packets
        self._backlog: deque[tuple[int, bytes]] = deque()  # records for core that found no row
        self._retry_ns = self._end = 0
        self._probing = False  # the first login of a run only asks where the day ends
        self._asked = self._up_follows = self._latched = False
        self._own_bytes = 0
        self._down("SESSION_WAITING")

    # ---- one turn --------------------------------------------------------------------------------------------------

    def turn(self, now_ns: int) -> int:
        """Connects, reads, lets orders out, writes. Returns how much there was to do."""
        worked = self._connect(now_ns)
        if not self._backlog and self.wire.room == ROWS:
            worked += self._read(now_ns)
        self._fill_inbox()
        for event in self.client.advance(now_ns):
            self._on(event, now_ns)
        worked += self.wire.turn()
        self._handed_over(now_ns)
        self._write(now_ns)
        self._discard_what_the_latch_found(now_ns)
        return worked

    def leave(self, now_ns: int) -> None:
        """Logs out and closes."""
        self.client.logout(now_ns)
        self._write(now_ns)
        self._close(now_ns, "leaving")

    @property
    def descriptor(self) -> int | None:
        """What to wait for news on; None: there is no connection."""
        return None if self._socket is None else self._socket.fileno()

    @property
    def phase(self) -> int:
        """enum session_phase."""
        return int(self.state["phase"])

    # ---- the connection --------------------------------------------------------------------------------------------

    def _is(self, *names: str) -> bool:
        return self.phase in [layout.value(f"SESSION_{name}") for name in names]

    def _enter(self, phase: str) -> None:
        self.state["time_phase_ns"] = clock.now_ns(self.instance.clock_address)
        self.state["phase"] = layout.value(phase)

    def _down(self, phase: str) -> None:
        self.instance.control[0]["session_connection"] = 0
        self._asked = self._up_follows = False
        self._enter(phase)

    def _connect(self, now_ns: int) -> int:
        if self._is("WAITING") and now_ns >= self._retry_ns:
            self.state["attempts"] += 1
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._retry_ns = now_ns + limits.SESSION_LOGIN_NS
            self._enter("SESSION_CONNECTING")
            problem = self._socket.connect_ex((self.host, self.port))
            if problem not in (0, errno.EINPROGRESS):
                self._close(now_ns, "connect")
            return 1
        if not self._is("CONNECTING") or self._socket is None:
            return 0
        _, writable, _ = select.select([], [self._socket], [], 0)
        if writable and self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self.wire.connect(self._socket)
            self._probing = self.client.next_sequence == 1 and self._end == 0
            self.client.next_sequence *= not self._probing
            self.client.connect(now_ns)
            self._enter("SESSION_LOGIN")
        elif writable or now_ns >= self._retry_ns:
            self._close(now_ns, "connect")
        return 1

    def _close(self, now_ns: int, reason: str) -> None:
        """The connection is gone, or never came; nothing leaves until the next one is up."""
        loss = layout.value(f"LOSS_{reason.upper()}")
        self.state["losses_by_reason"][loss] += 1
        self.state["last_loss"] = loss
        self.state["losses"] += self._is("UP")
        self._end_probe(0)
        self.client.disconnect(reason)
        self.wire.close(discard=reason == "latch")
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._unsent = b""
        self._retry_ns = now_ns + self.backoff.next_ns(self.chance())
        self._down(FOR_GOOD.get(reason, "SESSION_WAITING"))

    def _end_probe(self, end: int) -> None:
        """`end`: the first sequence that no replay holds; 0: not known. The client goes on where it was."""
        if self._probing:
            self._probing, self.client.next_sequence = False, 1
        self._end = end

    def _begin_replay(self, end: int) -> None:
        """The first login of a run told where the venue's day ends by now; the second one reads it from the beginning.

        Answers to the queries of earlier runs lie before that end: they open nothing.
        """
        self.client.disconnect("closed")
        self._end_probe(end)
        self._unsent = b""
        self.wire.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._retry_ns = 0
        self._enter("SESSION_WAITING")

    def _read(self, now_ns: int) -> int:
        if self._socket is None or self._is("CONNECTING"):
            return 0
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            data = b""
        self.state["bytes_received"] += len(data)
        before = self.client.stream.packets
        for event in self.client.receive(data, now_ns):
            self._on(event, now_ns)
        self.state["packets_received"] += self.client.stream.packets - before
        return 1

    def _write(self, now_ns: int) -> None:
        """The session's own packets; and what io.c wrote counts as a sign of life."""
        if self.wire.failed and self._socket is not None:
            self._close(now_ns, "send")
        if self.wire.bytes_sent != self._own_bytes:
            self.client.stream.note_sent(now_ns)
        packet = self._unsent or self.client.output()
        self._unsent = b"" if self._socket is not None and self.wire.send(packet) else packet
        self._own_bytes = self.wire.bytes_sent
        self.state["bytes_sent"] = self._own_bytes
        self.state["heartbeats_sent"] = self.client.heartbeats_sent

    def _discard_what_the_latch_found(self, now_ns: int) -> None:
        """Orders that our kernel still holds for a venue that does not read must not arrive after the latch."""
        latched = bool(self.instance.control[0]["kill_latch"])
        if latched and not self._latched and self._is("UP") and self.wire.held:
            self._close(now_ns, "latch")
        self._latched = latched

    # ---- what the venue says ---------------------------------------------------------------------------------------

    def _on(self, event: Event, now_ns: int) -> None:
        match event:
            case Message(sequence, payload) if self._socket is not None:
                self._on_message(sequence, payload)
            case Accepted(_, sequence) if self._probing:
                self._begin_replay(sequence)
            case Accepted(session, _):
                self.state["session"] = session.encode()
                self.backoff.succeed()
                self._enter("SESSION_REPLAY")
                self.client.send(ouch50.encode("AccountQuery"), now_ns)
                self._asked = True
            case Lost(reason):
                self._close(now_ns, reason)

    def _on_message(self, sequence: int, payload: bytes) -> None:
        """A report goes to core as a packet that carries its number; the answer to our query opens the session behind it."""
        self.state["reports"] += 1
        self.state["reports_replayed"] += self._asked
        self._backlog.append((REPORTS, moldudp64.encode(self.client.session, sequence, [payload])))
        if self._asked and sequence >= self._end and payload[:1] == bytes([ANSWER]) and len(payload) >= ANSWER_BYTES:
            self._asked, self._up_follows = False, True
            self.state["connections"] += 1
            next_reference = ouch50.decode(payload, ouch50.OUTBOUND)["next_user_ref_num"]
            row = news(int(self.state["connections"]), next_reference, self.wire.reference_transmitted)
            self._backlog.append((UP_NEWS, row))

    def _fill_inbox(self) -> None:
        while self._backlog and self.wire.room:
            self.wire.put(*self._backlog.popleft())

    def _handed_over(self, now_ns: int) -> None:
        """Core has in its ring whatever was heard: the next login may begin behind it, and orders may leave."""
        if self._backlog or self.wire.room != ROWS:
            return
        self.state["next_sequence"] = self.client.next_sequence
        if self._up_follows:
            self._up_follows = False
            self._enter("SESSION_UP")
            self.instance.control[0]["session_connection"] = self.state["connections"]
            self.wire.open_orders()


def wait(session: OrderSession, seconds: float) -> None:
    """Rests until the venue says something or `seconds` are over; orders are looked for when it ends."""
    descriptor = session.descriptor
    with contextlib.suppress(OSError, ValueError):
        select.select([descriptor] if descriptor is not None else [], [], [], seconds)
