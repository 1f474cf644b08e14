"""When the faults of the order gateway happen: cuts and duplicate logins spread over the day, stalls once a second.

Beside the corridor, inside the venue; sans I/O. Hard rule: a fault is due once, and waits until somebody is there to suffer.
"""

from gateway.venues.simulator.order_settings import SessionFaults

MILLISECOND_NS, SECOND_NS = 1_000_000, 1_000_000_000
KINDS = ("reset", "close", "tear")


class FaultClock:
    """The plan over the day that `begin` names; without an end of the day a fault is due every second."""

    def __init__(self, plan: SessionFaults):
        self.plan = plan
        self._logins = ["A"] * plan.reject + ["S"] * plan.busy
        self._due: list[tuple[int, str]] = []
        self._refusals = plan.refuse_cancels
        self._mute_until_ns = 0
        self._stall_from_ns = 0

    def begin(self, open_ns: int, close_ns: int = 0) -> None:
        """The day's times; the first fault comes half an interval into it."""
        kinds = [KINDS[index % len(KINDS)] for index in range(self.plan.cut)] + ["duplicate"] * self.plan.duplicate
        interval_ns = (close_ns - open_ns) // max(1, len(kinds)) if close_ns > open_ns else SECOND_NS
        self._due = [(open_ns + index * interval_ns + interval_ns // 2, kind) for index, kind in enumerate(kinds)]
        self._stall_from_ns = open_ns

    def due(self, now_ns: int) -> str:
        """The fault to apply now, '' for none; it is taken off the plan."""
        if not self._due or now_ns < self._due[0][0]:
            return ""
        return self._due.pop(0)[1]

    def login_refusal(self) -> str:
        """The reject reason code of the next login, '' once they are used up."""
        return self._logins.pop(0) if self._logins else ""

    def refuses_cancel(self) -> bool:
        """Whether the cancel that has just come is refused."""
        self._refusals -= 1
        return self._refusals >= 0

    def note_cancel(self, now_ns: int) -> None:
        """A cancel has come: the silence begins, if it is planned and was not there yet."""
        if self.plan.mute_ms and self._mute_until_ns == 0:
            self._mute_until_ns = now_ns + self.plan.mute_ms * MILLISECOND_NS

    def is_mute(self, now_ns: int) -> bool:
        """Whether nothing is read and nothing is said now."""
        return now_ns < self._mute_until_ns

    def is_stalled(self, now_ns: int) -> bool:
        """Whether nothing is read now."""
        stall_ns = self.plan.stall_ms * MILLISECOND_NS
        if stall_ns == 0 or self._stall_from_ns == 0 or now_ns < self._stall_from_ns:
            return False
        return (now_ns - self._stall_from_ns) % max(SECOND_NS, 2 * stall_ns) >= max(SECOND_NS, 2 * stall_ns) - stall_ns
