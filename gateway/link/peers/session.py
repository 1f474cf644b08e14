"""The connections of one peer: handshakes of both roles, what they read and write, how a session begins and ends.

    initiator   opened ─► CALLING ── answer ──► OPEN: Joined, Up ── first frame of the other ──► bulk may be connected
    responder   opened ─► WAITING ── first message ──► ANSWERED ── first frame that opens ──► adopted: Joined, Up

Beside the corridor, inside a peer. docs/protocols/link.md. Hard rule: a responder gives up nothing that stands for a
connection that has not proved, by a frame, that it holds this hour's secret.
"""

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.handshake import Entropy, Established
from gateway.link.frames.protection import Unpack
from gateway.link.frames.wire import Refusal, Refused
from gateway.link.peers.damage import DamageRule
from gateway.link.peers.dialling import Dialling
from gateway.link.peers.event import Down, Event, Joined, Parted, Restarted, Up
from gateway.link.peers.exchange import Exchange
from gateway.link.peers.greeting import Greeting
from gateway.link.peers.heartbeat import Heartbeats
from gateway.link.peers.lane import OPEN, WAITING, Lane
from gateway.link.peers.news import News
from gateway.link.peers.peer_settings import PeerSettings, Secrets
from gateway.link.peers.reader import read
from gateway.link.peers.tally import Tally
from gateway.link.peers.writer import has_output, write

CONTROL, BULK = wire.CONTROL, wire.BULK


