"""The generated normaliser's oracle: packets by the plain reader, messages by the interpreter, rows of the map one by one.

Knows the definition and printed values only: no offset, no address, no generated text. Slow and obvious.
"""

import fnmatch
from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from gateway import layout
from gateway.protocols.message import Refused
from gateway.protocols.sbe.interpreter import decode_body, decode_header
from gateway.protocols.sbe.model import Enum, Message, Schema
from gateway.venues.definition import UNITS_NS, Condition, Definition, MapRow, Value
from gateway.venues.packets import PacketReader, RawMessage, RawPacket

KIND = {name.lower(): number for number, name in layout.names("event_kind", "EVENT_").items()}
SIDE = {"none": 0, "buy": 1, "sell": 2}
STATE = {name.lower(): number for number, name in layout.names("trading_state", "TRADING_").items()}
OF_SNAPSHOT, ONE_INSTRUMENT, REQUEUED, PRICED, LOST = 4, 8, 16, 1, 128
LEVELS = ("level", "levels_from", "levels_through", "level_overlay")
NEED_PRICE = ("add", "replace", "level", "level_overlay", "trade")
NEED_QUANTITY = ("add", "execute", "reduce", "replace", "set", "trade", "level", "level_overlay")
UNITS_MAX = (1 << 62) - 1
PRICE_KEPT = -(1 << 63)
MISSING = object()

Event = dict[str, int]


class Bad(Exception):
    """A field that an event needs is null or beyond bounds."""


