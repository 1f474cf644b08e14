"""What comes back ⑧: one OUCH 5.0 outbound message, or one refusal of io, applied to our own orders.

    Accepted · Replaced · Executed · Canceled · AIQ Canceled · Rejected · Broken · Cancel Reject · Priority · Modified
    everything else the venue may say moves no order and is only counted

Hard rule: the venue's facts win. What contradicts our table is absorbed and counted; what cannot be applied (a report too
short to read, a fill of an order we do not have) makes positions uncertain: it counts as lost, and new risk stops.
"""

import numpy as np
from numba import int64

from gateway.core.adoption import ADOPTION, PARK, PARKED, PARKED_BYTES, REFUSED, adopt, is_parked, park
from gateway.core.counters import add_to, count_reason
from gateway.core.journal_records import journal_refusal, journal_report
from gateway.core.kernel import kernel
from gateway.core.memory import load_be16, load_be32, load_be64, load_i64, load_u8, load_u32, store_i64, store_u8
from gateway.core.orders import (
    CANCELLED,
    CANCELLING,
    REJECTED,
    UNKNOWN,
    apply_fill,
    break_fill,
    decrement,
    finish,
    has_fill,
    is_live,
    known_row,
    reserve,
    resume,
    set_price,
)
from gateway.layout import offsets, value
from gateway.protocols.ouch50 import MESSAGES, OUTBOUND, offsets_of, size_of, type_of

PATH = offsets("order_path")
ORDER = offsets("order")
ACCOUNT = offsets("gate_account")
COUNTERS = offsets("core_counters")
REFUSAL = offsets("order_refusal")

ACCEPT, REPLACE, EXECUTE = offsets_of("OrderAccepted"), offsets_of("OrderReplaced"), offsets_of("OrderExecuted")
CANCEL, AIQ, BREAK = offsets_of("OrderCanceled"), offsets_of("AIQCanceled"), offsets_of("BrokenTrade")
REJECT, PRIORITY, MODIFY = offsets_of("Rejected"), offsets_of("OrderPriorityUpdate"), offsets_of("OrderModified")
IS_ACCEPT, IS_REPLACE, IS_EXECUTE = type_of("OrderAccepted"), type_of("OrderReplaced"), type_of("OrderExecuted")
IS_CANCEL, IS_AIQ, IS_BREAK = type_of("OrderCanceled"), type_of("AIQCanceled"), type_of("BrokenTrade")
IS_REJECT, IS_PRIORITY = type_of("Rejected"), type_of("OrderPriorityUpdate")
IS_CANCEL_REJECT = type_of("CancelReject")
ORDER_DEAD = ord("D")  # OUCH 5.0, 3.2, Order State: accepted and cancelled at once

# By type byte: the bytes a message has at least, without options (0: no such message), and whether it may move an order.
SIZES = np.zeros(256, dtype=np.int64)
for _message in MESSAGES[OUTBOUND].values():
    SIZES[ord(_message.type)] = size_of(_message.key)
MOVES = np.isin(np.arange(256), [ord(letter) for letter in "AUECDBJITM"]).astype(np.int64)

PARKED_NS = 1_000_000_000  # parked reports are tried again so often: a row may be in use before it has its name
LOST, NEVER_ARRIVED = value("REFUSAL_LOST"), value("REFUSAL_NEVER_ARRIVED")
LENGTH, UNKNOWN_TYPE = value("FEED_MESSAGE_LENGTH"), value("FEED_MESSAGE_UNKNOWN")
FIELD, UNKNOWN_ORDER, DUPLICATE = (value(f"FEED_{name}") for name in ("MESSAGE_FIELD", "REPORT_UNKNOWN", "DUPLICATE"))
QUANTITY_MAX, PRICE_MAX = value("ORDER_QUANTITY_MAX"), value("ORDER_PRICE_MAX")


