"""The gate and the order table as anyone would write them first: dicts, names, exact fractions. The oracle of ⑦ and ⑧."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

LARGEST = 2**31 - 1
SECOND_NS = 1_000_000_000
LIVE = {"SENT", "ACCEPTED", "PARTIAL", "CANCELLING", "UNKNOWN"}
NEW_KINDS = ("NEW", "REPLACE")


@dataclass
class NaiveOrder:
    """One own order."""

    reference: int
    instrument: int
    side: int
    price: int
    quantity: int
    open: int
    state: str = "SENT"
    filled: int = 0
    venue_order_id: int = 0
    cancel_stamps: list[int] = field(default_factory=list)


class NaiveGate:
    """The world a gate looks at, in dicts the test writes: `account`, `control`, `limits[i]`, `books[i]`."""

    def __init__(self, instruments: int, rows: int):
        self.instruments, self.rows = instruments, rows
        self.account = {"rate_per_second": 0, "rate_burst": 0, "reserve_percent": 0, "day_messages_max": 0}
        self.account.update(limits_version=0, session_lost=0, session_connection=0)
        self.control = {"kill_latch": 0, "epoch": 0, "lease_expires_ns": 0, "session_connection": 0}
        limits = ("permitted", "restricted", "limits_set", "tick", "lot", "quantity_max", "value_max", "position_max")
        book = ("bid_price", "bid_quantity", "ask_price", "ask_quantity", "last_price", "time_ns")
        flags = ("valid", "stale", "crossed", "fault", "quiet", "open", "named")
        self.limits = [dict.fromkeys((*limits, "collar_ppm", "stale_ns"), 0) for _ in range(instruments)]
        self.books = [dict.fromkeys((*book, *flags), 0) for _ in range(instruments)]
        self.position, self.cash = [0] * instruments, [0] * instruments
        self.epoch, self.halted = 0, False
        self.journal_room = self.ring_room = 1
        self.next_reference = 1
        self.orders: dict[int, NaiveOrder] = {}  # by row
        self.fills: dict[tuple[int, int], tuple[int, int]] = {}
        self.broken: set[tuple[int, int]] = set()
        self.busy_until_ns, self.day_messages = 0, 0

    # ---- the controls ------------------------------------------------------------------------------------------

    def reasons(self, kind: str, intent: dict, reference: int, now_ns: int) -> set[str]:
        """Names of the controls that refuse."""
        if kind not in NEW_KINDS:
            return self.cancel_reasons(kind, intent)
        known = intent["instrument"] < self.instruments
        number = intent["instrument"] if known else 0
        limits, book = self.limits[number], self.books[number]
        failed = {
            "KILL": self.control["kill_latch"] != 0,
            "FENCE": self.fenced(now_ns),
            "STATE": not known or self.account["limits_version"] % 2 == 1 or not self.tradable(limits, book),
            "STALE": not self.fresh(limits, book, now_ns),
            "PERM": intent["side"] not in (1, 2) or intent["time_in_force"] not in (0, 3),
            "QTY": not self.quantity_allowed(limits, intent["quantity"]),
            "PRICE": not self.price_allowed(limits, book, intent["price"]),
            "VALUE": not self.value_allowed(limits, intent["price"], intent["quantity"]),
            "POSITION": not self.position_allowed(limits, number, intent),
            "RATE": not self.rate_allowed(now_ns),
            "DISABLED": self.halted,
            "JOURNAL": self.journal_room <= 0,
            "RING": self.ring_room <= 0,
            "ORDERS": not self.row_free(reference) or (kind == "REPLACE" and not self.replaceable(intent)),
            "SESSION": self.account["session_lost"] != 0
            or self.account["session_connection"] != self.control["session_connection"],
        }
        return {name for name, fails in failed.items() if fails}

    def cancel_reasons(self, kind: str, intent: dict) -> set[str]:
        """A cancel needs a live order and a place in the ring."""
        failed = {
            "QTY": not 0 <= intent["quantity"] <= LARGEST,
            "RING": self.ring_room <= 0,
            "ORDERS": kind == "CANCEL" and self.live(intent["order_reference"]) is None,
            "STATE": kind == "MASS_CANCEL" and intent["instrument"] >= self.instruments,
        }
        return {name for name, fails in failed.items() if fails}

    def fenced(self, now_ns: int) -> bool:
        lease_ns = self.control["lease_expires_ns"]
        return self.epoch < 1 or self.control["epoch"] != self.epoch or (lease_ns != 0 and now_ns >= lease_ns)

    def tradable(self, limits: dict, book: dict) -> bool:
        allowed = limits["permitted"] and limits["limits_set"] and not limits["restricted"]
        return bool(allowed and book["open"] and book["named"] and not book["crossed"] and not book["fault"])

    def fresh(self, limits: dict, book: dict, now_ns: int) -> bool:
        if not book["valid"] or book["stale"] or book["quiet"] or book["time_ns"] <= 0 or now_ns >= 2**62:
            return False
        return 0 <= now_ns - book["time_ns"] <= limits["stale_ns"]

    def quantity_allowed(self, limits: dict, quantity: int) -> bool:
        if not 1 <= quantity <= LARGEST or not 1 <= limits["lot"] <= LARGEST:
            return False
        return quantity <= limits["quantity_max"] and quantity % limits["lot"] == 0

    def price_allowed(self, limits: dict, book: dict, price: int) -> bool:
        if not 1 <= price <= LARGEST or not 1 <= limits["tick"] <= LARGEST or price % limits["tick"] != 0:
            return False
        if book["bid_quantity"] > 0 and book["ask_quantity"] > 0:
            prices = [book["bid_price"], book["ask_price"]]
        else:
            prices = [book["last_price"]]
        if any(not 0 <= known <= LARGEST for known in prices) or sum(prices) == 0:
            return False
        if not 1 <= limits["collar_ppm"] <= 1_000_000:
            return False
        reference = Fraction(sum(prices), len(prices))
        return abs(price - reference) <= reference * Fraction(limits["collar_ppm"], 1_000_000)

    def value_allowed(self, limits: dict, price: int, quantity: int) -> bool:
        return 1 <= price <= LARGEST and 1 <= quantity <= LARGEST and price * quantity <= limits["value_max"]

    def position_allowed(self, limits: dict, number: int, intent: dict) -> bool:
        held = self.position[number] if intent["side"] == 1 else -self.position[number]
        working = self.reserved(number, 1 if intent["side"] == 1 else 2)
        if limits["position_max"] <= 0 or intent["quantity"] < 0 or intent["quantity"] >= 2**60:
            return False
        return held + working + intent["quantity"] <= limits["position_max"]

    def interval_ns(self) -> int:
        rate, burst = self.account["rate_per_second"], self.account["rate_burst"]
        return ceil(Fraction(SECOND_NS, rate)) if 1 <= rate <= SECOND_NS and 1 <= burst < 2**24 else 0

    def rate_allowed(self, now_ns: int) -> bool:
        account = self.account
        if self.interval_ns() == 0:
            return False
        if not 0 <= account["reserve_percent"] <= 100 or not 0 < now_ns < 2**62:
            return False
        tokens = floor(Fraction(account["rate_burst"] * (100 - account["reserve_percent"]), 100))
        used = Fraction(max(self.busy_until_ns - now_ns, 0), self.interval_ns())
        return used + 1 <= tokens and self.day_messages < account["day_messages_max"]

    # ---- our own orders ----------------------------------------------------------------------------------------

    def live(self, reference: int) -> NaiveOrder | None:
        order = self.orders.get(reference % self.rows)
        return order if order and order.reference == reference and order.state in LIVE else None

    def row_free(self, reference: int) -> bool:
        order = self.orders.get(reference % self.rows)
        return 1 <= reference <= LARGEST and (order is None or order.state not in LIVE)

    def replaceable(self, intent: dict) -> bool:
        order = self.live(intent["order_reference"])
        return order is not None and (order.instrument, order.side) == (intent["instrument"], intent["side"])

    def reserved(self, number: int, side: int) -> int:
        """What is open on one side of an instrument: looked up afresh, order by order."""
        return sum(order.open for order in self.orders.values() if (order.instrument, order.side) == (number, side))

    def submit(self, kind: str, intent: dict, now_ns: int) -> set[str]:
        """One intent through everything; the reasons against it."""
        reference = intent["order_reference"]
        if kind != "CANCEL":
            reference = self.next_reference
            self.next_reference += 1
        failed = self.reasons(kind, intent, reference, now_ns)
        self.journal_room = max(self.journal_room - 1, 0)
        if failed:
            return failed
        self.ring_room -= 1
        self.day_messages += 1
        self.busy_until_ns = max(self.busy_until_ns, now_ns) + self.interval_ns()
        self.busy_until_ns = min(self.busy_until_ns, now_ns + self.account["rate_burst"] * self.interval_ns())
        if kind in NEW_KINDS:
            terms = (intent["instrument"], intent["side"], intent["price"], intent["quantity"], intent["quantity"])
            self.orders[reference % self.rows] = NaiveOrder(reference, *terms)
        elif kind == "CANCEL" and intent["quantity"] == 0:
            self.live(reference).state = "CANCELLING"
        return set()

    def known(self, reference: int) -> NaiveOrder | None:
        order = self.orders.get(reference % self.rows)
        return order if order and order.reference == reference else None

    def settle(self, order: NaiveOrder) -> None:
        """The state the facts speak for."""
        if order.open == 0:
            order.state = "FILLED" if order.filled else "CANCELLED"
        else:
            order.state = ("PARTIAL" if order.filled else "ACCEPTED") if order.venue_order_id else "SENT"

    def accepted(self, reference: int, venue_order_id: int, price: int, quantity: int) -> None:
        order = self.known(reference)
        if order is None:
            self.account["session_lost"] += 1
        elif order.state in LIVE and not order.venue_order_id:
            order.venue_order_id, order.price, order.quantity = venue_order_id, price, quantity
            order.open = max(quantity - order.filled, 0)
            if order.state != "CANCELLING" or order.open == 0:
                self.settle(order)

    def executed(self, reference: int, match: int, price: int, quantity: int) -> None:
        order = self.known(reference)
        if order is None:
            self.account["session_lost"] += 1
            return
        if (match, reference) in self.fills:
            return
        self.fills[match, reference] = (price, quantity)
        signed = quantity if order.side == 1 else -quantity
        self.position[order.instrument] += signed
        self.cash[order.instrument] -= signed * price
        order.filled += quantity
        filled_whole = quantity >= order.open
        order.open = max(order.open - quantity, 0)
        if order.state in LIVE:
            if filled_whole:
                order.state = "FILLED"
            elif order.state != "CANCELLING":
                order.state = "PARTIAL"

    def cancelled(self, reference: int, stamp_ns: int, quantity: int) -> None:
        order = self.known(reference)
        if order is None or order.state not in LIVE or order.cancel_stamps[-1:] == [stamp_ns]:
            return
        order.cancel_stamps.append(stamp_ns)
        order.open = max(order.open - quantity, 0)
        if order.open == 0:
            order.state = "CANCELLED"
        else:
            self.settle(order)

    def rejected(self, reference: int) -> None:
        order = self.known(reference)
        if order is not None and order.state in LIVE:
            order.open, order.state = 0, "REJECTED"

    def replaced(self, old: int, reference: int, venue_order_id: int, price: int, quantity: int) -> None:
        order, before = self.known(reference), self.live(old)
        if order is None:
            self.account["session_lost"] += 1
            return
        if order.state not in LIVE or order.venue_order_id:
            return
        if before is not None:
            before.open, before.state = 0, "CANCELLED"
        order.venue_order_id, order.price, order.open = venue_order_id, price, max(quantity - order.filled, 0)
        if order.state != "CANCELLING" or order.open == 0:
            self.settle(order)

    def broken_trade(self, reference: int, match: int) -> None:
        order = self.known(reference)
        if order is None or (match, reference) not in self.fills:
            self.account["session_lost"] += 1
            return
        if (match, reference) in self.broken:
            return
        self.broken.add((match, reference))
        price, quantity = self.fills[match, reference]
        signed = quantity if order.side == 1 else -quantity
        self.position[order.instrument] -= signed
        self.cash[order.instrument] += signed * price
        order.filled -= quantity
