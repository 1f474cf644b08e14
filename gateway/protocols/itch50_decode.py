"""ITCH 5.0 to events ④: `decode_packet`, the kernel that turns one MoldUDP64 packet into 64-byte struct event rows.

Hard rule: no load leaves the message, and the message has its length from the table before any field is read.

There is no switch on the type. A row per type byte says where each event field ends in the message and which bits of
the eight bytes up to there are the field; an absent field is offset 0 with mask 0. So every type takes one path:

    field = byte_swapped(load 8 bytes at offset) & mask

Declared with numba's own `njit`: its inlining makes this one kernel a seventh faster than `@leaf` does.
What does not fit the path (a state letter, a wrong length, a side that is neither) leaves it by one branch.
"""

from functools import cache
from typing import Any

from numba import cfunc, njit, types

from gateway import limits
from gateway.core.counters import add_to, count_reason
from gateway.core.memory import load_be16, load_be64, load_i64, load_u8, load_u32, store_i64, store_u8
from gateway.layout import offsets, size, value
from gateway.protocols.itch50 import MESSAGES
from gateway.protocols.itch50_rows import (
    LENGTH_UNKNOWN,
    ROW_BYTES,
    ROW_LENGTH,
    ROW_ORDER,
    ROW_ORDER_MASK,
    ROW_OTHER,
    ROW_OTHER_MASK,
    ROW_PRICE,
    ROW_PRICE_MASK,
    ROW_QUANTITY,
    ROW_QUANTITY_MASK,
    ROW_SIDE_MASK,
    ROW_TEMPLATE,
    ROW_TEXT_MASK,
    SHIFT_KIND,
    SHIFT_SIDE,
    SHIFT_TYPE,
    SPECIAL_BIT,
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
SIDE_BUY_LETTER, SIDE_SELL_LETTER = ord("B"), ord("S")
TYPE_C, TYPE_H, TYPE_R = ord("C"), ord("H"), ord("R")
LETTER_H, LETTER_N, LETTER_P, LETTER_Q, LETTER_T = (ord(letter) for letter in "HNPQT")
TICK = 100  # one cent in 1/10000; sub-dollar prices are finer and have their exact place in the book all the same
PRINTABLE = next(field.offset for field in MESSAGES["C"].fields if field.name == "printable")
STOCK = next(field.offset for field in MESSAGES["R"].fields if field.name == "stock")
WORD_INSTRUMENT = EVENT.instrument  # instrument, kind, side, flags, type: one store
BLOCK_MIN = 2 + min(message.size for message in MESSAGES.values())
TIME_MASK = (1 << 48) - 1


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
    room = count if count <= EVENTS_MAX else EVENTS_MAX - 1
    refused = 0
    event = events
    for number in range(sequence, sequence + room):
        if end - block >= BLOCK_MIN:
            message = block + 2
            kind = load_u8(message)
            row = table + kind * ROW_BYTES
            length = load_be16(block)
            if length == load_u32(row + ROW_LENGTH) and length <= end - message:
                store_i64(event + EVENT.sequence, number)
                store_i64(event + EVENT.time_receive_ns, time_receive_ns)
                refused += _write_message(message, row, event, counters)
                counted = counters + COUNTERS.messages_by_type + 8 * kind
                store_i64(counted, load_i64(counted) + 1)
                block = message + length
                event += EVENT_BYTES
                continue
        if not _fits(block, end):
            break
        _refuse_message(table, block, number, time_receive_ns, event, counters)
        refused += 1
        block += 2 + load_be16(block)
        event += EVENT_BYTES
    written = (event - events) // EVENT_BYTES
    add_to(counters + COUNTERS.messages, written - refused)
    if written < count:
        count_reason(counters, BLOCK_OVERRUN)
        _write_gap(event, sequence + written, count - written, 0, time_receive_ns)
        return written + 1
    if block != end:
        count_reason(counters, PACKET_TRAILING if block < end else BLOCK_OVERRUN)
    return written


@njit(inline="always")
def _write_message(message, row, event, counters):
    """The event of a message whose type and length are right; 1 when a field is not (the event is then a gap)."""
    side_word = load_i64(row + ROW_SIDE_MASK)
    side_mask = side_word >> 63
    side = load_u8(message + (side_word & 0xFF))
    other = message + load_u8(row + ROW_OTHER)
    store_i64(event + EVENT.time_venue_ns, load_be64(message + 3) & TIME_MASK)
    order = load_be64(message + load_u8(row + ROW_ORDER)) & load_i64(row + ROW_ORDER_MASK)
    store_i64(event + EVENT.order_id, order)
    store_i64(
        event + EVENT.other_id,
        (load_be64(other) & load_i64(row + ROW_OTHER_MASK)) | (load_i64(other) & load_i64(row + ROW_TEXT_MASK)),
    )
    price = load_be64(message + load_u8(row + ROW_PRICE)) & load_i64(row + ROW_PRICE_MASK)
    store_i64(event + EVENT.price, price)
    quantity = load_be64(message + load_u8(row + ROW_QUANTITY)) & load_i64(row + ROW_QUANTITY_MASK)
    store_i64(event + EVENT.quantity, quantity)
    # 'B' is even and 'S' is odd; any other letter is met below
    word = load_i64(row + ROW_TEMPLATE) | load_be16(message + 1) | (((1 + (side & 1)) & side_mask) << SHIFT_SIDE)
    store_i64(event + WORD_INSTRUMENT, word)
    neither = ((side - SIDE_BUY_LETTER) * (side - SIDE_SELL_LETTER)) & side_mask
    # a cross of 2**63 shares or more does not fit the event, and is not one
    if neither | (side_word & SPECIAL_BIT) | (quantity < 0):
        return _finish_special(message, event, counters)
    return 0


@njit
def _finish_special(message, event, counters):
    """What the table cannot say, by type; 1 when the message is refused."""
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
    else:
        sequence = load_i64(event + EVENT.sequence)
        count_reason(counters, MESSAGE_FIELD)
        add_to(counters + COUNTERS.messages_by_type + 8 * kind, -1)
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
def _refuse_message(table, block, sequence, time_receive_ns, event, counters):
    """A whole block that is no message of the specification: unknown type, or known type of another length."""
    kind = load_u8(block + 2) if load_be16(block) > 0 else 0
    if load_be16(block) > 0 and load_u32(table + kind * ROW_BYTES + ROW_LENGTH) == LENGTH_UNKNOWN:
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
