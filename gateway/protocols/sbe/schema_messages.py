"""Messages of an SBE schema ④: fields, groups and variable data, with every offset and block length worked out.

FIX SBE 1.0, sections 3 and 4.5. Hard rule: fields, then groups, then data, as on the wire; a block is at least as
long as its fields.
"""

from dataclasses import replace
from typing import Any

from gateway.limits import DECIMAL_EXPONENT_MAX, SCHEMA_TYPE_BYTES_MAX
from gateway.protocols.sbe.model import CONSTANT, PRIMITIVES, Composite, Data, Field, Group, Message, Type
from gateway.protocols.sbe.schema_types import Types, known_children, unique
from gateway.protocols.sbe.schema_values import read_number
from gateway.protocols.sbe.schema_xml import Element

BODY_TAGS = ("field", "group", "data")
DIMENSION_DEFAULT = "groupSizeEncoding"


def read_messages(elements: list[Element], types: Types, header: Composite) -> dict[int, Message]:
    """Every message by its template id."""
    ids: dict[int, Element] = {}
    names: dict[str, Element] = {}
    messages = {}
    for element in elements:
        identifier = _identifier(element)
        unique(element, "the message id", identifier, ids)
        unique(element, "the message", element.name, names)
        body = _body(element, types, (), header)
        messages[identifier] = Message(element.name, identifier, since=types.since(element), **body)
    return messages


def _identifier(element: Element) -> int:
    element.required("id")
    return element.number("id")


def _body(element: Element, types: Types, around: tuple[str, ...], header: Composite | None = None) -> dict[str, Any]:
    """Fields, groups, data and block length of a message (which may open with its header) or group."""
    fields: list[Field] = []
    groups: list[Group] = []
    data: list[Data] = []
    names: dict[str, Element] = {}
    ids: dict[int, Element] = {}
    for child in known_children(element, *BODY_TAGS):
        unique(child, "the name", child.name, names)
        if "id" in child.attributes:
            unique(child, "the id", child.number("id"), ids)
        if child.tag == "field":
            if groups or data:
                raise child.error(f"the field {child.name!r} stands behind a group or data: move it before them")
            read = _field(child, types, fields)
            if read.type == header and len(names) == 1:
                continue  # the venue lists the header itself as the first field: the block begins behind it
            fields.append(_exponent(child, read, fields, around))
        elif child.tag == "group":
            if data:
                raise child.error(f"the group {child.name!r} stands behind data: move it before them")
            groups.append(_group(child, types, (*around, *(field.name for field in fields))))
        else:
            data.append(_data(child, types))
    return {
        "fields": tuple(fields),
        "groups": tuple(groups),
        "data": tuple(data),
        "block_length": _block_length(element, fields),
    }


def _field(element: Element, types: Types, before: list[Field]) -> Field:
    kind = types.named(element.required("type"), element)
    if isinstance(kind, Type) and kind.length == 0:
        raise element.error(f"{element.name!r} has no fixed length: use <data> with a composite of length and varData")
    end = before[-1].offset + before[-1].size if before else 0
    return replace(types.field(element, kind, end), id=element.number("id"))


def _exponent(element: Element, field: Field, before: list[Field], around: tuple[str, ...]) -> Field:
    """The field with the name of its exponent, where an attribute gives one."""
    name = element.attributes.get("exponent", "").strip()
    if not name:
        return field
    known = {*around, *(other.name for other in before)}
    if name not in known and not name.removeprefix("-").isdecimal():
        raise element.error(f"exponent={name!r} names no field before {field.name!r}: correct the name")
    if name not in known and abs(int(read_number(element, "int64", name))) > DECIMAL_EXPONENT_MAX:
        raise element.error(f"exponent={name} is beyond ±{DECIMAL_EXPONENT_MAX}: no number is meant")
    if (
        not isinstance(field.type, Type)
        or field.type.length != 1
        or PRIMITIVES[field.type.primitive][1] not in ("int", "uint")
    ):
        raise element.error(f"exponent={name!r} on {field.name!r}, which is no whole number: remove it")
    return replace(field, exponent=name)


def _block_length(element: Element, fields: list[Field]) -> int:
    end = fields[-1].offset + fields[-1].size if fields else 0
    stated = element.number("blockLength", end)
    if stated < end:
        raise element.error(f"blockLength={stated} of {element.name!r} is less than its fields take: {end}")
    if stated > SCHEMA_TYPE_BYTES_MAX:
        raise element.error(f"blockLength={stated} of {element.name!r} is above {SCHEMA_TYPE_BYTES_MAX}")
    return stated


def _group(element: Element, types: Types, around: tuple[str, ...]) -> Group:
    name = element.attributes.get("dimensionType", "").strip() or DIMENSION_DEFAULT
    dimension = types.named(name, element)
    if not isinstance(dimension, Composite):
        raise element.error(f"dimensionType={name!r} is no composite: it needs members blockLength and numInGroup")
    for member in ("blockLength", "numInGroup"):
        if not is_count(dimension.member(member)):
            raise element.error(f"dimensionType={name!r} has no unsigned member {member}: add it to the composite")
    body = _body(element, types, around)
    return Group(element.name, dimension, id=element.number("id"), since=types.since(element), **body)


def _data(element: Element, types: Types) -> Data:
    kind = types.named(element.required("type"), element)
    mend = "use a composite of an unsigned length and varData with length=0"
    if not isinstance(kind, Composite) or len(kind.members) != 2 or not is_count(kind.members[0]):
        raise element.error(f"{element.name!r} has the type {kind.name!r}, which is no variable data: {mend}")
    last = kind.members[1].type
    is_unbounded = isinstance(last, Type) and (last.length == 0 or kind.members[1].name == "varData")
    if not isinstance(last, Type) or not is_unbounded or last.presence == CONSTANT or PRIMITIVES[last.primitive][0] != 1:
        raise element.error(f"{element.name!r}: {kind.name!r} does not end with bytes: {mend}")
    composite = _unbounded(kind, last)
    semantic = element.attributes.get("semanticType", "")
    return Data(element.name, composite, element.number("id"), types.since(element), semantic)


def _unbounded(kind: Composite, last: Type) -> Composite:
    """The composite with its bytes of length 0: RC2 schemas leave the length out, which elsewhere means 1."""
    if last.length == 0:
        return kind
    data = replace(kind.members[1], type=replace(last, length=0))
    return replace(kind, members=(kind.members[0], data), size=data.offset)


def is_count(member: Field | None) -> bool:
    """Whether a member is there and is an unsigned scalar on the wire."""
    if member is None or not isinstance(member.type, Type) or member.presence == CONSTANT:
        return False
    return member.type.length == 1 and PRIMITIVES[member.type.primitive][1] == "uint"
