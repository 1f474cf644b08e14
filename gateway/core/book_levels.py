"""Books ⑤ of levels: the venue states price levels, whole or by position, and keeps perhaps only the best few.

A level beyond the depth of the book is gone: the venue deletes it without a word when a better one comes. So a delete
of a level that is not there contradicts only a complete book of unlimited depth. Hard rule: as in book_changes.py, level,
tree, counts and best stay one consistent whole.
"""

from gateway.core.book_changes import LEVELS_FULL, is_price
from gateway.core.book_channels import follow_channel
from gateway.core.book_depth import best_level, find_level, level_at_position, next_level
from gateway.core.book_rows import BOOK, fault
from gateway.core.book_sequences import continue_sequence
from gateway.core.book_top import PRICE, QUANTITY, find_top, raise_top, top_of
from gateway.core.counters import count_reason
from gateway.core.kernel import inner
from gateway.core.levels import LEVEL, SIDE, drop_level, key_of, level_at, level_for, occupy, price_of, side_of
from gateway.core.memory import load_i64, load_u8, load_u32, shift_right, store_i64, store_u32
from gateway.layout import offsets, value

EVENT = offsets("event")
LEVEL_SET, FROM = value("EVENT_LEVEL"), value("EVENT_LEVELS_FROM")
THROUGH, OVERLAY = value("EVENT_LEVELS_THROUGH"), value("EVENT_LEVEL_OVERLAY")
OF_SNAPSHOT = value("EVENT_OF_SNAPSHOT")
VALID, FAULT, LEVELS = value("BOOK_VALID"), value("BOOK_FAULT"), value("BOOK_LEVELS")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_LEVEL_UNKNOWN")
SELL = value("SIDE_SELL")
WORD_MASK = (1 << 32) - 1


@inner
def apply_levels(store, book, event, kind, counters):
    """One event of levels: 1 when the top of its side is another one."""
    if load_u8(event + EVENT.flags) & OF_SNAPSHOT == 0:
        if load_i64(event + EVENT.other_id) != 0:
            if continue_sequence(store, book, event, counters) == 0:
                return 0
        else:
            follow_channel(store, book)
    number = load_u8(event + EVENT.side)
    if number < 1 or number > SELL or load_u32(book + BOOK.orders) != 0:
        return fault(book, counters, FIELD)
    store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) | LEVELS)
    top = top_of(book, number)
    price, quantity = load_i64(top + PRICE), load_i64(top + QUANTITY)
    if kind == LEVEL_SET:
        set_level(store, book, number, event, counters)
    else:
        move_levels(store, book, number, event, kind, counters)
    return 1 if price != load_i64(top + PRICE) or quantity != load_i64(top + QUANTITY) else 0


@inner
def set_level(store, book, number, event, counters):
    """The level at a price has this quantity now; quantity 0: it is gone."""
    price, quantity = load_i64(event + EVENT.price), load_i64(event + EVENT.quantity)
    if not is_price(price) or quantity < 0:
        fault(book, counters, FIELD)
        return
    side = side_of(book, number)
    if quantity != 0:
        write_level(store, book, number, price, quantity, load_i64(event + EVENT.order_id) & WORD_MASK, counters)
        return
    index = find_level(store, side, key_of(side, price))
    if index == 0:
        miss(book, counters)
    else:
        take_level(store, book, number, index)


@inner
def write_level(store, book, number, price, quantity, orders, counters):
    """A level as the venue states it; the worst one goes when there are more than the venue keeps."""
    side = side_of(book, number)
    index = level_for(store, side, key_of(side, price))
    if index == 0:
        fault(book, counters, LEVELS_FULL)
        return
    level = level_at(store, index)
    is_new = load_i64(level + LEVEL.quantity) == 0
    store_i64(level + LEVEL.quantity, quantity)
    store_u32(level + LEVEL.orders, orders)
    raise_top(book, number, price, quantity)
    if is_new:
        occupy(store, index)
        count, depth = load_u32(side + SIDE.levels) + 1, load_u32(book + BOOK.depth)
        store_u32(side + SIDE.levels, count)
        if depth != 0 and count > depth:
            take_level(store, book, number, best_level(store, side, 3 - number))


@inner
def take_level(store, book, number, index):
    """A level is gone."""
    side, level, price = side_of(book, number), level_at(store, index), price_of(store, index)
    store_i64(level + LEVEL.quantity, 0)
    store_u32(level + LEVEL.orders, 0)
    leaf_stays = drop_level(store, side, index)
    store_u32(side + SIDE.levels, load_u32(side + SIDE.levels) - 1)
    if load_i64(top_of(book, number) + PRICE) == price:
        find_top(store, book, number, index, leaf_stays)


@inner
def move_levels(store, book, number, event, kind, counters):
    """The events that name a level by its position."""
    position = shift_right(load_i64(event + EVENT.order_id), 32)
    side = side_of(book, number)
    if position == 0:
        fault(book, counters, FIELD)
    elif kind == THROUGH:
        for _ in range(min(position, load_u32(side + SIDE.levels))):
            take_level(store, book, number, best_level(store, side, number))
    elif kind == FROM:
        index = level_at_position(store, side, number, position)
        for _ in range(load_u32(side + SIDE.levels)):
            if index == 0:
                break
            following = next_level(store, side, number, price_of(store, index))
            take_level(store, book, number, index)
            index = following
    elif kind == OVERLAY:
        overlay(store, book, number, event, position, counters)


@inner
def overlay(store, book, number, event, position, counters):
    """The level at a position has another price now."""
    price, quantity = load_i64(event + EVENT.price), load_i64(event + EVENT.quantity)
    if not is_price(price) or quantity <= 0:
        fault(book, counters, FIELD)
        return
    index = level_at_position(store, side_of(book, number), number, position)
    if index == 0:
        miss(book, counters)
    else:
        take_level(store, book, number, index)
        write_level(store, book, number, price, quantity, load_i64(event + EVENT.order_id) & WORD_MASK, counters)


@inner
def miss(book, counters):
    """A level that is not there: only a complete book of every level is contradicted by it."""
    count_reason(counters, UNKNOWN)
    flags = load_u32(book + BOOK.flags)
    if flags & VALID and load_u32(book + BOOK.depth) == 0:
        store_u32(book + BOOK.flags, flags | FAULT)
