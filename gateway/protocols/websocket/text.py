"""Texts of a JSON message ④: where they stand, and what their escapes mean.

Hard rule: a text is compared after its escapes are resolved, and one that does not fit its room is refused, not cut.
"""

from gateway.core.digits import non_plain
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u8, load_u32, store_u8, trailing_zeros
from gateway.layout import offsets, size, value
from gateway.protocols.websocket.scan import (
    BACKSLASH,
    LETTER_U,
    QUOTE,
    VECTOR,
    four_hex,
    partial_word,
    skip_string,
    unescaped,
)

CONTEXT, SLOT = offsets("json_context"), offsets("json_slot")
SLOT_BYTES, TEXT_BYTES = size("json_slot"), value("JSON_TEXT_BYTES")


@leaf
def string_end(position, end):
    """`position` is at the opening quote: (position behind the closing one or -1, 1 when there may be escapes)."""
    if end - position > VECTOR:
        special = non_plain(position + 1)
        if special != 0:
            closing = position + 1 + trailing_zeros(special)
            if load_u8(closing) == QUOTE:
                return closing + 1, 0
    return skip_string(position, end), 1


@kernel
def has_escape(position, end):
    """1 when a backslash stands before `end`."""
    apart()
    while position < end:
        if load_u8(position) == BACKSLASH:
            return 1
        position += 1
    return 0


@kernel
def resolve(position, end, room):
    """Writes a valid string's content without its escapes to `room`; its bytes, or -1: more than TEXT_BYTES - 1."""
    apart()
    count = 0
    while position < end:
        code = load_u8(position)
        position += 1
        if code != BACKSLASH:
            count = put(room, count, code)
        elif load_u8(position) != LETTER_U:
            count = put(room, count, unescaped(load_u8(position)))
            position += 1
        else:
            code = four_hex(position + 1, end)
            position += 5
            if 0xD800 <= code <= 0xDBFF:
                code = 0x10000 + ((code - 0xD800) << 10) + four_hex(position + 2, end) - 0xDC00
                position += 6
            count = put_code(room, count, code)
    return count if count < TEXT_BYTES else -1


@kernel
def put_code(room, count, code):
    """One character as UTF-8."""
    if code < 0x80:
        return put(room, count, code)
    if code < 0x800:
        return put(room, put(room, count, 0xC0 | code >> 6), 0x80 | code & 63)
    if code < 0x10000:
        count = put(room, put(room, count, 0xE0 | code >> 12), 0x80 | code >> 6 & 63)
    else:
        count = put(room, put(room, count, 0xF0 | code >> 18), 0x80 | code >> 12 & 63)
        count = put(room, count, 0x80 | code >> 6 & 63)
    return put(room, count, 0x80 | code & 63)


@leaf
def put(room, count, code):
    """One byte, where there is room."""
    if count < TEXT_BYTES:
        store_u8(room + count, code)
    return count + 1


@leaf
def slot_of(context, slot):
    """Address of a struct json_slot."""
    return context + CONTEXT.slots + slot * SLOT_BYTES


@leaf
def has(context, slot):
    """Whether the message had this slot."""
    return (load_i64(context + CONTEXT.present) >> slot) & 1 != 0


@leaf
def number_in(context, slot):
    """The number in a slot."""
    return load_i64(slot_of(context, slot) + SLOT.number)


@kernel
def is_text(context, slot, name):
    """Whether a slot holds this text, given as name_of makes it."""
    apart()
    first, last, size_bytes = name
    if not has(context, slot) or load_u32(slot_of(context, slot) + SLOT.bytes) != size_bytes:
        return False
    return begins(context, slot, name)


@kernel
def begins(context, slot, name):
    """Whether the text in a slot begins with this one."""
    apart()
    first, last, size_bytes = name
    if not has(context, slot) or load_u32(slot_of(context, slot) + SLOT.bytes) < size_bytes:
        return False
    at = load_i64(slot_of(context, slot) + SLOT.text)
    end = at + size_bytes
    return partial_word(at, min(at + 8, end)) == first and partial_word(max(at, end - 8), end) == last


def word_of(text: str) -> int:
    """A text of up to eight bytes as the little-endian word a load sees."""
    word = int.from_bytes(text.encode(), "little")
    return word - (1 << 64) if word >= 1 << 63 else word


def name_of(text: str) -> tuple[int, int, int]:
    """A text of up to 16 bytes for is_text and begins: its first and last eight bytes and its size."""
    assert len(text.encode()) <= 16, "two words hold a name"
    return word_of(text[:8]), word_of(text[-8:]), len(text)