class Session:
    """Lanes by connection: `lanes` are the session's, `arriving` have not proved themselves."""

    def __init__(self, settings: PeerSettings, secrets: Secrets, entropy: Entropy, unpack: Unpack, events: list[Event]):
        self.settings = settings
        self.news = News(events)
        self.lanes: list[Lane | None] = [None, None]
        self.arriving: list[Lane | None] = [None, None]
        self.wants_close = [False, False]
        self.exchange = Exchange(settings, self.lanes, events)
        self._greeting = Greeting(settings, secrets, entropy, unpack, self.exchange.expected)
        self.heartbeats = Heartbeats(settings, secrets, unpack)
        self.session_id = self.remote_boot_id = b""
        self.tally = Tally()
        self.fence_seen = 0
        self.damage = DamageRule()
        self.dialling = Dialling(settings, entropy, self.lanes)
        self._now_ns = 0

    # ---- connections -----------------------------------------------------------------------------------------------

    def opened(self, connection: int, now_ns: int) -> None:
        """A TCP connection stands; one of the same number is gone."""
        self._now_ns = now_ns
        if self.lanes[connection] is not None or self.arriving[connection] is not None:
            self.closed(connection, now_ns)
        self.wants_close[connection] = False
        if not self.settings.initiator:
            self.arriving[connection] = Lane(connection, WAITING, now_ns, self.settings)
            return
        session_id = b"" if connection == CONTROL else self.session_id
        lane = self._greeting.call(connection, self.remote_boot_id, self.exchange.fence, session_id, now_ns)
        if isinstance(lane, Refused):
            self._count(lane.reason, f"no first message to node {self.settings.remote_node}", now_ns)
            self.wants_close[connection] = True
            self.dialling.failed(connection, now_ns)
            return
        self.arriving[connection] = lane

    def closed(self, connection: int, now_ns: int) -> None:
        """The socket of this number is gone, or could not be opened."""
        self._now_ns = now_ns
        if self.lanes[connection] is not None or self.arriving[connection] is not None:
            self._drop(connection, "closed", now_ns)
        elif not self.wants_close[connection]:  # otherwise its end has been counted
            self.dialling.failed(connection, now_ns)
        self.wants_close[connection] = False

    # ---- bytes in --------------------------------------------------------------------------------------------------

    def received(self, connection: int, data: bytes | memoryview, now_ns: int) -> None:
        """Bytes of the socket of this number."""
        self._now_ns = now_ns
        lane = self.lanes[connection] or self.arriving[connection]
        if lane is None:
            self.tally.stray_bytes += len(data)
            return
        lane.heard_ns = now_ns
        lane.bytes_in += len(data)
        if lane.stream is None:
            whole, data = lane.collect(data)
            if whole is None:
                return
            refusal = self._greeted(lane, whole, now_ns)
            if refusal is not None:
                self.refuse(lane, refusal, now_ns)
                return
        read(self, lane, data, now_ns)

    def _greeted(self, lane: Lane, data: bytes, now_ns: int) -> Refusal | None:
        """A whole handshake message."""
        if lane.initiator is None:
            found = self._answer(lane, data, now_ns)
            return found.reason if found is not None else None
        found = self._greeting.answered(lane, data, self.fence_seen, now_ns)
        return found.reason if found is not None else self._join(lane, now_ns)

    def _answer(self, lane: Lane, data: bytes, now_ns: int) -> Refused | None:
        fences = (self.exchange.fence, self.fence_seen)
        found = self._greeting.answer(lane, data, self.remote_boot_id, *fences, self.session_id, now_ns)
        if found is None and not lane.laid_out_alike:  # the answer tells it why it goes no further
            self._count(Refusal.LAYOUTS, f"a first message of node {self.settings.remote_node}", now_ns)
        return found

    def answer(self, connection: int, data: bytes, now_ns: int) -> Lane | Refused:
        """A whole first message on a connection that is nobody's yet; whom we call does not call us."""
        lane = Lane(connection, WAITING, now_ns, self.settings)
        found = Refused(Refusal.NODE) if self.settings.initiator else self._answer(lane, data, now_ns)
        if found is not None:
            self._count(found.reason, f"a first message of node {self.settings.remote_node}", now_ns)
            return found
        return lane

    # ---- a connection stands, a session begins ---------------------------------------------------------------------

    def adopt(self, lane: Lane, now_ns: int) -> bool:
        """A lane that has proved itself takes its place; what stood there ends. Whether it could."""
        lane.heard_any = True
        lane.state = OPEN
        refusal = self._join(lane, now_ns)
        if refusal is not None:
            self.refuse(lane, refusal, now_ns)
        return refusal is None

    def _join(self, lane: Lane, now_ns: int) -> Refusal | None:
        connection, established = lane.connection, lane.established
        if not lane.laid_out_alike:
            return Refusal.LAYOUTS
        if connection == BULK:
            same = established.session_id == self.session_id and established.remote_boot_id == self.remote_boot_id
            if not same or self.lanes[CONTROL] is None:
                return Refusal.SESSION
        if self.lanes[connection] is not None:
            self._drop(connection, "replaced", now_ns)
        expected, resumed = self._meet(established) if connection == CONTROL else established.where(self.settings.boot_id)
        if not self.exchange.can_resume(connection, expected):
            return Refusal.SEQUENCE
        self.lanes[connection] = lane
        if self.arriving[connection] is lane:
            self.arriving[connection] = None
        self.wants_close[connection] = False
        self.exchange.resume(connection, expected, now_ns)
        self.dialling.succeeded(connection, now_ns)
        lane.must_speak = True  # the initiator's first frame is its proof, and the responder's tells that it was taken
        self.news.tell(Joined(connection))
        if connection == CONTROL:
            self._begin(established, resumed, now_ns)
        self.saw_fence(established.remote_fence)
        return None

    def _begin(self, established: Established, resumed: bool, now_ns: int) -> None:
        self.session_id = established.session_id
        self.damage = DamageRule()
        self.tally.sessions += 1
        self.heartbeats.begin(established, now_ns)
        self.heartbeats.raise_fence(self.fence_seen)
        self.news.tell(Up(self.session_id, resumed))

    def _meet(self, established: Established) -> tuple[tuple[int, ...], bool]:
        """Both sides tell which lives of each other they know: go on, or begin anew."""
        expected, known = established.where(self.settings.boot_id)
        other = bool(self.remote_boot_id) and established.remote_boot_id != self.remote_boot_id
        if other or (not known and self.exchange.touched):
            self.exchange.reset()
            expected, known = (1,) * limits.LINK_CHANNELS, False
            self.news.tell(Restarted(established.remote_boot_id))
        self.remote_boot_id = established.remote_boot_id
        return expected, known

    # ---- a connection is lost, a session ends ----------------------------------------------------------------------

    def refuse(self, lane: Lane, reason: Refusal, now_ns: int) -> None:
        """What cannot go on: the connection ends, and the session with it unless only bulk's framing was lost."""
        self._count(reason, f"connection {lane.connection} with node {self.settings.remote_node}", now_ns, lane)
        connection = lane.connection
        if self.lanes[connection] is not lane:
            if self.arriving[connection] is lane:
                self._drop(connection, reason.word, now_ns)
            else:
                lane.refused = reason
                self.tally.fold(lane)
        elif connection == BULK and reason in (Refusal.HEADER_CRC, Refusal.LENGTH):
            self._drop(connection, reason.word, now_ns)
        else:
            self.end(reason.word, now_ns)

    def _count(self, reason: Refusal, detail: str, now_ns: int, lane: Lane | None = None) -> None:
        if lane is None or lane.stream is None or lane.stream.refused is not reason:
            self.tally.refusals[reason] += 1  # otherwise the stream has counted it
        self.news.refused(reason, detail, now_ns)

    def end(self, reason: str, now_ns: int) -> None:
        """The session ends, both connections with it."""
        for connection in (CONTROL, BULK):
            if self.lanes[connection] is not None or self.arriving[connection] is not None:
                self._drop(connection, reason, now_ns)

    def _drop(self, connection: int, reason: str, now_ns: int) -> None:
        lane = self.lanes[connection] or self.arriving[connection]
        assert lane is not None
        stood = self.lanes[connection] is lane
        self.lanes[connection] = self.arriving[connection] = None
        self.wants_close[connection] = True
        self.tally.fold(lane)
        if connection == CONTROL or self.lanes[CONTROL] is not None:  # bulk that ends with control has not failed
            self.dialling.failed(connection, now_ns)
        if connection == BULK and self.lanes[CONTROL] is not None:
            self.exchange.acknowledger.ask()  # where the other side is gone, control will tell
        if not stood:
            return
        self.news.tell(Parted(connection, reason))
        if connection == CONTROL:
            if self.lanes[BULK] is not None or self.arriving[BULK] is not None:
                self._drop(BULK, reason, now_ns)
            self.session_id = b""
            self.tally.ended[reason] = self.tally.ended.get(reason, 0) + 1
            self.heartbeats.end(now_ns)
            self.news.tell(Down(reason))

    # ---- bytes out -------------------------------------------------------------------------------------------------

    def output(self, connection: int, room_bytes: int, now_ns: int) -> bytes:
        """What this socket should send."""
        self._now_ns = now_ns
        lane = self.lanes[connection] or self.arriving[connection]
        if lane is None:
            return b""
        written = write(lane, self.exchange, room_bytes, now_ns)
        if isinstance(written, Refusal):
            self.refuse(lane, written, now_ns)
            return b""
        return written

    def has_output(self, connection: int) -> bool:
        """Whether `output` would give anything."""
        lane = self.lanes[connection] or self.arriving[connection]
        return lane is not None and has_output(lane, self.exchange)

    def wants(self, connection: int, now_ns: int) -> bool:
        """Whether the initiator should connect."""
        missing = self.lanes[connection] is None and self.arriving[connection] is None
        return missing and not self.wants_close[connection] and self.dialling.wants(connection, now_ns)

    # ---- time, fences, news ----------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Time goes on."""
        self._now_ns = now_ns
        for connection in (CONTROL, BULK):
            lane = self.lanes[connection] or self.arriving[connection]
            reason = lane.late(now_ns) if lane is not None else None
            if reason is not None:
                self._drop(connection, reason, now_ns)
        self.exchange.acknowledger.tick(now_ns)

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due."""
        due_ns = self.exchange.acknowledger.deadline_ns
        for connection in (CONTROL, BULK):
            lane = self.lanes[connection] or self.arriving[connection]
            due_ns = min(due_ns, lane.due_ns if lane is not None else self.dialling.due_ns(connection, self._now_ns))
        return due_ns

    @property
    def state(self) -> str:
        """idle, opening or up."""
        if self.lanes[CONTROL] is not None:
            return "up"
        return "idle" if self.arriving[CONTROL] is None else "opening"

    def saw_fence(self, fence: int) -> None:
        """A valid frame, datagram or handshake said this fence: below it nothing of the other side counts any more."""
        if fence > self.fence_seen:
            self.fence_seen = fence
            self.heartbeats.raise_fence(fence)
            for lane in self.lanes:
                if lane is not None and lane.stream is not None:
                    lane.stream.opener.fence = max(lane.stream.opener.fence, fence)
        self.exchange.saw_fence(fence)

    def raise_fence(self, fence: int) -> None:
        """Ours."""
        self.exchange.raise_fence(fence)
        self.saw_fence(fence)

    def counted(self) -> dict[str, int]:
        """Everything countable."""
        return self.tally.counted([*self.lanes, *self.arriving], self.exchange, self.heartbeats, self.news)
