"""When to connect again: waits that double, each spread over its upper half. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: a session must have lasted a while before its loss is answered at once.
"""

from collections.abc import Callable

from gateway import limits


class BackOff:
    """The wait between two attempts. `entropy` gives random bytes, so that two sides do not meet again and again."""

    def __init__(self, first_ns: int, last_ns: int, entropy: Callable[[int], bytes]):
        self._first_ns, self._last_ns, self._entropy = first_ns, last_ns, entropy
        self._wait_ns = first_ns
        self._steady_ns = limits.LINK_NEVER_NS
        self.retry_ns = 0  # not before

    def failed(self, now_ns: int) -> None:
        """An attempt failed, or what it gave was lost."""
        if now_ns >= self._steady_ns:
            self._wait_ns = self._first_ns
        self._steady_ns = limits.LINK_NEVER_NS
        half_ns = self._wait_ns // 2
        spread = int.from_bytes(self._entropy(2), "little")
        self.retry_ns = max(self.retry_ns, now_ns + half_ns + (half_ns * spread >> 16))
        self._wait_ns = min(2 * self._wait_ns, self._last_ns)

    def succeeded(self, now_ns: int) -> None:
        """The connection stands; only after a while does it count."""
        self._steady_ns = now_ns + limits.LINK_STEADY_NS

    def pause(self, until_ns: int) -> None:
        """Not before this: the other side said GOAWAY."""
        self.retry_ns = max(self.retry_ns, until_ns)
