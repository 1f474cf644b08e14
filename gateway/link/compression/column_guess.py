"""What a value is expected to be, from records already coded: the same for the side that packs and the one that unpacks.

Hard rule: a guess looks at earlier records, and at columns of its own that were coded before; nothing else.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import load_i64, load_u8, store_i64
from gateway.link.compression.column_history import load_field
from gateway.link.compression.column_plan import (
    BEFORE,
    CLEARED,
    CLEARED_BYTES,
    FIRST,
    FOLLOW,
    KIND,
    LIKE,
    NEW,
    ORDER,
    OTHER_OFFSET,
    OTHER_WIDTH,
    PREVIOUS,
    REFERENCE,
)


@cached_leaf
def column_word(column, word):
    """A word of a plan's step."""
    return load_i64(column + word * 8)


@cached
def clear(work):
    """A body begins: its part of the working memory is zero."""
    for place in range(CLEARED, CLEARED + CLEARED_BYTES, 8):
        store_i64(work + place, 0)


@cached_leaf
def base_of(prediction, work, index, place):
    """Index of the record that a value is predicted from."""
    if prediction == PREVIOUS:
        return index - 1
    if prediction == ORDER:
        return load_i64(work + LIKE + place * 8)
    before = load_i64(work + BEFORE + place * 8)
    return before if before >= 0 else index - 1


@cached_leaf
def is_absent(absent, work, fields, stride, width, place):
    """1 where the last record of the same kind had zero in this column: kinds that do not use it."""
    if absent == 0:
        return 0
    before = load_i64(work + BEFORE + place * 8)
    return 1 if before >= 0 and load_field(fields + before * stride, width) == 0 else 0


@cached_leaf
def predicted(work, fields, width, stride, index, prediction, absent, beside, beside_width, place):
    """What a value of a DELTA column is expected to be, its step left out; `index` is not 0."""
    base = base_of(prediction, work, index, place) * stride
    value = load_field(fields + base, width)
    if is_absent(absent, work, fields, stride, width, place) != 0:
        value = 0
    if beside_width != 0:
        value += load_field(beside + index * stride, beside_width) - load_field(beside + base, beside_width)
    return value


@cached_leaf
def first_of(column, records):
    """What the first value of a body should be: the schema's word, beside the other column where there is one."""
    other_width = column_word(column, OTHER_WIDTH)
    first = column_word(column, FIRST)
    return first + load_field(records + column_word(column, OTHER_OFFSET), other_width) if other_width != 0 else first


@cached_leaf
def follows(work, place, many):
    """8 where the next record of the block is of the same group, 0 where it is not or is not there."""
    return 8 if place + 1 < many and load_u8(work + NEW + place + 1) == 0 else 0


@cached_leaf
def remember(work, state, place, many, value):
    """The last value of records that others of their group follow, in the higher byte, or that none follows."""
    bits = follows(work, place, many)
    store_i64(state + 8, (load_i64(state + 8) & ~(255 << bits)) | value << bits)


@cached_leaf
def guess_of(work, fields, stride, place, many, prediction, absent, state):
    """The byte that a RANK column should have, or -1."""
    if prediction == PREVIOUS:
        return -1
    if prediction == FOLLOW:
        return load_i64(state + 8) >> follows(work, place, many) & 255
    if prediction == KIND:
        before = load_i64(work + BEFORE + place * 8)
        return load_u8(fields + before * stride) if before >= 0 else -1
    if is_absent(absent, work, fields, stride, 1, place) != 0:
        return 0
    reference = load_i64(work + REFERENCE + place * 8)
    return load_u8(fields + reference * stride) if reference >= 0 else -1
