"""Everything sequenced between two processes: channels both ways, acknowledgements, what goes next. docs/protocols/link.md

    send ─► Outbound ─► Scheduler ─► next_message ─► (connection seals) ⋯ (other opens) ─► arrived ─► Inbound ─► Delivered
               ▲                                                                             │
               └──────────── ACK, NAK on the control connection ◄─── Cadence ◄───────────────┘

Beside the corridor, inside a peer; outlives connections. Hard rule: what is acknowledged was delivered; what is not is kept.
"""

from collections import deque

from gateway import limits
from gateway.link import acknowledgement, bodies, wire
from gateway.link.event import Delivered, Event, Fenced, Writable
from gateway.link.inbound import Inbound
from gateway.link.lane import Lane
from gateway.link.outbound import Entry, Outbound
from gateway.link.peer_settings import PeerSettings
from gateway.link.scheduler import Scheduler
from gateway.link.wire import Flag, Message, Refusal, Type

UNSEQUENCED = frozenset({Type.ACK, Type.NAK, Type.HEARTBEAT, Type.EPOCH})
RETRANSMISSION = int(Flag.RETRANSMISSION)
FRAGMENT, END = int(Flag.FRAGMENT), int(Flag.END)
NEVER_NS = limits.LINK_NEVER_NS


