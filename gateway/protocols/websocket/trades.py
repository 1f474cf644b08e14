"""Trades and tickers ④ as rows, like levels: what was found in slots becomes one row a trade, one row a side.

Hard rule: the trades of one message are trades of one instrument.
"""

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, copy_bytes, load_i64, load_u8, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value
from gateway.protocols.websocket.levels import put_row
from gateway.protocols.websocket.text import CONTEXT, SLOT, TEXT_BYTES, has, is_text, name_of, number_in, slot_of

ROW = offsets("json_row")
ROW_BYTES = size("json_row")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
PRICE, QUANTITY, SIDE, TRADE = (value(f"SLOT_{name}") for name in ("PRICE", "QUANTITY", "SIDE", "TRADE"))
TIME, LAST = value("SLOT_TIME"), value("SLOT_LAST")
SYMBOL, SYMBOL_HERE = value("SLOT_SYMBOL"), value("SLOT_SYMBOL_HERE")
BID_PRICE, BID_QUANTITY = value("SLOT_BID_PRICE"), value("SLOT_BID_QUANTITY")
ASK_PRICE, ASK_QUANTITY = value("SLOT_ASK_PRICE"), value("SLOT_ASK_QUANTITY")
BUY_TEXT, SELL_TEXT = name_of("buy"), name_of("sell")
OF_A_TRADE = 1 << PRICE | 1 << QUANTITY | 1 << SIDE | 1 << TRADE | 1 << LAST | 1 << TIME | 1 << SYMBOL_HERE


@leaf
def exponent_in(context, slot):
    """The decimal exponent of the number in a slot."""
    return (load_u32(slot_of(context, slot) + SLOT.exponent) ^ 0x80000000) - 0x80000000


@kernel
def add_row(context, price_slot, quantity_slot, side, id_, time):
    """One row of the numbers in two slots; a quantity that was not found is 0. 1: there was room."""
    apart()
    count = load_i64(context + CONTEXT.row_count)
    if count == load_i64(context + CONTEXT.rows_max):
        return 0
    row = load_i64(context + CONTEXT.rows) + count * ROW_BYTES
    quantity = number_in(context, quantity_slot) if has(context, quantity_slot) else 0
    exponent = exponent_in(context, quantity_slot) if has(context, quantity_slot) else 0
    put_row(row, number_in(context, price_slot), exponent_in(context, price_slot), quantity, exponent, side)
    store_i64(row + ROW.id, id_)
    store_i64(row + ROW.time_ns, time)
    store_i64(context + CONTEXT.row_count, count + 1)
    return 1


@kernel
def side_in(context):
    """The side that the venue names buy or sell; 0: neither."""
    if is_text(context, SIDE, BUY_TEXT):
        return BUY
    return SELL if is_text(context, SIDE, SELL_TEXT) else 0


@kernel
def end_element(context):
    """An object of an array is over. If it was a trade it is a row now, and its slots are free for the next. 0: refused."""
    apart()
    if not has(context, PRICE) or not has(context, QUANTITY):
        return 1
    trade = number_in(context, TRADE) if has(context, TRADE) else 0
    time = number_in(context, TIME) if has(context, TIME) else 0
    side = side_in(context)
    if side == 0 or not add_row(context, PRICE, QUANTITY, side, trade, time):
        return 0
    if has(context, SYMBOL_HERE) and not same_symbol(context):
        return 0
    store_i64(context + CONTEXT.present, load_i64(context + CONTEXT.present) & ~OF_A_TRADE)
    return 1


@kernel
def same_symbol(context):
    """Keeps the symbol of the first trade; 1 when this one names the same instrument."""
    first, other = slot_of(context, SYMBOL), slot_of(context, SYMBOL_HERE)
    text, size_bytes = load_i64(other + SLOT.text), load_u32(other + SLOT.bytes)
    if has(context, SYMBOL):
        return load_u32(first + SLOT.bytes) == size_bytes and same_bytes(load_i64(first + SLOT.text), text, size_bytes)
    if text == room_of(context, SYMBOL_HERE):  # the next one's escapes would overwrite it
        copy_bytes(room_of(context, SYMBOL), text, size_bytes)
        text = room_of(context, SYMBOL)
    store_i64(first + SLOT.text, text)
    store_u32(first + SLOT.bytes, size_bytes)
    store_i64(context + CONTEXT.present, load_i64(context + CONTEXT.present) | 1 << SYMBOL)
    return 1


@leaf
def room_of(context, slot):
    """Where the text of a slot is kept when its escapes had to be resolved."""
    return load_i64(context + CONTEXT.texts) + slot * TEXT_BYTES


@kernel
def same_bytes(first, other, size_bytes):
    """1 when both texts are the same."""
    for index in range(size_bytes):
        if load_u8(first + index) != load_u8(other + index):
            return 0
    return 1


@kernel
def add_ticker(context, id_):
    """A row per side whose best price was found. 1: there was room."""
    apart()
    if has(context, BID_PRICE) and not add_row(context, BID_PRICE, BID_QUANTITY, BUY, id_, 0):
        return 0
    return 1 if not has(context, ASK_PRICE) else add_row(context, ASK_PRICE, ASK_QUANTITY, SELL, id_, 0)
