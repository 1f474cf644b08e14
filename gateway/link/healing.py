"""When a mirrored region's books are asked for anew, because one of them does not hold what its source says.

    core counts ──► a mismatch ──► due at once ──► scan asked for ──► due 1 s on, 2 s, 4 s … while it happens again
                                                                      due at once after five minutes without

Beside incoming.py. Hard rule: a source that never fits costs a scan every five minutes and no more: each scan takes all of
its books out of trading here for as long as it runs.
"""

from collections.abc import Callable

from gateway import limits


class Healing:
    """The count of mismatches, and when the next one may cost a scan. `count` says how many core has found so far."""

    def __init__(self, count: Callable[[], int]):
        self._count = count
        self._seen = count()  # another life of ours had a scan anyway
        self._pending = False
        self._wait_ns, self._asked_ns, self._retry_ns = limits.LINK_HEAL_FIRST_NS, 0, 0
        self.mismatches = self.scans = 0

    def found(self, now_ns: int) -> int:
        """Books that do not fit, new since the last call."""
        count = self._count()
        new, self._seen = max(count - self._seen, 0), count
        if new:
            if not self._pending and now_ns - self._asked_ns >= limits.LINK_HEAL_LAST_NS:
                self._wait_ns = limits.LINK_HEAL_FIRST_NS
            self.mismatches += new
            self._pending = True
        return new

    def is_due(self, now_ns: int) -> bool:
        """Whether a scan is to be asked for now."""
        return self._pending and now_ns >= self._retry_ns

    def asked(self, now_ns: int) -> None:
        """It was; the next one waits longer."""
        self._pending = False
        self._asked_ns, self._retry_ns = now_ns, now_ns + self._wait_ns
        self._wait_ns = min(2 * self._wait_ns, limits.LINK_HEAL_LAST_NS)
        self.scans += 1
