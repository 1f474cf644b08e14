"""JSON depth messages from bytes to book: thread-CPU nanoseconds per message.

ours          protocols/websocket: the decoder of Binance USD-M, its events applied by core/book
orjson        the kept library parses, Python turns texts into units and fills event rows, the same book applies them
msgspec       likewise, with a decoder made for the type of the message

Most of what these two take is Python's, so `parsed` shows what the library alone takes of it.
"""

import time
from decimal import Decimal

import numpy as np

from gateway import limits
from gateway.core.book import apply_event, apply_events
from gateway.core.book_reader import levels
from gateway.core.book_store import OwnedStore
from gateway.core.instruments import make_instruments
from gateway.core.kernel import cached
from gateway.core.memory import address_of, load_u32, store_i64, store_u32
from gateway.errors import CapabilityError
from gateway.layout import dtype, offsets, size, value
from gateway.ops.bench.json_peers import PARSERS, Parse
from gateway.ops.bench.json_stream import Depth, make_depth
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target
from gateway.protocols.websocket.binance import decode
from gateway.venues.websocket import SOME_LEVELS, UNITS, VENUES, make_context

TITLE = "JSON depth messages (Binance USD-M) to an updated book"
METRIC, LEVEL_METRIC, PARSE_METRIC, UNIT = "message", "level", "parsed", "ns"
SEED = 20260
TARGET_NS, TARGET_TIMES = 1000.0, 10.0
LEVELS_TYPICAL = 34  # the median of a recorded day
OURS = "gateway"
NODES, ORDERS = 4096, 512
DECODER, EVENT = offsets("decoder"), offsets("event")
EVENT_BYTES = size("event")
EVENT_LEVEL, SEQUENCE = value("EVENT_LEVEL"), value("EVENT_INSTRUMENT_SEQUENCE")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")


@cached
def _run_stream(decoder, store, data, offsets_, sizes, events, counters):
    """Every message: decode, apply, batch after batch, as the corridor does."""
    total = 0
    for index in range(len(sizes)):
        store_i64(decoder + DECODER.payload, data + offsets_[index])
        store_u32(decoder + DECODER.size, sizes[index])
        store_i64(decoder + DECODER.cursor, 0)
        store_u32(decoder + DECODER.more, 1)
        while load_u32(decoder + DECODER.more) != 0:
            store_u32(decoder + DECODER.more, 0)
            count = decode(decoder)
            apply_events(store, events, count, counters)
            total += count
    return total


class Side:
    """A decoder's memory and a book, for one contender."""

    def __init__(self) -> None:
        self.context, self._keep = make_context(VENUES["binance_usdm"])
        self.instruments = make_instruments(16, price_exponent=UNITS[0], quantity_exponent=UNITS[1])
        self.counters = np.zeros(1, dtype("core_counters"))
        self.events = np.zeros(limits.EVENTS_MAX, dtype("event"))
        self.decoder = np.zeros(1, dtype("decoder"))
        row = self.decoder[0]
        row["context"], row["instruments"] = self.context.address, self.instruments.address
        row["events"], row["counters"] = address_of(self.events), address_of(self.counters)
        self.store = OwnedStore(instruments=16, nodes=NODES, orders=ORDERS)
        self.store.handle["depth"] = SOME_LEVELS

    def run(self, messages: list[bytes]) -> tuple[int, int]:
        """(thread nanoseconds, events) of messages that lie side by side in memory."""
        data = np.frombuffer(b"".join(messages) + bytes(64), np.uint8)
        sizes = np.array([len(message) for message in messages], np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])
        arguments = (address_of(data), starts, sizes, address_of(self.events), address_of(self.counters))
        begin = time.thread_time_ns()
        count = _run_stream(address_of(self.decoder), self.store.address, *arguments)
        return time.thread_time_ns() - begin, int(count)

    def state(self) -> str:
        """Every level of the book, as a checksum of contenders."""
        return repr([levels(self.store.handle, 0, side) for side in (BUY, SELL)])


def run(plan: Plan) -> Result:
    """The same seeded messages for every contender: typical ones, then a mix of all sizes."""
    result = Result("json", TITLE)
    count, rounds = (1000, 7) if plan.quick else (4000, 11)
    kinds = {"typical": make_depth(count, SEED, LEVELS_TYPICAL), "mixed": make_depth(count, SEED + 1)}
    result.settings = {
        "messages": count,
        "rounds": rounds,
        "seed": SEED,
        "clock": "CLOCK_THREAD_CPUTIME_ID",
        "levels_mean": {name: depth.levels / count for name, depth in kinds.items()},
        "bytes_mean": {name: sum(map(len, depth.messages)) / count for name, depth in kinds.items()},
    }
    for name, depth in kinds.items():
        _measure(result, plan, name, depth, rounds)
    return result


