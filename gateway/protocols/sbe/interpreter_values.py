"""One value of an SBE message, wire to Python and back ④: what every type prints as. Slow, exact, obvious.

docs/protocols/sbe.md has the table. Hard rule: the two directions are inverse. What does not fit is Refused, never cut, and
a number that would read as null is not written.
"""

import math
import struct
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.limits import DECIMAL_EXPONENT_MAX
from gateway.protocols.message import Refused
from gateway.protocols.sbe.model import PRIMITIVES, Enum, Field, Set, Type

FLOAT_FORMATS = {"float": "f", "double": "d"}
HEXADECIMAL = "0x"


def order_of(big_endian: bool) -> Any:
    """The word Python has for a byte order."""
    return "big" if big_endian else "little"


def read_scalar(data: bytes, offset: int, primitive: str, big_endian: bool) -> int | float:
    """The number at an offset, which the caller has found inside; chars as their byte."""
    size, kind = PRIMITIVES[primitive]
    part = data[offset : offset + size]
    if kind == "float":
        return struct.unpack((">" if big_endian else "<") + FLOAT_FORMATS[primitive], part)[0]
    return int.from_bytes(part, order_of(big_endian), signed=kind == "int")


def write_scalar(name: str, value: Any, primitive: str, big_endian: bool) -> bytes:
    """The bytes of a number; refuses what does not fit."""
    size, kind = PRIMITIVES[primitive]
    try:
        if kind == "float":
            return struct.pack((">" if big_endian else "<") + FLOAT_FORMATS[primitive], value)
        if not isinstance(value, int):
            raise TypeError
        return value.to_bytes(size, order_of(big_endian), signed=kind == "int")
    except (OverflowError, TypeError, struct.error) as problem:
        raise Refused("message_field", f"{name}: {value!r} does not fit {primitive}") from problem


def is_null(value: int | float, null: int | float | None) -> bool:
    """Whether a wire value is the null value; every NaN is where NaN is."""
    if null is None:
        return False
    return math.isnan(value) if isinstance(null, float) and math.isnan(null) else value == null


def codec_of(type_: Type) -> str:
    """Python's name of a type's character encoding: Latin-1 where the schema says so or, for chars, says nothing."""
    named = type_.encoding.upper().replace("_", "-")
    if named.startswith(("ISO-8859-1", "LATIN")) or (not named and type_.primitive == "char" and type_.length):
        return "latin-1"
    return "utf-8"


def text_of(data: bytes, type_: Type) -> str:
    """Text of a char array: up to the first NUL, without the blanks at its end."""
    part = data.split(b"\0", 1)[0].rstrip(b" ")
    try:
        return part.decode(codec_of(type_))
    except UnicodeDecodeError:
        return part.decode("latin-1")


def text_or_hexadecimal(data: bytes, type_: Type) -> str:
    """Variable data as its text; bytes that are none, or that would look like it, as 0x and digits."""
    try:
        text = data.decode(codec_of(type_))
    except UnicodeDecodeError:
        return HEXADECIMAL + data.hex()
    plain = all(character.isprintable() or character in "\t\r\n" for character in text)
    return text if plain and not text.startswith(HEXADECIMAL) else HEXADECIMAL + data.hex()


def bytes_of(name: str, value: Any, type_: Type) -> bytes:
    """The inverse of `text_or_hexadecimal` and `text_of`."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise Refused("message_field", f"{name}: {value!r} is not text")
    try:
        if value.startswith(HEXADECIMAL) and not (type_.primitive == "char" and type_.length):
            return bytes.fromhex(value[2:])
        return value.encode(codec_of(type_))
    except ValueError as problem:
        raise Refused("message_field", f"{name}: {value!r} cannot be written as {codec_of(type_)} or 0x…") from problem


def read_simple(data: bytes, offset: int, type_: Type, null: int | float | None, big_endian: bool) -> Any:
    """A simple type: number, character, text, or list; None where it is null."""
    if type_.length != 1:
        return _read_array(data, offset, type_, null, big_endian)
    value = read_scalar(data, offset, type_.primitive, big_endian)
    if is_null(value, null):
        return None
    if type_.primitive == "char":
        return chr(int(value)) if value else ""
    return value


def _read_array(data: bytes, offset: int, type_: Type, null: int | float | None, big_endian: bool) -> Any:
    """An array: text of chars, 0x… of uint8, a list of others. An optional one is None where all of it is null."""
    part = data[offset : offset + type_.size]
    if type_.primitive == "char":
        return None if null is not None and part[:1] == bytes([int(null)]) else text_of(part, type_)
    step = PRIMITIVES[type_.primitive][0]
    values = [read_scalar(part, place, type_.primitive, big_endian) for place in range(0, len(part), step)]
    if all(is_null(value, null) for value in values):
        return None
    return HEXADECIMAL + part.hex() if type_.primitive == "uint8" else values


def write_simple(name: str, value: Any, type_: Type, null: int | float | None, big_endian: bool) -> bytes:
    """The inverse of `read_simple`."""
    if value is None:
        one = write_scalar(name, _null(name, null), type_.primitive, big_endian)
        return one.ljust(type_.size, b"\0") if type_.primitive == "char" else one * type_.length
    if type_.length != 1:
        return _write_array(name, value, type_, big_endian)
    if type_.primitive == "char":
        data = bytes_of(name, value, Type("", "char", 2)).ljust(1, b"\0")
        if len(data) > 1:
            raise Refused("message_field", f"{name}: {value!r} is longer than one character")
        value = data[0]
    if is_null(value, null) and not (isinstance(value, int) and value == 0 and type_.primitive == "char"):
        raise Refused("message_field", f"{name}: {value!r} is the null value: write null")
    return write_scalar(name, value, type_.primitive, big_endian)


def _write_array(name: str, value: Any, type_: Type, big_endian: bool) -> bytes:
    if type_.primitive in ("char", "uint8") and not isinstance(value, list):
        data = bytes_of(name, value, type_)
        short = type_.primitive == "uint8" and len(data) != type_.size
        if short or len(data) > type_.size:
            raise Refused("message_field", f"{name}: {value!r} does not fit {type_.size} bytes")
        return data.ljust(type_.size, b"\0")
    if not isinstance(value, list) or len(value) != type_.length:
        raise Refused("message_field", f"{name}: {value!r} is not a list of {type_.length}")
    return b"".join(write_scalar(name, item, type_.primitive, big_endian) for item in value)


def _null(name: str, null: int | float | None) -> int | float:
    if null is None:
        raise Refused("message_field", f"{name} is required: it cannot be null")
    return null


def enum_value(wire: int, enum: Enum, null: int | float | None) -> str | int | None:
    """The name of an enumeration's wire value; the number where it has none; None where it is null."""
    if is_null(wire, null):
        return None
    return next((name for value, name in enum.values if value == wire), wire)


