"""Rows to the dictionary the interpreter gives ④: for comparison with it, and for whoever wants names instead of numbers.

A row is a block in another layout, so its leaves are read by the interpreter's own functions, little-endian and at the
row's offsets. Hard rule: nothing here looks at the wire, except at the bytes of variable data that a row points to.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gateway.protocols.sbe.interpreter import exponent_of
from gateway.protocols.sbe.interpreter_values import (
    constant_value,
    enum_value,
    exact_decimal,
    read_scalar,
    read_simple,
    set_names,
    text_or_hexadecimal,
)
from gateway.protocols.sbe.model import CONSTANT, Composite, Enum, Field, Message, Set, Type
from gateway.protocols.sbe.rows import Block, Slot, layout_of

Values = dict[str, Any]
Arrays = Mapping[str, np.ndarray]


def empty_rows(message: Message, entries: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One root row, and by path an array of `entries` rows for each group, in the order of a kernel's arguments."""
    root = layout_of(message)
    return np.zeros(1, root.dtype), {block.path: np.zeros(entries, block.dtype) for block in root.blocks()}


def rows_to_dict(message: Message, root: np.ndarray, groups: Arrays, body: bytes) -> Values:
    """What interpreter.decode_body gives for the message that was read into these rows from `body`, its root block first.

    `root` has one row, `groups` by path the arrays that the reader filled. Raises Refused (message_field) for a decimal
    whose exponent is absurd, as the interpreter does.
    """
    return _Rows(int(root[0]["@version"]), groups, body).block(layout_of(message), root[0], [])


class _Rows:
    """The rows of one message."""

    def __init__(self, version: int, groups: Arrays, body: bytes):
        self.version, self.groups, self.body = version, groups, body

    def block(self, block: Block, row: Any, around: list[Values]) -> Values:
        """Fields, groups and data of one row."""
        values: Values = {}
        scopes = [*around, values]
        slots = {slot.leaf.name: slot for slot in block.slots}
        raw = row.tobytes()
        for field in block.fields:
            value = self.field(field, field.name, slots, raw)
            if field.exponent and value is not None:
                value = exact_decimal(field.name, value, exponent_of(field, scopes))
            values[field.name] = value
        for inner in block.inner:
            name = inner.group.name
            first, count = int(row[f"{name}.first"]), int(row[f"{name}.count"])
            entries = self.groups[inner.block.path][first : first + count]
            values[name] = [self.block(inner.block, entry, scopes) for entry in entries]
        for item, _ in block.data:
            kind = item.data.type
            assert isinstance(kind, Type)
            begin, size = int(row[f"{item.name}.offset"]), int(row[f"{item.name}.length"])
            there = item.since <= self.version
            values[item.name] = text_or_hexadecimal(self.body[begin : begin + size], kind) if there else None
        return values

    def field(self, field: Field, name: str, slots: dict[str, Slot], raw: bytes) -> Any:
        """One field or member, whose leaves are called `name` or begin with it."""
        if field.since > self.version:
            return None
        if field.presence == CONSTANT:
            return constant_value(field)
        kind = field.type
        if isinstance(kind, Composite):
            return self.composite(field, kind, name, slots, raw)
        slot = slots[name]
        if isinstance(kind, Enum):
            return enum_value(int(read_scalar(raw, slot.offset, kind.primitive, False)), kind, field.null)
        if isinstance(kind, Set):
            return set_names(int(read_scalar(raw, slot.offset, kind.primitive, False)), kind)
        return read_simple(raw, slot.offset, kind, field.null, False)

    def composite(self, field: Field, kind: Composite, name: str, slots: dict[str, Slot], raw: bytes) -> Any:
        """A decimal as its text, any other composite as a table of its members."""
        if not kind.is_decimal:
            return {member.name: self.field(member, f"{name}.{member.name}", slots, raw) for member in kind.members}
        wide = Type("", "uint64" if kind.mantissa.type.primitive == "uint64" else "int64")  # type: ignore[union-attr]
        units = read_simple(raw, slots[name].offset, wide, field.null, False)
        return exact_decimal(field.name, units, self.field(kind.exponent, f"{name}.{kind.exponent.name}", slots, raw))
