"""Binance spot and USD-M futures over WebSocket ④: depthUpdate, partial depth, depth snapshot, trade, aggTrade, bookTicker.

With the envelope of combined streams, {"stream":…,"data":…}, or without. Continuity (Binance, "How to manage a local order
book correctly"): spot covers ids U … u, USD-M says in pu which u came before. Hard rule: partial depth is only told from
updates by its stream's name, so it is taken with the envelope alone.
"""

from functools import cache
from typing import Any

from numba import cfunc, types

from gateway.core.kernel import kernel
from gateway.core.memory import load_i64, load_u8, load_u32, store_i64, store_u8, store_u32
from gateway.layout import value
from gateway.protocols.websocket.answer import answer, connected, end_of, found, is_first_batch
from gateway.protocols.websocket.emit import CONTROL, SNAPSHOT, TRADES, UPDATE, emit
from gateway.protocols.websocket.message import mark, read_whole_object
from gateway.protocols.websocket.settle import DECODER
from gateway.protocols.websocket.shape import Key, decimal, inside, integer, present, text
from gateway.protocols.websocket.text import CONTEXT, SLOT, has, is_text, name_of, number_in, slot_of, word_of
from gateway.protocols.websocket.times import milliseconds
from gateway.protocols.websocket.trades import BUY, SELL, add_row, add_ticker, room_of

NAMES = (
    "CHANNEL",
    "EVENT",
    "SYMBOL",
    "TIME",
    "TIME_TRADE",
    "FIRST",
    "LAST",
    "BEFORE",
    "BIDS",
    "ASKS",
    "SNAPSHOT_ID",
    "RESULT",
)
CHANNEL, EVENT, SYMBOL, TIME, TIME_TRADE, FIRST, LAST, BEFORE, BIDS, ASKS, SNAPSHOT_ID, RESULT = (
    value(f"SLOT_{name}") for name in NAMES
)
PRICE, QUANTITY, TRADE, MAKER = (value(f"SLOT_{name}") for name in ("PRICE", "QUANTITY", "TRADE", "SIDE"))
BID_QUANTITY, ASK_QUANTITY, ASK_PRICE = (value(f"SLOT_{name}") for name in ("BID_QUANTITY", "ASK_QUANTITY", "ASK_PRICE"))
TICKER, BEST_SIDES = value("JSON_TICKER"), value("SLOT_BID_PRICE")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_MESSAGE_UNKNOWN")
AT, LOWER_A, LOWER_Z, DIGIT_0, DIGIT_9 = ord("@"), ord("a"), ord("z"), ord("0"), ord("9")
DEPTH = word_of("@depth")
SYMBOL_BYTES_MAX = 48
DEPTH_UPDATE, ONE_TRADE, AGGREGATE = name_of("depthUpdate"), name_of("trade"), name_of("aggTrade")
BOOK_TICKER, DAY_TICKER = name_of("bookTicker"), name_of("24hrTicker")

SHAPES = (
    {
        "stream": text(CHANNEL),
        "data": inside(0),
        "e": text(EVENT),
        "E": integer(TIME),
        "T": integer(TIME_TRADE),
        "s": text(SYMBOL),
        "U": integer(FIRST),
        "u": integer(LAST),
        "pu": integer(BEFORE),
        "b": Key(value("JSON_BIDS"), BIDS),
        "a": Key(value("JSON_ASKS"), ASKS),
        "B": decimal(BID_QUANTITY),
        "A": decimal(ASK_QUANTITY),
        "t": integer(TRADE),
        "p": decimal(PRICE),
        "q": decimal(QUANTITY),
        "m": Key(value("JSON_BOOLEAN"), MAKER),
        "lastUpdateId": integer(SNAPSHOT_ID),
        "bids": Key(value("JSON_BIDS"), BIDS),
        "asks": Key(value("JSON_ASKS"), ASKS),
        "id": present(RESULT),
    },
)


@kernel
def read(decoder, context):
    """Reads a message and says what it is. 0, or the reason of a refusal."""
    store_i64(context + CONTEXT.kind, 0)
    reason = read_whole_object(context, load_i64(decoder + DECODER.payload), end_of(decoder))
    if reason != 0:
        return -reason
    time = TIME if has(context, TIME) else TIME_TRADE
    store_i64(context + CONTEXT.time_ns, milliseconds(context, time))
    store_i64(context + CONTEXT.before, number_in(context, BEFORE) if has(context, BEFORE) else 0)
    if has(context, SNAPSHOT_ID):
        return read_snapshot(context, SNAPSHOT_ID)
    if is_text(context, EVENT, DEPTH_UPDATE):
        return read_depth(context)
    if is_text(context, EVENT, ONE_TRADE) or is_text(context, EVENT, AGGREGATE):
        return read_trade(context)
    if is_text(context, EVENT, BOOK_TICKER) or is_text(context, EVENT, DAY_TICKER) or not has(context, EVENT):
        return read_ticker(context)
    return UNKNOWN


