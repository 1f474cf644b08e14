"""ITCH 5.0 packets to full-depth books over 8,000 symbols: thread-CPU nanoseconds per message, and the books checked.

A hundred batches of a seeded flow, each written, decoded and applied in turn; after each, every level of every book equals
the dense twin of itch_day.py. Decoding alone is measured on the same packets, so that what the books cost stands by itself.

own C hash map, own C++ maps     take the same batches after ours (book_native.py), and every level of theirs is compared too
itchcpp                          takes the same batches, every symbol; its best prices are compared
hftbacktest                      keeps one book at a time: a day of one symbol, every contender from its first message on
real ES orders                   a recording, where there is one (book_es.py)
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from gateway import limits
from gateway.core.book import apply_events, begin_session
from gateway.core.book_depth import best_level, next_level
from gateway.core.book_rows import book_of
from gateway.core.book_store import OwnedStore
from gateway.core.kernel import cached
from gateway.core.levels import level_at, price_of, side_of
from gateway.core.memory import load_i64, load_u32
from gateway.errors import CapabilityError
from gateway.layout import dtype, offsets, size
from gateway.ops.bench import book_es
from gateway.ops.bench.book_native import NAMES, NOTE, NativeBooks
from gateway.ops.bench.book_peers import ITCHCPP, SOUND, ItchcppBooks, OneSymbol, one_symbol, peers
from gateway.ops.bench.itch_day import LIVE_ORDERS, REACH, SYMBOLS, Flow, batch_bytes_max, make_flow, write_batch
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Row, Target
from gateway.protocols.itch50_decode import decode_packet, make_table

TITLE = "ITCH 5.0 packets to full-depth books of 8,000 symbols"
UNIT = "ns/msg"
SEED = 20261
CHECKPOINTS = 100
WARMING = 4  # one packet of so many fills the caches again, untimed
EVENTS_PER_BATCH = 256  # decoded before they are applied, as when the core works off a burst
TARGET_NS, TARGET_RATIO = 35.0, 1.0
OURS, OWN_C = "gateway", "own C hash map"
METRIC, METRIC_ONE = "feed to book, batches", "feed to book, one symbol"
ONE_LIVE_ORDERS = 2_000
EVENT_BYTES = size("event")
LEVEL = offsets("level")
Books = ItchcppBooks | NativeBooks


@cached
def _decode(table, data, offsets_here, sizes, packets, events, counters):
    total = 0
    for index in range(packets):
        total += decode_packet(table, data + offsets_here[index], sizes[index], 0, 1, events, counters)
    return total


@cached
def _feed(table, data, offsets_here, sizes, packets, events, counters, store, wanted):
    total = count = 0
    for index in range(packets):
        target = events + count * EVENT_BYTES
        count += decode_packet(table, data + offsets_here[index], sizes[index], 0, 1, target, counters)
        if count >= wanted or index + 1 == packets:
            apply_events(store, events, count, counters)
            total, count = total + count, 0
    return total


@cached
def _differences(store, middles, steps, levels, counts):
    """Levels that differ between the books and the twin, and levels compared."""
    wrong = compared = 0
    for symbol in range(1, len(middles)):
        for number in (1, 2):
            side, towards = side_of(book_of(store, symbol), number), steps[symbol] * (1 if number == 2 else -1)
            index = best_level(store, side, number)
            for place in range(REACH + 1):
                if counts[symbol, number - 1, place] == 0:
                    continue
                compared += 1
                price = middles[symbol] + place * towards
                level = level_at(store, index)
                same = index != 0 and price_of(store, index) == price
                same = same and load_i64(level + LEVEL.quantity) == levels[symbol, number - 1, place]
                wrong += not (same and load_u32(level + LEVEL.orders) == counts[symbol, number - 1, place])
                index = next_level(store, side, number, price)
            wrong += index != 0
    return wrong, compared


class _Run:
    """The store, the flow and the scratch of one run."""

    def __init__(self, messages: int, symbols: int, live_target: int):
        self.batch = messages // CHECKPOINTS
        self.flow: Flow = make_flow(SEED, symbols, live_target)
        self.store, self.table = OwnedStore(), make_table()
        self.counters, self.scratch = (np.zeros(1, dtype("core_counters")) for _ in range(2))
        self.events = np.zeros(EVENTS_PER_BATCH + limits.EVENTS_MAX, dtype("event"))
        self.data = np.zeros(batch_bytes_max(self.batch), np.uint8)
        self.offsets, self.sizes = (np.zeros(self.batch, np.int64) for _ in range(2))
        begin_session(self.store.address, 1)

    def next_batch(self, wanted: int) -> tuple[float, float]:
        """Writes, decodes and applies one batch: nanoseconds per message of decoding alone, and of the whole.

        Who had the CPU before has emptied its caches: the first packets fill them again, and are not timed.
        """
        packets = write_batch(self.flow, self.batch, self.data, self.offsets, self.sizes)
        self.parts = (slice(0, packets // WARMING), slice(packets // WARMING, packets))
        head, tail = (
            (self.table.ctypes.data, self.data.ctypes.data, self.offsets[part], self.sizes[part], part.stop - part.start)
            for part in self.parts
        )
        applied = (self.counters.ctypes.data, self.store.address, wanted)
        warmed = _feed(*head, self.events.ctypes.data, *applied)
        begin = time.thread_time_ns()
        decoded = _decode(*tail, self.events.ctypes.data, self.scratch.ctypes.data)
        middle = time.thread_time_ns()
        self.measured = _feed(*tail, self.events.ctypes.data, *applied)
        end = time.thread_time_ns()
        assert decoded == self.measured == self.batch - warmed
        return (middle - begin) / self.measured, (end - middle) / self.measured

    def differences(self) -> tuple[int, int]:
        """(levels that differ, levels compared)."""
        flow = self.flow
        return _differences(self.store.address, flow.middles, flow.steps, flow.levels, flow.counts)


def run(plan: Plan, messages: int = 0, symbols: int = SYMBOLS, live_target: int = LIVE_ORDERS) -> Result:
    """Follows the flow from an empty morning; every second batch is applied packet by packet, as when the core keeps up."""
    messages = messages or (2_000_000 if plan.quick else 10_000_000)
    result = Result("book", TITLE)
    plan.report(0.0, "compiling")
    _Run(CHECKPOINTS * 100, 10, 500).next_batch(EVENTS_PER_BATCH)
    here = _Run(messages, symbols, live_target)
    rows = {
        name: Row(OURS, name, UNIT, True, True, [])
        for name in ("decode", "feed to book, batches", "book, batches", "feed to book, packets", "book, packets")
    }
    compared, beside = 0, _beside(result, rows)
    for checkpoint in range(CHECKPOINTS):
        plan.report(checkpoint / CHECKPOINTS, f"checkpoint {checkpoint + 1}")
        kind = "batches" if checkpoint % 2 == 0 else "packets"
        decode, whole = here.next_batch(EVENTS_PER_BATCH if kind == "batches" else 1)
        for name, spent in (("decode", decode), (f"feed to book, {kind}", whole), (f"book, {kind}", whole - decode)):
            rows[name].samples.append(spent)
        for name, books in beside.items():
            _take(books, rows[name], here, kind == "batches")
        wrong, count = here.differences()
        compared += count
        if wrong or here.counters["reasons"].any():
            result.failures.append(f"checkpoint {checkpoint + 1}: {wrong} of {count} levels differ from the twin")
    _judge(result, rows, here, compared)
    _one_symbol(result, plan)
    try:
        book_es.measure(result, plan, OURS, "ns/event", EVENTS_PER_BATCH)
    except CapabilityError as problem:
        result.skipped[book_es.METRIC] = str(problem)
    return result


def _beside(result: Result, rows: dict[str, Row]) -> dict[str, Books]:
    """Who keeps the books of every symbol beside ours, with their rows, where a compiler or the package is."""
    makers: dict[str, Callable[[], Books]] = {name: partial(NativeBooks, name) for name in NAMES}
    notes = dict.fromkeys(NAMES, NOTE) | {ITCHCPP: "from length-prefixed bytes; its best prices are compared"}
    found = {}
    for name, make in (makers | {ITCHCPP: ItchcppBooks}).items():
        try:
            found[name] = make()
        except CapabilityError as problem:
            result.skipped[name] = str(problem)
            continue
        rows[name] = Row(name, METRIC, UNIT, False, True, [], notes[name])
    return found


def _take(beside: Books, row: Row, here: _Run, measured: bool) -> None:
    """Feeds the batch that ours has had; a sample of it when that was measured under the same metric."""
    for part in here.parts:
        spent = beside.feed(here.data, here.offsets[part], here.sizes[part], part.stop - part.start)
    if measured:
        row.samples.append(spent / here.measured)
        row.correct = row.correct and beside.differences(here.flow)[0] == 0


def _one_symbol(result: Result, plan: Plan) -> None:
    """The same day of one symbol for ours and for engines that keep one book."""
    messages, rounds = (100_000, 5) if plan.quick else (300_000, 11)
    day = one_symbol(messages, SEED, ONE_LIVE_ORDERS)
    contenders, skipped = peers(day, METRIC_ONE)
    result.skipped |= skipped
    result.settings["one_symbol"] = {"messages": messages, "live_orders": int(day.flow.totals["live"][0])}
    rows = interleave([_ours(day), *contenders], rounds, {METRIC_ONE: UNIT}, SOUND, plan)
    result.rows += rows
    if find(rows, OURS, METRIC_ONE) is None:
        result.failures.append("one symbol: levels differ from the twin")


def _ours(day: OneSymbol) -> Contender:
    """One store for all rounds, so that its pages are there, as in `gateway run`; each round begins a session."""
    store, table = OwnedStore(), make_table()
    events, flow = np.zeros(EVENTS_PER_BATCH + limits.EVENTS_MAX, dtype("event")), day.flow

    def run_round() -> Reading:
        counters = np.zeros(1, dtype("core_counters"))
        begin_session(store.address, 1)
        packed = (table.ctypes.data, day.data.ctypes.data, day.offsets, day.sizes, len(day.offsets), events.ctypes.data)
        begin = time.thread_time_ns()
        applied = _feed(*packed, counters.ctypes.data, store.address, EVENTS_PER_BATCH)
        spent = time.thread_time_ns() - begin
        wrong, _ = _differences(store.address, flow.middles, flow.steps, flow.levels, flow.counts)
        sound = applied == day.messages and not wrong and not counters["reasons"].any()
        return Reading({METRIC_ONE: spent / day.messages}, SOUND if sound else f"{wrong} levels differ")

    return Contender(OURS, True, run_round, "decodes the packets, 256 events at a time")


def _judge(result: Result, rows: dict[str, Row], here: _Run, compared: int) -> None:
    for row in rows.values():
        row.correct = row.correct and (not row.ours or not result.failures)
    result.rows = list(rows.values())
    result.settings = {
        "messages": here.batch * CHECKPOINTS,
        "symbols": len(here.flow.middles) - 1,
        "live_orders": int(here.flow.totals["live"][0]),
        "seed": SEED,
        "checkpoints": CHECKPOINTS,
        "levels_compared": compared,
        "events_per_batch": EVENTS_PER_BATCH,
        "untimed_share": 1 / WARMING,
        "clock": "CLOCK_THREAD_CPUTIME_ID",
    }
    if not result.failures:
        result.notes.append(f"{compared:,} levels at {CHECKPOINTS} checkpoints equal the twin's")
    for name in (METRIC, "book, batches"):
        result.targets.append(Target(name, median(rows[name]), TARGET_NS, UNIT))
    theirs = find(result.rows, OWN_C, METRIC)
    if theirs is not None:
        result.targets.append(Target(f"{OURS} / {OWN_C}", times(rows[METRIC], theirs), TARGET_RATIO, "×"))
