"""A simulated venue and the corridor in one process on one simulated clock, frame by frame, with an all-seeing referee.

    Bench (venue) ── frames ──► io_core ─ core step ─ core_io ── orders, requests ──► Bench

The test stands in for io and for the wire, so a seed and the settings fix every byte. The referee reads what the venue
said out of its store, lost packets included, and replays it into plain books: whatever book of the corridor calls itself
healthy must equal them at the corridor's own sequence, at any moment; and no order may leave on a book that is stale.
A snapshot may run ahead of lines that wait for a late packet: a book healed by it stands at the snapshot's sequence until
the corridor has caught up.
"""

import ctypes
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.core import book_reader, ring
from gateway.core.memory import address_of
from gateway.instance import Instance, handle_address
from gateway.ops.appliance import CoreStage
from gateway.ops.limit_block import prepare_account
from gateway.protocols import itch50, moldudp64, ouch50
from gateway.protocols.headers import carried_by
from gateway.venues.simulator.flow import Bench
from gateway.venues.simulator.settings import Settings
from tests.corridor_bench import configuration
from tests.naive_venue import FeedBooks
from tests.venues.desk import ADDRESSES, HEADERS

EAGER = '''
"""One small order, far from trading, for every eighth message that leaves its book two-sided."""

from gateway.core.strategy import DAY, buy


def on_event(state, event, book, orders):
    if event.sequence % 8 == 0 and book.ask_quantity > 0 and book.bid_quantity > 0:
        buy(orders, book.instrument, 1, book.bid_price - 1000, DAY)
'''
SICK = layout.value("BOOK_STALE") | layout.value("BOOK_FAULT")
VALID = layout.value("BOOK_VALID")
SLOT_BYTES = layout.value("VENUE_STORE_SLOT_BYTES")
ORDERS_MAX = 256
MAC_SNAPSHOTS = ADDRESSES.snapshots.hardware_bytes


