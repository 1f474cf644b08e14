"""One side of the regional link to one other node, sans I/O: bytes and time in, bytes and events out. docs/protocols/link.md

              control connection stands              bulk connection stands
    IDLE ─────────────────────────────► UP (control) ──────────────────────► UP (control, bulk)
      ▲  Joined(0), Up                    │ ▲  Joined(1)                        │
      │                                   │ └── bulk lost: Parted(1) ◄──────────┤
      └── control lost, silence, refusal, GOAWAY: Parted(0), Down ◄─────────────┘

Beside the corridor: transport below, streams above. Hard rule: no socket, clock or randomness in here; the same calls
give the same bytes. session.py holds the connections, exchange.py the channels, heartbeat.py what goes over UDP.
"""

from collections.abc import Callable, Iterator

from gateway import limits
from gateway.link.compression import codec
from gateway.link.frames import bodies, wire
from gateway.link.frames.bodies import GoAway
from gateway.link.frames.wire import Flag, Refused, Type
from gateway.link.peers.channel import CONTROL
from gateway.link.peers.event import Event, Suspect, Trusted
from gateway.link.peers.lane import OPEN, Lane
from gateway.link.peers.outbound import Entry
from gateway.link.peers.peer_settings import PeerSettings, Secrets
from gateway.link.peers.reader import read
from gateway.link.peers.session import Session

BODY_BYTES_MAX = limits.LINK_BODY_BYTES_MAX
COMPRESSED, FRAGMENT, END = int(Flag.COMPRESSED), int(Flag.FRAGMENT), int(Flag.END)


