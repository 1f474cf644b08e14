"""OKX v5 public channels over WebSocket ④: books and its kin, bbo-tbt, trades, tickers.

    {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[…],"bids":[…],"ts":"…","checksum":-1}]}

Levels are [price, quantity, deprecated, orders]. Continuity: prevSeqId is the seqId before it, where they are sent; checksum
is CRC-32 over 25 levels a side. Hard rule: a message has one book; two of them in `data` are refused.
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
from gateway.protocols.websocket.shape import Key, decimal, inside, integer, text
from gateway.protocols.websocket.text import CONTEXT, begins, has, is_text, name_of, number_in
from gateway.protocols.websocket.times import milliseconds, rows_from_milliseconds
from gateway.protocols.websocket.trades import add_ticker

EVENT, CHANNEL, SYMBOL, ACTION = (value(f"SLOT_{name}") for name in ("EVENT", "CHANNEL", "SYMBOL", "ACTION"))
TIME, LAST, BEFORE, CHECKSUM = (value(f"SLOT_{name}") for name in ("TIME", "LAST", "BEFORE", "CHECKSUM"))
BIDS, ASKS, ARGUMENT = (value(f"SLOT_{name}") for name in ("BIDS", "ASKS", "ARGUMENT"))
PRICE, QUANTITY, SIDE, TRADE = (value(f"SLOT_{name}") for name in ("PRICE", "QUANTITY", "SIDE", "TRADE"))
BEST = tuple(value(f"SLOT_{name}") for name in ("BID_PRICE", "BID_QUANTITY", "ASK_PRICE", "ASK_QUANTITY"))
BID_PRICE, ASK_PRICE = BEST[0], BEST[2]
TICKER, METHOD = value("JSON_TICKER"), value("CHECKSUM_OKX")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_MESSAGE_UNKNOWN")
CHECKSUM_MIN, CHECKSUM_MAX = -(1 << 31), (1 << 32) - 1
BOOKS, BEST_CHANNEL, TRADE_CHANNEL, TICKERS = (name_of(name) for name in ("books", "bbo-tbt", "trades", "tickers"))
WHOLE, CHANGED, SUBSCRIBED, UNSUBSCRIBED = (name_of(name) for name in ("snapshot", "update", "subscribe", "unsubscribe"))

SHAPES = (
    {"arg": inside(1, ARGUMENT), "action": text(ACTION), "data": inside(2), "event": text(EVENT)},
    {"channel": text(CHANNEL), "instId": text(SYMBOL)},
    {
        "asks": Key(value("JSON_ASKS"), ASKS),
        "bids": Key(value("JSON_BIDS"), BIDS),
        "ts": integer(TIME),
        "checksum": integer(CHECKSUM),
        "seqId": integer(LAST),
        "prevSeqId": integer(BEFORE),
        "tradeId": integer(TRADE),
        "px": decimal(PRICE),
        "sz": decimal(QUANTITY),
        "side": text(SIDE),
        "askPx": decimal(BEST[2]),
        "askSz": decimal(BEST[3]),
        "bidPx": decimal(BEST[0]),
        "bidSz": decimal(BEST[1]),
    },
)


@kernel
def read(decoder, context):
    """Reads a message and says what it is. 0, or the reason of a refusal."""
    store_i64(context + CONTEXT.kind, 0)
    reason = read_whole_object(context, load_i64(decoder + DECODER.payload), end_of(decoder))
    if reason != 0:
        return -reason
    if has(context, EVENT):
        control = is_text(context, EVENT, SUBSCRIBED) or is_text(context, EVENT, UNSUBSCRIBED)
        return found(context, CONTROL, 0) if control else UNKNOWN
    store_i64(context + CONTEXT.time_ns, milliseconds(context, TIME))
    store_i64(context + CONTEXT.method, 0)
    for slot, field in ((LAST, CONTEXT.last), (LAST, CONTEXT.sequence), (BEFORE, CONTEXT.before)):
        store_i64(context + field, max(number_in(context, slot), 0) if has(context, slot) else 0)
    if not has(context, SYMBOL):
        return FIELD if has(context, CHANNEL) else UNKNOWN
    if begins(context, CHANNEL, BOOKS):
        return read_books(context)
    if begins(context, CHANNEL, TRADE_CHANNEL):
        return read_trades(context)
    if is_text(context, CHANNEL, TICKERS):
        return read_ticker(context)
    if is_text(context, CHANNEL, BEST_CHANNEL):
        return found(context, TICKER, ord("k")) if has(context, BIDS) and has(context, ASKS) else FIELD
    return UNKNOWN


@kernel
def read_books(context):
    """A book or what changed in it; a channel without actions sends whole books of a few levels."""
    update = is_text(context, ACTION, CHANGED)
    if not has(context, BIDS) or not has(context, ASKS) or has(context, PRICE):
        return FIELD
    if has(context, ACTION) and not update and not is_text(context, ACTION, WHOLE):
        return FIELD
    if has(context, CHECKSUM):
        checksum = number_in(context, CHECKSUM)
        if checksum < CHECKSUM_MIN or checksum > CHECKSUM_MAX:
            return FIELD
        store_i64(context + CONTEXT.checksum, checksum & 0xFFFFFFFF)
        store_i64(context + CONTEXT.method, METHOD)
    return found(context, UPDATE if update else SNAPSHOT, ord("d") if update else ord("s"))


@kernel
def read_trades(context):
    """The rows that the elements of `data` became, one a trade."""
    if has(context, BIDS) or has(context, ASKS) or load_i64(context + CONTEXT.row_count) == 0:
        return FIELD
    rows_from_milliseconds(context)
    return found(context, TRADES, ord("t"))


@kernel
def read_ticker(context):
    """Best bid and offer."""
    if has(context, BIDS) or has(context, ASKS) or not has(context, BID_PRICE) or not has(context, ASK_PRICE):
        return FIELD
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
def okx_decoder() -> Any:
    """The decoder as a C function; compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_decode)
