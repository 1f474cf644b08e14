"""How long to wait before the next attempt: doubled each time, capped, with jitter; begins anew after a success.

Beside the corridor, sans I/O: chance comes in as a number. Hard rule: two attempts are never closer than half the first
wait.
"""

MILLISECOND_NS = 1_000_000
DOUBLINGS_MAX = 32


class Backoff:
    """Waits between `first_ms` and `last_ms` milliseconds."""

    def __init__(self, first_ms: int, last_ms: int):
        self._first_ns, self._last_ns = first_ms * MILLISECOND_NS, max(first_ms, last_ms) * MILLISECOND_NS
        self.failures = 0

    def next_ns(self, chance: float) -> int:
        """The next wait; `chance` in [0, 1) spreads it over its upper half, so that many do not come back at once."""
        whole_ns = min(self._first_ns << min(self.failures, DOUBLINGS_MAX), self._last_ns)
        self.failures += 1
        return whole_ns // 2 + int(whole_ns / 2 * chance)

    def succeed(self) -> None:
        """The other side was there."""
        self.failures = 0
