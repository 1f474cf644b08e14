"""Records into columns into bits: what each step of a plan leaves of its column, block after block.

    records ─ residuals of a column (this file, column_history.py) ─ a stream (column_streams.py) ─ next column …

Hard rule: nothing is allocated; one step writes at most SLACK_BYTES beyond `room`, which is looked at behind each.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import load_i64, load_u8, load_u32, multiply_wrapping, shift_right, store_i64, store_u8, store_u32
from gateway.link.column_history import (
    GOLDEN,
    RANKED,
    class_of,
    follow_keys,
    follow_kinds,
    identity_of,
    load_field,
    plan_word,
    rank_of,
    to_front,
)
from gateway.link.column_plan import (
    ABSENT,
    BEFORE,
    BITS,
    BLOCK,
    CLEARED,
    CLEARED_BYTES,
    COLUMN_WORDS,
    CREATES,
    DEFAULT,
    DELTA,
    FIRST,
    FOLLOW,
    GROUP,
    GROUPED,
    HAVE,
    HEAD_WORDS,
    IDENTITIES,
    IDENTITY,
    IDENTITY_BITS_MAX,
    IDENTITY_BITS_MIN,
    KEYS,
    KIND,
    KINDS,
    LIKE,
    NAMES_NONE,
    NEW,
    NEWEST,
    OFFSET,
    OPERATION,
    ORDER,
    OTHER_OFFSET,
    OTHER_WIDTH,
    PLAIN,
    PREDICTED,
    PREDICTION,
    RANK,
    RANKS,
    RECORD_BYTES,
    REFERENCE,
    RENAMES,
    SCALED,
    STATE,
    STEP,
    STEPS,
    VALUES,
    WIDTH,
)
from gateway.link.column_streams import (
    HEAD,
    NO_HEAD,
    SIGNED,
    UNSIGNED,
    is_not_above,
    length_of,
    put,
    scale_down,
    scale_of,
    survey,
    write_stream,
)

STREAM_BYTES = BLOCK * 8


@cached_leaf
def column_word(column, word):
    """A word of a plan's step."""
    return load_i64(column + word * 8)


@cached
def clear(work, count):
    """A body begins: its part of the working memory is zero. Returns the bits of an identity's hash."""
    for place in range(CLEARED, CLEARED + CLEARED_BYTES, 8):
        store_i64(work + place, 0)
    bits = min(max(length_of(count) + 1, IDENTITY_BITS_MIN), IDENTITY_BITS_MAX)
    for place in range(0, 4 << bits, 8):
        store_i64(work + IDENTITIES + place, 0)
    return bits


@cached
def pack_columns(plan, records, count, work, target, room):
    """Bytes written to `target`, at most `room`; -1 when that is too little. `count` is at least 1."""
    stride, identity_bits = plan_word(plan, RECORD_BYTES), clear(work, count)
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
        _pack_plain(column, work, records, stride, begin, end)
    elif operation == GROUP:
        _pack_group(plan, work, records, stride, begin, end, column_word(column, DEFAULT))
    elif operation == IDENTITY:
        _pack_identity(plan, column, work, records, stride, begin, end, identity_bits)
    elif operation == KINDS:
        follow_kinds(plan, work, records, stride, begin, end)
    elif operation == KEYS:
        follow_keys(plan, work, records, stride, begin, end)


@cached
def _pack_group(plan, work, records, stride, begin, end, default):
    """NEW, and its opposite as a stream: which records have the same times and numbers as the one before."""
    for index in range(begin, end):
        store_u8(work + NEW + index - begin, index == 0)
    for step in range(plan_word(plan, STEPS)):
        column = plan + (HEAD_WORDS + step * COLUMN_WORDS) * 8
        if column_word(column, GROUPED) == 0:
            continue
        offset, width = column_word(column, OFFSET), column_word(column, WIDTH)
        for index in range(max(begin, 1), end):
            field = records + index * stride + offset
            if load_field(field, width) != load_field(field - stride, width):
                store_u8(work + NEW + index - begin, 1)
    first = max(begin, 1)
    for index in range(first, end):
        store_i64(work + VALUES + (index - first) * 8, 1 - load_u8(work + NEW + index - begin))
    write_stream(work, work + VALUES, end - first, UNSIGNED, -1, NO_HEAD, 0, default)


