"""Exact decimals ④: mantissas, doubles and texts into integer units of 10^exponent, and back into text.

Every kernel here returns (units, status): EXACT, OFF (the number is none of the units: rounded half to even, the caller
counts it) or REFUSED (no number, beyond ±UNITS_MAX, an exponent outside -18 … 18: units 0, the caller counts it and drops
the message). Hard rule: no rounding goes unsaid, and a double is only ever read as the decimal it stands for.
"""

import numpy as np
from numba import float64, int64, uint64

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import double_of, load_u8, multiply_high, multiply_wrapping, shift_right
from gateway.layout import value

EXACT, OFF, REFUSED = 0, 1, 2
EXPONENT_LAST = value("INSTRUMENT_EXPONENT_LAST")
UNITS_MAX = (1 << 62) - 1  # two of them may be added
POWERS = np.array([10**power for power in range(EXPONENT_LAST + 1)], dtype=np.int64)
POWERS_DOUBLE = POWERS.astype(np.float64)  # exact: 10^22 is the last double that is a power of ten
INT64_MIN = -(1 << 63)
CERTAIN = float(1 << 51)  # units below it are proven by the way back alone
NOISE = 2.0**-48  # relative: what a venue's own arithmetic may add to a decimal, 16 units in the last place
MANTISSA = (1 << 52) - 1
SIGNIFICANT_DIGITS = 18
TEXT_BYTES_MAX = 64
ZERO, NINE, DOT, PLUS, MINUS = (ord(character) for character in "09.+-")
SMALL_E, LARGE_E = ord("e"), ord("E")


@leaf
def rescale(mantissa, exponent, units_exponent):
    """mantissa × 10^exponent in units of 10^units_exponent."""
    if exponent == units_exponent and -UNITS_MAX <= mantissa <= UNITS_MAX:
        return mantissa, EXACT
    return rescale_by(mantissa, exponent - units_exponent)


@kernel
def rescale_by(mantissa, power):
    """mantissa × 10^power, `power` -18 … 18; zero is zero whatever the power."""
    if mantissa == 0:
        return 0, EXACT
    if power < -EXPONENT_LAST or power > EXPONENT_LAST or mantissa == INT64_MIN:
        return 0, REFUSED
    if power >= 0:
        limit = UNITS_MAX // POWERS[power]
        if mantissa < -limit or mantissa > limit:
            return 0, REFUSED
        return mantissa * POWERS[power], EXACT
    divisor = POWERS[-power]
    units = abs(mantissa) // divisor
    rest = abs(mantissa) - units * divisor
    if rest * 2 > divisor or (rest * 2 == divisor and units & 1 != 0):
        units += 1
    if units > UNITS_MAX:
        return 0, REFUSED
    return (units if mantissa > 0 else -units), (EXACT if rest == 0 else OFF)


@leaf
def off_tick(units, tick):
    """1 when units are no multiple of the tick; a tick of 0 is not known and finds nothing."""
    return int64(tick > 0 and units % tick != 0)


@kernel
def units_from_double(bits, exponent, tick):
    """The double of these bits in units of 10^exponent (-18 … 0); `tick` in units, 0: not known.

    A double that lies within NOISE of a whole number of units is that number. Any other is OFF: rounded to the unit, not to
    the tick, so that two prices never become one. On a unit but off the tick is OFF too. NaN and infinities are REFUSED.
    """
    if exponent < -EXPONENT_LAST or exponent > 0:
        return 0, REFUSED
    number, scale = double_of(bits), POWERS_DOUBLE[-exponent]
    guess = number * scale
    # `not` also catches NaN
    if not (-CERTAIN < guess < CERTAIN):
        return scaled_double(bits, exponent, tick)
    units = int64(np.rint(guess))
    # one correctly rounded division: when it meets the double, the double is that decimal's
    if float64(units) / scale == number:
        return units, off_tick(units, tick)
    return scaled_double(bits, exponent, tick)


