"""The keys a venue's messages have ④, as a table: which are of interest, what stands behind them, where it is kept.

    SHAPES = (
        {"type": text(EVENT), "data": obj(1)},     shape 0: the message itself
        {"price": decimal(PRICE)},                 shape 1
    )
    context = Context(SHAPES)

Keys that no shape names are passed over. Hard rule: a key is found by all its bytes, and the order of keys means nothing;
it is only guessed that the next key is the one that came next last time.
"""

from typing import Any, NamedTuple

import numpy as np

from gateway import limits
from gateway.core.digits import make_shuffles
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import address_of, apart, load_i64, load_u32, store_i64
from gateway.layout import dtype, offsets, size, value
from gateway.protocols.websocket.scan import word_at

KEY, SHAPE = offsets("json_key"), offsets("json_shape")
KEY_BYTES, SHAPE_BYTES = size("json_key"), size("json_shape")
TEXT_BYTES, SLOTS = value("JSON_TEXT_BYTES"), value("JSON_SLOTS")
KEY_BYTES_MAX = 16


class Key(NamedTuple):
    """What stands behind a key: enum json_kind, enum json_slot_name, and the shape (or second slot) it leads to."""

    kind: int
    slot: int
    child: int = 0


def text(slot: int) -> Key:
    """A JSON string."""
    return Key(value("JSON_TEXT"), slot)


def decimal(slot: int) -> Key:
    """A number, quoted or bare."""
    return Key(value("JSON_DECIMAL"), slot)


def integer(slot: int) -> Key:
    """A whole number, quoted or bare."""
    return Key(value("JSON_INTEGER"), slot)


def inside(shape: int, slot: int = value("SLOT_DATA")) -> Key:
    """An object of another shape, or an array of such objects."""
    return Key(value("JSON_OBJECT"), slot, shape)


def present(slot: int) -> Key:
    """Any value: only that it is there."""
    return Key(value("JSON_SKIP"), slot)


class Context:
    """What the decoder of one feed remembers; `address` is its struct json_context. Keep the object alive."""

    def __init__(self, shapes: tuple[dict[str, Key], ...], **fields: int):
        self.row = np.zeros(1, dtype("json_context"))
        self.address = address_of(self.row)
        self._keep: list[Any] = []
        self._lay_shapes(shapes)
        self._point("rows", np.zeros(limits.MESSAGE_ROWS_MAX, dtype("json_row")))
        self._point("texts", np.zeros((SLOTS + 1) * TEXT_BYTES, np.uint8))
        self._point("shuffles", make_shuffles())
        for name, number in {"rows_max": limits.MESSAGE_ROWS_MAX, **fields}.items():
            self.row[name] = number

    def _lay_shapes(self, shapes: tuple[dict[str, Key], ...]) -> None:
        keys = np.zeros(sum(map(len, shapes)), dtype("json_key"))
        rows = np.zeros(len(shapes), dtype("json_shape"))
        self._point("keys", keys)
        self._point("shapes", rows)
        index = 0
        for row, shape in zip(rows, shapes, strict=True):
            row["first"], row["count"] = index, len(shape)
            row["guess"] = address_of(keys) + index * KEY_BYTES
            for name, key in shape.items():
                _fill(keys[index], name, key)
                index += 1

    def _point(self, name: str, array: np.ndarray) -> None:
        self._keep.append(array)
        self.row[name] = address_of(array)


def _fill(row: Any, name: str, key: Key) -> None:
    quoted = name.encode() + b'"'
    assert len(quoted) <= KEY_BYTES_MAX, "two words hold a key"
    row["first"] = int.from_bytes(quoted[:8], "little")
    row["mask"] = (1 << (8 * min(len(quoted), 8))) - 1
    row["last"] = int.from_bytes(quoted[-8:], "little")
    row["bytes"], row["kind"], row["slot"], row["child"] = len(quoted), *key


@leaf
def matches(key, word, position, end):
    """Whether the key at `position`, behind its opening quote and beginning with `word`, is this one."""
    if word & load_i64(key + KEY.mask) != load_i64(key + KEY.first):
        return False
    size_bytes = load_u32(key + KEY.bytes)
    return size_bytes <= 8 or (
        end - position >= size_bytes and load_i64(position + size_bytes - 8) == load_i64(key + KEY.last)
    )


@leaf
def find_key(keys, shape, position, end):
    """The struct json_key of the key at `position`, behind its opening quote; 0: none of this shape."""
    word, guess = word_at(position, end), load_i64(shape + SHAPE.guess)
    if not matches(guess, word, position, end):
        guess = search_key(keys, shape, word, position, end)
        if guess == 0:
            return 0
    first, count = keys + load_u32(shape + SHAPE.first) * KEY_BYTES, load_u32(shape + SHAPE.count)
    behind = guess + KEY_BYTES
    store_i64(shape + SHAPE.guess, behind if behind != first + count * KEY_BYTES else first)
    return guess


@kernel
def search_key(keys, shape, word, position, end):
    """find_key without a guess."""
    apart()
    first = keys + load_u32(shape + SHAPE.first) * KEY_BYTES
    for index in range(load_u32(shape + SHAPE.count)):
        if matches(first + index * KEY_BYTES, word, position, end):
            return first + index * KEY_BYTES
    return 0
