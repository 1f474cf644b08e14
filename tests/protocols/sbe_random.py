"""Random values for any SBE message, in the form the interpreter prints: what is encoded from them must decode to them.

Independent of the interpreter in how a decimal prints; boundary values come often; the caller's seeded Random decides all.
"""

import math
import struct
from decimal import Decimal, localcontext
from random import Random
from typing import Any

from gateway.protocols.sbe.model import CONSTANT, PRIMITIVES, Composite, Data, Enum, Field, Group, Message, Set, Type

TEXT = "abcXYZ 019.-_/"
ENTRIES_MAX = 3


def decimal(mantissa: int, exponent: int) -> str:
    """mantissa × 10^exponent with every digit."""
    with localcontext(prec=600):
        return format(Decimal(mantissa).scaleb(exponent), "f")


def block(random: Random, of: Message | Group, version: int, around: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Values of a message or group entry, as a decoder of this acting version prints them."""
    values: dict[str, Any] = {}
    scopes = [*(around or []), values]
    for field in of.fields:
        values[field.name] = field_value(random, field, version, scopes)
    for group in of.groups:
        count = random.randrange(ENTRIES_MAX + 1) if group.since <= version else 0
        values[group.name] = [block(random, group, version, scopes) for _ in range(count)]
    for data in of.data:
        values[data.name] = data_value(random, data) if data.since <= version else None
    return values


def field_value(random: Random, field: Field, version: int, scopes: list[dict[str, Any]]) -> Any:
    """The value of one field or member."""
    if field.since > version:
        return None
    if field.presence == CONSTANT:
        names = dict(field.type.values) if isinstance(field.type, Enum) else {}
        return names.get(field.constant, field.constant)
    kind = field.type
    if isinstance(kind, Set):
        bits = sorted(random.sample(range(8 * kind.size), random.randrange(4)))
        known = {bit: name for bit, name in kind.choices}  # noqa: C416 - typed the other way round in the model
        return [name for bit, name in kind.choices if bit in bits] + [bit for bit in bits if bit not in known]
    if field.null is not None and random.random() < 0.2:
        return None
    if isinstance(kind, Enum):
        return _enum(random, kind, field.null)
    if isinstance(kind, Composite):
        return _composite(random, field, kind, version, scopes)
    value = _simple(random, kind, field.null)
    if field.exponent:
        found = next((scope[field.exponent] for scope in reversed(scopes) if field.exponent in scope), None)
        return decimal(value, int(field.exponent) if found is None else found)
    return value


def _enum(random: Random, kind: Enum, null: Any) -> str | int:
    """A name most times, else a number that has none."""
    known = [name for value, name in kind.values if value != null]
    if known and random.random() < 0.8:
        return random.choice(known)
    number = integer(random, kind.primitive, null)
    return dict(kind.values).get(number, number)


def _composite(random: Random, field: Field, kind: Composite, version: int, scopes: list[dict[str, Any]]) -> Any:
    if not kind.is_decimal:
        return {member.name: field_value(random, member, version, scopes) for member in kind.members}
    mantissa, exponent = kind.mantissa, kind.exponent
    if exponent.presence == CONSTANT:
        return decimal(integer(random, mantissa.type.primitive, field.null), int(exponent.constant))
    return decimal(integer(random, mantissa.type.primitive, field.null), -random.randrange(19))


def integer(random: Random, primitive: str, null: Any) -> int:
    """A number of this primitive other than the null value: at the edge, small, or anywhere."""
    size, kind = PRIMITIVES[primitive]
    least, greatest = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if kind == "int" else (0, (1 << 8 * size) - 1)
    while True:
        value = random.choice([least, greatest, least + 1, greatest - 1, 0, 1, random.randint(least, greatest)])
        if value != null:
            return value


def _simple(random: Random, kind: Type, null: Any) -> Any:
    if kind.primitive == "char":
        letters = "".join(random.choices(TEXT, k=random.randint(1, kind.length))).strip()
        return (letters or "x")[: kind.length]
    if kind.length != 1:
        if kind.primitive == "uint8":
            return "0x" + random.randbytes(kind.length).hex()
        return [_number(random, kind.primitive, null) for _ in range(kind.length)]
    return _number(random, kind.primitive, null)


def _number(random: Random, primitive: str, null: Any) -> int | float:
    if PRIMITIVES[primitive][1] != "float":
        return integer(random, primitive, null)
    value = random.choice([0.0, -1.5, math.inf, random.uniform(-1e6, 1e6), 1e-30])
    return struct.unpack("<f", struct.pack("<f", value))[0] if primitive == "float" else value


def data_value(random: Random, data: Data) -> str:
    """Text, or bytes that are none."""
    if data.data.type.length == 0 and random.random() < 0.2 and "8859" not in data.data.type.encoding:
        return "0x" + (b"\xff\0" + random.randbytes(3)).hex()
    letter = "é" if random.random() < 0.5 else "z"
    return "".join(random.choices(TEXT, k=random.randrange(12))) + letter
