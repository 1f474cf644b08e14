"""Where the numbers of a feed's headers stand: a definition's [packet], [framing] and [header] against the schema.

Between definition.py and whoever reads packets: the plain reader and the normaliser. Hard rule: what is resolved here is
only offsets, widths and byte orders; nobody behind it looks up a name.
"""

from dataclasses import dataclass

from gateway.errors import ConfigurationError
from gateway.protocols.sbe.leaves import Leaf, leaves
from gateway.protocols.sbe.model import Composite, Schema
from gateway.venues.definition import Definition, Framing, Header, Number, Packet
from gateway.venues.definition_file import suggest

MEMBERS = {"block_length": "blockLength", "template": "templateId", "schema_id": "schemaId", "version": "version"}


@dataclass(frozen=True)
class Place:
    """A number in a header, as int.from_bytes takes it; `width` in bytes."""

    offset: int
    width: int
    signed: bool
    big_endian: bool

    def read(self, data: bytes, base: int = 0) -> int:
        """The number; the caller has checked the length."""
        begin = base + self.offset
        return int.from_bytes(data[begin : begin + self.width], "big" if self.big_endian else "little", signed=self.signed)


@dataclass(frozen=True)
class MessageHeader:
    """The SBE message header: its size, and the places of its numbers, None where the venue has none."""

    size: int
    template: Place
    block_length: Place | None
    schema_id: Place | None
    version: Place | None
    composite: Composite | None


def place_of(definition: Definition, number: Number, section: Packet | Framing | Header) -> Place:
    """A number of a section, resolved."""
    return Place(number.offset, number.bytes, number.signed, definition.is_big(number, section))


def packet_place(definition: Definition, name: str) -> Place | None:
    """The place of a key of [packet]; None: the packet has none."""
    number = getattr(definition.packet, name)
    return place_of(definition, number, definition.packet) if isinstance(number, Number) else None


def message_header(definition: Definition, schema: Schema) -> MessageHeader:
    """The message header as [header] says, else as the schema's own header composite. Raises ConfigurationError."""
    header = definition.header
    composite = _composite(definition, schema)
    members = {leaf.name: leaf for leaf in leaves(composite.members)} if composite else {}
    places: dict[str, Place | None] = {}
    for key, usual in MEMBERS.items():
        chosen = getattr(header, key)
        if isinstance(chosen, Number):
            places[key] = place_of(definition, chosen, header)
        elif chosen or (chosen is None and usual in members):
            places[key] = _member(definition, schema, members, key, chosen or usual)
        else:
            places[key] = None
    size = header.bytes or (composite.size if composite else 0)
    if places["template"] is None:
        raise ConfigurationError(
            f"feed {definition.name}: [header] has no template; name the member of the header that holds the template id, "
            f"{suggest('templateId', list(members))}"
        )
    for key, found in places.items():
        if found and found.offset + found.width > size:
            raise ConfigurationError(f"feed {definition.name}: header.{key} stands behind the header's {size} bytes")
    return MessageHeader(size, places["template"], places["block_length"], places["schema_id"], places["version"], composite)


def _composite(definition: Definition, schema: Schema) -> Composite | None:
    name = definition.header.composite
    if not name:
        return None if definition.header.bytes else schema.header
    found = schema.types.get(name)
    if isinstance(found, Composite):
        return found
    known = [key for key, kind in schema.types.items() if isinstance(kind, Composite)]
    raise ConfigurationError(
        f"feed {definition.name}: header.composite {name!r} is not in the schema; {suggest(name, known)}"
    )


def _member(definition: Definition, schema: Schema, members: dict[str, Leaf], key: str, name: str) -> Place:
    if name not in members:
        raise ConfigurationError(
            f"feed {definition.name}: header.{key} {name!r} is no member of the header; {suggest(name, list(members))}"
        )
    leaf = members[name]
    return Place(leaf.offset, leaf.width, leaf.kind == "int", schema.big_endian)
