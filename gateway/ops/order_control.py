"""What control does about orders while core trades: the drop copy, orders without an answer, orders found, comparison.

    Supervisor.tick ─► OrderControl.tick ─┬─ drop_copy.py              reads
                                          ├─ order_resolution.py       UNKNOWN ─► control_core
                                          ├─ found orders              cancelled, or left to their strategy
                                          └─ order_reconciliation.py   ours against the venue's

Hard rule: control writes neither a row of our own orders nor a position; core does, when a ring tells it.
"""

from typing import Any

from gateway import clock
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops.control_orders import Templates, control_orders
from gateway.ops.control_record import Cause
from gateway.ops.drop_copy import drop_copy_of
from gateway.ops.log import Log
from gateway.ops.order_reconciliation import OrderReconciliation
from gateway.ops.order_resolution import Resolution
from gateway.ops.own_orders import found_orders


class OrderControl:
    """One instance's; `tick` does a bounded amount of work and never blocks."""

    def __init__(self, instance: Instance, configuration: Configuration, frames: Templates, log: Log | None = None):
        self.instance, self.configuration, self.frames = instance, configuration, frames
        self.copy = drop_copy_of(configuration)
        self.resolution = Resolution(instance, configuration, frames, self.copy, log)
        self.reconciliation = OrderReconciliation(instance, configuration, self.copy, log)
        self._state: Any = instance.regions["reconciliation"].view("reconciliation_state")[0]
        self._connection = 0
        self._cancelled: set[int] = set()
        if self.copy is None and configuration.orders.carriage != "udp":
            text = "no orders.drop_copy: orders without an answer are flagged, positions are not held against the venue's"
            (log or Log("run")).warning("no_drop_copy", text)

    def tick(self) -> None:
        """One turn of everything."""
        now_ns = clock.monotonic_ns()
        if self.copy is not None:
            self.copy.poll(now_ns)
        self._settle_found()
        self.resolution.tick(now_ns)
        self.reconciliation.tick(now_ns)

    def close(self) -> None:
        """Logs the drop copy out."""
        if self.copy is not None:
            self.copy.close()

    def _settle_found(self) -> None:
        """Orders of a run before this one, behind every replay: cancelled on each new connection, or counted."""
        connection = int(self.instance.control[0]["session_connection"])
        if connection == 0:
            return
        if connection != self._connection:
            self._connection = connection
            self._cancelled.clear()
        found = set(found_orders(self.instance)) - self._cancelled
        if not found:
            return
        self._cancelled |= found if self.configuration.reconciliation.found == "adopt" else self._cancel(found)
        self._state["found"] = max(int(self._state["found"]), len(self._cancelled))

    def _cancel(self, references: set[int]) -> set[int]:
        """Sends a cancel for each; returns those that found room in the ring."""
        sent = set()
        with control_orders(self.instance, self.frames, self.configuration.state_folder, Cause("found")) as orders:
            for reference in sorted(references):
                if not orders.cancel(reference):
                    break
                sent.add(reference)
        return sent
