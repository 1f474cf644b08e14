"""Reads the simulated venue's books out of its ladders, for reports and comparisons. Slow, exact, never on a step.

Beside the corridor. Hard rule: call it only while no step runs.
"""

from dataclasses import dataclass

import numpy as np

from gateway import layout
from gateway.venues.simulator.state import Venue
from gateway.venues.simulator.symbols import symbol_name

SIDE_BUY: int = layout.value("SIDE_BUY")
Level = tuple[int, int, int]


@dataclass(frozen=True)
class Book:
    """One symbol: levels of (price in 1/10000, shares, orders), best first; the client's own figures."""

    symbol: str
    locate: int
    bids: list[Level]
    asks: list[Level]
    client_position: int
    client_cash: int
    client_bought: int
    client_sold: int


def queue(venue: Venue, symbol: int, level: int) -> list[tuple[int, int, int]]:
    """The orders of a level, oldest first: (order id, open shares, the client's user reference or 0)."""
    rows: list[tuple[int, int, int]] = []
    row = int(venue.ladders[symbol, level]["head"])
    while row and len(rows) <= len(venue.orders):
        order = venue.orders[row]
        rows.append((int(order["order_id"]), int(order["quantity"]), int(order["user_reference"])))
        row = int(order["next"])
    return rows


def book_of(venue: Venue, symbol: int) -> Book:
    """The full depth of one symbol."""
    row, ladder = venue.symbols[symbol], venue.ladders[symbol]
    occupied = [int(level) for level in np.flatnonzero(ladder["orders"])]
    bids: list[Level] = []
    asks: list[Level] = []
    for level in occupied:
        rung = ladder[level]
        price = int(row["floor_price"]) + level * int(row["tick"])
        side = bids if venue.orders[int(rung["head"])]["side"] == SIDE_BUY else asks
        side.append((price, int(rung["quantity"]), int(rung["orders"])))
    figures = {name: int(row[name]) for name in ("client_position", "client_cash", "client_bought", "client_sold")}
    return Book(symbol_name(symbol), symbol + 1, bids[::-1], asks, **figures)


def books(venue: Venue) -> list[Book]:
    """Every symbol's book, in order of locate."""
    return [book_of(venue, symbol) for symbol in range(venue.settings.symbols)]


def client_orders(venue: Venue) -> list[dict[str, object]]:
    """The client's open orders, oldest first."""
    rows: list[dict[str, object]] = []
    row = int(venue.state[0]["client_head"])
    while row and len(rows) <= len(venue.orders):
        order = venue.orders[row]
        symbol = venue.symbols[order["symbol"]]
        rows.append(
            {
                "user_reference": int(order["user_reference"]),
                "order_id": int(order["order_id"]),
                "symbol": symbol_name(int(order["symbol"])),
                "side": "buy" if order["side"] == SIDE_BUY else "sell",
                "price": int(symbol["floor_price"]) + int(order["level"]) * int(symbol["tick"]),
                "quantity": int(order["quantity"]),
                "executed": int(order["executed"]),
            }
        )
        row = int(order["client_next"])
    return rows
