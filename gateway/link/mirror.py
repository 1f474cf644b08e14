"""The receiving end of another region's market data: batches of a subscription go into link_core, in order, none twice.

    subscription ──► offer ──► waiting ──► link_core ──► core          suspect, down ─► LINK_DOWN: its books are stale
                                  └ the peer is told to wait           heard again   ─► LINK_UP

Hard rule: nothing is dropped here. While the ring is full the batches wait, and what waits is bounded by what the other side
may send: only what core's ring has taken is given back as room.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from gateway.instance import Instance
from gateway.link import records


class Mirror:
    """What stands between a subscription and link_core."""

    def __init__(self, instance: Instance, consumed: Callable[[int, int], None]):
        """`consumed(channel, bytes)` is called when core's ring has taken what a message brought."""
        self._writer = records.RecordWriter(instance.writer("link_core"))
        self._consumed = consumed
        self._waiting: deque[tuple[np.ndarray, int, int]] = deque()  # rows, and the channel and bytes they end
        self._head = instance.rings["link_core"].view("ring_header")[0]
        self.silent = True  # core was told that the source is not heard
        self.position = 0  # of the source's last record in the ring
        self.written = self.lost = 0

    def offer(self, batches: list[np.ndarray], channel: int = -1, count_bytes: int = 0) -> None:
        """Records in their order; `count_bytes` of `channel` are given back behind the last of them."""
        for number, batch in enumerate(batches, start=1):
            last = number == len(batches)
            self._waiting.append((batch, channel if last else -1, count_bytes if last else 0))
        if not batches and channel >= 0:
            self._waiting.append((records.rows(0), channel, count_bytes))

    def down(self) -> None:
        """The source is not heard: behind everything it said, core is told."""
        if not self.silent:
            self.silent = True
            self._waiting.append((records.own_word(records.DOWN), -1, 0))

    def up(self) -> None:
        """It is heard again, and nothing it said was lost."""
        if self.silent:
            self.silent = False
            self._waiting.append((records.own_word(records.UP), -1, 0))

    def begin_anew(self) -> None:
        """The source's numbers have nothing to do any more with those of before: books wait for a scan."""
        self._waiting.append((records.own_word(records.LOST), -1, 0))

    def turn(self) -> int:
        """Puts what waits into the ring, as much as it takes."""
        written = 0
        while self._waiting:
            batch, channel, count_bytes = self._waiting[0]
            taken = self._writer.put(batch) if len(batch) else 0
            written += taken
            if taken:
                self._note(batch[:taken])
            if taken < len(batch):
                self._waiting[0] = (batch[taken:], channel, count_bytes)
                break
            self._waiting.popleft()
            if channel >= 0:
                self._consumed(channel, count_bytes)
        self.written += written
        return written

    def _note(self, rows: np.ndarray) -> None:
        numbered = rows["sequence"][rows["sequence"] > 0]
        if len(numbered):
            self.position = int(numbered[-1])
        self.lost += int(np.count_nonzero(rows["kind"] == records.LOST))

    @property
    def is_applied(self) -> bool:
        """Whether core has taken everything there was."""
        return not self._waiting and int(self._head["cursor"]) == int(self._head["claimed"])

    @property
    def waiting(self) -> int:
        """Records that the ring has not taken."""
        return sum(len(batch) for batch, _, _ in self._waiting)
