"""What an OUCH 5.0 account holds, folded from the venue's own reports in plain Python: orders, fills, positions.

Beside the corridor. It shares no code with core's table of orders, so that one can be held against the other: the drop copy
(gateway/ops/drop_copy.py), the naive twin of the tests, and a kill without core read the venue's truth from here.

Hard rule: `apply` never raises. What cannot be read is counted in `refused` and changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.protocols.message import ALPHA, CHARACTER
from gateway.protocols.ouch50 import BY_KEY, MESSAGES, OUTBOUND, size_of

BUY, SELL = "buy", "sell"
SIDES = {"B": BUY, "S": SELL, "T": SELL, "E": SELL}  # OUCH 5.0, 2.1: three ways to sell
DEAD = "D"  # 3.2, Order State: accepted and cancelled at once
ABOUT_ONE_ORDER = ("OrderExecuted", "OrderCanceled", "AIQCanceled", "BrokenTrade", "OrderPriorityUpdate", "OrderModified")


class Execution(NamedTuple):
    """One fill of one order of ours; prices count 1/10000."""

    symbol: str
    side: str
    price: int
    quantity: int


@dataclass
class VenueOrder:
    """One order as the venue knows it; `side` is "buy" or "sell", `open` what may still fill."""

    reference: int
    symbol: str
    side: str
    price: int
    quantity: int
    open: int
    filled: int
    client_order_id: str


class VenueAccount:
    """The account after every message that was applied; `positions` are those carried over from earlier days.

    orders           every order that was ever accepted, by reference;  open_orders: those with something left
    executions       by (match number, reference), broken trades taken out again
    rejected         references that the venue refused
    reference_max    the highest reference the venue has used up: it ignores everything up to it (1.2)
    next_reference   of the last Account Query Response, 0: none yet;  answers: how many came
    """

    def __init__(self, positions: Mapping[str, int] | None = None):
        self.orders: dict[int, VenueOrder] = {}
        self.open_orders: dict[int, VenueOrder] = {}
        self.positions: dict[str, int] = {symbol: held for symbol, held in (positions or {}).items() if held}
        self.executions: dict[tuple[int, int], Execution] = {}
        self.rejected: set[int] = set()
        self.reference_max = self.next_reference = self.answers = 0
        self.messages = 0
        self.refused: Counter[str] = Counter()  # by reason: message_length, message_unknown, message_field, …
        self._broken: set[tuple[int, int]] = set()
        self._cancelled: dict[int, int] = {}  # the venue's stamp of an order's last cancel report

    def apply(self, message: bytes) -> None:
        """One outbound message, in the venue's order; what it cannot read, or knows already, it counts."""
        self.messages += 1
        known = MESSAGES[OUTBOUND].get(chr(message[0])) if message else None
        if known is None or len(message) < size_of(known.key):
            self.refused["message_unknown" if message and known is None else "message_length"] += 1
            return
        fields = _fields(known.key, message)
        reason = self._take(known.key, fields)
        if reason:
            self.refused[reason] += 1

    def apply_all(self, messages: Iterable[bytes]) -> "VenueAccount":
        """Every message in order; returns itself."""
        for message in messages:
            self.apply(message)
        return self

    def knows(self, reference: int) -> bool:
        """Whether the venue took or refused this order."""
        return reference in self.orders or reference in self.rejected

    def is_past(self, reference: int) -> bool:
        """Whether the venue can never take this reference any more: it has used up one that is not lower."""
        return reference <= self.reference_max

    # ---- one message ---------------------------------------------------------------------------------------------

    def _take(self, key: str, fields: dict[str, Any]) -> str:
        """Why a message changes nothing, '' where it did or need not."""
        if key == "AccountQueryResponse":
            self.next_reference, self.answers = fields["next_user_ref_num"], self.answers + 1
            self.reference_max = max(self.reference_max, self.next_reference - 1)
            return ""
        if "user_ref_num" in fields and key not in ABOUT_ONE_ORDER:
            self.reference_max = max(self.reference_max, fields["user_ref_num"])
        if key in ("OrderAccepted", "OrderReplaced"):
            return self._on_working(key, fields)
        if key == "Rejected":
            self.rejected.add(fields["user_ref_num"])
            return ""
        if key not in ABOUT_ONE_ORDER:
            return ""
        order = self.orders.get(fields["user_ref_num"])
        return "report_unknown" if order is None else self._on_order(key, order, fields)

    def _on_working(self, key: str, fields: dict[str, Any]) -> str:
        """3.2 and 3.3: a new order, or one in the place of another, which is over with it."""
        reference, side = fields["user_ref_num"], SIDES.get(fields["side"])
        if side is None or reference == 0:
            return "message_field"
        if reference in self.orders:
            return "duplicate"
        if key == "OrderReplaced" and (old := self.orders.get(fields["orig_user_ref_num"])):
            self._leave(old, 0)
        open_quantity = 0 if fields["order_state"] == DEAD else fields["quantity"]
        terms = (fields["symbol"], side, fields["price"], fields["quantity"])
        self.orders[reference] = order = VenueOrder(reference, *terms, open_quantity, 0, fields["cl_ord_id"])
        self._leave(order, open_quantity)
        return ""

    def _leave(self, order: VenueOrder, open_quantity: int) -> None:
        """So much of an order is open now."""
        order.open = max(0, open_quantity)
        if order.open:
            self.open_orders[order.reference] = order
        else:
            self.open_orders.pop(order.reference, None)

    def _on_order(self, key: str, order: VenueOrder, fields: dict[str, Any]) -> str:
        if key == "OrderExecuted":
            return self._on_executed(order, fields)
        if key == "BrokenTrade":
            return self._on_broken(order, fields)
        if not order.open:
            return "duplicate"
        if key == "OrderPriorityUpdate":
            order.price = fields["price"]
        elif key == "OrderModified":
            self._leave(order, fields["quantity"])
        else:
            stamp = fields["timestamp"]
            if stamp and self._cancelled.get(order.reference) == stamp:
                return "duplicate"
            self._cancelled[order.reference] = stamp
            self._leave(order, order.open - fields["decrement_shares" if key == "AIQCanceled" else "quantity"])
        return ""

    def _on_executed(self, order: VenueOrder, fields: dict[str, Any]) -> str:
        """3.6. A fill of more than is open is a fact all the same."""
        key, quantity = (fields["match_number"], order.reference), fields["quantity"]
        if key in self.executions or key in self._broken:
            return "duplicate"
        if quantity == 0 or fields["price"] == 0:
            return "message_field"
        self.executions[key] = Execution(order.symbol, order.side, fields["price"], quantity)
        order.filled += quantity
        self._move(order.symbol, quantity if order.side == BUY else -quantity)
        over = quantity > order.open
        self._leave(order, order.open - quantity)
        return "quantity_excess" if over else ""

    def _on_broken(self, order: VenueOrder, fields: dict[str, Any]) -> str:
        """3.7: the trade is taken back, the order does not work again."""
        key = (fields["match_number"], order.reference)
        execution = self.executions.pop(key, None)
        if execution is None:
            return "duplicate" if key in self._broken else "report_unknown"
        self._broken.add(key)
        order.filled -= execution.quantity
        self._move(order.symbol, -execution.quantity if order.side == BUY else execution.quantity)
        return ""

    def _move(self, symbol: str, quantity: int) -> None:
        held = self.positions.get(symbol, 0) + quantity
        if held:
            self.positions[symbol] = held
        else:
            self.positions.pop(symbol, None)


def _fields(key: str, message: bytes) -> dict[str, Any]:
    """The fixed fields; numbers stay as they are on the wire, text that is no ASCII is read as Latin-1."""
    fields: dict[str, Any] = {}
    for field in BY_KEY[key].fields:
        data = message[field.offset : field.offset + field.size]
        text = field.kind in (ALPHA, CHARACTER)
        fields[field.name] = data.decode("latin-1").rstrip(" ") if text else int.from_bytes(data, "big")
    return fields
