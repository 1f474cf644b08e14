"""What follows the latch, in order: cancel, verify, close positions, verify, report.

    cancelling.py ── 5 s ──► confirmed? ──► flatten.py ── both go on ──► flat and nothing open, or the time is over
                                 no: goes on beside it                       └─► every residual by name

Hard rule: it ends by `[kill] seconds` from the latch, whatever does not answer, and says of nothing that it is done
unless somebody who hears the venue says so.
"""

import time

from gateway import clock
from gateway.config import Configuration
from gateway.core.orders import open_references
from gateway.instance import Instance
from gateway.ops.appliance import order_frames
from gateway.ops.cancelling import CONFIRM_SECONDS, POLL_SECONDS, Cancelling, wait_until_taken
from gateway.ops.control_orders import ControlOrders, Templates, control_orders, waiting_in
from gateway.ops.flatten import Flattener
from gateway.ops.kill_report import KillReport, Residual
from gateway.ops.limit_block import deny_new_risk
from gateway.ops.rescue import has_run, is_silent, working_sender
from gateway.ops.touch import Prices
from gateway.ops.venue_truth import TableTruth, Truth, core_is_alive, venue_truth

LOOK_SECONDS = 1.0  # for the venue's account, where no sender ever ran
TAKEN_SECONDS = 1.0  # for the sender to take the last cancels
LAST_LOOK_SECONDS = 0.5  # of the whole time, kept for the verification of positions
COUNTERS = {"PROCESS_IO": "counters", "PROCESS_SESSION": "session_counters"}  # region of who sends


