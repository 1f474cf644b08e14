"""The sending side of one channel: what is unsent, in flight or to be said again. docs/protocols/link.md

    send ──► UNSENT ── take ──► FLYING ── acknowledged ──► DONE
               ▲ LATEST: the same        │    ▲
               │ key replaces it    lost ▼    │ take (a new record, the same sequence)
                                        AGAIN

Beside the corridor, inside a peer. Hard rule: a body is kept as it was given, not sealed, until it is acknowledged; whatever
goes on the wire again gets a new record number, hence a new nonce, by the connection that seals it.
"""

from collections import deque
from itertools import islice

from gateway import limits
from gateway.link.peers.channel import ChannelPolicy, ChannelSettings

UNSENT, FLYING, AGAIN, DONE = range(4)
NEVER = 1 << 62


class Entry:
    """One message of a channel until it is acknowledged."""

    __slots__ = (
        *("sequence", "type", "flags", "schema", "token_id", "raw_bytes", "body", "body_crc", "key", "sent_ns"),
        *("charge", "state", "first_record", "record", "tries"),
    )

    def __init__(self, sequence, type, flags, schema, token_id, raw_bytes, body, body_crc, key, sent_ns):
        self.sequence: int = sequence
        self.type: int = type
        self.flags: int = flags
        self.schema: int = schema
        self.token_id: int = token_id
        self.raw_bytes: int = raw_bytes
        self.body: bytes = body
        self.body_crc: int | None = body_crc
        self.key: int = key
        self.sent_ns: int = sent_ns
        self.charge = raw_bytes + limits.LINK_FRAME_CHARGE  # against the other side's window
        self.state = UNSENT
        self.first_record = self.record = NEVER  # of the connection it was sent on
        self.tries = 0


