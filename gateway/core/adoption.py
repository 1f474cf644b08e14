"""Orders that core hears of without having sent them ⑧: control's own, and those of a run before this one.

    Accepted, Replaced of a reference without a row ─► find_instrument ─► row, reservation, list ─► as any other order
                                                            └─ not named yet: parked, until the directory names it

Nothing but the venue's replay is needed to know every order, position and fill of the day again: the session of a fresh
instance asks for sequence 1. The strategy stands in the client order id (order_frames.py), an id of somebody else's
belongs to control's row. Hard rule: an adopted order is reserved before its report is applied, and new risk waits until
nothing is parked and, where the configuration says so, what a run before left is cancelled.
"""

import numpy as np
from numba import int64

from gateway.core.counters import add_to
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    address_of,
    copy_bytes,
    load_be32,
    load_be64,
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
from gateway.core.orders import HASH, ORDER_BYTES, REFERENCE_MAX, SENT, is_live, order_at, reserve
from gateway.core.working import enlist
from gateway.layout import dtype, offsets, size, value
from gateway.protocols.ouch50 import offsets_of, type_of

PATH = offsets("order_path")
TABLE = offsets("order_table")
INTENTS = offsets("intents")
ORDER = offsets("order")
BOOK = offsets("book")
ACCOUNT = offsets("gate_account")
COUNTERS = offsets("core_counters")
ADOPTION = offsets("adoption")
PARKED = offsets("parked_report")
BOOK_BYTES, PARKED_BYTES = size("book"), size("parked_report")
SYMBOLS, ROWS = value("ADOPTION_SYMBOLS"), value("ADOPTION_PARKED")
REPORT_BYTES = value("ADOPTION_PARKED_BYTES")
ACCEPT, REPLACE = offsets_of("OrderAccepted"), offsets_of("OrderReplaced")
IS_REPLACE = type_of("OrderReplaced")
ADOPTED, FOUND, POST_ONLY = value("ORDER_ADOPTED"), value("ORDER_FOUND"), value("ORDER_POST_ONLY")
SIDE_NONE, SIDE_BUY, SIDE_SELL = value("SIDE_NONE"), value("SIDE_BUY"), value("SIDE_SELL")
TIME_DAY, TIME_IOC = value("TIME_DAY"), value("TIME_IOC")
CONTROL_ROW = value("GATE_STRATEGIES") - 1
STRATEGY_SHIFT = 32
IMMEDIATE = ord("3")
LOOK_NS = 10_000_000  # between two looks at what new risk waits for

# what `adopt` answers instead of a row
PARK, REFUSED = -1, 0


@leaf
def side_of(letter):
    """Buy, or one of the three ways to sell; OUCH 5.0, 2.1."""
    selling = (letter == ord("S")) | (letter == ord("T")) | (letter == ord("E"))
    return SIDE_BUY if letter == ord("B") else (SIDE_SELL if selling else SIDE_NONE)


@kernel
def strategy_of(client_order_id):
    """The strategy's row in the 14 characters at this address; control's where they are not ours."""
    word = load_be64(client_order_id + 6)
    number = int64(0)
    for place in range(8):
        character = shift_right(word, 56 - 8 * place) & 0xFF
        digit = character - ord("0") if character <= ord("9") else character - ord("A") + 10
        known = ((character >= ord("0")) & (character <= ord("9"))) | ((character >= ord("A")) & (character <= ord("V")))
        if not known:
            return int64(CONTROL_ROW)
        number = number << 5 | digit
    return (number >> STRATEGY_SHIFT) & CONTROL_ROW


@kernel
def find_instrument(path, word):
    """The row of the book whose symbol these 8 characters are; -1: the directory has not named it."""
    adoption, books = load_i64(path + PATH.adoption), load_i64(path + PATH.books)
    place = adoption + ADOPTION.symbols + (shift_right(multiply_wrapping(word, HASH), 40) & (SYMBOLS - 1)) * 4
    guess = load_u32(place) - 1
    if guess >= 0 and load_i64(books + guess * BOOK_BYTES + BOOK.symbol) == word:
        return guess
    used = load_i64(load_i64(adoption + ADOPTION.books_used))
    for index in range(min(used, load_i64(path + PATH.instruments))):
        listed = load_u32(books + index * BOOK_BYTES + BOOK.listed)  # rows are the venue's numbers: not dense, not from 0
        row = listed - 1 if listed != 0 else index
        if load_i64(books + row * BOOK_BYTES + BOOK.symbol) == word:
            store_u32(place, row + 1)
            return row
    return -1


