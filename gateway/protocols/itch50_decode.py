"""ITCH 5.0 to events ④: `decode_packet`, the kernel that turns one MoldUDP64 packet into 64-byte struct event rows.

Hard rule: no load leaves the message, and the message has its length from the table before any field is read.

There is no switch on the type: a row per type byte says which byte of the message is which byte of the event, so every
type takes one path (itch50_row_writer.py). What does not fit it leaves the loop by one branch and is dealt with behind
it: a state letter, a side that is neither, a wrong length. So nothing is called in the loop, and it stays in registers.

Declared with numba's own `njit`: its inlining makes this one kernel a seventh faster than `@leaf` does.
"""

from functools import cache
from typing import Any

from numba import cfunc, njit, types

from gateway import limits
from gateway.core.counters import add_to, count_reason
from gateway.core.memory import load_be16, load_i64, load_u8, load_u16, load_u32, store_i64, store_u8
from gateway.layout import offsets, size, value
from gateway.protocols.itch50 import MESSAGES
from gateway.protocols.itch50_row_writer import write_row
from gateway.protocols.itch50_rows import (
    HEAD_LENGTH,
    LETTERS,
    ROW_BYTES,
    ROW_HEAD,
    SHIFT_EXCEPTION,
    SHIFT_KIND,
    SHIFT_SIDE_PLACE,
    SHIFT_TYPE,
    SPECIAL,
    TYPE_UNKNOWN,
    make_table,
)
from gateway.protocols.moldudp64 import END_OF_SESSION, HEADER_BYTES, count_of, sequence_of

__all__ = ["EVENTS_MAX", "decode_packet", "itch50_decoder", "make_table"]

DECODER = offsets("decoder")

EVENT = offsets("event")
EVENT_BYTES = size("event")
COUNTERS = offsets("core_counters")
EVENTS_MAX = limits.EVENTS_MAX

INFORMATION, GAP = value("EVENT_INFORMATION"), value("EVENT_GAP")
PRICED, NON_PRINTABLE = value("EVENT_PRICED"), value("EVENT_NON_PRINTABLE")
OPEN, HALTED = value("TRADING_OPEN"), value("TRADING_HALTED")
PAUSED, QUOTE_ONLY = value("TRADING_PAUSED"), value("TRADING_QUOTE_ONLY")

PACKET_SHORT, BLOCK_OVERRUN = value("FEED_PACKET_SHORT"), value("FEED_BLOCK_OVERRUN")
PACKET_TRAILING, MESSAGE_LENGTH = value("FEED_PACKET_TRAILING"), value("FEED_MESSAGE_LENGTH")
MESSAGE_UNKNOWN, MESSAGE_FIELD = value("FEED_MESSAGE_UNKNOWN"), value("FEED_MESSAGE_FIELD")

UNKNOWN = value("TRADING_UNKNOWN")
TYPE_C, TYPE_H, TYPE_R = (ord(letter) for letter in "CHR")
LETTER_H, LETTER_N, LETTER_P, LETTER_Q, LETTER_T = (ord(letter) for letter in "HNPQT")
TICK = 100  # one cent in 1/10000; sub-dollar prices are finer and have their exact place in the book all the same
PRINTABLE = next(field.offset for field in MESSAGES["C"].fields if field.name == "printable")
STOCK = next(field.offset for field in MESSAGES["R"].fields if field.name == "stock")
WORD_INSTRUMENT = EVENT.instrument  # instrument, kind, side, flags, type: one store
BLOCK_MIN = 2 + min(message.size for message in MESSAGES.values())


@njit
def decode_packet(table: int, payload: int, size: int, skip: int, time_receive_ns: int, events: int, counters: int) -> int:
    """Turns the messages of one MoldUDP64 packet, header included, into events; returns how many it wrote.

    The first `skip` messages are passed over. `events` has room for limits.EVENTS_MAX rows of struct event; `counters`
    is a struct core_counters. Counts messages, messages_by_type and reasons. A message with a wrong length or field
    becomes an EVENT_GAP of 1 in its place, an unknown type an EVENT_INFORMATION, and a block that leaves the packet one
    EVENT_GAP for itself and everything behind it.
    """
    if size < HEADER_BYTES:
        count_reason(counters, PACKET_SHORT)
        return 0
    count = count_of(payload)
    if count == END_OF_SESSION:
        count = 0
    end = payload + size
    block = payload + HEADER_BYTES
    for _ in range(min(skip, count)):
        block = _next_block(block, end)
    first = max(skip, 0)
    return _decode_blocks(table, block, end, sequence_of(payload) + first, count - first, time_receive_ns, events, counters)


@njit(inline="always")
def _next_block(block, end):
    """Where the block behind `block` begins; beyond `end` once a block has left the packet."""
    if end - block < 2:
        return end + 1
    return block + 2 + load_be16(block)


@njit
def _decode_blocks(table, block, end, sequence, count, time_receive_ns, events, counters):
    """The `count` blocks from `block` on, numbered from `sequence`; returns the events written."""
    last = sequence + (count if count <= EVENTS_MAX else EVENTS_MAX - 1)
    number, event, refused = sequence, events, 0
    while number < last:
        block, number = _decode_common(table, block, end, number, last, time_receive_ns, event, counters)
        event = events + (number - sequence) * EVENT_BYTES
        if number >= last or not _fits(block, end):
            break
        refused += _decode_seldom(table, block, number, time_receive_ns, event, counters)
        block += 2 + load_be16(block)
        event += EVENT_BYTES
        number += 1
    written = number - sequence
    add_to(counters + COUNTERS.messages, written - refused)
    if written < count:
        count_reason(counters, BLOCK_OVERRUN)
        _write_gap(event, number, count - written, 0, time_receive_ns)
        return written + 1
    if block != end:
        count_reason(counters, PACKET_TRAILING if block < end else BLOCK_OVERRUN)
    return written


