"""Seeded streams of whole feeds for book tests: levels and orders, several channels, gaps, snapshots, sequences, states.

Each event comes with its channel. Most of it is plausible; with `hostile` any field may be anything.
"""

import random

from gateway.layout import dtype, value
from tests.naive import ADD, CLEAR, DELETE, EXECUTE, FROM, LEVEL, OVERLAY, REPLACE, SET, THROUGH, TRADE
from tests.naive_trust import (
    GAP,
    INSTRUMENT,
    LOST,
    OF_SNAPSHOT,
    ONE_INSTRUMENT,
    RECOVERED,
    SEQUENCE,
    SNAPSHOT_BEGIN,
    SNAPSHOT_END,
    STATUS,
)

FIELDS = dtype("event").names
KINDS = [kind for kind in range(30) if kind != value("EVENT_CHECKSUM")]  # that one has a twin of its own
EDGES = [0, 1, -1, 100, -100, 6400, -6401, 1 << 40, -(1 << 62), (1 << 62) - 1, 1 << 62, (1 << 63) - 1, -(1 << 63)]
NUMBERS = [0, 1, (1 << 62), (1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
TICKS = [1, 25, 100, 250_000_000, 0, -1, 1 << 40, (1 << 40) + 1]
RARE = (
    [GAP] * 6 + [RECOVERED] * 4 + [SNAPSHOT_BEGIN] * 6 + [CLEAR] * 2 + [STATUS] * 4 + [INSTRUMENT] * 3 + [SNAPSHOT_END, 99]
)


class Feeds:
    """Instruments 0, 3, 6 … hold orders, the others levels; odd ones are numbered per instrument."""

    def __init__(self, seed: int, instruments: int = 9, channels: int = 3, hostile: float = 0.0, rare: float = 0.02):
        self.random = random.Random(seed)
        self.instruments, self.channels, self.hostile, self.rare = instruments, channels, hostile, rare
        self.sequences = [0] * instruments
        self.orders: list[list[int]] = [[] for _ in range(instruments)]
        self.next_id, self.time_ns = 0, 0
        self.waiting: list[tuple[dict[str, int], int]] = []  # of a snapshot that is coming in

    def draw(self) -> tuple[dict[str, int], int]:
        """(event, channel)."""
        if self.waiting and self.random.random() < 0.9:
            return self.waiting.pop(0)
        instrument = self.random.randrange(self.instruments)
        if self.random.random() < self.rare:
            event = self._rare(instrument)
        else:
            event = self._news(instrument)
        channel = instrument % self.channels
        if self.random.random() < self.hostile:
            self._spoil(event)
            channel = self.random.choice([channel, self.random.randrange(self.channels), 255, 256, (1 << 32) - 1])
        return event, channel

    def _event(self, kind: int, instrument: int, **fields: int) -> dict[str, int]:
        self.time_ns += 7
        return dict.fromkeys(FIELDS, 0) | {"kind": kind, "instrument": instrument, "time_receive_ns": self.time_ns} | fields

    def _price(self) -> int:
        roll = self.random.random()
        if roll < 0.9:
            return 100 * int(self.random.gauss(0, 40))
        return int(self.random.gauss(0, 9000)) if roll < 0.99 else self.random.choice(EDGES)

    def _news(self, instrument: int) -> dict[str, int]:
        if instrument % 2 and instrument % 3 == 0 and self.random.random() < 0.4:
            return self._sequence(instrument)
        return self._order(instrument) if instrument % 3 == 0 else self._level(instrument)

    def _sequence(self, instrument: int) -> dict[str, int]:
        first = self.sequences[instrument] + 1
        step = self.random.choice([1, 1, 1, 1, 3, 0, -1, 2])
        number = max(first + step - 1, 1)
        self.sequences[instrument] = max(number, first - 1)
        previous = self.random.choice([first - 1, first - 1, 0, number - 1])
        return self._event(SEQUENCE, instrument, other_id=number, order_id=previous, price=self.random.choice([0, first]))

    def _level(self, instrument: int, **fields: int) -> dict[str, int]:
        roll = self.random
        kind = roll.choice([LEVEL] * 30 + [FROM, THROUGH, OVERLAY, OVERLAY])
        position = roll.randint(1, 6) << 32 if kind != LEVEL or roll.random() < 0.2 else 0
        quantity = 0 if roll.random() < 0.35 else roll.randint(1, 500)
        event = self._event(kind, instrument, side=roll.choice([1, 2]), price=self._price(), quantity=quantity)
        event |= {"order_id": position | roll.randint(0, 9)} | fields
        event["price"] += 0 if abs(event["price"]) > 1 << 60 else -3000 if event["side"] == 1 else 3000
        if instrument % 2 and not event["flags"]:
            self.sequences[instrument] += roll.choice([1] * 40 + [0, 2])
            event["other_id"] = self.sequences[instrument]
        return event

    def _order(self, instrument: int, **fields: int) -> dict[str, int]:
        roll, live = self.random, self.orders[instrument]
        kind = roll.choice([ADD, ADD, ADD, DELETE, DELETE, EXECUTE, REPLACE, SET, TRADE])
        if kind == ADD or not live or fields:
            self.next_id += 1
            live.append(self.next_id)
            event = self._event(ADD, instrument, order_id=self.next_id, side=roll.choice([1, 2]), price=self._price())
            return event | {"quantity": roll.randint(1, 500)} | fields
        order_id = live.pop(roll.randrange(len(live))) if kind in (DELETE, REPLACE) else roll.choice(live)
        event = self._event(kind, instrument, order_id=order_id, price=self._price(), quantity=roll.randint(1, 500))
        if kind == REPLACE:
            self.next_id += 1
            live.append(self.next_id)
            event["other_id"] = self.next_id
        event["flags"] = value("EVENT_REQUEUED") if kind == SET and roll.random() < 0.3 else 0
        return event

    def _rare(self, instrument: int) -> dict[str, int]:
        roll = self.random
        kind = roll.choice(RARE)
        if kind == SNAPSHOT_BEGIN:
            return self._snapshot(instrument)
        event = self._event(kind, instrument)
        if kind == GAP:
            event["flags"] = roll.choice([0, 0, 0, LOST, ONE_INSTRUMENT, ONE_INSTRUMENT | LOST])
        elif kind == STATUS:
            event["quantity"] = roll.choice([1, 1, 2, 5, 5, 6, 7, -1])
        elif kind == INSTRUMENT:
            event |= {"price": roll.choice(TICKS), "order_id": roll.choice([0, 0x4141])}
        return event

    def _snapshot(self, instrument: int) -> dict[str, int]:
        """Queues the rest; now and then the end never comes, or the sequence is an older one."""
        roll, channel = self.random, instrument % self.channels
        make = self._order if instrument % 3 == 0 else self._level
        rows = [make(instrument, flags=OF_SNAPSHOT) for _ in range(roll.randrange(12))]
        self.waiting = [(row, channel) for row in rows]
        if roll.random() < 0.9:
            self.waiting.append((self._event(SNAPSHOT_END, instrument), channel))
        sequence = max(0, self.sequences[instrument] - roll.choice([0, 0, 0, 1, 5]))
        self.sequences[instrument] = sequence
        return self._event(SNAPSHOT_BEGIN, instrument, other_id=sequence)

    def _spoil(self, event: dict[str, int]) -> None:
        roll = self.random
        what = roll.choice(["price", "quantity", "side", "instrument", "order_id", "other_id", "flags", "kind"])
        if what in ("price", "quantity"):
            event[what] = roll.choice(EDGES)
        elif what in ("order_id", "other_id"):
            event[what] = roll.choice([*NUMBERS, roll.randrange(1 << 34)])
        else:
            wild = {"instrument": [self.instruments, (1 << 32) - 1, 0], "side": [0, 1, 2, 3]}
            event[what] = roll.choice(wild.get(what, KINDS if what == "kind" else [*range(256)]))
