"""The records of core_journal ⑧: what was decided and on what, what the venue or io said about which order.

    decision   open_decision ─► gate ⑦, row, message ─► close_decision ─► the order leaves
    report     journal_report, in front of whatever it changes

Hard rule: a decision is published before its order is; a full ring sheds the record, counted, and never a cancel: the gate
has stopped new risk by then.
"""

import numpy as np

from gateway.core import ring
from gateway.core.kernel import kernel
from gateway.core.memory import (
    copy_bytes,
    load_be16,
    load_be32,
    load_be64,
    load_i64,
    load_u8,
    load_u32,
    relaxed,
    store_i64,
    store_u8,
    store_u16,
    store_u32,
)
from gateway.core.orders import known_row
from gateway.layout import offsets, size, value
from gateway.protocols.ouch50 import BY_KEY, offsets_of, type_of

PATH = offsets("order_path")
INTENT = offsets("intent")
ORDER = offsets("order")
BOOK = offsets("book")
ROW = offsets("gate_row")
ACCOUNT = offsets("gate_account")
RECORD = offsets("journal_slot")
INTENT_BYTES, BOOK_BYTES, ROW_BYTES, RECORD_BYTES = (size(name) for name in ("intent", "book", "gate_row", "journal_slot"))
DECISION, REPORT = value("JOURNAL_DECISION"), value("JOURNAL_REPORT")
CANCEL = value("INTENT_CANCEL")
FACTS = ("match", "price", "quantity", "venue_order_id", "time_venue_ns")  # one after the other in the record


def _field_offsets(**fields: str) -> np.ndarray:
    """By type byte: where a message has this field; 0: it has none."""
    table = np.zeros(256, dtype=np.int64)
    for message, field in fields.items():
        table[ord(BY_KEY[message].type)] = getattr(offsets_of(message), field)
    return table


MATCH_AT = _field_offsets(OrderExecuted="match_number", BrokenTrade="match_number")
PRICE_AT = _field_offsets(
    OrderAccepted="price",
    OrderReplaced="price",
    OrderExecuted="price",
    AIQCanceled="execution_price",
    OrderPriorityUpdate="price",
)
QUANTITY_AT = _field_offsets(
    OrderAccepted="quantity",
    OrderReplaced="quantity",
    OrderExecuted="quantity",
    OrderCanceled="quantity",
    AIQCanceled="decrement_shares",
    OrderModified="quantity",
)
VENUE_ORDER_AT = _field_offsets(
    OrderAccepted="order_reference_number",
    OrderReplaced="order_reference_number",
    OrderPriorityUpdate="order_reference_number",
)
REASON_AT = _field_offsets(OrderCanceled="reason", AIQCanceled="reason", BrokenTrade="reason")
REPLACED, REJECTED = offsets_of("OrderReplaced"), offsets_of("Rejected")
IS_REPLACED, IS_REJECTED = type_of("OrderReplaced"), type_of("Rejected")
TIME_AT = REJECTED.timestamp  # every outbound message begins with its type and the venue's time


@kernel
def open_decision(path, intent, reference, now_ns, ticks_receive, ticks_decode):
    """Claims a record and writes all of it but what is only known later; 0 while the ring is full."""
    record = ring.claim(load_i64(path + PATH.journal))
    if record == 0:
        return record
    write_head(record, DECISION, 0, now_ns, reference, 0)
    copy_bytes(record + RECORD.intent, intent, INTENT_BYTES)
    store_i64(record + RECORD.match, relaxed(load_i64(path + PATH.account) + ACCOUNT.limits_version))
    store_i64(record + RECORD.price, 0)
    store_i64(record + RECORD.quantity, 0)
    store_i64(record + RECORD.venue_order_id, 0)
    store_i64(record + RECORD.time_venue_ns, 0)
    instrument = load_u32(intent + INTENT.instrument)
    if load_u8(intent + INTENT.kind) == CANCEL:
        order = known_row(path, reference)
        if order != 0:
            instrument = load_u32(order + ORDER.instrument)
    write_market(path, record, instrument)
    store_i64(record + RECORD.ticks_receive, ticks_receive)
    store_i64(record + RECORD.ticks_decode, ticks_decode)
    return record


@kernel
def close_decision(path, record, reasons, ticks_order):
    """Publishes what open_decision began, or counts that there was no room."""
    writer = load_i64(path + PATH.journal)
    if record == 0:
        ring.shed(writer)
        return
    store_i64(record + RECORD.reasons, reasons)
    store_i64(record + RECORD.ticks_order, ticks_order)
    ring.publish(writer, record)


