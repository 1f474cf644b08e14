"""Kraken WebSocket v1 ④: book-N snapshot (as, bs) and update (a, b, checksum c), trade, ticker, spread; system messages.

    [channelID, {"a":[["13.28","1396.0","1618678133.383209"]],"c":"176333288"}, "book-1000", "WAVES/EUR"]

The array says behind its payload what it is, so its elements are found first and read then. Continuity: the checksum alone,
CRC-32 over ten levels a side; a book keeps N levels a side, what falls out is gone. Hard rule: as hard as elsewhere.
"""

from functools import cache
from typing import Any

from numba import cfunc, types

from gateway.core.decimals import REFUSED, rescale
from gateway.core.kernel import kernel
from gateway.core.memory import apart, load_i64, load_u8, load_u32, store_i64
from gateway.layout import value
from gateway.protocols.websocket.answer import answer, connected, end_of, found, is_first_batch
from gateway.protocols.websocket.emit import CONTROL, SNAPSHOT, TRADES, UPDATE, emit
from gateway.protocols.websocket.levels import next_element
from gateway.protocols.websocket.message import (
    begin_message,
    mark,
    read_number_into,
    read_object,
    read_text,
    read_whole_object,
)
from gateway.protocols.websocket.number import MALFORMED
from gateway.protocols.websocket.scan import (
    ARRAY_CLOSE,
    ARRAY_OPEN,
    COMMA,
    NINE,
    OBJECT_OPEN,
    ZERO,
    byte_at,
    skip_space,
    skip_value,
)
from gateway.protocols.websocket.settle import DECODER, ROW, ROW_BYTES
from gateway.protocols.websocket.shape import Key, integer, text
from gateway.protocols.websocket.text import CONTEXT, SLOT, begins, has, is_text, name_of, number_in, slot_of
from gateway.protocols.websocket.trades import BUY, SELL, add_row, add_ticker

EVENT, CHANNEL, SYMBOL, CHECKSUM = (value(f"SLOT_{name}") for name in ("EVENT", "CHANNEL", "SYMBOL", "CHECKSUM"))
BIDS, ASKS, BIDS_ALL, ASKS_ALL = (value(f"SLOT_{name}") for name in ("BIDS", "ASKS", "BIDS_ALL", "ASKS_ALL"))
PRICE, QUANTITY, SIDE, TIME = (value(f"SLOT_{name}") for name in ("PRICE", "QUANTITY", "SIDE", "TIME"))
BEST = tuple(value(f"SLOT_{name}") for name in ("BID_PRICE", "BID_QUANTITY", "ASK_PRICE", "ASK_QUANTITY"))
BID_PRICE, ASK_PRICE = BEST[0], BEST[2]
TICKER, METHOD = value("JSON_TICKER"), value("CHECKSUM_KRAKEN")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_MESSAGE_UNKNOWN")
ELEMENTS_MAX = 5
BOOK, TRADE_CHANNEL, TICKER_CHANNEL, SPREAD = (name_of(name) for name in ("book-", "trade", "ticker", "spread"))
CONTROLS = tuple(name_of(name) for name in ("heartbeat", "systemStatus", "pong"))
SUBSCRIBED = name_of("subscriptionStat")  # …us
LETTER_B, LETTER_S = name_of("b"), name_of("s")
MESSAGE, BOOK_SHAPE, TICKER_SHAPE = 0, 1, 2
DEPTH_DIGITS_MAX = 4

SHAPES = (
    {"event": text(EVENT)},
    {
        "a": Key(value("JSON_ASKS"), ASKS),
        "b": Key(value("JSON_BIDS"), BIDS),
        "c": integer(CHECKSUM),
        "as": Key(value("JSON_ASKS"), ASKS_ALL),
        "bs": Key(value("JSON_BIDS"), BIDS_ALL),
    },
    {
        "a": Key(value("JSON_BEST"), BEST[2], BEST[3]),
        "b": Key(value("JSON_BEST"), BEST[0], BEST[1]),
    },
)