class Exchange:
    """Channels of one pair of processes. `lanes` is the peer's: control and bulk connection, or None."""

    def __init__(self, settings: PeerSettings, lanes: list[Lane | None], emit: list[Event]):
        self._lanes, self._events = lanes, emit
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
        self.cadence = acknowledgement.Cadence(settings.acknowledge_frames, settings.acknowledge_ns)
        self._missing: deque[tuple[int, int, int]] = deque(maxlen=limits.LINK_MISSING_MAX)
        self._fragments: list[list[Message]] = [[] for _ in range(limits.LINK_CHANNELS)]
        self._fragment_bytes = [0] * limits.LINK_CHANNELS
        self._asks = self._says_all = False
        self._ask_wait_ns, self._heard_ns = limits.LINK_RETRANSMIT_NS, 0
        self._untaken: list[Inbound] = []
        self.counters = dict.fromkeys(("delivered", "asked", "missing_said", "acknowledgements", "reset"), 0)

    # ---- application -----------------------------------------------------------------------------------------------

    def taken(self) -> None:
        """The application has taken every event."""
        for inbound in self._untaken:
            if inbound.taken():
                self.cadence.hurry()
        self._untaken.clear()

    def sender(self, channel: int) -> Outbound:
        """The sending side of a channel that there is."""
        outbound = self.outbound[channel]
        if outbound is None:
            raise ValueError(f"there is no channel {channel}")
        return outbound

    def consumed(self, channel: int, count_bytes: int) -> None:
        """Bodies of so many bytes are done with."""
        inbound = self.inbound[channel]
        if inbound is None:
            raise ValueError(f"there is no channel {channel}")
        if inbound.consumed(count_bytes):
            self.cadence.hurry()

    def raise_fence(self, fence: int) -> None:
        """Frames say this fence from now on; what was dropped for a lower one goes again."""
        self.fence = max(fence, self.fence)
        if 0 < self._fence_wanted <= self.fence:
            self._fence_wanted = 0
            self.ask()

    def saw_fence(self, fence: int) -> None:
        """The other side drops what is below this: sequenced messages wait until ours is raised."""
        if fence > max(self.fence, self._fence_wanted):
            self._fence_wanted = fence
            self._events.append(Fenced(fence))

    def answer_stale(self, fence: int, now_ns: int) -> None:
        """A frame of a fence that is over was dropped: tells its sender, ten times a second at most."""
        if now_ns >= self._fence_said_ns + limits.LINK_FENCE_NS:
            self._fence_said_ns = now_ns
            self.sender(0).send(Entry(0, Type.FENCE, 0, 0, 0, 4, bodies.pack_fence(fence), None, 0, now_ns))

    # ---- what goes -------------------------------------------------------------------------------------------------

    def next_message(self, lane: Lane, now_ns: int) -> tuple[Message, int | None] | None:
        """The next message for this connection with the CRC of its unpacked body, if known; None: nothing may go."""
        if lane.connection == wire.CONTROL:
            if self._missing:
                return self._missing_message(now_ns), None
            if self.cadence.due_ns <= now_ns:
                rows = self._rows()
                if rows or self._asks:
                    return self._acknowledgement(rows, now_ns), None
                self.cadence.said()
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
        if connection == wire.CONTROL and (self._missing or self.cadence.due_ns <= 0):
            return True
        return not self._fence_wanted and self._schedulers[connection].ready

    def _rows(self) -> list[tuple[int, int, int, int, int]]:
        rows = []
        for inbound in self._receiving:
            if inbound.dirty or self._says_all:
                inbound.dirty = False
                inbound.advertised = limit = inbound.limit
                rows.append((inbound.settings.number, inbound.gap, inbound.in_order, inbound.highest, limit))
        self._says_all = False
        return rows

    def _acknowledgement(self, rows: list[tuple[int, int, int, int, int]], now_ns: int) -> Message:
        control, bulk = self._lanes
        marks = (control.mark if control else 0, bulk.mark if bulk else 0)
        records = (control.taken_in if control else 0, bulk.taken_in if bulk else 0)
        body = acknowledgement.pack(self._asks, marks, records, rows)
        self._asks = False
        self.cadence.said()
        self.counters["acknowledgements"] += 1
        return self._unsequenced(Type.ACK, 0, body, now_ns)

    def _missing_message(self, now_ns: int) -> Message:
        channel, first, count = self._missing.popleft()
        outbound = self.outbound[channel]
        lane = self._lanes[outbound.settings.connection] if outbound else None
        mark, records = (lane.mark, lane.taken_in) if lane else (0, 0)
        self.counters["missing_said"] += 1
        return self._unsequenced(Type.NAK, channel, acknowledgement.pack_missing(mark, first, count, records), now_ns)

    def _unsequenced(self, kind: Type, channel: int, body: bytes, now_ns: int) -> Message:
        return Message(kind, channel, 0, self.fence, 0, now_ns, 0, 0, len(body), body)

    def heartbeat(self, now_ns: int) -> Message:
        """A frame that says nothing but that we are here."""
        return self._unsequenced(Type.HEARTBEAT, 0, b"", now_ns)

    # ---- what comes ------------------------------------------------------------------------------------------------

    def arrived(self, lane: Lane, message: Message, now_ns: int) -> Refusal | None:
        """A message of an open connection; the reason if the session cannot go on with it."""
        kind = message.type
        if kind in UNSEQUENCED:
            if kind == Type.ACK:
                return self._on_acknowledgement(lane, message, now_ns)
            return self._on_missing(message) if kind == Type.NAK else None
        inbound = self.inbound[message.channel]
        if inbound is None or inbound.settings.connection != lane.connection or message.sequence == 0:
            return Refusal.CHANNEL
        if message.sequence > inbound.highest + 1:
            first, count = inbound.hole(message.sequence)
            self._missing.append((message.channel, first, count))
        self.cadence.heard(now_ns)
        run = inbound.accept(message)
        if run is None:
            return Refusal.CREDIT
        for following in run:
            refusal = self._deliver(inbound, following)
            if refusal is not None:
                return refusal
        return None

    def _deliver(self, inbound: Inbound, message: Message) -> Refusal | None:
        channel = message.channel
        if not inbound.queued:
            inbound.queued = True
            self._untaken.append(inbound)
        if message.flags & FRAGMENT:
            joined = self._join(channel, message)
            if not isinstance(joined, Message):
                return joined
            message = joined
        elif self._fragments[channel]:
            return Refusal.FRAGMENT
        self.counters["delivered"] += 1
        self._events.append(Delivered(channel, message))
        if message.type == Type.FENCE:
            self.saw_fence(bodies.read_fence(message.body) or 0)
        return None

    def _join(self, channel: int, message: Message) -> Message | Refusal | None:
        """The whole message once its last fragment is here."""
        parts = self._fragments[channel]
        parts.append(message)
        self._fragment_bytes[channel] += len(message.body)
        if self._fragment_bytes[channel] > limits.LINK_MESSAGE_BYTES_MAX:
            return Refusal.FRAGMENT
        if not message.flags & END:
            return None
        body = b"".join([part.body for part in parts])
        self._drop_fragments(channel)
        flags = message.flags & ~(FRAGMENT | END | RETRANSMISSION)
        return message._replace(flags=flags, raw_bytes=len(body), body=body)

    def _drop_fragments(self, channel: int) -> None:
        self._fragments[channel] = []
        self._fragment_bytes[channel] = 0

    def _on_acknowledgement(self, lane: Lane, message: Message, now_ns: int) -> Refusal | None:
        found = acknowledgement.read(message.body)
        if found is None or lane.connection != wire.CONTROL:
            return Refusal.BODY
        self._heard_ns, self._ask_wait_ns = now_ns, limits.LINK_RETRANSMIT_NS
        if found.asks:
            self._says_all = True
            self.cadence.hurry()
        for row in found.rows:
            outbound = self.outbound[row.channel] if row.channel < limits.LINK_CHANNELS else None
            if outbound is None or not outbound.acknowledge(row.in_order, row.limit):
                return Refusal.SEQUENCE
            connection = outbound.settings.connection
            on = self._lanes[connection]
            if on is not None and on.mark == found.marks[connection] and outbound.flying:
                records = found.records[connection]
                tries = outbound.lost_tail(row.highest, records)
                if row.gap:
                    tries = max(tries, outbound.lost_run(row.in_order + 1, row.gap, records))
                if tries >= limits.LINK_TRIES:
                    return Refusal.RETRIES
            if outbound.wanted and outbound.writable:
                outbound.wanted = False
                self._events.append(Writable(row.channel))
        return None

    def _on_missing(self, message: Message) -> Refusal | None:
        found = acknowledgement.read_missing(message.body)
        outbound = self.outbound[message.channel]
        if found is None or outbound is None:
            return Refusal.BODY
        lane = self._lanes[outbound.settings.connection]
        if lane is None or lane.mark != found.mark:
            return None
        tries = outbound.lost_run(found.first, found.frames, found.records)
        return Refusal.RETRIES if tries >= limits.LINK_TRIES else None

    def damaged(self, lane: Lane) -> None:
        """A frame of this connection came damaged: says at once what has arrived, and on control asks for the same."""
        self._says_all = True
        self._asks = self._asks or lane.connection == wire.CONTROL
        self.cadence.hurry()

    def ask(self) -> None:
        """The next acknowledgement leaves at once, with everything, and asks for one."""
        self._says_all = self._asks = True
        self.cadence.hurry()
        self.counters["asked"] += 1

    # ---- time, connections -----------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Time goes on."""
        if self.cadence.due_ns <= now_ns:
            self.cadence.hurry()
        if now_ns >= self.ask_ns:
            self._heard_ns = now_ns
            self._ask_wait_ns = min(2 * self._ask_wait_ns, limits.LINK_SILENCE_NS)
            self.ask()

    @property
    def ask_ns(self) -> int:
        """When an acknowledgement is asked for, since nobody has sent one."""
        if self._lanes[wire.CONTROL] is None or not any(outbound.flying for outbound in self._sending):
            return NEVER_NS
        return self._heard_ns + self._ask_wait_ns

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due; what is due already waits for a socket, not for time."""
        due_ns = self.cadence.due_ns
        return min(due_ns if due_ns > 0 else NEVER_NS, self.ask_ns)

    def expected(self) -> tuple[int, ...]:
        """The next sequence of every channel, for the handshake."""
        return tuple(inbound.in_order + 1 if inbound is not None else 1 for inbound in self.inbound)

    def can_resume(self, connection: int, expected: tuple[int, ...]) -> bool:
        """Whether the other side can have got so far."""
        on = [one for one in self._sending if one.settings.connection == connection]
        return all(one.can_resume(expected[one.settings.number]) for one in on)

    def resume(self, connection: int, expected: tuple[int, ...], now_ns: int) -> None:
        """A new connection goes on where the other side says it stopped."""
        self._heard_ns, self._ask_wait_ns = now_ns, limits.LINK_RETRANSMIT_NS
        for outbound in self._sending:
            if outbound.settings.connection == connection:
                outbound.resume(expected[outbound.settings.number])
        for inbound in self._receiving:
            if inbound.settings.connection == connection:
                inbound.reopened()
        if connection == wire.CONTROL:
            self._missing.clear()
        self.ask()

    def reset(self) -> None:
        """The other process is another one: nothing sent to its predecessor is kept."""
        self.counters["reset"] += 1
        for outbound in self._sending:
            if outbound.wanted:
                outbound.wanted = False
                self._events.append(Writable(outbound.settings.number))
            outbound.reset()
        for inbound in self._receiving:
            inbound.reset()
            inbound.queued = False
        self._untaken.clear()
        self._missing.clear()
        for channel in range(limits.LINK_CHANNELS):
            self._drop_fragments(channel)

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
        return self.counters | {
            "retransmitted": sum(one.retransmitted for one in sending),
            "conflated": sum(one.conflated for one in sending),
            "refused_sends": sum(one.refused for one in sending),
            "duplicates": sum(one.duplicates for one in receiving),
            "gaps": sum(one.gaps for one in receiving),
        }
