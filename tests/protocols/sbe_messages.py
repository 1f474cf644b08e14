"""Messages for generated SBE kernels: a schema with every feature, random bytes that fit a model, messages of captures."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from gateway.port import open_port
from gateway.protocols.sbe import interpreter
from gateway.protocols.sbe.leaves import leaves
from gateway.protocols.sbe.model import CONSTANT, Composite, Data, Field, Group, Message, Schema, Type, block_length_at
from gateway.protocols.sbe.schema import parse_schema

EVERYTHING = """<?xml version="1.0" encoding="UTF-8"?>
<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" package="everything" id="77" version="5" byteOrder="{order}">
<types>
  <composite name="messageHeader">
    <type name="blockLength" primitiveType="uint16"/><type name="templateId" primitiveType="uint16"/>
    <type name="schemaId" primitiveType="uint16"/><type name="version" primitiveType="uint16"/>
  </composite>
  <composite name="wideHeader">
    <type name="numInGroup" primitiveType="uint32"/><type name="blockLength" primitiveType="uint32"/>
  </composite>
  <composite name="groupSizeEncoding">
    <type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint8"/>
    <type name="numGroups" primitiveType="uint8"/><type name="numVarDataFields" primitiveType="uint16"/>
  </composite>
  <composite name="text"><type name="length" primitiveType="uint8"/>
    <type name="varData" length="0" primitiveType="uint8" characterEncoding="UTF-8"/></composite>
  <composite name="longText"><type name="length" primitiveType="uint32"/>
    <type name="varData" length="0" primitiveType="uint8"/></composite>
  <composite name="price"><type name="mantissa" primitiveType="int64" presence="optional"/>
    <type name="exponent" primitiveType="int8" presence="constant">-9</type></composite>
  <composite name="floating"><type name="Mantissa" primitiveType="int32"/>
  <type name="Exponent" primitiveType="int8"/></composite>
  <composite name="size9"><type name="units" primitiveType="uint64"/>
    <type name="exponent" primitiveType="int8" presence="constant">-2</type></composite>
  <composite name="month"><type name="year" primitiveType="uint16" presence="optional"/>
    <type name="month" primitiveType="uint8"/><type name="kind" primitiveType="char"/></composite>
  <type name="code" primitiveType="char" length="6"/>
  <type name="letter" primitiveType="char" presence="optional"/>
  <type name="shorts" primitiveType="int16" length="3"/>
  <type name="octets" primitiveType="uint8" length="5" presence="optional"/>
  <type name="maybe" primitiveType="int32" presence="optional" nullValue="-7"/>
  <enum name="side" encodingType="char"><validValue name="buy">B</validValue><validValue name="sell">S</validValue></enum>
  <enum name="state" encodingType="uint8"><validValue name="open">1</validValue><validValue name="shut">2</validValue></enum>
  <set name="flags" encodingType="uint16"><choice name="first">0</choice><choice name="last">15</choice></set>
</types>
<sbe:message name="Flat" id="1">
  <field name="tiny" id="1" type="int8"/><field name="big" id="2" type="uint64"/><field name="low" id="3" type="int16"/>
  <field name="code" id="4" type="code"/><field name="number" id="5" type="double"/>
  <field name="single" id="6" type="float"/>
  <field name="price" id="7" type="price"/><field name="floating" id="8" type="floating"/>
  <field name="size" id="9" type="size9"/>
  <field name="month" id="10" type="month"/><field name="shorts" id="11" type="shorts"/>
  <field name="octets" id="12" type="octets"/>
  <field name="side" id="13" type="side"/><field name="flags" id="14" type="flags"/>
  <field name="maybe" id="15" type="maybe"/>
  <field name="letter" id="16" type="letter" sinceVersion="2"/>
  <field name="state" id="17" type="state" presence="optional" sinceVersion="3"/>
  <field name="late" id="18" type="uint32" sinceVersion="5"/>
</sbe:message>
<sbe:message name="Book" id="2" blockLength="21">
  <field name="time" id="1" type="uint64" offset="1"/><field name="priceExponent" id="2" type="int8" offset="12"/>
  <group name="levels" id="3" blockLength="32">
    <field name="price" id="1" type="price"/><field name="size" id="2" type="int32"/>
    <field name="number" id="3" type="uint32"/>
    <field name="side" id="4" type="side"/><field name="extra" id="5" type="uint16" sinceVersion="4"/>
  </group>
  <group name="added" id="4" sinceVersion="3" dimensionType="wideHeader"><field name="code" id="1" type="code"/></group>
</sbe:message>
<sbe:message name="Nested" id="3">
  <field name="id" id="1" type="int32"/>
  <group name="orders" id="2">
    <field name="order" id="1" type="uint64"/>
    <group name="fills" id="2"><field name="price" id="1" type="floating"/>
    <field name="at" id="2" type="uint16" sinceVersion="2"/>
      <group name="parties" id="3" sinceVersion="2"><field name="name" id="1" type="code"/></group>
      <data name="note" id="4" type="text"/>
    </group>
    <group name="legs" id="5"><field name="ratio" id="1" type="int8"/></group>
    <data name="memo" id="6" type="text" sinceVersion="4"/>
  </group>
  <group name="tail" id="7" dimensionType="wideHeader"><field name="flags" id="1" type="flags"/></group>
  <data name="name" id="8" type="text"/><data name="blob" id="9" type="longText" sinceVersion="3"/>
