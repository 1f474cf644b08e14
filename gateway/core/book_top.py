"""Level quantities and the best of a side of a book ⑤: what strategies read, kept right with every change.

Hard rule: after each change bid and ask of the row are the best levels of the trees; quantity 0 says the side is empty.
"""

from gateway.core.kernel import kernel, leaf
from gateway.core.levels import FINE_BIT, best_level, drop_level, level_at, occupy, root_of, same_leaf_best
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, value

BOOK = offsets("book")
LEVEL = offsets("level")
CORE = offsets("core_counters")
BUY = value("SIDE_BUY")
CROSSED = value("BOOK_CROSSED")
PRICE, QUANTITY = 0, BOOK.bid_quantity - BOOK.bid_price
SIDE_BYTES = BOOK.ask_price - BOOK.bid_price


@leaf
def top_of(book, side):
    """Address of the best price of a side; its quantity follows."""
    return book + BOOK.bid_price + (side - BUY) * SIDE_BYTES


@leaf
def raise_level(store, book, side, index, price, quantity):
    """One more order at a level. 1 when that is the top now."""
    level = level_at(store, index)
    orders = load_u32(level + LEVEL.orders)
    total = load_i64(level + LEVEL.quantity) + quantity
    store_u32(level + LEVEL.orders, orders + 1)
    store_i64(level + LEVEL.quantity, total)
    if orders == 0:
        store_u32(level + LEVEL.price, price)
        occupy(store, index)
    top = top_of(book, side)
    best = load_i64(top + PRICE)
    if price != best and load_i64(top + QUANTITY) != 0 and (price > best) != (side == BUY):
        return 0
    store_i64(top + PRICE, price)
    store_i64(top + QUANTITY, total)
    return 1


@leaf
def lower_level(store, book, side, index, price, quantity, orders_gone):
    """Quantity, and with it an order or none, leaves a level. 1 when that was the top."""
    level = level_at(store, index)
    orders = load_u32(level + LEVEL.orders) - orders_gone
    total = load_i64(level + LEVEL.quantity) - quantity
    store_u32(level + LEVEL.orders, orders)
    store_i64(level + LEVEL.quantity, total)
    leaf_stays = 1
    if orders == 0:
        leaf_stays = drop_level(store, book, side, index, price)
    top = top_of(book, side)
    if load_i64(top + PRICE) != price:
        return 0
    if orders == 0:
        find_top(store, book, side, index, leaf_stays)
    else:
        store_i64(top + QUANTITY, total)
    return 1


@kernel
def find_top(store, book, side, index, leaf_stays):
    """The best level is gone: the next one, in the same leaf when it has one and no fine price can come between."""
    if leaf_stays != 0 and load_u32(root_of(book, side, 1 << FINE_BIT)) == 0:
        level = same_leaf_best(store, index, side)
    else:
        level = best_level(store, book, side)
    top = top_of(book, side)
    if level == 0:
        store_i64(top + PRICE, 0)
        store_i64(top + QUANTITY, 0)
    else:
        store_i64(top + PRICE, load_u32(level + LEVEL.price))
        store_i64(top + QUANTITY, load_i64(level + LEVEL.quantity))


@leaf
def settle_top(book, counters):
    """Keeps BOOK_CROSSED right after an event moved the top, and counts each time a book becomes crossed."""
    flags = load_u32(book + BOOK.flags)
    two_sided = load_i64(book + BOOK.bid_quantity) != 0 and load_i64(book + BOOK.ask_quantity) != 0
    crossed = two_sided and load_i64(book + BOOK.bid_price) >= load_i64(book + BOOK.ask_price)
    if crossed != (flags & CROSSED != 0):
        store_u32(book + BOOK.flags, flags ^ CROSSED)
        if crossed:
            store_i64(counters + CORE.crossed, load_i64(counters + CORE.crossed) + 1)
