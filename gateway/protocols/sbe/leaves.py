"""The leaves of a block ④: every scalar, text or array that takes bytes in it, composites taken apart.

Between the model and everything generated from it: layouts of rows, loads, stores and presence all speak of leaves.
Hard rule: a leaf knows its place in the block by itself; constants take no bytes and are no leaves.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.protocols.sbe.model import CONSTANT, PRIMITIVES, Composite, Enum, Field, Set, Type

# What a primitive holds where its schema names no null value: FIX SBE 1.0, section 2.4.2.
NULLS: dict[str, int | float] = {
    "char": 0,
    "int8": -(1 << 7),
    "int16": -(1 << 15),
    "int32": -(1 << 31),
    "int64": -(1 << 63),
    "uint8": (1 << 8) - 1,
    "uint16": (1 << 16) - 1,
    "uint32": (1 << 32) - 1,
    "uint64": (1 << 64) - 1,
    "float": math.nan,
    "double": math.nan,
}


@dataclass(frozen=True)
class Leaf:
    """`name` is the field's, with `.member` for each composite it lies in; a decimal's mantissa has the field's own name.

    `offset` counts from the start of the block; `since` is the newest of the field's and its members'; `null` the wire value
    that says null (None: it has none). `field` is the innermost model field: its type says whether the number is an enum or
    a set. `mantissa`: of a decimal, 64 bits in rows.
    """

    name: str
    field: Field
    primitive: str
    length: int
    offset: int
    since: int
    null: int | float | None
    mantissa: bool = False

    @property
    def kind(self) -> str:
        """char, int, uint or float."""
        return PRIMITIVES[self.primitive][1]

    @property
    def width(self) -> int:
        """Bytes of one element on the wire."""
        return PRIMITIVES[self.primitive][0]

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return self.width * self.length

    @property
    def end(self) -> int:
        """Where it ends in its block."""
        return self.offset + self.size

    @property
    def filler(self) -> int | float:
        """What a row holds when the message has no such field: the null value, or what its primitive uses for one."""
        return NULLS[self.primitive] if self.null is None else self.null


def leaves(fields: tuple[Field, ...]) -> Iterator[Leaf]:
    """The leaves of a block's fields, in schema order."""
    for field in fields:
        yield from _leaves_of(field, field.name, field.offset, field.since)


def _leaves_of(field: Field, name: str, offset: int, since: int) -> Iterator[Leaf]:
    kind = field.type
    if field.presence == CONSTANT:
        return
    if isinstance(kind, Type):
        yield Leaf(name, field, kind.primitive, kind.length, offset, since, field.null)
    elif isinstance(kind, Enum | Set):
        yield Leaf(name, field, kind.primitive, 1, offset, since, field.null)
    elif kind.is_decimal:
        yield from _decimal(field, kind, name, offset, since)
    else:
        yield from _members(kind.members, name, offset, since)


def _members(members: tuple[Field, ...], name: str, offset: int, since: int) -> Iterator[Leaf]:
    for member in members:
        yield from _leaves_of(member, f"{name}.{member.name}", offset + member.offset, max(since, member.since))


def _decimal(field: Field, kind: Composite, name: str, offset: int, since: int) -> Iterator[Leaf]:
    """The mantissa under the field's own name, whatever the venue calls it, with the field's null value; the exponent."""
    mantissa = kind.mantissa
    if mantissa.presence != CONSTANT and isinstance(mantissa.type, Type):
        primitive = mantissa.type.primitive
        yield Leaf(name, mantissa, primitive, 1, offset + mantissa.offset, since, field.null, mantissa=True)
    yield from _members((kind.exponent,), name, offset, since)
