"""The gate and the order table as anyone would write them first: dicts, names, exact fractions. The oracle of ⑦ and ⑧."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from tests.naive_portfolio import BOUND, ONE, NaivePortfolio, up

LARGEST = 2**31 - 1
KEYS = 1 << 11  # the halt that is no decision of ours: the link's keys have run out
SECOND_NS = 1_000_000_000
LIVE = {"SENT", "ACCEPTED", "PARTIAL", "CANCELLING", "UNKNOWN"}
NEW_KINDS = ("NEW", "REPLACE")
SAME = ("instrument", "side", "quantity", "price", "strategy", "signal_id")


@dataclass
class NaiveOrder:
    """One own order."""

    reference: int
    instrument: int
    side: int
    price: int
    quantity: int
    open: int
    strategy: int = 0
    state: str = "SENT"
    filled: int = 0
    venue_order_id: int = 0
    cancel_stamps: list[int] = field(default_factory=list)


class NaiveGate:
    """The world a gate looks at, in dicts the test writes: `account`, `control`, `limits[i]`, `books[i]`."""

    def __init__(self, instruments: int, rows: int):
        self.instruments, self.rows = instruments, rows
        self.sums: dict[str, int] = {}
        self.account = {"rate_per_second": 0, "rate_burst": 0, "reserve_percent": 0, "day_messages_max": 0}
        self.account.update(limits_version=0, session_lost=0, session_connection=0, halted=0, gross_max=0, net_max=0)
        self.account.update(hours_open_ns=0, hours_close_ns=0, dup_ns=0, rate_age_ns=0, window_ns=0)
        self.control = {"kill_latch": 0, "epoch": 0, "lease_expires_ns": 0, "session_connection": 0}
        limits = ("permitted", "restricted", "limits_set", "tick", "lot", "quantity_max", "value_max", "position_max")
        book = ("bid_price", "bid_quantity", "ask_price", "ask_quantity", "last_price", "time_ns")
        flags = ("valid", "stale", "crossed", "fault", "quiet", "open", "auction", "named")
        money = ("margin_fraction", "weight_fraction", "currency", "group", "permits", "auction")
        prices = ("window_ppm", "window_price", "window_ns", "last_age_ns", "last_price", "last_price_ns")
        names = (*limits, *money, *prices, "collar_ppm", "stale_ns", "halted")
        self.limits = [dict.fromkeys(names, 0) for _ in range(instruments)]
        fields = ("set", "halted", "position_max", "repeat_max", "repeat_ns", "repeated", "size_shift")
        self.strategies = [dict.fromkeys(fields, 0) for _ in range(8)]
        self.rates = [{"fraction": 0, "time_ns": 0} for _ in range(2)]
        self.groups = [{"value_max": 0} for _ in range(2)]
        self.portfolio = NaivePortfolio(self, instruments)
        self.sent: list[tuple[tuple, int]] = []  # what left, and when
        self.books = [dict.fromkeys((*book, *flags), 0) for _ in range(instruments)]
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
        self.sums = self.portfolio.sums()
        known = intent["instrument"] < self.instruments
        number = intent["instrument"] if known else 0
        limits, book = self.limits[number], self.books[number]
        failed = {
            "KILL": self.control["kill_latch"] != 0,
            "FENCE": self.fenced(now_ns),
            "STATE": not known or self.account["limits_version"] % 2 == 1 or not self.tradable(limits, book, now_ns),
            "STALE": not self.fresh(limits, book, now_ns),
            "PERM": not self.permitted(kind, limits, intent),
            "QTY": not self.quantity_allowed(limits, intent),
            "PRICE": not self.price_allowed(limits, book, intent["price"], now_ns),
            "VALUE": not self.value_allowed(limits, intent, now_ns),
            "POSITION": not self.position_allowed(limits, number, intent),
            "EXPOSURE": not self.exposure_allowed(number, intent),
            "MARGIN": not self.margin_allowed(number, intent),
            "RATE": not self.rate_allowed(now_ns),
            "DUP": self.duplicate(intent, now_ns),
            "SELF": self.meets_own(number, intent),
            "REPEAT": not self.repeats_allowed(intent),
            "DISABLED": self.disabled(limits, intent),
            "KEYS": self.account["halted"] & KEYS != 0,
            "JOURNAL": self.journal_room <= 0,
            "RING": self.ring_room <= 0,
            "ORDERS": not self.row_free(reference) or (kind == "REPLACE" and not self.replaceable(intent)),
            "SESSION": self.account["session_lost"] != 0
            or self.account["session_connection"] != self.control["session_connection"],
        }
        if intent["flags"] & 2:
            failed["REDUCE"] = not self.reduces(kind, number, intent)
            if not failed["REDUCE"]:
                failed["KILL"] = failed["DISABLED"] = failed["KEYS"] = False
        return {name for name, fails in failed.items() if fails}

    def reduces(self, kind: str, number: int, intent: dict) -> bool:
        """Position and everything open on this side, the order included, stay on their side of zero."""
        side, held = (1 if intent["side"] == 1 else 2), self.portfolio.whole[number]["position"]
        if kind != "NEW" or not 1 <= intent["quantity"] <= LARGEST:
            return False
        after = self.portfolio.quantity[number, side] + intent["quantity"] + (held if side == 1 else -held)
        return after <= 0

    def cancel_reasons(self, kind: str, intent: dict) -> set[str]:
        """A cancel needs a live order and a place in the ring."""
        failed = {
            "QTY": not 0 <= intent["quantity"] <= LARGEST,
            "RING": self.ring_room <= 0,
            "ORDERS": kind == "CANCEL" and self.own(intent) is None,
            "STATE": kind == "MASS_CANCEL" and intent["instrument"] >= self.instruments,
        }
        return {name for name, fails in failed.items() if fails}

    def fenced(self, now_ns: int) -> bool:
        lease_ns = self.control["lease_expires_ns"]
        return self.epoch < 1 or self.control["epoch"] != self.epoch or (lease_ns != 0 and now_ns >= lease_ns)

    def tradable(self, limits: dict, book: dict, now_ns: int) -> bool:
        allowed = limits["permitted"] and limits["limits_set"] and not limits["restricted"]
        auction = book["auction"] and limits["auction"]
        going = auction or (book["open"] and not book["auction"] and not book["crossed"])
        hours = self.account["hours_open_ns"] <= now_ns < self.account["hours_close_ns"]
        return bool(allowed and going and hours and book["named"] and not book["fault"])

    def permitted(self, kind: str, limits: dict, intent: dict) -> bool:
        lives = {0, 3, 17} if kind == "NEW" else {0, 3}
        lives &= {0} if intent["flags"] & 1 else lives
        if intent["side"] not in (1, 2) or intent["time_in_force"] not in lives or intent["strategy"] > 7:
            return False
        if intent["flags"] > 3:
            return False
        bit = limits["permits"] >> (2 * intent["strategy"] + intent["side"] - 1) & 1
        return bool(bit and self.strategies[intent["strategy"]]["set"])

    def strategy_of(self, intent: dict) -> dict:
        return self.strategies[intent["strategy"] % 8]

    def halved(self, cap: int, intent: dict) -> int:
        """A cap under the strategy's reduced size."""
        shift = self.strategy_of(intent)["size_shift"]
        return floor(Fraction(cap, 2 ** min(shift, 63)))

    def disabled(self, limits: dict, intent: dict) -> bool:
        raised = self.halted and intent["strategy"] == 0
        account = self.account["halted"] & ~KEYS
        return bool(raised or account or self.strategy_of(intent)["halted"] or limits["halted"])

    def repeats_allowed(self, intent: dict) -> bool:
        strategy = self.strategy_of(intent)
        return 1 <= strategy["repeat_max"] <= 1024 and strategy["repeat_ns"] > 0 and not strategy["repeated"]

    def key(self, intent: dict) -> tuple:
        return tuple(intent[name] for name in (*SAME, "order_reference"))

    def duplicate(self, intent: dict, now_ns: int) -> bool:
        window_ns = self.account["dup_ns"]
        if window_ns <= 0 or now_ns < window_ns:
            return True
        return any(key == self.key(intent) and now_ns - then_ns < window_ns for key, then_ns in self.sent)

    def meets_own(self, number: int, intent: dict) -> bool:
        buying = intent["side"] == 1
        orders = [order for order in self.orders.values() if order.instrument == number and order.state in LIVE]
        against = [order.price for order in orders if (order.side == 1) != buying]
        return any(intent["price"] >= price if buying else intent["price"] <= price for price in against)

    def fresh(self, limits: dict, book: dict, now_ns: int) -> bool:
        if not book["valid"] or book["stale"] or book["quiet"] or book["time_ns"] <= 0 or now_ns >= 2**62:
            return False
        return 0 <= now_ns - book["time_ns"] <= limits["stale_ns"]

    def quantity_allowed(self, limits: dict, intent: dict) -> bool:
        quantity = intent["quantity"]
        if not 1 <= quantity <= LARGEST or not 1 <= limits["lot"] <= LARGEST:
            return False
        return quantity <= self.halved(limits["quantity_max"], intent) and quantity % limits["lot"] == 0

    def price_allowed(self, limits: dict, book: dict, price: int, now_ns: int) -> bool:
        if not 1 <= price <= LARGEST or not 1 <= limits["tick"] <= LARGEST or price % limits["tick"] != 0:
            return False
        if book["bid_quantity"] > 0 and book["ask_quantity"] > 0:
            prices = [book["bid_price"], book["ask_price"]]
        else:
            prices = [book["last_price"]]
            age_ns = now_ns - limits["last_price_ns"]
            if book["last_price"] != limits["last_price"] or not 0 <= age_ns <= limits["last_age_ns"]:
                return False
        if any(not 0 <= known <= LARGEST for known in prices) or sum(prices) == 0:
            return False
        if not 1 <= limits["collar_ppm"] <= 1_000_000:
            return False
        reference = Fraction(sum(prices), len(prices))
        if not 1 <= limits["window_ppm"] <= 1_000_000 or not 1 <= limits["window_price"] <= LARGEST:
            return False
        if not 0 <= now_ns - limits["window_ns"] <= self.account["window_ns"]:
            return False
        near = abs(price - limits["window_price"]) * 1_000_000 <= limits["window_price"] * limits["window_ppm"]
        return near and abs(price - reference) <= reference * Fraction(limits["collar_ppm"], 1_000_000)

    def worth(self, limits: dict, price: int, quantity: int) -> int:
        """What the gate reads of an order's value when price or quantity are beyond bounds is refused by VALUE anyway."""
        return up((price % 2**31) * (quantity % 2**31), self.rates[limits["currency"]]["fraction"] % 2**64)

    def value_allowed(self, limits: dict, intent: dict, now_ns: int) -> bool:
        price, quantity = intent["price"], intent["quantity"]
        rate = self.rates[limits["currency"]]
        fresh = limits["currency"] == 0 or 0 <= now_ns - rate["time_ns"] <= self.account["rate_age_ns"]
        if not (1 <= price <= LARGEST and 1 <= quantity <= LARGEST and 1 <= rate["fraction"] <= 2**40 and fresh):
            return False
        worth = self.worth(limits, price, quantity)
        caps = self.halved(limits["value_max"], intent), self.halved(self.sums["signal_value"], intent)
        return price * quantity <= caps[0] and worth < BOUND and worth <= caps[1]

    def exposure_allowed(self, number: int, intent: dict) -> bool:
        limits, account, sums = self.limits[number], self.account, self.sums
        worth, buying = self.worth(limits, intent["price"], intent["quantity"]), intent["side"] == 1
        before, after = self.exposure_change(number, worth, buying)
        if after > before and sums["gross_value"] + after - before > account["gross_max"]:
            return False
        if sums["net_long" if buying else "net_short"] + worth > account["net_max"]:
            return False
        if account["gross_max"] <= 0 or account["net_max"] <= 0:
            return False
        if limits["group"] == 0:
            return True
        weight = limits["weight_fraction"]
        there = self.portfolio.group(limits["group"])[0 if buying == (weight >= 0) else 1]
        cap = min(self.groups[limits["group"]]["value_max"], sums["group_value"])
        return abs(weight) <= ONE and there + up(worth, min(abs(weight), ONE)) <= cap

    def exposure_change(self, number: int, worth: int, buying: bool) -> tuple[int, int]:
        pair = self.portfolio.exposures[number]
        return max(pair), max(pair[0] + worth * buying, pair[1] + worth * (not buying))

    def margin_allowed(self, number: int, intent: dict) -> bool:
        limits = self.limits[number]
        worth = self.worth(limits, intent["price"], intent["quantity"])
        before, after = self.exposure_change(number, worth, intent["side"] == 1)
        more = self.portfolio.margin(number, after) - self.portfolio.margin(number, before)
        return 1 <= limits["margin_fraction"] <= ONE and (after <= before or more <= self.sums["free_value"])

    def position_allowed(self, limits: dict, number: int, intent: dict) -> bool:
        side, whole = (1 if intent["side"] == 1 else 2), self.portfolio.whole[number]["position"]
        strategy = intent["strategy"] % 8
        own = self.portfolio.holdings[strategy, number]["position"]
        reserved = self.portfolio.quantity[number, side, strategy]
        caps = [
            (whole, self.portfolio.quantity[number, side], limits["position_max"]),
            (own, reserved, self.halved(self.strategies[strategy]["position_max"], intent)),
        ]
        quantity = intent["quantity"]
        if not 0 <= quantity < 2**60:
            return False
        return all(
            limit > 0 and (held if side == 1 else -held) + working + quantity <= limit for held, working, limit in caps
        )

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

    def own(self, intent: dict) -> NaiveOrder | None:
        order = self.live(intent["order_reference"])
        return order if order and order.strategy == intent["strategy"] else None

    def replaceable(self, intent: dict) -> bool:
        order = self.own(intent)
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
        if kind in NEW_KINDS:
            self.portfolio.freshen(intent["instrument"], now_ns)
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
            self.orders[reference % self.rows] = NaiveOrder(reference, *terms, strategy=intent["strategy"])
            self.portfolio.settle(intent["instrument"])
            self.sent = [(key, then_ns) for key, then_ns in self.sent if now_ns - then_ns < 2 * SECOND_NS]
            self.sent.append((self.key(intent), now_ns))
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
            self.portfolio.settle(order.instrument)
            order.open = max(quantity - order.filled, 0)
            if order.state != "CANCELLING" or order.open == 0:
                self.settle(order)

    def executed(self, reference: int, match: int, price: int, quantity: int, now_ns: int) -> None:
        order = self.known(reference)
        if order is None:
            self.account["session_lost"] += 1
            return
        if (match, reference) in self.fills:
            return
        self.fills[match, reference] = (price, quantity)
        self.portfolio.trade(order.strategy, order.instrument, quantity if order.side == 1 else -quantity, price)
        self.note_execution(order.strategy, now_ns)
        self.portfolio.settle(order.instrument)
        order.filled += quantity
        filled_whole = quantity >= order.open
        order.open = max(order.open - quantity, 0)
        if order.state in LIVE:
            if filled_whole:
                order.state = "FILLED"
            elif order.state != "CANCELLING":
                order.state = "PARTIAL"

    def note_execution(self, strategy: int, now_ns: int) -> None:
        """The last one of so many within the window disables the strategy."""
        limits, times = self.strategies[strategy], self.portfolio.executions[strategy]
        times.append(now_ns)
        count = limits["repeat_max"]
        if 1 <= count <= 1024 and len(times) >= count and now_ns - times[-count] < limits["repeat_ns"]:
            limits["repeated"] = 1

    def cancelled(self, reference: int, stamp_ns: int, quantity: int) -> None:
        order = self.known(reference)
        if order is None or order.state not in LIVE or order.cancel_stamps[-1:] == [stamp_ns]:
            return
        order.cancel_stamps.append(stamp_ns)
        self.portfolio.settle(order.instrument)
        order.open = max(order.open - quantity, 0)
        if order.open == 0:
            order.state = "CANCELLED"
        else:
            self.settle(order)

    def rejected(self, reference: int) -> None:
        order = self.known(reference)
        if order is not None and order.state in LIVE:
            order.open, order.state = 0, "REJECTED"
            self.portfolio.settle(order.instrument)

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
        self.portfolio.trade(order.strategy, order.instrument, -quantity if order.side == 1 else quantity, price)
        self.portfolio.settle(order.instrument)
        order.filled -= quantity
