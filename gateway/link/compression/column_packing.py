"""Records into columns into bits: what each step of a plan leaves of its column, block after block.

    records ─ residuals of a column (this file, column_amounts.py, column_names.py) ─ a stream (column_streams.py) ─ next …

Hard rule: nothing is allocated; one step writes at most SLACK_BYTES beyond `room`, which is looked at behind each.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import load_i64, load_u8, store_i64, store_u8
from gateway.link.compression.column_amounts import pack_plain, scaled_down
from gateway.link.compression.column_guess import clear, column_word, first_of, guess_of, predicted, remember
from gateway.link.compression.column_history import (
    RANKED,
    follow_keys,
    follow_kinds,
    load_field,
    plan_word,
    rank_of,
    to_front,
)
from gateway.link.compression.column_names import clear_names, pack_identity
from gateway.link.compression.column_plan import (
    ABSENT,
    BITS,
    BLOCK,
    COLUMN_WORDS,
    DEFAULT,
    DELTA,
    FIRST,
    FOLLOW,
    GROUP,
    GROUPED,
    HEAD_WORDS,
    IDENTITY,
    KEYS,
    KINDS,
    NEW,
    OFFSET,
    OPERATION,
    OTHER_OFFSET,
    OTHER_WIDTH,
    PLAIN,
    PREDICTION,
    PREVIOUS,
    RANK,
    RANKS,
    RECORD_BYTES,
    REFERENCE,
    SCALED,
    STATE,
    STEP,
    STEPS,
    VALUES,
    WIDTH,
)
from gateway.link.compression.column_streams import HEAD, NO_HEAD, SIGNED, UNSIGNED, put, write_stream


@cached
def pack_columns(plan, records, count, work, target, room):
    """Bytes written to `target`, at most `room`; -1 when that is too little. `count` is at least 1."""
    stride, identity_bits = plan_word(plan, RECORD_BYTES), clear_names(work, count)
    clear(work)
    store_i64(work + BITS, 0)
    store_i64(work + BITS + 8, 0)
    store_i64(work + BITS + 16, target)
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        for index in range(end - begin):
            store_i64(work + REFERENCE + index * 8, -1)
        for step in range(plan_word(plan, STEPS)):
            column = plan + (HEAD_WORDS + step * COLUMN_WORDS) * 8
            _pack_step(plan, column, work, records, stride, begin, end, step, identity_bits)
            if load_i64(work + BITS + 16) - target > room:
                return -1
    pending, filled, cursor = load_i64(work + BITS), load_i64(work + BITS + 8), load_i64(work + BITS + 16)
    pending, filled, cursor = put(pending, filled, cursor, 0, 7)
    return cursor - target if cursor - target <= room else -1


@cached
def _pack_step(plan, column, work, records, stride, begin, end, step, identity_bits):
    operation = column_word(column, OPERATION)
    if operation == DELTA:
        _pack_delta(column, work, records, stride, begin, end)
    elif operation == RANK:
        _pack_rank(column, work, records, stride, begin, end, work + STATE + step * 16)
    elif operation == PLAIN:
        pack_plain(column, work, records, stride, begin, end)
    elif operation == GROUP:
        _pack_group(plan, work, records, stride, begin, end, column_word(column, DEFAULT))
    elif operation == IDENTITY:
        pack_identity(plan, column, work, records, stride, begin, end, identity_bits)
    elif operation == KINDS:
        follow_kinds(plan, work, records, stride, begin, end)
    elif operation == KEYS:
        follow_keys(plan, work, records, stride, begin, end)


@cached
def _pack_group(plan, work, records, stride, begin, end, default):
    """NEW, and its opposite as a stream: which records have the same times and numbers as the one before."""
    first, values, seen = max(begin, 1), work + VALUES, 0
    for index in range(first, end):
        store_i64(values + (index - first) * 8, 0)
    for step in range(plan_word(plan, STEPS)):
        column = plan + (HEAD_WORDS + step * COLUMN_WORDS) * 8
        if column_word(column, GROUPED) == 0:
            continue
        fields, width = records + column_word(column, OFFSET), column_word(column, WIDTH)
        _mark_changes(fields + (first - 1) * stride, stride, width, end - first, values)
    store_u8(work + NEW, 1)
    for index in range(first, end):
        slot = values + (index - first) * 8
        is_new = load_i64(slot) != 0
        store_u8(work + NEW + index - begin, is_new)
        store_i64(slot, 1 - is_new)
        seen |= 1 - is_new
    write_stream(work, values, end - first, seen, UNSIGNED, -1, NO_HEAD, 0, default)


@cached_leaf
def _mark_changes(field, stride, width, count, values):
    """Adds to each of `values` the bits in which a field differs from the one before; `field` is that before the first."""
    if width == 8:
        for index in range(count):
            slot, here = values + index * 8, field + index * stride
            store_i64(slot, load_i64(slot) | (load_i64(here) ^ load_i64(here + stride)))
        return
    for index in range(count):
        slot, here = values + index * 8, field + index * stride
        store_i64(slot, load_i64(slot) | (load_field(here, width) ^ load_field(here + stride, width)))


@cached
def _differences(column, work, records, stride, begin, end):
    """VALUES of a DELTA column, the first one of a body left out; returns how many, and all their bits."""
    offset, width, grouped = column_word(column, OFFSET), column_word(column, WIDTH), column_word(column, GROUPED)
    prediction, absent, step = column_word(column, PREDICTION), column_word(column, ABSENT), column_word(column, STEP)
    fields, values, first, seen = records + offset, work + VALUES, max(begin, 1), 0
    beside, beside_width = records + column_word(column, OTHER_OFFSET), column_word(column, OTHER_WIDTH)
    if prediction == PREVIOUS and absent == 0:
        previous, before = load_field(fields + (first - 1) * stride, width) + step, 0
        if grouped | beside_width == 0:
            for index in range(first, end):
                value = load_field(fields + index * stride, width)
                store_i64(values, value - previous)
                seen |= value - previous
                values, previous = values + 8, value + step
            return end - first, seen
        if beside_width != 0:
            before = load_field(beside + (first - 1) * stride, beside_width)
        for index in range(first, end):
            value, other = load_field(fields + index * stride, width), 0
            if beside_width != 0:
                other = load_field(beside + index * stride, beside_width)
            left = (value - previous) - (other - before)
            store_i64(values, left)
            counts = 1 if grouped == 0 else load_u8(work + NEW + index - begin)
            values, seen = values + counts * 8, seen | (left & -counts)
            previous, before = value + step, other
        return (values - work - VALUES) >> 3, seen
    for index in range(first, end):
        place = index - begin
        if grouped != 0 and load_u8(work + NEW + place) == 0:
            continue
        guess = predicted(work, fields, width, stride, index, prediction, absent, beside, beside_width, place)
        left = load_field(fields + index * stride, width) - guess - step
        store_i64(values, left)
        values, seen = values + 8, seen | left
    return (values - work - VALUES) >> 3, seen


@cached
def _pack_delta(column, work, records, stride, begin, end):
    many, seen = _differences(column, work, records, stride, begin, end)
    head, with_head, scale = 0, NO_HEAD, -1
    if begin == 0:
        head = load_field(records + column_word(column, OFFSET), column_word(column, WIDTH)) - first_of(column, records)
        head, with_head = (head << 1) ^ (head >> 63), HEAD
    if column_word(column, SCALED) != 0:
        scale = scaled_down(work, work + VALUES, many, seen)
    write_stream(work, work + VALUES, many, seen, SIGNED, scale, with_head, head, column_word(column, DEFAULT))


@cached
def _pack_rank(column, work, records, stride, begin, end, state):
    """Bytes by their place in a list of recent ones, the predicted one in front."""
    fields, prediction = records + column_word(column, OFFSET), column_word(column, PREDICTION)
    absent, values, many, seen = column_word(column, ABSENT), work + VALUES, end - begin, 0
    if begin == 0:
        store_i64(state, column_word(column, RANKS))
        store_i64(state + 8, column_word(column, FIRST))
    ranks = load_i64(state)
    for place in range(many):
        value = load_u8(fields + (begin + place) * stride)
        guess = guess_of(work, fields, stride, place, many, prediction, absent, state)
        if guess >= 0 and guess != ranks & 255:
            ranks = to_front(ranks, rank_of(ranks, guess), guess)
        coded = 0
        if value != ranks & 255:
            rank = rank_of(ranks, value)
            coded, ranks = rank if rank < RANKED else RANKED + value, to_front(ranks, rank, value)
        store_i64(values + place * 8, coded)
        seen |= coded
        if prediction == FOLLOW:
            remember(work, state, place, many, value)
    store_i64(state, ranks)
    write_stream(work, values, many, seen, UNSIGNED, -1, NO_HEAD, 0, column_word(column, DEFAULT))
