"""Bits into columns into records: the opposite of column_packing.py, step by step, for whatever bits there are.

Hard rule: every record index comes from this side's own history or was compared with what is there; a stream that ends
behind the body, a reference to nothing and a byte that is none refuse the body with a reason.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import copy_bytes, load_i64, load_u8, shift_right, store_i64, store_u8
from gateway.limits import CODEC_EXPANSION_MAX
from gateway.link.compression.column_guess import clear, column_word, first_of, guess_of, is_absent, predicted, remember
from gateway.link.compression.column_history import (
    RANKED,
    class_of,
    follow_keys,
    follow_kinds,
    identity_of,
    load_field,
    plan_word,
    rank_of,
    store_field,
    to_front,
)
from gateway.link.compression.column_names import STREAM_BYTES
from gateway.link.compression.column_plan import (
    ABSENT,
    BEFORE,
    BITS,
    BLOCK,
    COLUMN_WORDS,
    CREATES,
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
    NAMES_NONE,
    NEW,
    NEWEST,
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
    RENAMES,
    SCALED,
    STATE,
    STEP,
    STEPS,
    UNIT,
    VALUES,
    WIDTH,
)
from gateway.link.compression.column_reading import read_stream
from gateway.link.compression.column_streams import HEAD, NO_HEAD, is_not_above

WHOLE, TRUNCATED, REFERENCE_WRONG, VALUE_WRONG, LENGTH_WRONG = range(5)
REASONS = ("", "TRUNCATED", "REFERENCE", "VALUE", "LENGTH")


@cached
def unpack_columns(plan, records, count, work, room, source, size):
    """0, or the index of REASONS. Writes `count` records, at least 1; `room` has SLACK_BYTES more than the `size` of a body.

    Behind the columns may stand zeros, as many as CODEC_EXPANSION_MAX asks for.
    """
    stride = plan_word(plan, RECORD_BYTES)
    clear(work)
    copy_bytes(room, source, size)
    store_i64(work + BITS, room)
    store_i64(work + BITS + 8, 0)
    store_i64(work + BITS + 16, size * 8)
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        for index in range(end - begin):
            store_i64(work + REFERENCE + index * 8, -1)
        for step in range(plan_word(plan, STEPS)):
            column = plan + (HEAD_WORDS + step * COLUMN_WORDS) * 8
            problem = _unpack_step(plan, column, work, records, stride, begin, end, step)
            if problem != WHOLE:
                return problem
    return _check_end(load_i64(work + BITS + 8), room, size, count * stride)


@cached_leaf
def _check_end(position, room, size, raw_bytes):
    """Every bit behind the last stream is zero, and no byte is there that need not be."""
    used = (position + 7) >> 3
    if position & 7 != 0 and load_u8(room + used - 1) >> (position & 7) != 0:
        return LENGTH_WRONG
    if size > max(used, (raw_bytes + CODEC_EXPANSION_MAX - 1) // CODEC_EXPANSION_MAX - 1):
        return LENGTH_WRONG
    for place in range(used, size):
        if load_u8(room + place) != 0:
            return LENGTH_WRONG
    return WHOLE


@cached
def _unpack_step(plan, column, work, records, stride, begin, end, step):
    operation = column_word(column, OPERATION)
    if operation == DELTA:
        return _unpack_delta(column, work, records, stride, begin, end)
    if operation == RANK:
        return _unpack_rank(column, work, records, stride, begin, end, work + STATE + step * 16)
    if operation == PLAIN:
        return _unpack_plain(column, work, records, stride, begin, end)
    if operation == GROUP:
        return _unpack_group(work, begin, end, column_word(column, DEFAULT))
    if operation == IDENTITY:
        return _unpack_identity(plan, column, work, records, stride, begin, end)
    if operation == KINDS:
        follow_kinds(plan, work, records, stride, begin, end)
    elif operation == KEYS:
        follow_keys(plan, work, records, stride, begin, end)
    return WHOLE


@cached
def _unpack_group(work, begin, end, default):
    first = max(begin, 1)
    whole, _ = read_stream(work, work + VALUES, end - first, 0, NO_HEAD, default)
    if not whole:
        return TRUNCATED
    store_u8(work + NEW, 1)
    for index in range(first, end):
        store_u8(work + NEW + index - begin, load_i64(work + VALUES + (index - first) * 8) == 0)
    return WHOLE


@cached
def _unpack_delta(column, work, records, stride, begin, end):
    grouped, values, first = column_word(column, GROUPED), work + VALUES, max(begin, 1)
    many = end - first
    if grouped != 0:
        many = 0
        for index in range(first, end):
            many += load_u8(work + NEW + index - begin)
    with_head = HEAD if begin == 0 else NO_HEAD
    whole, head = read_stream(work, values, many, column_word(column, SCALED), with_head, column_word(column, DEFAULT))
    if not whole:
        return TRUNCATED
    if begin == 0:
        head = shift_right(head, 1) ^ -(head & 1)
        store_field(records + column_word(column, OFFSET), column_word(column, WIDTH), first_of(column, records) + head)
    _undo_differences(column, work, records, stride, begin, end)
    return WHOLE


@cached
def _undo_differences(column, work, records, stride, begin, end):
    offset, width, grouped = column_word(column, OFFSET), column_word(column, WIDTH), column_word(column, GROUPED)
    prediction, absent, step = column_word(column, PREDICTION), column_word(column, ABSENT), column_word(column, STEP)
    fields, values, first = records + offset, work + VALUES, max(begin, 1)
    beside, beside_width = records + column_word(column, OTHER_OFFSET), column_word(column, OTHER_WIDTH)
    if prediction == PREVIOUS and grouped | absent | beside_width == 0:
        previous = load_field(fields + (first - 1) * stride, width)
        for index in range(first, end):
            previous += load_i64(values) + step
            store_field(fields + index * stride, width, previous)
            values += 8
        return
    for index in range(first, end):
        place, field = index - begin, fields + index * stride
        if grouped != 0 and load_u8(work + NEW + place) == 0:
            store_field(field, width, load_field(field - stride, width))
        else:
            guess = predicted(work, fields, width, stride, index, prediction, absent, beside, beside_width, place)
            store_field(field, width, guess + load_i64(values) + step)
            values += 8


@cached
def _unpack_plain(column, work, records, stride, begin, end):
    fields, width, first = records + column_word(column, OFFSET), column_word(column, WIDTH), column_word(column, FIRST)
    values, scaled, absent = work + VALUES, column_word(column, SCALED), column_word(column, ABSENT)
    whole, _ = read_stream(work, values, end - begin, scaled, NO_HEAD, column_word(column, DEFAULT))
    if not whole:
        return TRUNCATED
    unit = load_i64(work + UNIT) if scaled != 0 else 1
    for index in range(begin, end):
        place = index - begin
        value, reference = load_i64(values + place * 8), load_i64(work + REFERENCE + place * 8)
        guess, have = 0, False
        if is_absent(absent, work, fields, stride, width, place) != 0:
            guess, have = -first, True
        elif reference >= 0:
            guess, have = load_field(fields + reference * stride, width) - first, True
        if have and value == 0:
            value = guess
        elif have and not is_not_above(guess, value - unit):
            value -= unit
        store_field(fields + index * stride, width, first + value)
    return WHOLE


@cached
def _unpack_rank(column, work, records, stride, begin, end, state):
    fields, prediction = records + column_word(column, OFFSET), column_word(column, PREDICTION)
    absent, values, many = column_word(column, ABSENT), work + VALUES, end - begin
    if begin == 0:
        store_i64(state, column_word(column, RANKS))
        store_i64(state + 8, column_word(column, FIRST))
    whole, _ = read_stream(work, values, many, 0, NO_HEAD, column_word(column, DEFAULT))
    if not whole:
        return TRUNCATED
    ranks = load_i64(state)
    for place in range(many):
        guess = guess_of(work, fields, stride, place, many, prediction, absent, state)
        if guess >= 0:
            ranks = to_front(ranks, rank_of(ranks, guess), guess)
        rank = load_i64(values + place * 8)
        if not is_not_above(rank, RANKED + 255):
            return VALUE_WRONG
        value = ranks >> (rank * 8) & 255 if rank < RANKED else rank - RANKED
        ranks = to_front(ranks, min(rank, RANKED), value)
        store_u8(fields + (begin + place) * stride, value)
        if prediction == FOLLOW:
            remember(work, state, place, many, value)
    store_i64(state, ranks)
    return WHOLE


@cached_leaf
def _read_names(plan, column, work, records, stride, begin, end):
    """The four streams of names; False when one is not whole."""
    made, seen, others = 0, 0, 0
    for index in range(begin, end):
        kind = class_of(plan, records + index * stride)
        made, others = made + (kind == CREATES), others + (kind == NAMES_NONE)
    seen = end - begin - made - others
    default = column + DEFAULT * 8
    whole, _ = read_stream(work, work + VALUES, made, 0, NO_HEAD, load_i64(default))
    if whole:
        whole, _ = read_stream(work, work + VALUES + STREAM_BYTES, seen, 0, NO_HEAD, load_i64(default + 8))
    unseen = 0
    for index in range(seen):
        unseen += load_i64(work + VALUES + STREAM_BYTES + index * 8) == 0
    if whole:
        whole, _ = read_stream(work, work + VALUES + 2 * STREAM_BYTES, unseen, 0, NO_HEAD, load_i64(default + 16))
    if whole:
        whole, _ = read_stream(work, work + VALUES + 3 * STREAM_BYTES, others, 0, NO_HEAD, load_i64(default + 24))
    return whole


@cached
def _unpack_identity(plan, column, work, records, stride, begin, end):
    offset, newest = column_word(column, OFFSET), load_i64(work + NEWEST)
    if not _read_names(plan, column, work, records, stride, begin, end):
        return TRUNCATED
    made = work + VALUES
    seen, unseen, others = made + STREAM_BYTES, made + 2 * STREAM_BYTES, made + 3 * STREAM_BYTES
    for index in range(begin, end):
        record = records + index * stride
        kind = class_of(plan, record)
        if kind == NAMES_NONE:
            before = load_i64(work + BEFORE + (index - begin) * 8)
            guess = load_i64(records + before * stride + offset) if before >= 0 else 0
            store_i64(record + offset, guess + load_i64(others))
            others += 8
        elif kind == CREATES:
            newest += load_i64(made) + 1
            store_i64(record + offset, newest)
            made += 8
        else:
            distance = load_i64(seen)
            seen += 8
            if distance != 0:
                if distance < 0 or distance > index:
                    return REFERENCE_WRONG
                source = record - distance * stride
                if class_of(plan, source) == NAMES_NONE:
                    return REFERENCE_WRONG
                store_i64(work + REFERENCE + (index - begin) * 8, index - distance)
                store_i64(record + offset, identity_of(plan, source))
            else:
                name = newest + load_i64(unseen)
                unseen += 8
                newest = newest if newest != 0 else name
                store_i64(record + offset, name)
            if kind == RENAMES:
                newest = identity_of(plan, record)
    store_i64(work + NEWEST, newest)
    return WHOLE
