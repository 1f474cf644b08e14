"""Who speaks next on a connection: strict channels by number, the others by weight. docs/protocols/link.md

Weighted deficit round robin (Shreedhar and Varghese, 1995): in each round a channel that has something to say may send its
quantum, and keeps what is left for the next round. Beside the corridor, inside a peer. Hard rule: a channel with something
to say never waits for more than `starvation_bound_bytes` of the others that share with it.
"""

from gateway import limits
from gateway.link.peers.outbound import Entry, Outbound

FRAME_COST_MAX = limits.LINK_BODY_BYTES_MAX + limits.LINK_FRAME_CHARGE


class Scheduler:
    """The channels of one connection."""

    def __init__(self, channels: list[Outbound]):
        self._all = channels
        self._strict = [channel for channel in channels if channel.settings.weight == 0]
        self._shared = [channel for channel in channels if channel.settings.weight > 0]
        self._quantum = [channel.settings.weight * limits.LINK_QUANTUM_BYTES for channel in self._shared]
        self._deficit = [0] * len(self._shared)
        self._turn = 0
        self._arrived = True  # the round robin has just come to this channel

    def next(self) -> tuple[Outbound, Entry] | None:
        """The channel whose turn it is, and its head; the turn is used."""
        for channel in self._strict:
            entry = channel.head()
            if entry is not None:
                return channel, entry
        idle, count = 0, len(self._shared)
        while idle < count:
            turn = self._turn
            channel = self._shared[turn]
            entry = channel.head()
            if entry is None:
                self._deficit[turn] = 0
                idle += 1
                self._advance()
                continue
            idle = 0
            if self._arrived:
                self._deficit[turn] += self._quantum[turn]
                self._arrived = False
            cost = len(entry.body) + limits.LINK_FRAME_CHARGE
            if cost <= self._deficit[turn]:
                self._deficit[turn] -= cost
                return channel, entry
            self._advance()
        return None

    def _advance(self) -> None:
        self._turn = (self._turn + 1) % len(self._shared)
        self._arrived = True

    @property
    def ready(self) -> bool:
        """Whether `next` would give anything."""
        for channel in self._all:  # noqa: SIM110 a generator costs more than the loop, and this is asked every turn
            if channel.head() is not None:
                return True
        return False

    def starvation_bound_bytes(self, number: int) -> int:
        """What the other sharing channels may send at most while the head of channel `number` waits."""
        index = [channel.settings.number for channel in self._shared].index(number)
        rounds = -(-FRAME_COST_MAX // self._quantum[index])
        others = [quantum for other, quantum in enumerate(self._quantum) if other != index]
        return sum((rounds + 1) * quantum + FRAME_COST_MAX for quantum in others)