@kernel
def read(decoder, context):
    """Reads a message and says what it is. 0, or the reason of a refusal."""
    store_i64(context + CONTEXT.kind, 0)
    payload, end = load_i64(decoder + DECODER.payload), end_of(decoder)
    if byte_at(skip_space(payload, end), end) == ARRAY_OPEN:
        return read_array(context, skip_space(payload, end), end)
    reason = read_whole_object(context, payload, end)
    if reason != 0:
        return -reason
    for name in CONTROLS:
        if is_text(context, EVENT, name):
            return found(context, CONTROL, 0)
    return found(context, CONTROL, 0) if begins(context, EVENT, SUBSCRIBED) else UNKNOWN


@kernel
def read_array(context, position, end):
    """Finds the elements, which checks the whole text; reads name, pair and payload. 0, or the reason of a refusal."""
    begin_message(context)
    count, behind = find_elements(context, position, end)
    if behind != end:
        return -MALFORMED
    if count < 4 or count > ELEMENTS_MAX:
        return FIELD
    stack = context + CONTEXT.elements
    for slot, index in ((CHANNEL, count - 2), (SYMBOL, count - 1)):
        mark(context, slot)
        if read_text(context, slot, load_i64(stack + index * 8), end) < 0:
            return FIELD
    store_i64(context + CONTEXT.time_ns, 0)
    if begins(context, CHANNEL, BOOK):
        return read_book(context, stack, count, end)
    if count != 4:
        return FIELD
    if is_text(context, CHANNEL, TRADE_CHANNEL):
        return read_trades(context, load_i64(stack + 8), end)
    if is_text(context, CHANNEL, TICKER_CHANNEL):
        return read_ticker(context, load_i64(stack + 8), end)
    return read_spread(context, load_i64(stack + 8), end) if is_text(context, CHANNEL, SPREAD) else UNKNOWN


@kernel
def find_elements(context, position, end):
    """(elements of the array at `position`, position behind it and the spaces or -1); their places: context.elements."""
    apart()
    count, position = 0, skip_space(position + 1, end)
    while True:
        if count < ELEMENTS_MAX:
            store_i64(context + CONTEXT.elements + count * 8, position)
        position = skip_value(position, end)
        if position < 0:
            return count, MALFORMED
        count, position = count + 1, skip_space(position, end)
        if byte_at(position, end) == ARRAY_CLOSE:
            return count, skip_space(position + 1, end)
        if byte_at(position, end) != COMMA:
            return count, MALFORMED
        position = skip_space(position + 1, end)


@kernel
def read_book(context, stack, count, end):
    """One object, or one a side."""
    for index in range(1, count - 2):
        position = load_i64(stack + index * 8)
        if byte_at(position, end) != OBJECT_OPEN:
            return FIELD
        position = read_object(context, BOOK_SHAPE, position, end)
        if position < 0:
            return -position
    whole, parts = has(context, ASKS_ALL) or has(context, BIDS_ALL), has(context, ASKS) or has(context, BIDS)
    depth = depth_of(context)
    if whole == parts or depth == 0 or has(context, BID_PRICE) or has(context, ASK_PRICE):
        return FIELD
    store_i64(context + CONTEXT.depth, depth)
    store_i64(context + CONTEXT.method, 0)
    if has(context, CHECKSUM):
        if not 0 <= number_in(context, CHECKSUM) <= 0xFFFFFFFF:
            return FIELD
        store_i64(context + CONTEXT.checksum, number_in(context, CHECKSUM))
        store_i64(context + CONTEXT.method, METHOD)
    store_i64(context + CONTEXT.time_ns, latest(context))
    return found(context, SNAPSHOT if whole else UPDATE, ord("s") if whole else ord("d"))


@kernel
def depth_of(context):
    """The N of book-N; 0: not a number of 1 to 9999."""
    address, depth = slot_of(context, CHANNEL), 0
    at, size_bytes = load_i64(address + SLOT.text), load_u32(address + SLOT.bytes)
    if not 6 <= size_bytes <= 5 + DEPTH_DIGITS_MAX:
        return 0
    for index in range(5, size_bytes):
        sign = load_u8(at + index)
        if sign < ZERO or sign > NINE:
            return 0
        depth = depth * 10 + sign - ZERO
    return depth


