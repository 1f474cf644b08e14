"""A defined SBE feed made ready to run: its generated decoder, how its packets are numbered, its instruments.

    decoder = SbeDecoder(definition, schema, instruments address)      function, context and format for struct decoder

Hard rule: everything is generated, compiled and allocated here, before the first packet.
"""

import hashlib
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.memory import address_of
from gateway.layout import dtype
from gateway.protocols.sbe import modules
from gateway.protocols.sbe.model import Schema
from gateway.venues import normaliser
from gateway.venues.definition import Definition, Number, Text
from gateway.venues.header_layout import place_of

WORD_BYTES = 8


class SbeDecoder:
    """The generated decoder of a feed: C address, context and packet format. Keep it alive while it runs."""

    def __init__(self, definition: Definition, schema: Schema):
        self.definition, self.schema = definition, schema
        self.module = load_module(definition, schema)
        self.function: int = self.module.entry.address
        self.unpacked = np.zeros(limits.PACKET_UNPACKED_MAX, np.uint8)
        self.state = np.zeros(1, dtype("normaliser"))
        self.state["unpacked"] = address_of(self.unpacked)
        self.context = address_of(self.state)
        self.format = packet_format(definition)


def load_module(definition: Definition, schema: Schema) -> Any:
    """The generated module, from the disk when the same definition met the same schema before."""
    known = f"{normaliser.VERSION} {schema.digest} {definition.model_dump_json()}"
    digest = hashlib.sha256(known.encode()).hexdigest()
    return modules.load(f"feed-{definition.name}", digest, lambda: normaliser.source(definition, schema))


def packet_format(definition: Definition) -> np.ndarray:
    """The definition's [packet] as struct packet_format (array of one)."""
    rules = definition.packet
    array = np.zeros(1, dtype("packet_format"))
    row = array[0]
    for key in ("sequence", "count", "time", "type", "header_length"):
        number = getattr(rules, key)
        if isinstance(number, Number):
            place = place_of(definition, number, rules)
            _put(row[key], place.offset, place.bytes, place.big_endian)
    _put_session(definition, row)
    row["header_bytes"] = rules.header_bytes
    row["sequence_counts_messages"] = rules.sequence_counts == "messages"
    row["zero_unsequenced"], row["count_end"] = rules.zero_unsequenced, rules.count_end
    for kind in rules.silent_types:
        row["silent_types"][kind // 64] |= np.uint64(1 << kind % 64)
    return array


def _put(field: Any, offset: int, width: int, big_endian: bool) -> None:
    field["offset"], field["bytes"], field["big_endian"] = offset, width, big_endian


def _put_session(definition: Definition, row: Any) -> None:
    """A session's name, up to sixteen bytes, in two words; only ever compared."""
    session = definition.packet.session
    if isinstance(session, Number):
        _put(row["session_first"], session.offset, session.bytes, False)
    elif isinstance(session, Text):
        _put(row["session_first"], session.offset, min(session.bytes, WORD_BYTES), False)
        if session.bytes > WORD_BYTES:
            _put(row["session_last"], session.offset + WORD_BYTES, session.bytes - WORD_BYTES, False)