class Sequence:
    """One kill behind its latch; `run` fills the report."""

    def __init__(self, instance: Instance, configuration: Configuration, report: KillReport, began: float, deadline: float):
        self.instance, self.configuration, self.report = instance, configuration, report
        self.began, self.deadline = began, deadline
        self.frames: Templates = order_frames(configuration)
        self.venue, report.drop_copy_problem = venue_truth(configuration, clock.monotonic_ns)
        self.table = TableTruth(instance)

    def run(self) -> None:
        """Everything, with a sender that works or with none to be had."""
        report, process = self.report, self.frames.process
        if report.flatten:
            deny_new_risk(self.instance)  # a strategy's own reductions too: two who close one position turn it around
        for _ in range(0 if self._is_idle() else 2):  # the sender may fall silent on the way
            report.io_replaced |= is_silent(self.instance, process) and has_run(self.instance, process)
            with working_sender(self.instance, process, self.deadline - time.monotonic()):
                self._work()
            report.cancels_waiting = waiting_in(self.instance, self.frames.control_ring)
            if report.clean or not is_silent(self.instance, process) or time.monotonic() > self.deadline:
                break
        sender = self.instance.regions[COUNTERS[process]].view("counters")[0]["io"]
        report.orders_blocked = int(sender["orders_blocked_kill"])
        report.took_ms = self._milliseconds()
        if self.venue is not None:
            self.venue.drop_copy.close()

    def _milliseconds(self) -> int:
        return round((time.monotonic() - self.began) * 1000)

    def _is_idle(self) -> bool:
        """Nothing is open and nothing held: by our table where nobody else can be asked; by the venue's account too of an
        appliance that is still starting, and has sent nothing."""
        report = self.report
        if open_references(self.instance.rows("orders")) or self.table.positions():
            return False
        if self.venue is not None:
            if has_run(self.instance, self.frames.process) or not self.venue.drop_copy.connect(LOOK_SECONDS):
                return False
            if self.venue.open_orders() or self.venue.positions():
                return False
        report.core_alive = core_is_alive(self.instance)
        truth: Truth = self.venue or self.table
        report.confirmed, report.verified_by, report.positions_verified = True, truth.name, truth.current
        report.closed_after_ms = report.flat_after_ms = self._milliseconds()
        return True

    def truth(self) -> Truth | None:
        """The venue's account where it is current, else our table where that is, else nobody."""
        if self.venue is not None:
            self.venue.refresh()
            if self.venue.current:
                return self.venue
        return self.table if self.table.current else None

    def may_send(self) -> str:
        """Why an order would not leave at once; '' when it would."""
        if is_silent(self.instance, self.frames.process):
            return "nothing takes orders to the venue: io, or the order session, is silent"
        over_tcp = self.frames.process == "PROCESS_SESSION"
        return "the order session is down" if over_tcp and not self.instance.control[0]["session_connection"] else ""

    def _work(self) -> None:
        report = self.report
        end = self.deadline - LAST_LOOK_SECONDS
        with control_orders(self.instance, self.frames) as ring:
            cancelling = Cancelling(self.instance, report, ring, self.venue)
            cancelling.run(min(CONFIRM_SECONDS, end - time.monotonic()))
            self._note_closed()
            prices, kill = Prices(self.instance), self.configuration.kill
            flattener = Flattener(ring, prices, kill, self.truth, self.may_send, end)
            self._close_positions(ring, cancelling, flattener, end)
            report.flatten_orders += flattener.sent
        wait_until_taken(self.instance, self.frames, min(TAKEN_SECONDS, end - time.monotonic()), lambda: None)
        self._verify(flattener)

    def _note_closed(self) -> None:
        if self.report.confirmed and self.report.closed_after_ms < 0:
            self.report.closed_after_ms = self._milliseconds()

    def _close_positions(self, ring: ControlOrders, cancelling: Cancelling, flattener: Flattener, end: float) -> None:
        """Until all is flat and nothing is open, or the time is over; what is open is cancelled again meanwhile."""
        report = self.report
        report.positions_before = report.positions_before or (self.truth() or self.table).positions()
        while True:
            flat = not report.flatten or flattener.turn()
            if not report.confirmed:
                cancelling.turn()
                self._note_closed()
            if time.monotonic() >= end or (flat and report.confirmed) or (self.venue is None and self.truth() is None):
                return
            time.sleep(POLL_SECONDS)

    # ---- the end -------------------------------------------------------------------------------------------------

    def _verify(self, flattener: Flattener) -> None:
        """Positions by whoever is current, and every residual with its reason."""
        report = self.report
        if self.venue is not None and not self.venue.current:
            self.venue.drop_copy.connect(LAST_LOOK_SECONDS)
        truth = self.truth()
        report.positions_after = (truth or self.table).positions()
        report.positions_verified = truth is not None
        if truth is not None and not report.positions_after and report.flat_after_ms < 0:
            report.flat_after_ms = self._milliseconds()
        report.residuals = [*self._open_residuals(truth), *self._position_residuals(truth, flattener)]

    def _open_residuals(self, truth: Truth | None) -> list[Residual]:
        if self.report.confirmed:
            return []
        why = "nobody here hears the venue: look there" if truth is None else "the venue has not confirmed the cancel"
        if truth is not None and truth.complete:
            why = "the venue has it open and does not cancel it"
        rows = {order.reference: order for order in (truth or self.table).open_orders()}
        found = [Residual(row.symbol, row.quantity, why, row.reference, row.side) for row in rows.values()]
        if truth is not None and truth.complete:
            ours = [row for row in self.table.open_orders() if not truth.is_known(row.reference)]
            unheard = "sent before the latch, and the venue has not spoken of it"
            found += [Residual(row.symbol, row.quantity, unheard, row.reference, row.side) for row in ours]
        return found

    def _position_residuals(self, truth: Truth | None, flattener: Flattener) -> list[Residual]:
        report = self.report
        if not report.flatten:
            return []
        unsure = "as we last knew it: the venue does not answer"
        if self.venue is None:
            unsure = "as we last knew it: core is silent, and there is no drop copy"
        rows = report.positions_after.items()
        return [Residual(name, held, unsure if truth is None else flattener.why(name)) for name, held in rows]
