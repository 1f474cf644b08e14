"""Holds our account against the venue's, again and again: open orders and positions, ours against the drop copy's.

    every_s ─► renew the drop copy ─► both have heard the same number of reports ─► compare ─┬─ equal: clean
                                                                                             └─ confirm_ms later, again

Both sides count the messages of one sequenced stream, so equal counts mean equal knowledge, also in a busy market.
Hard rule: a difference is believed when two looks, a second apart, both find it; then it is counted, said, and handed to
whoever registered in `observers`. Nothing here changes a position.
"""

from collections.abc import Callable
from typing import Any

from gateway import clock
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops.drop_copy import DropCopy
from gateway.ops.log import Log
from gateway.ops.own_orders import differences, listed

MILLISECOND_NS, SECOND_NS = 1_000_000, 1_000_000_000
PATIENCE_NS = 5_000_000_000  # for equal counts; then, where core stands still, the count itself is a difference
MOMENT_NS = 5_000_000  # of one turn of control
SAID_MAX = 10
Observer = Callable[[dict[str, str]], None]


class OrderReconciliation:
    """Comparisons of one instance; `tick` never blocks. `believed` is what the last one found, {} where all agrees."""

    def __init__(self, instance: Instance, configuration: Configuration, copy: DropCopy | None, log: Log | None = None):
        self.log = log or Log("run")
        asked = configuration.reconciliation
        self.instance, self.copy = instance, copy
        self.state: Any = instance.regions["reconciliation"].view("reconciliation_state")[0]
        self.carried = dict(configuration.portfolio.positions)
        self.observers: list[Observer] = []
        self.believed: dict[str, str] = {}
        self._every_ns, self._confirm_ns = asked.every_s * SECOND_NS, asked.confirm_ms * MILLISECOND_NS
        self._due_ns = 0
        self._began_ns = -1  # of the look that is under way; -1: none is
        self._suspected: dict[str, str] | None = None
        self._heard, self._named = 0, listed(instance)  # when the look began: reports core had heard, instruments named

    def ask(self) -> None:
        """The next comparison is due now."""
        self._due_ns = 0

    def tick(self, now_ns: int) -> None:
        """Compares when it is time to; `now_ns` by any monotonic clock."""
        copy = self.copy
        if copy is None:
            return
        self.state["drop_copy"] = int(copy.current)
        if not int(self.instance.control[0]["session_connection"]) or now_ns < self._due_ns:
            return
        if self._began_ns < 0:
            self._began_ns = now_ns
            self._named = listed(self.instance)
            self._heard = int(self.instance.counters[0]["core"]["reports"])
            copy.renew()
        elif copy.current:
            self._look(copy, now_ns)
        elif now_ns - self._began_ns > 2 * PATIENCE_NS:
            self._began_ns, self._due_ns = -1, now_ns + self._confirm_ns  # nobody to ask: tried again, nothing is concluded

    def _look(self, copy: DropCopy, now_ns: int) -> None:
        """Waits a moment for equal counts; in a busy market they are equal again and again, never for long."""
        core = self.instance.counters[0]["core"]
        until_ns = clock.monotonic_ns() + MOMENT_NS
        while clock.monotonic_ns() < until_ns:
            copy.poll(clock.monotonic_ns())
            heard = int(core["reports"])
            if heard == copy.account.messages:
                found = differences(self.instance, copy.account, self.carried, self._named)
                if int(core["reports"]) == heard:
                    self._began_ns = -1
                    self._conclude(found, now_ns)
                    return
        if now_ns - self._began_ns > PATIENCE_NS:
            self._began_ns, self._due_ns = -1, now_ns + self._confirm_ns
            if heard == self._heard and heard != copy.account.messages:  # core stands still, and not where the venue is
                self._conclude({"reports": f"ours {heard}, venue's {copy.account.messages}"}, now_ns)

    def _conclude(self, found: dict[str, str], now_ns: int) -> None:
        """A first difference is looked at again; one that stays is believed."""
        if found and self._suspected is None:
            self._suspected, self._due_ns = found, now_ns + self._confirm_ns
            return
        believed = {key: text for key, text in found.items() if key in (self._suspected or {})}
        self._suspected, self._due_ns = None, now_ns + self._every_ns
        news = believed != self.believed
        self.believed = believed
        self.state["reconciliations"] += 1
        self.state["mismatches"] += bool(believed)
        self.state["differences"] = len(believed)
        self.state["time_last_ns"] = clock.now_ns(self.instance.clock_address)
        if not believed:
            self.state["time_clean_ns"] = self.state["time_last_ns"]
        if believed and news:
            self._say(believed)
        for observer in self.observers:
            observer(believed)

    def _say(self, believed: dict[str, str]) -> None:
        for key, text in list(believed.items())[:SAID_MAX]:
            self.log.error("account_differs", f"{key} differs from the venue's drop copy: {text}", key=key)
        if len(believed) > SAID_MAX:
            self.log.error("account_differs", f"and {len(believed) - SAID_MAX} more differences", count=len(believed))
