"""What PyPI has for order books, beside ours: itchcpp's book manager and hftbacktest's market depth by order.

    ItchcppBooks   takes the very packets of the suite, batch after batch, every symbol; it tells of best prices only
    one_symbol     a day of one symbol, for who keeps one book at a time: `peers` makes contenders of it

What a book holds is compared with the twin of the day. meatpy is left out: it refuses an execution that is not the first
in line, and the synthetic day does not keep lines.
Hard rule: an engine gets its input in the form it takes; making that form is not timed.
"""

import importlib
import importlib.util
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.errors import CapabilityError
from gateway.layout import value
from gateway.ops.bench.itch_day import REACH, Flow, batch_bytes_max, make_flow, write_batch
from gateway.ops.bench.itch_day_file import blocks_in
from gateway.ops.bench.itch_reference import reference_events
from gateway.ops.bench.suite import Contender, Reading

ITCHCPP, HFTBACKTEST = "itchcpp", "hftbacktest"
SOUND = "levels equal the twin's"
PRICE_UNITS = 10_000
SIGNS = ((value("SIDE_BUY"), -1), (value("SIDE_SELL"), 1))
ADD, EXECUTE, REDUCE = value("EVENT_ADD"), value("EVENT_EXECUTE"), value("EVENT_REDUCE")
DELETE, REPLACE = value("EVENT_DELETE"), value("EVENT_REPLACE")


@dataclass(frozen=True)
class OneSymbol:
    """Packets of a day of one symbol, and the day's state behind them."""

    flow: Flow
    data: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    messages: int


def one_symbol(messages: int, seed: int, live_target: int) -> OneSymbol:
    """`messages` messages from an empty morning on; the same for the same seed."""
    flow = make_flow(seed, 1, live_target)
    data = np.zeros(batch_bytes_max(messages), np.uint8)
    offsets, sizes = np.zeros(messages, np.int64), np.zeros(messages, np.int64)
    packets = write_batch(flow, messages, data, offsets, sizes)
    return OneSymbol(flow, data, offsets[:packets], sizes[:packets], messages)


def peers(day: OneSymbol, metric: str) -> tuple[list[Contender], dict[str, str]]:
    """Contenders whose checksum is SOUND, and who is skipped for what reason."""
    found, skipped = [], {}
    for name, (run, note) in ENGINES.items():
        try:
            found.append(Contender(name, False, run(day, metric), note))
        except CapabilityError as problem:
            skipped[name] = str(problem)
    return found, skipped


