"""Packets of any defined feed in plain Python: bytes → messages, one after another, for tools and as the slow oracle.

Beside the corridor, whose twin is the generated normaliser: both find the same messages and give the same reasons.
Hard rule: a length is believed only inside the one around it; what is refused has its enum feed_reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import lz4.block
import lz4.frame

from gateway import limits
from gateway.protocols.message import Refused
from gateway.protocols.sbe.model import Composite, Data, Group, Message, Schema
from gateway.venues.definition import Definition, Framing
from gateway.venues.header_layout import message_header, packet_place, place_of

LZ4_MAGIC = bytes.fromhex("04224d18")


@dataclass(frozen=True)
class RawMessage:
    """A message found in a packet: `data` from its header on, to the end of its frame or of the packet.

    `number` is its place in the packet from 0; `block` where its root block begins in `data`, `block_length` and
    `version` what its header says (a header without them: the schema's).
    """

    number: int
    sequence: int | None
    template: int
    block_length: int
    version: int
    block: int
    data: bytes


@dataclass
class RawPacket:
    """A packet's header numbers, its messages, and the reasons for what is no message."""

    sequence: int | None = None
    time: int | None = None
    channel: int | None = None
    type: int | None = None
    messages: list[RawMessage] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class PacketReader:
    """Reads the packets of one feed, as its definition says, against one schema."""

    def __init__(self, definition: Definition, schema: Schema):
        self.definition, self.schema = definition, schema
        self.header = message_header(definition, schema)
        keys = ("header_length", "sequence", "count", "channel", "time", "type", "encoding", "length", "compression")
        self.places = {key: packet_place(definition, key) for key in keys}
        ids = definition.header.schema_ids
        self.schema_ids = None if self.header.schema_id is None else set(ids if ids is not None else [schema.id])

    def read(self, payload: bytes) -> RawPacket:
        """Everything that can be believed of one packet."""
        packet = RawPacket()
        try:
            body = self._body(payload, packet)
        except Refused as refusal:
            packet.refused.append(refusal.reason)
            return packet
        count, found = self._count(payload), 0
        messages = self._frames(body) if self.definition.framing else self._unframed(body)
        counts_messages = self.definition.packet.sequence_counts == "messages"
        try:
            if count != 0:
                for data in messages:
                    sequence = packet.sequence
                    if sequence is not None and counts_messages:
                        sequence += found
                    self._take(data, found, sequence, packet)
                    found += 1
                    if found == count:
                        break
            if count is not None and found < count:
                packet.refused.append("block_overrun")
            elif count is not None and next(messages, None) is not None:
                packet.refused.append("packet_trailing")
        except Refused as refusal:
            packet.refused.append(refusal.reason)
        return packet

    def _number(self, key: str, payload: bytes) -> int | None:
        place = self.places[key]
        return None if place is None else place.read(payload)

    def _count(self, payload: bytes) -> int | None:
        count = self._number("count", payload)
        end = self.definition.packet.count_end
        return 0 if count is not None and end and count == end else count

    def _body(self, payload: bytes, packet: RawPacket) -> bytes:
        """What stands behind the packet header, unpacked; b"" of a packet that carries nothing."""
        rules = self.definition.packet
        if len(payload) < rules.header_bytes:
            raise Refused("packet_short", f"a packet of {len(payload)} bytes")
        packet.sequence, packet.time = self._number("sequence", payload), self._number("time", payload)
        packet.channel, packet.type = self._number("channel", payload), self._number("type", payload)
        if rules.encoding and self._number("encoding", payload) != rules.encoding.value:
            raise Refused("message_field", "another encoding of packets")
        begin, end = self._number("header_length", payload) or rules.header_bytes, len(payload)
        if begin < rules.header_bytes or begin > end:
            raise Refused("packet_short", f"a header of {begin} bytes in {end}")
        if rules.length:
            stated = (self._number("length", payload) or 0) + self._length_adds(begin)
            if not begin <= stated <= end:
                raise Refused("packet_short", f"a length of {stated} bytes in {end}")
            if stated < end:
                packet.refused.append("packet_trailing")
            end = stated
        if packet.type is not None and packet.type in rules.silent_types:
            return b""
        flags = self._number("compression", payload)
        if rules.compression and flags is not None and flags >> (rules.compression.bit or 0) & 1:
            return unpack(payload[begin:end])
        return payload[begin:end]

    def _length_adds(self, begin: int) -> int:
        """What a packet's length does not count itself."""
        rules = self.definition.packet
        assert rules.length is not None
        rest = rules.length.offset + rules.length.bytes
        return {"packet": 0, "rest": rest, "behind_header": begin}[rules.length_counts]

    def _frames(self, body: bytes) -> Iterator[bytes]:
        """Messages with their own length in front."""
        framing = self.definition.framing
        assert framing is not None
        length = place_of(self.definition, framing.length, framing)
        encoding = place_of(self.definition, framing.encoding, framing) if framing.encoding else None
        head = max(framing.header_bytes, *(place.offset + place.width for place in (length, encoding) if place))
        at = 0
        while at < len(body):
            if len(body) - at < head:
                raise Refused("block_overrun", "no room for a frame header")
            end = at + length.read(body, at) + frame_adds(framing)
            if end < at + head or end > len(body):
                raise Refused("block_overrun", "a frame leaves the packet")
            if encoding and framing.encoding and encoding.read(body, at) != framing.encoding.value:
                yield b""
            else:
                yield body[at + framing.header_bytes : end]
            at = end

    def _unframed(self, body: bytes) -> Iterator[bytes]:
        """Messages back to back: each is as long as its schema says."""
        at = 0
        while at < len(body):
            yield body[at:]
            end = self._end(body[at:])
            if end is None:
                return
            at += end

    def _end(self, data: bytes) -> int | None:
        """Where the message at the start of `data` ends; None: only its venue knows."""
        raw = self._parse(data, 0, None)
        message = self.schema.messages.get(raw.template) if raw else None
        return message_end(message, raw, self.schema.big_endian) if message and raw else None

    def _parse(self, data: bytes, number: int, sequence: int | None) -> RawMessage | None:
        header = self.header
        if len(data) < header.size:
            return None
        template = header.template.read(data)
        message = self.schema.messages.get(template)
        version = header.version.read(data) if header.version else self.schema.version
        block_length = header.block_length.read(data) if header.block_length else _block_length(message, data, header.size)
        return RawMessage(number, sequence, template, block_length, version, header.size, data)

    def _take(self, data: bytes, number: int, sequence: int | None, packet: RawPacket) -> None:
        """One message, or why it is none."""
        raw = self._parse(data, number, sequence) if data else None
        if raw is None:
            packet.refused.append("message_length" if data else "message_unknown")
        elif self.header.schema_id and self.schema_ids and self.header.schema_id.read(data) not in self.schema_ids:
            packet.refused.append("schema_other")
        elif raw.template not in self.schema.messages:
            packet.refused.append("message_unknown")
        elif not 0 <= raw.block_length <= len(data) - raw.block:
            packet.refused.append("message_length")
        else:
            packet.messages.append(raw)


def frame_adds(framing: Framing) -> int:
    """What a frame's length does not count of the frame."""
    rest = framing.length.offset + framing.length.bytes
    return {"frame": 0, "rest": rest, "message": framing.header_bytes}[framing.length_counts]


def _block_length(message: Message | None, data: bytes, header_bytes: int) -> int:
    """Of a header that does not say: the schema's, or all there is of a message without groups and data."""
    if message is None:
        return 0
    flat = not (message.groups or message.data)
    return max(message.block_length, len(data) - header_bytes) if flat else message.block_length


def unpack(packed: bytes) -> bytes:
    """An LZ4 block, or a frame, whose unpacked size nobody states. Refuses damage and what would grow beyond the bound."""
    try:
        if packed.startswith(LZ4_MAGIC):
            reader = lz4.frame.LZ4FrameDecompressor()
            data = bytes(reader.decompress(packed, max_length=limits.PACKET_UNPACKED_MAX))
            if not reader.eof:
                raise Refused("compression", "a frame is cut, or longer than a packet may be")
            return data
        return bytes(lz4.block.decompress(packed, uncompressed_size=limits.PACKET_UNPACKED_MAX))
    except (lz4.block.LZ4BlockError, RuntimeError) as problem:
        raise Refused("compression", str(problem)) from None


def message_end(message: Message, raw: RawMessage, big_endian: bool) -> int:
    """Offset in raw.data of the first byte behind the message. Refuses a group or data that leaves it."""
    at = raw.block + raw.block_length
    if raw.block_length < 0 or at > len(raw.data):
        raise Refused("message_length", "a root block leaves the packet")
    return _inner_end(message.groups, message.data, raw.data, at, raw.version, big_endian)


def _inner_end(
    groups: tuple[Group, ...], data: tuple[Data, ...], bytes_: bytes, at: int, version: int, big_endian: bool
) -> int:
    order = "big" if big_endian else "little"

    def number(composite: Composite, name: str) -> int:
        member = composite.member(name)
        assert member is not None
        begin = at + member.offset
        return int.from_bytes(bytes_[begin : begin + member.size], order)  # type: ignore[arg-type]

    for group in groups:
        if group.since > version:
            continue
        if at + group.dimension.size > len(bytes_):
            raise Refused("group_overrun", "no room for a group's dimension")
        length, count = number(group.dimension, "blockLength"), number(group.dimension, "numInGroup")
        at += group.dimension.size
        if count > len(bytes_) - at or length * count > len(bytes_) - at:
            raise Refused("group_overrun", f"a group of {count} entries leaves the message")
        for _ in range(count if group.groups or group.data else 0):
            at = _inner_end(group.groups, group.data, bytes_, at + length, version, big_endian)
        at += 0 if group.groups or group.data else length * count
    for item in data:
        if item.since > version:
            continue
        prefix = item.data.offset
        size = number(item.composite, item.length.name) if at + prefix <= len(bytes_) else len(bytes_) + 1
        at += prefix + size
        if at > len(bytes_):
            raise Refused("group_overrun", "variable data leaves the message")
    return at
