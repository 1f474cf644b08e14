"""PyPI's sbedecoder, written by others for CME, reads the same values from the same capture (test-only)."""

import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.protocols.sbe.interpreter import Decoded
from gateway.protocols.sbe.model import Composite, Field, Group, Message
from gateway.protocols.sbe.schema import load_schema
from tests.protocols import sbe_frames
from tests.protocols.sbe_golden import wire_text

VALUES = 289_478  # fields on the wire of the whole capture


@pytest.mark.slow
def test_sbedecoder_reads_the_same_values_of_the_cme_capture(shared_data: Path):
    sbedecoder = pytest.importorskip("sbedecoder")
    path = shared_data / "schemas" / "Cme.Futures.Mdp3.Sbe.v1.6.xml"
    ours = load_schema(path)
    theirs = sbedecoder.MDPSchema()
    theirs.parse(str(path))
    parser = sbedecoder.SBEParser(sbedecoder.MDPMessageFactory(theirs))
    capture = shared_data / "cme-mdp3-sbe" / "Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap"
    count = 0
    for packet, (_, _, _, payload) in zip(sbe_frames.cme(capture, ours), sbe_frames.payloads(capture), strict=True):
        for message, peer in zip(packet.messages, parser.parse(payload, offset=12), strict=True):
            count += compare_message(message, peer)
    assert count == VALUES


def compare_message(message: Decoded, peer: Any) -> int:
    """Asserts that root block and groups are the same; returns the values compared."""
    assert peer.template_id.value == message.message.id
    count = compare_block(message.message, message.values, peer.fields)
    groups = {group.original_name: group for group in peer.groups}
    for group in message.message.groups:
        values = message.values[group.name]
        assert groups[group.name].num_groups == len(values)
        for entry, ours in zip(groups[group.name].repeating_groups, values, strict=True):
            count += compare_block(group, ours, entry.fields)
    return count


def compare_block(block: Message | Group, values: Mapping[str, Any], fields: list[Any]) -> int:
    """Every field of a block that is on the wire; sbedecoder's entries share their field objects, so read them now."""
    theirs = {field.original_name: field for field in fields}
    present = [field for field in block.fields if field.presence != "constant"]
    for field in present:
        assert is_same(field, values[field.name], theirs[field.name]), (field.name, values[field.name])
    return len(present)


def is_same(field: Field, ours: Any, peer: Any) -> bool:
    """Decimals to a float's precision, since sbedecoder has floats; all else as on the wire."""
    if isinstance(field.type, Composite):
        if ours is None or peer.value is None:
            return ours is peer.value
        return math.isclose(float(Decimal(ours)), peer.value, rel_tol=1e-12)
    return wire_text(field, ours) == str(peer.raw_value)
