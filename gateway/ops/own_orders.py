"""Our own account as control reads it from shared memory: orders and positions, in the words of a VenueAccount.

Beside the corridor, read-only. Hard rule: core may be writing: a caller looks twice before it believes a difference.
"""

from typing import NamedTuple

import numpy as np

from gateway import layout
from gateway.core.orders import open_orders
from gateway.instance import Instance
from gateway.protocols.ouch50_account import BUY, SELL, VenueAccount

SIDES = {layout.value("SIDE_BUY"): BUY, layout.value("SIDE_SELL"): SELL}
UNKNOWN, FOUND = layout.value("ORDER_UNKNOWN"), layout.value("ORDER_FOUND")


class Working(NamedTuple):
    """What two sides must agree on about an open order; price counts 1/10000."""

    symbol: str
    side: str
    price: int
    open: int


def symbol_of(instance: Instance, instrument: int) -> str:
    """An instrument's name as the directory spells it."""
    return str(instance.rows("books")["symbol"][instrument].decode("ascii", "replace").rstrip())


def used_rows(instance: Instance) -> np.ndarray:
    """The rows of our own orders that were ever used (a view)."""
    rows = instance.rows("orders")
    table = instance.regions["orders"].view("order_table")[0]
    return rows[: min(int(table["next_reference"]) + 1, len(rows))]


def working_orders(instance: Instance) -> dict[int, Working]:
    """Live orders that the venue has answered for, by reference."""
    rows = open_orders(used_rows(instance))
    heard = rows[(rows["venue_order_id"] != 0) & (rows["open"] > 0)]
    return {int(row["reference"]): _working(instance, row) for row in heard}


def _working(instance: Instance, row: np.void) -> Working:
    return Working(symbol_of(instance, int(row["instrument"])), SIDES[int(row["side"])], int(row["price"]), int(row["open"]))


def unknown_orders(instance: Instance) -> np.ndarray:
    """Copies of the rows (dtype of struct order) whose fate is not known, oldest first."""
    rows = open_orders(used_rows(instance))
    return rows[rows["state"] == UNKNOWN]


def found_orders(instance: Instance) -> list[int]:
    """References of working orders that a run before this one left."""
    rows = open_orders(used_rows(instance))
    return [int(row["reference"]) for row in rows if int(row["flags"]) & FOUND]


def listed(instance: Instance) -> np.ndarray:
    """Rows of the instruments that the directory has named."""
    return np.flatnonzero(instance.rows("books")["symbol"] != b"")


def positions(instance: Instance, carried: dict[str, int], named: np.ndarray) -> dict[str, int]:
    """Signed quantity by symbol, without zeros; `carried` stands in for instruments that are not `named` yet."""
    held = instance.rows("gate")["position"][named]
    ours = {symbol_of(instance, int(named[index])): int(held[index]) for index in np.flatnonzero(held)}
    if carried:
        known = {name.decode("ascii", "replace").rstrip() for name in instance.rows("books")["symbol"][named]}
        ours |= {symbol: quantity for symbol, quantity in carried.items() if quantity and symbol not in known}
    return ours


def differences(
    instance: Instance, account: VenueAccount, carried: dict[str, int], named: np.ndarray | None = None
) -> dict[str, str]:
    """What the two accounts do not agree on: {"order 7": "ours …, venue's …"}; empty where they agree."""
    theirs = {
        order.reference: Working(order.symbol, order.side, order.price, order.open) for order in account.open_orders.values()
    }
    ours = working_orders(instance)
    held = positions(instance, carried, listed(instance) if named is None else named)
    found: dict[str, str] = {}
    for reference in sorted(ours.keys() | theirs.keys()):
        if ours.get(reference) != theirs.get(reference):
            found[f"order {reference}"] = f"ours {_text(ours.get(reference))}, venue's {_text(theirs.get(reference))}"
    for symbol in sorted(held.keys() | account.positions.keys()):
        mine, other = held.get(symbol, 0), account.positions.get(symbol, 0)
        if mine != other:
            found[f"position {symbol}"] = f"ours {mine}, venue's {other}"
    return found


def _text(order: Working | None) -> str:
    return "not open" if order is None else f"{order.side} {order.open} {order.symbol} at {order.price}"
