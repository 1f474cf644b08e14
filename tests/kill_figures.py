"""What a kill looked like from the venue's side: arrivals by the kernel's stamp, the venue's log folded in plain Python."""

import time
from dataclasses import dataclass, field, replace

from gateway import clock
from gateway.instance import Instance
from gateway.ops.kill_drill import is_of_control
from gateway.protocols import ouch50
from gateway.protocols.ouch50_account import VenueAccount
from gateway.venues.simulator.order_faults import FaultClock
from gateway.venues.simulator.order_gateway import OrderGateway
from gateway.venues.simulator.order_settings import SessionFaults
from gateway.venues.simulator.process import VenueProcess
from tests.loopback_wire import LoopbackWire

DAY_NS = 86_400_000_000_000
STAMP_AT = ouch50.offsets_of("OrderExecuted").timestamp


@dataclass
class Figures:
    """One kill as the venue saw it; times in ms after the latch."""

    report: dict
    last_order_ms: float = 0.0  # arrival of the last new order, 0: none came after the latch
    orders_late: int = 0  # new orders more than 10 ms after the latch
    closed_ms: float = -1.0  # no order of the strategy is open any more
    flat_ms: float = -1.0
    open_orders: dict = field(default_factory=dict)
    positions: dict = field(default_factory=dict)
    turned: list = field(default_factory=list)  # executions of control's that did not make a position smaller


class VenueSide:
    """A venue in this process, and the appliance that trades with it."""

    venue: VenueProcess
    gateway: OrderGateway
    wire: LoopbackWire | None
    instance: Instance

    def account(self) -> VenueAccount:
        return VenueAccount().apply_all(list(self.gateway.log.messages))

    def ahead_ns(self) -> int:
        """By how much the venue's clock is ahead of the appliance's."""
        before = clock.now_ns(self.instance.clock_address)
        theirs = clock.now_ns(self.venue.instance.clock_address)
        return theirs - (before + clock.now_ns(self.instance.clock_address)) // 2

    def figures(self, report: dict, settle_seconds: float = 0.3) -> Figures:
        """Everything from the venue's side, once orders that left after the latch would have come."""
        time.sleep(settle_seconds)
        latched_ns = report["latched_ns"] + self.ahead_ns()
        found = Figures(report)
        spans = [(arrived_ns - latched_ns) / 1e6 for arrived_ns in self.orders_after(latched_ns)]
        found.last_order_ms, found.orders_late = max(spans, default=0.0), sum(span > 10 for span in spans)
        self._fold(found, latched_ns % DAY_NS)
        return found

    def orders_after(self, time_ns: int) -> list[int]:
        """When new orders of the strategy came in later than `time_ns`, both in the venue's time."""
        rows = [row for row in list(self.gateway.arrivals) if row.letter in "OU" and not is_of_control(row.client_order_id)]
        stamps = [self._arrived_ns(row) for row in rows if row.time_ns > time_ns]
        return [stamp for stamp in stamps if stamp > time_ns]

    def _arrived_ns(self, row) -> int:
        """When an order came in by the wire's own stamp, in the venue's time; by the socket's where nobody listens."""
        if self.wire is None or (row.letter, row.reference) not in self.wire.stamps:
            return row.time_ns
        now_ns, later_ns = clock.now_ns(self.venue.instance.clock_address), time.time_ns()
        return now_ns - (later_ns - self.wire.stamps[row.letter, row.reference])

    def _fold(self, found: Figures, latched_ns: int) -> None:
        account, before = VenueAccount(), {}
        for message in list(self.gateway.log.messages):
            account.apply(message)
            since = (int.from_bytes(message[STAMP_AT : STAMP_AT + 8], "big") - latched_ns) / 1e6
            reference = int.from_bytes(message[STAMP_AT + 8 : STAMP_AT + 12], "big")
            order = account.orders.get(reference)
            if message[:1] == b"E" and order is not None and is_of_control(order.client_order_id):
                was, now = before.get(order.symbol, 0), account.positions.get(order.symbol, 0)
                if abs(now) >= abs(was) or now * was < 0:
                    found.turned.append((order.symbol, was, now))
            if order is not None:
                before[order.symbol] = account.positions.get(order.symbol, 0)
            working = any(not is_of_control(row.client_order_id) for row in account.open_orders.values())
            found.closed_ms = -1.0 if working else max(0.0, since) if found.closed_ms < 0 else found.closed_ms
            found.flat_ms = -1.0 if account.positions else max(0.0, since) if found.flat_ms < 0 else found.flat_ms
        found.open_orders, found.positions = dict(account.open_orders), dict(account.positions)

    def keep_orders(self, keep: bool) -> None:
        """Whether the venue keeps open orders when a connection is lost."""
        self.gateway.settings = replace(self.gateway.settings, cancel_on_disconnect=not keep)

    def fail(self, **faults: int) -> None:
        """Faults of the order gateway from now on."""
        self.gateway.faults = FaultClock(SessionFaults(**faults))
