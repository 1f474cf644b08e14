"""What both sides know of the records before: last of a kind, of an order, of a key; the lists of recent bytes.

Hard rule: everything here is a function of records already coded, so the reader has the same.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import (
    load_i32,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    multiply_wrapping,
    shift_right,
    store_i64,
    store_u8,
    store_u16,
    store_u32,
    trailing_zeros,
)
from gateway.link.compression.column_plan import (
    BEFORE,
    CLASSES,
    IDENTITY_OFFSET,
    KEY_LAST,
    KIND_LAST,
    KIND_OFFSET,
    LIKE,
    NAMES_NONE,
    REFERENCE,
    RENAME_OFFSET,
    RENAMES,
    SIDE_OFFSET,
    SYMBOL_OFFSET,
    SYMBOL_WIDTH,
)

GOLDEN = -7046029254386353131  # 2^64 by the golden ratio, odd
RANKED = 7  # bytes in a list
RANKED_MASK = (1 << 56) - 1
RANKED_ONES = 0x01010101010101  # a byte for each place
RANKED_HIGHS = RANKED_ONES << 7


@cached_leaf
def load_field(address, width):
    """A field of 1, 2, 4 or 8 bytes; -4 is a signed one of four."""
    if width == 8:
        return load_i64(address)
    if width == 4:
        return load_u32(address)
    if width == 1:
        return load_u8(address)
    if width == 2:
        return load_u16(address)
    return load_i32(address)


@cached_leaf
def store_field(address, width, value):
    """Writes a field; what does not fit is cut off."""
    if width == 8:
        store_i64(address, value)
    elif width == 1:
        store_u8(address, value)
    elif width == 2:
        store_u16(address, value)
    else:
        store_u32(address, value)


@cached_leaf
def plan_word(plan, word):
    """A word of a plan's head."""
    return load_i64(plan + word * 8)


@cached_leaf
def class_of(plan, record):
    """What the record does with its identity column."""
    kind_offset = plan_word(plan, KIND_OFFSET)
    if kind_offset < 0:
        return NAMES_NONE
    return load_u8(plan + CLASSES * 8 + load_u8(record + kind_offset))


@cached_leaf
def identity_of(plan, record):
    """The name that an order has after this record."""
    renamed = class_of(plan, record) == RENAMES
    return load_i64(record + plan_word(plan, RENAME_OFFSET if renamed else IDENTITY_OFFSET))


@cached
def follow_kinds(plan, work, records, stride, begin, end):
    """BEFORE of each record of a block: the last one of its kind, or -1."""
    kind_offset = plan_word(plan, KIND_OFFSET)
    for index in range(begin, end):
        slot = work + KIND_LAST + load_u8(records + index * stride + kind_offset) * 4
        store_i64(work + BEFORE + (index - begin) * 8, load_u32(slot) - 1)
        store_u32(slot, index + 1)


@cached
def follow_keys(plan, work, records, stride, begin, end):
    """LIKE of each record: the same order's last, else the last of the same kind, symbol and side, else the one before."""
    kind_offset, side_offset = plan_word(plan, KIND_OFFSET), plan_word(plan, SIDE_OFFSET)
    symbol_offset, symbol_width = plan_word(plan, SYMBOL_OFFSET), plan_word(plan, SYMBOL_WIDTH)
    for index in range(begin, end):
        record = records + index * stride
        key = load_u8(record + kind_offset) | load_u8(record + side_offset) << 8
        key |= load_field(record + symbol_offset, symbol_width) << 16
        slot = work + KEY_LAST + shift_right(multiply_wrapping(key, GOLDEN), 56) * 4
        found = load_i64(work + REFERENCE + (index - begin) * 8)
        if found < 0:
            found = load_u32(slot) - 1
        if found < 0:
            found = max(index - 1, 0)
        store_i64(work + LIKE + (index - begin) * 8, found)
        store_u32(slot, index + 1)


@cached_leaf
def rank_of(ranks, value):
    """Place of a byte in a list, RANKED when it is not there: the lowest zero byte of the difference, all seven at once."""
    apart = ranks ^ (value * RANKED_ONES)
    return min(trailing_zeros((apart - RANKED_ONES) & ~apart & RANKED_HIGHS) >> 3, RANKED)


@cached_leaf
def to_front(ranks, rank, value):
    """The list with `value`, which has that rank, first; a new one pushes the last out."""
    behind = shift_right(RANKED_MASK, (RANKED - 1 - min(rank, RANKED - 1)) * 8)
    return (ranks & ~behind) | ((ranks << 8 | value) & behind)
