"""What comes back ⑧: one OUCH 5.0 outbound message, or one refusal of io, applied to our own orders.

    Accepted · Replaced · Executed · Canceled · AIQ Canceled · Rejected · Broken · Cancel Reject · Priority · Modified
    everything else the venue may say moves no order and is counted

Hard rule: the venue's facts win. What contradicts our table is absorbed and counted; what cannot be applied (a report
that is too short, a fill of an order we do not know) makes positions uncertain: a lost report, and new risk stops.
"""

from numba import njit

from gateway.core.memory import load_be16, load_be32, load_be64, load_i64, load_u8, store_i64, store_u8
from gateway.core.orders import (
    CANCELLED,
    CANCELLING,
    REJECTED,
    SENT,
    UNKNOWN,
    add_to,
    apply_fill,
    break_fill,
    decrement,
    finish,
    is_live,
    known_row,
    reserve,
    resume,
)
from gateway.core.submit import journal
from gateway.layout import offsets, value
from gateway.protocols.ouch50 import MESSAGES, OUTBOUND, offsets_of, size_of, type_of

PATH = offsets("order_path")
ORDER = offsets("order")
ACCOUNT = offsets("gate_account")
COUNTERS = offsets("core_counters")
REFUSAL = offsets("order_refusal")

ACCEPT, ACCEPT_TYPE = offsets_of("OrderAccepted"), type_of("OrderAccepted")
REPLACE, REPLACE_TYPE = offsets_of("OrderReplaced"), type_of("OrderReplaced")
CANCEL, CANCEL_TYPE = offsets_of("OrderCanceled"), type_of("OrderCanceled")
AIQ, AIQ_TYPE = offsets_of("AIQCanceled"), type_of("AIQCanceled")
EXECUTE, EXECUTE_TYPE = offsets_of("OrderExecuted"), type_of("OrderExecuted")
BREAK, BREAK_TYPE = offsets_of("BrokenTrade"), type_of("BrokenTrade")
REJECT, REJECT_TYPE = offsets_of("Rejected"), type_of("Rejected")
CANCEL_REJECT_TYPE = type_of("CancelReject")
PRIORITY, PRIORITY_TYPE = offsets_of("OrderPriorityUpdate"), type_of("OrderPriorityUpdate")
MODIFY, MODIFY_TYPE = offsets_of("OrderModified"), type_of("OrderModified")
# Bytes a message of each type must have at least; 0: the specification has no such message.
SIZES = tuple(
    next((size_of(message.key) for message in MESSAGES[OUTBOUND].values() if ord(message.type) == byte), 0)
    for byte in range(256)
)
# 1: the message is about one order of ours, by its user_ref_num.
REFERS = tuple(int(chr(byte) in "AUCDEBJPITMR") for byte in range(256))
MESSAGE_UNKNOWN, MESSAGE_LENGTH = value("FEED_MESSAGE_UNKNOWN"), value("FEED_MESSAGE_LENGTH")
REPORT_UNKNOWN = value("FEED_REPORT_UNKNOWN")
JOURNAL_REPORT = value("JOURNAL_REPORT")
STATE_DEAD = ord("D")


@njit
def apply_report(path, message, size, now_ns):
    """Applies one outbound message of `size` bytes at `message`; returns 1 when it moved an order, else 0."""
    counters = load_i64(path + PATH.counters)
    add_to(counters + COUNTERS.reports, 1)
    kind = load_u8(message) if size > 0 else 0
    needed = SIZES[kind]
    if needed == 0:
        add_to(counters + COUNTERS.reasons + 8 * MESSAGE_UNKNOWN, 1)
        return 0
    if size < needed:
        add_to(counters + COUNTERS.reasons + 8 * MESSAGE_LENGTH, 1)
        return lose_report(path)
    if REFERS[kind] == 0:
        return 0
    order = known_row(path, load_be32(message + ACCEPT.user_ref_num))
    if order == 0:
        add_to(counters + COUNTERS.reasons + 8 * REPORT_UNKNOWN, 1)
        return lose_report(path) if (kind == EXECUTE_TYPE) | (kind == REPLACE_TYPE) else 0
    moved = apply_to_order(path, order, message, kind, now_ns)
    reference = load_i64(order + ORDER.reference)
    match = load_be64(message + EXECUTE.match_number) if kind == EXECUTE_TYPE else 0
    journal(path, JOURNAL_REPORT, now_ns, reference, kind, 0, match)
    return moved


@njit
def lose_report(path):
    """A report that could not be applied: positions are uncertain, the gate stops new risk."""
    account = load_i64(path + PATH.account)
    add_to(account + ACCOUNT.session_lost, 1)
    return 0


