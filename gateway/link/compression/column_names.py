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
    for index in range(begin, end):
        record = records + index * stride
        kind, name = load_u8(classes + load_u8(kinds + index * stride)), load_i64(record + offset)
        if kind == NAMES_NONE:
            before = load_i64(work + BEFORE + (index - begin) * 8)
            store_i64(others, name - (load_i64(records + before * stride + offset) if before >= 0 else 0))
            others += 8
            continue
        slot = _slot_of(work, name, identity_bits)
        if kind == CREATES:
            store_i64(made, name - newest - 1)
            made, newest = made + 8, name
        else:
            found = load_u32(slot) - 1
            if found >= 0:
                renamed = load_u8(classes + load_u8(kinds + found * stride)) == RENAMES
                if load_i64(records + found * stride + (rename if renamed else offset)) != name:
                    found = -1
            store_i64(work + REFERENCE + (index - begin) * 8, found)
            store_i64(seen, index - found if found >= 0 else 0)
            seen += 8
            if found < 0:
                store_i64(unseen, name - newest)
                unseen, newest = unseen + 8, newest if newest != 0 else name
            if kind == RENAMES:
                newest = load_i64(record + rename)
                slot = _slot_of(work, newest, identity_bits)
        store_u32(slot, index + 1)
    store_i64(work + NEWEST, newest)
    _write_names(work, column + DEFAULT * 8, made, seen, unseen, others)


@cached_leaf
def _write_names(work, default, made, seen, unseen, others):
    values = work + VALUES
    write_stream(work, values, (made - values) >> 3, SIGNED, -1, NO_HEAD, 0, load_i64(default))
    values += STREAM_BYTES
    write_stream(work, values, (seen - values) >> 3, UNSIGNED, -1, NO_HEAD, 0, load_i64(default + 8))
    values += STREAM_BYTES
    write_stream(work, values, (unseen - values) >> 3, SIGNED, -1, NO_HEAD, 0, load_i64(default + 16))
    values += STREAM_BYTES
    write_stream(work, values, (others - values) >> 3, SIGNED, -1, NO_HEAD, 0, load_i64(default + 24))


@cached_leaf
def _slot_of(work, name, identity_bits):
    return work + IDENTITIES + shift_right(multiply_wrapping(name, GOLDEN), 64 - identity_bits) * 4
