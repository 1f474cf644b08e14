"""Any defined SBE feed for `gateway decode`: packets as the definition says, messages as the schema says.

    {"sequence": …, "channel": "ADDRESS:PORT", "message": TEMPLATE NAME, "template": TEMPLATE ID, …the schema's fields}

Hard rule: what prints is the schema's own: names as it writes them, groups as lists, null as null, decimals as exact text.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from gateway.cli.decoded_feed import Decoded, Feed
from gateway.cli.decoded_nasdaq import Itch50
from gateway.protocols.headers import Carried
from gateway.protocols.message import Refused
from gateway.protocols.sbe.interpreter import decode_body
from gateway.protocols.sbe.model import Schema
from gateway.venues.definition import Definition
from gateway.venues.definition_file import load_definition
from gateway.venues.packets import PacketReader, RawMessage
from gateway.venues.sbe_feed import schema_of


def open_feed(name: str, schema: Path | None) -> Feed:
    """The feed of a definition. Raises ConfigurationError."""
    definition = load_definition(name)
    if definition.decoder == "itch50":
        return Itch50()
    return Sbe(definition, schema_of(definition, schema))


class Sbe(Feed):
    """Messages of an SBE schema in the packets of a feed definition."""

    def __init__(self, definition: Definition, schema: Schema):
        super().__init__()
        self.definition, self.schema = definition, schema
        self.reader = PacketReader(definition, schema)

    def decode_datagram(self, carried: Carried) -> Iterator[Decoded]:
        """The messages of a datagram."""
        if self.definition.packet.transport != "udp":
            raise Refused("not_tcp", "a datagram")
        yield from self.decode_payload(carried)

    def decode_tcp(self, carried: Carried) -> Iterator[Decoded]:
        """The messages of a TCP segment that begins with a packet."""
        if self.definition.packet.transport != "tcp":
            raise Refused("not_udp", "a TCP segment")
        if carried.payload:
            yield from self.decode_payload(carried)

    def decode_payload(self, carried: Carried) -> Iterator[Decoded]:
        """The messages of one packet, then the reasons for the rest."""
        packet = self.reader.read(carried.payload)
        channel = f"{IPv4Address(carried.flow[2])}:{carried.flow[3]}"
        for raw in packet.messages:
            try:
                yield raw.sequence, {"channel": channel, **self.fields_of(raw)}
                self.messages += 1
            except Refused as refusal:
                self.passed_over[refusal.reason] += 1
        if not packet.messages and not packet.refused:
            self.passed_over["heartbeat"] += 1
        self.passed_over.update(packet.refused)

    def fields_of(self, raw: RawMessage) -> dict[str, object]:
        """Template and fields of a message, as the schema names them."""
        message = self.schema.messages[raw.template]
        values, _ = decode_body(self.schema, message, raw.data[raw.block :], raw.block_length, raw.version)
        return {"message": message.name, "template": message.id, **values}
