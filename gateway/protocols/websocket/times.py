"""Times as crypto venues write them ④, in nanoseconds since 1970.

Hard rule: a time never refuses a message: one that cannot be read, or is beyond the year 2242, is 0, not stated.
"""

from gateway.core.kernel import kernel
from gateway.core.memory import apart, load_i64, load_u8, load_u32, store_i64
from gateway.layout import offsets, size, value
from gateway.protocols.websocket.text import CONTEXT, SLOT, has, number_in, slot_of

ROW = offsets("json_row")
ROW_BYTES = size("json_row")
TIME = value("SLOT_TIME")
MILLISECOND_NS, SECOND_NS = 1_000_000, 1_000_000_000
MILLISECONDS_MAX = 1 << 43
ZERO, NINE, POINT, ZULU = (ord(sign) for sign in "09.Z")
DATE_BYTES = 19  # 2021-04-17T16:43:37
SEPARATORS = ((4, ord("-")), (7, ord("-")), (10, ord("T")), (13, ord(":")), (16, ord(":")))
YEAR_FIRST, YEAR_LAST = 1970, 2241


@kernel
def milliseconds(context, slot):
    """A number of milliseconds."""
    number = number_in(context, slot) if has(context, slot) else 0
    return number * MILLISECOND_NS if 0 <= number < MILLISECONDS_MAX else 0


@kernel
def iso_time(context):
    """Text of the form 2021-04-17T16:43:37.075687Z in slot TIME."""
    apart()
    if not has(context, TIME):
        return 0
    text, size_bytes = load_i64(slot_of(context, TIME) + SLOT.text), load_u32(slot_of(context, TIME) + SLOT.bytes)
    if size_bytes <= DATE_BYTES or load_u8(text + size_bytes - 1) != ZULU:
        return 0
    for index, sign in SEPARATORS:
        if load_u8(text + index) != sign:
            return 0
    year, month, day = digits(text, 4), digits(text + 5, 2), digits(text + 8, 2)
    hour, minute, second = digits(text + 11, 2), digits(text + 14, 2), digits(text + 17, 2)
    if not (YEAR_FIRST <= year <= YEAR_LAST and 1 <= month <= 12 and 1 <= day <= 31):
        return 0
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 60):
        return 0
    seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    return seconds * SECOND_NS + fraction_ns(text + DATE_BYTES, text + size_bytes - 1)


@kernel
def digits(text, count):
    """`count` digits as a number; very negative where one is none."""
    number = 0
    for index in range(count):
        sign = load_u8(text + index)
        number = number * 10 + sign - ZERO if ZERO <= sign <= NINE else -(1 << 40)
    return number


@kernel
def days_since_1970(year, month, day):
    """Days of the proleptic Gregorian calendar; years count from March, so that the leap day is the last."""
    year -= month <= 2
    months = (month + 9) % 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * months + 2) // 5 + day - 1 - 719468


@kernel
def fraction_ns(position, end):
    """ ".075687" as nanoseconds; what is behind nine digits, or no digit, ends it."""
    scale, total = SECOND_NS, 0
    if position < end and load_u8(position) == POINT:
        for index in range(position + 1, end):
            sign = load_u8(index)
            if sign < ZERO or sign > NINE or scale == 1:
                break
            scale //= 10
            total += (sign - ZERO) * scale
    return total


@kernel
def rows_from_milliseconds(context):
    """The times of the rows, read as milliseconds, become nanoseconds; that of the first is the message's."""
    apart()
    row, first = load_i64(context + CONTEXT.rows), 0
    for index in range(load_i64(context + CONTEXT.row_count)):
        number = load_i64(row + ROW.time_ns)
        time_ns = number * MILLISECOND_NS if 0 <= number < MILLISECONDS_MAX else 0
        store_i64(row + ROW.time_ns, time_ns)
        first = time_ns if index == 0 else first
        row += ROW_BYTES
    store_i64(context + CONTEXT.time_ns, first)
