"""Level quantities and the best of a side of a book ⑤: what strategies read, kept right with every change.

Hard rule: after each change bid and ask of the row are the best levels of the trees; quantity 0 says the side is empty.
"""

from gateway.core.book_depth import best_level, leaf_edge
from gateway.core.counters import add_to
from gateway.core.kernel import kernel, leaf
from gateway.core.levels import DIGIT_BITS, SIDE, drop_level, level_at, occupy, price_of, side_of
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, value

BOOK = offsets("book")
LEVEL = offsets("level")
CORE = offsets("core_counters")
BUY = value("SIDE_BUY")
CROSSED, AUCTION = value("BOOK_CROSSED"), value("TRADING_AUCTION")
PRICE, QUANTITY = 0, BOOK.bid_quantity - BOOK.bid_price
TOP_BYTES = BOOK.ask_price - BOOK.bid_price


@leaf
def top_of(book, number):
    """Address of the best price of a side; its quantity follows."""
    return book + BOOK.bid_price + (number - BUY) * TOP_BYTES


@leaf
def raise_level(store, book, number, index, price, quantity):
    """One more order at a level. 1 when that is the top now."""
    level = level_at(store, index)
    orders = load_u32(level + LEVEL.orders)
    total = load_i64(level + LEVEL.quantity) + quantity
    store_u32(level + LEVEL.orders, orders + 1)
    store_i64(level + LEVEL.quantity, total)
    if orders == 0:
        occupy(store, index)
    return raise_top(book, number, price, total)


@leaf
def raise_top(book, number, price, total):
    """A level has this quantity now: 1 when it is the top, as it was or because it is better."""
    top = top_of(book, number)
    best = load_i64(top + PRICE)
    if price != best and load_i64(top + QUANTITY) != 0 and (price > best) != (number == BUY):
        return 0
    store_i64(top + PRICE, price)
    store_i64(top + QUANTITY, total)
    return 1


@leaf
def lower_level(store, book, number, index, price, quantity, orders_gone):
    """Quantity, and with it an order or none, leaves a level. 1 when that was the top."""
    level = level_at(store, index)
    orders = load_u32(level + LEVEL.orders) - orders_gone
    total = load_i64(level + LEVEL.quantity) - quantity
    store_u32(level + LEVEL.orders, orders)
    store_i64(level + LEVEL.quantity, total)
    leaf_stays = 1
    if orders == 0:
        leaf_stays = drop_level(store, side_of(book, number), index)
    top = top_of(book, number)
    if load_i64(top + PRICE) != price:
        return 0
    if orders == 0:
        find_top(store, book, number, index, leaf_stays)
    else:
        store_i64(top + QUANTITY, total)
    return 1


@leaf
def find_top(store, book, number, index, leaf_stays):
    """The best level is gone: the next one, in the same leaf when it has one and no fine price can come between."""
    side = side_of(book, number)
    if leaf_stays != 0 and load_u32(side + SIDE.fine_root) == 0:
        best = leaf_edge(store, index >> DIGIT_BITS, number)
    else:
        best = best_level(store, side, number)
    top = top_of(book, number)
    if best == 0:
        store_i64(top + PRICE, 0)
        store_i64(top + QUANTITY, 0)
    else:
        store_i64(top + PRICE, price_of(store, best))
        store_i64(top + QUANTITY, load_i64(level_at(store, best) + LEVEL.quantity))


@leaf
def settle_top(book, counters):
    """Keeps BOOK_CROSSED right after an event moved the top; counts each time a book becomes crossed outside an auction."""
    flags = load_u32(book + BOOK.flags)
    two_sided = load_i64(book + BOOK.bid_quantity) != 0 and load_i64(book + BOOK.ask_quantity) != 0
    crossed = two_sided and load_i64(book + BOOK.bid_price) >= load_i64(book + BOOK.ask_price)
    if crossed != (flags & CROSSED != 0):
        store_u32(book + BOOK.flags, flags ^ CROSSED)
        if crossed and load_u32(book + BOOK.trading) != AUCTION:
            add_to(counters + CORE.crossed, 1)


@kernel
def set_trading(book, state, counters):
    """A new trading state; an auction that ends and leaves the book crossed counts as becoming crossed."""
    was_auction = load_u32(book + BOOK.trading) == AUCTION
    store_u32(book + BOOK.trading, state)
    if was_auction and state != AUCTION and load_u32(book + BOOK.flags) & CROSSED:
        add_to(counters + CORE.crossed, 1)
