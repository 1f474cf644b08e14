"""The changes every event of a book ⑤ of orders is made of: an order takes its place, quantity leaves an order.

Hard rule: order row, level, tree, counts and best stay one consistent whole; a refusal changes none of them.
"""

from gateway import limits
from gateway.core.book_orders import NO_ROW, TAKEN, find_order, keep_reach, release_row, vacant_row
from gateway.core.book_rows import BOOK, book_of, count_live, doubt, fault
from gateway.core.book_top import PRICE, lower_level, raise_level, raise_top, top_of
from gateway.core.kernel import kernel, leaf
from gateway.core.levels import LEVEL, key_of, level_at, level_for, side_of
from gateway.core.memory import load_i64, load_u8, load_u16, load_u32, store_i64, store_u8, store_u16, store_u32
from gateway.layout import offsets, value

STORE = offsets("book_store")
ORDER = offsets("book_order")
EVENT = offsets("event")
PRICE_KEPT = -(1 << 63)  # EVENT_SET without a price
WORD = 1 << 32  # quantities of a row are 32 bits wide
PRICE_LIMIT = limits.PRICE_LIMIT

LEVELS, REQUEUED = value("BOOK_LEVELS"), value("EVENT_REQUEUED")
FIELD, DUPLICATE = value("FEED_MESSAGE_FIELD"), value("FEED_ORDER_DUPLICATE")
ORDERS_FULL, LEVELS_FULL = value("FEED_ORDERS_FULL"), value("FEED_LEVELS_FULL")


@leaf
def is_price(price):
    """Whether a book has a place for it."""
    return -PRICE_LIMIT <= price < PRICE_LIMIT


@leaf
def place(store, book, event, order_id, number, counters):
    """Writes order row and level; refuses, with the reason, what has no place."""
    price, quantity = load_i64(event + EVENT.price), load_i64(event + EVENT.quantity)
    if number < 1 or number > 2 or not is_price(price) or quantity <= 0 or quantity >= WORD:
        return fault(book, counters, FIELD)
    if load_u32(book + BOOK.flags) & LEVELS:
        return fault(book, counters, FIELD)
    row = vacant_row(store, order_id)
    if row == TAKEN:
        doubt(book_of(store, load_u16(find_order(store, order_id) + ORDER.instrument)))
        return fault(book, counters, DUPLICATE)
    if row == NO_ROW or load_i64(store + STORE.orders_live) >= load_i64(store + STORE.orders_max):
        return fault(book, counters, ORDERS_FULL)
    side = side_of(book, number)
    level = level_for(store, side, key_of(side, price))
    if level == 0:
        return fault(book, counters, LEVELS_FULL)
    store_i64(row + ORDER.order_id, order_id)
    store_i64(row + ORDER.price, price)
    store_u32(row + ORDER.level, level)
    store_u32(row + ORDER.quantity, quantity)
    store_u16(row + ORDER.instrument, load_u32(event + EVENT.instrument))
    store_u8(row + ORDER.side, number)
    join_queue(store, row)
    keep_reach(store, row, order_id)
    count_live(store, book, 1)
    return raise_level(store, book, number, level, price, quantity)


@leaf
def join_queue(store, row):
    """An order takes its place behind all others."""
    arrivals = load_u32(store + STORE.arrivals) + 1
    store_u32(store + STORE.arrivals, arrivals)
    store_u32(row + ORDER.priority, arrivals)


@leaf
def remove(store, book, row, quantity, left):
    """Takes `quantity` of the `left` from an order and its level; releases the row when that is all."""
    level, price, number = load_u32(row + ORDER.level), load_i64(row + ORDER.price), load_u8(row + ORDER.side)
    if quantity == left:
        release_row(store, row)
        count_live(store, book, -1)
        return lower_level(store, book, number, level, price, quantity, 1)
    store_u32(row + ORDER.quantity, left - quantity)
    return lower_level(store, book, number, level, price, quantity, 0)


@kernel
def place_order(store, book, event, order_id, number, counters):
    """`place` where it is not worth its room: a call costs 10 ns (measured)."""
    return place(store, book, event, order_id, number, counters)


@kernel
def remove_order(store, book, row, quantity, left):
    """`remove`, as above."""
    return remove(store, book, row, quantity, left)


@kernel
def set_order(store, book, event, row, counters):
    """EVENT_SET: an order has another price or quantity; nothing left of it: it goes. The caller looks at the top."""
    price, quantity = load_i64(event + EVENT.price), load_i64(event + EVENT.quantity)
    left, number = load_u32(row + ORDER.quantity), load_u8(row + ORDER.side)
    if price == PRICE_KEPT:
        price = load_i64(row + ORDER.price)
        store_i64(event + EVENT.price, price)
    if load_u8(event + EVENT.side) not in (0, number) or quantity < 0 or quantity >= WORD or not is_price(price):
        return fault(book, counters, FIELD)
    store_u8(event + EVENT.side, number)
    if quantity == 0:
        return remove_order(store, book, row, left, left)
    if price != load_i64(row + ORDER.price):
        remove_order(store, book, row, left, left)
        return place_order(store, book, event, load_i64(event + EVENT.order_id), number, counters)
    if load_u8(event + EVENT.flags) & REQUEUED:
        join_queue(store, row)
    return resize(store, book, row, price, quantity - left)


@kernel
def resize(store, book, row, price, change):
    """An order in its place has so much more or less. 1 when it stands at the top."""
    store_u32(row + ORDER.quantity, load_u32(row + ORDER.quantity) + change)
    number = load_u8(row + ORDER.side)
    level = level_at(store, load_u32(row + ORDER.level))
    total = load_i64(level + LEVEL.quantity) + change
    store_i64(level + LEVEL.quantity, total)
    if load_i64(top_of(book, number) + PRICE) != price:
        return 0
    return raise_top(book, number, price, total)