def _measure(result: Result, plan: Plan, name: str, depth: Depth, rounds: int) -> None:
    contenders, reference = [_ours(depth)], _final_state(depth)
    for peer, (make, note) in PARSERS.items():
        try:
            contenders.append(_kept(depth, peer, make(), note))
        except CapabilityError as problem:
            result.skipped[peer] = str(problem)
    metrics = [f"{name} {metric}" for metric in (METRIC, LEVEL_METRIC, PARSE_METRIC)]
    rows = interleave(contenders, rounds, dict.fromkeys(metrics, UNIT), reference, plan)
    result.rows += rows
    ours = find(rows, OURS, f"{name} {METRIC}")
    if ours is None:
        result.failures.append("gateway's book differs from the one plain Python made")
        return
    if name == "typical":
        result.targets.append(Target(f"gateway, {LEVELS_TYPICAL} levels a message", median(ours), TARGET_NS, UNIT))
    for peer in PARSERS:
        kept = find(rows, peer, f"{name} {METRIC}")
        if kept is not None:
            result.targets.append(Target(f"{OURS} / {peer}, {name}", times(ours, kept), 1 / TARGET_TIMES, "×"))


def _reading(name: str, spent: int, depth: Depth, state: str) -> Reading:
    count = len(depth.messages)
    return Reading({f"{name} {METRIC}": spent / count, f"{name} {LEVEL_METRIC}": spent / depth.levels}, state)


def _name(depth: Depth) -> str:
    return "typical" if depth.levels == LEVELS_TYPICAL * len(depth.messages) else "mixed"


def _ours(depth: Depth) -> Contender:
    side = Side()
    side.run([depth.messages[0]])  # names the instrument, as the stream does before its snapshot

    def run_round() -> Reading:
        side.run([depth.snapshot])
        spent, _ = side.run(depth.messages)
        return _reading(_name(depth), spent, depth, side.state())

    return Contender(OURS, True, run_round, "numba")


def _kept(depth: Depth, name: str, parse: Parse, note: str) -> Contender:
    side = Side()
    side.run([depth.messages[0]])
    apply, events, counters = _apply_rows, side.events, address_of(side.counters)

    def run_round() -> Reading:
        side.run([depth.snapshot])
        begin = time.thread_time_ns()
        for message in depth.messages:
            first, last, previous, bids, asks = parse(message)
            rows = [(SEQUENCE, 0, first, last, previous, last)]
            for number, pairs in ((BUY, bids), (SELL, asks)):
                rows += [(EVENT_LEVEL, number, _units(price), _units(quantity), 0, 0) for price, quantity in pairs]
            for start in range(0, len(rows), limits.EVENTS_MAX):
                batch = np.array(rows[start : start + limits.EVENTS_MAX], np.int64)
                apply(side.store.address, address_of(events), counters, batch)
        spent = time.thread_time_ns() - begin
        reading = _reading(_name(depth), spent, depth, side.state())
        reading.values[f"{_name(depth)} {PARSE_METRIC}"] = _parse_alone(depth, parse)
        return reading

    return Contender(name, False, run_round, note)


def _parse_alone(depth: Depth, parse: Parse) -> float:
    """Nanoseconds a message of what the library itself does: its texts are no numbers yet, and in no book."""
    begin = time.thread_time_ns()
    for message in depth.messages:
        parse(message)
    return (time.thread_time_ns() - begin) / len(depth.messages)


def _units(text: str) -> int:
    """Eight decimals; the quick way Python has that is exact for plain numbers."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0"))


@cached
def _apply_rows(store, events, counters, rows):
    """Rows of (kind, side, price, quantity, order_id, other_id) as events, applied like ours."""
    for index in range(len(rows)):
        event = events + index * EVENT_BYTES
        for offset in range(0, EVENT_BYTES, 8):
            store_i64(event + offset, 0)
        store_i64(event + EVENT.price, rows[index, 2])
        store_i64(event + EVENT.quantity, rows[index, 3])
        store_i64(event + EVENT.order_id, rows[index, 4])
        store_i64(event + EVENT.other_id, rows[index, 5])
        store_i64(event + EVENT.instrument, rows[index, 0] << 32 | rows[index, 1] << 40)
    for index in range(len(rows)):
        apply_event(store, events + index * EVENT_BYTES, counters)


def _final_state(depth: Depth) -> str:
    """The book in plain Python: what every contender must end with."""
    import json

    books: list[dict[int, int]] = [{}, {}]
    for message in (depth.snapshot, *depth.messages):
        body = json.loads(message)
        body = body.get("data", body)
        for book, keys in zip(books, (("b", "bids"), ("a", "asks")), strict=True):
            for price, quantity in body.get(keys[0], body.get(keys[1])):
                units = int(Decimal(price).scaleb(-UNITS[0]))
                if Decimal(quantity):
                    book[units] = int(Decimal(quantity).scaleb(-UNITS[1]))
                else:
                    book.pop(units, None)
    rows = [
        [(price, book[price], 0) for price in sorted(book, reverse=best)]
        for book, best in zip(books, (True, False), strict=True)
    ]
    return repr(rows)