@njit
def apply_to_order(path, order, message, kind, now_ns):
    """One message about an order of ours, its length known to be enough. 1 when something changed."""
    if kind == EXECUTE_TYPE:
        price, quantity = load_be64(message + EXECUTE.price), load_be32(message + EXECUTE.quantity)
        return apply_fill(path, order, load_be64(message + EXECUTE.match_number), price, quantity, now_ns)
    if kind == ACCEPT_TYPE:
        return on_accepted(path, order, message, now_ns)
    if kind == CANCEL_TYPE:
        return on_canceled(path, order, message, load_be32(message + CANCEL.quantity), now_ns)
    if kind == AIQ_TYPE:
        return on_canceled(path, order, message, load_be32(message + AIQ.decrement_shares), now_ns)
    if kind == REJECT_TYPE:
        return on_rejected(path, order, message, now_ns)
    if kind == REPLACE_TYPE:
        return on_replaced(path, order, message, now_ns)
    if kind == BREAK_TYPE:
        broken = break_fill(path, order, load_be64(message + BREAK.match_number), now_ns)
        return lose_report(path) if broken < 0 else broken
    if kind == MODIFY_TYPE:
        return set_remaining(path, order, load_be32(message + MODIFY.quantity), now_ns)
    if kind == PRIORITY_TYPE:
        store_i64(order + ORDER.venue_order_id, load_be64(message + PRIORITY.order_reference_number))
        return 1
    if kind == CANCEL_REJECT_TYPE and load_u8(order + ORDER.state) == CANCELLING:
        resume(order, now_ns)
        return 1
    return 0


@njit
def on_accepted(path, order, message, now_ns):
    """The venue has the order, at the price and quantity it says; dead on arrival gives everything back."""
    if is_live(order) == 0:
        return 0
    store_i64(order + ORDER.venue_order_id, load_be64(message + ACCEPT.order_reference_number))
    store_i64(order + ORDER.price, load_be64(message + ACCEPT.price))
    if load_u8(message + ACCEPT.order_state) == STATE_DEAD:
        finish(path, order, CANCELLED, now_ns)
        return 1
    set_remaining(path, order, load_be32(message + ACCEPT.quantity), now_ns)
    if load_u8(order + ORDER.state) == SENT or load_u8(order + ORDER.state) == UNKNOWN:
        resume(order, now_ns)
    return 1


@njit
def on_replaced(path, order, message, now_ns):
    """A new order took the place of an old one: what was left of the old one is given back, the new one is accepted."""
    old = known_row(path, load_be32(message + REPLACE.orig_user_ref_num))
    if old != 0 and is_live(old) == 1:
        finish(path, old, CANCELLED, now_ns)
    if is_live(order) == 0:
        return 0
    store_i64(order + ORDER.venue_order_id, load_be64(message + REPLACE.order_reference_number))
    store_i64(order + ORDER.price, load_be64(message + REPLACE.price))
    if load_u8(message + REPLACE.order_state) == STATE_DEAD:
        finish(path, order, CANCELLED, now_ns)
        return 1
    set_remaining(path, order, load_be32(message + REPLACE.quantity), now_ns)
    resume(order, now_ns)
    return 1


@njit
def on_canceled(path, order, message, quantity, now_ns):
    """The venue took `quantity` off the order. The same stamp again is the same report again."""
    stamp = load_be64(message + CANCEL.timestamp)
    if is_live(order) == 0 or load_i64(order + ORDER.time_cancel_venue_ns) == stamp:
        return 0
    store_i64(order + ORDER.time_cancel_venue_ns, stamp)
    add_to(load_i64(path + PATH.counters) + COUNTERS.venue_cancels, 1)
    decrement(path, order, quantity, now_ns)
    return 1


@njit
def on_rejected(path, order, message, now_ns):
    """The venue never took the order. A replace that is rejected leaves the old order as it was."""
    if is_live(order) == 0:
        return 0
    add_to(load_i64(path + PATH.counters) + COUNTERS.venue_rejects, 1)
    store_u8(order + ORDER.reject_code, min(load_be16(message + REJECT.reason), 255))
    finish(path, order, REJECTED, now_ns)
    return 1


@njit
def set_remaining(path, order, quantity, now_ns):
    """The venue's word for the whole size of a live order: what has not filled of it stays open."""
    if is_live(order) == 0:
        return 0
    left = max(quantity - load_i64(order + ORDER.filled), 0)
    reserve(path, order, left - load_i64(order + ORDER.open))
    store_i64(order + ORDER.time_last_ns, now_ns)
    return 1


@njit
def apply_refusal(path, refusal, now_ns):
    """Io did not transmit a new order (struct order_refusal): the venue never had it, so everything is given back."""
    order = known_row(path, load_i64(refusal + REFUSAL.reference))
    if order == 0 or load_u8(order + ORDER.state) != SENT:
        return 0
    store_u8(order + ORDER.reject_code, load_i64(refusal + REFUSAL.reason))
    finish(path, order, REJECTED, now_ns)
    journal(path, JOURNAL_REPORT, now_ns, load_i64(order + ORDER.reference), 0, 0, 0)
    return 1
