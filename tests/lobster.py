"""Re-encodes a LOBSTER sample day as ITCH 5.0 in MoldUDP64 frames, with what the book must be after each event.

LOBSTER gives events and, after each, the ten best levels a side: aggregated, and only what stands in those ten. So
- the first row seeds the book. A seeded level is split into the orders that later events name there, each as large as
  all that is taken from it, and one rest order that nobody ever names;
- a level that comes into sight by an order that is added there is determined: it is that order;
- a level that comes into sight because a better one left is *unknown*: nobody said what stands there. Events that name
  its older orders are left out and counted. With `learn` it is unknown at that event only: from the next one on it is
  seeded from the file, like the first row;
- a level that is pushed out of sight is deleted order by order: what happens to it out there is not told.
"""

import csv
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from gateway.protocols import itch50, moldudp64, udp

SUBMISSION, CANCELLATION, DELETION, EXECUTION, HIDDEN, HALT = "1", "2", "3", "4", "5", "7"
TAKING = (CANCELLATION, DELETION, EXECUTION)
BUY, SELL = 1, 2  # as enum event_side
LETTERS = {BUY: "B", SELL: "S"}
SIDES = {"1": BUY, "-1": SELL}
EMPTY = 9_999_999_999
LEVELS = 10
LOCATE = 13
SYMBOL = "AAPL"
REST_IDS = 1 << 40  # ids of rest orders: far above those of the day
MESSAGES_PER_FRAME = 24


@dataclass(frozen=True)
class Row:
    """One line of the message file."""

    time_ns: int
    kind: str
    order_id: int
    size: int
    price: int
    side: int


@dataclass
class Order:
    side: int
    price: int
    quantity: int


@dataclass
class Step:
    """The messages of one event, and the ten levels a side that must stand after it: (price, quantity), best first."""

    messages: list[bytes]
    levels: dict[int, list[tuple[int, int]]]
    unknown: dict[int, set[int]] = field(default_factory=dict)  # prices of unknown levels, by side


def read_rows(folder: Path) -> list[Row]:
    """The message file: times become nanoseconds, prices are in 1/10000 already."""
    with next(folder.glob("*_message_10.csv")).open() as file:
        return [
            Row(int(Decimal(time) * 1_000_000_000), kind, int(order_id), int(size), int(price), SIDES[side])
            for time, kind, order_id, size, price, side in csv.reader(file)
        ]


def read_levels(folder: Path) -> list[dict[int, list[tuple[int, int]]]]:
    """The orderbook file: per event and side up to ten (price, quantity), best first."""
    books = []
    with next(folder.glob("*_orderbook_10.csv")).open() as file:
        for line in csv.reader(file):
            cells = [(int(line[at]), int(line[at + 1])) for at in range(0, len(line), 2)]
            sides = {SELL: cells[0::2], BUY: cells[1::2]}
            books.append({side: [cell for cell in sides[side] if abs(cell[0]) != EMPTY] for side in (BUY, SELL)})
    return books


