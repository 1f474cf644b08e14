"""The slow, obvious twin of the book: dictionaries, one rule after the other, the same policy for contradictions.

Events are dictionaries of the fields of struct event; `apply` changes the event as the real book does. What gaps, snapshots
and sequences say about trust stands in naive_trust.py.
"""

from dataclasses import dataclass

from gateway.layout import value
from tests.naive_trust import (
    BUY,
    CROSSED,
    FAULT,
    GAP,
    INSTRUMENT,
    KNOWN,
    LEVELS,
    LOST,
    NAMED,
    RECOVERABLE,
    SELL,
    SNAPSHOT,
    SNAPSHOT_BEGIN,
    SNAPSHOT_END,
    STALE,
    STATUS,
    VALID,
    NaiveBook,
    NaiveTrust,
    gapped,
)

ADD, EXECUTE, REDUCE = value("EVENT_ADD"), value("EVENT_EXECUTE"), value("EVENT_REDUCE")
DELETE, REPLACE, TRADE = value("EVENT_DELETE"), value("EVENT_REPLACE"), value("EVENT_TRADE")
CLEAR, SET = value("EVENT_CLEAR"), value("EVENT_SET")
LEVEL, FROM = value("EVENT_LEVEL"), value("EVENT_LEVELS_FROM")
THROUGH, OVERLAY = value("EVENT_LEVELS_THROUGH"), value("EVENT_LEVEL_OVERLAY")
PRICED, NON_PRINTABLE = value("EVENT_PRICED"), value("EVENT_NON_PRINTABLE")
REQUEUED, AUCTION = value("EVENT_REQUEUED"), value("TRADING_AUCTION")
WORD, PRICE_LIMIT, PRICE_KEPT = 1 << 32, 1 << 62, -(1 << 63)
TRADING_STATES = range(7)


def is_price(price: int) -> bool:
    return -PRICE_LIMIT <= price < PRICE_LIMIT


@dataclass
class NaiveOrder:
    instrument: int
    side: int
    price: int
    quantity: int
    priority: int


