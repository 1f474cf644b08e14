"""Requests to a venue from one address, over all processes of this host: who may ask now, and who waits.

    acquire(NEW, weight) ─► lock ─► ban? ─► bucket ─► row ─► Answer(granted, wait_ns, reason)
    the venue's answer ─► used_weight, retry_after ─► the same row: tighter bucket, ban

Hard rule: no request during a ban, not even a cancel, and a ban outlives every process. Where the table is out of order
only cancels and kills go out, and it is said.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.config import Configuration
from gateway.ops.budget_table import BudgetTable, TableFault
from gateway.ops.log import Log
from gateway.ops.token_bucket import Priority, Terms, take, terms_of, tighten

SECOND_NS = 1_000_000_000
BAN_DEFAULT_S = 60  # a venue that says "later" without saying when
BAN_LAST_S = 7 * 86_400
TOLD_NS = 10 * SECOND_NS  # between two lines about a table that is out of order
FILE = "requests"


@dataclass(frozen=True)
class Answer:
    """Whether a request may leave now; if not, why, and how long to wait at least (0: not known)."""

    granted: bool
    wait_ns: int = 0
    reason: str = ""


class RequestBudget:
    """One venue, one address. `clock_ns` is a wall clock: a ban is a moment of the world, not of a process."""

    def __init__(
        self,
        path: Path,
        venue: str,
        address: str,
        terms: Terms,
        clock_ns: Callable[[], int],
        tell: Callable[[str], None],
    ):
        self.terms = terms
        self.faults = 0  # requests that met a table out of order
        self._table = BudgetTable(path, f"{venue} {address}")
        self._clock_ns, self._tell = clock_ns, tell
        self._told_ns = -TOLD_NS
        self._ban_until_ns = 0  # as this process has seen it, for when the table no longer says

    def acquire(self, priority: Priority, weight: int = 1) -> Answer:
        """Asks for one request of `weight`; a cancel of an impossible weight costs the whole burst, others are refused."""
        possible = type(weight) is int and 0 < weight <= self.terms.burst
        if not possible and priority is not Priority.CANCEL:
            return Answer(False, 0, "weight")
        try:
            with self._table.row() as row:
                now_ns = self._clock_ns()
                self._ban_until_ns = row.ban_until_ns = max(row.ban_until_ns, self._ban_until_ns)
                if now_ns < row.ban_until_ns:
                    row.denied += 1
                    return Answer(False, row.ban_until_ns - now_ns, "ban")
                charged = weight if possible else self.terms.burst
                granted, row.used_ns, wait_ns = take(self.terms, row.used_ns, priority, charged, now_ns)
                row.granted, row.denied = row.granted + granted, row.denied + (not granted)
                return Answer(granted, wait_ns, "" if granted else "budget")
        except TableFault as fault:
            self._say(fault)
            wait_ns = max(self._ban_until_ns - self._clock_ns(), 0)
            return Answer(priority is Priority.CANCEL and wait_ns == 0, wait_ns, "ban" if wait_ns else "table")

    def used_weight(self, used: object, allowed: int) -> None:
        """The venue's header: `used` of `allowed` in its running minute. What cannot be read uses everything up."""
        left = allowed - used if type(used) is int and 0 <= used <= allowed else 0
        try:
            with self._table.row() as row:
                row.used_ns = tighten(self.terms, row.used_ns, left, self._clock_ns())
        except TableFault as fault:
            self._say(fault)

    def retry_after(self, seconds: object) -> None:
        """The venue's refusal (429, 418): nothing leaves for `seconds`; without a readable number for a minute."""
        text = str(seconds).strip()
        number = float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else math.nan
        wait_s = min(math.ceil(number), BAN_LAST_S) if 0 < number < math.inf else BAN_DEFAULT_S
        self._ban_until_ns = max(self._ban_until_ns, self._clock_ns() + wait_s * SECOND_NS)
        try:
            with self._table.row() as row:
                row.ban_until_ns = max(row.ban_until_ns, self._ban_until_ns)
        except TableFault as fault:
            self._say(fault)

    def banned_ns(self) -> int | None:
        """How long the ban still lasts, 0: there is none; None: the table does not say."""
        try:
            with self._table.row() as row:
                return max(row.ban_until_ns - self._clock_ns(), 0)
        except TableFault as fault:
            self._say(fault)
            return None

    def close(self) -> None:
        """Closes the table."""
        self._table.close()

    def _say(self, fault: TableFault) -> None:
        self.faults += 1
        now_ns = time.monotonic_ns()
        if now_ns - self._told_ns >= TOLD_NS or self.faults == 1:
            self._told_ns = now_ns
            self._tell(f"request budget: {fault}; only cancels leave; once no ban stands, remove that file")


def budget_of(configuration: Configuration, venue: str, address: str, log: Log) -> RequestBudget:
    """The budget that the configuration names, for one venue from one address of this host, with the caller's log."""
    budget = configuration.budget
    folder = Path(budget.folder).expanduser() if budget.folder else configuration.state_folder.parent / "budget"
    terms = terms_of(budget.per_minute, budget.burst, budget.cancel_percent, budget.reduce_percent)
    return RequestBudget(folder / FILE, venue, address, terms, time.time_ns, partial(log.warning, "request_budget"))
