"""Cancels everything that is open, and finds out whether it worked: the second step of a kill, and the last of a stop.

    every order we know of, every order the venue knows of ─► cancel ─► … ─► mass cancel: the door is shut behind them
    nothing is open: said by the venue's account after it has answered the mass cancel, else by our table

Hard rule: `confirmed` needs somebody who hears the venue. What the venue has not received when it answers a mass cancel it
never takes: references only rise (OUCH 5.0, 1.2).
"""

import time
from collections.abc import Callable
from pathlib import Path

from gateway.core.orders import open_references
from gateway.instance import Instance
from gateway.ops.control_orders import ControlOrders, Templates, control_orders, waiting_in
from gateway.ops.control_record import Cause
from gateway.ops.kill_report import KillReport
from gateway.ops.venue_truth import TableTruth, VenueTruth, core_is_alive

CONFIRM_SECONDS = 5.0  # cancels are out and confirmed within this, or named
AGAIN_SECONDS = 1.0  # an unanswered mass cancel is said again
POLL_SECONDS = 0.005


class Cancelling:
    """`turn` does a bounded amount of work; a new connection is asked anew: what the one before took may be gone with it."""

    def __init__(self, instance: Instance, report: KillReport, ring: ControlOrders, venue: VenueTruth | None = None):
        self.instance, self.report, self.ring, self.venue = instance, report, ring, venue
        self.table = TableTruth(instance)
        self.asked: set[int] = set()
        self._connection = int(instance.control[0]["session_connection"])
        self._fences: list[int] = []  # references of mass cancels on this connection
        self._fence_due = 0.0
        self._renewed = False

    def turn(self, final: bool = False) -> bool:
        """Whether everything is confirmed closed. `final`: our table is believed where the venue's account is not there."""
        report = self.report
        self._follow_connection()
        references = self._open()
        report.open_before = max(report.open_before, len(references))
        for reference in references:
            if reference not in self.asked and self.ring.cancel(reference):
                self.asked.add(reference)
        self._fence(references)
        report.still_open, report.core_alive = references, core_is_alive(self.instance)
        report.cancels_sent = max(report.cancels_sent, len(self.asked))
        report.cancels_unsent = len(set(references) - self.asked)
        report.confirmed = self._confirmed(references, final)
        return report.confirmed

    @property
    def hopeless(self) -> bool:
        """Every cancel is out, and nobody is there who could confirm them."""
        report = self.report
        return self.venue is None and not report.core_alive and self.asked.issuperset(report.still_open)

    def run(self, seconds: float, waiting: Callable[[], None] = lambda: None) -> bool:
        """Turns until confirmed, hopeless, or the time is over; `waiting` is called meanwhile."""
        deadline = time.monotonic() + seconds
        while not self.turn():
            if self.hopeless or time.monotonic() > deadline:
                return self.turn(final=True)
            waiting()
            time.sleep(POLL_SECONDS)
        return True

    def _follow_connection(self) -> None:
        now = int(self.instance.control[0]["session_connection"])
        if now not in (0, self._connection):
            self._connection, self._fence_due = now, 0.0
            self.asked.clear()
            self._fences.clear()

    def _open(self) -> list[int]:
        """By our table and by the venue's account, which is the one to believe about what it has heard of."""
        ours = set(open_references(self.instance.rows("orders"))) - self.ring.reductions
        if self.venue is None:
            return sorted(ours)
        self.venue.refresh()
        if not self.venue.current:
            return sorted(ours)
        theirs = {order.reference for order in self.venue.open_orders()} - self.ring.reductions
        return sorted(theirs | {reference for reference in ours if not self.venue.is_known(reference)})

    def _fence(self, references: list[int]) -> None:
        """A mass cancel behind the cancels; again while it is not answered, or something stays open all the same."""
        up = bool(self.instance.control[0]["session_connection"])
        if self.venue is None or not up or not self.asked.issuperset(references) or time.monotonic() < self._fence_due:
            return
        if self._fenced() and not references:
            return
        if reference := self.ring.mass_cancel(above=self.venue.reference_max()):
            self._fences.append(reference)
            self.report.mass_cancels_sent += 1
            self._fence_due = time.monotonic() + AGAIN_SECONDS

    def _fenced(self) -> bool:
        return self.venue is not None and any(self.venue.is_known(reference) for reference in self._fences)

    def _confirmed(self, references: list[int], final: bool) -> bool:
        report = self.report
        if self.venue is not None and self.venue.current:
            report.verified_by = self.venue.name
            return not references and (self._fenced() or self._asked_anew())
        report.verified_by = self.table.name
        return not references and (self.venue is None or (final and self.table.current))

    def _asked_anew(self) -> bool:
        """Without a session nothing of ours can arrive: the venue's account, read to its end once more, is final."""
        if self.venue is None or self.instance.control[0]["session_connection"]:
            return False
        if not self._renewed:
            self._renewed = True
            self.venue.drop_copy.renew()
        return self.venue.current


def cancel_all(instance: Instance, frames: Templates, state: Path, seconds: float, waiting: Callable[[], None]) -> None:
    """Cancels every open order of our table, as an orderly stop does; `waiting` is called meanwhile."""
    with control_orders(instance, frames, state, Cause("stop")) as ring:
        Cancelling(instance, KillReport(), ring).run(seconds, waiting)
    wait_until_taken(instance, frames, seconds, waiting)


def wait_until_taken(instance: Instance, frames: Templates, seconds: float, waiting: Callable[[], None]) -> None:
    """Until the sender has taken every record off its ring, or the time is over."""
    deadline = time.monotonic() + seconds
    while waiting_in(instance, frames.control_ring) > 0 and time.monotonic() < deadline:
        waiting()
        time.sleep(POLL_SECONDS)
