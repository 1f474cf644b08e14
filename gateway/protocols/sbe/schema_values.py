"""Numbers and characters as an SBE schema writes them ④: constants, null values, valid values, presence.

FIX SBE 1.0, sections 2.3 to 2.7. Hard rule: a value that does not fit its primitive type is an error, never cut.
"""

import math
import struct

from gateway.protocols.sbe.model import CONSTANT, OPTIONAL, PRIMITIVES, REQUIRED
from gateway.protocols.sbe.schema_xml import Element


def value_range(primitive: str) -> tuple[int, int]:
    """Least and greatest value on the wire of a whole-number primitive, null values included."""
    size, kind = PRIMITIVES[primitive]
    if kind == "int":
        return -(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1
    return 0, (1 << (8 * size)) - 1


def default_null(primitive: str) -> int | float:
    """The null value of a primitive that names no other: char 0, the least int, the greatest uint, NaN."""
    kind = PRIMITIVES[primitive][1]
    if kind == "float":
        return math.nan
    if kind == "char":
        return 0
    least, greatest = value_range(primitive)
    return least if kind == "int" else greatest


def read_presence(element: Element) -> str:
    """The presence an element states, or "" where it leaves that to its type."""
    text = element.attributes.get("presence", "").strip()
    if text not in ("", REQUIRED, OPTIONAL, CONSTANT):
        raise element.error(f"presence={text!r}: it is required, optional or constant")
    return text


def read_byte(element: Element, text: str) -> int:
    """The byte of one character, as enumerations and null values of char have it; 0 to 255 in digits where it is longer."""
    bare = text.strip() or text[:1]
    if len(bare) == 1 and ord(bare) < 256:
        return ord(bare)
    try:
        value = int(bare, 0)
    except ValueError:
        value = -1
    if not 0 <= value <= 255:
        raise element.error(f"{text.strip()!r} is not one character: a char holds one byte")
    return value


def read_number(element: Element, primitive: str, text: str) -> int | float:
    """A number of this primitive; chars as their byte."""
    kind = PRIMITIVES[primitive][1]
    if kind == "char":
        return read_byte(element, text)
    bare = text.strip()
    try:
        value: int | float = float(bare) if kind == "float" else int(bare, 16 if bare[:2].lower() == "0x" else 10)
    except ValueError as problem:
        raise element.error(f"{bare!r} is not a number of type {primitive}") from problem
    if kind == "float":
        return _fits_float(element, primitive, float(value))
    least, greatest = value_range(primitive)
    if not least <= value <= greatest:
        raise element.error(f"{bare} does not fit {primitive}: it is from {least} to {greatest}")
    return value


def _fits_float(element: Element, primitive: str, value: float) -> float:
    try:
        struct.pack("<f" if primitive == "float" else "<d", value)
    except OverflowError as problem:
        raise element.error(f"{value} does not fit {primitive}") from problem
    return value


def read_constant(element: Element, primitive: str, length: int) -> int | float | str:
    """The constant in an element's text: text for chars, else a number."""
    text = element.text
    if not text.strip() and not (primitive == "char" and text):
        raise element.error(f"<{element.tag}> is constant and has no value: write it between the tags, or a valueRef")
    if primitive != "char":
        return read_number(element, primitive, text)
    bare = text.strip() or text
    stated = "length" in element.attributes
    if stated and len(bare) > length:
        raise element.error(f"the constant {bare!r} is longer than its {length} characters")
    if any(ord(character) > 255 for character in bare):
        raise element.error(f"the constant {bare!r} has characters of more than one byte")
    return bare


def read_null(element: Element, primitive: str) -> int | float:
    """The null value an element states, or its primitive's own."""
    text = element.attributes.get("nullValue")
    return default_null(primitive) if text is None else read_number(element, primitive, text)
