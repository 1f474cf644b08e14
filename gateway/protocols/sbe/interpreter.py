"""SBE messages read by walking the model ④: slow, plain, the oracle of the generated readers and what people are shown.

FIX SBE 1.0, sections 3 to 5. Hard rule: a length is compared with what is left before anything behind it is read; every
refusal is Refused with a reason of enum feed_reason.

How a block is read, here and in the generated code:
  - a block is as long as the wire says. Shorter than the fields of the acting version need (those with since ≤ version):
    message_length. Longer: the rest belongs to a newer version and is skipped;
  - a field, group or data with since > version is not on the wire: null, no entries, null;
  - a group or data that leaves the message: group_overrun. An entry counts as one byte at least, so counts are bounded.
"""

from dataclasses import dataclass
from typing import Any

from gateway.protocols.message import Refused
from gateway.protocols.sbe.interpreter_encode import encode, encode_body
from gateway.protocols.sbe.interpreter_values import (
    constant_value,
    enum_value,
    exact_decimal,
    read_scalar,
    read_simple,
    set_names,
    text_or_hexadecimal,
)
from gateway.protocols.sbe.model import (
    CONSTANT,
    MESSAGE_LENGTHS,
    Composite,
    Data,
    Enum,
    Field,
    Group,
    Message,
    Schema,
    Set,
    Type,
    block_end,
    block_length_at,
)

__all__ = ["Decoded", "Header", "decode", "decode_body", "decode_header", "encode", "encode_body"]

Values = dict[str, Any]


@dataclass(frozen=True)
class Header:
    """What a message header says. `block_length` is None where the header has none; `size` is the whole message's, header
    included, None where the header does not say; `values` has every member as it prints.
    """

    template: int
    version: int
    block_length: int | None
    size: int | None
    values: Values


@dataclass(frozen=True)
class Decoded:
    """One message: its template, acting version, header members, fields by name, and bytes taken, header included."""

    message: Message
    version: int
    header: Values
    values: Values
    size: int


@dataclass(frozen=True)
class _Wire:
    """What every step of one message shares."""

    data: bytes
    version: int
    big_endian: bool


def decode(schema: Schema, buffer: bytes | bytearray | memoryview) -> Decoded:
    """The message at the start of `buffer`, behind the schema's header. Bytes behind the message are left alone."""
    data = bytes(buffer)
    header = decode_header(schema, data)
    message = schema.messages.get(header.template)
    if message is None:
        raise Refused("message_unknown", f"the schema has no template {header.template}")
    start = schema.header.size
    body = data[start : header.size]
    length = header.block_length
    if length is None:
        length = _block_length_unstated(schema, message, header, len(body))
    values, size = decode_body(schema, message, body, length, header.version)
    return Decoded(message, header.version, header.values, values, start + size if header.size is None else header.size)


def decode_header(schema: Schema, data: bytes) -> Header:
    """The header at the start of `data`; refuses one that is cut, of another schema, or longer than what follows."""
    if len(data) < schema.header.size:
        raise Refused("message_length", f"{len(data)} bytes are less than the header's {schema.header.size}")
    schema_id = _count(schema.header, "schemaId", data, 0, schema.big_endian)
    if schema_id is not None and schema_id != schema.id:
        raise Refused("schema_other", f"a message of schema {schema_id}, not {schema.id}")
    template = _count(schema.header, "templateId", data, 0, schema.big_endian)
    version = _count(schema.header, "version", data, 0, schema.big_endian)
    version = schema.version if version is None else version
    sizes = [_count(schema.header, name, data, 0, schema.big_endian) for name in MESSAGE_LENGTHS]
    size = next((size for size in sizes if size is not None), None)
    if size is not None and not schema.header.size <= size <= len(data):
        raise Refused("message_length", f"a message of {size} bytes in {len(data)}, header of {schema.header.size} included")
    wire = _Wire(data, version, schema.big_endian)
    values = _composite(wire, schema.header, 0)
    block_length = _count(schema.header, "blockLength", data, 0, schema.big_endian)
    return Header(int(template or 0), version, block_length, size, values)


def _block_length_unstated(schema: Schema, message: Message, header: Header, left: int) -> int:
    """Root block of a header without blockLength: all that is left where nothing follows it, else what the version had."""
    if header.size is not None and not message.groups and not message.data:
        return left
    return block_length_at(message, header.version, schema.version)


def decode_body(
    schema: Schema, message: Message, buffer: bytes | bytearray | memoryview, block_length: int, version: int | None = None
) -> tuple[Values, int]:
    """(fields by name, bytes taken) of a message whose root block begins at the start of `buffer`."""
    wire = _Wire(bytes(buffer), schema.version if version is None else version, schema.big_endian)
    if block_length > len(wire.data):
        raise Refused("message_length", f"{message.name}: a block of {block_length} bytes in {len(wire.data)}")
    return _block(wire, message, 0, block_length, [])