@kernel
def apply_report(path, message, message_bytes, now_ns):
    """Applies one outbound message of `message_bytes` at address `message`; 1 when it changed one of our orders."""
    add_to(load_i64(path + PATH.counters) + COUNTERS.reports, 1)
    if message_bytes < 1:
        return lose(path, LENGTH)
    kind = load_u8(message)
    least = SIZES[kind]
    if least == 0:
        return lose(path, UNKNOWN_TYPE)
    if message_bytes < least:
        return lose(path, LENGTH)
    if MOVES[kind] == 0:
        return 0
    return dispatch(path, kind, message, message_bytes, now_ns)


@kernel
def dispatch(path, kind, message, message_bytes, now_ns):
    """A report about one order, its length checked: journals, finds the row, applies."""
    journal_report(path, now_ns, reference_of(kind, message), kind, message)
    return route(path, kind, message, message_bytes, now_ns)


@kernel
def reference_of(kind, message):
    """The order that a report is about."""
    return load_be32(message + (REPLACE.user_ref_num if kind == IS_REPLACE else ACCEPT.user_ref_num))


@kernel
def match_of(kind, message):
    """The match number of a report about a trade; 0: it is about none."""
    if kind == IS_EXECUTE:
        return load_be64(message + EXECUTE.match_number)
    return load_be64(message + BREAK.match_number) if kind == IS_BREAK else int64(0)


@kernel
def route(path, kind, message, message_bytes, now_ns):
    """Finds the row of a report, or adopts its order, and applies it."""
    reference = reference_of(kind, message)
    order = known_row(path, reference)
    if order == 0 or was_given_up(order, kind) == 1:
        order = unknown(path, kind, match_of(kind, message), reference, message, message_bytes, now_ns)
        if order == 0:
            return 0
    return apply(path, order, kind, message, now_ns)


@kernel
def apply(path, order, kind, message, now_ns):
    """A report about an order that has a row."""
    if kind == IS_EXECUTE:
        return on_executed(path, order, message, now_ns)
    if kind == IS_ACCEPT:
        return on_accepted(path, order, message, now_ns)
    if kind == IS_CANCEL:
        return on_cancelled(path, order, message, load_be32(message + CANCEL.quantity), now_ns)
    if kind == IS_AIQ:
        return on_cancelled(path, order, message, load_be32(message + AIQ.decrement_shares), now_ns)
    if kind == IS_REPLACE:
        return on_replaced(path, order, message, now_ns)
    if kind == IS_REJECT:
        return on_rejected(path, order, load_be16(message + REJECT.reason), now_ns)
    return on_rare(path, order, kind, message, now_ns)


@kernel
def on_rare(path, order, kind, message, now_ns):
    """Broken Trade, Cancel Reject, Order Priority Update and Order Modified."""
    if kind == IS_BREAK:
        broken = break_fill(path, order, load_be64(message + BREAK.match_number), now_ns)
        if broken < 0:
            return lose(path, UNKNOWN_ORDER)
        return count(path, DUPLICATE) if broken == 0 else 1
    if is_live(order) == 0:
        return count(path, DUPLICATE)
    if kind == IS_CANCEL_REJECT:
        if (load_u8(order + ORDER.state) == CANCELLING) | (load_u8(order + ORDER.state) == UNKNOWN):
            resume(path, order, now_ns)
    elif kind == IS_PRIORITY:
        price = load_be64(message + PRIORITY.price)
        if (price <= 0) | (price > PRICE_MAX):
            return lose(path, FIELD)
        set_price(path, order, price)
        store_i64(order + ORDER.venue_order_id, load_be64(message + PRIORITY.order_reference_number))
    else:
        take_open(path, order, load_be32(message + MODIFY.quantity), now_ns)
    return 1


@kernel
def on_executed(path, order, message, now_ns):
    """Order Executed, 3.6. The same match number again is a duplicate."""
    quantity, price = load_be32(message + EXECUTE.quantity), load_be64(message + EXECUTE.price)
    if (quantity <= 0) | (quantity > QUANTITY_MAX) | (price <= 0) | (price > PRICE_MAX):
        return lose(path, FIELD)
    if apply_fill(path, order, load_be64(message + EXECUTE.match_number), price, quantity, now_ns) == 0:
        return count(path, DUPLICATE)
    return 1


