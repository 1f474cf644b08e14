"""Numbers as text ④: a mantissa and a decimal exponent, exactly as printed, quoted or bare.

    "61653.70" → 6165370, -2        1.5e-4 → 15, -5        "0.000" → 0, -3

Hard rule: a number that has no exact mantissa of 18 digits is refused, never rounded. RFC 8259 section 6 says what a number
is, within quotes too.
"""

from gateway.core.digits import gathered_digits, non_digits
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_u8, trailing_zeros
from gateway.layout import value
from gateway.protocols.websocket.scan import (
    LETTER_E,
    MINUS,
    PLUS,
    POINT,
    QUOTE,
    VECTOR,
    ZERO,
    byte_at,
    skip_digits,
    skip_literal,
)

MALFORMED, FIELD = -value("FEED_JSON_MALFORMED"), -value("FEED_MESSAGE_FIELD")
MANTISSA_BEFORE = (10**18 - 1) // 10  # one more digit still fits 18
POWER_MAX = 9999  # an exponent is believed up to here; what it makes of a mantissa is refused much earlier
SHUFFLE_BYTES, SHUFFLE_ENDS = 16, 17


@leaf
def digits_behind(position, mask):
    """(index of the first sign that is no digit, end of the number) of 16 bytes; end 0: no plain number, read it slowly."""
    point = trailing_zeros(mask | 1 << VECTOR)
    if point == 0 or point == VECTOR or (load_u8(position) == ZERO and point != 1):
        return point, 0
    if load_u8(position + point) != POINT:
        return point, point
    last = trailing_zeros(mask & (mask - 1) | 1 << VECTOR)
    return point, last if VECTOR != last != point + 1 else 0


@leaf
def gathered(position, point, last, shuffles):
    """The digits before `last`, without the point, as one number."""
    return gathered_digits(position, shuffles + (point * SHUFFLE_ENDS + last) * SHUFFLE_BYTES)


@leaf
def read_number(position, end, shuffles):
    """(position behind, mantissa, exponent) of a bare number; a negative position is the reason of a refusal."""
    if end - position >= VECTOR:
        point, last = digits_behind(position, non_digits(position))
        if last != 0 and load_u8(position + last) | 0x20 != LETTER_E:
            return position + last, gathered(position, point, last, shuffles), min(point + 1 - last, 0)
    return read_slowly(position, end)


@kernel
def read_decimal(position, end, shuffles):
    """(position behind, mantissa, exponent) of a number, quoted or bare."""
    apart()
    if byte_at(position, end) != QUOTE:
        return read_number(position, end, shuffles)
    behind, mantissa, exponent = read_number(position + 1, end, shuffles)
    if behind < 0:
        return FIELD, 0, 0
    if byte_at(behind, end) != QUOTE:
        return FIELD, 0, 0
    return behind + 1, mantissa, exponent


@kernel
def read_slowly(position, end):
    """A number sign by sign: any length, sign and exponent."""
    apart()
    negative = byte_at(position, end) == MINUS
    start = position + 1 if negative else position
    whole = skip_digits(start, end)
    if whole == start and start == position and position < end:
        return FIELD, 0, 0  # something else than a number
    if whole == start or (whole - start > 1 and load_u8(start) == ZERO):
        return MALFORMED, 0, 0
    behind = whole
    if byte_at(whole, end) == POINT:
        behind = skip_digits(whole + 1, end)
        if behind == whole + 1:
            return MALFORMED, 0, 0
    mantissa, exponent = mantissa_of(start, whole, behind)
    if byte_at(behind, end) | 0x20 == LETTER_E:
        behind, power = read_power(behind + 1, end)
        if behind < 0:
            return MALFORMED, 0, 0
        exponent += power
    if abs(exponent) > POWER_MAX and mantissa == 0:
        exponent = 0
    if mantissa < 0 or abs(exponent) > POWER_MAX:
        return FIELD, 0, 0
    return behind, -mantissa if negative else mantissa, exponent


@kernel
def mantissa_of(start, whole, behind):
    """(digits as a number or -1, exponent): zeros that a fraction ends with give way where the mantissa would not fit."""
    mantissa, exponent, zeros = 0, 0, 0
    for position in range(start, behind):
        sign = load_u8(position)
        if sign == POINT:
            continue
        if position > whole:
            if sign == ZERO and mantissa > MANTISSA_BEFORE // 10:
                zeros += 1
                continue
            exponent -= 1 + zeros
            while zeros > 0 and mantissa >= 0:
                mantissa = mantissa * 10 if mantissa <= MANTISSA_BEFORE else -1
                zeros -= 1
        if mantissa < 0 or mantissa > MANTISSA_BEFORE:
            return -1, 0
        mantissa = mantissa * 10 + sign - ZERO
    return mantissa, exponent


@kernel
def read_power(position, end):
    """(position behind, power of ten) behind the letter e; a position of -1: no digits."""
    negative = byte_at(position, end) == MINUS
    if negative or byte_at(position, end) == PLUS:
        position += 1
    behind = skip_digits(position, end)
    if behind == position:
        return -1, 0
    power = 0
    for index in range(position, behind):
        power = min(power * 10 + load_u8(index) - ZERO, POWER_MAX)
    return behind, -power if negative else power


@kernel
def read_boolean(position, end):
    """(position behind, 1 or 0) of true and false."""
    apart()
    behind = skip_literal(position, end)
    if behind < 0:
        return FIELD, 0
    if behind - position == 4 and load_u8(position) == 0x6E:
        return FIELD, 0
    return behind, 1 if behind - position == 4 else 0