def _library(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise CapabilityError(f"not installed: pip install {name}, or 'bypass-gateway[peers]'")
    return importlib.import_module(name)


class ItchcppBooks:
    """itchcpp's BookManager over every symbol. Raises CapabilityError where the package is missing."""

    def __init__(self) -> None:
        _library(ITCHCPP)
        self.manager = importlib.import_module("itchcpp.book").BookManager()

    def feed(self, data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, packets: int) -> int:
        """Thread-CPU nanoseconds that the messages of so many packets took."""
        blocks = blocks_in(data, offsets, sizes, packets)
        begin = time.thread_time_ns()
        self.manager.process_stream(blocks)
        return time.thread_time_ns() - begin

    def differences(self, flow: Flow) -> tuple[int, int]:
        """(best prices or their sizes that differ from the twin, sides compared)."""
        wrong = 0
        for symbol in range(1, len(flow.middles)):
            book = self.manager.book_for_symbol(flow.stocks[symbol].tobytes().decode().rstrip())
            bid, ask = (_best(flow, symbol, side, sign) for side, sign in SIGNS)
            wrong += bid != _told(book, "bid")
            wrong += ask != _told(book, "ask")
        return wrong, 2 * (len(flow.middles) - 1)


def _told(book: Any, side: str) -> tuple[int, int] | None:
    """(price, shares) of the best level that a book of itchcpp tells of; it has none before the first order."""
    if book is None or not getattr(book.bbo(), f"has_{side}"):
        return None
    best = book.bbo()
    return round(getattr(best, f"{side}_price") * PRICE_UNITS), getattr(best, f"{side}_shares")


def _best(flow: Flow, symbol: int, side: int, sign: int) -> tuple[int, int] | None:
    """(price, shares) of the twin's best level."""
    places = np.flatnonzero(flow.counts[symbol, side - 1])
    if len(places) == 0:
        return None
    price = flow.middles[symbol] + sign * places[0] * flow.steps[symbol]
    return int(price), int(flow.levels[symbol, side - 1, places[0]])


def _itchcpp(day: OneSymbol, metric: str) -> Any:
    ItchcppBooks()

    def run_round() -> Reading:
        books = ItchcppBooks()
        spent = books.feed(day.data, day.offsets, day.sizes, len(day.offsets))
        wrong, _ = books.differences(day.flow)
        return Reading({metric: spent / day.messages}, f"{wrong} best prices differ" if wrong else SOUND)

    return run_round


def _hftbacktest(day: OneSymbol, metric: str) -> Any:
    library = _library(HFTBACKTEST)
    rows = _order_rows(day, library)
    tick = int(day.flow.steps[1])

    def run_round() -> Reading:
        asset = library.BacktestAsset().linear_asset(1.0).constant_order_latency(0, 0).l3_fifo_queue_model()
        asset = asset.no_partial_fill_exchange().trading_value_fee_model(0, 0).tick_size(tick / PRICE_UNITS).lot_size(1)
        asset.add_data(rows)
        backtest = library.HashMapMarketDepthBacktest([asset])
        begin = time.thread_time_ns()
        backtest.elapse(int(rows["local_ts"][-1]))
        spent = time.thread_time_ns() - begin
        wrong = _depth_differences(backtest.depth(0), day.flow)
        backtest.close()
        return Reading({metric: spent / day.messages}, f"{wrong} levels differ" if wrong else SOUND)

    return run_round


def _depth_differences(depth: Any, flow: Flow) -> int:
    """Levels of the local depth whose quantity is not the twin's."""
    wrong = 0
    for side, sign in SIGNS:
        quantity_at = depth.bid_qty_at_tick if sign < 0 else depth.ask_qty_at_tick
        for place in range(REACH + 1):
            tick = int(flow.middles[1] // flow.steps[1]) + sign * place
            wrong += quantity_at(tick) != flow.levels[1, side - 1, place]
    return wrong


def _order_rows(day: OneSymbol, library: Any) -> np.ndarray:
    """The day's events as hftbacktest's: what is left of an order instead of what was taken, a replacement as two."""
    kinds = importlib.import_module("hftbacktest.types")
    both = kinds.EXCH_EVENT | kinds.LOCAL_EVENT
    sides = {SIGNS[0][0]: both | kinds.BUY_EVENT, SIGNS[1][0]: both | kinds.SELL_EVENT}
    live: dict[int, tuple[int, int, int]] = {}  # side, price, shares
    rows: list[tuple[int, int, float, int, int]] = []

    def tell(kind: int, time_ns: int, order_id: int, order: tuple[int, int, int]) -> None:
        rows.append((kind | sides[order[0]], time_ns, order[1] / PRICE_UNITS, order[2], order_id))

    for event in reference_events(day.data, day.offsets, day.sizes, 0):
        kind, at, order_id = int(event["kind"]), int(event["time_venue_ns"]), int(event["order_id"])
        if kind == ADD:
            live[order_id] = (int(event["side"]), int(event["price"]), int(event["quantity"]))
            tell(kinds.ADD_ORDER_EVENT, at, order_id, live[order_id])
        elif kind in (DELETE, REPLACE):
            gone = live.pop(order_id)
            tell(kinds.CANCEL_ORDER_EVENT, at, order_id, gone)
            if kind == REPLACE:
                order_id = int(event["other_id"])
                live[order_id] = (gone[0], int(event["price"]), int(event["quantity"]))
                tell(kinds.ADD_ORDER_EVENT, at, order_id, live[order_id])
        elif kind in (EXECUTE, REDUCE):
            side, price, shares = live[order_id]
            left = live[order_id] = (side, price, shares - int(event["quantity"]))
            tell(kinds.MODIFY_ORDER_EVENT if left[2] else kinds.CANCEL_ORDER_EVENT, at, order_id, left)
            if not left[2]:
                del live[order_id]
    out = np.zeros(len(rows), importlib.import_module("hftbacktest.binding").event_dtype)
    for name, column in zip(("ev", "exch_ts", "px", "qty", "order_id"), zip(*rows, strict=True), strict=True):
        out[name] = column
    out["local_ts"] = out["exch_ts"]
    return out


ENGINES = {
    ITCHCPP: (_itchcpp, "C++ behind Python, from length-prefixed bytes; its best prices and sizes are compared"),
    HFTBACKTEST: (
        _hftbacktest,
        "Rust behind Python; events made before, so it decodes nothing, but keeps two books of each",
    ),
}
