"""How far one subscriber is in one channel: which retained entries it is sent, marks between them, back-pressure.

    retained │ 41 live │ 42 scan │ 43 scan │ 44 live │ …         one progress a channel, each at its own number
                  ▲ market_data              ▲ snapshots

Hard rule: entries leave in their order and none is left out silently; a progress whose next entry is gone is BEHIND and
sends nothing until it begins anew.
"""

from collections import deque
from enum import Enum
from typing import Any

from gateway import limits
from gateway.link.frames.wire import Flag, Type
from gateway.link.streams.retained import Entry, Retained

OF_LIVE, OF_SCANS = int(Flag.COMPRESSED), int(Flag.COMPRESSED | Flag.SNAPSHOT)  # flags of entries


class Takes(Enum):
    """Which entries a channel carries."""

    LIVE = "live"
    SCAN = "scan"
    ALL = "all"


class State(Enum):
    """What a call of `send` came to."""

    SENT = "sent"  # everything there is
    WAITING = "waiting"  # for room in the channel, or for its next turn
    BEHIND = "behind"  # the next entry is gone


class Progress:
    """The way of one channel through the retained entries."""

    def __init__(self, channel: int, takes: Takes, token_id: int):
        self.channel, self.takes, self.token_id = channel, takes, token_id
        self.number: int | None = None  # of the next entry; None: nothing is to be sent
        self.stop: int | None = None  # one past the last entry that is to be sent
        self.marks: deque[bytes] = deque()  # to be sent before the next entry
        self.sent = self.sent_bytes = 0

    def begin(self, number: int | None, mark: bytes) -> None:
        """Goes on at this entry, behind this mark. A mark that has not left is replaced: what it began has ended."""
        self.number, self.stop = number, None
        self.marks.clear()
        self.marks.append(mark)

    def send(self, peer: Any, retained: Retained, now_ns: int) -> State:
        """What the channel has room for, at most LINK_PUMP_ENTRIES."""
        while self.marks:
            if not peer.send(self.channel, self.marks[0], now_ns=now_ns, token_id=self.token_id):
                return State.WAITING
            self.marks.popleft()
        for _ in range(limits.LINK_PUMP_ENTRIES):
            if self.number is None or self.number == self.stop or self.number >= retained.end:
                return State.SENT
            entry = retained.entry(self.number)
            if entry is None:
                return State.BEHIND
            if self._is_for_us(entry) and not self._send_entry(peer, entry, now_ns):
                return State.WAITING
            self.number += 1
        return State.WAITING

    @property
    def ended(self) -> bool:
        """Whether everything that was to be sent has left."""
        return self.number is not None and self.number == self.stop

    def _is_for_us(self, entry: Entry) -> bool:
        return self.takes is Takes.ALL or entry.scan == (self.takes is Takes.SCAN)

    def _send_entry(self, peer: Any, entry: Entry, now_ns: int) -> bool:
        """Whether the channel had room for it."""
        sequence = peer.send(
            self.channel,
            entry.body,
            now_ns=now_ns,
            type=Type.DATA,
            schema=entry.schema,
            token_id=self.token_id,
            flags=OF_SCANS if entry.scan else OF_LIVE,
            raw_bytes=entry.raw_bytes,
            body_crc=entry.body_crc,
        )
        if sequence:
            self.sent += 1
            self.sent_bytes += len(entry.body)
        return bool(sequence)
