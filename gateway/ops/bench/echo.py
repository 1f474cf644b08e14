"""The benchmark's strategy: one share for every add of a whole, open book, so that each is a tick to order."""

from gateway.core.strategy import ADD, IOC, OPEN, VALID, buy


def on_event(state, event, book, orders):
    """Buys one share at the best ask, immediate or cancel."""
    if event.kind == ADD and book.flags == VALID and book.trading == OPEN and book.ask_quantity != 0:
        buy(orders, event.instrument, 1, book.ask_price, IOC)
