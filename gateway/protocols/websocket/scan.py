"""JSON text, byte by byte ④: spaces, strings, values of no interest. RFC 8259, and no leniency.

Every function takes a position and the end of the message and returns the position behind what it read, or -1: no JSON.
Hard rule: a byte is loaded only after its position was compared with `end`.
"""

from gateway.core.digits import non_plain
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u8, trailing_zeros

QUOTE, BACKSLASH, COMMA, COLON, MINUS, PLUS, POINT, ZERO, NINE = (ord(sign) for sign in '"\\,:-+.09')
OBJECT_OPEN, OBJECT_CLOSE, ARRAY_OPEN, ARRAY_CLOSE = (ord(sign) for sign in "{}[]")
SPACE, TAB, LINE_FEED, RETURN = (ord(sign) for sign in " \t\n\r")
LETTER_E, LETTER_E_LARGE, LETTER_U = ord("e"), ord("E"), ord("u")
TRUE, FALSE, NULL = (int.from_bytes(word, "little") for word in (b"true", b"alse", b"null"))
LETTER_F = ord("f")
LOW_32 = 0xFFFFFFFF
MALFORMED = -1
VECTOR = 16
DEPTH_MAX = 60  # arrays and objects within a value that is passed over: one bit each


@leaf
def byte_at(position, end):
    """The byte at `position`, or 0 behind the end: no JSON has a zero byte."""
    return load_u8(position) if position < end else 0


@leaf
def skip_space(position, end):
    """Behind the spaces, mostly none."""
    if position < end and load_u8(position) > SPACE:
        return position
    return skip_spaces(position, end)


@kernel
def skip_spaces(position, end):
    """Behind every space, tab and line end."""
    apart()
    while position < end:
        sign = load_u8(position)
        if sign != SPACE and sign != LINE_FEED and sign != RETURN and sign != TAB:
            break
        position += 1
    return position


@kernel
def skip_string(position, end):
    """`position` is at the opening quote. Returns the position behind the closing one."""
    apart()
    position += 1
    while True:
        while position + VECTOR <= end:
            special = non_plain(position)
            if special != 0:
                position += trailing_zeros(special)
                break
            position += VECTOR
        if position >= end:
            return MALFORMED
        sign = load_u8(position)
        if sign == QUOTE:
            return position + 1
        if sign == BACKSLASH:
            position = skip_escape(position, end)
        elif sign >= 0x80:
            position = skip_unicode(position, end)
        elif sign < SPACE:
            return MALFORMED
        else:
            position += 1
        if position < 0:
            return MALFORMED


@kernel
def skip_escape(position, end):
    """At a backslash. A surrogate must come in its pair."""
    apart()
    if end - position < 2:
        return MALFORMED
    sign = load_u8(position + 1)
    if sign != LETTER_U:
        return position + 2 if unescaped(sign) != 0 else MALFORMED
    code = four_hex(position + 2, end)
    if code < 0 or 0xDC00 <= code <= 0xDFFF:
        return MALFORMED
    if code < 0xD800 or code > 0xDBFF:
        return position + 6
    if end - position < 8 or load_u8(position + 6) != BACKSLASH or load_u8(position + 7) != LETTER_U:
        return MALFORMED
    return position + 12 if 0xDC00 <= four_hex(position + 8, end) <= 0xDFFF else MALFORMED


@kernel
def unescaped(sign):
    """What a one-letter escape stands for; 0: there is no such escape."""
    for escape, meaning in ((34, 34), (92, 92), (47, 47), (98, 8), (102, 12), (110, 10), (114, 13), (116, 9)):
        if sign == escape:
            return meaning
    return 0


@kernel
def four_hex(position, end):
    """The number of four hexadecimal digits, or -1."""
    if end - position < 4:
        return -1
    number = 0
    for index in range(4):
        sign = load_u8(position + index)
        lower = sign | 0x20
        if ZERO <= sign <= NINE:
            number = number * 16 + sign - ZERO
        elif 97 <= lower <= 102:
            number = number * 16 + lower - 87
        else:
            return -1
    return number


@kernel
def skip_unicode(position, end):
    """At a byte from 0x80 on: one character of UTF-8 (RFC 3629, section 4)."""
    apart()
    sign, left = load_u8(position), end - position
    size_bytes = 2 if 0xC2 <= sign <= 0xDF else 3 if 0xE0 <= sign <= 0xEF else 4 if 0xF0 <= sign <= 0xF4 else 0
    if size_bytes == 0 or left < size_bytes:
        return MALFORMED
    second = load_u8(position + 1)
    low = 0xA0 if sign == 0xE0 else 0x90 if sign == 0xF0 else 0x80
    high = 0x9F if sign == 0xED else 0x8F if sign == 0xF4 else 0xBF
    if second < low or second > high:
        return MALFORMED
    for index in range(2, size_bytes):
        if load_u8(position + index) & 0xC0 != 0x80:
            return MALFORMED
    return position + size_bytes


