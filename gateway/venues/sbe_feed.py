"""A defined SBE feed made ready to run: its generated decoder, how its packets are numbered, its instruments.

    feed = sbe(definition, schema_of(definition, "schema.xml"), window_ns)

Hard rule: everything is generated, compiled and allocated here, before the first packet.
"""

import hashlib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.lines import Rule
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError
from gateway.layout import dtype, value
from gateway.protocols.sbe import modules
from gateway.protocols.sbe.model import Schema
from gateway.protocols.sbe.schema import SchemaError, load_schema
from gateway.sections import endpoint
from gateway.venues import normaliser
from gateway.venues.definition import Definition, Lines, Number, Text
from gateway.venues.feed import Feed
from gateway.venues.header_layout import place_of

WORD_BYTES = 8
ROLES = {
    "incremental": value("CHANNEL_INCREMENTAL"),
    "snapshot": value("CHANNEL_SNAPSHOT"),
    "definition": value("CHANNEL_DEFINITION"),
}


def schema_of(definition: Definition, path: str | Path | None) -> Schema:
    """The schema a definition is read against. Raises ConfigurationError."""
    if not path:
        raise ConfigurationError(
            f"feed {definition.name} takes its messages from the venue's SBE schema; give the file as the venue publishes "
            "it: --schema FILE.xml, or feed.schema_file of the configuration"
        )
    try:
        return load_schema(path, header=definition.header.composite)
    except SchemaError as problem:
        raise ConfigurationError(str(problem)) from None


def sbe(definition: Definition, schema: Schema, window_ns: int, **options: Any) -> Feed:
    """The feed of a definition: its [[lines]], else channels as its [channels] finds them; options as of Feed."""
    decoder = SbeDecoder(definition, schema)
    rules = definition.instruments
    by_rule = options.pop("any_destination", False) or not definition.lines
    healed = [] if by_rule else snapshot_of(definition)
    return Feed(
        definition.name,
        decoder.function,
        decoder.context,
        decoder.format,
        channels=[] if by_rule else [_destinations(line) for line in definition.lines],
        roles=[] if by_rule else [ROLES[line.role] for line in definition.lines],
        snapshot_of=healed,
        snapshots=any("snapshot" in str(row.event) for row in definition.map),
        contexts=[decoder.context] * len(healed),
        rules=channel_rules(definition) if by_rule else (),
        window_ns=window_ns,
        exponents=(rules.price_exponent, rules.quantity_exponent),
        tick=units_of(definition, "tick", rules.tick, rules.price_exponent),
        lot=units_of(definition, "lot", rules.lot, rules.quantity_exponent),
        depth=rules.depth,
        layer_depths=tuple(rules.layer_depths),
        instruments_file=rules.file,
        type_names=type_names(schema),
        keep=[decoder],
        **options,
    )


def snapshot_of(definition: Definition) -> list[int]:
    """For each of [[lines]] the channel whose books it says; none when no loop of snapshots is listed."""
    places = {line.name: index for index, line in enumerate(definition.lines)}
    if not any(line.of for line in definition.lines):
        return []
    return [places[line.of] if line.of else index for index, line in enumerate(definition.lines)]


def type_names(schema: Schema) -> dict[int, str]:
    """Template names by the low byte of their id; templates that share one share the name."""
    names: dict[int, str] = {}
    for message in schema.messages.values():
        low = message.id & 255
        names[low] = f"{names[low]}/{message.name}" if low in names else message.name
    return names


def _destinations(line: Lines) -> tuple[tuple[int, int], ...]:
    return tuple(endpoint(text) for text in (line.a, line.b) if text)


def units_of(definition: Definition, key: str, text: str, exponent: int) -> int:
    """A decimal of [instruments] in units; 0 when it is not written. Raises ConfigurationError."""
    try:
        units = Decimal(text or 0).scaleb(-exponent)
    except InvalidOperation:
        raise ConfigurationError(
            f"feed {definition.name}: instruments.{key} = {text!r} is no decimal; write it as 0.25"
        ) from None
    if units != int(units) or units < 0:
        raise ConfigurationError(
            f"feed {definition.name}: instruments.{key} = {text!r} is finer than 10^{exponent}; lower the exponent"
        )
    return int(units)


def channel_rules(definition: Definition) -> tuple[Rule, ...]:
    """How destinations become channels: line B's ports first, then the loops', then every other."""
    rules = definition.channels
    whole = rules.by == "destination"
    found = [Rule(first, last, rules.b_port_offset, 1, address_counts=whole) for first, last in rules.b_ports]
    for role, ports in (("snapshot", rules.snapshot_ports), ("definition", rules.definition_ports)):
        found += [Rule(first, last, channel_role=ROLES[role], address_counts=whole) for first, last in ports]
    return (*found, Rule(address_counts=whole))


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
            _put(row[key], place.offset, place.width, place.big_endian)
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
