"""Seeded streams of events for book tests: plausible, and hostile in every field."""

import random

from gateway.layout import dtype, value
from tests.naive import ADD, CLEAR, DELETE, EXECUTE, REDUCE, REPLACE, SET, TRADE
from tests.naive_trust import GAP, INSTRUMENT, STATUS

FIELDS = dtype("event").names
KINDS = [ADD] * 46 + [DELETE] * 34 + [EXECUTE] * 6 + [REDUCE] * 5 + [REPLACE] * 6 + [SET] * 4 + [TRADE] + [STATUS]
ODD_KINDS = [GAP, CLEAR, INSTRUMENT, value("EVENT_NONE"), value("EVENT_INFORMATION"), value("EVENT_SYSTEM"), 77]
EDGE_PRICES = [0, 1, 99, 100, 6399, 6400, 6401, (1 << 32) - 1, (1 << 32) - 96, 1_999_999_900, 1 << 31, 1 << 32]
EDGE_PRICES += [-1, -100, -6400, -6401, 1 << 40, -(1 << 40), (1 << 62) - 1, (1 << 62) - 4, -(1 << 62), 4 - (1 << 62)]
BAD_PRICES = [1 << 62, (1 << 63) - 1, -(1 << 63), -(1 << 62) - 1]
BAD_QUANTITIES = [0, -1, 1 << 32, -(1 << 63), (1 << 63) - 1]
EDGE_IDS = [0, 1, (1 << 64) - 1, 1 << 63]


class Stream:
    """Draws events; remembers which ids it used, so that most events name an order that is alive."""

    def __init__(self, seed: int, instruments: int = 6, hostile: float = 0.02, live_target: int = 2000):
        self.random = random.Random(seed)
        self.instruments, self.hostile, self.live_target = instruments, hostile, live_target
        self.live: list[list[int]] = []  # order id, instrument, quantity left
        self.next_id, self.sequence = 0, 0

    def draw(self) -> dict[str, int]:
        roll = self.random
        self.sequence += 1
        kind = roll.choice(KINDS)
        if len(self.live) < self.live_target // 2 and kind == DELETE:
            kind = ADD
        if len(self.live) > self.live_target * 3 // 2 and kind == ADD:
            kind = DELETE
        event = dict.fromkeys(FIELDS, 0)
        event.update(sequence=self.sequence, time_receive_ns=self.sequence * 7, kind=kind, message_type=65)
        event.update(quantity=roll.randint(1, 500), price=self._price(), flags=roll.choice([0, 0, 0, 1, 2, 3]))
        if kind == ADD or not self.live:
            self._add(event)
        else:
            self._follow(event)
        if kind in (STATUS, TRADE):
            event["quantity"] = roll.randint(0, 4)
        if roll.random() < self.hostile:
            self._spoil(event)
        return event

    def _price(self) -> int:
        roll = self.random
        kind = roll.random()
        if kind < 0.90:
            return 100 * int(roll.gauss(5000, 60))
        if kind < 0.96:
            return int(roll.gauss(500_000, 2000))
        if kind < 0.98:
            return roll.choice(EDGE_PRICES)
        return roll.randrange(1 << 32) if kind < 0.99 else roll.randrange(-(1 << 62), 1 << 62)

    def _fresh_id(self) -> int:
        self.next_id += self.random.randint(1, 3)
        return self.next_id if self.random.random() < 0.7 else self.random.getrandbits(64)

    def _add(self, event: dict[str, int]) -> None:
        event["instrument"] = self.random.randrange(self.instruments)
        event["kind"], event["order_id"], event["side"] = ADD, self._fresh_id(), self.random.choice([1, 2])
        # bids mostly below asks, so that books are not crossed all the time
        event["price"] += 0 if abs(event["price"]) > 1 << 61 else -4000 if event["side"] == 1 else 4000
        event["other_id"] = int.from_bytes(b"SYM%-5d" % event["instrument"], "little")
        self.live.append([event["order_id"], event["instrument"], event["quantity"]])

    def _follow(self, event: dict[str, int]) -> None:
        position = self.random.randrange(len(self.live))
        order = self.live[position]
        event["order_id"], event["instrument"], left = order
        if event["kind"] == REPLACE:
            event["other_id"] = order[0] = self._fresh_id()
            order[2] = event["quantity"]
        elif event["kind"] == SET:
            event["flags"] = self.random.choice([0, value("EVENT_REQUEUED")])
            order[2] = event["quantity"]
        elif event["kind"] in (EXECUTE, REDUCE):
            event["quantity"] = left if self.random.random() < 0.5 else self.random.randint(1, left)
            order[2] -= event["quantity"]
        if event["kind"] == DELETE or order[2] == 0:
            self.live[position] = self.live[-1]
            self.live.pop()

    def _spoil(self, event: dict[str, int]) -> None:
        roll = self.random
        what = roll.randrange(8)
        if what == 0:
            event["kind"] = roll.choice(ODD_KINDS)
        elif what == 1:
            event["price"] = roll.choice(BAD_PRICES)
        elif what == 2:
            event["quantity"] = roll.choice(BAD_QUANTITIES)
        elif what == 3:
            event["side"] = roll.choice([0, 3, 255])
        elif what == 4:
            event["instrument"] = roll.choice([self.instruments, 65535, 65536, (1 << 32) - 1, 0])
        elif what == 5:
            event["order_id"] = roll.choice([*EDGE_IDS, roll.choice(self.live)[0] if self.live else 0])
        elif what == 6:
            event["other_id"] = roll.choice([*EDGE_IDS, event["order_id"], roll.choice(self.live)[0] if self.live else 0])
        else:
            event["quantity"] = roll.randint(500, 100_000)