@cached_leaf
def base_of(prediction, work, index, place):
    """Index of the record that a value is predicted from."""
    if prediction == ORDER:
        return load_i64(work + LIKE + place * 8)
    if prediction == KIND:
        before = load_i64(work + BEFORE + place * 8)
        return before if before >= 0 else index - 1
    return index - 1


@cached_leaf
def is_absent(column, work, records, stride, place):
    """1 where the last record of the same kind had zero in this column: kinds that do not use it."""
    before = load_i64(work + BEFORE + place * 8)
    if column_word(column, ABSENT) == 0 or before < 0:
        return 0
    field = records + before * stride + column_word(column, OFFSET)
    return 1 if load_field(field, column_word(column, WIDTH)) == 0 else 0


@cached_leaf
def predicted(column, work, records, stride, index, place):
    """What a value of a DELTA column should be, its step included; `index` is not 0."""
    offset, width = column_word(column, OFFSET), column_word(column, WIDTH)
    other, other_width = column_word(column, OTHER_OFFSET), column_word(column, OTHER_WIDTH)
    base = records + base_of(column_word(column, PREDICTION), work, index, place) * stride
    value = load_field(base + offset, width)
    if is_absent(column, work, records, stride, place) != 0:
        value = 0
    if other_width != 0:
        value += load_field(records + index * stride + other, other_width) - load_field(base + other, other_width)
    return value + column_word(column, STEP)


@cached
def _pack_delta(column, work, records, stride, begin, end):
    offset, width = column_word(column, OFFSET), column_word(column, WIDTH)
    values, grouped, head = work + VALUES, column_word(column, GROUPED), 0
    for index in range(begin, end):
        place = index - begin
        if grouped != 0 and load_u8(work + NEW + place) == 0:
            continue
        value = load_field(records + index * stride + offset, width)
        if index == 0:
            head = value - first_of(column, records)
            head = (head << 1) ^ (head >> 63)
            continue
        store_i64(values, value - predicted(column, work, records, stride, index, place))
        values += 8
    many = (values - work - VALUES) >> 3
    scale = -1
    if column_word(column, SCALED) != 0:
        scale = _scaled(work, work + VALUES, many)
    with_head = HEAD if begin == 0 else NO_HEAD
    write_stream(work, work + VALUES, many, SIGNED, scale, with_head, head, column_word(column, DEFAULT))


@cached_leaf
def first_of(column, records):
    """What the first value of a body should be: the schema's word, beside the other column where there is one."""
    other_width = column_word(column, OTHER_WIDTH)
    first = column_word(column, FIRST)
    return first + load_field(records + column_word(column, OTHER_OFFSET), other_width) if other_width != 0 else first


@cached
def _scaled(work, values, count):
    """Divides by what all have in common; returns that."""
    bits, _ = survey(values, count)
    scale = scale_of(work, values, count, bits)
    if scale != 0:
        scale_down(work, values, count, scale)
    return scale


@cached
def _pack_plain(column, work, records, stride, begin, end):
    """Values as they are; 0 says that the prediction holds, where there is one."""
    offset, width, first = column_word(column, OFFSET), column_word(column, WIDTH), column_word(column, FIRST)
    values, hints, negative = work + VALUES, work + PREDICTED, 0
    for index in range(begin, end):
        place = index - begin
        value = load_field(records + index * stride + offset, width)
        guess, reference = value, load_i64(work + REFERENCE + place * 8)
        have = reference >= 0
        if have:
            guess = load_field(records + reference * stride + offset, width)
        if is_absent(column, work, records, stride, place) != 0:
            have, guess = True, 0
        store_u8(work + HAVE + place, have)
        store_i64(values + place * 8, value - first)
        store_i64(hints + place * 8, guess - first)
        negative |= (value - first) | (guess - first)
    many, scale = end - begin, -1
    if column_word(column, SCALED) != 0:
        scale = 0
        if negative >= 0:
            bits, _ = survey(values, many)
            guessed, _ = survey(hints, many)
            scale = scale_of(work, values, many, bits | guessed)
            if scale != 0:
                scale = _common(scale, scale_of(work, hints, many, bits | guessed), guessed)
            scale_down(work, values, many, scale)
            scale_down(work, hints, many, scale)
    for place in range(many):
        if load_u8(work + HAVE + place) != 0:
            value, guess = load_i64(values + place * 8), load_i64(hints + place * 8)
            coded = value if is_not_above(guess, value) else value + 1
            store_i64(values + place * 8, 0 if value == guess else coded)
    write_stream(work, values, many, UNSIGNED, scale, NO_HEAD, 0, column_word(column, DEFAULT))