@kernel
def on_accepted(path, order, message, now_ns):
    """Order Accepted, 3.2: price and quantity are what the venue took. Only the first one of an order counts."""
    if (load_i64(order + ORDER.venue_order_id) != 0) | (is_live(order) == 0):
        return count(path, DUPLICATE)
    quantity, price = load_be32(message + ACCEPT.quantity), load_be64(message + ACCEPT.price)
    if (quantity <= 0) | (quantity > QUANTITY_MAX) | (price <= 0) | (price > PRICE_MAX):
        return lose(path, FIELD)
    add_to(load_i64(path + PATH.counters) + COUNTERS.venue_accepts, 1)
    store_i64(order + ORDER.venue_order_id, load_be64(message + ACCEPT.order_reference_number))
    set_price(path, order, price)
    store_i64(order + ORDER.quantity, quantity)
    if load_u8(message + ACCEPT.order_state) == ORDER_DEAD:
        finish(path, order, CANCELLED, now_ns)
        return 1
    take_open(path, order, quantity - load_i64(order + ORDER.filled), now_ns)
    return 1


@kernel
def on_replaced(path, order, message, now_ns):
    """Order Replaced, 3.3: the new order works with what the venue says is open, the old one is over."""
    if (load_i64(order + ORDER.venue_order_id) != 0) | (is_live(order) == 0):
        return count(path, DUPLICATE)
    quantity, price = load_be32(message + REPLACE.quantity), load_be64(message + REPLACE.price)
    if (quantity > QUANTITY_MAX) | (price <= 0) | (price > PRICE_MAX):
        return lose(path, FIELD)
    store_i64(order + ORDER.venue_order_id, load_be64(message + REPLACE.order_reference_number))
    set_price(path, order, price)
    old = known_row(path, load_be32(message + REPLACE.orig_user_ref_num))
    if old != 0 and is_live(old) == 1:
        finish(path, old, CANCELLED, now_ns)
    if load_u8(message + REPLACE.order_state) == ORDER_DEAD:
        finish(path, order, CANCELLED, now_ns)
        return 1
    take_open(path, order, quantity - load_i64(order + ORDER.filled), now_ns)
    return 1


@kernel
def take_open(path, order, quantity, now_ns):
    """What is open is what the venue says, more or less than we reserved; a cancel on its way stays on its way."""
    reserve(path, order, max(quantity, 0) - load_i64(order + ORDER.open))
    if (load_u8(order + ORDER.state) != CANCELLING) | (quantity <= 0):
        resume(path, order, now_ns)


@kernel
def on_cancelled(path, order, message, quantity, now_ns):
    """Order Canceled, 3.4, and AIQ Canceled, 3.5: `quantity` shares less. The same stamp again is a duplicate."""
    time_venue_ns = load_be64(message + CANCEL.timestamp)
    repeated = (time_venue_ns == load_i64(order + ORDER.time_cancel_venue_ns)) & (time_venue_ns != 0)
    if repeated | (is_live(order) == 0):
        return count(path, DUPLICATE)
    store_i64(order + ORDER.time_cancel_venue_ns, time_venue_ns)
    add_to(load_i64(path + PATH.counters) + COUNTERS.venue_cancels, 1)
    decrement(path, order, quantity, now_ns)
    return 1


@kernel
def on_rejected(path, order, reason, now_ns):
    """Rejected, 3.8: the venue never took it, so nothing of it is open. A rejected replacement leaves the old order be."""
    if is_live(order) == 0:
        return count(path, DUPLICATE)
    add_to(load_i64(path + PATH.counters) + COUNTERS.venue_rejects, 1)
    store_u8(order + ORDER.reject_code, min(reason, 255))
    finish(path, order, REJECTED, now_ns)
    return 1


