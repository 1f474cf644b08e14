"""The strategy of the latency benchmark: one order for every add that meets a sound, open, two-sided book.

Hard rule: the quantity names the message that is answered (latency_frames.TAGS), and what is not answered is counted.
"""

from gateway.core.strategy import ADD, IOC, OPEN, buy, trusted

STATE = [("declined", "i8")]
TAG_BITS = 63


def on_event(state, event, book, orders):
    """Buys at the best ask, immediate or cancel."""
    if event.kind == ADD:
        if trusted(book) and book.trading == OPEN and book.bid_quantity != 0 and book.ask_quantity != 0:
            buy(orders, event.instrument, 1 + (event.sequence & TAG_BITS), book.ask_price, IOC)
        else:
            state.declined += 1
