"""Arrays of price levels ④: most of the bytes of a market data feed, so the one place written for speed.

    [["61653.70","0.067"], …]    ["new",0.0015,4714.0]    ["sell","0.5767","0.0"]    ["13.28","1396.0","1618678133.383209"]

A level is [price, quantity, …], with an action or a side before it where the venue writes one. The usual spelling, two
quoted plain numbers, is read sixteen bytes at a time; any other by the slower rules of number.py. Hard rule: both give the
same.
"""

from gateway.core.decimals import REFUSED, rescale
from gateway.core.digits import non_digits
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u8, load_u16, load_u32, store_i64
from gateway.layout import offsets, size, value
from gateway.protocols.websocket.number import FIELD, MALFORMED, digits_behind, gathered, read_decimal
from gateway.protocols.websocket.scan import (
    ARRAY_CLOSE,
    ARRAY_OPEN,
    COMMA,
    NINE,
    QUOTE,
    byte_at,
    partial_word,
    skip_space,
    skip_value,
)
from gateway.protocols.websocket.text import string_end, word_of

CONTEXT, ROW = offsets("json_context"), offsets("json_row")
ROW_BYTES = size("json_row")
BUY, SELL, NO_SIDE = value("SIDE_BUY"), value("SIDE_SELL"), value("SIDE_NONE")
FULL = -value("FEED_EVENTS_FULL")
OPENING = word_of('["')  # what a level begins with
BETWEEN = word_of('","')
USUAL_BYTES = 40  # '["' + 16 + '","' + 16 + '"]' and what follows
NEW, CHANGE, DELETE, BUY_TEXT, SELL_TEXT = (word_of(word) for word in ("new", "change", "delete", "buy", "sell"))
EXPONENT_MASK = 0xFFFF
DELETE_ACTION = 3  # beside the two sides


@leaf
def put_row(row, price, price_exponent, quantity, quantity_exponent, side):
    """Fills a struct json_row but for its id and time; exponents as they were printed, negative."""
    store_i64(row + ROW.price, price)
    store_i64(row + ROW.quantity, quantity)
    packed = price_exponent & EXPONENT_MASK | (quantity_exponent & EXPONENT_MASK) << 16 | side << 32
    store_i64(row + ROW.price_exponent, packed)


@leaf
def usual_level(row, position, shuffles, side):
    """Reads '["digits","digits"' at `position`; USUAL_BYTES are there. Position behind it; 0: it is spelt otherwise."""
    if load_u16(position) != OPENING:
        return 0
    price = position + 2
    price_point, price_end = digits_behind(price, non_digits(price))
    quantity = price + price_end + 3
    quantity_point, quantity_end = digits_behind(quantity, non_digits(quantity))
    between, closing = load_u32(price + price_end) & 0xFFFFFF, quantity + quantity_end
    if price_end == 0 or quantity_end == 0 or between != BETWEEN or load_u8(closing) != QUOTE:
        return 0
    put_row(
        row,
        gathered(price, price_point, price_end, shuffles),
        min(price_point + 1 - price_end, 0),
        gathered(quantity, quantity_point, quantity_end, shuffles),
        min(quantity_point + 1 - quantity_end, 0),
        side,
    )
    return closing + 1


@leaf
def read_level(context, row, position, end, shuffles, side):
    """One level at `position` into a struct json_row. Position behind it, or the reason of a refusal."""
    if end - position >= USUAL_BYTES and side != NO_SIDE:
        behind = usual_level(row, position, shuffles, side)
        if behind != 0:
            store_i64(row + ROW.id, 0)
            store_i64(row + ROW.time_ns, 0)
            return behind + 1 if load_u8(behind) == ARRAY_CLOSE else read_rest(context, row, behind, end, shuffles)
    return read_other(context, row, position, end, shuffles, side)


