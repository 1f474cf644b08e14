"""Finds out what became of orders without an answer, at the venue itself, and tells core by control_core.

    UNKNOWN ─► drop copy read to its end ─┬─ the venue works it ─────────────────────► WORKING
                                          ├─ its reference is past, and unknown there ► NEVER_ARRIVED
                                          └─ not yet past ─► Account Query behind it ─► answered: never arrived, or known

Why this is proof: the venue takes references in rising order only (OUCH 5.0, 1.2), so one that it has passed without a word
about it can never be taken; and one connection keeps its order, so a query stands behind every order sent before it.
Hard rule: without proof an order stays UNKNOWN and reserved. After `resolve_ms` it is flagged, loudly, for a person.
"""

from typing import Any, NamedTuple

import numpy as np

from gateway import clock, layout
from gateway.config import Configuration
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.instance import Instance, handle_address
from gateway.native import ffi
from gateway.ops.control_orders import Templates, control_orders
from gateway.ops.control_record import Cause
from gateway.ops.drop_copy import DropCopy
from gateway.ops.log import Log
from gateway.ops.own_orders import unknown_orders
from gateway.ops.summary import carrier_counters
from gateway.protocols import ouch50, soupbintcp
from gateway.protocols.ouch50_account import VenueAccount

MILLISECOND_NS = 1_000_000
ROUND_NS = 250_000_000  # between two questions to the venue
NEVER_ARRIVED, WORKING = layout.value("RESOLUTION_NEVER_ARRIVED"), layout.value("RESOLUTION_WORKING")
ASK, WAIT = layout.value("RESOLUTION_ASK"), 0


def finding(account: VenueAccount, row: np.void) -> int:
    """What the venue's account says of an order without an answer (dtype of struct order): NEVER_ARRIVED, WORKING,
    WAIT (a report of it is on its way to core), or ASK (the venue may still take it)."""
    reference = int(row["reference"])
    if row["venue_order_id"] != 0 or row["filled"] != 0:
        return WORKING if reference in account.open_orders else WAIT
    if account.knows(reference):
        return WAIT
    return NEVER_ARRIVED if account.is_past(reference) else ASK


class Query(NamedTuple):
    """An Account Query on its way: how many answers came before it, by which connection it went, behind which orders."""

    answers: int
    connection: int
    references: frozenset[int]


class Resolution:
    """Orders without an answer of one instance; `tick` never blocks."""

    def __init__(
        self,
        instance: Instance,
        configuration: Configuration,
        frames: Templates,
        copy: DropCopy | None,
        log: Log | None = None,
    ):
        self.instance, self.frames, self.copy = instance, frames, copy
        self.log = log or Log("run")
        self.state: Any = instance.regions["reconciliation"].view("reconciliation_state")[0]
        self._folder = configuration.state_folder
        self._limit_ns = configuration.reconciliation.resolve_ms * MILLISECOND_NS
        self._since_ns: dict[int, int] = {}
        self._flagged: set[int] = set()
        self._told: set[int] = set()
        self._next_ns = 0
        self._round: set[int] = set()  # what was UNKNOWN when the venue was asked for its end
        self._query: Query | None = None
        self._writer: Any = instance.writer("control_core")

    def tick(self, now_ns: int) -> None:
        """Looks at the orders without an answer; `now_ns` by any monotonic clock."""
        rows = unknown_orders(self.instance)
        references = {int(row["reference"]) for row in rows}
        self._since_ns = {reference: self._since_ns.get(reference, now_ns) for reference in references}
        self._told &= references
        self._flag(now_ns)
        if not references:
            self._round, self._query = set(), None
            return
        if self.copy is None or now_ns < self._next_ns:
            return
        if not self._round & references:
            self._round = references
            self.copy.renew()
        elif self.copy.current:
            self._judge(self.copy, rows, now_ns)

    def _flag(self, now_ns: int) -> None:
        """Whatever nobody could decide in time is said once."""
        late = {reference for reference, since_ns in self._since_ns.items() if now_ns - since_ns > self._limit_ns}
        for reference in sorted(late - self._flagged):
            why = "there is no drop copy to ask" if self.copy is None else "the venue's drop copy does not decide it"
            text = f"order {reference} is UNKNOWN and {why}; it stays reserved: ask the venue, then restart the appliance"
            self.log.error("order_unknown", text, reference=reference)
            self.state["flagged"] += 1
        self._flagged |= late

    def _judge(self, copy: DropCopy, rows: np.ndarray, now_ns: int) -> None:
        """The drop copy holds everything up to a moment behind the last answer that is missing."""
        known = [row for row in rows if int(row["reference"]) in self._round]
        asked = {int(row["reference"]) for row in known if not self._decide(copy, row)}
        self._next_ns, self._round = now_ns + ROUND_NS, set()
        connection = int(self.instance.control[0]["session_connection"])
        query = self._query
        if query is not None and (query.connection != connection or query.answers < copy.account.answers):
            if query.connection == connection:
                for reference in asked & query.references:
                    self._tell(NEVER_ARRIVED, reference)
            self._query = None
        elif query is None and asked and connection and self._transmitted() >= max(asked) and self._ask():
            self._query = Query(copy.account.answers, connection, frozenset(asked))

    def _decide(self, copy: DropCopy, row: np.void) -> bool:
        """Whether nothing has to be asked about an order: core was told, or a report of it is on its way."""
        reference = int(row["reference"])
        verdict = finding(copy.account, row)
        if verdict in (NEVER_ARRIVED, WORKING):
            self._tell(verdict, reference)
        return verdict != ASK

    def _transmitted(self) -> int:
        """The highest reference that was handed to a connection."""
        return int(carrier_counters(self.instance)["io"]["reference_transmitted"])

    def _ask(self) -> bool:
        """An Account Query behind every order that was handed to the connection; False while there is no room."""
        packet = soupbintcp.encode(soupbintcp.UNSEQUENCED, ouch50.encode("AccountQuery"))
        with control_orders(self.instance, self.frames, self._folder, Cause("question")) as orders:
            return orders.other(packet)

    def _tell(self, kind: int, reference: int) -> None:
        """One record of control_core; told once, until the order is no longer UNKNOWN."""
        if reference in self._told:
            return
        slot = ffi.new("struct resolution_slot *")
        slot.kind, slot.reference = kind, reference
        slot.time_ns = clock.now_ns(self.instance.clock_address)
        nothing = np.zeros(1, dtype=np.uint8)
        size = layout.size("resolution_slot")
        if ring.put(handle_address(self._writer), handle_address(slot), size, address_of(nothing), 0):
            self._told.add(reference)
            self.state["resolved"] += 1