@kernel
def latest(context):
    """The latest time of a row."""
    row, time_ns = load_i64(context + CONTEXT.rows), 0
    for _ in range(load_i64(context + CONTEXT.row_count)):
        time_ns = max(time_ns, load_i64(row + ROW.time_ns))
        row += ROW_BYTES
    return time_ns


@kernel
def read_trades(context, position, end):
    """[[price, volume, time, "b" or "s", order type, miscellaneous], …]: the letter is the aggressor's side."""
    apart()
    if byte_at(position, end) != ARRAY_OPEN:
        return FIELD
    position = skip_space(position + 1, end)
    while byte_at(position, end) == ARRAY_OPEN:
        position = read_trade(context, skip_space(position + 1, end), end)
        if position < 0:
            return -position
        position = skip_space(position, end)
        if byte_at(position, end) == COMMA:
            position = skip_space(position + 1, end)
    if byte_at(position, end) != ARRAY_CLOSE or load_i64(context + CONTEXT.row_count) == 0:
        return FIELD
    store_i64(context + CONTEXT.time_ns, latest(context))
    return found(context, TRADES, ord("t"))


@kernel
def read_trade(context, position, end):
    """One trade, behind its opening bracket, as a row; the position behind it."""
    for slot in (PRICE, QUANTITY, TIME):
        mark(context, slot)
        position = read_number_into(context, slot, position, end, False)
        if position >= 0:
            position = next_element(position, end)
        if position < 0:
            return position
    mark(context, SIDE)
    position = read_text(context, SIDE, position, end)
    if position < 0:
        return position
    side = BUY if is_text(context, SIDE, LETTER_B) else SELL if is_text(context, SIDE, LETTER_S) else 0
    time_ns = seconds_in(context, TIME)
    if side == 0 or time_ns < 0 or not add_row(context, PRICE, QUANTITY, side, 0, time_ns):
        return -FIELD
    return behind_array(position, end)


@kernel
def seconds_in(context, slot):
    """A decimal number of seconds as nanoseconds; -1: not exact, or too large."""
    address = slot_of(context, slot)
    exponent = (load_u32(address + SLOT.exponent) ^ 0x80000000) - 0x80000000
    time_ns, status = rescale(load_i64(address + SLOT.number), exponent, -9)
    return time_ns if status != REFUSED else -1


@kernel
def behind_array(position, end):
    """Behind the closing bracket of the array within which `position` is behind an element; the text is known to be JSON."""
    position = skip_space(position, end)
    while byte_at(position, end) == COMMA:
        position = skip_value(skip_space(position + 1, end), end)
        position = skip_space(position, end)
    return position + 1


@kernel
def read_ticker(context, position, end):
    """{"a": [price, whole lot, lot], "b": […], …}."""
    if byte_at(position, end) != OBJECT_OPEN:
        return FIELD
    position = read_object(context, TICKER_SHAPE, position, end)
    if position < 0:
        return -position
    if not has(context, BID_PRICE) or not has(context, ASK_PRICE):
        return FIELD
    add_ticker(context, 0)
    return found(context, TICKER, ord("k"))


@kernel
def read_spread(context, position, end):
    """[bid, ask, time, bid volume, ask volume]."""
    if byte_at(position, end) != ARRAY_OPEN:
        return FIELD
    position = skip_space(position + 1, end)
    for index, slot in enumerate((BEST[0], BEST[2], TIME, BEST[1], BEST[3])):
        mark(context, slot)
        position = read_number_into(context, slot, position, end, False)
        if position >= 0 and index < 4:
            position = next_element(position, end)
        if position < 0:
            return -position
    store_i64(context + CONTEXT.time_ns, max(seconds_in(context, TIME), 0))
    add_ticker(context, 0)
    return found(context, TICKER, ord("k"))


@kernel
def decode(decoder):
    """int64 decode(struct decoder *), see native/layout/decoder.h."""
    context = load_i64(decoder + DECODER.context)
    if not is_first_batch(decoder):
        return emit(decoder, context)
    if load_u32(decoder + DECODER.size) == 0:
        return connected(decoder, context)
    return answer(decoder, context, read(decoder, context))


def _decode(decoder):
    return decode(decoder)


@cache
def kraken_decoder() -> Any:
    """The decoder as a C function; compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_decode)
