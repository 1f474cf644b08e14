"""Coinbase Exchange over WebSocket ④: level2 snapshot and l2update, match and last_match, ticker.

The level2 channel has no numbers: the connection's order is the guarantee, so that a message which cannot be read is a gap
of every book of the feed. Hard rule: `side` of a match is the maker's; the aggressor is the other.
"""

from functools import cache
from typing import Any

from numba import cfunc, types

from gateway.core.kernel import kernel
from gateway.core.memory import load_i64, load_u32, store_i64
from gateway.layout import value
from gateway.protocols.websocket.answer import answer, connected, end_of, found, is_first_batch
from gateway.protocols.websocket.emit import CONTROL, SNAPSHOT, TRADES, UPDATE, emit
from gateway.protocols.websocket.message import read_whole_object
from gateway.protocols.websocket.settle import DECODER
from gateway.protocols.websocket.shape import Key, decimal, integer, text
from gateway.protocols.websocket.text import CONTEXT, has, is_text, name_of, number_in
from gateway.protocols.websocket.times import iso_time
from gateway.protocols.websocket.trades import BUY, SELL, add_row, add_ticker, side_in

EVENT, SYMBOL, TIME, LAST = (value(f"SLOT_{name}") for name in ("EVENT", "SYMBOL", "TIME", "LAST"))
BIDS, ASKS, CHANGES = (value(f"SLOT_{name}") for name in ("BIDS", "ASKS", "CHANGES"))
PRICE, QUANTITY, SIDE, TRADE = (value(f"SLOT_{name}") for name in ("PRICE", "QUANTITY", "SIDE", "TRADE"))
BEST = tuple(value(f"SLOT_{name}") for name in ("BID_PRICE", "BID_QUANTITY", "ASK_PRICE", "ASK_QUANTITY"))
BID_PRICE, ASK_PRICE = BEST[0], BEST[2]
TICKER = value("JSON_TICKER")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_MESSAGE_UNKNOWN")
L2_UPDATE, L2_SNAPSHOT, L2_TICKER = name_of("l2update"), name_of("snapshot"), name_of("ticker")
MATCH, LAST_MATCH = name_of("match"), name_of("last_match")
SUBSCRIPTIONS, HEARTBEAT = name_of("subscriptions"), name_of("heartbeat")

SHAPES = (
    {
        "type": text(EVENT),
        "product_id": text(SYMBOL),
        "changes": Key(value("JSON_CHANGES"), CHANGES),
        "time": text(TIME),
        "asks": Key(value("JSON_ASKS"), ASKS),
        "bids": Key(value("JSON_BIDS"), BIDS),
        "sequence": integer(LAST),
        "price": decimal(PRICE),
        "size": decimal(QUANTITY),
        "side": text(SIDE),
        "trade_id": integer(TRADE),
        "best_bid": decimal(BEST[0]),
        "best_bid_size": decimal(BEST[1]),
        "best_ask": decimal(BEST[2]),
        "best_ask_size": decimal(BEST[3]),
    },
)


@kernel
def read(decoder, context):
    """Reads a message and says what it is. 0, or the reason of a refusal."""
    store_i64(context + CONTEXT.kind, 0)
    reason = read_whole_object(context, load_i64(decoder + DECODER.payload), end_of(decoder))
    if reason != 0:
        return -reason
    store_i64(context + CONTEXT.time_ns, iso_time(context))
    store_i64(context + CONTEXT.sequence, number_in(context, LAST) if has(context, LAST) else 0)
    store_i64(context + CONTEXT.last, 0)
    if is_text(context, EVENT, L2_UPDATE):
        levels = has(context, CHANGES) and not has(context, BIDS) and not has(context, ASKS)
        return found(context, UPDATE, ord("d")) if levels and has(context, SYMBOL) else FIELD
    if is_text(context, EVENT, MATCH) or is_text(context, EVENT, LAST_MATCH):
        return read_match(context)
    if is_text(context, EVENT, L2_TICKER):
        return read_ticker(context)
    if is_text(context, EVENT, L2_SNAPSHOT):
        levels = has(context, BIDS) and has(context, ASKS) and not has(context, CHANGES)
        return found(context, SNAPSHOT, ord("s")) if levels and has(context, SYMBOL) else FIELD
    control = is_text(context, EVENT, SUBSCRIPTIONS) or is_text(context, EVENT, HEARTBEAT)
    return found(context, CONTROL, 0) if control else UNKNOWN


@kernel
def read_match(context):
    """A trade; the side is that of the order which was there before."""
    maker, id_ = side_in(context), number_in(context, TRADE)
    needed = has(context, PRICE) and has(context, QUANTITY) and has(context, TRADE) and has(context, SYMBOL)
    if not needed or maker == 0:
        return FIELD
    store_i64(context + CONTEXT.row_count, 0)
    time_ns = load_i64(context + CONTEXT.time_ns)
    add_row(context, PRICE, QUANTITY, SELL if maker == BUY else BUY, id_, time_ns)
    return found(context, TRADES, ord("t"))


@kernel
def read_ticker(context):
    """Best bid and offer at the last trade."""
    if not has(context, SYMBOL) or not has(context, BID_PRICE) or not has(context, ASK_PRICE):
        return FIELD
    store_i64(context + CONTEXT.row_count, 0)
    add_ticker(context, load_i64(context + CONTEXT.sequence))
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
def coinbase_decoder() -> Any:
    """The decoder as a C function; compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_decode)
