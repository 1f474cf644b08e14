"""A decoder of JSON messages on its own, for tests: bytes in, events out, and what it counted."""

from pathlib import Path
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.instruments import make_instruments
from gateway.core.memory import address_of
from gateway.layout import dtype, names
from gateway.ops.recordings import Recording
from gateway.port import open_port
from gateway.venues.websocket import VENUES, decoder_of, make_context
from tests.naive_json import Refused, units
from tests.naive_venues import Message

REASONS = names("feed_reason", "FEED_")
EXPONENT = -8
ROWS = 1024
KINDS = {"t": 6, "k": 10, "d": 13, "s": 13}


class Desk:
    """One venue's decoder; `say` takes a message and returns its events as a structured array."""

    def __init__(self, name: str):
        venue = VENUES[name]
        self.context, self._announced = make_context(venue)
        self.decoder_function = decoder_of(venue)()
        self.instruments = make_instruments(ROWS, price_exponent=EXPONENT, quantity_exponent=EXPONENT)
        self.counters = np.zeros(1, dtype("core_counters"))
        self.events = np.zeros(limits.EVENTS_MAX, dtype("event"))
        self.decoder = np.zeros(1, dtype("decoder"))
        self.decoder["context"], self.decoder["instruments"] = self.context.address, self.instruments.address
        self.decoder["events"], self.decoder["counters"] = address_of(self.events), address_of(self.counters)
        self.decode = self.decoder_function.ctypes

    def say(self, data: bytes, time_ns: int = 1) -> np.ndarray:
        """Every event of one message, batch after batch."""
        message = np.frombuffer(data, np.uint8) if data else np.zeros(1, np.uint8)
        return self.say_at(address_of(message), len(data), time_ns)

    def say_at(self, address: int, size_bytes: int, time_ns: int = 1) -> np.ndarray:
        """`say` for bytes that lie somewhere already."""
        row = self.decoder[0]
        row["payload"], row["size"], row["cursor"], row["more"] = address, size_bytes, 0, 1
        row["time_receive_ns"] = time_ns
        batches = []
        while row["more"]:
            row["more"] = 0
            count = self.decode(address_of(self.decoder))
            assert 0 <= count <= limits.EVENTS_MAX
            batches.append(self.events[:count].copy())
        return np.concatenate(batches)

    def reasons(self) -> dict[str, int]:
        """Refusals so far, by name."""
        return {REASONS[index]: int(count) for index, count in enumerate(self.counters["reasons"][0]) if count}

    def total(self, name: str) -> int:
        """A counter of struct core_counters."""
        return int(self.counters[name][0])

    def symbol(self, row: int) -> str:
        """The instrument in a row."""
        name: bytes = self.instruments.rows[row]["symbol"]
        return name.decode()


def messages_of(path: Path) -> list[tuple[int, bytes]]:
    """(time, message) of a recording; an empty message is a new connection."""
    recording, result, parts = Recording(path), [], b""
    with open_port(f"recording:{recording.path}") as port:
        for frame in port:
            parts += frame.data
            if not frame.flags & 32:
                result.append((frame.time_ns, parts))
                parts = b""
    recording.close()
    return result


def expected_rows(message: Message) -> list[tuple[int, ...]]:
    """(kind, side, price, quantity, id) of each row as events must say it. Raises Refused."""
    result = []
    for side, price, quantity, number, _ in message.rows:
        if quantity < 0:
            raise Refused("negative quantity")
        result.append((KINDS[message.kind], side, units(price, EXPONENT), units(quantity, EXPONENT), number))
    return result


def told_rows(events: np.ndarray) -> list[tuple[int, ...]]:
    """The same of the events themselves."""
    rows = events[np.isin(events["kind"], (6, 10, 13))]
    result: list[Any] = []
    for row in rows:
        number = row["order_id"] if row["kind"] == 13 else row["other_id"]
        result.append(tuple(int(row[name]) for name in ("kind", "side", "price", "quantity")) + (int(number),))
    return result
