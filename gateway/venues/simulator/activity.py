"""Seeded order flow of the simulated venue: who does what, where and how much.

Beside the corridor, inside the venue. The mix is a real day's: of the feed's messages about 46 % adds, 41 % deletes and
cancels, 6 % replaces and 4 % executions; symbols by Zipf's law; prices close to the touch; sizes in round lots.
Hard rule: every choice is drawn from the flow's own generator, so that faults and clients do not shift it.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import load_i64, load_u8, load_u32
from gateway.layout import value
from gateway.venues.simulator.draws import below
from gateway.venues.simulator.feed import SIDE_BUY, SYMBOL, symbol_at
from gateway.venues.simulator.frames import COUNTERS, VENUE
from gateway.venues.simulator.ladder import LEVEL, LEVELS, ORDER, level_at, order_at
from gateway.venues.simulator.matching import (
    cancelled,
    crosses,
    entered,
    match,
    new_order_id,
    opposite_best,
    reduce,
    replace,
    rest,
)

SIDE_SELL = value("SIDE_SELL")
MIDDLE = LEVELS // 2
BAND = LEVELS // 5  # a market that has wandered so far from the middle is pulled back
DEPTH_MAX = 48  # ticks behind the touch

# Parts of 1,000 actions; what is left are whole cancels
ADDS, REPLACES, REDUCES, TAKES = 455, 61, 31, 29


@inner
def _draw(venue, limit):
    return below(venue + VENUE.random_flow, limit)


@inner
def _pick_symbol(venue):
    """A symbol by popularity: the first whose cumulative share is above the draw."""
    drawn = _draw(venue, 1 << 31)
    table = load_i64(venue + VENUE.popularity)
    low, high = 0, load_i64(venue + VENUE.symbols) - 1
    while low < high:
        middle = (low + high) // 2
        if load_i64(table + middle * 8) > drawn:
            high = middle
        else:
            low = middle + 1
    return low


@inner
def _pick_row(venue):
    """A live order of the flow, or 0."""
    members = load_i64(venue + VENUE.pool_count)
    if members == 0:
        return 0
    return load_u32(load_i64(venue + VENUE.pool) + _draw(venue, members) * 4)


@inner
def _size(venue):
    """Shares of an order: mostly one round lot, sometimes several, sometimes an odd lot."""
    drawn = _draw(venue, 10)
    if drawn < 6:
        return 100
    return (1 + _draw(venue, 10)) * 100 if drawn < 8 else 1 + _draw(venue, 99)


@inner
def _touch(symbol, side):
    """The best level of a side, or a level near the middle when that side is empty."""
    if side == SIDE_BUY:
        bid, ask = load_i64(symbol + SYMBOL.best_bid), load_i64(symbol + SYMBOL.best_ask)
        return bid if bid >= 0 else min(MIDDLE - 2, ask - 2)
    bid, ask = load_i64(symbol + SYMBOL.best_bid), load_i64(symbol + SYMBOL.best_ask)
    return ask if ask < LEVELS else max(MIDDLE + 2, bid + 2)


@inner
def _passive_level(venue, symbol, side):
    """A level that does not trade: often at the touch, sometimes inside the spread, else behind it, thinning out."""
    away = -1 if side == SIDE_BUY else 1
    touch, opposite = _touch(symbol, side), opposite_best(symbol, side)
    drawn = _draw(venue, 100)
    if drawn < 34:
        level = touch
    elif drawn < 44:
        wandered = (touch - MIDDLE) * -away > BAND
        level = touch if wandered else touch - away
    else:
        level = touch + away * (1 + _draw(venue, DEPTH_MAX) * _draw(venue, DEPTH_MAX) // DEPTH_MAX)
    if side == SIDE_BUY:
        return max(0, min(level, opposite - 1))
    return min(LEVELS - 1, max(level, opposite + 1))


@inner
def _add(venue):
    index = _pick_symbol(venue)
    symbol = symbol_at(venue, index)
    side = SIDE_BUY if _draw(venue, 2) == 0 else SIDE_SELL
    level, quantity = _passive_level(venue, symbol, side), _size(venue)
    if load_i64(venue + VENUE.free_row) == 0 or crosses(symbol, side, level):
        return 0
    entered(venue, quantity)
    rest(venue, index, side, level, quantity, new_order_id(venue), 0, 0, 0)
    return COUNTERS.actions_add


@inner
def _taker_side(venue, symbol):
    """Either side, but never further away once the market has wandered off."""
    bid, ask = load_i64(symbol + SYMBOL.best_bid), load_i64(symbol + SYMBOL.best_ask)
    side = SIDE_BUY if _draw(venue, 2) == 0 else SIDE_SELL
    if bid > MIDDLE + BAND:
        return SIDE_SELL
    return SIDE_BUY if ask < MIDDLE - BAND else side


@inner
def _take(venue):
    """A marketable order: mostly part or all of the first order in the queue, sometimes a sweep of a few levels."""
    index = _pick_symbol(venue)
    symbol = symbol_at(venue, index)
    side = _taker_side(venue, symbol)
    best = opposite_best(symbol, side)
    if best < 0 or best >= LEVELS:
        return 0
    head = load_u32(level_at(symbol, best) + LEVEL.head)
    quantity = min(_size(venue), load_u32(order_at(venue, head) + ORDER.quantity))
    reach = 0
    if _draw(venue, 8) == 0:
        quantity, reach = (1 + _draw(venue, 20)) * 100, _draw(venue, 4)
    level = min(LEVELS - 1, best + reach) if side == SIDE_BUY else max(0, best - reach)
    stays = _draw(venue, 4) == 0 and load_i64(venue + VENUE.free_row) != 0
    order_id = new_order_id(venue)
    entered(venue, quantity)
    left = quantity - match(venue, index, side, level, quantity, 0)
    if left > 0 and stays:
        rest(venue, index, side, level, left, order_id, 0, 0, 0)
    else:
        cancelled(venue, left)
    return COUNTERS.actions_take


@inner
def _replace(venue):
    row = _pick_row(venue)
    if row == 0:
        return 0
    order = order_at(venue, row)
    symbol, side = symbol_at(venue, load_u32(order + ORDER.symbol)), load_u8(order + ORDER.side)
    level = _passive_level(venue, symbol, side)
    replace(venue, row, level, _size(venue), 0, new_order_id(venue), 0)
    return COUNTERS.actions_replace


@inner
def _reduce(venue):
    """Takes part of an order away, where it has a part to lose."""
    row = _pick_row(venue)
    if row == 0:
        return 0
    quantity = load_u32(order_at(venue, row) + ORDER.quantity)
    reduce(venue, row, quantity // 2)
    return COUNTERS.actions_reduce if quantity > 1 else COUNTERS.actions_cancel


@inner
def _cancel(venue):
    row = _pick_row(venue)
    if row == 0:
        return 0
    reduce(venue, row, 0)
    return COUNTERS.actions_cancel


@inner
def _cancel_or_add(venue, drawn):
    """The depth asked for is kept: below it more orders come than go, above it more go."""
    wanted = load_i64(venue + VENUE.symbols) * load_i64(venue + VENUE.depth)
    members = load_i64(venue + VENUE.pool_count)
    adds = drawn < ADDS
    if members * 10 < wanted * 9 and _draw(venue, 2) == 0:
        adds = True
    elif members * 10 > wanted * 11 and _draw(venue, 8) == 0:
        adds = False
    return _add(venue) if adds else _cancel(venue)


@inner
def act(venue):
    """One action of the flow."""
    drawn = _draw(venue, 1000)
    if drawn < ADDS or drawn >= ADDS + REPLACES + REDUCES + TAKES:
        counter = _cancel_or_add(venue, drawn)
    elif drawn < ADDS + REPLACES:
        counter = _replace(venue)
    elif drawn < ADDS + REPLACES + REDUCES:
        counter = _reduce(venue)
    else:
        counter = _take(venue)
    add_to(load_i64(venue + VENUE.counters) + (counter if counter != 0 else COUNTERS.actions_void), 1)
