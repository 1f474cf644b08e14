"""Events of a peer that are no messages, and its alarms: bounded, whoever does not look. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: an attacker cannot make us keep more than LINK_NOTICES_MAX of these, nor
tell more than one alarm of a reason a second; the rest is counted.
"""

from gateway import limits
from gateway.link.frames.wire import ALARMING, MENDS, Refusal
from gateway.link.peers.event import Alarm, Event

# What has passed the header's CRC, or a tag, and still cannot be: no line makes that by accident.
WORTH_ALARM = ALARMING | {
    *(Refusal.SOURCE, Refusal.EPOCH, Refusal.RECORD, Refusal.RAW_LENGTH, Refusal.UNPACK, Refusal.BODY),
    *(Refusal.SEQUENCE, Refusal.CREDIT, Refusal.FRAGMENT, Refusal.CHANNEL, Refusal.REPLAYED, Refusal.CLOCK),
    Refusal.LAYOUTS,
}


class News:
    """Where everything but messages is told; `events` is the peer's list."""

    def __init__(self, events: list[Event]):
        self._events = events
        self._notices = 0  # since the application last looked
        self.dropped = self.suppressed = 0
        self._told_ns: dict[Refusal, int] = {}
        self._since: dict[Refusal, int] = {}

    def taken(self) -> None:
        """The application has looked."""
        self._notices = 0

    def tell(self, event: Event) -> None:
        """One event."""
        if self._notices >= limits.LINK_NOTICES_MAX:
            self.dropped += 1
            return
        self._notices += 1
        self._events.append(event)

    def refused(self, reason: Refusal, detail: str, now_ns: int) -> None:
        """Tells an alarm, if this reason deserves one and none was told within the last second."""
        if reason not in WORTH_ALARM:
            return
        told_ns = self._told_ns.get(reason)
        if told_ns is not None and now_ns - told_ns < limits.LINK_ALARM_NS:
            self._since[reason] = self._since.get(reason, 0) + 1
            self.suppressed += 1
            return
        self._told_ns[reason] = now_ns
        more = self._since.pop(reason, 0)
        detail += f", and {more} more" if more else ""
        detail += f": {MENDS[reason.word]}" if reason.word in MENDS else ""
        self.tell(Alarm(reason.name, detail))