</sbe:message>
</sbe:messageSchema>"""


def everything(big_endian: bool) -> Schema:
    """The schema with every feature, in either byte order."""
    return parse_schema(EVERYTHING.format(order="bigEndian" if big_endian else "littleEndian"), "everything.xml")


class RandomMessages:
    """Random messages of a schema: every leaf random, often at its edges; padding zero."""

    def __init__(self, schema: Schema, randomness: random.Random, entries_max: int = 4):
        self.schema, self.randomness, self.entries_max = schema, randomness, entries_max

    def body(self, message: Message, version: int, extra: int = 0) -> tuple[bytes, int]:
        """(body, block length of its root), its blocks `extra` bytes longer than the version's."""
        length = block_length_at(message, version, self.schema.version) + extra
        return self.block(message, version, extra), length

    def block(self, block: Message | Group, version: int, extra: int) -> bytes:
        """A block and what is behind it."""
        data = bytearray(block_length_at(block, version, self.schema.version) + extra)
        self.fill(data, tuple(field for field in block.fields if field.since <= version))
        for group in block.groups:
            if group.since <= version:
                data += self.group(group, version, extra)
        for item in block.data:
            if item.since <= version:
                data += self.data(item)
        return bytes(data)

    def fill(self, data: bytearray, fields: tuple[Field, ...]) -> None:
        """Random leaves."""
        for leaf in leaves(fields):
            edge = self.randomness.choice([None, None, b"\0", b"\xff", b"\x7f"])
            octets = bytearray(self.randomness.randbytes(leaf.size) if edge is None else edge * leaf.size)
            if leaf.null is not None and leaf.kind != "float" and self.randomness.random() < 0.3:
                null = int(leaf.null) & ((1 << 8 * leaf.width) - 1)
                octets = bytearray(null.to_bytes(leaf.width, "big" if self.schema.big_endian else "little") * leaf.length)
            data[leaf.offset : leaf.end] = octets

    def group(self, group: Group, version: int, extra: int) -> bytes:
        """Dimension and entries."""
        count = self.randomness.choice([0, 1, 2, self.randomness.randrange(self.entries_max + 1)])
        length = block_length_at(group, version, self.schema.version) + extra
        counts = {
            "blockLength": length,
            "numInGroup": count,
            "numGroups": len(group.groups),
            "numVarDataFields": len(group.data),
        }
        return self.counts(group.dimension, counts) + b"".join(self.block(group, version, extra) for _ in range(count))

    def data(self, item: Data) -> bytes:
        """Variable data, short."""
        content = self.randomness.randbytes(self.randomness.choice([0, 1, 5, 20]))
        front = bytearray(item.composite.size)
        assert isinstance(item.length.type, Type)
        self.number(front, item.length, len(content))
        return bytes(front) + content

    def counts(self, composite: Composite, values: dict[str, int]) -> bytes:
        """A header or dimension."""
        data = bytearray(composite.size)
        for member in composite.members:
            if member.presence != CONSTANT and member.name in values:
                self.number(data, member, values[member.name])
        return bytes(data)

    def number(self, data: bytearray, member: Field, value: int) -> None:
        """One unsigned member."""
        order = "big" if self.schema.big_endian else "little"
        data[member.offset : member.offset + member.size] = value.to_bytes(member.size, order)  # type: ignore[arg-type]


def payloads(path: Path) -> Iterator[bytes]:
    """UDP payloads of a capture of whole IPv4 datagrams."""
    with open_port(f"pcap:{path}") as port:
        for frame in port:
            data, at = frame.data, 14
            while data[at - 2 : at] in (b"\x81\x00", b"\x88\xa8"):
                at += 4
            assert data[at - 2 : at] == b"\x08\x00"
            header = 4 * (data[at] & 15)
            yield data[at + header + 8 : at + header + struct.unpack_from(">H", data, at + header + 4)[0]]


def cme_messages(path: Path) -> Iterator[bytes]:
    """Messages of an MDP 3.0 capture: packet header of 12 bytes, then a length that counts itself before each."""
    for payload in payloads(path):
        at = 12
        while at < len(payload):
            size = struct.unpack_from("<H", payload, at)[0]
            yield payload[at + 2 : at + size]
            at += size


def deribit_messages(path: Path, schema: Schema) -> Iterator[bytes]:
    """Messages of a Deribit multicast capture: packet header of 8 bytes, then messages back to back."""
    for payload in payloads(path):
        at = 8
        while at < len(payload):
            size = interpreter.decode(schema, payload[at:]).size
            yield payload[at : at + size]
            at += size
