"""A peer without a line for tests of the streams: exactly-once channels with credit, as gateway/link/peers/peer.py has them.

    Line(seed) ── .source, .reader: two ends ── step() moves some messages, in any order between channels

Hard rule: within a channel order and exactly-once hold, between channels nothing does.
"""

import itertools
import random
from collections import deque
from collections.abc import Iterator

from gateway.link.compression import codec
from gateway.link.frames.wire import Flag, Message, crc32
from gateway.link.peers.channel import CHANNELS
from gateway.link.peers.event import Delivered, Down, Restarted, Up, Writable

MANUAL = {channel.number for channel in CHANNELS if channel.manual_credit}


class End:
    """One end; the methods of Peer that streams use."""

    def __init__(self, capacities: dict[int, int]):
        self.capacities = capacities
        self.binding = b""
        self.far: End
        self.unsent: dict[int, deque[Message]] = {channel: deque() for channel in range(6)}
        self.owed = dict.fromkeys(range(6), 0)  # bytes delivered to the far end and not consumed there
        self.full: set[int] = set()
        self.happened: deque = deque()
        self.numbers = {channel: itertools.count(1) for channel in range(6)}
        self.sent_bytes = self.over_consumed = 0

    def send(self, channel, body, *, now_ns, type=1, schema=0, token_id=0, flags=0, raw_bytes=None, body_crc=None, key=0):
        if self.room(channel) <= 0:
            self.full.add(channel)
            return 0
        whole = codec.unpack(schema, body, raw_bytes) if flags & Flag.COMPRESSED else bytes(body)
        assert body_crc is None or crc32(whole) == body_crc
        number = next(self.numbers[channel])
        message = Message(type, channel, flags, 0, number, now_ns, schema, token_id, len(whole), whole)
        if channel == 4:
            self.unsent[4] = deque(other for other in self.unsent[4] if other[1] != key)
            self.unsent[4].append((message, key))
        else:
            self.unsent[channel].append(message)
        self.sent_bytes += len(body)
        return number

    def room(self, channel):
        waiting = sum(len((one[0] if channel == 4 else one).body) for one in self.unsent[channel])
        return self.capacities.get(channel, 1 << 20) - waiting - self.owed[channel]

    def consumed(self, channel, count_bytes):
        self.far.owed[channel] -= count_bytes
        self.over_consumed += self.far.owed[channel] < 0
        self.far._writable(channel)

    def events(self) -> Iterator:
        while self.happened:
            event = self.happened.popleft()
            if isinstance(event, Delivered) and event.channel not in MANUAL:
                self.consumed(event.channel, len(event.message.body))
            yield event

    def _writable(self, channel):
        if channel in self.full and self.room(channel) > 0:
            self.full.discard(channel)
            self.happened.append(Writable(channel))

    def move(self, channel):
        """One message of a channel to the far end; whether there was one."""
        if not self.unsent[channel]:
            return False
        one = self.unsent[channel].popleft()
        message = one[0] if channel == 4 else one
        self.owed[channel] += len(message.body)
        self.far.happened.append(Delivered(channel, message))
        return True


class Line:
    """Two ends and what is between them."""

    def __init__(self, random_: random.Random, capacities: dict[int, int] | None = None):
        self.random, self.sessions = random_, 0
        self.capacities = capacities or {}
        self.source, self.reader = End(self.capacities), End(self.capacities)
        self.source.far, self.reader.far = self.reader, self.source
        self.is_up = False

    def up(self, resumed: bool) -> None:
        """A session stands; not resumed: the processes know nothing of each other."""
        self.sessions += 1
        self.is_up = True
        for end in (self.source, self.reader):
            end.binding = self.sessions.to_bytes(32, "big")
            end.happened.append(Up(end.binding[:16], resumed))

    def down(self) -> None:
        """The session is gone; what is unsent stays."""
        self.is_up = False
        for end in (self.source, self.reader):
            end.binding = b""
            end.happened.append(Down("CLOSED"))

    def restart(self) -> None:
        """One of the processes is another one: everything between them is forgotten."""
        for end in (self.source, self.reader):
            end.happened = deque(event for event in end.happened if not isinstance(event, Delivered))
            for channel in range(6):
                end.unsent[channel].clear()
                end.owed[channel] = 0
                end.numbers[channel] = itertools.count(1)
            end.full.clear()
            end.happened.append(Restarted(b"other"))

    def step(self, moves: int) -> int:
        """Moves at most so many messages, of channels by chance."""
        moved = 0
        if not self.is_up:
            return 0
        for _ in range(moves):
            ready = [(end, channel) for end in (self.source, self.reader) for channel in range(6) if end.unsent[channel]]
            if not ready:
                break
            end, channel = self.random.choice(ready)
            moved += end.move(channel)
        return moved