@kernel
def adopt(path, kind, message, now_ns):
    """Address of a fresh row for the order of an Accepted or Replaced, reserved; PARK, or REFUSED where there is no row."""
    replaced = kind == IS_REPLACE
    reference = load_be32(message + (REPLACE.user_ref_num if replaced else ACCEPT.user_ref_num))
    side = side_of(load_u8(message + (REPLACE.side if replaced else ACCEPT.side)))
    order = order_at(path, reference)
    taken = (is_live(order) == 1) | (load_i64(order + ORDER.reference) > reference)
    if (side == SIDE_NONE) | (reference <= 0) | (reference > REFERENCE_MAX) | taken:
        return REFUSED
    instrument = find_instrument(path, load_i64(message + (REPLACE.symbol if replaced else ACCEPT.symbol)))
    if instrument < 0:
        return PARK
    adoption = load_i64(path + PATH.adoption)
    for offset in range(0, ORDER_BYTES, 8):
        store_i64(order + offset, 0)
    store_i64(order + ORDER.reference, reference)
    store_i64(order + ORDER.price, load_be64(message + (REPLACE.price if replaced else ACCEPT.price)))
    store_i64(order + ORDER.quantity, load_be32(message + (REPLACE.quantity if replaced else ACCEPT.quantity)))
    if replaced:
        store_i64(order + ORDER.replaces, load_be32(message + REPLACE.orig_user_ref_num))
    store_i64(order + ORDER.time_sent_ns, now_ns)
    store_i64(order + ORDER.time_last_ns, now_ns)
    store_u32(order + ORDER.instrument, instrument)
    store_u32(order + ORDER.strategy, strategy_of(message + (REPLACE.cl_ord_id if replaced else ACCEPT.cl_ord_id)))
    life = load_u8(message + (REPLACE.time_in_force if replaced else ACCEPT.time_in_force))
    store_u8(order + ORDER.side, side)
    store_u8(order + ORDER.time_in_force, TIME_IOC if life == IMMEDIATE else TIME_DAY)
    store_u16(order + ORDER.flags, ADOPTED if load_i64(adoption + ADOPTION.up) != 0 else ADOPTED | FOUND)
    store_u8(order + ORDER.state, SENT)
    enlist(path, order)
    reserve(path, order, load_i64(order + ORDER.quantity))
    use_up(path, reference)
    add_to(load_i64(path + PATH.counters) + COUNTERS.orders_adopted, 1)
    return order


@kernel
def use_up(path, reference):
    """The venue has seen `reference`, or will: ours go on behind it."""
    table, intents = load_i64(path + PATH.table), load_i64(path + PATH.intents)
    if reference >= load_i64(table + TABLE.next_reference) and reference <= REFERENCE_MAX:
        store_i64(table + TABLE.next_reference, reference + 1)
        store_i64(intents + INTENTS.next_reference, reference + 1)


@kernel
def park(path, reference, message, message_bytes):
    """Keeps a report until its instrument is named; 0 when there is no room for it."""
    adoption = load_i64(path + PATH.adoption)
    count = load_i64(adoption + ADOPTION.parked_count)
    if (count >= ROWS) | (message_bytes > REPORT_BYTES):
        return 0
    row = load_i64(adoption + ADOPTION.parked) + count * PARKED_BYTES
    copy_bytes(row + PARKED.bytes, message, message_bytes)
    store_u32(row + PARKED.size, message_bytes)
    store_i64(row + PARKED.reference, reference)
    store_i64(adoption + ADOPTION.parked_count, count + 1)
    add_to(load_i64(path + PATH.counters) + COUNTERS.reports_parked, 1)
    return 1


@kernel
def is_parked(path, reference):
    """1 while a report of this order waits: those behind it wait too."""
    adoption = load_i64(path + PATH.adoption)
    for index in range(load_i64(adoption + ADOPTION.parked_count)):
        row = load_i64(adoption + ADOPTION.parked) + index * PARKED_BYTES
        if load_i64(row + PARKED.reference) == reference:
            return 1
    return 0


@kernel
def await_settled(path, connection):
    """A connection is up and everything before it was said: new risk waits for the rest (`open_new_risk`)."""
    adoption = load_i64(path + PATH.adoption)
    store_i64(adoption + ADOPTION.connection, connection)
    store_i64(adoption + ADOPTION.looked_ns, 0)


@kernel
def open_new_risk(path, now_ns):
    """Allows new risk on the connection that is up, once nothing is parked and nothing found has to be cancelled first."""
    adoption = load_i64(path + PATH.adoption)
    connection = load_i64(adoption + ADOPTION.connection)
    if connection == 0 or now_ns - load_i64(adoption + ADOPTION.looked_ns) < LOOK_NS:
        return
    store_i64(adoption + ADOPTION.looked_ns, now_ns)
    waits = load_i64(adoption + ADOPTION.cancel_found) != 0 and has_found(path) == 1
    if load_i64(adoption + ADOPTION.parked_count) != 0 or waits:
        return
    store_i64(adoption + ADOPTION.up, 1)
    store_i64(adoption + ADOPTION.connection, 0)
    store_i64(load_i64(path + PATH.account) + ACCOUNT.session_connection, connection)


@kernel
def has_found(path):
    """1 while an order that a run before left may still fill."""
    for index in range(load_i64(path + PATH.orders_mask) + 1):
        order = load_i64(path + PATH.orders) + index * ORDER_BYTES
        if load_u16(order + ORDER.flags) & FOUND != 0 and is_live(order) == 1:
            return 1
    return 0


def make_adoption(*, books_used: int, unknown_ns: int, cancel_found: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """A struct adoption (array of one) and what it points into; `books_used` is the address of book_store.used."""
    record = np.zeros(1, dtype=dtype("adoption"))
    parked = np.zeros(ROWS, dtype=dtype("parked_report"))
    record["parked"], record["books_used"] = address_of(parked), books_used
    record["unknown_ns"], record["cancel_found"] = unknown_ns, int(cancel_found)
    return record, [parked]