@kernel
def apply_refusal(path, refusal, now_ns):
    """io did not transmit a new order (struct order_refusal): it never left, so its reservation is given back."""
    reference = load_i64(refusal + REFUSAL.reference)
    journal_refusal(path, now_ns, reference, load_i64(refusal + REFUSAL.reason))
    order = known_row(path, reference)
    if order == 0:
        return count(path, UNKNOWN_ORDER)
    heard_of = (load_i64(order + ORDER.venue_order_id) != 0) | (load_i64(order + ORDER.filled) != 0)
    if heard_of | (is_live(order) == 0):
        return count(path, DUPLICATE)
    store_u8(order + ORDER.reject_code, load_i64(refusal + REFUSAL.reason))
    finish(path, order, REJECTED, now_ns)
    return 1


@kernel
def was_given_up(order, kind):
    """1 for an order that we gave up as never arrived, and that the venue accepts after all: it is adopted anew."""
    code = load_u8(order + ORDER.reject_code)
    ours = (load_u8(order + ORDER.state) == REJECTED) & ((code == LOST) | (code == NEVER_ARRIVED))
    return int64(ours & ((kind == IS_ACCEPT) | (kind == IS_REPLACE)) & (load_i64(order + ORDER.venue_order_id) == 0))


@kernel
def unknown(path, kind, match, reference, message, message_bytes, now_ns):
    """A report about an order we do not have: the row of one that is adopted, or 0.

    Only what moves a position, or leaves an order working, is a loss. A fill that was applied before its order's row went to
    another order is neither, and what waits for its instrument to be named is not lost yet.
    """
    order = PARK if is_parked(path, reference) == 1 else REFUSED
    if order == REFUSED and is_adoptable(kind, message) == 1:
        order = adopt(path, kind, message, now_ns)
    if order == PARK:
        if park(path, reference, message, message_bytes) == 0:
            lose(path, UNKNOWN_ORDER)
        return int64(0)
    if order != REFUSED:
        return order
    if (kind == IS_EXECUTE) & (has_fill(path, match, reference) == 1):
        count(path, DUPLICATE)
    elif (kind == IS_EXECUTE) | (kind == IS_BREAK) | (kind == IS_ACCEPT) | (kind == IS_REPLACE):
        lose(path, UNKNOWN_ORDER)
    else:
        count(path, UNKNOWN_ORDER)
    return int64(0)


@kernel
def is_adoptable(kind, message):
    """1 for an Accepted or Replaced with quantity and price within the bounds of an order."""
    if (kind != IS_ACCEPT) & (kind != IS_REPLACE):
        return int64(0)
    replaced = kind == IS_REPLACE
    quantity = load_be32(message + (REPLACE.quantity if replaced else ACCEPT.quantity))
    price = load_be64(message + (REPLACE.price if replaced else ACCEPT.price))
    return int64((quantity > 0) & (quantity <= QUANTITY_MAX) & (price > 0) & (price <= PRICE_MAX))


@kernel
def take_parked(path, now_ns):
    """The directory has named more instruments: every parked report that can be applied now is, in order."""
    adoption = load_i64(path + PATH.adoption)
    count_before, listed = load_i64(adoption + ADOPTION.parked_count), load_i64(load_i64(adoption + ADOPTION.books_used))
    looked_ns = load_i64(adoption + ADOPTION.parked_ns)
    if count_before == 0 or (listed == load_i64(adoption + ADOPTION.listed) and now_ns - looked_ns < PARKED_NS):
        return
    store_i64(adoption + ADOPTION.listed, listed)
    store_i64(adoption + ADOPTION.parked_ns, now_ns)
    store_i64(adoption + ADOPTION.parked_count, 0)
    for index in range(count_before):
        row = load_i64(adoption + ADOPTION.parked) + index * PARKED_BYTES
        # what has to wait on is parked again, at this row or before it
        message_bytes = load_u32(row + PARKED.size)
        route(path, load_u8(row + PARKED.bytes), row + PARKED.bytes, message_bytes, now_ns)


@kernel
def count(path, reason):
    """Counts a report that changed nothing; returns 0."""
    return count_reason(load_i64(path + PATH.counters), int64(reason))


@kernel
def lose(path, reason):
    """Counts a report that should have changed something and could not: deny until reconciled. Returns 0."""
    add_to(load_i64(path + PATH.account) + ACCOUNT.session_lost, 1)
    return count(path, reason)
