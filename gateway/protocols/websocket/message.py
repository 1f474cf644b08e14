"""One JSON message into slots and rows ④: a single pass over its bytes, checked to the last of them.

    {"e":"depthUpdate","u":5123107837557,"b":[["58710.20","0.014"]], …}
       └ slot EVENT      └ slot LAST        └ rows

Hard rule: what a message says twice, or says in another kind than expected, refuses the whole message; nothing is handed out
before its last byte was read.
"""

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u8, load_u16, load_u32, store_i64, store_u32
from gateway.layout import value
from gateway.protocols.websocket.levels import next_element, read_levels
from gateway.protocols.websocket.number import FIELD, MALFORMED, read_boolean, read_decimal
from gateway.protocols.websocket.scan import (
    ARRAY_CLOSE,
    ARRAY_OPEN,
    COLON,
    COMMA,
    OBJECT_CLOSE,
    OBJECT_OPEN,
    QUOTE,
    byte_at,
    skip_literal,
    skip_space,
    skip_string,
    skip_value,
)
from gateway.protocols.websocket.shape import KEY, SHAPE_BYTES, find_key
from gateway.protocols.websocket.text import CONTEXT, SLOT, TEXT_BYTES, has_escape, put, resolve, slot_of, string_end
from gateway.protocols.websocket.trades import end_element

TEXT, DECIMAL, INTEGER, BOOLEAN = (value(f"JSON_{kind}") for kind in ("TEXT", "DECIMAL", "INTEGER", "BOOLEAN"))
OBJECT, BIDS, ASKS, CHANGES, BEST = (value(f"JSON_{kind}") for kind in ("OBJECT", "BIDS", "ASKS", "CHANGES", "BEST"))
SKIP = value("JSON_SKIP")
BUY, SELL, NO_SIDE = value("SIDE_BUY"), value("SIDE_SELL"), value("SIDE_NONE")
SLOT_BID_PRICE, SLOT_ASK_PRICE = value("SLOT_BID_PRICE"), value("SLOT_ASK_PRICE")
STACK_MAX, SLOTS = value("JSON_STACK"), value("JSON_SLOTS")
LETTER_N = ord("n")
ELEMENT = 1 << 32  # on the stack: the object is an element of an array
PADDING_TEXT = ord('"')


@kernel
def begin_message(context):
    """Forgets the message before."""
    store_i64(context + CONTEXT.present, 0)
    store_i64(context + CONTEXT.row_count, 0)


@kernel
def read_object(context, shape, position, end):
    """The object at `position`, all within it, and the spaces behind. Position behind, or the reason of a refusal."""
    apart()
    stack, depth = context + CONTEXT.stack, 0
    store_i64(stack, shape)
    position = skip_space(position + 1, end)
    while True:
        if byte_at(position, end) == QUOTE:
            key, position = read_key(context, load_i64(stack + depth * 8) & 0xFFFFFFFF, position, end)
            if position < 0:
                return position
            if key != 0 and load_u16(key + KEY.kind) == OBJECT and opens(position, end):
                position, element = enter(context, key, position, end)
                if position < 0 or depth + 1 == STACK_MAX:
                    return min(position, MALFORMED)
                depth += 1
                store_i64(stack + depth * 8, load_u32(key + KEY.child) | element)
                if byte_at(position, end) != ARRAY_CLOSE or element == 0:
                    continue
                depth, position = depth - 1, position + 1  # an empty array
            else:
                position = read_value(context, key, position, end)
            if position < 0:
                return position
            position = skip_space(position, end)
            if byte_at(position, end) == COMMA:
                position = skip_space(position + 1, end)
                if byte_at(position, end) != QUOTE:
                    return MALFORMED
                continue
        position, depth = close(context, stack, depth, position, end)
        if position < 0 or depth < 0:
            return position


@leaf
def opens(position, end):
    """Whether an object or an array begins here."""
    sign = byte_at(position, end)
    return sign in (OBJECT_OPEN, ARRAY_OPEN)


