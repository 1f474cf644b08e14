"""A slow, obvious exchange: the oracle of the simulated venue's matching engine and of its client's reports.

Plain Python lists, no ladder, no links. It is told every OUCH message in order and says what the feed and the client
must hear: two lists of tuples, message letter first.
"""

from collections import defaultdict
from dataclasses import dataclass, field

FIRST_ID = 1_000_000_000
CLOSED, DISPLAY, SIDE, OTHER, QUANTITY, REPLACE, SYMBOL, PRICE = 2, 3, 9, 15, 19, 21, 23, 29
WINDOW_TICKS = 1024


@dataclass
class Order:
    order_id: int
    reference: int
    symbol: str
    side: str
    price: int
    open: int
    executed: int = 0


@dataclass
class Symbol:
    floor: int
    tick: int = 100
    orders: list[Order] = field(default_factory=list)  # in order of arrival at their place

    def has(self, price: int) -> bool:
        return 0 <= price - self.floor < WINDOW_TICKS * self.tick and (price - self.floor) % self.tick == 0

    def best_against(self, side: str, limit: int) -> Order | None:
        """The oldest order at the best price that an order of `side` at `limit` trades with."""
        if side == "B":
            found = [order for order in self.orders if order.side == "S" and order.price <= limit]
            best = min((order.price for order in found), default=None)
        else:
            found = [order for order in self.orders if order.side == "B" and order.price >= limit]
            best = max((order.price for order in found), default=None)
        return next((order for order in found if order.price == best), None)

    def tradable(self, side: str, limit: int) -> int:
        """Every share that an order of `side` at `limit` could trade with."""
        if side == "B":
            return sum(order.open for order in self.orders if order.side == "S" and order.price <= limit)
        return sum(order.open for order in self.orders if order.side == "B" and order.price >= limit)

    def levels(self, side: str) -> list[tuple[int, int, int]]:
        grouped: dict[int, list[int]] = defaultdict(list)
        for order in self.orders:
            if order.side == side:
                grouped[order.price].append(order.open)
        prices = sorted(grouped, reverse=side == "B")
        return [(price, sum(grouped[price]), len(grouped[price])) for price in prices]


class NaiveVenue:
    """One client, many symbols; `feed` and `client` collect what is said."""

    def __init__(self, floors: dict[str, int]):
        self.symbols = {name: Symbol(floor) for name, floor in floors.items()}
        self.open: dict[int, Order] = {}
        self.last_reference = 0
        self.next_id, self.next_match = FIRST_ID, 1
        self.feed: list[tuple] = []
        self.client: list[tuple] = []
        self.positions: dict[str, int] = defaultdict(int)
        self.cash: dict[str, int] = defaultdict(int)
        self.withheld = {"enter": 0, "minimum": 0, "replace": 0}  # orders that an option kept from trading

    def _new(self, reference: int) -> bool:
        if reference <= self.last_reference:
            return False
        self.last_reference = reference
        return True

    def _refused(self, name: str, quantity: int, price: int, life: str, display: str) -> int:
        if name not in self.symbols:
            return SYMBOL
        if not 1 <= quantity <= 999_999:
            return QUANTITY
        if not self.symbols[name].has(price):
            return PRICE
        if display not in "YA":
            return DISPLAY
        return 0 if life in "03" else OTHER

    def _take_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def _leave(self, order: Order) -> None:
        self.symbols[order.symbol].orders.remove(order)
        del self.open[order.reference]

    def _settle(self, order: Order, quantity: int, price: int, liquidity: str) -> None:
        sign = 1 if order.side == "B" else -1
        self.positions[order.symbol] += sign * quantity
        self.cash[order.symbol] -= sign * quantity * price
        order.executed += quantity
        order.open -= quantity
        self.client.append(("E", order.reference, quantity, price, liquidity, self.next_match))

    def _match(self, incoming: Order) -> None:
        book = self.symbols[incoming.symbol]
        while incoming.open and (resting := book.best_against(incoming.side, incoming.price)):
            quantity = min(incoming.open, resting.open)
            self.feed.append(("E", resting.order_id, quantity, self.next_match))
            self._settle(resting, quantity, resting.price, "A")
            self._settle(incoming, quantity, resting.price, "R")
            self.next_match += 1
            if not resting.open:
                self._leave(resting)

    def _rest(self, order: Order, replaces: int = 0) -> None:
        self.symbols[order.symbol].orders.append(order)
        self.open[order.reference] = order
        if replaces:
            self.feed.append(("U", replaces, order.order_id, order.open, order.price))
        else:
            self.feed.append(("A", order.order_id, order.side, order.open, order.symbol, order.price))

    def enter(
        self,
        reference: int,
        side: str,
        quantity: int,
        name: str,
        price: int,
        life: str,
        display: str,
        minimum: int = 0,
        post: str = "",
    ) -> None:
        """`minimum` holds of an immediate order only; `post` "P": never takes."""
        if not self._new(reference):
            return
        reason = self._refused(name, quantity, price, life, display) or (0 if side in "BSTE" else SIDE)
        if reason:
            self.client.append(("J", reference, reason))
            return
        order = Order(self._take_id(), reference, name, "B" if side == "B" else "S", price, quantity)
        self.client.append(("A", reference, side, quantity, name, price, order.order_id))
        possible = min(quantity, self.symbols[name].tradable(order.side, price))
        if post == "P" and possible:
            self.withheld["enter"] += 1
            self.client.append(("C", reference, quantity, "F"))
        elif life == "3" and possible < minimum:
            self.withheld["minimum"] += possible > 0
            self.client.append(("C", reference, quantity, "I"))
        else:
            self._finish(order, life, 0)

    def _finish(self, order: Order, life: str, replaces: int) -> None:
        self._match(order)
        if order.open and life == "3":
            self.client.append(("C", order.reference, order.open, "I"))
        elif order.open:
            self._rest(order, replaces)

    def replace(
        self, original: int, reference: int, quantity: int, price: int, life: str, display: str, post: str = ""
    ) -> None:
        if not self._new(reference):
            return
        old = self.open.get(original)
        if old is None:
            self.client.append(("J", reference, REPLACE))
            return
        left = quantity - old.executed
        reason = self._refused(old.symbol, left, price, life, display)
        if reason:
            self.client.append(("J", reference, reason))
            return
        self._leave(old)
        order = Order(self._take_id(), reference, old.symbol, old.side, price, left, old.executed)
        self.client.append(("U", original, reference, old.side, left, price, order.order_id))
        if post == "P" and self.symbols[order.symbol].best_against(order.side, price):
            self.withheld["replace"] += 1
            self.feed.append(("D", old.order_id))
            self.client.append(("C", reference, left, "F"))
            return
        quiet = life == "0" and self.symbols[order.symbol].best_against(order.side, price) is None
        if not quiet:
            self.feed.append(("D", old.order_id))
        self._finish(order, life, old.order_id if quiet else 0)

    def cancel(self, reference: int, quantity: int) -> None:
        order = self.open.get(reference)
        if order is None or (keep := quantity - order.executed) >= order.open:
            return
        if keep <= 0:
            self._delete(order)
            return
        self.feed.append(("X", order.order_id, order.open - keep))
        self.client.append(("C", reference, order.open - keep, "U"))
        order.open = keep

    def _delete(self, order: Order) -> None:
        self.feed.append(("D", order.order_id))
        self.client.append(("C", order.reference, order.open, "U"))
        self._leave(order)

    def mass_cancel(self, reference: int, name: str) -> None:
        if not self._new(reference):
            return
        self.client.append(("X", reference, name))
        for order in [order for order in self.open.values() if name in ("", order.symbol)]:
            self._delete(order)