class Outbound:
    """Sequences, the store of what is not acknowledged, the other side's window, retransmission."""

    def __init__(self, settings: ChannelSettings):
        self.settings = settings
        self.latest = settings.policy is ChannelPolicy.LATEST
        self.conflated = self.refused = self.retransmitted = 0
        self.wanted = False  # `send` was refused; Writable is owed
        self.reset()

    def reset(self) -> None:
        """The other process is another one: all is forgotten, the next sequence is 1."""
        self.next_sequence = 1
        self.acknowledged = 0  # everything up to here was delivered
        self.held_bytes = 0  # of bodies, unsent and unacknowledged
        self.charged = 0  # of everything ever sent
        self.limit = min(self.settings.capacity_bytes, limits.LINK_WINDOW_FIRST_BYTES)
        self._unsent: deque[Entry] = deque()
        self._flying: deque[Entry] = deque()  # in order of sequence, AGAIN among them
        self._again: deque[Entry] = deque()
        self._keys: dict[int, Entry] = {}

    @property
    def held_frames(self) -> int:
        """Messages unsent and unacknowledged."""
        return len(self._unsent) + len(self._flying)

    @property
    def flying(self) -> int:
        """Messages sent and unacknowledged."""
        return len(self._flying)

    @property
    def room(self) -> int:
        """Bytes of bodies that `send` takes now."""
        if self.held_frames >= self.settings.capacity_frames:
            return 0
        return max(self.settings.capacity_bytes - self.held_bytes, 0)

    def takes(self, size: int, frames: int) -> bool:
        """Whether there is room for so many bytes in so many frames; if not, Writable is owed."""
        settings = self.settings
        if self.held_bytes + size <= settings.capacity_bytes and self.held_frames + frames <= settings.capacity_frames:
            return True
        self.refused += 1
        self.wanted = True
        return False

    @property
    def writable(self) -> bool:
        """Whether there is room enough to speak of."""
        settings = self.settings
        return self.held_bytes * 4 <= settings.capacity_bytes * 3 and self.held_frames * 4 <= settings.capacity_frames * 3

    def send(self, entry: Entry) -> int:
        """Its sequence, or 0 when there is no room for it. The sequence is given here, once."""
        size = len(entry.body)
        if self.latest:
            old = self._keys.get(entry.key)
            if old is not None:
                return self._replace(old, entry, size)
        if not self.takes(size, 1):
            return 0
        if self.latest:
            self._keys[entry.key] = entry
        entry.sequence = self.next_sequence
        self.next_sequence += 1
        self.held_bytes += size
        self._unsent.append(entry)
        return entry.sequence

    def _replace(self, old: Entry, entry: Entry, size: int) -> int:
        """The newer message takes the unsent one's place and sequence."""
        held = self.held_bytes + size - len(old.body)
        if held > self.settings.capacity_bytes:
            self.refused += 1
            self.wanted = True
            return 0
        for name in ("type", "flags", "schema", "token_id", "raw_bytes", "body", "body_crc", "sent_ns", "charge"):
            setattr(old, name, getattr(entry, name))
        self.held_bytes = held
        self.conflated += 1
        return old.sequence

    def head(self) -> Entry | None:
        """What goes next: what was lost first, then what the window allows."""
        again = self._again
        while again:
            if again[0].state == AGAIN:
                return again[0]
            again.popleft()
        if self._unsent:
            entry = self._unsent[0]
            if self.charged + entry.charge <= self.limit:
                return entry
        return None

    @property
    def waiting(self) -> bool:
        """Unsent messages that the other side's window does not allow."""
        return bool(self._unsent) and self.charged + self._unsent[0].charge > self.limit

    def take(self, entry: Entry, record: int) -> bool:
        """`entry`, the head, leaves as this record of its connection. Whether it is a retransmission."""
        entry.record = record
        if entry.state == AGAIN:
            self._again.popleft()
            entry.state = FLYING
            if entry.first_record == NEVER:
                entry.first_record = record
            entry.tries += 1
            self.retransmitted += 1
            return True
        self._unsent.popleft()
        if self.latest:
            del self._keys[entry.key]
        entry.first_record = record
        entry.state = FLYING
        self.charged += entry.charge
        self._flying.append(entry)
        return False

    def acknowledge(self, in_order: int, limit: int) -> bool:
        """Everything up to `in_order` was delivered; `limit` may be charged in all. False: neither can be."""
        flying = self._flying
        if in_order >= self.next_sequence or (in_order > self.acknowledged + len(flying)):
            return False
        while flying and flying[0].sequence <= in_order:
            entry = flying.popleft()
            entry.state = DONE
            self.held_bytes -= len(entry.body)
        if in_order > self.acknowledged:
            self.acknowledged = in_order
        if limit > self.limit:
            self.limit = limit
        return True

    def lost_run(self, first: int, count: int, consumed: int) -> int:
        """The other side lacks these sequences and has taken in every record below `consumed`: what was in those goes again.

        The highest number of tries among them.
        """
        begin = max(first - self.acknowledged - 1, 0)
        end = first - self.acknowledged - 1 + count
        tries = 0
        for entry in islice(self._flying, begin, max(begin, min(end, len(self._flying)))):
            if entry.state == FLYING and entry.record < consumed:
                tries = max(tries, self._lose(entry))
        return tries

    def lost_tail(self, highest: int, consumed: int) -> int:
        """Nothing above `highest` has arrived although every record below `consumed` was taken in. The highest tries."""
        tries = 0
        for entry in islice(self._flying, max(highest - self.acknowledged, 0), None):
            if entry.first_record >= consumed:
                break
            if entry.state == FLYING and entry.record < consumed:
                tries = max(tries, self._lose(entry))
        return tries

    def _lose(self, entry: Entry) -> int:
        entry.state = AGAIN
        self._again.append(entry)
        return entry.tries

    def can_resume(self, next_expected: int) -> bool:
        """Whether the other side can expect this one next."""
        return 1 <= next_expected <= self.acknowledged + len(self._flying) + 1

    def resume(self, next_expected: int) -> None:
        """A new connection: the other side has everything below `next_expected`, the rest goes again."""
        self.acknowledge(next_expected - 1, self.limit)
        self._again.clear()
        for entry in self._flying:
            entry.state, entry.tries, entry.first_record, entry.record = AGAIN, 0, NEVER, NEVER
            self._again.append(entry)
