"""A defined feed's generated decoder beside its slow twin, fed the same packets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.core.instruments import make_instruments
from gateway.core.memory import address_of
from gateway.native import ffi
from gateway.protocols.sbe.schema import load_schema
from gateway.venues.definition_file import load_definition
from gateway.venues.sbe_feed import SbeDecoder
from tests.fuzz.guarded import Guarded
from tests.naive_normaliser import Event, Naive
from tests.protocols.sbe_frames import payloads

FIELDS = (
    "sequence",
    "time_venue_ns",
    "order_id",
    "other_id",
    "price",
    "quantity",
    "instrument",
    "kind",
    "side",
    "flags",
    "message_type",
)
SCHEMAS = {
    "cme_mdp3": "schemas/Cme.Futures.Mdp3.Sbe.v1.9.xml",
    "deribit": "deribit-multicast-sbe/deribit_multicast.xml",
    "euronext_optiq": "schemas/Euronext.Optiq.MarketDataGateway.Sbe.v5.25.xml",
    "binance_sbe": "schemas/binance__stream_1_0.xml",
    "coinbase_derivatives": "schemas/Coinbase.Deribit.MarketDataApi.Sbe.v1.0.xml",
}
REASONS = {name.lower(): index for index, name in layout.names("feed_reason", "FEED_").items() if name != "REASONS"}


class Defined:
    """One feed: `run` gives the events of the generated decoder, `naive` is its twin."""

    def __init__(self, name: str, schema: Path, room: int = 1 << 16) -> None:
        self.definition = load_definition(name)
        self.schema = load_schema(schema, header=self.definition.header.composite)
        self.decoder = SbeDecoder(self.definition, self.schema)
        self.memory = Guarded(room)
        self.call = ffi.cast("int64_t(*)(uint64_t)", self.decoder.function)
        self.begin_anew()

    def begin_anew(self) -> None:
        """No instrument known, nothing counted, on both sides."""
        units = self.definition.instruments
        self.naive = Naive(self.definition, self.schema)
        self.instruments = make_instruments(
            limits.INSTRUMENTS_MAX, price_exponent=units.price_exponent, quantity_exponent=units.quantity_exponent
        )
        self.events = np.zeros(limits.EVENTS_MAX, layout.dtype("event"))
        self.counters = np.zeros(1, layout.dtype("core_counters"))
        self.row = np.zeros(1, layout.dtype("decoder"))
        row = self.row[0]
        row["function"], row["context"] = self.decoder.function, self.decoder.context
        row["instruments"], row["events"] = self.instruments.address, address_of(self.events)
        row["counters"] = address_of(self.counters)

    def run(self, payload: bytes, skip: int = 0) -> list[Event]:
        """Every event of a packet that ends at an untouchable page, in as many calls as it takes."""
        row, found = self.row[0], []
        row["payload"], row["size"] = self.memory.put(payload), len(payload)
        row["skip"], row["cursor"], row["more"] = skip, 0, 1
        for _ in range(1000):
            if not row["more"]:
                return found
            row["more"] = 0
            count = self.call(address_of(self.row))
            found += [wrapped({name: int(event[name]) for name in FIELDS}) for event in self.events[:count]]
        raise AssertionError("the decoder never ends")

    def expected(self, payload: bytes) -> list[Event]:
        """What the twin makes of it."""
        return [wrapped(event) for event in self.naive.decode(payload)]

    def reasons(self) -> dict[str, int]:
        """Reasons counted."""
        counts = self.counters[0]["reasons"]
        return {name: int(counts[index]) for name, index in REASONS.items() if counts[index]}


def wrapped(event: Event) -> Event:
    """Fields as the 64 bits the event holds: the venue's unsigned numbers come out as they went in."""
    return {name: event[name] & (1 << 64) - 1 for name in FIELDS}


def packets(capture: Path) -> Iterator[bytes]:
    """The payloads of a capture."""
    return (payload for *_, payload in payloads(capture))


def brief(event: Event) -> dict[str, Any]:
    """An event by names, for failures."""
    kinds = layout.names("event_kind", "EVENT_")
    return {"kind": kinds[event["kind"]], **{name: event[name] for name in FIELDS if name != "kind"}}
