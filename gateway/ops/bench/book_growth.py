"""Books as they grow: symbols and live orders, nanoseconds for a message and bytes of memory, every level checked.

A point is a store of its own and a flow (itch_day.py) that has reached its live orders; after that, a few batches are
measured. A pass makes every point once, each with a seed of its own, so that passes stand as far apart as rounds elsewhere.
Hard rule: the levels of every book equal the twin's before the first and after the last measured batch.
"""

import ctypes
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gateway import limits
from gateway.core.book import begin_session
from gateway.core.book_store import OwnedStore, books_bytes, levels_bytes, orders_bytes
from gateway.core.memory import address_of
from gateway.layout import dtype, size
from gateway.ops.bench.growth_kernels import feed_packets, wrong_levels
from gateway.ops.bench.itch_day import REACH, batch_bytes_max, make_flow, write_batch
from gateway.ops.bench.suite import Row
from gateway.protocols.itch50_decode import make_table

SYMBOLS = (100, 1000, 10_000)
LIVE_ORDERS = (100_000, 500_000, 1_000_000, 2_000_000)
SEED = 20262
BATCH, BATCHES = 20_000, 5  # messages; batches measured at each point
EVENTS_PER_BATCH = 256  # as in the suite `book`
MESSAGES_FOR_EACH_ORDER_MAX = 3  # until the live orders are there
PAGE_BYTES, MEBIBYTE = 4096, 1 << 20
CONFIGURED = "configured"
assert max(LIVE_ORDERS) <= limits.BOOK_ORDERS_MAX // 2, "half the rows of the order table are used at most"


@dataclass(frozen=True)
class Point:
    """One store in one size."""

    symbols: int
    live_orders: int

    @property
    def curve(self) -> str:
        """The name of its curve."""
        return f"{self.symbols:,} symbols"

    @property
    def place(self) -> str:
        """Where on the curve it stands."""
        return f"at {self.live_orders:,} live orders"


class Books:
    """A store and a flow, with room for one batch."""

    def __init__(self, point: Point, seed: int):
        self.point = point
        self.flow = make_flow(seed, point.symbols, point.live_orders)
        self.store, self.table = OwnedStore(), make_table()
        self.counters = np.zeros(1, dtype("core_counters"))
        self.events = np.zeros(EVENTS_PER_BATCH + limits.EVENTS_MAX, dtype("event"))
        self.data = np.zeros(batch_bytes_max(BATCH), np.uint8)
        self.places, self.sizes = (np.zeros(BATCH, np.int64) for _ in range(2))
        begin_session(self.store.address, 1)

    def next_batch(self) -> float:
        """Nanoseconds for a message, decoded and applied."""
        packets = write_batch(self.flow, BATCH, self.data, self.places, self.sizes)
        where = [address_of(array) for array in (self.table, self.data, self.places, self.sizes)]
        counted = (address_of(self.events), address_of(self.counters))
        begin = time.thread_time_ns()
        applied = feed_packets(*where, packets, *counted, self.store.address, EVENTS_PER_BATCH)
        end = time.thread_time_ns()
        assert applied == BATCH
        return (end - begin) / BATCH

    def fill(self) -> None:
        """Goes on until the live orders are there."""
        for _ in range(self.point.live_orders * MESSAGES_FOR_EACH_ORDER_MAX // BATCH + 1):
            if self.live() >= self.point.live_orders:
                return
            self.next_batch()

    def live(self) -> int:
        """Orders that live now, by the flow's own count."""
        return int(self.flow.totals["live"][0])

    def used_bytes(self) -> int:
        """Of the rows of books and nodes that have been in use."""
        handle = self.store.handle[0]
        nodes = max(int(handle["leaves_used"]), int(handle["branches_used"]))
        return self.point.symbols * size("book") + nodes * size("book_node")

    def differences(self) -> int:
        """Levels that differ from the twin's, and refusals that the store has counted."""
        flow = self.flow
        arrays = [address_of(array) for array in (flow.middles, flow.steps, flow.levels, flow.counts)]
        wrong = int(wrong_levels(self.store.address, self.point.symbols, REACH, *arrays))
        return wrong + int(self.counters["reasons"].sum())


def resident_bytes(body: np.ndarray) -> int:
    """Bytes of an array whose pages are in memory."""
    begin = address_of(body) // PAGE_BYTES * PAGE_BYTES
    length = address_of(body) + body.nbytes - begin
    pages = np.zeros(length // PAGE_BYTES + 1, np.uint8)
    library = ctypes.CDLL(None, use_errno=True)
    library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    if library.mincore(begin, length, address_of(pages)) != 0:
        raise OSError(ctypes.get_errno(), "mincore")
    return int((pages & 1).sum()) * PAGE_BYTES


def measure(points: Sequence[Point], passes: int) -> Iterator[tuple[str, list[Row], list[str]]]:
    """Yields (what comes next, rows, failures) before each point of each pass; the last yield has them all."""
    rows: dict[tuple[str, str], Row] = {}
    failures: list[str] = []
    for turn in range(passes):
        for index, point in enumerate(points):
            yield f"books: {point.curve}, {point.live_orders:,} orders", [], []
            books = Books(point, SEED + turn * len(points) + index)
            books.fill()
            _measure_one(books, rows, failures)
    yield "books", list(rows.values()) + _configured(), failures


def _measure_one(books: Books, rows: dict[tuple[str, str], Row], failures: list[str]) -> None:
    point = books.point
    wrong = books.differences()
    samples = [books.next_batch() for _ in range(BATCHES)] if not wrong else []
    wrong += books.differences()
    if wrong:
        failures.append(f"{point.curve} {point.place}: {wrong} levels differ from the twin, or orders were refused")
        return
    live, resident = books.live(), [resident_bytes(body) for body in books.store.memory]
    told = {  # resident: huge pages and all
        ("feed to book", "ns/msg"): samples,
        ("order table", "bytes/order"): [resident[2] / live],
        ("books and levels in use", "bytes/symbol"): [books.used_bytes() / point.symbols],
        ("store, resident", "MiB"): [sum(resident) / MEBIBYTE],
    }
    for (what, unit), values in told.items():
        metric = f"{what} {point.place}"
        rows.setdefault((point.curve, metric), Row(point.curve, metric, unit, True, True, [])).samples += values


def _configured() -> list[Row]:
    """What the store has room for: the sizes of limits.py."""
    told = [
        ("order table", "bytes/order", orders_bytes() / (limits.BOOK_ORDERS_MAX // 2)),
        ("order table", "MiB", orders_bytes() / MEBIBYTE),
        ("books", "bytes/symbol", books_bytes() / limits.INSTRUMENTS_MAX),
        ("books", "MiB", books_bytes() / MEBIBYTE),
        ("levels", "bytes/64 prices", levels_bytes() / limits.BOOK_NODES_MAX),
        ("levels", "MiB", levels_bytes() / MEBIBYTE),
    ]
    return [
        Row(CONFIGURED, f"{what}, room" if "/" in unit else what, unit, True, True, [number]) for what, unit, number in told
    ]
