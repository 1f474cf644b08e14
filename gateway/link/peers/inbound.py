"""The receiving side of one channel: order, duplicates, what is missing, credit. docs/protocols/link.md

    arrives ──► next in order ──► delivered ── taken from `events`, `consumed` ──► credit for as much again
            ├─► after a gap ──► held until the gap is filled
            ├─► had before ──► dropped, counted
            └─► beyond the credit given ──► refused: the other side lies

Beside the corridor, inside a peer. Hard rule: a sequence is delivered once, and none before the one below it.
"""

from typing import TYPE_CHECKING

from gateway import limits
from gateway.link.peers.channel import ChannelSettings

if TYPE_CHECKING:
    from gateway.link.frames.wire import Message

CHARGE = limits.LINK_FRAME_CHARGE


class Inbound:
    """What of one channel has come, and how much more may."""

    def __init__(self, settings: ChannelSettings):
        self.settings = settings
        self.duplicates = self.gaps = 0
        self.reset()

    def reset(self) -> None:
        """The other process is another one: it begins at 1."""
        self.in_order = 0  # everything up to here was delivered
        self.highest = 0  # that has arrived
        self.received = 0  # charge of what has arrived, held included
        self.given = 0  # charge of what was consumed; may be received again
        self.advertised = min(self.settings.capacity_bytes, limits.LINK_WINDOW_FIRST_BYTES)
        self.queued = False  # among those whose messages stand in `events`
        self.dirty = True  # the next acknowledgement speaks of this channel
        self._held: dict[int, Message] = {}
        self._lowest = 0  # of those
        self._untaken_frames = self._untaken_bytes = 0  # delivered, still in `events`
        self._taken_bytes = 0  # bodies the application has not consumed

    def accept(self, message: "Message") -> "list[Message] | tuple[Message, ...] | None":
        """What is to be delivered now, in order; None: it is more than was allowed."""
        sequence = message.sequence
        if sequence <= self.in_order or (self._held and sequence in self._held):
            self.duplicates += 1
            self.dirty = True
            return ()
        received = self.received + message.raw_bytes + CHARGE
        if received > self.given + self.settings.capacity_bytes:
            return None
        self.received = received
        self.dirty = True
        if sequence > self.highest:
            self.highest = sequence
        if sequence != self.in_order + 1:
            self._lowest = min(sequence, self._lowest) if self._held else sequence
            self._held[sequence] = message
            return ()
        self._untaken_frames += 1
        self._untaken_bytes += message.raw_bytes
        self.in_order = sequence
        return self._with_held(message) if self._held else (message,)

    def _with_held(self, message: "Message") -> "list[Message]":
        """A gap was filled: what waited behind it follows."""
        run = [message]
        while (following := self._held.pop(self.in_order + 1, None)) is not None:
            run.append(following)
            self.in_order += 1
            self._untaken_frames += 1
            self._untaken_bytes += following.raw_bytes
        if self._held:
            self._lowest = min(self._held)
        return run

    def possible(self, sequence: int) -> bool:
        """Whether the other side can have got so far: each frame beyond the last in order was charged to the window."""
        return 0 < sequence <= self.in_order + self.settings.capacity_bytes // CHARGE + 1

    def hole(self, sequence: int) -> tuple[int, int]:
        """(first, count) of what is newly known to be missing, now that `sequence` has arrived. Call it once for each."""
        first = max(self.highest, self.in_order) + 1
        if sequence < first:
            return 0, 0
        self.highest = sequence
        count = sequence - first
        self.gaps += count > 0
        return first, count

    @property
    def gap(self) -> int:
        """How many are missing behind the last delivered one; 0 where nothing is held."""
        return self._lowest - self.in_order - 1 if self._held else 0

    def taken(self) -> bool:
        """The application has taken every delivered message from `events`. Whether credit grew enough to say so."""
        self.queued = False
        frames, size = self._untaken_frames, self._untaken_bytes
        self._untaken_frames = self._untaken_bytes = 0
        self.given += frames * CHARGE
        if self.settings.manual_credit:
            self._taken_bytes += size
        else:
            self.given += size
        return self._worth_saying

    def consumed(self, count_bytes: int) -> bool:
        """The application has done with so many bytes, never more than it got. Whether credit grew enough to say so."""
        count_bytes = min(count_bytes, self._taken_bytes)
        self._taken_bytes -= count_bytes
        self.given += count_bytes
        return self._worth_saying

    @property
    def limit(self) -> int:
        """The charge that the other side may have sent in all."""
        return self.given + self.settings.capacity_bytes

    @property
    def _worth_saying(self) -> bool:
        """A quarter of the window: no message is charged more than the rest, so nobody waits for what is not said."""
        if (self.limit - self.advertised) * 4 < self.settings.capacity_bytes:
            return False
        self.dirty = True
        return True

    def reopened(self) -> None:
        """A new connection: what was held comes again."""
        for message in self._held.values():
            self.received -= message.raw_bytes + CHARGE
        self._held.clear()
        self.highest = self.in_order
        self.dirty = True
