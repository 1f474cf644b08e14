"""Streams of integers into bits: the code is chosen for each stream of a block, or is the schema's own.

A stream: 0, nothing but zeros (head included); 1 1, the default code; 1 0, signed (1 bit), code (3), floor (6). Then, where
the column has a scale, 0 or 1 with the powers of two and five (4 bits each); the head where there is one; all symbols; all
raw bits. Bits fill bytes from the lowest up. The opposite is column_reading.py.
Hard rule: a stream writes at most SLACK_BYTES; the caller looks at the cursor between two of them.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import (
    leading_zeros,
    load_i64,
    load_u8,
    load_u16,
    multiply_wrapping,
    quotient_u32,
    shift_right,
    store_i64,
    trailing_zeros,
)
from gateway.link.compression.column_codes import BOUNDS, CODES, COSTS, ENCODE, ESCAPE, FIXED, INVERSES, MIDDLE
from gateway.link.compression.column_plan import BITS, HISTOGRAM, LENGTH_PAIRS

SMALLEST = -(1 << 63)
COST_MAX = 1 << 40
SIGNED, UNSIGNED = 1, 0  # of a stream's integers, before they are coded
NO_HEAD, HEAD = 0, 1
FLOOR_MAX = 63
HEAD_BITS_MAX = 63  # in six bits: 63 stands for all 64
PUT_BITS = 56  # that `put` takes at once
SYMBOLS_AT_ONCE = 7  # of at most eight bits each
DESCRIBED_BITS = 10  # of a code that is not the default
DEFAULT_EXTRA_MAX = 3  # code bits for each value: with no more the default is taken without a look at the others,
STREAM_EXTRA_MAX = 160  # and with no more than so many in all: in a long stream another code pays


@cached_leaf
def put(pending, count, cursor, value, bits):
    """Appends `bits` (at most PUT_BITS) of `value`, which has no others; returns (pending, count, cursor)."""
    pending |= value << count
    count += bits
    store_i64(cursor, pending)
    return shift_right(pending, count & 56), count & 7, cursor + (count >> 3)


@cached_leaf
def put_long(pending, count, cursor, value, bits):
    """The same for up to 64 bits."""
    if bits > 32:
        pending, count, cursor = put(pending, count, cursor, value & 0xFFFFFFFF, 32)
        value, bits = shift_right(value, 32), bits - 32
    return put(pending, count, cursor, value, bits)


@cached_leaf
def length_of(value):
    """Bits up to the highest set one."""
    return 64 - leading_zeros(value)


@cached_leaf
def is_not_above(value, bound):
    """Unsigned comparison."""
    return (value ^ SMALLEST) <= (bound ^ SMALLEST)


@cached_leaf
def low_bits(value, bits):
    """The lowest `bits` (at most 63) of a word."""
    return value & ((1 << bits) - 1)


@cached_leaf
def magnitude_of(value):
    """Without its sign; of the smallest one, the same pattern, which is right as an unsigned word."""
    return (value ^ (value >> 63)) - (value >> 63)


@cached
def scale_of(work, values, count, seen):
    """The powers of two and five that divide every value, each at most 15: two | five << 4. `seen`: all their bits."""
    if seen == 0:
        return 0
    two, five = min(trailing_zeros(seen), 15), 15
    for index in range(count):
        value = magnitude_of(load_i64(values + index * 8))
        while five > 0 and not is_not_above(
            multiply_wrapping(value, load_i64(work + INVERSES + five * 8)), load_i64(work + BOUNDS + five * 8)
        ):
            five -= 1
        if five == 0:
            break
    return two | five << 4


@cached
def scale_down(work, values, count, scale):
    """Divides every value, exactly."""
    two, inverse = scale & 15, load_i64(work + INVERSES + (scale >> 4) * 8)
    for index in range(count):
        value = load_i64(values + index * 8)
        sign = value >> 63
        small = multiply_wrapping(shift_right((value ^ sign) - sign, two), inverse)
        store_i64(values + index * 8, (small ^ sign) - sign)


@cached_leaf
def measure(work, values, count, signed, code, floor):
    """Folds signs in where `signed`; returns (bits in this code, longest, sum of lengths)."""
    costs, cost, longest, total = work + COSTS + code * 16, 0, 0, 0
    for index in range(count):
        value = load_i64(values + index * 8)
        if signed != 0:
            value = (value << 1) ^ (value >> 63)
            store_i64(values + index * 8, value)
        length = length_of(value)
        symbol = min(max(length - floor, 0), ESCAPE)
        cost += load_u8(costs + symbol) + max(floor, length - 1)
        longest, total = max(longest, length), total + length
    return cost, longest, total


@cached_leaf
def _count_lengths(work, values, count):
    """Which lengths there are, as pairs of length and times; returns how many pairs."""
    times, pairs, many = work + HISTOGRAM, work + LENGTH_PAIRS, 0
    for index in range(count):
        slot = times + length_of(load_i64(values + index * 8)) * 8
        seen = load_i64(slot)
        if seen == 0:
            store_i64(pairs + many * 16, (slot - times) >> 3)
            many += 1
        store_i64(slot, seen + 1)
    for index in range(many):
        slot = times + load_i64(pairs + index * 16) * 8
        store_i64(pairs + index * 16 + 8, load_i64(slot))
        store_i64(slot, 0)
    return many


@cached
def choose(work, values, count, longest, total):
    """(bits, code, floor) of what looks cheapest: each code where its middle meets the mean length."""
    pairs, many, mean = work + LENGTH_PAIRS, _count_lengths(work, values, count), quotient_u32(total, count)
    best, code, floor = COST_MAX, 0, 0
    if longest <= FLOOR_MAX:
        best, floor = count * longest, longest
    for other in range(1, CODES):
        costs = work + COSTS + other * 16
        place = min(max(mean - load_u8(costs + MIDDLE), 0), FLOOR_MAX)
        cost = 0
        for index in range(many):
            length = load_i64(pairs + index * 16)
            symbol = min(max(length - place, 0), ESCAPE)
            cost += load_i64(pairs + index * 16 + 8) * (load_u8(costs + symbol) + max(place, length - 1))
            if cost >= best:
                break
        if cost < best:
            best, code, floor = cost, other, place
    return best, code, floor


@cached
def write_stream(work, values, count, seen, kind, scale, with_head, head, default):
    """One stream. `seen`: all bits of all values together, as they were before they were divided. `scale` is -1 for a
    column without, else two | five << 4, and the values are divided already.
    """
    pending, filled, cursor = load_i64(work + BITS), load_i64(work + BITS + 8), load_i64(work + BITS + 16)
    if seen == 0 and head == 0:
        pending, filled, cursor = put(pending, filled, cursor, 0, 1)
    else:
        signed = shift_right(seen, 63) & kind
        known, code, floor = signed == default & 1, default >> 1 & 7, default >> 4
        cost, longest, total = measure(work, values, count, signed, code, floor)
        if code == FIXED and longest > floor or not known:
            cost, known = COST_MAX, False
        if seen == 0:
            known, code, floor = False, FIXED, 0
        elif cost > total + min(count * DEFAULT_EXTRA_MAX, STREAM_EXTRA_MAX) + DESCRIBED_BITS:
            other, other_code, other_floor = choose(work, values, count, longest, total)
            if other + DESCRIBED_BITS < cost:
                known, code, floor = False, other_code, other_floor
        described = 3 if known else 1 | signed << 2 | code << 3 | floor << 6
        pending, filled, cursor = put(pending, filled, cursor, described, 2 if known else 2 + DESCRIBED_BITS)
        if scale >= 0:
            pending, filled, cursor = put(pending, filled, cursor, scale << 1 | (scale != 0), 9 if scale != 0 else 1)
        if with_head != 0:
            pending, filled, cursor = _put_head(head, pending, filled, cursor)
        if code != FIXED:
            pending, filled, cursor = _put_symbols(work, values, count, code, floor, pending, filled, cursor)
        if max(longest, floor) > PUT_BITS or code != FIXED and longest - floor >= ESCAPE:
            pending, filled, cursor = _put_long_values(values, count, code, floor, pending, filled, cursor)
        elif code == FIXED and floor != 0:
            pending, filled, cursor = _put_fixed(values, count, floor, pending, filled, cursor)
        elif floor != 0 or longest > 1:
            pending, filled, cursor = _put_values(values, count, floor, pending, filled, cursor)
    store_i64(work + BITS, pending)
    store_i64(work + BITS + 8, filled)
    store_i64(work + BITS + 16, cursor)


@cached_leaf
def _put_head(head, pending, filled, cursor):
    """The first value of a body: six bits of length, and all bits but the first."""
    bits = min(length_of(head), HEAD_BITS_MAX)
    pending, filled, cursor = put(pending, filled, cursor, bits, 6)
    bits = 64 if bits == HEAD_BITS_MAX else max(bits - 1, 0)
    return put_long(pending, filled, cursor, head if bits == 64 else low_bits(head, bits), bits)


@cached_leaf
def _put_symbols(work, values, count, code, floor, pending, filled, cursor):
    """All symbols, so many together as a word holds."""
    table, index = work + ENCODE + code * 32, 0
    while index < count:
        word, bits = 0, 0
        for place in range(index, min(index + SYMBOLS_AT_ONCE, count)):
            symbol = min(max(length_of(load_i64(values + place * 8)) - floor, 0), ESCAPE)
            entry = load_u16(table + symbol * 2)
            word |= (entry & 255) << bits
            bits += entry >> 8
        pending, filled, cursor = put(pending, filled, cursor, word, bits)
        index += SYMBOLS_AT_ONCE
    return pending, filled, cursor


@cached_leaf
def _put_fixed(values, count, floor, pending, filled, cursor):
    """All values with as many bits each, at most PUT_BITS, so many together as a word holds."""
    at_once, index = quotient_u32(PUT_BITS, floor), 0
    while index < count:
        word, bits = 0, 0
        for place in range(index, min(index + at_once, count)):
            word |= load_i64(values + place * 8) << bits
            bits += floor
        pending, filled, cursor = put(pending, filled, cursor, word, bits)
        index += at_once
    return pending, filled, cursor


@cached_leaf
def _put_values(values, count, floor, pending, filled, cursor):
    """All raw bits, where no value is an escape or longer than PUT_BITS: as many as the floor, or all but the first."""
    for index in range(count):
        value = load_i64(values + index * 8)
        bits = max(length_of(value) - 1, floor)
        pending, filled, cursor = put(pending, filled, cursor, low_bits(value, bits), bits)
    return pending, filled, cursor


@cached_leaf
def _put_long_values(values, count, code, floor, pending, filled, cursor):
    """The same of any values."""
    for index in range(count):
        value = load_i64(values + index * 8)
        raw = max(length_of(value) - 1, 0)
        if code == FIXED or raw < floor:
            pending, filled, cursor = put_long(pending, filled, cursor, value, floor)
            continue
        if raw + 1 - floor >= ESCAPE:
            pending, filled, cursor = put(pending, filled, cursor, raw, 6)
        pending, filled, cursor = put_long(pending, filled, cursor, low_bits(value, raw), raw)
    return pending, filled, cursor
