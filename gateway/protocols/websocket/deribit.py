"""Deribit JSON-RPC 2.0 subscriptions over WebSocket ④: book (raw, 100ms, grouped), trades, ticker, quote.

    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.raw","data":{"type":"change",…}}}

Numbers are bare; levels are ["new"|"change"|"delete", price, amount], in grouped books [price, amount]. Continuity: a change
names in prev_change_id the change_id before it. Hard rule: what the text of a number says is the number, however the venue's
own doubles came by it.
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
from gateway.protocols.websocket.shape import Key, decimal, inside, integer, present, text
from gateway.protocols.websocket.text import CONTEXT, begins, has, is_text, name_of, number_in
from gateway.protocols.websocket.times import milliseconds, rows_from_milliseconds
from gateway.protocols.websocket.trades import add_ticker

EVENT, CHANNEL, SYMBOL, ACTION = (value(f"SLOT_{name}") for name in ("EVENT", "CHANNEL", "SYMBOL_HERE", "ACTION"))
TIME, LAST, BEFORE, RESULT = (value(f"SLOT_{name}") for name in ("TIME", "LAST", "BEFORE", "RESULT"))
BIDS, ASKS, ARGUMENT = (value(f"SLOT_{name}") for name in ("BIDS", "ASKS", "ARGUMENT"))
PRICE, QUANTITY, SIDE, TRADE = (value(f"SLOT_{name}") for name in ("PRICE", "QUANTITY", "SIDE", "TRADE"))
BEST = tuple(value(f"SLOT_{name}") for name in ("BID_PRICE", "BID_QUANTITY", "ASK_PRICE", "ASK_QUANTITY"))
BID_PRICE, ASK_PRICE = BEST[0], BEST[2]
SYMBOL_OF_ALL = value("SLOT_SYMBOL")
TICKER = value("JSON_TICKER")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_MESSAGE_UNKNOWN")
BOOK, TRADES_OF, TICKER_OF, QUOTE_OF = (name_of(name) for name in ("book.", "trades.", "ticker.", "quote."))
WHOLE, CHANGED = name_of("snapshot"), name_of("change")
SUBSCRIPTION, HEARTBEAT = name_of("subscription"), name_of("heartbeat")

SHAPES = (
    {"method": text(EVENT), "params": inside(1, ARGUMENT), "id": present(RESULT)},
    {"channel": text(CHANNEL), "data": inside(2)},
    {
        "type": text(ACTION),
        "timestamp": integer(TIME),
        "prev_change_id": integer(BEFORE),
        "instrument_name": text(SYMBOL),
        "change_id": integer(LAST),
        "bids": Key(value("JSON_BIDS"), BIDS),
        "asks": Key(value("JSON_ASKS"), ASKS),
        "trade_seq": integer(TRADE),
        "price": decimal(PRICE),
        "direction": text(SIDE),
        "amount": decimal(QUANTITY),
        "best_bid_price": decimal(BEST[0]),
        "best_bid_amount": decimal(BEST[1]),
        "best_ask_price": decimal(BEST[2]),
        "best_ask_amount": decimal(BEST[3]),
    },
)


@kernel
def read(decoder, context):
    """Reads a message and says what it is. 0, or the reason of a refusal."""
    store_i64(context + CONTEXT.kind, 0)
    reason = read_whole_object(context, load_i64(decoder + DECODER.payload), end_of(decoder))
    if reason != 0:
        return -reason
    if not is_text(context, EVENT, SUBSCRIPTION):
        control = has(context, RESULT) or is_text(context, EVENT, HEARTBEAT)
        return found(context, CONTROL, 0) if control else UNKNOWN
    store_i64(context + CONTEXT.time_ns, milliseconds(context, TIME))
    if begins(context, CHANNEL, BOOK):
        return read_book(context)
    if begins(context, CHANNEL, TICKER_OF) or begins(context, CHANNEL, QUOTE_OF):
        return read_ticker(context)
    return read_trades(context) if begins(context, CHANNEL, TRADES_OF) else UNKNOWN


@kernel
def read_book(context):
    """A book, or the changes from prev_change_id to change_id; a grouped book is whole and says neither."""
    whole = is_text(context, ACTION, WHOLE) or not (has(context, ACTION) or has(context, BEFORE))
    last = number_in(context, LAST)
    if not has(context, SYMBOL) or not has(context, BIDS) or not has(context, ASKS) or not has(context, LAST) or last <= 0:
        return FIELD
    if not whole and not (is_text(context, ACTION, CHANGED) and has(context, BEFORE) and number_in(context, BEFORE) > 0):
        return FIELD
    store_i64(context + CONTEXT.last, last)
    store_i64(context + CONTEXT.sequence, last)
    store_i64(context + CONTEXT.before, 0 if whole else number_in(context, BEFORE))
    return found(context, SNAPSHOT if whole else UPDATE, ord("s") if whole else ord("d"))


@kernel
def read_trades(context):
    """The rows that the elements of `data` became, one a trade."""
    if not has(context, SYMBOL_OF_ALL) or has(context, BIDS) or has(context, ASKS):
        return FIELD
    store_i64(context + CONTEXT.sequence, 0)
    rows_from_milliseconds(context)
    return found(context, TRADES, ord("t"))


@kernel
def read_ticker(context):
    """Best bid and offer; an amount of 0 says that there is none."""
    if not has(context, SYMBOL) or has(context, BIDS) or has(context, ASKS):
        return FIELD
    store_i64(context + CONTEXT.sequence, 0)
    store_i64(context + CONTEXT.row_count, 0)
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
def deribit_decoder() -> Any:
    """The decoder as a C function; compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_decode)
