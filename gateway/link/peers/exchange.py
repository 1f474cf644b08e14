"""Everything sequenced between two processes: channels both ways, what goes next, what is delivered. docs/protocols/link.md

    send ─► Outbound ─► Scheduler ─► next_message ─► (connection seals) ⋯ (other opens) ─► arrived ─► Inbound ─► Delivered
               ▲                                                                             │
               └───────── ACK, NAK on the control connection ◄─── Acknowledger ◄─────────────┘

Beside the corridor, inside a peer; outlives connections. Hard rule: what is acknowledged was delivered; what is not is kept.
"""

from gateway import limits
from gateway.link.frames import bodies, wire
from gateway.link.frames.bodies import Heartbeat
from gateway.link.frames.wire import Flag, Message, Refusal, Type
from gateway.link.peers.acknowledger import Acknowledger, unsequenced
from gateway.link.peers.event import Delivered, Event, Fenced, Writable
from gateway.link.peers.fragments import Fragments
from gateway.link.peers.inbound import Inbound
from gateway.link.peers.lane import Lane
from gateway.link.peers.outbound import Entry, Outbound
from gateway.link.peers.peer_settings import PeerSettings
from gateway.link.peers.scheduler import Scheduler

ACK, NAK, FENCE = int(Type.ACK), int(Type.NAK), int(Type.FENCE)
UNSEQUENCED = frozenset({ACK, NAK, int(Type.HEARTBEAT), int(Type.EPOCH)})
RETRANSMISSION = int(Flag.RETRANSMISSION)


