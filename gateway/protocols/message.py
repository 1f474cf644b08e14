"""Messages of fixed fields ④: what a specification's table row is, and the exact, slow codec that every table shares.

Hard rule: offsets are never typed; a message lists its fields in order and the offsets follow from their sizes.

Values in Python: integers as int; text as str without its padding; a single character as itself, a blank included;
prices as exact decimal text ("87.3900"). For encoding, a price may be such text, a Decimal, or an int in wire units.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

INTEGER = "integer"  # unsigned, network order
SIGNED = "signed"  # two's complement, network order
PRICE4 = "price4"  # integer with four implied decimals
SIGNED_PRICE4 = "signed_price4"
PRICE8 = "price8"  # integer with eight implied decimals
TIMESTAMP = "timestamp"  # nanoseconds since midnight
ALPHA = "alpha"  # left-justified, padded with blanks on the right
CHARACTER = "character"
DIGITS = "digits"  # decimal digits, right-justified, padded with blanks on the left

DECIMALS = {PRICE4: 4, SIGNED_PRICE4: 4, PRICE8: 8}
SIGNED_KINDS = (SIGNED, SIGNED_PRICE4)


class Refused(ValueError):
    """Bytes or values that the specification does not allow; `reason` names an enum feed_reason in lower case."""

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Field:
    """One field of a message: name as the specification has it, in snake_case; offset and size in bytes."""

    name: str
    offset: int
    size: int
    kind: str


@dataclass(frozen=True)
class Message:
    """One message type: type byte, the specification's name and section, fields behind the type byte."""

    type: str
    name: str
    section: str
    fields: tuple[Field, ...]
    size: int  # bytes of the fixed part, the type byte included

    @property
    def key(self) -> str:
        """The name as one word, e.g. "EnterOrder"."""
        return "".join(word[:1].upper() + word[1:] for word in self.name.split())


def make_message(type_: str, name: str, section: str, rows: Iterable[tuple[str, int, str]]) -> Message:
    """A message from its (name, size, kind) rows in order; the type byte stands before them."""
    fields = []
    offset = 1
    for field_name, size, kind in rows:
        fields.append(Field(field_name, offset, size, kind))
        offset += size
    return Message(type_, name, section, tuple(fields), offset)


def decimal_text(value: int, decimals: int) -> str:
    """Exact decimal text of an integer with implied decimals: 873900, 4 → "87.3900"."""
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"


def decode_value(kind: str, data: bytes) -> Any:
    """The Python value of one field's bytes."""
    if kind == CHARACTER:
        return data.decode("latin-1")
    if kind == ALPHA:
        return data.decode("latin-1").rstrip(" \0")
    if kind == DIGITS:
        text = data.strip(b" ")
        if not text.isdigit():
            raise Refused("message_field", f"{data!r} is not a number")
        return int(text)
    value = int.from_bytes(data, "big", signed=kind in SIGNED_KINDS)
    return decimal_text(value, DECIMALS[kind]) if kind in DECIMALS else value


def _units(name: str, value: Any, decimals: int) -> int:
    """A price in wire units; refuses what the implied decimals cannot hold."""
    if isinstance(value, int):
        return value
    try:
        scaled = Decimal(value).scaleb(decimals)
        units = int(scaled)
    except (InvalidOperation, TypeError, ValueError, OverflowError) as problem:
        raise Refused("message_field", f"{name}: {value!r} is not a decimal") from problem
    if units != scaled:
        raise Refused("message_field", f"{name}: {value} has more than {decimals} decimals")
    return units


def encode_value(name: str, kind: str, size: int, value: Any) -> bytes:
    """The bytes of one field; refuses a value that does not fit."""
    if kind in (ALPHA, CHARACTER, DIGITS):
        if kind == DIGITS:
            value = f"{int(value):>{size}}"
        try:
            data = str(value).encode("latin-1")
        except UnicodeEncodeError as problem:
            raise Refused("message_field", f"{name}: {value!r} is not 8-bit text") from problem
        if len(data) > size:
            raise Refused("message_field", f"{name}: {value!r} is longer than {size} bytes")
        return data.ljust(size, b" ")
    number = _units(name, value, DECIMALS[kind]) if kind in DECIMALS else value
    try:
        return int(number).to_bytes(size, "big", signed=kind in SIGNED_KINDS)
    except (OverflowError, TypeError, ValueError) as problem:
        raise Refused("message_field", f"{name}: {value!r} does not fit {size} bytes") from problem


def decode_fields(message: Message, data: bytes) -> dict[str, Any]:
    """Every fixed field of `data`, which the caller has found long enough."""
    return {field.name: decode_value(field.kind, data[field.offset : field.offset + field.size]) for field in message.fields}


def encode_fields(message: Message, values: Mapping[str, Any]) -> bytes:
    """Type byte and fixed fields. A missing field is 0 or blanks; an unknown name is refused by the caller."""
    parts = [message.type.encode("latin-1")]
    for field in message.fields:
        blank: Any = "" if field.kind in (ALPHA, CHARACTER) else 0
        parts.append(encode_value(field.name, field.kind, field.size, values.get(field.name, blank)))
    return b"".join(parts)
