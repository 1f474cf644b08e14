"""The identity column, packed: orders' names as distances back to where each was last seen.

Four streams: new names beside the newest one; for each record that names an earlier order the distance in records, 0 for
none found; those names, beside the newest one; and, of kinds that name no order, the word beside the last of the same kind.
Hard rule: what a hash finds is compared with the record itself; a name that another one has displaced is sent whole.
"""

from gateway.core.kernel import cached, cached_leaf
from gateway.core.memory import load_i64, load_u8, load_u32, multiply_wrapping, shift_right, store_i64, store_u32
from gateway.link.compression.column_guess import column_word
from gateway.link.compression.column_history import GOLDEN, plan_word
from gateway.link.compression.column_plan import (
    BEFORE,
    BLOCK,
    CLASSES,
    CREATES,
    DEFAULT,
    IDENTITIES,
    IDENTITY_BITS_MAX,
    IDENTITY_BITS_MIN,
    KIND_OFFSET,
    NAMES_NONE,
    NEWEST,
    OFFSET,
    REFERENCE,
    RENAME_OFFSET,
    RENAMES,
    VALUES,
)
from gateway.link.compression.column_streams import NO_HEAD, SIGNED, UNSIGNED, length_of, write_stream

STREAM_BYTES = BLOCK * 8


@cached
def clear_names(work, count):
    """A body begins: no name was seen. Returns the bits of the hash for so many records."""
    bits = min(max(length_of(count) + 1, IDENTITY_BITS_MIN), IDENTITY_BITS_MAX)
    for place in range(0, 4 << bits, 8):
        store_i64(work + IDENTITIES + place, 0)
    return bits


@cached
def pack_identity(plan, column, work, records, stride, begin, end, identity_bits):
    """The identity column of a block; REFERENCE of each record that names an order seen before."""
    offset, newest = column_word(column, OFFSET), load_i64(work + NEWEST)
    classes, kinds, rename = plan + CLASSES * 8, records + plan_word(plan, KIND_OFFSET), plan_word(plan, RENAME_OFFSET)
    made = work + VALUES
    seen, unseen, others = made + STREAM_BYTES, made + 2 * STREAM_BYTES, made + 3 * STREAM_BYTES
    all_made, all_seen, all_unseen, all_others = 0, 0, 0, 0
    for index in range(begin, end):
        record = records + index * stride
        kind, name = load_u8(classes + load_u8(kinds + index * stride)), load_i64(record + offset)
        if kind == NAMES_NONE:
            before = load_i64(work + BEFORE + (index - begin) * 8)
            value = name - (load_i64(records + before * stride + offset) if before >= 0 else 0)
            others, all_others = _append(others, value), all_others | value
            continue
        slot = _slot_of(work, name, identity_bits)
        if kind == CREATES:
            value = name - newest - 1
            made, all_made, newest = _append(made, value), all_made | value, name
        else:
            found = load_u32(slot) - 1
            if found >= 0:
                renamed = load_u8(classes + load_u8(kinds + found * stride)) == RENAMES
                if load_i64(records + found * stride + (rename if renamed else offset)) != name:
                    found = -1
            store_i64(work + REFERENCE + (index - begin) * 8, found)
            value = index - found if found >= 0 else 0
            seen, all_seen = _append(seen, value), all_seen | value
            if found < 0:
                value = name - newest
                unseen, all_unseen, newest = _append(unseen, value), all_unseen | value, newest if newest != 0 else name
            if kind == RENAMES:
                newest = load_i64(record + rename)
                slot = _slot_of(work, newest, identity_bits)
        store_u32(slot, index + 1)
    store_i64(work + NEWEST, newest)
    defaults = column + DEFAULT * 8
    _write_names(work, defaults, 0, made, all_made, SIGNED)
    _write_names(work, defaults, 1, seen, all_seen, UNSIGNED)
    _write_names(work, defaults, 2, unseen, all_unseen, SIGNED)
    _write_names(work, defaults, 3, others, all_others, SIGNED)


@cached_leaf
def _append(place, value):
    """The place behind it."""
    store_i64(place, value)
    return place + 8


@cached_leaf
def _write_names(work, defaults, stream, end, seen, kind):
    """One of the four streams, which ends there; `seen` is what write_stream wants."""
    values = work + VALUES + stream * STREAM_BYTES
    write_stream(work, values, (end - values) >> 3, seen, kind, -1, NO_HEAD, 0, load_i64(defaults + stream * 8))


@cached_leaf
def _slot_of(work, name, identity_bits):
    return work + IDENTITIES + shift_right(multiply_wrapping(name, GOLDEN), 64 - identity_bits) * 4