@kernel
def journal_report(path, now_ns, reference, kind, message):
    """One venue report of type byte `kind` at `message`, its length checked."""
    reason = load_u8(message + REASON_AT[kind]) if REASON_AT[kind] != 0 else 0
    if kind == IS_REJECTED:
        reason = load_be16(message + REJECTED.reason)
    record = open_report(path, now_ns, reference, kind, reason)
    if record == 0:
        return
    if kind == IS_REPLACED:
        original = load_be32(message + REPLACED.orig_user_ref_num)
        store_i64(record + RECORD.intent + INTENT.order_reference, original)
    store_i64(record + RECORD.match, load_be64(message + MATCH_AT[kind]) if MATCH_AT[kind] != 0 else 0)
    store_i64(record + RECORD.price, load_be64(message + PRICE_AT[kind]) if PRICE_AT[kind] != 0 else 0)
    store_i64(record + RECORD.quantity, load_be32(message + QUANTITY_AT[kind]) if QUANTITY_AT[kind] != 0 else 0)
    venue_order = load_be64(message + VENUE_ORDER_AT[kind]) if VENUE_ORDER_AT[kind] != 0 else 0
    store_i64(record + RECORD.venue_order_id, venue_order)
    store_i64(record + RECORD.time_venue_ns, load_be64(message + TIME_AT))
    ring.publish(load_i64(path + PATH.journal), record)


@kernel
def journal_refusal(path, now_ns, reference, reason):
    """What our own side says of an order that never reached the venue (enum refusal_reason)."""
    record = open_report(path, now_ns, reference, reason, 0)
    if record != 0:
        ring.publish(load_i64(path + PATH.journal), record)


@kernel
def open_report(path, now_ns, reference, reasons, flags):
    """Claims a record of a report and fills it with what our table has of the order; 0 and counted when there is no room."""
    writer = load_i64(path + PATH.journal)
    record = ring.claim(writer)
    if record == 0:
        ring.shed(writer)
        return record
    for offset in range(RECORD.intent, RECORD_BYTES, 8):
        store_i64(record + offset, 0)
    write_head(record, REPORT, flags, now_ns, reference, reasons)
    order = known_row(path, reference)
    if order != 0:
        write_terms(record + RECORD.intent, order)
        write_market(path, record, load_u32(order + ORDER.instrument))
    return record


@kernel
def write_head(record, kind, flags, now_ns, reference, reasons):
    """Everything in front of the intent but the sequence word, which publish writes."""
    store_u32(record + RECORD.size, 0)
    store_u16(record + RECORD.kind, kind)
    store_u16(record + RECORD.flags, flags)
    store_i64(record + RECORD.time_ns, now_ns)
    store_i64(record + RECORD.reference, reference)
    store_i64(record + RECORD.reasons, reasons)


@kernel
def write_terms(intent, order):
    """What our table says of an order, in the words of the intent that made it; its kind stays NONE."""
    store_u8(intent + INTENT.side, load_u8(order + ORDER.side))
    store_u8(intent + INTENT.time_in_force, load_u8(order + ORDER.time_in_force))
    store_u32(intent + INTENT.instrument, load_u32(order + ORDER.instrument))
    store_i64(intent + INTENT.price, load_i64(order + ORDER.price))
    store_i64(intent + INTENT.quantity, load_i64(order + ORDER.quantity))
    store_i64(intent + INTENT.order_reference, load_i64(order + ORDER.replaces))
    store_i64(intent + INTENT.signal_id, load_i64(order + ORDER.signal_id))
    store_u32(intent + INTENT.strategy, load_u32(order + ORDER.strategy))


@kernel
def write_market(path, record, instrument):
    """Best prices and our position as they stand; those of row 0, which is no instrument, where there is none such."""
    instrument *= instrument < load_i64(path + PATH.instruments)
    book = load_i64(path + PATH.books) + instrument * BOOK_BYTES
    row = load_i64(path + PATH.rows) + instrument * ROW_BYTES
    store_i64(record + RECORD.bid, load_i64(book + BOOK.bid_price))
    store_i64(record + RECORD.ask, load_i64(book + BOOK.ask_price))
    store_i64(record + RECORD.position, load_i64(row + ROW.position))
