"""The benchmark's strategy: one share for the first add of each frame that meets a sound, open, two-sided book."""

from gateway.core.strategy import ADD, IOC, OPEN, buy, trusted

STATE = [("answered_ns", "i8")]


def on_event(state, event, book, orders):
    """Buys one share at the best ask, immediate or cancel; once per frame."""
    sound = trusted(book) and book.trading == OPEN and book.bid_quantity != 0 and book.ask_quantity != 0
    if event.kind == ADD and sound and orders.time_ns != state.answered_ns:
        state.answered_ns = orders.time_ns
        buy(orders, event.instrument, 1, book.ask_price, IOC)