class Peer:
    """Two TCP connections and a UDP flow with one node, over any number of reconnects."""

    def __init__(
        self,
        settings: PeerSettings,
        secrets: Secrets,
        entropy: Callable[[int], bytes],
        unpack: Callable[..., bytes] = codec.unpack,
    ):
        self.settings = settings
        self._events: list[Event] = []
        self._session = Session(settings, secrets, entropy, unpack, self._events)
        self._exchange = self._session.exchange
        self._heartbeats = self._session.heartbeats
        self._leaving = False
        self._leave_ns = limits.LINK_NEVER_NS  # when the session ends, acknowledged or not

    # ---- from the transport ----------------------------------------------------------------------------------------

    def opened(self, connection: int, now_ns: int) -> None:
        """A TCP connection stands. One that the peer had under the same number is gone."""
        self._session.opened(connection, now_ns)

    def received(self, connection: int, data: bytes | memoryview, now_ns: int) -> None:
        """Bytes of a TCP connection."""
        session = self._session
        while len(data) > limits.LINK_READ_BYTES:
            session.received(connection, data[: limits.LINK_READ_BYTES], now_ns)
            data = data[limits.LINK_READ_BYTES :]
        session.received(connection, data, now_ns)

    def closed(self, connection: int, now_ns: int) -> None:
        """A TCP connection is gone, or could not be opened."""
        self._session.closed(connection, now_ns)

    def received_datagram(self, data: bytes, now_ns: int) -> bool:
        """One UDP datagram. Whether it was valid."""
        ends = self._heartbeats.received(data, now_ns)
        if ends:
            self._session.news.tell(Trusted())
        if ends is not None:
            self._session.saw_fence(self._heartbeats.fence)
        return ends is not None

    def tick(self, now_ns: int) -> None:
        """Time goes on. Call it after everything that had arrived was handed over, and by `deadline_ns` at the latest."""
        self._session.tick(now_ns)
        silence_ns = self._heartbeats.liveness.tick(now_ns)
        if silence_ns:
            self._session.news.tell(Suspect(silence_ns))
        said = self._leave_ns != limits.LINK_NEVER_NS and self._exchange.sender(CONTROL).held_frames == 0
        if said or now_ns >= self._leave_ns:
            self.close("goaway", now_ns)

    # ---- to the transport ------------------------------------------------------------------------------------------

    def output(self, connection: int, room_bytes: int, now_ns: int) -> bytes:
        """What the socket should send now: about `room_bytes`, at most one frame more; b"" when there is nothing."""
        if room_bytes <= 0:
            return b""
        return self._session.output(connection, room_bytes, now_ns)

    def has_output(self, connection: int) -> bool:
        """Whether `output` would give anything: when to wait for a writable socket."""
        return self._session.has_output(connection)

    def datagrams(self, now_ns: int) -> list[bytes]:
        """UDP datagrams that are due."""
        return self._heartbeats.due(self._exchange.fence, now_ns)

    def wants(self, connection: int, now_ns: int) -> bool:
        """Whether to connect now (initiator only; back-off inside). True until `opened` or `closed` is called."""
        return not self._leaving and self._session.wants(connection, now_ns)

    def wants_close(self, connection: int) -> bool:
        """Whether to close this socket; call `closed` afterwards."""
        return self._session.wants_close[connection]

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due at the latest."""
        return min(self._session.deadline_ns, self._heartbeats.liveness.deadline_ns, self._leave_ns)

    # ---- from the acceptor -----------------------------------------------------------------------------------------

    def answer(self, data: bytes, connection: int, now_ns: int) -> Lane | Refused:
        """The whole first message of a connection that is not the peer's yet: its lane, `out` holding the answer."""
        return self._session.answer(connection, data, now_ns)

    def prove(self, lane: Lane, data: bytes, now_ns: int) -> None:
        """Frames of an answered lane: at the first that opens it becomes ours (`lane.state` is open), what follows is read.

        The socket that the peer had under that number is to be closed in silence. `lane.refused` says why it cannot be.
        """
        read(self._session, lane, data, now_ns)

    # ---- for the application ---------------------------------------------------------------------------------------

    def send(
        self,
        channel: int,
        body: bytes | bytearray | memoryview,
        *,
        now_ns: int,
        type: int = Type.DATA,
        schema: int = 0,
        token_id: int = 0,
        flags: int = 0,
        raw_bytes: int | None = None,
        body_crc: int | None = None,
        key: int = 0,
    ) -> int:
        """Its channel sequence, from 1; 0: no room, say it again after `Writable`.

        `body` of at most LINK_BODY_BYTES_MAX becomes one frame; a longer one is cut into fragments and delivered whole (not
        if it is compressed). A compressed body says its `raw_bytes` and the CRC-32 of the uncompressed body.
        """
        outbound = self._exchange.sender(channel)
        body = bytes(body)  # what is kept for a retransmission is nobody else's; bytes are not copied
        size = len(body)
        if flags & COMPRESSED:
            if raw_bytes is None or body_crc is None or size > wire.BODY_BYTES_MAX:
                raise ValueError("a compressed body says its raw length and CRC, and fits one frame")
        else:
            raw_bytes = size
            if size > BODY_BYTES_MAX:
                return self._send_fragments(channel, body, type, schema, token_id, flags, now_ns)
        if raw_bytes + limits.LINK_FRAME_CHARGE > outbound.settings.message_bytes_max:
            raise ValueError(f"a body of {raw_bytes} bytes is more than channel {channel} may hold")
        return outbound.send(Entry(0, type, flags, schema, token_id, raw_bytes, body, body_crc, key, now_ns))

    def _send_fragments(
        self, channel: int, body: bytes, type: int, schema: int, token_id: int, flags: int, now_ns: int
    ) -> int:
        """All fragments or none; the sequence of the last."""
        outbound = self._exchange.sender(channel)
        count = -(-len(body) // BODY_BYTES_MAX)
        charge = len(body) + count * limits.LINK_FRAME_CHARGE
        if outbound.latest or len(body) > limits.LINK_MESSAGE_BYTES_MAX or charge > outbound.settings.message_bytes_max:
            raise ValueError(f"a body of {len(body)} bytes is more than channel {channel} takes; cut it")
        if not outbound.takes(len(body), count):
            return 0
        sequence = 0
        for begin in range(0, len(body), BODY_BYTES_MAX):
            part = body[begin : begin + BODY_BYTES_MAX]
            last = END if begin + BODY_BYTES_MAX >= len(body) else 0
            kinds = flags & ~END | FRAGMENT | last
            sequence = outbound.send(Entry(0, type, kinds, schema, token_id, len(part), part, None, 0, now_ns))
        return sequence

    def room(self, channel: int) -> int:
        """Bytes of bodies that `send` takes now."""
        return self._exchange.sender(channel).room

    def consumed(self, channel: int, count_bytes: int) -> None:
        """The application has done with so many bytes of delivered bodies: the other side may send as many more."""
        self._exchange.consumed(channel, count_bytes)

    def events(self) -> Iterator[Event]:
        """What happened since the last call, in order. Each event comes once."""
        if not self._events:
            return iter(())
        found = self._events[:]
        self._events.clear()
        self._exchange.taken()
        self._session.news.taken()
        return iter(found)

    def leave(self, now_ns: int) -> None:
        """Says GOAWAY, ends the session once it was acknowledged or after a second, and does not connect again."""
        if not self._leaving and self.state == "up":
            self._leave_ns = now_ns + limits.LINK_GOAWAY_NS
            body = bodies.pack_goaway(GoAway(0, limits.LINK_GOAWAY_NS // 1_000_000, ""))
            self.send(CONTROL, body, now_ns=now_ns, type=Type.GOAWAY)
        self._leaving = True

    def close(self, reason: str, now_ns: int) -> None:
        """Ends the session at once: a revoked key, a token that lied. The initiator comes again after its back-off."""
        self._leave_ns = limits.LINK_NEVER_NS
        self._session.end(reason, now_ns)

    # ---- what it is ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """idle, opening or up."""
        return self._session.state

    @property
    def session_id(self) -> bytes:
        """Of the session that is up, else b""."""
        return self._session.session_id

    @property
    def binding(self) -> bytes:
        """What a token of this session is bound to: the handshake hash of its control connection, else b""."""
        lane = self._session.lanes[wire.CONTROL]
        return lane.handshake_hash if lane is not None and lane.state == OPEN else b""

    @property
    def remote_boot_id(self) -> bytes:
        """Of the process on the other side, as far as known."""
        return self._session.remote_boot_id

    @property
    def fence(self) -> int:
        """Our fence epoch, on every frame; frames of the other side below it are dropped and answered."""
        return self._exchange.fence

    @fence.setter
    def fence(self, fence: int) -> None:
        self._session.raise_fence(fence)

    @property
    def suspected(self) -> bool:
        """Whether there was no valid heartbeat for too long, or none yet."""
        return self._heartbeats.liveness.suspected

    @property
    def resting(self) -> bool:
        """Nothing unsent, unacknowledged or held back: both sides agree on everything sent."""
        return self._exchange.resting

    @property
    def counters(self) -> dict[str, int]:
        """Everything countable, by name; refusals by their word."""
        return self._session.counted()
