"""SBE messages written by walking the model ④: the inverse of interpreter.py, the oracle of the generated encoders.

Hard rule: what decodes to other values than were given is not written: missing, unknown, null or too large is Refused.
"""

from collections.abc import Mapping
from typing import Any

from gateway.protocols.message import Refused
from gateway.protocols.sbe.interpreter_values import (
    bytes_of,
    decimal_mantissa,
    decimal_parts,
    enum_wire,
    set_wire,
    write_scalar,
    write_simple,
)
from gateway.protocols.sbe.model import (
    CONSTANT,
    MESSAGE_LENGTHS,
    OPTIONAL,
    Composite,
    Data,
    Enum,
    Field,
    Group,
    Message,
    Schema,
    Set,
    Type,
    block_length_at,
)
from gateway.protocols.sbe.schema_values import default_null

Values = Mapping[str, Any]


def encode(
    schema: Schema, message: Message, values: Values, version: int | None = None, header: Values | None = None
) -> bytes:
    """A message behind its header, from what `decode` gave. `version` is the acting version written, the schema's where
    None; `header` has members the framework does not fill itself (Coinbase: flags, transactTime), 0 where absent.
    """
    acting = schema.version if version is None else version
    body = encode_body(schema, message, values, acting)
    filled = dict(header or {})
    filled |= {
        "blockLength": block_length_at(message, acting, schema.version),
        "templateId": message.id,
        "schemaId": schema.id,
        "version": acting,
        **dict.fromkeys(MESSAGE_LENGTHS, schema.header.size + len(body)),
        "numGroups": sum(group.since <= acting for group in message.groups),
        "numVarDataFields": sum(data.since <= acting for data in message.data),
    }
    return _Writer(schema, acting).counts(schema.header, filled) + body


def encode_body(schema: Schema, message: Message, values: Values, version: int | None = None) -> bytes:
    """Root block, groups and data of a message, without its header."""
    acting = schema.version if version is None else version
    return _Writer(schema, acting).block(message, values, [])


class _Writer:
    """Writes for one schema and acting version."""

    def __init__(self, schema: Schema, version: int):
        self.schema_version = schema.version
        self.version = version
        self.big_endian = schema.big_endian

    def block(self, block: Message | Group, values: Values, around: list[Values]) -> bytes:
        """A block with its groups and data behind it."""
        if not isinstance(values, Mapping):
            raise Refused("message_field", f"{block.name}: {values!r} is not a table of fields")
        known = {field.name for field in block.fields}
        known |= {group.name for group in block.groups} | {data.name for data in block.data}
        unknown = sorted(set(values) - known)
        if unknown:
            raise Refused("message_field", f"{block.name} has no field {unknown[0]!r}")
        scopes = [*around, values]
        data = bytearray(block_length_at(block, self.version, self.schema_version))
        for field in block.fields:
            self.place(data, field, self.scaled(field, values.get(field.name), scopes))
        for group in block.groups:
            data += self.group(group, values.get(group.name) or [], scopes)
        for part in block.data:
            data += self.data(part, values.get(part.name))
        return bytes(data)

    def place(self, data: bytearray, field: Field, value: Any) -> None:
        """Puts a field into its block, if the acting version has it."""
        if field.since <= self.version and field.presence != CONSTANT:
            data[field.offset : field.offset + field.size] = self.field(field, value)

    def field(self, field: Field, value: Any) -> bytes:
        """The bytes of a field or member."""
        kind = field.type
        if isinstance(kind, Type):
            return write_simple(field.name, value, kind, field.null, self.big_endian)
        if isinstance(kind, Enum):
            wire = enum_wire(field.name, value, kind, field.null)
            return write_scalar(field.name, wire, kind.primitive, self.big_endian)
        if isinstance(kind, Set):
            if not isinstance(value, list | tuple) and not (value is None and field.presence == OPTIONAL):
                raise Refused("message_field", f"{field.name}: {value!r} is not a list of choices")
            return set_wire(field.name, value, kind, self.big_endian)
        return self.decimal(field, kind, value) if kind.is_decimal else self.composite(field.name, kind, value)

    def decimal(self, field: Field, kind: Composite, value: Any) -> bytes:
        """Mantissa and exponent of a decimal."""
        mantissa, exponent = kind.mantissa, kind.exponent
        assert isinstance(mantissa.type, Type) and isinstance(exponent.type, Type)
        units: int | None
        if value is None:
            units, power = None, int(default_null(exponent.type.primitive))  # section 2.5.2: exponent -128
        elif exponent.presence == CONSTANT:
            units, power = decimal_mantissa(field.name, value, int(exponent.constant or 0)), 0
        else:
            units, power = decimal_parts(field.name, value)
        data = bytearray(kind.size)
        end = mantissa.offset + mantissa.size
        data[mantissa.offset : end] = write_simple(field.name, units, mantissa.type, field.null, self.big_endian)
        self.place(data, exponent, power)
        return bytes(data)

    def composite(self, name: str, kind: Composite, value: Any) -> bytes:
        """The members of a composite, from a table of them."""
        if not isinstance(value, Mapping):
            raise Refused("message_field", f"{name}: {value!r} is not a table of members")
        unknown = sorted(set(value) - {member.name for member in kind.members})
        if unknown:
            raise Refused("message_field", f"{name} has no member {unknown[0]!r}")
        data = bytearray(kind.size)
        for member in kind.members:
            self.place(data, member, value.get(member.name))
        return bytes(data)

    def scaled(self, field: Field, value: Any, scopes: list[Values]) -> Any:
        """The mantissa of a decimal whose exponent stands in another field."""
        if not field.exponent or value is None:
            return value
        found = next((scope[field.exponent] for scope in reversed(scopes) if field.exponent in scope), field.exponent)
        try:
            exponent = int(found)
        except (TypeError, ValueError) as problem:
            raise Refused("message_field", f"{field.name}: its exponent {field.exponent} is missing") from problem
        return decimal_mantissa(field.name, value, exponent)

    def group(self, group: Group, entries: Any, around: list[Values]) -> bytes:
        """The dimensions and entries of a group; nothing where the acting version has no such group."""
        if group.since > self.version:
            return b""
        if not isinstance(entries, list | tuple):
            raise Refused("message_field", f"{group.name}: {entries!r} is not a list of entries")
        counts = {
            "blockLength": block_length_at(group, self.version, self.schema_version),
            "numInGroup": len(entries),
            "numGroups": sum(inner.since <= self.version for inner in group.groups),
            "numVarDataFields": sum(data.since <= self.version for data in group.data),
        }
        return self.counts(group.dimension, counts) + b"".join(self.block(group, entry, around) for entry in entries)

    def data(self, data: Data, value: Any) -> bytes:
        """A length and its bytes; absent means none of them."""
        if data.since > self.version:
            return b""
        assert isinstance(data.data.type, Type) and isinstance(data.length.type, Type)
        content = bytes_of(data.name, "" if value is None else value, data.data.type)
        front = bytearray(data.composite.size)
        size = data.length.offset + data.length.size
        front[data.length.offset : size] = write_scalar(data.name, len(content), data.length.type.primitive, self.big_endian)
        return bytes(front) + content

    def counts(self, composite: Composite, values: Values) -> bytes:
        """A header or dimension from the members given; 0, or no choices, for the others."""
        data = bytearray(composite.size)
        for member in composite.members:
            if member.name in values:
                value = values[member.name]
            elif isinstance(member.type, Type) and member.type.length == 1 and member.type.primitive != "char":
                value = 0
            else:
                continue
            self.place(data, member, value)
        return bytes(data)
