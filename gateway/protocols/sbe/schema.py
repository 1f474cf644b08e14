"""An SBE schema, XML to model ④: the one entry, and what holds for the schema as a whole.

schema_xml.py reads elements with their lines, schema_types.py resolves types, schema_messages.py lays out messages. FIX SBE
1.0 and its release candidates, any namespace prefix or none. Hard rule: what is not understood is an error with file, line
and mend; a model is never half right.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from gateway.protocols.sbe.model import CONSTANT, MESSAGE_LENGTHS, Composite, FieldType, Message, Schema, Type
from gateway.protocols.sbe.schema_messages import is_count, read_messages
from gateway.protocols.sbe.schema_types import Types
from gateway.protocols.sbe.schema_xml import Element, SchemaError, parse_elements

__all__ = ["SchemaError", "load_schema", "parse_schema"]

HEADER_DEFAULT = "messageHeader"
BYTE_ORDERS = {"littleEndian": False, "bigEndian": True}
# What the framework reads and writes of a header, where it has it; other members are the venue's.
HEADER_COUNTS = ("blockLength", "templateId", "schemaId", "version", *MESSAGE_LENGTHS, "numGroups", "numVarDataFields")


def load_schema(path: str | Path, header: str = "") -> Schema:
    """The model of a schema file. `header` names the composite that stands before each message where it is not the one the
    schema names (Coinbase Derivatives). SchemaError says file, line and mend.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise SchemaError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    return parse_schema(data, str(path), header)


def parse_schema(text: str | bytes, name: str, header: str = "") -> Schema:
    """The model of a schema's text; `name` is what errors call the file."""
    root = parse_elements(text, name)
    if root.tag != "messageSchema":
        raise root.error(f"the root is <{root.tag}>, not <messageSchema>: this is no SBE schema")
    version = root.number("version")
    order = root.attributes.get("byteOrder", "littleEndian")
    if order not in BYTE_ORDERS:
        raise root.error(f"byteOrder={order!r}: it is littleEndian or bigEndian")
    types = Types(root, version)
    named = types.all()
    found = _header(root, types, header or root.attributes.get("headerType", "") or HEADER_DEFAULT)
    messages = read_messages(_messages(root), types, found)
    if not messages:
        raise root.error("the schema has no messages: add some")
    package = root.attributes.get("package", "")
    schema = Schema(package, root.number("id"), version, BYTE_ORDERS[order], found, messages, named)
    return replace(schema, digest=_digest(schema))


def _messages(root: Element) -> list[Element]:
    """Message elements, also of a <messages> around them."""
    found = []
    for child in root.children:
        if child.tag == "messages":
            found += _messages(child)
        elif child.tag == "message":
            found.append(child)
        elif child.tag != "types" and child.namespace in ("", root.namespace):
            raise child.error(f"<{child.tag}> inside <{root.tag}>: expected <types> or <message>")
    return found


def _header(root: Element, types: Types, name: str) -> Composite:
    if name not in types.elements:
        composites = [known for known, element in types.elements.items() if element.tag == "composite"]
        listed = ", ".join(composites) or "none"
        raise root.error(f"the header {name!r} is not defined; composites here: {listed}: name one by headerType")
    element = types.elements[name]
    found: FieldType = types.named(name, element)
    if not isinstance(found, Composite) or found.member("templateId") is None:
        raise element.error(f"the header {name!r} has no member templateId: name another composite by headerType")
    for member in found.members:
        if member.name in HEADER_COUNTS and not (is_count(member) or _is_constant(member.type)):
            raise element.error(f"the member {member.name!r} of the header {name!r} is not an unsigned scalar")
    return found


def _is_constant(kind: FieldType) -> bool:
    return isinstance(kind, Type) and kind.presence == CONSTANT


def _digest(schema: Schema) -> str:
    """A hash of everything that shapes the wire and its reading, the file's comments and order of types apart."""
    messages: list[Message] = [schema.messages[identifier] for identifier in sorted(schema.messages)]
    parts = (schema.package, schema.id, schema.version, schema.big_endian, schema.header, messages)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
