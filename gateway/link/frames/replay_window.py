"""Which of the last 1,024 record numbers were seen: one number as a bit set. docs/protocols/link.md, "UDP"

Below datagram.py. Hard rule: `see` is called after the tag was good, never before: a forged number must not move it.
"""

from gateway import limits

MASK = (1 << limits.LINK_WINDOW_RECORDS) - 1


class ReplayWindow:
    """Record numbers come in any order; each is new once, and only within the window behind the newest."""

    def __init__(self) -> None:
        self.newest = -1
        self._seen = 0  # bit i: newest - i

    def is_new(self, record: int) -> bool:
        """Whether this number may still be taken."""
        behind = self.newest - record
        return behind < 0 or (behind < limits.LINK_WINDOW_RECORDS and not self._seen >> behind & 1)

    def see(self, record: int) -> None:
        """Takes it."""
        behind = self.newest - record
        if behind >= 0:
            self._seen |= 1 << behind
            return
        self._seen = (self._seen << -behind | 1) & MASK if -behind < limits.LINK_WINDOW_RECORDS else 1
        self.newest = record