@kernel
def read_levels(context, position, end, side):
    """`position` is at the first level of an array of them. Position behind the closing bracket."""
    apart()
    shuffles, count = load_i64(context + CONTEXT.shuffles), load_i64(context + CONTEXT.row_count)
    rows, rows_max = load_i64(context + CONTEXT.rows), load_i64(context + CONTEXT.rows_max)
    while True:
        if count == rows_max:
            return FULL
        position = read_level(context, rows + count * ROW_BYTES, position, end, shuffles, side)
        if position < 0:
            return position
        count += 1
        position = skip_space(position, end)
        sign = byte_at(position, end)
        if sign == COMMA:
            position = skip_space(position + 1, end)
        elif sign == ARRAY_CLOSE:
            store_i64(context + CONTEXT.row_count, count)
            return position + 1
        else:
            return MALFORMED


@kernel
def read_other(context, row, position, end, shuffles, side):
    """read_level for any spelling: spaces, bare numbers, exponents, a text in front."""
    apart()
    if byte_at(position, end) != ARRAY_OPEN:
        return FIELD if position < end else MALFORMED
    position, action = skip_space(position + 1, end), 0
    named = load_i64(context + CONTEXT.levels_named) != 0 and byte_at(position, end) == QUOTE
    if named and byte_at(position + 1, end) > NINE:
        position, action = read_action(position, end)
        if position < 0:
            return position
        side = action if action in (BUY, SELL) else side
    if side == NO_SIDE:
        return FIELD
    position, price, price_exponent = read_decimal(position, end, shuffles)
    if position < 0:
        return position
    position = next_element(position, end)
    if position < 0:
        return position
    position, quantity, quantity_exponent = read_decimal(position, end, shuffles)
    if position < 0:
        return position
    put_row(row, price, price_exponent, quantity if action != DELETE_ACTION else 0, quantity_exponent, side)
    store_i64(row + ROW.id, 0)
    store_i64(row + ROW.time_ns, 0)
    return read_rest(context, row, skip_space(position, end), end, shuffles)


@kernel
def next_element(position, end):
    """Behind the comma and the spaces around it; FIELD where the array ends instead."""
    position = skip_space(position, end)
    if byte_at(position, end) == COMMA:
        return skip_space(position + 1, end)
    return FIELD if byte_at(position, end) == ARRAY_CLOSE else MALFORMED


@kernel
def read_action(position, end):
    """(position at the next element, a side or DELETE_ACTION or 0) of the text a level begins with."""
    apart()
    behind, _ = string_end(position, end)
    if behind < 0:
        return MALFORMED, 0
    size_bytes = behind - 1 - (position + 1)
    if size_bytes > 6:
        return FIELD, 0
    word = partial_word(position + 1, behind - 1)
    behind = next_element(behind, end)
    if word in (BUY_TEXT, SELL_TEXT):
        return behind, BUY if word == BUY_TEXT else SELL
    if word == DELETE:
        return behind, DELETE_ACTION
    return behind if word in (NEW, CHANGE) else FIELD, 0


@kernel
def read_rest(context, row, position, end, shuffles):
    """What stands behind the quantity: a time as third, a number of orders as fourth element, where the venue has them."""
    apart()
    index = 2
    while True:
        position = skip_space(position, end)
        sign = byte_at(position, end)
        if sign == ARRAY_CLOSE:
            return position + 1
        if sign != COMMA:
            return MALFORMED
        position = skip_space(position + 1, end)
        if index == 2 and load_i64(context + CONTEXT.levels_timed) != 0:
            position, mantissa, exponent = read_decimal(position, end, shuffles)
            time_ns, status = rescale(mantissa, exponent, -9)
            store_i64(row + ROW.time_ns, time_ns)
            position = position if status != REFUSED or position < 0 else FIELD
        elif index == 3 and load_i64(context + CONTEXT.levels_counted) != 0:
            position, mantissa, exponent = read_decimal(position, end, shuffles)
            store_i64(row + ROW.id, mantissa)
            in_domain = exponent == 0 and 0 <= mantissa < 1 << 31
            position = position if in_domain or position < 0 else FIELD
        else:
            position = skip_value(position, end)
            position = position if position >= 0 else MALFORMED
        if position < 0:
            return position
        index += 1