@dataclass
class Naive:
    """A feed's state: rows given out, reasons counted, events so far."""

    definition: Definition
    schema: Schema
    rows: dict[tuple[Any, int], int] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.reader = PacketReader(self.definition, self.schema)
        self.exponents: dict[int, tuple[int, int]] = {}
        self.ticks: dict[int, int] = {}

    def decode(self, payload: bytes) -> list[Event]:
        """The events of a packet without damage; what is refused inside a message is a gap, as the generated text has it."""
        packet = self.reader.read(payload)
        self.reasons.update(packet.refused)
        events: list[Event] = []
        for raw in packet.messages:
            events += self.message(packet, raw)
        return events

    def message(self, packet: RawPacket, raw: RawMessage) -> list[Event]:
        """The events of one message."""
        message = self.schema.messages[raw.template]
        rows = [row for row in self.definition.map if _concerns(row, message)]
        base = {"sequence": raw.sequence or 0, "message_type": raw.template & 255}
        if not rows:
            return [event(base, "information")]
        try:
            values, _ = decode_body(self.schema, message, raw.data[raw.block :], raw.block_length, raw.version)
        except Refused as refusal:
            self.reasons[refusal.reason] += 1
            return [event(base, "gap", quantity=1)]
        header = decode_header(self.schema, raw.data).values if self.schema.header.size <= len(raw.data) else {}
        found: list[Event] = []
        index = 0
        while index < len(rows):
            together = [rows[index]]
            while index + len(together) < len(rows) and rows[index + len(together)].group == rows[index].group:
                together.append(rows[index + len(together)])
            index += len(together)
            for scopes in _entries(values, together[0].group.split(".") if together[0].group else []):
                for row in together:
                    found += self.row(row, message, [*scopes, {"header": header, "packet": packet}], base)
        return found

    def row(self, row: MapRow, message: Message, scopes: list[dict[str, Any]], base: Event) -> list[Event]:
        """One row on one entry."""
        look = Look(self, message, row, scopes)
        if not all(look.holds(name, condition) for name, condition in row.when.items()):
            return []
        kind = look.word(row.event)
        side = look.word(row.side) if row.side else "none"
        if kind is MISSING or side is MISSING:
            return []
        if row.instrument is None:
            if kind == "clear":
                return [event(base, "gap", flags=LOST)]
            number = 0
        else:
            layer = look.whole(row.layer, 0)
            identifier = look.value(row.instrument)
            if identifier is None:
                return []
            number = self.rows.setdefault((identifier, layer), len(self.rows))
            look.row_number = number
            exponents = (self.definition.instruments.price_exponent, self.definition.instruments.quantity_exponent)
            look.exponents = self.exponents.setdefault(number, exponents)
        time = look.whole(row.time, 0)
        base = {**base, "instrument": number, "time_venue_ns": time}
        try:
            return self.numbers(row, look, str(kind), str(side), base)
        except Bad:
            self.reasons["message_field"] += 1
            return [event({**base, "time_venue_ns": 0}, "gap", flags=ONE_INSTRUMENT, quantity=1)]

    def numbers(self, row: MapRow, look: "Look", kind: str, side: str, base: Event) -> list[Event]:
        """What the kinds of events mean by their numbers."""
        flags = OF_SNAPSHOT if row.snapshot else 0
        flags |= REQUEUED if row.requeued or kind == "set_requeued" else 0
        zero, kind = kind == "level_delete", {"level_delete": "level", "set_requeued": "set"}.get(kind, kind)
        sequence = look.whole(row.instrument_sequence, 0)
        if kind == "status":
            state = look.word(row.state)
            return [] if state is MISSING else [event(base, kind, flags=flags, quantity=STATE[str(state)])]
        if kind == "snapshot_begin":
            return [event(base, kind, flags=flags, quantity=look.whole(row.stream_sequence, -1), other_id=sequence)]
        if kind == "instrument_sequence" and not _mixed(row):
            if not sequence:
                return []
            previous = look.whole(row.previous_sequence, -1) if row.previous_sequence else sequence - 1
            first = look.whole(row.first_sequence, 0)
            return [event(base, kind, flags=flags, other_id=sequence, order_id=previous, price=first)]
        if kind == "instrument":
            return [self.definition_event(row, look, base, flags)]
        price, quantity = look.units(row.price, 0), (0 if zero else look.units(row.quantity, 1))
        if price is None and kind in NEED_PRICE or quantity is None and kind in NEED_QUANTITY and row.quantity:
            raise Bad
        if kind == "execute" and price is not None:
            flags |= PRICED
        order_id = look.whole(row.order_id, 0)
        other_id = look.whole(row.match, 0) if row.new_order_id is None else look.whole(row.new_order_id, 0)
        if kind in LEVELS:
            orders, position = look.whole(row.orders, 0), look.whole(row.position, 0)
            order_id, other_id = orders & 0xFFFFFFFF | (position & 0x7FFFFFFF) << 32, 0
        before: list[Event] = []
        layer = look.whole(row.layer, 0)
        if row.instrument_sequence and kind in LEVELS and layer == 0:
            other_id = sequence
        elif row.instrument_sequence and sequence:
            first_row = self.rows.setdefault((look.value(row.instrument), 0), len(self.rows))
            before.append(
                event({**base, "instrument": first_row}, "instrument_sequence", order_id=sequence - 1, other_id=sequence)
            )
            if kind == "instrument_sequence":
                return before
        kept = PRICE_KEPT if kind == "set" else 0
        numbers = {"price": kept if price is None else price, "quantity": quantity or 0}
        return [*before, event(base, kind, side=SIDE[side], flags=flags, order_id=order_id, other_id=other_id, **numbers)]

    def definition_event(self, row: MapRow, look: "Look", base: Event, flags: int) -> Event:
        """Tick, lot, exponents and symbol of an instrument."""
        price_exponent = look.whole(row.price_exponent, look.exponents[0])
        quantity_exponent = look.whole(row.quantity_exponent, look.exponents[1])
        look.exponents = self.exponents[look.row_number] = (price_exponent, quantity_exponent)
        tick, lot = (look.units_or_zero(source, which) for which, source in enumerate((row.tick, row.lot)))
        if tick:
            self.ticks[look.row_number] = tick
        symbol = str(look.value(row.symbol) or "") if row.symbol else ""
        word = int.from_bytes(symbol.encode("latin-1")[:8].ljust(8, b" "), "little")
        return event(base, "instrument", flags=flags, price=tick, quantity=lot, order_id=word)


