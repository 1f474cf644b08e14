"""Bits back into streams of integers: the opposite of column_streams.py, for whatever bits there are.

Hard rule: what is read before the end is looked at lies within SLACK_BYTES behind it; a stream that ends beyond is refused,
and no word read decides an address.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import load_i64, load_u8, load_u16, multiply_wrapping, shift_right, store_i64, store_u8
from gateway.link.compression.column_codes import CODE_BITS_MAX, DECODE, ESCAPE, FIXED, POWERS
from gateway.link.compression.column_plan import BITS, SYMBOLS, UNIT
from gateway.link.compression.column_streams import HEAD_BITS_MAX, SYMBOLS_AT_ONCE, low_bits


@cached_leaf
def bits_at(base, position):
    """At least 57 bits from there on."""
    return shift_right(load_i64(base + (position >> 3)), position & 7)


@cached_leaf
def take(base, position, bits):
    """The next `bits`, 0 … 64 of them."""
    if bits <= 56:
        return low_bits(bits_at(base, position), bits)
    low = low_bits(bits_at(base, position), 32)
    return low | low_bits(bits_at(base, position + 32), bits - 32) << 32


@cached_leaf
def _symbols(work, base, position, count, code):
    """Symbols of a stream into SYMBOLS; returns the position behind them."""
    table = work + DECODE + (code << (CODE_BITS_MAX + 1))
    index = 0
    while index < count:
        window = bits_at(base, position)
        for place in range(index, min(index + SYMBOLS_AT_ONCE, count)):
            entry = load_u16(table + (window & 255) * 2)
            store_u8(work + SYMBOLS + place, entry & 255)
            window = shift_right(window, entry >> 8)
            position += entry >> 8
        index += SYMBOLS_AT_ONCE
    return position


@cached_leaf
def _values(work, values, base, position, count, floor):
    """Raw bits behind the symbols; returns the position behind them, or -1 for a value longer than a word."""
    for index in range(count):
        symbol = load_u8(work + SYMBOLS + index)
        bits = floor + symbol - 1
        if symbol == 0:
            store_i64(values + index * 8, take(base, position, floor))
            position += floor
            continue
        if symbol == ESCAPE:
            bits = low_bits(bits_at(base, position), 6)
            position += 6
        if bits > 63:
            return -1
        store_i64(values + index * 8, take(base, position, bits) | 1 << bits)
        position += bits
    return position


@cached_leaf
def _unfold(work, values, count, signed, scale):
    """Signs and scale back."""
    two, power = scale & 15, load_i64(work + POWERS + (scale >> 4) * 8)
    for index in range(count):
        value = load_i64(values + index * 8)
        if signed != 0:
            value = shift_right(value, 1) ^ -(value & 1)
        store_i64(values + index * 8, multiply_wrapping(value, power) << two)


@cached
def read_stream(work, values, count, scaled, with_head, default):
    """(whether it is whole, its head). The values of a stream that is not are not to be used."""
    base, position, end = load_i64(work + BITS), load_i64(work + BITS + 8), load_i64(work + BITS + 16)
    described = bits_at(base, position) & 4095
    store_i64(work + UNIT, 1)
    if described & 1 == 0:
        for index in range(count):
            store_i64(values + index * 8, 0)
        store_i64(work + BITS + 8, position + 1)
        return position + 1 <= end, 0
    signed, code, floor = default & 1, default >> 1 & 7, default >> 4
    if described & 2 == 0:
        signed, code, floor = described >> 2 & 1, described >> 3 & 7, described >> 6
    position += 2 if described & 2 != 0 else 12
    scale, head = 0, 0
    if scaled != 0:
        scale = bits_at(base, position) & 511
        position += 9 if scale & 1 != 0 else 1
        scale = scale >> 1 if scale & 1 != 0 else 0
        store_i64(work + UNIT, load_i64(work + POWERS + (scale >> 4) * 8) << (scale & 15))
    if with_head != 0:
        bits = bits_at(base, position) & 63
        raw = 64 if bits == HEAD_BITS_MAX else max(bits - 1, 0)
        head = take(base, position + 6, raw)
        if 0 < bits < HEAD_BITS_MAX:
            head |= 1 << raw
        position += 6 + raw
    if code == FIXED:
        for index in range(count):
            store_i64(values + index * 8, take(base, position + index * floor, floor))
        position += count * floor
    else:
        position = _values(work, values, base, _symbols(work, base, position, count, code), count, floor)
    if signed != 0 or scale != 0:
        _unfold(work, values, count, signed, scale)
    store_i64(work + BITS + 8, position)
    return 0 <= position <= end, head
