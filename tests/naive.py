"""The slow, obvious twin of the book: dictionaries, one rule after the other, the same policy for contradictions.

Events are dictionaries of the fields of struct event; `apply` changes the event as the real book does.
"""

from dataclasses import dataclass, field

from gateway.layout import value

BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
ADD, EXECUTE, REDUCE = value("EVENT_ADD"), value("EVENT_EXECUTE"), value("EVENT_REDUCE")
DELETE, REPLACE, TRADE = value("EVENT_DELETE"), value("EVENT_REPLACE"), value("EVENT_TRADE")
STATUS, INSTRUMENT = value("EVENT_STATUS"), value("EVENT_INSTRUMENT")
GAP, CLEAR = value("EVENT_GAP"), value("EVENT_CLEAR")
SILENT = {value("EVENT_NONE"), value("EVENT_SYSTEM"), value("EVENT_INFORMATION")}
PRICED, NON_PRINTABLE = value("EVENT_PRICED"), value("EVENT_NON_PRINTABLE")
VALID, STALE, CROSSED = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_CROSSED")
FAULT, KNOWN, NAMED = value("BOOK_FAULT"), value("BOOK_KNOWN"), value("BOOK_NAMED")
WORD = 1 << 32


@dataclass
class NaiveOrder:
    instrument: int
    side: int
    price: int
    quantity: int
    priority: int


@dataclass
class NaiveBook:
    flags: int
    symbol: int = 0
    trading: int = 0
    last_price: int = 0
    time_ns: int = 0
    sides: dict[int, dict[int, list[int]]] = field(default_factory=lambda: {BUY: {}, SELL: {}})

    def best(self, side: int) -> tuple[int, int]:
        """(price, quantity), (0, 0) for an empty side."""
        levels = self.sides[side]
        if not levels:
            return 0, 0
        price = max(levels) if side == BUY else min(levels)
        return price, levels[price][0]

    def top(self) -> tuple[int, int, int, int]:
        return (*self.best(BUY), *self.best(SELL))

    def levels(self, side: int) -> list[tuple[int, int, int]]:
        """(price, quantity, orders), best first."""
        return [(price, *self.sides[side][price]) for price in sorted(self.sides[side], reverse=side == BUY)]

    def name(self, symbol: int) -> None:
        if symbol:
            self.symbol, self.flags = symbol, self.flags | NAMED


