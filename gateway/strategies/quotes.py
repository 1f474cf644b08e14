"""Resting quotes ⑥: one lot at the best bid and one at the best ask of every open book, cancelled when the best moves.

    no order of ours on a side, position allows it   →  rest `lot` at that side's best price (DAY)
    our order is no longer at the best price         →  cancel it; a new one follows once it is gone

At most one action per instrument and side within `quiet_ns`. An example of resting orders and cancels: it does not earn
money, it shows what a kill has to clean up. Integers only.
"""

from numba import njit

from gateway.core.strategy import BUY, DAY, OPEN, SELL, buy, cancel, order_open, position, sell, trusted

INSTRUMENTS = 65536

PARAMETERS = {"lot": 100, "position_max": 500, "quiet_ns": 500_000_000}
STATE = [
    ("reference", "i8", (2, INSTRUMENTS)),
    ("price", "i8", (2, INSTRUMENTS)),
    ("quiet_until_ns", "i8", (2, INSTRUMENTS)),
]


def on_event(state, event, book, orders):
    """Keeps one quote a side."""
    if not trusted(book) or book.trading != OPEN or book.instrument >= INSTRUMENTS:
        return
    if book.bid_quantity > 0:
        keep_quote(state, book, orders, BUY, book.bid_price)
    if book.ask_quantity > 0:
        keep_quote(state, book, orders, SELL, book.ask_price)


@njit
def keep_quote(state, book, orders, side, price):
    """Quotes, leaves alone or cancels on one side."""
    row, column = side - 1, book.instrument
    if orders.time_ns < state.quiet_until_ns[row, column]:
        return
    reference = state.reference[row, column]
    held = position(orders, book.instrument)
    if order_open(orders, reference) > 0:
        if state.price[row, column] == price:
            return
        cancel(orders, reference)
    elif (held if side == BUY else -held) + state.lot <= state.position_max:
        if side == BUY:
            state.reference[row, column] = buy(orders, book.instrument, state.lot, price, DAY)
        else:
            state.reference[row, column] = sell(orders, book.instrument, state.lot, price, DAY)
        state.price[row, column] = price
    state.quiet_until_ns[row, column] = orders.time_ns + state.quiet_ns