class Healing:
    """Venue, corridor and referee; `run` moves time, `problems` says what was wrong, `counts` what happened."""

    def __init__(self, folder: Path, settings: Settings, check_every: int = 5, **keys: Any):
        (folder / "strategy.py").write_text(EAGER)
        self.bench = Bench(settings, depth=4096)
        self.settings = settings
        self.truth, self.applied = FeedBooks(), 0
        self.ahead: dict[int, tuple[int, FeedBooks]] = {}  # locate -> sequence and book of the last whole snapshot
        self._part: list[dict[str, Any]] = []
        self._snapshot_sequence = 0
        chosen = configuration(folder / "strategy.py", **{"risk__stale_ms": 60_000, **keys})
        self.instance = Instance.create(chosen.instance.name)
        prepare_account(self.instance, chosen)
        self.instance.rings["core_journal"].view("ring_header")["reliable"] = 0
        self.core = CoreStage(self.instance, chosen)
        self._frames: Any = self.instance.writer("io_core")
        self._orders: Any = self.instance.reader("core_io")
        self._batch = np.zeros((ORDERS_MAX, 256), np.uint8)
        stage = self.core.stage()
        self._step = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(stage.step)
        self._context = stage.context
        self.check_every, self.steps = check_every, 0
        self.problems: list[str] = []
        self.counts: dict[str, int] = defaultdict(int)
        self.sick_since: dict[int, int] = {}
        self.sick_ns: list[int] = []

    def close(self) -> None:
        self.instance.close(remove=True)

    # the wire

    def _record(self, frame: bytes, flags: int = 0) -> None:
        header = np.zeros(1, dtype=layout.dtype("frame_slot"))
        header["size"], header["flags"], header["time_receive_ns"] = len(frame), flags, self.bench.clock[0]
        data = np.frombuffer(frame or b"\0", np.uint8)
        size = layout.size("frame_slot")
        assert ring.put(handle_address(self._frames), address_of(header), size, address_of(data), len(frame))
        before = self._sick()
        self._step(self._context)
        self._send(before & self._sick())

    def _send(self, sick: set[int]) -> None:
        """What the core sent goes to the venue; an order for a book that was stale before and after is a problem."""
        count = int(ring.drain(handle_address(self._orders), address_of(self._batch), ORDERS_MAX))
        ring.acknowledge_drained(handle_address(self._orders))
        header_bytes = layout.size("order_slot")
        for row in self._batch[:count]:
            frame = row[header_bytes : header_bytes + int(row[8:12].view("<u4")[0])].tobytes()
            carried = carried_by(frame)
            if carried.flow[3] == ADDRESSES.venue.port:
                order = ouch50.decode(carried.payload, "inbound")
                self.counts["orders"] += 1
                if "symbol" in order and int(order["symbol"][3:]) + 1 in sick:
                    self.problems.append(f"step {self.steps}: an order for {order['symbol']}, whose book is stale")
            elif carried.flow[3] == ADDRESSES.requests.port:
                self.counts["requests"] += 1
            self.bench.send(frame)

    # the referee

    def _hear_snapshot(self, packet: moldudp64.Packet) -> None:
        """Reads the snapshot channel along; a packet that was lost spoils the snapshot it belongs to."""
        if packet.sequence != self._snapshot_sequence:
            self._part = []
        self._snapshot_sequence = packet.sequence + len(packet.messages)
        for raw in packet.messages:
            message = itch50.decode(raw, itch50.SNAPSHOT_MESSAGES)
            self._part = [message] if raw[:1] == b"g" else [*self._part, message]
            if raw[:1] == b"G" and self._part[0]["message_type"] == "g":
                book = FeedBooks()
                for said in self._part:
                    book.apply(said)
                self.ahead[message["stock_locate"]] = message["sequence_number"], book

    def _sick(self) -> set[int]:
        flags = book_reader.books(self.core.store)["flags"][1 : self.settings.symbols + 1]
        return {index + 1 for index in np.flatnonzero(flags & SICK)}

    def _said(self, sequence: int) -> dict[str, Any]:
        state = self.bench.venue.state[0]
        slot = int(state["store"]) + (sequence & (int(state["store_messages"]) - 1)) * SLOT_BYTES
        data = ctypes.string_at(slot, SLOT_BYTES)
        return itch50.decode(data[2 : 2 + int.from_bytes(data[:2], "big")])

    def next_sequence(self) -> int:
        """What the corridor waits for on its first channel."""
        return int(self.core.channels.rows[0]["next_sequence"])

    def compare(self) -> None:
        """Every healthy book against the truth at the corridor's sequence."""
        while self.applied + 1 < self.next_sequence():
            self.applied += 1
            self.truth.apply(self._said(self.applied))
        sick, rows = self._sick(), book_reader.books(self.core.store)
        for locate in range(1, self.settings.symbols + 1):
            if locate in sick or not rows[locate]["flags"] & VALID:
                continue
            self.counts["compared"] += 1
            ours = [self._ours(locate, reader) for reader in (book_reader.BUY, book_reader.SELL)]
            sequence, snapshot = self.ahead.get(locate, (0, self.truth))
            truths = [self.truth, snapshot] if sequence > self.applied else [self.truth]
            if ours not in [[truth.levels(locate, side) for side in "BS"] for truth in truths]:
                self.problems.append(f"step {self.steps}: book {locate} is wrong at {self.applied}, snapshot {sequence}")

    def _ours(self, locate: int, side: int) -> list[tuple[int, ...]]:
        return [tuple(row) for row in book_reader.levels(self.core.store, locate, side)]

    def _note_health(self) -> None:
        now_ns, sick = int(self.bench.clock[0]), self._sick()
        for locate in sick - set(self.sick_since):
            self.sick_since[locate] = now_ns
        for locate in set(self.sick_since) - sick:
            self.sick_ns.append(now_ns - self.sick_since.pop(locate))

    def miss(self, seconds: float, step_ns: int = 50_000) -> None:
        """Time moves and the venue speaks, but the corridor is not there yet."""
        for _ in range(round(seconds * 1e9 / step_ns)):
            self.bench.advance(step_ns)
            self.bench.collect()

    def run(self, seconds: float, step_ns: int = 50_000) -> None:
        """Moves time in steps; each step's frames go over one by one, and a time record behind them."""
        for _ in range(round(seconds * 1e9 / step_ns)):
            self.steps += 1
            self.bench.advance(step_ns)
            for frame in self.bench.collect():
                if frame[:6] == MAC_SNAPSHOTS:
                    self._hear_snapshot(moldudp64.decode(frame[HEADERS:]))
                self._record(frame)
            self._record(b"", layout.value("FRAME_TIME"))
            self._note_health()
            if self.steps % self.check_every == 0:
                self.compare()

    @property
    def counters(self) -> Any:
        """The core's counters."""
        return self.instance.counters[0]["core"]