@njit
def _decode_common(table, block, end, number, last, time_receive_ns, event, counters):
    """Messages up to the first that needs more than its row of the table; returns (its block, its number)."""
    while number < last and end - block >= BLOCK_MIN:
        message = block + 2
        kind = load_u8(message)
        row = table + kind * ROW_BYTES
        head = load_i64(row + ROW_HEAD)
        behind = message + load_u8(block + 1)  # no message is longer than its low byte can say
        if ((load_u16(block) ^ head) & HEAD_LENGTH) != 0 or behind > end:
            break
        write_row(message, row, event)
        store_i64(event + EVENT.sequence, number)
        store_i64(event + EVENT.time_receive_ns, time_receive_ns)
        letter = load_u8(message + ((head >> SHIFT_SIDE_PLACE) & 0xFF))
        if (load_u8(table + LETTERS + letter) | SPECIAL) & (head >> SHIFT_EXCEPTION):
            break
        counted = counters + COUNTERS.messages_by_type + 8 * kind
        store_i64(counted, load_i64(counted) + 1)
        block = behind
        event += EVENT_BYTES
        number += 1
    return block, number


@njit
def _decode_seldom(table, block, number, time_receive_ns, event, counters):
    """One whole block that the common path left; 1 when it is refused."""
    length = load_be16(block)
    kind = load_u8(block + 2) if length > 0 else 0
    head = load_i64(table + kind * ROW_BYTES + ROW_HEAD)
    if length > 0 and ((load_u16(block) ^ head) & HEAD_LENGTH) == 0:
        refused = _finish_special(head >> SHIFT_EXCEPTION, block + 2, event, counters)
        add_to(counters + COUNTERS.messages_by_type + 8 * kind, 1 - refused)
        return refused
    _refuse_message(head, block, number, time_receive_ns, event, counters)
    return 1


@njit
def _finish_special(exception, message, event, counters):
    """What the table cannot say, by type, of a message whose row is written; 1 when it is refused."""
    kind = load_u8(message)
    if kind == TYPE_C:
        if load_u8(message + PRINTABLE) == LETTER_N:
            store_u8(event + EVENT.flags, PRICED | NON_PRINTABLE)
    elif kind == TYPE_H:
        store_i64(event + EVENT.order_id, load_i64(message + STOCK))
        store_i64(event + EVENT.quantity, _trading_state(load_i64(event + EVENT.quantity)))
    elif kind == TYPE_R:
        store_i64(event + EVENT.order_id, load_i64(message + STOCK))
        store_i64(event + EVENT.price, TICK)
    elif (exception & SPECIAL) == 0 or load_i64(event + EVENT.quantity) < 0:
        # a side that is neither, or a cross of 2**63 shares or more, which does not fit the event and is not one
        sequence = load_i64(event + EVENT.sequence)
        count_reason(counters, MESSAGE_FIELD)
        _write_gap(event, sequence, 1, kind, load_i64(event + EVENT.time_receive_ns))
        return 1
    return 0


@njit(inline="always")
def _trading_state(letter):
    """enum trading_state of a Stock Trading Action (section 1.2.2)."""
    if letter == LETTER_T:
        return OPEN
    if letter == LETTER_H:
        return HALTED
    if letter == LETTER_P:
        return PAUSED
    return QUOTE_ONLY if letter == LETTER_Q else UNKNOWN


@njit(inline="always")
def _fits(block, end):
    """Is the block, its length word included, inside the packet?"""
    return end - block >= 2 and load_be16(block) <= end - block - 2


@njit
def _refuse_message(head, block, sequence, time_receive_ns, event, counters):
    """A whole block that is no message of the specification: unknown type, or known type of another length."""
    kind = load_u8(block + 2) if load_be16(block) > 0 else 0
    if load_be16(block) > 0 and head & TYPE_UNKNOWN:
        count_reason(counters, MESSAGE_UNKNOWN)
        _write_gap(event, sequence, 0, kind, time_receive_ns)
        store_u8(event + EVENT.kind, INFORMATION)
    else:
        count_reason(counters, MESSAGE_LENGTH)
        _write_gap(event, sequence, 1, kind, time_receive_ns)


@njit
def _write_gap(event, sequence, quantity, kind, time_receive_ns):
    """An EVENT_GAP: `quantity` messages from `sequence` on are lost."""
    store_i64(event + EVENT.sequence, sequence)
    store_i64(event + EVENT.time_venue_ns, 0)
    store_i64(event + EVENT.order_id, 0)
    store_i64(event + EVENT.other_id, 0)
    store_i64(event + EVENT.price, 0)
    store_i64(event + EVENT.quantity, quantity)
    store_i64(event + WORD_INSTRUMENT, (GAP << SHIFT_KIND) | (kind << SHIFT_TYPE))
    store_i64(event + EVENT.time_receive_ns, time_receive_ns)


def _decode(decoder):
    return decode_packet(
        load_i64(decoder + DECODER.context),
        load_i64(decoder + DECODER.payload),
        load_u32(decoder + DECODER.size),
        load_u32(decoder + DECODER.skip),
        load_i64(decoder + DECODER.time_receive_ns),
        load_i64(decoder + DECODER.events),
        load_i64(decoder + DECODER.counters),
    )


@cache
def itch50_decoder() -> Any:
    """The protocol as a C function, int64 (struct decoder *): its context is the address of `make_table()`."""
    return cfunc(types.int64(types.int64), cache=True)(_decode)