@dataclass
class Look:
    """The values one row sees: its entry first, then the blocks around it."""

    feed: Naive
    message: Message
    row: MapRow
    scopes: list[dict[str, Any]]
    exponents: tuple[int, int] = (0, 0)
    row_number: int = -1

    def named(self, name: str) -> Any:
        """A value by name; MISSING when nobody has it."""
        head, _, rest = name.partition(".")
        if head == "header" and rest:
            return self.scopes[-1]["header"].get(rest, MISSING)
        if head == "packet" and rest:
            return getattr(self.scopes[-1]["packet"], rest)
        for scope in self.scopes[:-1]:
            if head in scope:
                value = scope[head]
                return value[rest] if rest and isinstance(value, dict) else value
        return MISSING

    def value(self, source: Value | None) -> Any:
        """What a source means, as printed; None for null."""
        if source is None:
            return None
        if source.constant is not None:
            return source.constant
        if source.of:
            index = self.named(source.index)
            entries = self.scopes[-2][source.of]
            if not isinstance(index, int) or not 1 <= index <= len(entries):
                return None
            return entries[index - 1].get(source.field[0])
        found = next((value for name in source.field if (value := self.named(name)) is not MISSING), None)
        if source.bit is not None:
            return int(source.bit in (found or []))
        return found

    def word(self, source: Value) -> Any:
        """A word of ours through the source's table."""
        if source.constant is not None:
            return source.constant
        printed = self.value(source)
        default = MISSING if source.default is None else source.default
        if printed is None:
            return default
        for key, word in (source.values or {}).items():
            if key == str(printed) or self.wire_of(source, key) == self.wire_of(source, str(printed)) is not None:
                return word
        return default

    def wire_of(self, source: Value, text: str) -> int | None:
        """The number of an enumeration's name."""
        for block in (self.message.fields, *(group.fields for group in self.message.groups)):
            for member in block:
                if member.name in source.field and isinstance(member.type, Enum):
                    named = {name: wire for wire, name in member.type.values}
                    number = int(text) if text.lstrip("-").isdigit() else ord(text) if len(text) == 1 else None
                    return named.get(text, number)
        return None

    def whole(self, source: Value | None, default: int) -> int:
        """A whole number."""
        if source is None:
            return default
        value = self.word(source) if source.values is not None else self.value(source)
        if value is MISSING or value is None or isinstance(value, float) and value != value:
            value = source.default
        return default if value is None else int(value) * source.scale * UNITS_NS[source.unit]

    def units(self, source: Value | None, which: int) -> int | None:
        """A price (0) or quantity (1) in the instrument's units. Raises Bad beyond bounds."""
        value = self.value(source)
        if value is None or value != value:
            return None if source is None or source.default is None else int(source.default)
        exponent = self.exponents[which]
        if isinstance(value, int):
            if source is not None and source.exponent is not None:
                own = source.exponent if isinstance(source.exponent, int) else self.named(source.exponent)
                value = str(Decimal(value).scaleb(own))
            else:
                if value >= 1 << 63:
                    raise Bad
                return value
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
        if not number.is_finite():
            raise Bad
        exact = number.scaleb(-exponent)
        units = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)) if abs(exact) < 1 << 64 else 1 << 64
        if abs(units) > UNITS_MAX:
            raise Bad
        tick = self.feed.ticks.get(self.row_number, 0)
        if which == 0 and (exact != units or tick and units % tick) and self.row.event.constant != "instrument":
            self.feed.reasons["off_tick"] += 1
        return units

    def units_or_zero(self, source: Value | None, which: int) -> int:
        """A tick or lot; 0 when the definition does not say."""
        try:
            return self.units(source, which) or 0
        except Bad:
            return 0

    def holds(self, name: str, condition: Condition) -> bool:
        """Whether a condition of `when` is true."""
        value = self.named(name)
        value = None if value is MISSING else value
        tests = []
        if condition.null is not None:
            tests.append((value is None) == condition.null)
        if condition.values is not None:
            tests.append(value is not None and str(value) in map(str, condition.values))
        if condition.without is not None:
            tests.append(value is None or str(value) not in map(str, condition.without))
        if condition.bit is not None:
            tests.append(value is not None and (condition.bit in value) == condition.set)
        if condition.same_as:
            tests.append(value == self.named(condition.same_as))
        return all(tests)


def _concerns(row: MapRow, message: Message) -> bool:
    """Whether a row is about a template, and the template has what the row names."""
    named = any(name == message.id or fnmatch.fnmatchcase(message.name, str(name)) for name in row.message)
    block: Any = message
    for name in row.group.split(".") if row.group else []:
        block = next((group for group in block.groups if group.name == name), None)
        if block is None:
            return False
    return named


def _mixed(row: MapRow) -> bool:
    return row.event.constant is None


def _entries(values: dict[str, Any], path: list[str]) -> list[list[dict[str, Any]]]:
    """The blocks a row runs over, each with the blocks around it, innermost first."""
    scopes = [[values]]
    for name in path:
        scopes = [[entry, *around] for around in scopes for entry in around[0][name]]
    return scopes


def event(base: Event, kind: str, **numbers: int) -> Event:
    """An event as the dict of its fields."""
    blank = {
        "instrument": 0,
        "side": 0,
        "flags": 0,
        "price": 0,
        "quantity": 0,
        "order_id": 0,
        "other_id": 0,
        "time_venue_ns": 0,
    }
    return {**blank, **base, "kind": KIND[kind], **numbers}
