"""Our own orders ⑦⑧: the table of rows, what each reserves in the gate, and the set of fills.

    (free) ─ open_order ─► SENT ─► ACCEPTED ─► PARTIAL ─► FILLED
                             │  ▲      │  │       │  │
                             │  └──────┤  └─ cancel sent ─► CANCELLING ─► back, when the venue refuses the cancel
                             ▼         ▼          ▼             │
                          REJECTED   CANCELLED ◄────────────────┘       UNKNOWN: a live row whose fate is being asked

Hard rule: `open` of every live row is reserved in its instrument's open_buy or open_sell, and with it exposure and margin
(portfolio.py). It shrinks only by what a report proves: a fill moves it to the position, a cancel or reject gives it back.
What is not proven stays reserved.
"""

from typing import Any

import numpy as np
from numba import int64

from gateway.core.counters import add_to
from gateway.core.kernel import kernel
from gateway.core.memory import (
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    multiply_wrapping,
    shift_right,
    store_i64,
    store_u8,
    store_u16,
    store_u32,
)
from gateway.core.portfolio import (
    HOLDING,
    STRATEGY,
    holding_at,
    note_execution,
    note_open,
    note_trade,
    settle_row,
    strategy_at,
)
from gateway.core.working import delist, enlist, reprice
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
TABLE = offsets("order_table")
ORDER = offsets("order")
FILL = offsets("fill")
ROW = offsets("gate_row")
INTENT = offsets("intent")
COUNTERS = offsets("core_counters")

SENT, ACCEPTED, PARTIAL = value("ORDER_SENT"), value("ORDER_ACCEPTED"), value("ORDER_PARTIAL")
FILLED, CANCELLED, REJECTED = value("ORDER_FILLED"), value("ORDER_CANCELLED"), value("ORDER_REJECTED")
CANCELLING, UNKNOWN = value("ORDER_CANCELLING"), value("ORDER_UNKNOWN")
LIVE_STATES = (SENT, ACCEPTED, PARTIAL, CANCELLING, UNKNOWN)
LIVE_MASK = sum(1 << state for state in LIVE_STATES)

SIDE_BUY = value("SIDE_BUY")
ADOPTED = value("ORDER_ADOPTED")
FILLS_SAID_MAX = 0xFFFF
INTENT_REPLACE = value("INTENT_REPLACE")
QUANTITY_EXCESS = value("FEED_QUANTITY_EXCESS")
REFERENCE_MAX = value("ORDER_REFERENCE_MAX")
ORDER_BYTES, FILL_BYTES, ROW_BYTES = size("order"), size("fill"), size("gate_row")
HASH = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio, as a signed word


@kernel
def order_at(path, reference):
    """Address of the row that `reference` maps to, whatever order it holds."""
    return load_i64(path + PATH.orders) + (reference & load_i64(path + PATH.orders_mask)) * ORDER_BYTES


@kernel
def is_live(order):
    """1 while the order may still fill."""
    return (LIVE_MASK >> (load_u8(order + ORDER.state) & 63)) & 1


@kernel
def known_row(path, reference):
    """Address of the row of this very order, live or not; 0: no such order."""
    order = order_at(path, reference)
    return order if (reference > 0) & (load_i64(order + ORDER.reference) == reference) else 0


@kernel
def live_row(path, reference):
    """Address of the row of this very order while it may still fill; 0: no such order."""
    order = order_at(path, reference)
    return order if (reference > 0) & (load_i64(order + ORDER.reference) == reference) & (is_live(order) == 1) else 0


@kernel
def may_open(path, reference):
    """1 when a new order may carry `reference`: in range, its row holds no live order, and its fills will find room."""
    in_range = (reference > 0) & (reference <= REFERENCE_MAX)
    fills = load_i64(load_i64(path + PATH.table) + TABLE.fills)
    room = fills <= load_i64(path + PATH.fills_mask) >> 1
    return int64(in_range & room & (is_live(order_at(path, reference)) == 0))


@kernel
def gate_row_of(path, order):
    """Address of the struct gate_row whose reservation an order row belongs to."""
    return load_i64(path + PATH.rows) + load_u32(order + ORDER.instrument) * ROW_BYTES


