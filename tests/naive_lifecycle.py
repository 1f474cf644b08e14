"""The life of our own orders in plain Python: what core's table must say after the same sends, reports and losses.

One dictionary of orders, one of positions; no lists, no hashes, no reservations that could drift: sums are made anew.
"""

from dataclasses import dataclass, field
from typing import Any

from gateway.protocols import ouch50
from tests.random_venue import read

LIVE = ("SENT", "ACCEPTED", "PARTIAL", "CANCELLING", "UNKNOWN")


@dataclass
class Order:
    """One order of ours."""

    symbol: str
    side: str
    quantity: int
    open: int
    state: str = "SENT"
    filled: int = 0
    heard: bool = False
    given_up: bool = False
    stamp: int = 0
    time_ns: int = 0

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def end(self, state: str, now_ns: int) -> None:
        self.open, self.state, self.time_ns = 0, state, now_ns

    def resume(self, now_ns: int) -> None:
        """The state the facts speak for."""
        self.time_ns = now_ns
        self.state = ("PARTIAL" if self.filled else "ACCEPTED") if self.heard else "SENT"
        if self.open == 0:
            self.state = "FILLED" if self.filled else "CANCELLED"


@dataclass
class Lifecycle:
    """Every order of ours, and what the fills add up to."""

    orders: dict[int, Order] = field(default_factory=dict)
    fills: dict[tuple[int, int], int] = field(default_factory=dict)  # quantity; 0: broken again
    positions: dict[str, int] = field(default_factory=dict)
    next_reference: int = 1
    unknown: int = 0
    adopted: int = 0
    now_ns: int = 0

    # ---- what we do ------------------------------------------------------------------------------------------------

    def send(self, reference: int, symbol: str, side: str, quantity: int, now_ns: int) -> None:
        self.orders[reference] = Order(symbol, side, quantity, quantity, time_ns=now_ns)

    def cancel(self, reference: int, now_ns: int) -> None:
        order = self.orders[reference]
        order.time_ns = order.time_ns if order.state == "CANCELLING" else now_ns
        order.state = "CANCELLING"

    def age(self, now_ns: int, limit_ns: int) -> None:
        for order in self.orders.values():
            if order.state in ("SENT", "CANCELLING") and now_ns - order.time_ns >= limit_ns:
                order.state = "UNKNOWN"
                self.unknown += 1

    def resolve(self, never_arrived: bool, reference: int, now_ns: int) -> None:
        order = self.orders[reference]
        assert order.state == "UNKNOWN"
        if never_arrived:
            assert not order.heard and not order.filled
            order.end("REJECTED", now_ns)
            order.given_up = True
        else:
            order.resume(now_ns)

    def up(self, first: int, last: int, now_ns: int) -> None:
        """A connection is up: what the venue has not seen went down with the one before."""
        for reference, order in self.orders.items():
            unheard = not order.heard and not order.filled
            if not order.live:
                continue
            if first <= reference <= last and unheard:
                order.end("REJECTED", now_ns)
                order.given_up = True
            elif order.state == "CANCELLING" or (order.state == "UNKNOWN" and not unheard):
                order.resume(now_ns)
        self.next_reference = max(self.next_reference, first)

    # ---- what the venue says -----------------------------------------------------------------------------------------

    def report(self, message: bytes, now_ns: int) -> None:
        """One message, in the venue's order, each once."""
        said: dict[str, Any] = read(message, ouch50.OUTBOUND)
        name = said["message"].replace(" ", "")
        if "user_ref_num" not in said:
            return
        reference = said["user_ref_num"]
        if name in ("OrderAccepted", "OrderReplaced"):
            self.adopt(reference, said, now_ns)
        order = self.orders.get(reference)
        if order is None:
            assert name == "Rejected", f"{name} of {reference}"
            return  # of a run before this one: it moved nothing then, and moves nothing now
        self.now_ns = now_ns
        getattr(self, name)(reference, order, said)

    def adopt(self, reference: int, said: dict[str, Any], now_ns: int) -> None:
        known = self.orders.get(reference)
        if known is not None and not (known.given_up and not known.heard):
            return
        side = "buy" if said["side"] == "B" else "sell"
        self.orders[reference] = Order(said["symbol"], side, said["quantity"], said["quantity"], time_ns=now_ns)
        self.next_reference = max(self.next_reference, reference + 1)
        self.adopted += 1

    def OrderAccepted(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        if order.heard or not order.live:
            return
        order.heard, order.quantity = True, said["quantity"]
        if said["order_state"] == "D":
            order.end("CANCELLED", self.now_ns)
        else:
            self.opened(order, said["quantity"] - order.filled)

    def OrderReplaced(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        if order.heard or not order.live:
            return
        order.heard = True
        old = self.orders.get(said["orig_user_ref_num"])
        if old is not None and old.live:
            old.end("CANCELLED", self.now_ns)
        self.opened(order, said["quantity"] - order.filled)

    def opened(self, order: Order, quantity: int) -> None:
        order.open = max(quantity, 0)
        if order.state != "CANCELLING" or quantity <= 0:
            order.resume(self.now_ns)

    def OrderExecuted(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        key, quantity = (said["match_number"], reference), said["quantity"]
        if key in self.fills:
            return
        self.fills[key] = quantity
        was_live, left = order.live, order.open
        order.filled += quantity
        order.time_ns = self.now_ns
        order.open -= min(quantity, left)
        self.move(order, quantity)
        if was_live and quantity >= left:
            order.state = "FILLED"
        elif was_live and order.state != "CANCELLING":
            order.state = "PARTIAL"

    def OrderCanceled(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        if not order.live or (said["timestamp"] and said["timestamp"] == order.stamp):
            return
        order.stamp = said["timestamp"]
        if said["quantity"] >= order.open:
            order.end("CANCELLED", self.now_ns)
        else:
            order.open -= said["quantity"]
            order.resume(self.now_ns)

    def Rejected(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        if order.live:
            order.end("REJECTED", self.now_ns)

    def CancelReject(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        if order.state in ("CANCELLING", "UNKNOWN"):
            order.resume(self.now_ns)

    def BrokenTrade(self, reference: int, order: Order, said: dict[str, Any]) -> None:
        key = (said["match_number"], reference)
        quantity = self.fills.get(key, 0)
        self.fills[key] = 0
        order.filled -= quantity
        order.time_ns = self.now_ns
        self.move(order, -quantity)

    def move(self, order: Order, quantity: int) -> None:
        held = self.positions.get(order.symbol, 0) + (quantity if order.side == "buy" else -quantity)
        self.positions[order.symbol] = held

    # ---- what is compared --------------------------------------------------------------------------------------------

    def reserved(self, symbol: str, side: str) -> int:
        return sum(order.open for order in self.orders.values() if (order.symbol, order.side) == (symbol, side))
