"""Columns of amounts, packed: values as they are rather than differences, and what all of a column are multiples of.

Residual 0 says that the prediction holds, where a record has one: the same order's last amount, or none at all for kinds
without. Any other value then goes up by one place where it would stand below the prediction, so that no bit pattern is lost.
Hard rule: a column is divided only by what divides its predictions too, so that the reader's comparison is exact.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import load_i64, load_u8, store_i64, store_u8
from gateway.link.compression.column_guess import column_word, is_absent
from gateway.link.compression.column_history import load_field
from gateway.link.compression.column_plan import (
    ABSENT,
    DEFAULT,
    FIRST,
    HAVE,
    OFFSET,
    PREDICTED,
    REFERENCE,
    SCALED,
    VALUES,
    WIDTH,
)
from gateway.link.compression.column_streams import (
    NO_HEAD,
    UNSIGNED,
    is_not_above,
    scale_down,
    scale_of,
    write_stream,
)


@cached
def scaled_down(work, values, count, seen):
    """Divides by what all have in common; returns that: two | five << 4. `seen`: all their bits together."""
    scale = scale_of(work, values, count, seen)
    if scale != 0:
        scale_down(work, values, count, scale)
    return scale


@cached
def pack_plain(column, work, records, stride, begin, end):
    """One column of amounts."""
    values, many, scale = work + VALUES, end - begin, -1
    seen, guessed = _amounts(column, work, records, stride, begin, end)
    if column_word(column, SCALED) != 0:
        scale = 0 if seen < 0 or guessed < 0 else _scale_both(work, many, seen, guessed)
    if seen | guessed != 0:
        seen = 0
        for place in range(many):
            value, guess = load_i64(values + place * 8), load_i64(work + PREDICTED + place * 8)
            coded = 0 if value == guess else value + is_not_above(value, guess)
            coded = coded if load_u8(work + HAVE + place) != 0 else value
            store_i64(values + place * 8, coded)
            seen |= coded
    write_stream(work, values, many, seen, UNSIGNED, scale, NO_HEAD, 0, column_word(column, DEFAULT))


@cached_leaf
def _amounts(column, work, records, stride, begin, end):
    """VALUES, PREDICTED and HAVE; returns all bits of the first two."""
    fields, width = records + column_word(column, OFFSET), column_word(column, WIDTH)
    first, absent, seen, guessed = column_word(column, FIRST), column_word(column, ABSENT), 0, 0
    for index in range(begin, end):
        place = index - begin
        value = load_field(fields + index * stride, width) - first
        reference = load_i64(work + REFERENCE + place * 8)
        guess, have = value, 0
        if is_absent(absent, work, fields, stride, width, place) != 0:
            guess, have = -first, 1
        elif reference >= 0:
            guess, have = load_field(fields + reference * stride, width) - first, 1
        store_u8(work + HAVE + place, have)
        store_i64(work + VALUES + place * 8, value)
        store_i64(work + PREDICTED + place * 8, guess)
        seen, guessed = seen | value, guessed | guess
    return seen, guessed


@cached_leaf
def _scale_both(work, many, seen, guessed):
    """Divides amounts and predictions, none of them negative, by what they have in common; returns that."""
    values, hints = work + VALUES, work + PREDICTED
    scale = scale_of(work, values, many, seen | guessed)
    if scale != 0 and guessed != 0:
        other = scale_of(work, hints, many, seen | guessed)
        scale = min(scale & 15, other & 15) | min(scale >> 4, other >> 4) << 4
    if scale != 0:
        scale_down(work, values, many, scale)
        scale_down(work, hints, many, scale)
    return scale