@kernel
def open_order(path, intent, reference, now_ns):
    """Writes the row of an order about to leave and reserves its whole quantity. The gate has found the row free."""
    order = order_at(path, reference)
    quantity = load_i64(intent + INTENT.quantity)
    for offset in range(0, ORDER_BYTES, 8):
        store_i64(order + offset, 0)
    store_i64(order + ORDER.reference, reference)
    if load_u8(intent + INTENT.kind) == INTENT_REPLACE:
        store_i64(order + ORDER.replaces, load_i64(intent + INTENT.order_reference))
    store_i64(order + ORDER.signal_id, load_i64(intent + INTENT.signal_id))
    store_i64(order + ORDER.price, load_i64(intent + INTENT.price))
    store_i64(order + ORDER.quantity, quantity)
    store_i64(order + ORDER.time_sent_ns, now_ns)
    store_i64(order + ORDER.time_last_ns, now_ns)
    store_u32(order + ORDER.instrument, load_u32(intent + INTENT.instrument))
    store_u32(order + ORDER.strategy, load_u32(intent + INTENT.strategy))
    store_u8(order + ORDER.side, load_u8(intent + INTENT.side))
    store_u8(order + ORDER.time_in_force, load_u8(intent + INTENT.time_in_force))
    store_u16(order + ORDER.flags, load_u8(intent + INTENT.flags))
    store_u8(order + ORDER.state, SENT)
    enlist(path, order)
    reserve(path, order, quantity)
    row = gate_row_of(path, order)
    store_i64(row + ROW.time_last_order_ns, now_ns)
    add_to(row + ROW.orders_sent, 1)
    strategy = strategy_at(load_i64(path + PATH.account), load_u32(intent + INTENT.strategy))
    add_to(strategy + STRATEGY.orders_sent, 1)
    return order


@kernel
def move_open(path, order, quantity):
    """Moves `open` of a row and what is reserved behind it by `quantity`; exposure and margin are settled by the caller."""
    note_open(path, order, quantity, load_i64(order + ORDER.price))
    add_to(order + ORDER.open, quantity)


@kernel
def reserve(path, order, quantity):
    """Moves `open` of a row, and everything reserved behind it, by `quantity` (negative: gives back)."""
    move_open(path, order, quantity)
    settle_row(path, gate_row_of(path, order))


@kernel
def set_price(path, order, price):
    """The venue works the order at another price: what is reserved for it follows."""
    before, open_quantity = load_i64(order + ORDER.price), load_i64(order + ORDER.open)
    if price == before:
        return
    note_open(path, order, -open_quantity, before)
    store_i64(order + ORDER.price, price)
    note_open(path, order, open_quantity, price)
    if is_live(order) == 1:
        reprice(path, order, before, price)
    settle_row(path, gate_row_of(path, order))


@kernel
def set_state(path, order, state):
    """Another state; an order that is over leaves the list of working ones."""
    was_live = is_live(order)
    store_u8(order + ORDER.state, state)
    if was_live == 1 and is_live(order) == 0:
        delist(path, order)


@kernel
def finish(path, order, state, now_ns):
    """A terminal state: whatever is still open is given back."""
    reserve(path, order, -load_i64(order + ORDER.open))
    set_state(path, order, state)
    store_i64(order + ORDER.time_last_ns, now_ns)


@kernel
def resume(path, order, now_ns):
    """The state the facts speak for: after an accept, or after a cancel that did not end the order."""
    some = load_i64(order + ORDER.filled) > 0
    state = PARTIAL if some else ACCEPTED
    if load_i64(order + ORDER.venue_order_id) == 0:
        state = SENT
    if load_i64(order + ORDER.open) == 0:
        state = FILLED if some else CANCELLED
    set_state(path, order, state)
    store_i64(order + ORDER.time_last_ns, now_ns)


@kernel
def decrement(path, order, quantity, now_ns):
    """The venue cancelled `quantity` of an order. Only that much is given back: the rest may have filled on its way here."""
    left = load_i64(order + ORDER.open)
    if quantity >= left:
        finish(path, order, CANCELLED, now_ns)
    else:
        reserve(path, order, -quantity)
        resume(path, order, now_ns)