class Exchange:
    """Channels of one pair of processes. `lanes` is the peer's: control and bulk connection, or None."""

    def __init__(self, settings: PeerSettings, lanes: list[Lane | None], events: list[Event]):
        self._events = events
        self.fence = 0
        self._fence_wanted = 0  # sequenced messages wait until ours is this
        self._fence_said_ns = -limits.LINK_FENCE_NS
        self.outbound: list[Outbound | None] = [None] * limits.LINK_CHANNELS
        self.inbound: list[Inbound | None] = [None] * limits.LINK_CHANNELS
        for row in settings.channels:
            self.outbound[row.number], self.inbound[row.number] = Outbound(row), Inbound(row)
        self._sending = [one for one in self.outbound if one is not None]
        self._receiving = [one for one in self.inbound if one is not None]
        by_connection = [[one for one in self._sending if one.settings.connection == number] for number in (0, 1)]
        self._schedulers = [Scheduler(channels) for channels in by_connection]
        self.acknowledger = Acknowledger(settings, lanes, events, self.outbound, self.inbound)
        self._cadence = self.acknowledger.cadence
        self._fragments = [Fragments() for _ in range(limits.LINK_CHANNELS)]
        self._untaken: list[Inbound] = []
        self._delivered = self._resets = 0

    # ---- application -----------------------------------------------------------------------------------------------

    def sender(self, channel: int) -> Outbound:
        """The sending side of a channel that there is."""
        outbound = self.outbound[channel]
        if outbound is None:
            raise ValueError(f"there is no channel {channel}")
        return outbound

    def taken(self) -> None:
        """The application has taken every event."""
        for inbound in self._untaken:
            if inbound.taken():
                self._cadence.hurry()
        self._untaken.clear()

    def consumed(self, channel: int, count_bytes: int) -> None:
        """Bodies of so many bytes are done with."""
        inbound = self.inbound[channel]
        if inbound is None:
            raise ValueError(f"there is no channel {channel}")
        if inbound.consumed(count_bytes):
            self._cadence.hurry()

    # ---- fences ----------------------------------------------------------------------------------------------------

    def raise_fence(self, fence: int) -> None:
        """Frames say this fence from now on; what was dropped for a lower one goes again."""
        self.fence = max(fence, self.fence)
        if 0 < self._fence_wanted <= self.fence:
            self._fence_wanted = 0
            self.acknowledger.ask()

    def saw_fence(self, fence: int) -> None:
        """The other side drops what is below this: sequenced messages wait until ours is raised."""
        if fence > max(self.fence, self._fence_wanted):
            self._fence_wanted = fence
            self._events.append(Fenced(fence))

    def answer_stale(self, fence: int, now_ns: int) -> None:
        """A frame of a fence that is over was dropped: tells its sender, ten times a second at most."""
        if now_ns >= self._fence_said_ns + limits.LINK_FENCE_NS:
            self._fence_said_ns = now_ns
            self.sender(0).send(Entry(0, FENCE, 0, 0, 0, 4, bodies.pack_fence(fence), None, 0, now_ns))

    # ---- what goes -------------------------------------------------------------------------------------------------

    def next_message(self, lane: Lane, now_ns: int) -> tuple[Message, int | None] | None:
        """The next message for this connection with the CRC of its unpacked body, if known; None: nothing may go."""
        if lane.connection == wire.CONTROL:
            said = self.acknowledger.next_message(self.fence, now_ns)
            if said is not None:
                return said, None
        if self._fence_wanted:
            return None
        found = self._schedulers[lane.connection].next()
        if found is None:
            return None
        outbound, entry = found
        flags = entry.flags
        if outbound.take(entry, lane.record):
            flags |= RETRANSMISSION
        message = Message(
            *(entry.type, outbound.settings.number, flags, self.fence, entry.sequence, entry.sent_ns),
            *(entry.schema, entry.token_id, entry.raw_bytes, entry.body),
        )
        return message, entry.body_crc

    def ready(self, connection: int) -> bool:
        """Whether `next_message` would give anything at the time of the last `tick` or arrival."""
        if connection == wire.CONTROL and self.acknowledger.ready:
            return True
        return not self._fence_wanted and self._schedulers[connection].ready

    def heartbeat(self, now_ns: int) -> Message:
        """A frame that says nothing but that we are here."""
        return unsequenced(Type.HEARTBEAT, 0, bodies.pack_heartbeat(Heartbeat(0, 0, now_ns)), self.fence, now_ns)

    # ---- what comes ------------------------------------------------------------------------------------------------

    def arrived(self, lane: Lane, message: Message, now_ns: int) -> Refusal | None:
        """A message of an open connection; the reason if the session cannot go on with it."""
        kind = message.type
        if kind in UNSEQUENCED:
            if kind == ACK:
                return self.acknowledger.on_acknowledgement(lane, message, now_ns)
            if kind == NAK:
                return self.acknowledger.on_missing(message)
            return Refusal.BODY if bodies.read_heartbeat(message.body) is None else None
        inbound = self.inbound[message.channel]
        if inbound is None or inbound.settings.connection != lane.connection:
            return Refusal.CHANNEL
        if not inbound.possible(message.sequence):
            return Refusal.SEQUENCE
        if message.sequence > inbound.highest + 1:
            self.acknowledger.lacks(message.channel, *inbound.hole(message.sequence))
        self._cadence.heard(now_ns)
        run = inbound.accept(message)
        if run is None:
            return Refusal.CREDIT
        for following in run:
            whole = self._fragments[message.channel].join(following)
            if whole is False:
                return Refusal.FRAGMENT
            refusal = self._deliver(inbound, whole) if isinstance(whole, Message) else None
            if refusal is not None:
                return refusal
        return None

    def _deliver(self, inbound: Inbound, message: Message) -> Refusal | None:
        if not inbound.queued:
            inbound.queued = True
            self._untaken.append(inbound)
        self._delivered += 1
        self._events.append(Delivered(message.channel, message))
        if message.type == FENCE:
            fence = bodies.read_fence(message.body)
            if fence is None:
                return Refusal.BODY
            self.saw_fence(fence)
        return None

    # ---- connections -----------------------------------------------------------------------------------------------

    def expected(self) -> tuple[int, ...]:
        """The next sequence of every channel, for the handshake."""
        return tuple(inbound.in_order + 1 if inbound is not None else 1 for inbound in self.inbound)

    def can_resume(self, connection: int, expected: tuple[int, ...]) -> bool:
        """Whether the other side can have got so far."""
        on = [one for one in self._sending if one.settings.connection == connection]
        return all(one.can_resume(expected[one.settings.number]) for one in on)

    def resume(self, connection: int, expected: tuple[int, ...], now_ns: int) -> None:
        """A new connection goes on where the other side says it stopped."""
        for outbound in self._sending:
            if outbound.settings.connection == connection:
                outbound.resume(expected[outbound.settings.number])
        for inbound in self._receiving:
            if inbound.settings.connection == connection:
                inbound.reopened()
        self.acknowledger.began(connection, now_ns)

    def reset(self) -> None:
        """The other process is another one: nothing sent to its predecessor is kept, both sides begin at 1."""
        self._resets += 1
        for outbound in self._sending:
            if outbound.wanted:
                outbound.wanted = False
                self._events.append(Writable(outbound.settings.number))
            outbound.reset()
        for inbound in self._receiving:
            inbound.reset()
        for fragments in self._fragments:
            fragments.drop()
        self._untaken.clear()
        self.acknowledger.reset()

    @property
    def touched(self) -> bool:
        """Whether anything was ever acknowledged or received: whether the other process can know us."""
        return any(one.acknowledged for one in self._sending) or any(one.in_order for one in self._receiving)

    @property
    def resting(self) -> bool:
        """Nothing unsent, unacknowledged or held back."""
        return not any(one.held_frames for one in self._sending) and not any(one.gap for one in self._receiving)

    def counted(self) -> dict[str, int]:
        """By name, summed over channels; `refused_sends` are those for which there was no room."""
        sending, receiving = self._sending, self._receiving
        return self.acknowledger.counters | {
            "delivered": self._delivered,
            "resets": self._resets,
            "retransmitted": sum(one.retransmitted for one in sending),
            "conflated": sum(one.conflated for one in sending),
            "refused_sends": sum(one.refused for one in sending),
            "duplicates": sum(one.duplicates for one in receiving),
            "gaps": sum(one.gaps for one in receiving),
        }