class FeedBooks:
    """Books rebuilt from decoded ITCH messages alone; a message that contradicts them is an AssertionError."""

    def __init__(self) -> None:
        self.orders: dict[int, list] = {}  # order id -> [locate, side, price in 1/10000, open]

    def apply(self, message: dict) -> None:
        kind = message["message"]
        if kind.startswith("Add Order"):
            terms = [message["stock_locate"], message["buy_sell_indicator"], price_units(message["price"])]
            self._place(message["order_reference_number"], *terms, message["shares"])
        elif kind == "Order Executed":
            self._take(message, message["executed_shares"])
        elif kind == "Order Cancel":
            assert self._take(message, message["canceled_shares"]) > 0, "a partial cancel left nothing"
        elif kind == "Order Delete":
            self._drop(message["order_reference_number"], message["stock_locate"])
        elif kind == "Order Replace":
            locate, side, _, _ = self._drop(message["original_order_reference_number"], message["stock_locate"])
            price = price_units(message["price"])
            self._place(message["new_order_reference_number"], locate, side, price, message["shares"])

    def _place(self, order_id: int, locate: int, side: str, price: int, shares: int) -> None:
        assert order_id not in self.orders and shares > 0
        self.orders[order_id] = [locate, side, price, shares]

    def _take(self, message: dict, shares: int) -> int:
        order = self.orders[message["order_reference_number"]]
        assert order[0] == message["stock_locate"] and 0 < shares <= order[3]
        order[3] -= shares
        if order[3] == 0:
            del self.orders[message["order_reference_number"]]
        return order[3]

    def _drop(self, order_id: int, locate: int) -> list:
        order = self.orders.pop(order_id)
        assert order[0] == locate
        return order

    def levels(self, locate: int, side: str) -> list[tuple[int, int, int]]:
        grouped: dict[int, list[int]] = defaultdict(list)
        for own, own_side, price, shares in self.orders.values():
            if (own, own_side) == (locate, side):
                grouped[price].append(shares)
        return [(price, sum(grouped[price]), len(grouped[price])) for price in sorted(grouped, reverse=side == "B")]

    def queue(self, locate: int, side: str) -> list[tuple[int, int, int]]:
        """(order id, price, open) of one side, best price first, oldest first: an order joins at the end of the dict."""
        rows = [(order_id, row[2], row[3]) for order_id, row in self.orders.items() if row[:2] == [locate, side]]
        return sorted(rows, key=lambda row: -row[1] if side == "B" else row[1])


def price_units(text: str) -> int:
    """Exact decimal text with four places in 1/10000."""
    return int(text.replace(".", ""))
