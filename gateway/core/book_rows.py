"""The row of a book ⑤ apart from its levels: first use, name, tick, depth, counts.

Hard rule: a row is listed the moment an event first names it.
"""

from gateway import limits
from gateway.core.counters import count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.levels import SIDE, side_of
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
EVENT = offsets("event")
BOOK_BYTES = size("book")

NAMED, FAULT = value("BOOK_NAMED"), value("BOOK_FAULT")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
TICK_MAX = limits.TICK_MAX


@leaf
def book_of(store, instrument):
    """Address of an instrument's row."""
    return load_i64(store + STORE.books) + instrument * BOOK_BYTES


@leaf
def listed_book(store, position):
    """Address of the row that came into use as number `position`."""
    return book_of(store, load_u32(book_of(store, position) + BOOK.listed) - 1)


@kernel
def name_book(book, symbol):
    """Sets the symbol, eight characters in one word; 0 says nothing."""
    if symbol != 0:
        store_i64(book + BOOK.symbol, symbol)
        store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) | NAMED)


@kernel
def set_tick(book, tick):
    """The tick of an instrument, 1 to TICK_MAX: of its keys at once when the book is empty, else when it is cleared.

    Until then prices keep the places they have, which are exact with any tick. 1 when the tick is possible.
    """
    if tick < 1 or tick > TICK_MAX:
        return 0
    if has_levels(book):
        store_i64(book + BOOK.tick_next, tick)
    else:
        store_i64(book + BOOK.tick_next, 0)
        store_i64(side_of(book, BUY) + SIDE.tick, tick)
        store_i64(side_of(book, SELL) + SIDE.tick, tick)
    return 1


@leaf
def has_levels(book):
    """Whether either side has a level."""
    return (load_i64(book + BOOK.bid_quantity) | load_i64(book + BOOK.ask_quantity)) != 0


@kernel
def fault(book, counters, reason):
    """Counts a contradiction and marks the book untrusted. Returns 0: no order, nothing changed."""
    doubt(book)
    return count_reason(counters, reason)


@kernel
def doubt(book):
    """Marks a book untrusted until it is rebuilt."""
    store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) | FAULT)


@leaf
def count_live(store, book, step):
    """One live order more or less, of the book and of all."""
    store_i64(store + STORE.orders_live, load_i64(store + STORE.orders_live) + step)
    store_u32(book + BOOK.orders, load_u32(book + BOOK.orders) + step)
