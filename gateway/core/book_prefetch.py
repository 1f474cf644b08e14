"""Brings near what the next events will touch in books ⑤, while the ones before them are applied.

    index            index + AHEAD                     index + 2 AHEAD
    applied now      order row and ways are here:      book row, home row of the order id
                     ask for the level                 and ways are asked for

A core has room for a dozen or two misses; asking for a whole packet at once loses what exceeds it (measured).
Hard rule: reads nothing that an event could point outside the store.
"""

from gateway.core.book_changes import is_price
from gateway.core.book_orders import home_row, near_row
from gateway.core.book_rows import book_of
from gateway.core.kernel import kernel, leaf
from gateway.core.levels import DIGIT_BITS, key_of, level_at, likely_level, side_of
from gateway.core.memory import load_i64, load_u8, load_u32, prefetch
from gateway.core.nodes import leaf_at
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
ORDER = offsets("book_order")
EVENT = offsets("event")
EVENT_BYTES = size("event")
ADD, REPLACE = value("EVENT_ADD"), value("EVENT_REPLACE")
AHEAD = 6  # events


@kernel
def prefetch_events(store, events, count):
    """Before the first of `count` struct event rows is applied: asks for what the first ones touch."""
    for index in range(min(count, 2 * AHEAD)):
        prefetch_rows(store, events + index * EVENT_BYTES)
    for index in range(min(count, AHEAD)):
        prefetch_levels(store, events + index * EVENT_BYTES)


@leaf
def prefetch_ahead(store, events, index, count):
    """Before event `index` of `count` is applied: asks for what later ones touch."""
    if index + 2 * AHEAD < count:
        prefetch_rows(store, events + (index + 2 * AHEAD) * EVENT_BYTES)
    if index + AHEAD < count:
        prefetch_levels(store, events + (index + AHEAD) * EVENT_BYTES)


@leaf
def prefetch_rows(store, event):
    """Book row and home row; what REPLACE and ADD need besides."""
    kind = load_u8(event + EVENT.kind)
    book = book_of(store, load_u32(event + EVENT.instrument))
    prefetch(book)
    prefetch(home_row(store, load_i64(event + EVENT.order_id)))
    if kind == ADD:
        prefetch(side_of(book, load_u8(event + EVENT.side)))
    elif kind == REPLACE:
        prefetch(home_row(store, load_i64(event + EVENT.other_id)))
        prefetch(book + BOOK.bid)
        prefetch(book + BOOK.ask)


@leaf
def prefetch_levels(store, event):
    """The level an ADD will raise, or the one an order stands at."""
    kind = load_u8(event + EVENT.kind)
    if kind == ADD:
        prefetch_target(store, event, load_u8(event + EVENT.side))
        return
    order_id = load_i64(event + EVENT.order_id)
    row = near_row(home_row(store, order_id), order_id)
    if row != 0:
        prefetch_level(store, load_u32(row + ORDER.level))
        if kind == REPLACE:
            prefetch_target(store, event, load_u8(row + ORDER.side))


@leaf
def prefetch_target(store, event, number):
    """The level a new order will stand at, when a way knows its leaf."""
    instrument, price = load_u32(event + EVENT.instrument), load_i64(event + EVENT.price)
    if instrument < load_i64(store + STORE.instruments) and (number == 1 or number == 2) and is_price(price):
        side = side_of(book_of(store, instrument), number)
        prefetch_level(store, likely_level(side, key_of(side, price)))


@leaf
def prefetch_level(store, index):
    """A level and the head of its leaf, which a first or last order touches."""
    prefetch(level_at(store, index))
    prefetch(leaf_at(store, index >> DIGIT_BITS))
