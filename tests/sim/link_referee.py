"""The referee of the link simulation: it knows every body that was handed over and judges every one that is delivered.

A body says who sent it, in which life, on which channel, in which place and for which key. Whatever arrives must be one that
was handed over, once, on its channel, in its order: the next one, or on a latest-only channel a later one of its key.
A process that dies forgets, and its peer forgets with it; nothing else may be missing in the end.
"""

from collections import Counter
from hashlib import sha256
from typing import Any

from gateway.link.peers.channel import CHANNELS, ChannelPolicy

LATEST = {row.number for row in CHANNELS if row.policy is ChannelPolicy.LATEST}
ALL = {row.number for row in CHANNELS}


class Referee:
    """Sides are 0 and 1; `problems` is empty while all is well."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.delivered = 0
        self._given: list[Counter[int]] = [Counter(), Counter()]  # sender -> channel -> messages handed over
        self._known: list[dict[bytes, int]] = [{}, {}]  # sender -> body -> its place
        self._must: list[dict[bytes, tuple[int, int]]] = [{}, {}]  # sender -> bodies that have to arrive: channel, key
        self._arrived: list[set[bytes]] = [set(), set()]  # by receiver
        self._last: list[dict[tuple[int, int], int]] = [{}, {}]  # receiver -> channel, key -> place of the last one
        self._gap_allowed: list[set[int]] = [set(), set()]  # by receiver
        self._lives = [1, 1]

    def hand(self, sender: int, life: int, channel: int, size_bytes: int, key: int) -> tuple[int, bytes]:
        """(key, body) of a new message."""
        self._given[sender][channel] += 1
        place, key = self._given[sender][channel], key if channel in LATEST else 0
        head = b"%d %d %d %d %d " % (sender, life, channel, place, key)
        body = (head + sha256(head).digest() * (size_bytes // 32 + 1))[: max(size_bytes, len(head))]
        self._known[sender][body] = place
        if channel in LATEST:
            self._must[sender] = {old: row for old, row in self._must[sender].items() if row != (channel, key)}
        self._must[sender][body] = (channel, key)
        return key, body

    def take(self, receiver: int, channel: int, message: Any) -> None:
        """Judges one delivery."""
        sender, body = 1 - receiver, bytes(message.body)
        place = self._known[sender].get(body)
        if place is None:
            self.problems.append(f"channel {channel}: delivered what nobody sent, {len(body)} bytes")
            return
        if body in self._arrived[receiver]:
            self.problems.append(f"channel {channel}: message {place} came twice")
        self._arrived[receiver].add(body)
        self.delivered += 1
        _, life, said, _, key, _ = body.split(b" ", 5)
        if int(said) != channel:
            self.problems.append(f"a message of channel {int(said)} came on channel {channel}")
        last = self._last[receiver].get((channel, int(key)), 0)
        jump = channel in LATEST or channel in self._gap_allowed[receiver]
        if not (place > last if jump else place == last + 1):
            self.problems.append(f"channel {channel}: message {place} came behind {last}")
        if int(life) == self._lives[sender]:  # what a process that died had sent may still be on its way
            self._gap_allowed[receiver].discard(channel)
        self._last[receiver][(channel, int(key))] = place

    def met_another(self, index: int, waiting: set[bytes]) -> None:
        """A side heard that the other is a new process: all but what still waits in its application is forgotten."""
        self._must[index] = {body: row for body, row in self._must[index].items() if body in waiting}
        self._gap_allowed[1 - index] = set(ALL)

    def died(self, index: int) -> None:
        """A process has lost what it held, and what it had been given is no other process's business."""
        self._must[index] = {}
        self._lives[index] += 1
        self._gap_allowed = [set(ALL), set(ALL)]

    def missing(self) -> int:
        """Bodies that have to arrive and have not."""
        return sum(len(self._must[sender].keys() - self._arrived[1 - sender]) for sender in (0, 1))
