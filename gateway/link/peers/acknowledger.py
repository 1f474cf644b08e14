"""What the two sides tell each other about what has come: ACK and NAK, said and heard. docs/protocols/link.md

    a gap, seen by what follows it          ─► NAK at once
    32 frames, or 1 ms behind the first     ─► ACK: in order, highest, gap, limit of channels that changed; records taken in
    a damaged frame, a new connection       ─► ACK of all channels; on control it asks for the other's, which may be lost
    no ACK for 200 ms, something is flying  ─► ACK that asks for one

Beside the corridor, inside a peer. Hard rule: a frame goes again only where its record was taken in and its sequence not.
"""

from collections import deque

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.wire import Message, Refusal, Type
from gateway.link.peers import acknowledgement
from gateway.link.peers.event import Event, Writable
from gateway.link.peers.inbound import Inbound
from gateway.link.peers.lane import Lane
from gateway.link.peers.outbound import Outbound
from gateway.link.peers.peer_settings import PeerSettings

NEVER_NS = limits.LINK_NEVER_NS


class Acknowledger:
    """Both directions. `lanes` is the peer's: control and bulk connection, or None."""

    def __init__(
        self,
        settings: PeerSettings,
        lanes: list[Lane | None],
        events: list[Event],
        outbound: list[Outbound | None],
        inbound: list[Inbound | None],
    ):
        self._lanes, self._events = lanes, events
        self._outbound = outbound
        self._inbound = [one for one in inbound if one is not None]
        self._sending = [one for one in outbound if one is not None]
        self.cadence = acknowledgement.Cadence(settings.acknowledge_frames, settings.acknowledge_ns)
        self._missing: deque[tuple[int, int, int]] = deque(maxlen=limits.LINK_MISSING_MAX)
        self._asks = self._says_all = False
        self._ask_wait_ns, self._heard_ns = limits.LINK_RETRANSMIT_NS, 0
        self.counters = dict.fromkeys(("acknowledgements", "missing_said", "asked"), 0)

    # ---- said ------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether `next_message` would give anything, at the time of the last tick."""
        return bool(self._missing) or self.cadence.due_ns <= 0

    def next_message(self, fence: int, now_ns: int) -> Message | None:
        """The NAK or ACK that goes on the control connection now."""
        if self._missing:
            return self._missing_message(fence, now_ns)
        if self.cadence.due_ns > now_ns:
            return None
        rows = self._rows()
        self.cadence.said()
        if not rows and not self._asks:
            return None
        control, bulk = self._lanes
        marks = (control.mark if control else 0, bulk.mark if bulk else 0)
        records = (control.taken_in if control else 0, bulk.taken_in if bulk else 0)
        body = acknowledgement.pack(self._asks, marks, records, rows)
        self._asks = False
        self.counters["acknowledgements"] += 1
        return unsequenced(Type.ACK, 0, body, fence, now_ns)

    def _rows(self) -> list[tuple[int, int, int, int, int]]:
        rows = []
        for inbound in self._inbound:
            if inbound.dirty or self._says_all:
                inbound.dirty = False
                inbound.advertised = limit = inbound.limit
                rows.append((inbound.settings.number, inbound.gap, inbound.in_order, inbound.highest, limit))
        self._says_all = False
        return rows

    def _missing_message(self, fence: int, now_ns: int) -> Message:
        channel, first, frames = self._missing.popleft()
        outbound = self._outbound[channel]
        lane = self._lanes[outbound.settings.connection] if outbound else None
        mark, records = (lane.mark, lane.taken_in) if lane else (0, 0)
        self.counters["missing_said"] += 1
        body = acknowledgement.pack_missing(mark, first, frames, records)
        return unsequenced(Type.NAK, channel, body, fence, now_ns)

    def lacks(self, channel: int, first: int, frames: int) -> None:
        """What has come on this channel shows that these have not; none of them, once a retransmission has filled it."""
        if frames:
            self._missing.append((channel, first, frames))

    def damaged(self, lane: Lane) -> None:
        """A frame of this connection came damaged: says what has come; on control, what was lost may be an answer."""
        self._says_all = True
        self._asks = self._asks or lane.connection == wire.CONTROL
        self.cadence.hurry()

    def ask(self) -> None:
        """The next acknowledgement leaves at once, with everything, and asks for one."""
        self._says_all = self._asks = True
        self.cadence.hurry()
        self.counters["asked"] += 1

    # ---- heard -----------------------------------------------------------------------------------------------------

    def on_acknowledgement(self, lane: Lane, message: Message, now_ns: int) -> Refusal | None:
        """An ACK; the reason if it says what cannot be."""
        found = acknowledgement.read(message.body)
        if found is None or lane.connection != wire.CONTROL:
            return Refusal.BODY
        self._heard_ns, self._ask_wait_ns = now_ns, limits.LINK_RETRANSMIT_NS
        if found.asks:
            self._says_all = True
            self.cadence.hurry()
        for row in found.rows:
            outbound = self._outbound[row.channel] if row.channel < limits.LINK_CHANNELS else None
            if outbound is None or not outbound.acknowledge(row.in_order, row.limit):
                return Refusal.SEQUENCE
            connection = outbound.settings.connection
            on = self._lanes[connection]
            known = on is not None and on.mark == found.marks[connection]
            if known and self._lost(outbound, row, found.records[connection]) >= limits.LINK_TRIES:
                return Refusal.RETRIES
            if outbound.wanted and outbound.writable:
                outbound.wanted = False
                self._events.append(Writable(row.channel))
        return None

    @staticmethod
    def _lost(outbound: Outbound, row: acknowledgement.Row, records: int) -> int:
        """What went in these records and is not among what came goes again; the highest number of tries among it."""
        tries = outbound.lost_tail(row.highest, records)
        return max(tries, outbound.lost_run(row.in_order + 1, row.gap, records)) if row.gap else tries

    def on_missing(self, message: Message) -> Refusal | None:
        """A NAK; the reason if it says what cannot be."""
        found = acknowledgement.read_missing(message.body)
        outbound = self._outbound[message.channel]
        if found is None or outbound is None:
            return Refusal.BODY
        lane = self._lanes[outbound.settings.connection]
        if lane is None or lane.mark != found.mark:
            return None
        tries = outbound.lost_run(found.first, found.frames, found.records)
        return Refusal.RETRIES if tries >= limits.LINK_TRIES else None

    # ---- time, connections -----------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Time goes on."""
        if self.cadence.due_ns <= now_ns:
            self.cadence.hurry()
        if now_ns >= self._ask_ns:
            self._heard_ns = now_ns
            self._ask_wait_ns = min(2 * self._ask_wait_ns, limits.LINK_SILENCE_NS)
            self.ask()

    @property
    def _ask_ns(self) -> int:
        """When an acknowledgement is asked for, since nobody has sent one."""
        if self._lanes[wire.CONTROL] is not None:
            for outbound in self._sending:
                if outbound.flying:
                    return self._heard_ns + self._ask_wait_ns
        return NEVER_NS

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due; what is due already waits for a socket, not for time."""
        due_ns = self.cadence.due_ns
        return min(due_ns if due_ns > 0 else NEVER_NS, self._ask_ns)

    def began(self, connection: int, now_ns: int) -> None:
        """A connection stands: both sides say everything."""
        self._heard_ns, self._ask_wait_ns = now_ns, limits.LINK_RETRANSMIT_NS
        if connection == wire.CONTROL:
            self._missing.clear()
        self.ask()

    def reset(self) -> None:
        """The other process is another one."""
        self._missing.clear()


def unsequenced(kind: Type, channel: int, body: bytes, fence: int, now_ns: int) -> Message:
    """A message that belongs to no channel's order."""
    return Message(kind, channel, 0, fence, 0, now_ns, 0, 0, len(body), body)
