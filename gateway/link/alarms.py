"""Alarms of a peer: the first of a reason at once, the rest counted, one of a reason per second. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: an attacker cannot make us write more than this.
"""

from gateway import limits
from gateway.link.event import Alarm
from gateway.link.wire import ALARMING, Refusal

# What has passed the header's CRC, or a tag, and still cannot be: no line makes that by accident.
WORTH_ALARM = ALARMING | {
    *(Refusal.SOURCE, Refusal.EPOCH, Refusal.RECORD, Refusal.RAW_LENGTH, Refusal.UNPACK, Refusal.BODY),
    *(Refusal.SEQUENCE, Refusal.CREDIT, Refusal.FRAGMENT, Refusal.CHANNEL, Refusal.REPLAYED, Refusal.CLOCK),
}


class Alarms:
    """Which reasons were told, and when."""

    def __init__(self) -> None:
        self.suppressed = 0
        self._told_ns: dict[Refusal, int] = {}
        self._since: dict[Refusal, int] = {}

    def of(self, reason: Refusal, detail: str, now_ns: int) -> Alarm | None:
        """The alarm to tell, if this reason deserves one and none was told within the last second."""
        if reason not in WORTH_ALARM:
            return None
        told_ns = self._told_ns.get(reason)
        if told_ns is not None and now_ns - told_ns < limits.LINK_ALARM_NS:
            self._since[reason] = self._since.get(reason, 0) + 1
            self.suppressed += 1
            return None
        self._told_ns[reason] = now_ns
        more = self._since.pop(reason, 0)
        return Alarm(reason.name, f"{detail}, and {more} more" if more else detail)
