"""A venue as data: what a feed definition file may say, key by key. docs/protocols/adding-a-venue.md is its manual.

Beside the corridor, read at start by feed.py; the schema's names in it are looked up later, in plan.py.
Hard rule: a key that means nothing is refused, and every key has one meaning for every venue.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway import limits
from gateway.sections import Endpoint, Section

Order = Literal["little", "big"]
NumberType = Literal["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
Ports = list[tuple[int, int]]
EVENTS = (
    "add",
    "execute",
    "reduce",
    "delete",
    "replace",
    "set",
    "set_requeued",
    "trade",
    "status",
    "instrument",
    "system",
    "information",
    "clear",
    "level",
    "level_delete",
    "levels_from",
    "levels_through",
    "level_overlay",
    "snapshot_begin",
    "snapshot_end",
    "instrument_sequence",
    "checksum",
)
SIDES = ("none", "buy", "sell")
STATES = ("unknown", "open", "halted", "paused", "quote_only", "auction", "closed")
UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class Number(Section):
    """Where a number stands in a header: `offset` from the header's first byte."""

    type: NumberType
    offset: int = Field(ge=0, le=limits.PACKET_HEADER_BYTES_MAX)
    byte_order: Order | None = None
    value: int | None = None
    bit: int | None = Field(None, ge=0, le=63)

    @property
    def bytes(self) -> int:
        """Its width."""
        return int(self.type.lstrip("uint")) // 8

    @property
    def signed(self) -> bool:
        """Whether it may be negative."""
        return self.type.startswith("int")


class Text(Section):
    """Where a short text stands in a header."""

    offset: int = Field(ge=0, le=limits.PACKET_HEADER_BYTES_MAX)
    bytes: Literal[1, 2, 4, 8, 9, 10, 12, 16]


class Packet(Section):
    """[packet]: the header in front of everything a datagram carries."""

    transport: Literal["udp", "tcp"] = "udp"
    byte_order: Order | None = None
    header_bytes: int = Field(0, ge=0, le=limits.PACKET_HEADER_BYTES_MAX)
    header_length: Number | None = None
    sequence: Number | None = None
    sequence_counts: Literal["packets", "messages"] = "packets"
    zero_unsequenced: bool = False
    count: Number | None = None
    count_end: int = Field(0, ge=0)
    channel: Number | None = None
    session: Number | Text | None = None
    time: Number | None = None
    type: Number | None = None
    silent_types: list[int] = Field(default_factory=list)
    encoding: Number | None = None
    length: Number | None = None
    length_counts: Literal["packet", "rest", "behind_header"] = "packet"
    compression: Number | None = None

    @model_validator(mode="after")
    def fields_stand_inside(self) -> "Packet":
        """A field behind the header would be read from the first message."""
        for name, number in self.numbers():
            if number.offset + number.bytes > self.header_bytes:
                end = number.offset + number.bytes
                raise ValueError(f"{name} ends at byte {end} of a header of {self.header_bytes}; mend header_bytes")
        if self.encoding and self.encoding.value is None:
            raise ValueError("encoding has no value; write encoding = { type, offset, value }")
        if self.compression and self.compression.bit is None:
            raise ValueError("compression has no bit; write compression = { type, offset, bit }")
        if self.silent_types and self.type is None:
            raise ValueError("silent_types needs the place of the packet type; write type = { type, offset }")
        if any(not 0 <= kind <= 255 for kind in self.silent_types):
            raise ValueError("silent_types are bytes, 0 to 255")
        return self

    def numbers(self) -> list[tuple[str, Any]]:
        """(key, place) of every number the header has."""
        values = [(name, getattr(self, name)) for name in type(self).model_fields]
        return [(name, value) for name, value in values if isinstance(value, Number | Text)]


class Framing(Section):
    """[framing]: what stands in front of each message of a packet; without it messages follow one another at once."""

    byte_order: Order | None = None
    header_bytes: int = Field(0, ge=0, le=limits.PACKET_HEADER_BYTES_MAX)
    length: Number
    length_counts: Literal["frame", "rest", "message"] = "frame"
    encoding: Number | None = None

    @model_validator(mode="after")
    def encoding_has_a_value(self) -> "Framing":
        """An encoding type is there to be compared."""
        if self.encoding and self.encoding.value is None:
            raise ValueError("encoding has no value; write encoding = { type, offset, value }")
        return self


class Header(Section):
    """[header]: the SBE message header. Each field is a member's name of `composite`, a place, or "" for none."""

    byte_order: Order | None = None
    composite: str = ""
    bytes: int | None = Field(None, ge=1, le=limits.PACKET_HEADER_BYTES_MAX)
    block_length: str | Number | None = None
    template: str | Number | None = None
    schema_id: str | Number | None = None
    version: str | Number | None = None
    schema_ids: list[int] | None = None


class Lines(Section):
    """[[lines]]: a channel with its one or two lines."""

    name: str = ""
    role: Literal["incremental", "snapshot", "definition"] = "incremental"
    of: str = ""
    a: Endpoint
    b: Endpoint | None = None