class NaiveBooks(NaiveTrust):
    """Every book. `nodes` and `orders` are the capacities of the real one's pools."""

    def __init__(
        self, instruments: int = 65536, nodes: int = 1 << 40, orders: int = 1 << 40, tick: int = 100, depth: int = 0
    ):
        super().__init__(instruments, tick, depth)
        self.leaves_max, self.orders_max = nodes - 1, orders // 2
        self.orders: dict[int, NaiveOrder] = {}
        self.leaves: dict[tuple[int, int, bool, int], int] = {}
        self.crossed = self.arrivals = 0

    def apply(self, event: dict[str, int]) -> int:
        """1 when the top of the event's book is another one afterwards."""
        if self.concerns_a_channel(event):
            return 0
        if event["instrument"] >= self.instruments:
            self.count("FEED_MESSAGE_FIELD")
            return 0
        book = self.open(event["instrument"])
        book.time_ns = event["time_receive_ns"]
        if event["kind"] == GAP:
            book.flags = gapped(book.flags, event["flags"] & LOST)
            return 0
        before = book.top()
        if self.is_news(book, event):
            self._change(book, event)
        crossed = bool(book.sides[BUY] and book.sides[SELL] and book.best(BUY)[0] >= book.best(SELL)[0])
        wrongly = crossed and book.trading != AUCTION
        self.crossed += wrongly and not book.crossed_wrongly
        book.crossed_wrongly = wrongly
        book.flag(CROSSED if crossed else 0, 0 if crossed else CROSSED)
        return int(book.top() != before)

    def begin_session(self, first_sequence: int) -> None:
        flags = VALID if first_sequence == 1 else 0
        self.flags_new[self.channel] = flags
        for instrument, book in self.books.items():
            if book.channel == self.channel:
                self._empty(book)
                self.books[instrument] = NaiveBook(flags | KNOWN, self.channel, self.tick, self.depth)

    def _change(self, book: NaiveBook, event: dict[str, int]) -> None:
        kind = event["kind"]
        if kind == ADD:
            if not book.flags & NAMED:
                book.name(event["other_id"])
            self._place(book, event, event["order_id"], event["side"])
        elif kind in (REPLACE, SET):
            self._change_order(book, event)
        elif kind in (EXECUTE, REDUCE, DELETE):
            self._take(book, event)
        elif kind in (LEVEL, FROM, THROUGH, OVERLAY):
            self._levels(book, event)
        elif kind == CLEAR:
            self._empty(book)
            if not book.flags & SNAPSHOT:
                book.flag(VALID, STALE | RECOVERABLE | FAULT)
        elif kind == SNAPSHOT_BEGIN:
            next_part = book.flags & SNAPSHOT and book.snapshot_sequence == event["other_id"] != 0
            if not next_part:
                self._empty(book)
                self.begin_snapshot(book, event["other_id"])
        elif kind == SNAPSHOT_END:
            self.end_snapshot(book)
        else:
            self._inform(book, event)

    def _inform(self, book: NaiveBook, event: dict[str, int]) -> None:
        kind = event["kind"]
        if kind == TRADE and event["quantity"] > 0:
            self._print(book, event)
        elif kind == STATUS:
            if event["quantity"] not in TRADING_STATES:
                self.count("FEED_MESSAGE_FIELD")
            book.trading = event["quantity"] if event["quantity"] in TRADING_STATES else 0
            book.name(event["order_id"])
        elif kind == INSTRUMENT:
            book.name(event["order_id"])
            if event["price"]:
                self.learn_tick(book, event["price"])

    def _place(self, book: NaiveBook, event: dict[str, int], order_id: int, side: int) -> None:
        price, quantity = event["price"], event["quantity"]
        if side not in (BUY, SELL) or not is_price(price) or not 0 < quantity < WORD or book.flags & LEVELS:
            return self.fault(book, "FEED_MESSAGE_FIELD")
        if order_id in self.orders:
            self.books[self.orders[order_id].instrument].flag(FAULT)
            return self.fault(book, "FEED_ORDER_DUPLICATE")
        if len(self.orders) >= self.orders_max:
            return self.fault(book, "FEED_ORDERS_FULL")
        if not self._room(book, event["instrument"], side, price):
            return self.fault(book, "FEED_LEVELS_FULL")
        self.arrivals += 1
        self.orders[order_id] = NaiveOrder(event["instrument"], side, price, quantity, self.arrivals)
        if price not in book.sides[side]:
            self._stand(book, event["instrument"], side, price, [0, 0])
        level = book.sides[side][price]
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
            return self.fault(book, "FEED_MESSAGE_FIELD")
        elif quantity > order.quantity:
            quantity = order.quantity
            self.fault(book, "FEED_QUANTITY_EXCESS")
        event["side"] = order.side
        if event["kind"] != EXECUTE or not event["flags"] & PRICED:
            event["price"] = order.price
        if event["kind"] == EXECUTE:
            self._print(book, event)
        return self._remove(event["order_id"], quantity)

    def _print(self, book: NaiveBook, event: dict[str, int]) -> None:
        if not event["flags"] & NON_PRINTABLE:
            if is_price(event["price"]):
                book.last_price = event["price"]
            else:
                self.count("FEED_MESSAGE_FIELD")

    def _change_order(self, book: NaiveBook, event: dict[str, int]) -> None:
        order = self._named(book, event)
        if order is None:
            return None
        if event["kind"] == REPLACE:
            event["side"] = order.side
            self._remove(event["order_id"], order.quantity)
            return self._place(book, event, event["other_id"], order.side)
        if event["price"] == PRICE_KEPT:
            event["price"] = order.price
        if event["side"] not in (0, order.side) or not 0 <= event["quantity"] < WORD or not is_price(event["price"]):
            return self.fault(book, "FEED_MESSAGE_FIELD")
        event["side"] = order.side
        if event["quantity"] == 0 or event["price"] != order.price:
            self._remove(event["order_id"], order.quantity)
            return self._place(book, event, event["order_id"], order.side) if event["quantity"] else None
        if event["flags"] & REQUEUED:
            self.arrivals += 1
            order.priority = self.arrivals
        book.sides[order.side][order.price][0] += event["quantity"] - order.quantity
        order.quantity = event["quantity"]
        return None

    def _remove(self, order_id: int, quantity: int) -> None:
        order = self.orders[order_id]
        book = self.books[order.instrument]
        level = book.sides[order.side][order.price]
        order.quantity -= quantity
        level[0] -= quantity
        if order.quantity == 0:
            del self.orders[order_id]
            level[1] -= 1
            if level[1] == 0:
                self._vanish(book, order.instrument, order.side, order.price)

    def _named(self, book: NaiveBook, event: dict[str, int]) -> NaiveOrder | None:
        order = self.orders.get(event["order_id"])
        if order is None:
            self.count("FEED_ORDER_UNKNOWN")
            if book.flags & VALID:
                book.flag(FAULT)
            return None
        if order.instrument != event["instrument"]:
            self.books[order.instrument].flag(FAULT)
            self.fault(book, "FEED_INSTRUMENT_MISMATCH")
            return None
        return order

    def _levels(self, book: NaiveBook, event: dict[str, int]) -> None:
        side, instrument = event["side"], event["instrument"]
        if side not in (BUY, SELL) or any(order.instrument == instrument for order in self.orders.values()):
            return self.fault(book, "FEED_MESSAGE_FIELD")
        book.flag(LEVELS)
        if event["kind"] == LEVEL:
            return self._set_level(book, event)
        position, prices = event["order_id"] >> 32, book.prices(side)
        if position == 0:
            return self.fault(book, "FEED_MESSAGE_FIELD")
        if event["kind"] == OVERLAY:
            return self._overlay(book, event, prices[position - 1 : position])
        for price in prices[:position] if event["kind"] == THROUGH else prices[position - 1 :]:
            self._vanish(book, instrument, side, price)
        return None

    def _set_level(self, book: NaiveBook, event: dict[str, int]) -> None:
        side, instrument, price, quantity = (event[name] for name in ("side", "instrument", "price", "quantity"))
        if not is_price(price) or quantity < 0:
            return self.fault(book, "FEED_MESSAGE_FIELD")
        if quantity:
            return self._write(book, event)
        if price in book.sides[side]:
            return self._vanish(book, instrument, side, price)
        return self._miss(book)

    def _overlay(self, book: NaiveBook, event: dict[str, int], found: list[int]) -> None:
        if not is_price(event["price"]) or event["quantity"] <= 0:
            return self.fault(book, "FEED_MESSAGE_FIELD")
        if not found:
            return self._miss(book)
        self._vanish(book, event["instrument"], event["side"], found[0])
        return self._write(book, event)

    def _write(self, book: NaiveBook, event: dict[str, int]) -> None:
        side, instrument, price = event["side"], event["instrument"], event["price"]
        row = [event["quantity"], event["order_id"] % WORD]
        if price in book.sides[side]:
            book.sides[side][price] = row
        elif not self._room(book, instrument, side, price):
            self.fault(book, "FEED_LEVELS_FULL")
        else:
            self._stand(book, instrument, side, price, row)
            if book.depth and len(book.sides[side]) > book.depth:
                self._vanish(book, instrument, side, book.prices(side)[-1])

    def _miss(self, book: NaiveBook) -> None:
        self.count("FEED_LEVEL_UNKNOWN")
        if book.flags & VALID and not book.depth:
            book.flag(FAULT)

    def _empty(self, book: NaiveBook) -> None:
        for order_id in [key for key, order in self.orders.items() if self.books[order.instrument] is book]:
            self._remove(order_id, self.orders[order_id].quantity)
        instrument = next(number for number, other in self.books.items() if other is book)
        for side in (BUY, SELL):
            for price in book.prices(side):
                self._vanish(book, instrument, side, price)
        book.flag(0, LEVELS)
        book.tick, book.tick_next = book.tick_next or book.tick, 0

    def _stand(self, book: NaiveBook, instrument: int, side: int, price: int, row: list[int]) -> None:
        leaf = self._leaf(book, instrument, side, price)
        self.leaves[leaf] = self.leaves.get(leaf, 0) + 1
        book.sides[side][price] = row

    def _vanish(self, book: NaiveBook, instrument: int, side: int, price: int) -> None:
        del book.sides[side][price]
        leaf = self._leaf(book, instrument, side, price)
        self.leaves[leaf] -= 1
        if self.leaves[leaf] == 0:
            del self.leaves[leaf]

    def _room(self, book: NaiveBook, instrument: int, side: int, price: int) -> bool:
        return self._leaf(book, instrument, side, price) in self.leaves or len(self.leaves) < self.leaves_max

    def _leaf(self, book: NaiveBook, instrument: int, side: int, price: int) -> tuple[int, int, bool, int]:
        fine = price % book.tick != 0
        return instrument, side, fine, (price if fine else price // book.tick) // 64
