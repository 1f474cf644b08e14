"""The highest of a rolling window ⑦, in integers: what a drawdown is measured from.

    push(now, value) ─► the highest that still counts        a sample counts until the window has passed since the end
                                                             of its bucket, so never shorter than the window

Hard rule: a window rolls; nothing resets it but its age and a human. A clock that steps back ages nothing.
"""

from collections import deque
from collections.abc import Iterable

BUCKETS = 3600  # of a window: as many samples are kept at most, and one


class RollingHigh:
    """A falling staircase of (bucket, highest in it): only what is higher than everything behind it can matter."""

    def __init__(self, window_ns: int):
        """`window_ns` from 1 on."""
        if window_ns < 1:
            raise ValueError(f"a window of {window_ns} ns")
        self.window_ns = window_ns
        self.bucket_ns = max(window_ns // BUCKETS, 1)
        self._stairs: deque[tuple[int, int]] = deque()
        self._now_ns = 0

    def push(self, now_ns: int, value: int) -> int:
        """One sample; returns the highest that counts at `now_ns`, this one included."""
        self._now_ns = max(now_ns, self._now_ns)
        bucket, stairs = self._now_ns // self.bucket_ns, self._stairs
        while stairs and stairs[-1][1] <= value:
            stairs.pop()
        if not stairs or stairs[-1][0] != bucket:  # a lower one of the same bucket never counts
            stairs.append((bucket, value))
        while (stairs[0][0] + 1) * self.bucket_ns + self.window_ns <= self._now_ns:
            stairs.popleft()
        return stairs[0][1]

    def clear(self) -> None:
        """The next sample is the first."""
        self._stairs.clear()

    def rows(self) -> list[list[int]]:
        """What `restore` takes."""
        return [[bucket, value] for bucket, value in self._stairs]

    def restore(self, rows: Iterable[tuple[int, int]]) -> None:
        """The samples of an earlier run, oldest first. Raises ValueError for what no window has written."""
        stairs: deque[tuple[int, int]] = deque()
        for bucket, value in rows:
            if type(bucket) is not int or type(value) is not int or bucket < 0 or (stairs and stairs[-1][0] >= bucket):
                raise ValueError("samples out of order")
            while stairs and stairs[-1][1] <= value:
                stairs.pop()
            stairs.append((bucket, value))
        if len(stairs) > BUCKETS * 2 + 2:
            raise ValueError("more samples than a window has")
        self._stairs = stairs
        self._now_ns = max(self._now_ns, stairs[-1][0] * self.bucket_ns if stairs else 0)