@kernel
def enter(context, key, position, end):
    """(position at the first key of the object, or of the first object of the array; ELEMENT for an array)."""
    apart()
    if mark(context, load_u16(key + KEY.slot)) == 0:
        return FIELD, 0
    if load_u8(position) == OBJECT_OPEN:
        return skip_space(position + 1, end), 0
    position = skip_space(position + 1, end)
    if byte_at(position, end) == ARRAY_CLOSE:
        return position, ELEMENT
    if byte_at(position, end) != OBJECT_OPEN:
        return (FIELD if position < end else MALFORMED), 0
    return skip_space(position + 1, end), ELEMENT


@kernel
def close(context, stack, depth, position, end):
    """At the end of an object: (position at the next key, depth) of the one that goes on; depth -1: the message is over."""
    apart()
    while True:
        if byte_at(position, end) != OBJECT_CLOSE:
            return MALFORMED, depth
        position = skip_space(position + 1, end)
        if load_i64(stack + depth * 8) & ELEMENT:
            if not end_element(context):
                return FIELD, depth
            sign = byte_at(position, end)
            if sign == COMMA:
                position = skip_space(position + 1, end)
                if byte_at(position, end) != OBJECT_OPEN:
                    return (FIELD if position < end else MALFORMED), depth
                return skip_space(position + 1, end), depth
            if sign != ARRAY_CLOSE:
                return MALFORMED, depth
            position = skip_space(position + 1, end)
        depth -= 1
        if depth < 0:
            return position, depth
        if byte_at(position, end) == COMMA:
            position = skip_space(position + 1, end)
            return (position if byte_at(position, end) == QUOTE else MALFORMED), depth


@leaf
def read_key(context, shape, position, end):
    """(struct json_key or 0, position of the value) of the key whose opening quote is at `position`."""
    keys, rows = load_i64(context + CONTEXT.keys), load_i64(context + CONTEXT.shapes) + shape * SHAPE_BYTES
    key = find_key(keys, rows, position + 1, end)
    if key != 0:
        position += 1 + load_u32(key + KEY.bytes)
    else:
        key, position = read_other_key(context, rows, position, end)
        if position < 0:
            return 0, MALFORMED
    if byte_at(position, end) != COLON:
        position = skip_space(position, end)
        if byte_at(position, end) != COLON:
            return 0, MALFORMED
    return key, skip_space(position + 1, end)


@kernel
def read_other_key(context, shape, position, end):
    """read_key for a key that is written with escapes, or is of no interest; the position is behind its closing quote."""
    apart()
    behind = skip_string(position, end)
    if behind < 0 or has_escape(position + 1, behind - 1) == 0:
        return 0, behind
    room = load_i64(context + CONTEXT.texts) + SLOTS * TEXT_BYTES
    count = resolve(position + 1, behind - 1, room)
    if count < 0:
        return 0, behind
    return find_key(load_i64(context + CONTEXT.keys), shape, room, room + put(room, count, PADDING_TEXT)), behind


@leaf
def mark(context, slot):
    """Notes that a slot was found; 0: for the second time."""
    present = load_i64(context + CONTEXT.present)
    store_i64(context + CONTEXT.present, present | 1 << slot)
    return (present >> slot & 1) ^ 1


@leaf
def read_value(context, key, position, end):
    """The value at `position` into the slot of `key`; null is a slot that was not found."""
    if key == 0:
        return skipped(position, end)
    kind, slot = load_u16(key + KEY.kind), load_u16(key + KEY.slot)
    if kind != SKIP and byte_at(position, end) == LETTER_N:
        behind = skip_literal(position, end)
        return behind if behind >= 0 else MALFORMED
    if mark(context, slot) == 0:
        return FIELD
    if kind in (DECIMAL, INTEGER):
        return read_number_into(context, slot, position, end, kind == INTEGER)
    if kind in (BIDS, ASKS):
        return read_side(context, slot, position, end, kind)
    return read_other_value(context, key, kind, slot, position, end)


