"""When the source is asked to scan its books: once for all who wait, and by nobody faster than the interval allows.

    want ──► waiting ── due ──► source.request_scan() ── SCAN_BEGIN in the records ──► began: all who wait join it

Hard rule: one request serves everybody who waits for a scan that has not begun; who asks again and again, with or without
having fallen behind, costs core a scan an interval and no more.
"""

from collections.abc import Callable

from gateway import limits


class Scans:
    """Who waits for a scan, and since when the source has been asked."""

    def __init__(self, request: Callable[[], None]):
        self._request = request
        self.waiting: dict[int, int] = {}  # node → not asked for before this time
        self._causes: dict[int, tuple[int, int]] = {}  # node → (scans since it was whole, when it last had one asked for)
        self.asked_ns: int | None = None
        self.requests = 0

    def want(self, who: int, now_ns: int) -> None:
        """Somebody needs a scan that has not begun."""
        if who in self.waiting:
            return
        times, before_ns = self._causes.get(who, (0, now_ns - limits.LINK_SCAN_INTERVAL_NS))
        interval_ns = limits.LINK_SCAN_INTERVAL_NS << min(max(times - 1, 0), limits.LINK_SCAN_DOUBLINGS_MAX)
        self.waiting[who] = max(before_ns + interval_ns, now_ns)
        self._causes[who] = (times + 1, before_ns)
        self.ask(now_ns)

    def ask(self, now_ns: int) -> None:
        """Asks the source if somebody's time has come and nobody has asked, or if it never began."""
        due = [who for who, due_ns in self.waiting.items() if due_ns <= now_ns]
        if due and (self.asked_ns is None or now_ns - self.asked_ns >= limits.LINK_SCAN_ANSWER_NS):
            self._causes.update({who: (self._causes[who][0], now_ns) for who in due})
            self.asked_ns = now_ns
            self.requests += 1
            self._request()

    def began(self) -> list[int]:
        """A scan begins: everybody who waited for one."""
        who = list(self.waiting)
        self.waiting.clear()
        self.asked_ns = None
        return who

    def succeeded(self, who: int) -> None:
        """It is whole: what it asks for next waits for the plain interval at most."""
        if who in self._causes:
            self._causes[who] = (0, self._causes[who][1])

    def forget(self, who: int) -> None:
        """It waits no longer. When it last asked is kept: who gives a stream up and opens it anew is no faster for that."""
        self.waiting.pop(who, None)
        self.succeeded(who)

    def due_ns(self, now_ns: int) -> int | None:
        """When `ask` has something to do, None: nobody waits."""
        if not self.waiting:
            return None
        if self.asked_ns is not None:
            return self.asked_ns + limits.LINK_SCAN_ANSWER_NS
        return max(min(self.waiting.values()), now_ns)