@kernel
def scaled_double(bits, exponent, tick):
    """units_from_double in integers: significand × 10^-exponent as 128 bits, shifted by the binary exponent."""
    biased = (bits >> 52) & 2047
    if biased == 2047:
        return 0, REFUSED
    significand = (bits & MANTISSA) | (int64(biased != 0) << 52)
    right = 1075 - max(biased, 1)  # the number is significand × 2^-right
    power = POWERS[-exponent]
    units = shift_rounding(multiply_high(significand, power), multiply_wrapping(significand, power), right)
    if units > UNITS_MAX or units < 0:
        return 0, REFUSED
    magnitude = abs(double_of(bits))
    distance = abs(magnitude - float64(units) / POWERS_DOUBLE[-exponent])
    status = OFF if distance > magnitude * NOISE else off_tick(units, tick)
    return (-units if bits < 0 else units), status


@kernel
def shift_rounding(high, low, right):
    """(high:low, unsigned) / 2^right, rounded half to even; below 0 when that exceeds 62 bits."""
    if right <= 0:
        if high != 0 or low < 0 or right < -62 or shift_right(low, 62 + right) != 0:
            return -1
        return low << -right
    if right > 127:
        return 0
    if right >= 64:
        whole = shift_right(high, right - 64)
        rest_high, rest_low = high - (whole << (right - 64)), low
        half_high, half_low = (1 << (right - 65)) if right > 64 else 0, INT64_MIN if right == 64 else 0
    else:
        if shift_right(high, right) != 0:
            return -1
        whole = (high << (64 - right)) | shift_right(low, right)
        rest_high, rest_low = 0, low & ((1 << right) - 1)
        half_high, half_low = 0, 1 << (right - 1)
    above = rest_high > half_high or (rest_high == half_high and uint64(rest_low) > uint64(half_low))
    tie = rest_high == half_high and rest_low == half_low
    return whole + int64(above or (tie and whole & 1 != 0))


@kernel
def units_from_text(address, size, exponent):
    """A decimal text as JSON and FIX write it, `-12.50`, `1e-7`, in units of 10^exponent.

    At most 64 bytes and 18 significant digits, zeros at either end not counted; anything else is REFUSED.
    """
    if size <= 0 or size > TEXT_BYTES_MAX:
        return 0, REFUSED
    end, position = address + size, address
    negative = load_u8(position) == MINUS
    position += int64(negative or load_u8(position) == PLUS)
    mantissa, digits, zeros, power, seen, behind = 0, 0, 0, 0, 0, 0
    while position < end:
        character = load_u8(position)
        if ZERO <= character <= NINE:
            seen += 1
            power -= behind
            if character == ZERO:
                zeros += int64(digits > 0)
            else:
                digits += zeros + 1
                if digits > SIGNIFICANT_DIGITS:
                    return 0, REFUSED
                mantissa = mantissa * POWERS[zeros + 1] + (character - ZERO)
                zeros = 0
        elif character == DOT and behind == 0 and seen > 0:
            behind = 1
        else:
            break
        position += 1
    if seen == 0 or load_u8(position - 1) == DOT:
        return 0, REFUSED
    power += zeros
    if position < end:
        written = text_exponent(position, end)
        if written == INT64_MIN:
            return 0, REFUSED
        power += written
    return rescale(-mantissa if negative else mantissa, power, exponent)


@kernel
def text_exponent(position, end):
    """The number behind `e` or `E`, at most three digits; INT64_MIN when it is none."""
    if load_u8(position) != SMALL_E and load_u8(position) != LARGE_E:
        return INT64_MIN
    position += 1
    negative = position < end and load_u8(position) == MINUS
    position += int64(negative or (position < end and load_u8(position) == PLUS))
    if end - position < 1 or end - position > 3:
        return INT64_MIN
    written = 0
    while position < end:
        character = load_u8(position)
        if character < ZERO or character > NINE:
            return INT64_MIN
        written = written * 10 + character - ZERO
        position += 1
    return -written if negative else written


def text_of(units: int, exponent: int) -> str:
    """Units of 10^exponent as an exact decimal text, with as many decimals as the exponent says: (-1250, -3) → "-1.250"."""
    if exponent >= 0:
        return str(units * 10**exponent)
    whole, rest = divmod(abs(units), 10**-exponent)
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{-exponent}}"