@kernel
def skip_digits(position, end):
    """Behind the digits at `position`."""
    while position < end and ZERO <= load_u8(position) <= NINE:
        position += 1
    return position


@kernel
def skip_number(position, end):
    """A JSON number, whatever its size."""
    if byte_at(position, end) == MINUS:
        position += 1
    whole = skip_digits(position, end)
    if whole == position or (whole - position > 1 and load_u8(position) == ZERO):
        return MALFORMED
    position = whole
    if byte_at(position, end) == POINT:
        position = skip_digits(whole + 1, end)
        if position == whole + 1:
            return MALFORMED
    if byte_at(position, end) | 0x20 == LETTER_E:
        position += 1
        if byte_at(position, end) == MINUS or byte_at(position, end) == PLUS:
            position += 1
        behind = skip_digits(position, end)
        return behind if behind != position else MALFORMED
    return position


@kernel
def skip_literal(position, end):
    """true, false or null."""
    if end - position >= 4:
        word = four_bytes(position)
        if word in (TRUE, NULL):
            return position + 4
        if load_u8(position) == LETTER_F and end - position >= 5 and four_bytes(position + 1) == FALSE:
            return position + 5
    return MALFORMED


@leaf
def four_bytes(position):
    """Four bytes as a little-endian word."""
    return load_u8(position) | load_u8(position + 1) << 8 | load_u8(position + 2) << 16 | load_u8(position + 3) << 24


@kernel
def skip_scalar(position, end):
    """A string, number or literal."""
    sign = byte_at(position, end)
    if sign == QUOTE:
        return skip_string(position, end)
    if sign == MINUS or ZERO <= sign <= NINE:
        return skip_number(position, end)
    return skip_literal(position, end)


@kernel
def skip_key(position, end):
    """Behind `"key" :` and the spaces after it."""
    position = skip_space(position, end)
    if byte_at(position, end) != QUOTE:
        return MALFORMED
    position = skip_string(position, end)
    if position < 0:
        return MALFORMED
    position = skip_space(position, end)
    return skip_space(position + 1, end) if byte_at(position, end) == COLON else MALFORMED


@kernel
def skip_value(position, end):
    """Any value, checked to its last byte; nesting beyond DEPTH_MAX is refused."""
    apart()
    depth, objects = 0, 0  # bit 0 of `objects`: the innermost is an object
    while True:
        position = skip_space(position, end)
        sign = byte_at(position, end)
        if sign in (OBJECT_OPEN, ARRAY_OPEN):
            if depth == DEPTH_MAX:
                return MALFORMED
            depth, objects = depth + 1, (objects << 1) | (1 if sign == OBJECT_OPEN else 0)
            inside = skip_space(position + 1, end)
            if byte_at(inside, end) != (OBJECT_CLOSE if objects & 1 else ARRAY_CLOSE):
                position = skip_key(inside, end) if objects & 1 else inside
                if position < 0:
                    return MALFORMED
                continue
            position = inside + 1
            depth, objects = depth - 1, objects >> 1
        else:
            position = skip_scalar(position, end)
        # behind a value: close what ends here, then go on with the next
        while True:
            if position < 0 or depth == 0:
                return position
            position = skip_space(position, end)
            sign = byte_at(position, end)
            if sign != (OBJECT_CLOSE if objects & 1 else ARRAY_CLOSE):
                break
            position += 1
            depth, objects = depth - 1, objects >> 1
        if sign != COMMA:
            return MALFORMED
        position = skip_key(position + 1, end) if objects & 1 else position + 1
        if position < 0:
            return MALFORMED


@kernel
def is_json(position, end):
    """1 when the bytes up to `end` are one JSON value and nothing else."""
    behind = skip_value(position, end)
    return 1 if behind >= 0 and skip_space(behind, end) == end else 0


@leaf
def word_at(position, end):
    """Eight bytes as a little-endian word; those behind the end are 0."""
    if end - position >= 8:
        return load_i64(position)
    return partial_word(position, end)


@kernel
def partial_word(position, end):
    """word_at where less than eight bytes are left."""
    apart()
    word = 0
    for index in range(end - position):
        word |= load_u8(position + index) << (8 * index)
    return word