@kernel
def read_depth(context):
    """An update of price levels; of a partial depth stream, a snapshot."""
    ids = has(context, FIRST) and has(context, LAST) and number_in(context, LAST) > 0 and number_in(context, FIRST) >= 0
    if not ids or not has(context, BIDS) or not has(context, ASKS) or has(context, BEST_SIDES) or has(context, ASK_PRICE):
        return FIELD
    if is_partial_depth(context):
        return read_snapshot(context, LAST)
    first, last = number_in(context, FIRST), number_in(context, LAST)
    if first > last or (has(context, BEFORE) and not 0 <= number_in(context, BEFORE) <= last):
        return FIELD
    store_i64(context + CONTEXT.first, first)
    store_i64(context + CONTEXT.last, last)
    store_i64(context + CONTEXT.sequence, last)
    return found(context, UPDATE, ord("d"))


@kernel
def at_sign(context):
    """Bytes of the stream's name before the @; 0: there is none, or no such name."""
    if not has(context, CHANNEL):
        return 0
    address = slot_of(context, CHANNEL)
    at = load_i64(address + SLOT.text)
    for index in range(load_u32(address + SLOT.bytes)):
        if load_u8(at + index) == AT:
            return index
    return 0


@kernel
def is_partial_depth(context):
    """Whether the stream is SYMBOL@depthN, complete books of N levels."""
    index = at_sign(context)
    address = slot_of(context, CHANNEL)
    if index == 0 or load_u32(address + SLOT.bytes) < index + 7:
        return False
    name = load_i64(address + SLOT.text) + index
    for position in range(6):
        if load_u8(name + position) != (DEPTH >> (8 * position)) & 0xFF:
            return False
    return DIGIT_0 <= load_u8(name + 6) <= DIGIT_9


@kernel
def read_snapshot(context, slot):
    """Complete levels as of the id in `slot`; a stream's name says whose they are where the message does not."""
    if not has(context, BIDS) or not has(context, ASKS) or number_in(context, slot) <= 0:
        return FIELD
    size_bytes = at_sign(context)
    if not has(context, SYMBOL) and size_bytes != 0:
        if size_bytes > SYMBOL_BYTES_MAX:
            return FIELD
        name_from_stream(context, size_bytes)
    store_i64(context + CONTEXT.last, number_in(context, slot))
    store_i64(context + CONTEXT.sequence, number_in(context, slot))
    return found(context, SNAPSHOT, ord("s"))


@kernel
def name_from_stream(context, size_bytes):
    """The symbol is the stream's name up to the @ in capitals."""
    source, room = load_i64(slot_of(context, CHANNEL) + SLOT.text), room_of(context, SYMBOL)
    for index in range(size_bytes):
        sign = load_u8(source + index)
        store_u8(room + index, sign - 32 if LOWER_A <= sign <= LOWER_Z else sign)
    mark(context, SYMBOL)
    store_i64(slot_of(context, SYMBOL) + SLOT.text, room)
    store_u32(slot_of(context, SYMBOL) + SLOT.bytes, size_bytes)


@kernel
def read_trade(context):
    """A trade, or an aggregate of one order's; the buyer was the maker: a sale took the liquidity."""
    aggregate = not is_text(context, EVENT, ONE_TRADE)
    id_slot = ASK_PRICE if aggregate else TRADE
    needed = has(context, PRICE) and has(context, QUANTITY) and has(context, MAKER) and has(context, id_slot)
    if not needed or not has(context, SYMBOL):
        return FIELD
    store_i64(context + CONTEXT.row_count, 0)
    side, id_ = SELL if number_in(context, MAKER) else BUY, number_in(context, id_slot)
    add_row(context, PRICE, QUANTITY, side, id_, milliseconds(context, TIME_TRADE))
    store_i64(context + CONTEXT.sequence, id_)
    return found(context, TRADES, ord("t"))


@kernel
def read_ticker(context):
    """Best bid and offer; what names no symbol is the answer to a request."""
    if not has(context, SYMBOL):
        return found(context, CONTROL, 0) if has(context, RESULT) else UNKNOWN
    if not has(context, BEST_SIDES) or not has(context, ASK_PRICE):
        return FIELD if has(context, EVENT) else UNKNOWN
    id_ = number_in(context, LAST) if has(context, LAST) else 0
    store_i64(context + CONTEXT.row_count, 0)
    add_ticker(context, id_)
    store_i64(context + CONTEXT.sequence, id_)
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
def binance_decoder() -> Any:
    """The decoder as a C function; compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_decode)
