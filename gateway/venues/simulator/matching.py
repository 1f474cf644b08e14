"""The matching engine of the simulated venue: price-time priority over the ladder.

Beside the corridor, inside the venue. Hard rule: an order trades before it rests, at the resting order's price, oldest
first; every share entered is traded, cancelled or resting, and the counters add up at any moment.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import load_i64, load_u8, load_u32, store_i64, store_u32
from gateway.venues.simulator.feed import (
    SIDE_BUY,
    SYMBOL,
    say_add,
    say_cancel,
    say_delete,
    say_executed,
    say_replace,
    symbol_at,
)
from gateway.venues.simulator.frames import COUNTERS, VENUE
from gateway.venues.simulator.ladder import (
    LEVEL,
    LEVELS,
    ORDER,
    leave_queue,
    level_at,
    order_at,
    price_of,
    queue_last,
    take_shares,
)
from gateway.venues.simulator.letters import LETTERS
from gateway.venues.simulator.reports import report_executed
from gateway.venues.simulator.rows import give_row, take_row


@inner
def opposite_best(symbol, side):
    """The level an order of `side` would trade at first; outside the ladder when there is none."""
    return load_i64(symbol + SYMBOL.best_ask) if side == SIDE_BUY else load_i64(symbol + SYMBOL.best_bid)


@inner
def crosses(symbol, side, level):
    """Whether an order of `side` at `level` would trade now."""
    best = opposite_best(symbol, side)
    return (best <= level and best < LEVELS) if side == SIDE_BUY else best >= level and best >= 0


@inner
def tradable(symbol, side, level, quantity):
    """Shares of `quantity` that would trade now, without trading them."""
    found = 0
    step = 1 if side == SIDE_BUY else -1
    best = opposite_best(symbol, side)
    while 0 <= best < LEVELS and (level - best) * step >= 0 and found < quantity:
        found += load_i64(level_at(symbol, best) + LEVEL.quantity)
        best += step
    return min(found, quantity)


@inner
def _settle(venue, symbol, side, quantity, price, reference, liquidity, match_number):
    """What a trade means for the client when one of its orders took part."""
    if reference == 0:
        return
    signed = quantity if side == SIDE_BUY else -quantity
    add_to(symbol + SYMBOL.client_position, signed)
    add_to(symbol + SYMBOL.client_cash, -signed * price)
    add_to(symbol + (SYMBOL.client_bought if side == SIDE_BUY else SYMBOL.client_sold), quantity)
    report_executed(venue, reference, quantity, price, liquidity, match_number)


@inner
def _trade(venue, symbol, side, row, quantity, reference):
    """One match of an incoming order of `side` with the resting order `row`."""
    order = order_at(venue, row)
    resting = load_u32(order + ORDER.user_reference)
    price = price_of(symbol, load_u32(order + ORDER.level))
    match_number = load_i64(venue + VENUE.next_match)
    store_i64(venue + VENUE.next_match, match_number + 1)
    say_executed(venue, order, quantity, match_number)
    store_i64(symbol + SYMBOL.last_price, price)
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.matches, 1)
    add_to(counters + COUNTERS.shares_traded, quantity)
    take_shares(venue, row, quantity)
    store_u32(order + ORDER.executed, load_u32(order + ORDER.executed) + quantity)
    _settle(venue, symbol, load_u8(order + ORDER.side), quantity, price, resting, LETTERS.A, match_number)
    _settle(venue, symbol, side, quantity, price, reference, LETTERS.R, match_number)
    if load_u32(order + ORDER.quantity) == 0:
        leave_queue(venue, row)
        give_row(venue, row)


@inner
def match(venue, symbol_index, side, level, quantity, reference):
    """Trades an incoming order as far as its level allows. Returns the shares traded."""
    symbol = symbol_at(venue, symbol_index)
    left = quantity
    while left > 0 and crosses(symbol, side, level):
        row = load_u32(level_at(symbol, opposite_best(symbol, side)) + LEVEL.head)
        traded = min(left, load_u32(order_at(venue, row) + ORDER.quantity))
        _trade(venue, symbol, side, row, traded, reference)
        left -= traded
    return quantity - left


@inner
def new_order_id(venue):
    """The next order reference number."""
    order_id = load_i64(venue + VENUE.next_order_id)
    store_i64(venue + VENUE.next_order_id, order_id + 1)
    return order_id


@inner
def rest(venue, symbol_index, side, level, quantity, order_id, reference, executed, replaced_id):
    """Lets what is left of an order rest: A on the feed, or U when it takes the place of `replaced_id`.

    The caller has made sure that a row is free.
    """
    symbol = symbol_at(venue, symbol_index)
    row = take_row(venue, symbol_index, order_id, reference, executed)
    queue_last(venue, row, symbol, side, level, quantity)
    price = price_of(symbol, level)
    if replaced_id != 0:
        say_replace(venue, symbol_index, replaced_id, order_id, quantity, price)
    else:
        say_add(venue, symbol_index, order_id, side, quantity, price)
    return row


@inner
def entered(venue, quantity):
    """Counts shares that come in."""
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.shares_entered, quantity)


@inner
def cancelled(venue, quantity):
    """Counts shares that go without a trade."""
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.shares_cancelled, quantity)


@inner
def remove(venue, row):
    """Takes a resting order out of the market without a word on the feed. Returns the shares it had left."""
    quantity = load_u32(order_at(venue, row) + ORDER.quantity)
    leave_queue(venue, row)
    give_row(venue, row)
    cancelled(venue, quantity)
    return quantity


@inner
def reduce(venue, row, keep):
    """Leaves `keep` shares of a resting order, or none: X or D on the feed. Returns the shares taken off."""
    order = order_at(venue, row)
    quantity = load_u32(order + ORDER.quantity)
    if keep >= quantity:
        return 0
    if keep <= 0:
        say_delete(venue, order)
        return remove(venue, row)
    say_cancel(venue, order, quantity - keep)
    take_shares(venue, row, quantity - keep)
    cancelled(venue, quantity - keep)
    return quantity - keep


@inner
def replace(venue, row, level, quantity, reference, order_id, immediate):
    """Puts an order of its own id, price and size in place of a resting one; it trades first if it can.

    A replacement that comes to rest untouched is U on the feed; any other is D, the executions, then A for the rest.
    Returns the shares that neither traded nor rest: those of an `immediate` one, for which the caller answers.
    """
    order = order_at(venue, row)
    symbol_index, side = load_u32(order + ORDER.symbol), load_u8(order + ORDER.side)
    old_id, executed = load_i64(order + ORDER.order_id), load_u32(order + ORDER.executed)
    leaves = immediate != 0 or crosses(symbol_at(venue, symbol_index), side, level)
    if leaves:
        say_delete(venue, order)
    remove(venue, row)
    entered(venue, quantity)
    traded = match(venue, symbol_index, side, level, quantity, reference) if leaves else 0
    left = quantity - traded
    if left == 0:
        return 0
    if immediate != 0:
        cancelled(venue, left)
        return left
    rest(venue, symbol_index, side, level, left, order_id, reference, executed + traded, 0 if leaves else old_id)
    return 0
