"""Price levels and queues of the simulated venue: a ladder of ticks per symbol, a doubly linked queue per level.

Beside the corridor, inside the venue, and on purpose not the appliance's book: two designs that agree prove something.
Hard rule: level quantity, level order count, occupancy bit and best prices change here and nowhere else.

    symbol ─ level 0 … 1023 ─ head ⇄ order ⇄ order ⇄ tail        oldest first
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import (
    leading_zeros,
    load_i64,
    load_u8,
    load_u32,
    store_i64,
    store_u8,
    store_u32,
    trailing_zeros,
)
from gateway.layout import offsets, size, value
from gateway.venues.simulator.feed import ORDER, SIDE_BUY, SYMBOL, symbol_at
from gateway.venues.simulator.frames import COUNTERS, VENUE

LEVEL = offsets("venue_level")
LEVEL_BYTES = size("venue_level")
ORDER_BYTES = size("venue_order")
LEVELS = value("VENUE_LADDER_LEVELS")
WORDS = value("VENUE_LADDER_WORDS")
CLIENT_ROWS = value("VENUE_CLIENT_ROWS")


@inner
def order_at(venue, row):
    """Address of an order's row."""
    return load_i64(venue + VENUE.orders) + row * ORDER_BYTES


@inner
def level_at(symbol, level):
    """Address of a level; `symbol` is the address of a symbol's row."""
    return load_i64(symbol + SYMBOL.levels) + level * LEVEL_BYTES


@inner
def price_of(symbol, level):
    """A level's price in 1/10000."""
    return load_i64(symbol + SYMBOL.floor_price) + level * load_i64(symbol + SYMBOL.tick)


@inner
def level_of(symbol, price):
    """The level of a price; -1 when it is outside the window or between two ticks."""
    floor, tick = load_i64(symbol + SYMBOL.floor_price), load_i64(symbol + SYMBOL.tick)
    # compared before subtracting: a hostile price near either end of 64 bits must not overflow
    if price < floor or price >= floor + LEVELS * tick or (price - floor) % tick != 0:
        return -1
    return (price - floor) // tick


@inner
def next_below(symbol, level):
    """The highest occupied level below `level`, or -1."""
    word = (level - 1) >> 6
    if level <= 0:
        return -1
    bits = load_i64(symbol + SYMBOL.occupied + word * 8)
    kept = 64 - (level - (word << 6))
    bits = (bits << kept) if kept > 0 else bits
    if bits != 0:
        return level - 1 - leading_zeros(bits)
    while word > 0:
        word -= 1
        bits = load_i64(symbol + SYMBOL.occupied + word * 8)
        if bits != 0:
            return (word << 6) + 63 - leading_zeros(bits)
    return -1


@inner
def next_above(symbol, level):
    """The lowest occupied level above `level`, or LEVELS."""
    level += 1
    word = level >> 6
    if word >= WORDS:
        return LEVELS
    bits = load_i64(symbol + SYMBOL.occupied + word * 8) & (-1 << (level & 63))
    while bits == 0:
        word += 1
        if word >= WORDS:
            return LEVELS
        bits = load_i64(symbol + SYMBOL.occupied + word * 8)
    return (word << 6) + trailing_zeros(bits)


@inner
def _occupy(symbol, level, side):
    word = symbol + SYMBOL.occupied + (level >> 6) * 8
    store_i64(word, load_i64(word) | (1 << (level & 63)))
    if side == SIDE_BUY:
        if level > load_i64(symbol + SYMBOL.best_bid):
            store_i64(symbol + SYMBOL.best_bid, level)
    elif level < load_i64(symbol + SYMBOL.best_ask):
        store_i64(symbol + SYMBOL.best_ask, level)


@inner
def _vacate(symbol, level, side):
    word = symbol + SYMBOL.occupied + (level >> 6) * 8
    store_i64(word, load_i64(word) & ~(1 << (level & 63)))
    if side == SIDE_BUY:
        if level == load_i64(symbol + SYMBOL.best_bid):
            store_i64(symbol + SYMBOL.best_bid, next_below(symbol, level))
    elif level == load_i64(symbol + SYMBOL.best_ask):
        store_i64(symbol + SYMBOL.best_ask, next_above(symbol, level))


@inner
def queue_last(venue, row, symbol, side, level, quantity):
    """Puts an order at the end of its level's queue; `symbol` is the address of the symbol's row."""
    order, rung = order_at(venue, row), level_at(symbol, level)
    tail = load_u32(rung + LEVEL.tail)
    store_u32(order + ORDER.level, level)
    store_u32(order + ORDER.quantity, quantity)
    store_u8(order + ORDER.side, side)
    store_u32(order + ORDER.next, 0)
    store_u32(order + ORDER.previous, tail)
    if tail != 0:
        store_u32(order_at(venue, tail) + ORDER.next, row)
    else:
        store_u32(rung + LEVEL.head, row)
        _occupy(symbol, level, side)
    store_u32(rung + LEVEL.tail, row)
    store_u32(rung + LEVEL.orders, load_u32(rung + LEVEL.orders) + 1)
    add_to(rung + LEVEL.quantity, quantity)
    add_to(symbol + SYMBOL.orders, 1)
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.resting_orders, 1)
    add_to(counters + COUNTERS.resting_shares, quantity)


@inner
def take_shares(venue, row, quantity):
    """Takes shares off a resting order, which keeps its place. The caller removes it when none are left."""
    order = order_at(venue, row)
    symbol = symbol_at(venue, load_u32(order + ORDER.symbol))
    store_u32(order + ORDER.quantity, load_u32(order + ORDER.quantity) - quantity)
    add_to(level_at(symbol, load_u32(order + ORDER.level)) + LEVEL.quantity, -quantity)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.resting_shares, -quantity)


@inner
def leave_queue(venue, row):
    """Takes an order with whatever it has left out of its level."""
    order = order_at(venue, row)
    take_shares(venue, row, load_u32(order + ORDER.quantity))
    symbol, level = symbol_at(venue, load_u32(order + ORDER.symbol)), load_u32(order + ORDER.level)
    rung = level_at(symbol, level)
    before, behind = load_u32(order + ORDER.previous), load_u32(order + ORDER.next)
    if before != 0:
        store_u32(order_at(venue, before) + ORDER.next, behind)
    else:
        store_u32(rung + LEVEL.head, behind)
    if behind != 0:
        store_u32(order_at(venue, behind) + ORDER.previous, before)
    else:
        store_u32(rung + LEVEL.tail, before)
    orders = load_u32(rung + LEVEL.orders) - 1
    store_u32(rung + LEVEL.orders, orders)
    if orders == 0:
        _vacate(symbol, level, load_u8(order + ORDER.side))
    add_to(symbol + SYMBOL.orders, -1)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.resting_orders, -1)
