"""PyPI's sbedecoder, written by others for CME, reads the same values from the same capture (test-only)."""

import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.protocols.sbe.interpreter import Decoded
from gateway.protocols.sbe.model import Group, Message, Schema
from gateway.protocols.sbe.schema import load_schema
from tests.protocols import sbe_frames
from tests.protocols.sbe_golden import wire_text

pytestmark = pytest.mark.filterwarnings("ignore")
PACKETS = 3_000


def compare_block(schema: Schema, block: Message | Group, values: dict[str, Any], peer: Any) -> int:
    """Asserts that every field of a block that is on the wire equals the peer's; returns how many."""
    by_name = {field.name: field for field in peer.fields}
    count = 0
    for field in block.fields:
        if field.presence == "constant":
            continue
        theirs = by_name[field.name].raw_value if hasattr(by_name[field.name], "raw_value") else by_name[field.name].value
        ours = values[field.name]
        if field.type.__class__.__name__ == "Composite":
            theirs = by_name[field.name].value
            assert (ours is None) == (theirs is None), (field.name, ours, theirs)
            assert ours is None or abs(Decimal(ours) - Decimal(repr(theirs))) < Decimal("1e-7"), (field.name, ours, theirs)
        else:
            raw = theirs.decode() if isinstance(theirs, bytes) else str(theirs)
            assert raw in (wire_text(field, ours), str(ours)), (field.name, ours, theirs)
        count += 1
    return count


def test_sbedecoder_reads_the_same_values_of_the_cme_capture(shared_data: Path):
    sbedecoder = pytest.importorskip("sbedecoder")
    path = shared_data / "schemas" / "Cme.Futures.Mdp3.Sbe.v1.6.xml"
    ours = load_schema(path)
    theirs = sbedecoder.SBESchema(include_message_size_header=True, use_description_as_message_name=False)
    theirs.parse(str(path))
    parser = sbedecoder.SBEParser(theirs)
    capture = shared_data / "cme-mdp3-sbe" / "Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap"
    count = 0
    packets = zip(sbe_frames.cme(capture, ours), sbe_frames.payloads(capture), range(PACKETS), strict=False)
    for packet, (_, _, _, payload), _ in packets:
        peers = list(parser.parse(payload, offset=12))
        assert struct.unpack_from("<I", payload)[0] == packet.header["sequence"]
        for message, peer in zip(packet.messages, peers, strict=True):
            count += compare_message(ours, message, peer)
    assert count > 20_000


def compare_message(schema: Schema, message: Decoded, peer: Any) -> int:
    """Root block and groups."""
    assert peer.template_id.value == message.message.id
    count = compare_block(schema, message.message, message.values, peer)
    groups = {group.name: group for group in peer.groups}
    for group in message.message.groups:
        entries = groups[group.name].repeating_groups
        assert len(entries) == len(message.values[group.name])
        for entry, values in zip(entries, message.values[group.name], strict=True):
            count += compare_block(schema, group, values, entry)
    return count