def enum_wire(name: str, value: Any, enum: Enum, null: int | float | None) -> int:
    """The inverse of `enum_value`."""
    if value is None:
        return int(_null(name, null))
    wire = next((known for known, text in enum.values if text == value), value)
    if not isinstance(wire, int):
        raise Refused("message_field", f"{name}: {enum.name} has no value {value!r}")
    if is_null(wire, null):
        raise Refused("message_field", f"{name}: {value!r} is the null value: write null")
    return wire


def set_names(wire: int, kind: Set) -> list[str | int]:
    """Names of the bits that are set, in schema order, then the numbers of those without a name."""
    bits = wire & ((1 << 8 * kind.size) - 1)
    known = {bit for bit, _ in kind.choices}
    named: list[str | int] = [name for bit, name in kind.choices if bits >> bit & 1]
    return named + [bit for bit in range(8 * kind.size) if bits >> bit & 1 and bit not in known]


def set_wire(name: str, value: Any, kind: Set, big_endian: bool) -> bytes:
    """The inverse of `set_names`."""
    places = {text: bit for bit, text in kind.choices}
    bits = 0
    for item in [] if value is None else value:
        bit = item if isinstance(item, int) else places.get(item, -1)
        if not 0 <= bit < 8 * kind.size:
            raise Refused("message_field", f"{name}: {kind.name} has no choice {item!r}")
        bits |= 1 << bit
    return bits.to_bytes(kind.size, order_of(big_endian))


def exact_decimal(name: str, mantissa: int | None, exponent: int | None) -> str | None:
    """Exact text of mantissa × 10^exponent with every digit the exponent gives: 873900, -4 → "87.3900"."""
    if mantissa is None or exponent is None:
        return None
    if abs(exponent) > DECIMAL_EXPONENT_MAX:
        raise Refused("message_field", f"{name}: an exponent of {exponent} is beyond ±{DECIMAL_EXPONENT_MAX}")
    return f"{Decimal((int(mantissa < 0), tuple(map(int, str(abs(mantissa)))), exponent)):f}"


def decimal_parts(name: str, value: Any) -> tuple[int, int]:
    """(mantissa, exponent) of a decimal as written: "1.50" is 150 and -2; an int is itself."""
    try:
        number = Decimal(value)
        sign, digits, exponent = number.as_tuple()
    except (InvalidOperation, TypeError, ValueError) as problem:
        raise Refused("message_field", f"{name}: {value!r} is not a decimal") from problem
    if not isinstance(exponent, int) or abs(exponent) > DECIMAL_EXPONENT_MAX:
        raise Refused("message_field", f"{name}: {value!r} is not a decimal of exponent up to ±{DECIMAL_EXPONENT_MAX}")
    magnitude = int("".join(map(str, digits)))
    return (-magnitude if sign else magnitude), exponent


def decimal_mantissa(name: str, value: Any, exponent: int) -> int:
    """The mantissa of a decimal at a given exponent; an int is the mantissa already. Refuses digits it cannot hold."""
    if isinstance(value, int):
        return value
    mantissa, own = decimal_parts(name, value)
    if own >= exponent:
        return mantissa * 10 ** (own - exponent)
    whole, rest = divmod(mantissa, 10 ** (exponent - own))
    if rest:
        raise Refused("message_field", f"{name}: {value!r} has more digits than an exponent of {exponent} holds")
    return whole


def constant_value(field: Field) -> Any:
    """What a constant prints as: an enumeration's name, else the constant."""
    if isinstance(field.type, Enum):
        return enum_value(int(field.constant or 0), field.type, None)
    return field.constant
