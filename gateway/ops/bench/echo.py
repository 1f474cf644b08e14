"""The benchmark's strategy: one share for every add of a whole, open book, so that each is a tick to order."""

from gateway.core.strategy import ADD, CROSSED, FAULT, IOC, OPEN, STALE, VALID, buy

TRUST = VALID | STALE | CROSSED | FAULT


def on_event(state, event, book, orders):
    """Buys one share at the best ask, immediate or cancel."""
    sound = book.flags & TRUST == VALID and book.trading == OPEN
    if event.kind == ADD and sound and book.ask_quantity != 0:
        buy(orders, event.instrument, 1, book.ask_price, IOC)