@leaf
def skipped(position, end):
    """skip_value with the reason of a refusal."""
    behind = skip_value(position, end)
    return behind if behind >= 0 else MALFORMED


@leaf
def read_number_into(context, slot, position, end, whole):
    """A number into its slot; `whole`: without fraction or exponent."""
    position, mantissa, exponent = read_decimal(position, end, load_i64(context + CONTEXT.shuffles))
    address = slot_of(context, slot)
    store_i64(address + SLOT.number, mantissa)
    store_u32(address + SLOT.exponent, exponent)
    return FIELD if whole and exponent != 0 and position >= 0 else position


@kernel
def read_side(context, slot, position, end, kind):
    """An array of levels; a bare or quoted number under the same key is the best price."""
    apart()
    if byte_at(position, end) != ARRAY_OPEN:
        best = SLOT_BID_PRICE if kind == BIDS else SLOT_ASK_PRICE
        return read_number_into(context, best, position, end, False) if mark(context, best) else FIELD
    position = skip_space(position + 1, end)
    if byte_at(position, end) == ARRAY_CLOSE:
        return position + 1
    return read_levels(context, position, end, BUY if kind == BIDS else SELL)


@kernel
def read_other_value(context, key, kind, slot, position, end):
    """The kinds that do not come with every level message."""
    apart()
    if kind == TEXT:
        return read_text(context, slot, position, end)
    if kind == BOOLEAN:
        position, number = read_boolean(position, end)
        store_i64(slot_of(context, slot) + SLOT.number, number)
        return position
    if kind == CHANGES:
        if byte_at(position, end) != ARRAY_OPEN:
            return FIELD
        position = skip_space(position + 1, end)
        return position + 1 if byte_at(position, end) == ARRAY_CLOSE else read_levels(context, position, end, NO_SIDE)
    if kind == BEST:
        return read_best(context, slot, load_u32(key + KEY.child), position, end)
    return skipped(position, end) if kind == SKIP else FIELD


@kernel
def read_text(context, slot, position, end):
    """A string into its slot, escapes resolved."""
    apart()
    if byte_at(position, end) != QUOTE:
        return FIELD
    behind, doubtful = string_end(position, end)
    if behind < 0:
        return MALFORMED
    address, text, size_bytes = slot_of(context, slot), position + 1, behind - position - 2
    if doubtful and has_escape(text, behind - 1):
        room = load_i64(context + CONTEXT.texts) + slot * TEXT_BYTES
        size_bytes = resolve(text, behind - 1, room)
        text = room
    store_i64(address + SLOT.text, text)
    store_u32(address + SLOT.bytes, size_bytes)
    return behind if size_bytes >= 0 else FIELD


@kernel
def read_best(context, price_slot, quantity_slot, position, end):
    """[price, …, quantity] of a ticker: first element and third, both numbers."""
    apart()
    if byte_at(position, end) != ARRAY_OPEN:
        return FIELD
    position = read_number_into(context, price_slot, skip_space(position + 1, end), end, False)
    if position >= 0:
        position = next_element(position, end)
    if position >= 0:
        position = skipped(position, end)
    if position >= 0:
        position = next_element(position, end)
    if position >= 0:
        mark(context, quantity_slot)
        position = read_number_into(context, quantity_slot, position, end, False)
    while position >= 0:
        position = skip_space(position, end)
        sign = byte_at(position, end)
        if sign == ARRAY_CLOSE:
            return position + 1
        position = skipped(skip_space(position + 1, end), end) if sign == COMMA else MALFORMED
    return position


@kernel
def read_whole_object(context, payload, end):
    """A message that is one object of shape 0: 0, or the reason of its refusal, negative."""
    apart()
    begin_message(context)
    position = skip_space(payload, end)
    if byte_at(position, end) != OBJECT_OPEN:
        return FIELD if position < end else MALFORMED
    position = read_object(context, 0, position, end)
    return position if position < 0 else 0 if position == end else MALFORMED