@kernel
def find_fill(path, match, reference):
    """Address of the row that holds this fill, or of the empty row where it belongs; 0: the table is full."""
    mask = load_i64(path + PATH.fills_mask)
    index = shift_right(multiply_wrapping(match ^ (reference << 32), HASH), 20)
    for probe in range(mask + 1):
        fill = load_i64(path + PATH.fills) + ((index + probe) & mask) * FILL_BYTES
        holder = load_i64(fill + FILL.reference)
        if holder == 0 or (holder == reference and load_i64(fill + FILL.match) == match):
            return fill
    return 0


@kernel
def has_fill(path, match, reference):
    """1 when this execution was applied before."""
    fill = find_fill(path, match, reference)
    return int64(load_i64(fill + FILL.reference) == reference) if fill != 0 else 0


@kernel
def remember_fill(path, match, reference, price, quantity):
    """1 when this execution is news, 0 when it is known. A full table remembers nothing and believes it."""
    fill = find_fill(path, match, reference)
    if fill == 0:
        return 1
    if load_i64(fill + FILL.reference) != 0:
        return 0
    store_i64(fill + FILL.match, match)
    store_i64(fill + FILL.price, price)
    store_u32(fill + FILL.quantity, quantity)
    store_u32(fill + FILL.broken, 0)
    store_i64(fill + FILL.reference, reference)
    add_to(load_i64(path + PATH.table) + TABLE.fills, 1)
    return 1


@kernel
def apply_fill(path, order, match, price, quantity, now_ns):
    """One execution. 1 when it was news, 0 for a duplicate. More than was open is a fact too: absorbed and counted."""
    if remember_fill(path, match, load_i64(order + ORDER.reference), price, quantity) == 0:
        return 0
    left = load_i64(order + ORDER.open)
    counters = load_i64(path + PATH.counters)
    if quantity > left:
        add_to(counters + COUNTERS.reasons + 8 * QUANTITY_EXCESS, 1)
    was_live = is_live(order)
    move_open(path, order, -min(quantity, left))
    note_trade(path, order, price, quantity)
    settle_row(path, gate_row_of(path, order))
    if load_u16(order + ORDER.flags) & ADOPTED == 0:  # what is heard again is no new execution
        note_execution(path, order, now_ns)
    add_to(order + ORDER.filled, quantity)
    add_to(order + ORDER.notional_filled, price * quantity)
    store_u16(order + ORDER.fills, min(load_u16(order + ORDER.fills) + 1, FILLS_SAID_MAX))
    store_i64(order + ORDER.last_match, match)
    store_i64(order + ORDER.time_last_ns, now_ns)
    add_to(gate_row_of(path, order) + ROW.fills, 1)
    add_to(holding_at(path, load_u32(order + ORDER.strategy), load_u32(order + ORDER.instrument)) + HOLDING.fills, 1)
    add_to(counters + COUNTERS.fills, 1)
    add_to(counters + COUNTERS.fill_quantity, quantity)
    if was_live == 1:
        if quantity >= left:
            set_state(path, order, FILLED)
        elif load_u8(order + ORDER.state) != CANCELLING:
            set_state(path, order, PARTIAL)
    return 1


@kernel
def break_fill(path, order, match, now_ns):
    """The venue took a trade back. 1 when it was news, 0 when it was broken before, -1 when we never had it."""
    reference = load_i64(order + ORDER.reference)
    fill = find_fill(path, match, reference)
    if fill == 0 or load_i64(fill + FILL.reference) != reference:
        return -1
    if load_u32(fill + FILL.broken) != 0:
        return 0
    price, quantity = load_i64(fill + FILL.price), load_u32(fill + FILL.quantity)
    store_u32(fill + FILL.broken, 1)
    note_trade(path, order, price, -quantity)
    settle_row(path, gate_row_of(path, order))
    add_to(order + ORDER.filled, -quantity)
    add_to(order + ORDER.notional_filled, -price * quantity)
    store_i64(order + ORDER.time_last_ns, now_ns)
    return 1


def open_references(rows: np.ndarray) -> list[int]:
    """References of the rows (dtype of struct order) that may still fill, oldest first; for tools, not the core."""
    return [int(reference) for reference in open_orders(rows)["reference"]]


def open_orders(rows: np.ndarray) -> np.ndarray:
    """Copies of the rows (dtype of struct order) that may still fill, oldest reference first; for tools, not the core."""
    live: Any = np.isin(rows["state"], LIVE_STATES) & (rows["reference"] > 0)
    return np.sort(rows[live], order="reference")