class Encoder:
    """Steps of the day, in order; `counts` says what was left out."""

    def __init__(self, folder: Path, learn: bool = False):
        self.learn = learn
        self.rows, self.books = read_rows(folder), read_levels(folder)
        assert len(self.rows) == len(self.books)
        self.orders: dict[int, Order] = {}
        self.unknown: dict[int, set[int]] = {BUY: set(), SELL: set()}
        self.counts: Counter[str] = Counter()
        self.match, self.rest_id = 0, REST_IDS

    def steps(self) -> Iterator[Step]:
        yield Step(self._opening(), self.books[0], {BUY: set(), SELL: set()})
        for index in range(1, len(self.rows)):
            messages = self._learned(index) if self.learn else []
            messages += self._encode(self.rows[index])
            messages += self._look(index)
            yield Step(messages, self.books[index], {side: set(self.unknown[side]) for side in (BUY, SELL)})

    def _opening(self) -> list[bytes]:
        """Directory, trading state, and the seed: each level as named orders and a rest."""
        time_ns = self.rows[0].time_ns
        messages = [
            self._message("R", time_ns, stock=SYMBOL, round_lot_size=100),
            self._message("H", time_ns, stock=SYMBOL, trading_state="T"),
        ]
        for side in (BUY, SELL):
            for price, quantity in self.books[0][side]:
                messages += self._seed(0, side, price, quantity)
        return messages

    def _seed(self, index: int, side: int, price: int, quantity: int) -> list[bytes]:
        """A level as it stands after event `index`: the orders that later events name, and a rest."""
        named = self._named_orders(index + 1, side, price)
        rest = quantity - sum(named.values())
        assert rest >= 0, f"events take more than there is at {price}"
        if rest:
            named[self.rest_id] = rest
            self.rest_id += 1
        time_ns = self.rows[index].time_ns
        return [self._add(time_ns, order_id, Order(side, price, size)) for order_id, size in named.items()]

    def _learned(self, index: int) -> list[bytes]:
        """Levels unknown after the event before `index`, seeded now."""
        messages = []
        for side in (BUY, SELL):
            for price, quantity in self.books[index - 1][side]:
                if price in self.unknown[side]:
                    messages += self._seed(index - 1, side, price, quantity)
            self.unknown[side].clear()
        return messages

    def _named_orders(self, first: int, side: int, price: int) -> dict[int, int]:
        """Order id → quantity taken from it, for the older orders of a level, as long as the level stays in sight."""
        named: dict[int, int] = defaultdict(int)
        added = set()
        for index in range(first, len(self.rows)):
            row = self.rows[index]
            if (row.side, row.price) == (side, price):
                if row.kind == SUBMISSION:
                    added.add(row.order_id)
                elif row.kind in TAKING and row.order_id not in added:
                    named[row.order_id] += row.size
            if price not in self._prices(index, side):
                break
        return dict(named)

    def _prices(self, index: int, side: int) -> set[int]:
        return {price for price, _ in self.books[index][side]}

    def _encode(self, row: Row) -> list[bytes]:
        self.counts["events"] += 1
        if row.kind == SUBMISSION:
            return [self._add(row.time_ns, row.order_id, Order(row.side, row.price, row.size))]
        if row.kind in TAKING:
            return self._take(row)
        self.match += 1
        if row.kind == HIDDEN:
            order = {"order_reference_number": 0, "buy_sell_indicator": LETTERS[row.side], "shares": row.size}
            fields = order | {"stock": SYMBOL, "price": row.price, "match_number": self.match}
            return [self._message("P", row.time_ns, **fields)]
        assert row.kind == HALT, row
        return [self._message("H", row.time_ns, stock=SYMBOL, trading_state="T" if row.price == 1 else "H")]

    def _take(self, row: Row) -> list[bytes]:
        order = self.orders.get(row.order_id)
        if order is None:
            assert row.price in self.unknown[row.side], f"{row} names an order that should be known"
            self.counts["events_unknown"] += 1
            return []
        assert (order.side, order.price) == (row.side, row.price)
        order.quantity -= row.size
        assert order.quantity >= 0
        if order.quantity == 0:
            del self.orders[row.order_id]
        name = {"order_reference_number": row.order_id}
        if row.kind == EXECUTION:
            self.match += 1
            return [self._message("E", row.time_ns, **name, executed_shares=row.size, match_number=self.match)]
        if row.kind == CANCELLATION:
            return [self._message("X", row.time_ns, **name, canceled_shares=row.size)]
        assert order.quantity == 0, f"{row} deletes an order of another size"
        return [self._message("D", row.time_ns, **name)]

    def _look(self, index: int) -> list[bytes]:
        """What came into sight, and what left it, with event `index`."""
        row, messages = self.rows[index], []
        for side in (BUY, SELL):
            before, now = self._prices(index - 1, side), self._prices(index, side)
            self.unknown[side] &= now
            for price in now - before:
                if (row.kind, row.side, row.price) != (SUBMISSION, side, price):
                    self.unknown[side].add(price)
                    self.counts["levels_appeared_unknown"] += 1
            gone = [key for key, order in self.orders.items() if order.side == side and order.price not in now]
            for order_id in gone:
                price = self.orders.pop(order_id).price
                assert len(now) == LEVELS and (price < min(now) if side == BUY else price > max(now))
                self.counts["orders_out_of_sight"] += 1
                messages.append(self._message("D", row.time_ns, order_reference_number=order_id))
        return messages

    def _add(self, time_ns: int, order_id: int, order: Order) -> bytes:
        assert order_id not in self.orders
        self.orders[order_id] = order
        fields = {"order_reference_number": order_id, "buy_sell_indicator": LETTERS[order.side], "stock": SYMBOL}
        return self._message("A", time_ns, **fields, shares=order.quantity, price=order.price)

    def _message(self, name: str, time_ns: int, **fields: int | str) -> bytes:
        return itch50.encode(name, stock_locate=LOCATE, timestamp=time_ns, **fields)


def capture_of(framed: list[list[bytes]], times_ns: list[int]) -> bytes:
    """A nanosecond pcap file of all frames, each at its event's time."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)]
    for frames_here, time_ns in zip(framed, times_ns, strict=True):
        for frame in frames_here:
            seconds, rest_ns = divmod(time_ns, 1_000_000_000)
            parts += [struct.pack("<IIII", seconds, rest_ns, len(frame), len(frame)), frame]
    return b"".join(parts)


def frames(steps: list[Step], session: str = "LOBSTER", port: int = 26400) -> list[list[bytes]]:
    """Per step the Ethernet frames that carry its messages, on one MoldUDP64 sequence from 1."""
    sequence, framed = 1, []
    for step in steps:
        parts = []
        for first in range(0, len(step.messages), MESSAGES_PER_FRAME):
            messages = step.messages[first : first + MESSAGES_PER_FRAME]
            packet = moldudp64.encode(session, sequence, messages)
            parts.append(udp.frame(packet, destination="233.54.12.111", destination_port=port, source_port=port))
            sequence += len(messages)
        framed.append(parts)
    return framed
