"""Book-imbalance taker ⑥: when one side of the best prices outweighs the other, take the lighter side.

    bid_quantity is more than threshold_percent of both  →  buy  `lot` at the ask, immediate or cancel
    ask_quantity is more than threshold_percent of both  →  sell `lot` at the bid, immediate or cancel

One order per instrument within `quiet_ns`, and never beyond `position_max` in either direction, open orders included.
An example of the contract, not of a way to earn money. Integers only.
"""

from gateway.core.strategy import BUY, IOC, OPEN, SELL, buy, open_quantity, position, sell, trusted

INSTRUMENTS = 65536

PARAMETERS = {
    "threshold_percent": 80,
    "lot": 100,
    "position_max": 500,
    "quiet_ns": 100_000_000,
    "spread_max": 500,  # price units; wider books say nothing
}
STATE = [("quiet_until_ns", "i8", (INSTRUMENTS,))]


def on_event(state, event, book, orders):
    """Takes the lighter side of a lopsided book."""
    if not trusted(book) or book.trading != OPEN or book.bid_quantity == 0 or book.ask_quantity == 0:
        return
    if book.ask_price - book.bid_price > state.spread_max or book.instrument >= INSTRUMENTS:
        return
    if orders.time_ns < state.quiet_until_ns[book.instrument]:
        return
    weight = state.threshold_percent * (book.bid_quantity + book.ask_quantity)
    held = position(orders, book.instrument)
    long_after = held + open_quantity(orders, book.instrument, BUY) + state.lot
    short_after = open_quantity(orders, book.instrument, SELL) + state.lot - held
    reference = 0
    if book.bid_quantity * 100 > weight and long_after <= state.position_max:
        reference = buy(orders, book.instrument, state.lot, book.ask_price, IOC)
    elif book.ask_quantity * 100 > weight and short_after <= state.position_max:
        reference = sell(orders, book.instrument, state.lot, book.bid_price, IOC)
    if reference != 0:
        state.quiet_until_ns[book.instrument] = orders.time_ns + state.quiet_ns
