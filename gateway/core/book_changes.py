"""The two changes every event of a book ⑤ is made of: an order takes its place, quantity leaves an order.

Hard rule: order row, level, tree, counts and best stay one consistent whole; a refusal changes none of them.
"""

from gateway.core.book_orders import NO_ROW, TAKEN, find_order, keep_reach, release_row, vacant_row
from gateway.core.book_rows import book_of, count_live, doubt, fault
from gateway.core.book_top import lower_level, raise_level
from gateway.core.kernel import kernel
from gateway.core.levels import key_of, level_for
from gateway.core.memory import load_i64, load_u8, load_u16, load_u32, store_i64, store_u8, store_u16, store_u32
from gateway.layout import offsets, value

STORE = offsets("book_store")
ORDER = offsets("book_order")
EVENT = offsets("event")
WORD = 1 << 32  # prices and quantities of a row are 32 bits wide

FIELD, DUPLICATE = value("FEED_MESSAGE_FIELD"), value("FEED_ORDER_DUPLICATE")
ORDERS_FULL, LEVELS_FULL = value("FEED_ORDERS_FULL"), value("FEED_LEVELS_FULL")


@kernel
def place(store, book, event, order_id, side, counters):
    """Writes order row and level; refuses, with the reason, what has no place."""
    price, quantity = load_i64(event + EVENT.price), load_i64(event + EVENT.quantity)
    if side < 1 or side > 2 or price < 0 or price >= WORD or quantity <= 0 or quantity >= WORD:
        return fault(book, counters, FIELD)
    row = vacant_row(store, order_id)
    if row == TAKEN:
        doubt(book_of(store, load_u16(find_order(store, order_id) + ORDER.instrument)))
        return fault(book, counters, DUPLICATE)
    if row == NO_ROW or load_i64(store + STORE.orders_live) >= load_i64(store + STORE.orders_max):
        return fault(book, counters, ORDERS_FULL)
    level = level_for(store, book, side, key_of(store, price))
    if level == 0:
        return fault(book, counters, LEVELS_FULL)
    store_i64(row + ORDER.order_id, order_id)
    store_u32(row + ORDER.level, level)
    store_u32(row + ORDER.quantity, quantity)
    store_u32(row + ORDER.price, price)
    store_u16(row + ORDER.instrument, load_u32(event + EVENT.instrument))
    store_u8(row + ORDER.side, side)
    store_i64(row + ORDER.priority, load_i64(event + EVENT.sequence))
    keep_reach(store, row, order_id)
    count_live(store, book, 1)
    return raise_level(store, book, side, level, price, quantity)


@kernel
def remove(store, book, row, quantity, left):
    """Takes `quantity` of the `left` from an order and its level; releases the row when that is all."""
    level, price, side = load_u32(row + ORDER.level), load_u32(row + ORDER.price), load_u8(row + ORDER.side)
    if quantity == left:
        release_row(store, row)
        count_live(store, book, -1)
        return lower_level(store, book, side, level, price, quantity, 1)
    store_u32(row + ORDER.quantity, left - quantity)
    return lower_level(store, book, side, level, price, quantity, 0)
