"""At which prices a position can be closed: from the books in shared memory, else the last trade, else the mark.

Beside the corridor. Hard rule: it says where a price comes from, and never makes one up; without any there is no order,
because OUCH has none without a price in continuous trading.
"""

from typing import NamedTuple

from gateway import layout
from gateway.core import book_reader
from gateway.core.book_store import make_store
from gateway.instance import Instance

UNTRUSTED = layout.value("BOOK_STALE") | layout.value("BOOK_FAULT") | layout.value("BOOK_CROSSED")
PRICE_MAX = layout.value("ORDER_PRICE_MAX")
MILLION = 1_000_000
DOLLAR = 10_000
TICK_WHOLE, TICK_FINE = 100, 1  # of an instrument that nobody described: a cent, below a dollar its hundredth


class Touch(NamedTuple):
    """Best prices of one instrument in 1/10000; both are the same where they come from one price."""

    bid: int
    ask: int
    tick: int
    source: str  # "book", "last trade", "mark"

    def own(self, buying: bool) -> int:
        """Where an order of this side rests first in line."""
        return self.bid if buying else self.ask

    def through(self, buying: bool, ppm: int) -> int:
        """So far through the other side's best price, rounded to the tick away from us; within what an order carries."""
        if buying:
            price = -(-self.ask * (MILLION + ppm) // MILLION)
            return min(-(-price // self.tick) * self.tick, PRICE_MAX // self.tick * self.tick)
        return max(self.bid * (MILLION - ppm) // MILLION // self.tick * self.tick, self.tick)


class Prices:
    """The prices of every instrument of an appliance, read as they are now."""

    def __init__(self, instance: Instance):
        self._store = make_store(*(instance.body(name) for name in ("books", "levels", "book_orders")))
        self._books, self._gate = instance.rows("books"), instance.rows("gate")
        self._rows: dict[str, int] = {}

    def touch(self, symbol: str) -> Touch | None:
        """None where nothing says what the instrument is worth."""
        row = self._row(symbol)
        if row is None:
            return None
        book, gate = self._books[row], self._gate[row]
        bid, ask = (int(book[f"{side}_price"]) if book[f"{side}_quantity"] > 0 else 0 for side in ("bid", "ask"))
        if not int(book["flags"]) & UNTRUSTED and (bid > 0 or ask > 0):
            return Touch(bid or ask, ask or bid, _tick(int(gate["tick"]), bid or ask), "book")
        for price, source in ((int(book["last_price"]), "last trade"), (int(gate["mark"]), "mark")):
            if price > 0:
                return Touch(price, price, _tick(int(gate["tick"]), price), source)
        return None

    def _row(self, symbol: str) -> int | None:
        if symbol not in self._rows:
            self._rows = {name: row for row, name in book_reader.instruments(self._store) if name}
        return self._rows.get(symbol)


def _tick(known: int, price: int) -> int:
    return known if known > 0 else TICK_WHOLE if price >= DOLLAR else TICK_FINE