class Channels(Section):
    """[channels]: how the channels of a recording are told apart when no [[lines]] name them."""

    by: Literal["destination", "port"] = "destination"
    b_ports: Ports = Field(default_factory=list)
    b_port_offset: int = 0
    snapshot_ports: Ports = Field(default_factory=list)
    definition_ports: Ports = Field(default_factory=list)


class Instruments(Section):
    """[instruments]: units of prices and quantities, and what a new instrument begins with."""

    price_exponent: int = Field(0, ge=-18, le=18)
    quantity_exponent: int = Field(0, ge=-18, le=18)
    tick: str = ""
    lot: str = ""
    file: str = ""
    depth: int = Field(0, ge=0, le=limits.LEVELS_DEPTH_MAX)
    layer_depths: list[Annotated[int, Field(ge=0, le=limits.LEVELS_DEPTH_MAX)]] = Field(default_factory=list, max_length=4)


class Value(Section):
    """Where a value comes from: a field (or the first of several the message has), or a constant; then a table."""

    field: list[str] = Field(default_factory=list)
    constant: int | str | None = None
    values: dict[str, int | str] | None = None
    default: int | str | None = None
    of: str = ""
    index: str = ""
    bit: str | int | None = None
    unit: Literal["ns", "us", "ms", "s"] = "ns"
    exponent: int | str | None = None
    scale: int = Field(1, ge=-1_000_000_000, le=1_000_000_000)

    @model_validator(mode="before")
    @classmethod
    def one_name_is_a_list(cls, data: Any) -> Any:
        """`field = "A"` is `field = ["A"]`."""
        if isinstance(data, dict) and isinstance(data.get("field"), str):
            return {**data, "field": [data["field"]]}
        return data

    @model_validator(mode="after")
    def says_where_from(self) -> "Value":
        """Neither a field nor a constant is nothing."""
        if bool(self.field) == (self.constant is not None):
            raise ValueError("write a field's name, a constant, or a table with either")
        if bool(self.of) != bool(self.index):
            raise ValueError("a value of another group needs both: of = GROUP and index = FIELD")
        return self


class Condition(Section):
    """What a field must be for a row to apply."""

    values: list[int | str] | None = None
    without: list[int | str] | None = None
    null: bool | None = None
    bit: str | int | None = None
    set: bool = True
    same_as: str = ""


def _value(data: Any) -> Any:
    if isinstance(data, bool):
        return {"constant": int(data)}
    if isinstance(data, int):
        return {"constant": data}
    if isinstance(data, str | list):
        return {"field": data}
    return data


def _word(data: Any) -> Any:
    """For keys whose plain text is a word of ours (an event, a side), not a field."""
    return {"constant": data} if isinstance(data, str | int) else data


def _condition(data: Any) -> Any:
    if isinstance(data, dict):
        return data
    return {"values": data if isinstance(data, list) else [int(data) if isinstance(data, bool) else data]}


def _names(data: Any) -> Any:
    return data if isinstance(data, list) else [data]


Source = Annotated[Value, BeforeValidator(_value)]
Word = Annotated[Value, BeforeValidator(_word)]


class MapRow(Section):
    """[[map]]: when such a message (or entry of its group) comes, such an event goes on."""

    message: Annotated[list[str | int], BeforeValidator(_names)]
    group: str = ""
    when: dict[str, Annotated[Condition, BeforeValidator(_condition)]] = Field(default_factory=dict)
    event: Word
    instrument: Source | None = None
    layer: Source | None = None
    side: Word | None = None
    price: Source | None = None
    quantity: Source | None = None
    order_id: Source | None = None
    new_order_id: Source | None = None
    match: Source | None = None
    orders: Source | None = None
    position: Source | None = None
    instrument_sequence: Source | None = None
    previous_sequence: Source | None = None
    first_sequence: Source | None = None
    stream_sequence: Source | None = None
    state: Word | None = None
    checksum: Source | None = None
    time: Source | None = None
    symbol: Source | None = None
    tick: Source | None = None
    lot: Source | None = None
    price_exponent: Source | None = None
    quantity_exponent: Source | None = None
    snapshot: bool = False
    requeued: bool = False


class Definition(Section):
    """A whole definition file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]{0,31}$")
    description: str = ""
    decoder: Literal["sbe", "itch50"] = "sbe"
    byte_order: Order = "little"
    packet: Packet = Packet()
    framing: Framing | None = None
    header: Header = Header()
    lines: list[Lines] = Field(default_factory=list, max_length=limits.CHANNELS_MAX)
    channels: Channels = Channels()
    instruments: Instruments = Instruments()
    map: list[MapRow] = Field(default_factory=list)

    @model_validator(mode="after")
    def snapshots_are_of_a_channel(self) -> "Definition":
        """A loop of snapshots heals the books of the channel it names."""
        names = [line.name for line in self.lines if line.name]
        for line in self.lines:
            if line.of and (line.role != "snapshot" or line.of not in names):
                raise ValueError(f"lines: of = {line.of!r} is for a snapshot channel, and names another one of [[lines]]")
        return self

    def is_big(self, number: Number, section: Packet | Framing | Header) -> bool:
        """Whether a number of this section is big-endian: its own word, the section's, the file's."""
        return (number.byte_order or section.byte_order or self.byte_order) == "big"
