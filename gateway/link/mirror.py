"""The receiving end of another region's market data: rows of a subscription go into link_core, in order, none twice.

    reader ──► offer ──► waiting ──► link_core ──► core          suspect, down ─► LINK_DOWN: its books are stale
                            └ the peer is told to wait           heard again   ─► LINK_UP

Hard rule: nothing is dropped here. While the ring is full the rows wait, and what waits is bounded by what the other side
may send: only what core's ring has taken is given back as credit.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from gateway.instance import Instance
from gateway.link.streams import records
from gateway.link.streams.stream_reader import Item

PLACES_MAX = 4096  # pairs of ring place and source position that are remembered


class Mirror:
    """What stands between a reader of streams and link_core."""

    def __init__(self, instance: Instance, taken: Callable[[Item], None]):
        """`taken(item)` is called when core's ring has all rows of an item."""
        self._writer = records.RecordWriter(instance.writer("link_core"))
        self._taken = taken
        self._waiting: deque[tuple[np.ndarray, Item | None]] = deque()
        self._waiting.append((records.own_word(records.LOST), None))  # another life of ours told core of another join
        self._head = instance.rings["link_core"].view("ring_header")[0]
        self._places: deque[tuple[int, int]] = deque(maxlen=PLACES_MAX)  # place in the ring, source's position there
        self.silent = True  # core was told that the source is not heard
        self.position = 0  # of the source's last record in the ring
        self.applied = 0  # of the last one that core has taken
        self.written = 0
        self.lost = 0  # times that records were missing, at their source or on the way

    def offer(self, item: Item) -> None:
        """Rows in their order, behind all that were offered before."""
        self._waiting.append((item.rows, item))

    def hear(self, heard: bool) -> None:
        """Whether the source is heard; core is told of a change, behind everything that the source has said."""
        if heard == self.silent:
            self.silent = not heard
            self._waiting.append((records.own_word(records.UP if heard else records.DOWN), None))

    def turn(self) -> int:
        """Puts what waits into the ring, as much as it takes; how many rows went in."""
        written = 0
        while self._waiting:
            rows, item = self._waiting[0]
            taken = self._writer.put(rows)
            written += taken
            self._note(rows[:taken], item)
            if taken < len(rows):
                self._waiting[0] = (rows[taken:], item)
                break
            self._waiting.popleft()
            if item is not None:
                self._taken(item)
        self.written += written
        self._follow(written)
        return written

    def _note(self, rows: np.ndarray, item: Item | None) -> None:
        numbered = rows["sequence"][rows["sequence"] > 0]
        if len(numbered):
            self.position = int(numbered[-1])
        if item is not None:  # the word that we begin with is no loss
            self.lost += int(np.count_nonzero(rows["kind"] == records.LOST))

    def _follow(self, written: int) -> None:
        """Which of the source's records core has taken by now."""
        cursor = int(self._head["cursor"])
        if written:
            self._places.append((int(self._head["claimed"]), self.position))
        while self._places and self._places[0][0] <= cursor:
            self.applied = self._places.popleft()[1]

    @property
    def waiting(self) -> int:
        """Rows that the ring has not taken."""
        return sum(len(rows) for rows, _ in self._waiting)