@cached_leaf
def _common(scale, other, guessed):
    if guessed == 0:
        return scale
    return min(scale & 15, other & 15) | min(scale >> 4, other >> 4) << 4


@cached
def _pack_rank(column, work, records, stride, begin, end, state):
    """Bytes by their place in a list of recent ones, the predicted one in front."""
    offset, prediction = column_word(column, OFFSET), column_word(column, PREDICTION)
    if begin == 0:
        store_i64(state, column_word(column, RANKS))
        store_i64(state + 8, column_word(column, FIRST))
    ranks = load_i64(state)
    for index in range(begin, end):
        place = index - begin
        value = load_u8(records + index * stride + offset)
        guess = guess_of(column, work, records, stride, place, end - begin, prediction, state)
        if guess >= 0:
            ranks = to_front(ranks, rank_of(ranks, guess), guess)
        rank = rank_of(ranks, value)
        store_i64(work + VALUES + place * 8, rank if rank < RANKED else RANKED + value)
        ranks = to_front(ranks, rank, value)
        if prediction == FOLLOW:
            remember(work, state, place, end - begin, value)
    store_i64(state, ranks)
    write_stream(work, work + VALUES, end - begin, UNSIGNED, -1, NO_HEAD, 0, column_word(column, DEFAULT))


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
def guess_of(column, work, records, stride, place, many, prediction, state):
    """The byte that a RANK column should have, or -1."""
    if prediction == FOLLOW:
        return load_i64(state + 8) >> follows(work, place, many) & 255
    field = records + column_word(column, OFFSET)
    if prediction == KIND:
        before = load_i64(work + BEFORE + place * 8)
        return load_u8(field + before * stride) if before >= 0 else -1
    if prediction == ORDER:
        if is_absent(column, work, records, stride, place) != 0:
            return 0
        reference = load_i64(work + REFERENCE + place * 8)
        return load_u8(field + reference * stride) if reference >= 0 else -1
    return -1


@cached
def _pack_identity(plan, column, work, records, stride, begin, end, identity_bits):
    """Four streams: new names beside the newest, distances to where one was last seen, names not seen, other words."""
    offset, newest = column_word(column, OFFSET), load_i64(work + NEWEST)
    made, seen, unseen, others = 0, 0, 0, 0
    for index in range(begin, end):
        record = records + index * stride
        kind, name = class_of(plan, record), load_i64(record + offset)
        if kind == NAMES_NONE:
            before = load_i64(work + BEFORE + (index - begin) * 8)
            guess = load_i64(records + before * stride + offset) if before >= 0 else 0
            store_i64(work + VALUES + 3 * STREAM_BYTES + others * 8, name - guess)
            others += 1
            continue
        if kind == CREATES:
            store_i64(work + VALUES + made * 8, name - newest - 1)
            made, newest = made + 1, name
        else:
            found = _last_seen(plan, work, records, stride, name, identity_bits)
            store_i64(work + REFERENCE + (index - begin) * 8, found)
            store_i64(work + VALUES + STREAM_BYTES + seen * 8, index - found if found >= 0 else 0)
            seen += 1
            if found < 0:
                store_i64(work + VALUES + 2 * STREAM_BYTES + unseen * 8, name - newest)
                unseen, newest = unseen + 1, newest if newest != 0 else name
            if kind == RENAMES:
                newest = identity_of(plan, record)
        slot = _slot_of(work, identity_of(plan, record), identity_bits)
        store_u32(slot, index + 1)
    store_i64(work + NEWEST, newest)
    default = column + DEFAULT * 8
    for number, many, kind in ((0, made, SIGNED), (1, seen, UNSIGNED), (2, unseen, SIGNED), (3, others, SIGNED)):
        values = work + VALUES + number * STREAM_BYTES
        write_stream(work, values, many, kind, -1, NO_HEAD, 0, load_i64(default + number * 8))


@cached_leaf
def _slot_of(work, name, identity_bits):
    return work + IDENTITIES + shift_right(multiply_wrapping(name, GOLDEN), 64 - identity_bits) * 4


@cached_leaf
def _last_seen(plan, work, records, stride, name, identity_bits):
    """Index of the last record after which an order has this name, or -1."""
    found = load_u32(_slot_of(work, name, identity_bits)) - 1
    if found >= 0 and identity_of(plan, records + found * stride) == name:
        return found
    return -1