class NaiveBooks:
    """Every book. `nodes` and `orders` are the capacities of the real one's pools."""

    def __init__(self, instruments: int = 65536, nodes: int = 1 << 40, orders: int = 1 << 40, tick: int = 100):
        self.instruments, self.leaves_max, self.orders_max, self.tick = instruments, nodes - 1, orders // 2, tick
        self.books: dict[int, NaiveBook] = {}
        self.orders: dict[int, NaiveOrder] = {}
        self.leaves: dict[tuple[int, int, bool, int], int] = {}
        self.reasons: dict[str, int] = {}
        self.crossed = 0
        self.flags_new = 0

    def mark_all(self, flags_set: int, flags_cleared: int) -> None:
        self.flags_new = (self.flags_new | flags_set) & ~flags_cleared
        for book in self.books.values():
            book.flags = (book.flags | flags_set) & ~flags_cleared

    def apply(self, event: dict[str, int]) -> int:
        """1 when the top of the event's book is another one afterwards."""
        kind, instrument = event["kind"], event["instrument"]
        if kind == GAP:
            self.mark_all(STALE, VALID)
        if kind == GAP or kind in SILENT:
            return 0
        if instrument >= self.instruments:
            self._count("FEED_MESSAGE_FIELD")
            return 0
        book = self.books.setdefault(instrument, NaiveBook(self.flags_new | KNOWN))
        book.time_ns = event["time_receive_ns"]
        before = book.top()
        self._change(book, event)
        crossed = bool(book.sides[BUY] and book.sides[SELL] and book.best(BUY)[0] >= book.best(SELL)[0])
        if crossed and not book.flags & CROSSED:
            self.crossed += 1
        book.flags = (book.flags & ~CROSSED) | (CROSSED if crossed else 0)
        return int(book.top() != before)

    def _change(self, book: NaiveBook, event: dict[str, int]) -> None:
        kind = event["kind"]
        if kind == ADD:
            if not book.flags & NAMED:
                book.name(event["other_id"])
            self._place(book, event, event["order_id"], event["side"])
        elif kind == REPLACE:
            self._replace(book, event)
        elif kind in (EXECUTE, REDUCE, DELETE):
            self._take(book, event)
        elif kind == TRADE and event["quantity"] > 0:
            self._print(book, event)
        elif kind == STATUS:
            if event["quantity"] not in range(5):
                self._count("FEED_MESSAGE_FIELD")
            book.trading = event["quantity"] if event["quantity"] in range(5) else 0
            book.name(event["order_id"])
        elif kind == INSTRUMENT:
            book.name(event["order_id"])
        elif kind == CLEAR:
            for order_id in [key for key, order in self.orders.items() if self.books[order.instrument] is book]:
                self._remove(order_id, self.orders[order_id].quantity)
            book.flags = (book.flags | VALID) & ~(STALE | FAULT)

    def _place(self, book: NaiveBook, event: dict[str, int], order_id: int, side: int) -> None:
        price, quantity = event["price"], event["quantity"]
        if side not in (BUY, SELL) or not 0 <= price < WORD or not 0 < quantity < WORD:
            return self._fault(book, "FEED_MESSAGE_FIELD")
        if order_id in self.orders:
            self.books[self.orders[order_id].instrument].flags |= FAULT
            return self._fault(book, "FEED_ORDER_DUPLICATE")
        if len(self.orders) >= self.orders_max:
            return self._fault(book, "FEED_ORDERS_FULL")
        leaf = self._leaf(event["instrument"], side, price)
        if leaf not in self.leaves and len(self.leaves) >= self.leaves_max:
            return self._fault(book, "FEED_LEVELS_FULL")
        self.orders[order_id] = NaiveOrder(event["instrument"], side, price, quantity, event["sequence"])
        level = book.sides[side].setdefault(price, [0, 0])
        if level[1] == 0:
            self.leaves[leaf] = self.leaves.get(leaf, 0) + 1
        level[0] += quantity
        level[1] += 1
        return None

    def _take(self, book: NaiveBook, event: dict[str, int]) -> None:
        order = self._named(book, event)
        if order is None:
            return None
        quantity = event["quantity"]
        if event["kind"] == DELETE:
            quantity = event["quantity"] = order.quantity
        elif quantity <= 0:
            return self._fault(book, "FEED_MESSAGE_FIELD")
        elif quantity > order.quantity:
            quantity = order.quantity
            self._fault(book, "FEED_QUANTITY_EXCESS")
        event["side"] = order.side
        if event["kind"] != EXECUTE or not event["flags"] & PRICED:
            event["price"] = order.price
        if event["kind"] == EXECUTE:
            self._print(book, event)
        return self._remove(event["order_id"], quantity)

    def _print(self, book: NaiveBook, event: dict[str, int]) -> None:
        if not event["flags"] & NON_PRINTABLE:
            if 0 <= event["price"] < WORD:
                book.last_price = event["price"]
            else:
                self._count("FEED_MESSAGE_FIELD")

    def _replace(self, book: NaiveBook, event: dict[str, int]) -> None:
        order = self._named(book, event)
        if order is not None:
            event["side"] = order.side
            self._remove(event["order_id"], order.quantity)
            self._place(book, event, event["other_id"], order.side)

    def _remove(self, order_id: int, quantity: int) -> None:
        order = self.orders[order_id]
        levels = self.books[order.instrument].sides[order.side]
        order.quantity -= quantity
        levels[order.price][0] -= quantity
        if order.quantity == 0:
            del self.orders[order_id]
            levels[order.price][1] -= 1
        if levels[order.price][1] == 0:
            del levels[order.price]
            leaf = self._leaf(order.instrument, order.side, order.price)
            self.leaves[leaf] -= 1
            if self.leaves[leaf] == 0:
                del self.leaves[leaf]

    def _named(self, book: NaiveBook, event: dict[str, int]) -> NaiveOrder | None:
        order = self.orders.get(event["order_id"])
        if order is None:
            self._count("FEED_ORDER_UNKNOWN")
            if book.flags & VALID:
                book.flags |= FAULT
            return None
        if order.instrument != event["instrument"]:
            self.books[order.instrument].flags |= FAULT
            self._fault(book, "FEED_INSTRUMENT_MISMATCH")
            return None
        return order

    def _leaf(self, instrument: int, side: int, price: int) -> tuple[int, int, bool, int]:
        fine = price % self.tick != 0
        return instrument, side, fine, (price if fine else price // self.tick) // 64

    def _fault(self, book: NaiveBook, reason: str) -> None:
        book.flags |= FAULT
        self._count(reason)

    def _count(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
