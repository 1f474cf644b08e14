"""Recorded sessions as the project's own decoders see them: every message's events, when it came, and what it weighed.

    binance-ws-json   Binance USD-M, JSON over WebSocket, one connection     decoder protocols/websocket
    cme-mdp3-sbe      CME MDP 3.0, 5,000 packets, each once (line A or B)    decoder generated from the feed definition

Hard rule: a message of which nothing came that moves a book or tells a trade (tickers) is left out on every side, so all
encodings carry the same.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway import limits
from gateway.core.instruments import make_instruments
from gateway.core.memory import address_of
from gateway.errors import CapabilityError
from gateway.layout import dtype, value
from gateway.native import ffi
from gateway.ops.bench.sbe_stream import CAPTURE, CAPTURE_SCHEMA
from gateway.ops.recordings import Recording
from gateway.port import open_port
from gateway.protocols.udp import parse_frame
from gateway.venues.definition_file import load_definition
from gateway.venues.sbe_feed import SbeDecoder, schema_of
from gateway.venues.websocket import UNITS, VENUES, decoder_of, make_context

BINANCE = "binance-ws-json/usdm__btcusdt_20240808.gz"
CONTINUED = 32  # enum frame_flag: the message goes on in the next frame
ROWS = 1024
DATA_MISSING = "{} is not below --data or $GATEWAY_SHARED_DATA"


@dataclass
class Message:
    """One message of the venue: its bytes as they came, and its events."""

    time_ns: int
    data: bytes
    events: np.ndarray


@dataclass
class Session:
    """A recording, in order; prices and quantities are integers of these exponents unless an instrument says otherwise."""

    name: str
    source: str
    messages: list[Message]
    exponents: tuple[int, int]

    @property
    def events(self) -> np.ndarray:
        """All of them."""
        return np.concatenate([message.events for message in self.messages])


class _Decoder:
    """A decoder's memory: `say` gives the events of one message or packet."""

    def __init__(self, function: int, context: int, exponents: tuple[int, int]):
        self.call = ffi.cast("int64_t(*)(uint64_t)", function)
        self.instruments = make_instruments(ROWS, price_exponent=exponents[0], quantity_exponent=exponents[1])
        self.counters, self.events = np.zeros(1, dtype("core_counters")), np.zeros(limits.EVENTS_MAX, dtype("event"))
        self.row = np.zeros(1, dtype("decoder"))
        row = self.row[0]
        row["context"], row["instruments"] = context, self.instruments.address
        row["events"], row["counters"] = address_of(self.events), address_of(self.counters)

    def say(self, data: bytes, time_ns: int) -> np.ndarray:
        """Every event, batch after batch."""
        row, area, batches = self.row[0], np.frombuffer(data + bytes(64), np.uint8), []
        row["payload"], row["size"], row["skip"], row["cursor"], row["more"] = address_of(area), len(data), 0, 0, 1
        row["time_receive_ns"] = time_ns
        while row["more"]:
            row["more"] = 0
            batches.append(self.events[: self.call(address_of(self.row))].copy())
        return np.concatenate(batches)


def told(events: np.ndarray) -> np.ndarray:
    """The events, or none where all of them are mere information."""
    return events if (events["kind"] != value("EVENT_INFORMATION")).any() else events[:0]


def recorded_sessions(folder: Path | None, messages_max: int = 1 << 30) -> list[Session]:
    """Both sessions, so many messages of each at most. Raises CapabilityError where one is missing."""
    for name in (BINANCE, CAPTURE, CAPTURE_SCHEMA):
        if folder is None or not (folder / name).is_file():
            raise CapabilityError(DATA_MISSING.format(name))
    assert folder is not None
    return [binance(folder / BINANCE, messages_max), cme(folder / CAPTURE, folder / CAPTURE_SCHEMA, messages_max)]


def binance(path: Path, messages_max: int) -> Session:
    """The WebSocket session; instruments are in 10^-8, both prices and quantities."""
    venue = VENUES["binance_usdm"]
    context, keep = make_context(venue)
    function = decoder_of(venue)()
    decoder, recording, parts = _Decoder(function.address, context.address, UNITS), Recording(path), b""
    messages = []
    with open_port(f"recording:{recording.path}") as port:
        for frame in port:
            parts += frame.data
            if frame.flags & CONTINUED:
                continue
            events = told(decoder.say(parts, frame.time_ns)) if parts else decoder.events[:0]
            if len(events):
                messages.append(Message(frame.time_ns, parts, events))
            parts = b""
            if len(messages) == messages_max:
                break
    recording.close()
    assert keep is not None
    return Session("binance", path.name, messages, UNITS)


def cme(path: Path, schema_file: Path, messages_max: int) -> Session:
    """The multicast session: each packet the first time its sequence comes, on either line."""
    definition = load_definition("cme_mdp3")
    made = SbeDecoder(definition, schema_of(definition, schema_file))
    units = definition.instruments
    exponents = (units.price_exponent, units.quantity_exponent)
    decoder, seen, messages = _Decoder(made.function, made.context, exponents), set(), []
    row = np.zeros(1, dtype("datagram"))
    with open_port(f"pcap:{path}") as port:
        for frame in port:
            area = np.frombuffer(frame.data, np.uint8)
            if parse_frame(area.ctypes.data, len(frame.data), frame.flags, row.ctypes.data) != value("FEED_OK"):
                continue
            begin = int(row[0]["payload"]) - area.ctypes.data
            payload = frame.data[begin : begin + int(row[0]["size"])]
            if payload[:4] in seen:
                continue
            seen.add(payload[:4])
            events = told(decoder.say(payload, frame.time_ns))
            if len(events):
                messages.append(Message(frame.time_ns, payload, events))
            if len(messages) == messages_max:
                break
    return Session("cme", path.name, messages, exponents)