def _block(wire: _Wire, block: Message | Group, base: int, length: int, around: list[Values]) -> tuple[Values, int]:
    """(values, end) of the block at `base`, found inside the message, with its groups and data behind it."""
    least = block_end(block.fields, wire.version)
    if length < least:
        raise Refused("message_length", f"{block.name}: a block of {length} bytes, version {wire.version} has {least}")
    values: Values = {}
    scopes = [*around, values]
    for field in block.fields:
        values[field.name] = _scaled(field, _field(wire, field, base), scopes)
    end = base + length
    for group in block.groups:
        values[group.name], end = _group(wire, group, end, scopes)
    for data in block.data:
        values[data.name], end = _data(wire, data, end)
    return values, end


def _group(wire: _Wire, group: Group, start: int, around: list[Values]) -> tuple[list[Values], int]:
    if group.since > wire.version:
        return [], start
    end = start + group.dimension.size
    if end > len(wire.data):
        raise Refused("group_overrun", f"{group.name}: its dimensions leave the message")
    length = _count(group.dimension, "blockLength", wire.data, start, wire.big_endian) or 0
    count = _count(group.dimension, "numInGroup", wire.data, start, wire.big_endian) or 0
    if count * max(length, 1) > len(wire.data) - end:
        raise Refused("group_overrun", f"{group.name}: {count} entries of {length} bytes in {len(wire.data) - end}")
    entries: list[Values] = []
    for _ in range(count):
        if length > len(wire.data) - end:
            raise Refused("group_overrun", f"{group.name}: entry {len(entries)} leaves the message")
        entry, end = _block(wire, group, end, length, around)
        entries.append(entry)
    return entries, end


def _data(wire: _Wire, data: Data, start: int) -> tuple[str | None, int]:
    if data.since > wire.version:
        return None, start
    begin = start + data.composite.size
    if begin > len(wire.data):
        raise Refused("group_overrun", f"{data.name}: its length leaves the message")
    type_ = data.data.type
    length = _count(data.composite, data.length.name, wire.data, start, wire.big_endian) or 0
    if length > len(wire.data) - begin:
        raise Refused("group_overrun", f"{data.name}: {length} bytes in {len(wire.data) - begin}")
    assert isinstance(type_, Type)
    return text_or_hexadecimal(wire.data[begin : begin + length], type_), begin + length


def _count(composite: Composite, name: str, data: bytes, base: int, big_endian: bool) -> int | None:
    """An unsigned member of a header or dimension; None where it has none of this name."""
    member = composite.member(name)
    if member is None:
        return None
    if member.presence == CONSTANT:
        return int(member.constant or 0)
    assert isinstance(member.type, Type)
    return int(read_scalar(data, base + member.offset, member.type.primitive, big_endian))


def _field(wire: _Wire, field: Field, base: int) -> Any:
    """The value of a field or member whose block or composite begins at `base`."""
    if field.since > wire.version:
        return None
    if field.presence == CONSTANT:
        return constant_value(field)
    kind, offset = field.type, base + field.offset
    if isinstance(kind, Type):
        return read_simple(wire.data, offset, kind, field.null, wire.big_endian)
    if isinstance(kind, Enum):
        return enum_value(int(read_scalar(wire.data, offset, kind.primitive, wire.big_endian)), kind, field.null)
    if isinstance(kind, Set):
        return set_names(int(read_scalar(wire.data, offset, kind.primitive, wire.big_endian)), kind)
    if kind.is_decimal:
        mantissa, exponent = kind.mantissa, kind.exponent
        assert isinstance(mantissa.type, Type)
        units = read_simple(wire.data, offset + mantissa.offset, mantissa.type, field.null, wire.big_endian)
        return exact_decimal(field.name, units, _field(wire, exponent, offset))
    return _composite(wire, kind, offset)


def _composite(wire: _Wire, composite: Composite, base: int) -> Values:
    return {member.name: _field(wire, member, base) for member in composite.members}


def _scaled(field: Field, value: Any, scopes: list[Values]) -> Any:
    """A mantissa whose exponent stands in another field, as the decimal it means; any other value as it is."""
    if not field.exponent or value is None:
        return value
    return exact_decimal(field.name, value, exponent_of(field, scopes))


def exponent_of(field: Field, scopes: list[Values]) -> int | None:
    """The exponent a field's `exponent` means: of the innermost block that has it, or digits; None where it is null."""
    for values in reversed(scopes):
        if field.exponent in values:
            return values[field.exponent]
    return int(field.exponent)
