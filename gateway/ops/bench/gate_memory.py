"""The memory of the gate suite: everything behind one struct order_path, for thousands of instruments that may be traded.

Hard rule: two gates over it find the same state at the start of every round; a decision changes nothing but counters and
the bucket.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.core.limit_units import ALWAYS_NS, multiple, rate_words
from gateway.core.memory import FRACTION_ONE, SCALED_MAX, address_of
from gateway.core.order_path import make_order_path
from gateway.native import address, ffi, lib

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
MIDDLE, TICK, QUANTITY = 1_000_100, 100, 100
RECENT_LINES, RING_DEPTH, SLOT_BYTES = 1 << 14, 64, 128


class GateMemory:
    """Instruments 0 to `instruments` - 1, one strategy, one group, one currency; an intent for each instrument."""

    def __init__(self, instruments: int):
        self.gate = lines(layout.size("gate_account") + instruments * layout.size("gate_row"))
        self.account = self.gate[: layout.size("gate_account")].view(layout.dtype("gate_account"))
        self.rows = self.gate[layout.size("gate_account") :].view(layout.dtype("gate_row"))
        self.books = _rows("book", instruments)
        self.intents = _rows("intent", instruments)
        self.control = _rows("control_block", 1)
        self.holdings = _rows("gate_holding", instruments * layout.value("GATE_STRATEGIES"))
        rings = [_ring() for _ in range(2)]
        keep = [_rows(name, count) for name, count in (("gate_window", instruments), ("gate_recent", RECENT_LINES))]
        keep += [_rows("gate_executions", 1), _rows("fill", 16), _rows("core_counters", 1), _rows("order_template", 1)]
        windows, recent, executions, fills, counters, frames = (address_of(array) for array in keep)
        orders = lines(layout.size("order_table") + 16 * layout.size("order"))
        self.path = make_order_path(
            gate=address_of(self.gate),
            books=address_of(self.books),
            control=address_of(self.control),
            orders=address_of(orders),
            fills=fills,
            core_io=address(rings[0][1]),
            journal=address(rings[1][1]),
            counters=counters,
            frames=frames,
            epoch=1,
            instruments=instruments,
            orders_rows=16,
            fills_rows=16,
            holdings=address_of(self.holdings),
            windows=windows,
            recent=recent,
            recent_lines=RECENT_LINES,
            executions=executions,
            keep=(rings, keep, orders),
        )
        self._fill()

    def _fill(self) -> None:
        account, rows, books = self.account[0], self.rows, self.books
        words = {"day_messages_max": 1 << 62, "gross_max": SCALED_MAX, "net_max": SCALED_MAX, "dup_ns": SECOND_NS}
        words |= {"hours_open_ns": ALWAYS_NS[0], "hours_close_ns": ALWAYS_NS[1], "window_ns": 300 * SECOND_NS}
        words |= {"free_value": SCALED_MAX, "signal_value": SCALED_MAX, "group_value": SCALED_MAX, "rate_age_ns": SECOND_NS}
        for name, number in {**words, **rate_words(SECOND_NS, 1 << 23, 0)}.items():
            account[name] = number
        account["rates"]["fraction"][0] = FRACTION_ONE
        account["groups"]["value_max"] = SCALED_MAX
        strategy = {"flags": 1, "position_max": 1 << 40, "repeat_max": 100, "repeat_ns": SECOND_NS}
        for name, number in strategy.items():
            account["strategies"][name][0] = number
        self.control["epoch"] = 1
        flags = layout.value("INSTRUMENT_PERMITTED") | layout.value("INSTRUMENT_LIMITS_SET")
        limits = {"flags": flags, "tick": TICK, "tick_multiple": multiple(TICK), "lot": 1, "lot_multiple": multiple(1)}
        limits |= {"quantity_max": 1000, "value_max": 1 << 40, "position_max": 1 << 30, "collar_ppm": 50_000}
        limits |= {"window_ppm": 100_000, "stale_ns": SECOND_NS, "permits": 0b11, "margin_fraction": FRACTION_ONE}
        limits |= {"group": 1, "weight_fraction": FRACTION_ONE // 2, "window_price": MIDDLE, "window_ns": NOW_NS}
        top: dict[str, int | bytes] = {
            "bid_price": MIDDLE - 100,
            "bid_quantity": 300,
            "ask_price": MIDDLE + 100,
            "ask_quantity": 200,
        }
        top |= {"time_ns": NOW_NS, "last_price": MIDDLE, "flags": layout.value("BOOK_VALID"), "symbol": b"GATEWAY "}
        top |= {"trading": layout.value("TRADING_OPEN")}
        order = {"kind": layout.value("INTENT_NEW"), "side": layout.value("SIDE_BUY"), "time_in_force": 3}
        order |= {"price": MIDDLE + 100, "quantity": QUANTITY}
        filled: list[tuple[np.ndarray, dict[str, Any]]] = [(rows, limits), (books, top), (self.intents, order)]
        for array, fields in filled:
            for name, value in fields.items():
                array[name] = value
        self.intents["instrument"] = self.intents["signal_id"] = np.arange(len(self.intents))

    def rewind(self) -> None:
        """Bucket and day as at the start."""
        self.account["bucket_ns"] = self.account["day_messages"] = 0


def lines(size_bytes: int) -> np.ndarray:
    """Zeroed bytes that begin on a cache line."""
    room = np.zeros(size_bytes + 64, dtype=np.uint8)
    begin = -address_of(room) % 64
    return room[begin : begin + size_bytes]


def _rows(struct: str, count: int) -> np.ndarray:
    return lines(count * layout.size(struct)).view(layout.dtype(struct))


def _ring() -> tuple[np.ndarray, Any]:
    memory = lines(layout.size("ring_header") + RING_DEPTH * SLOT_BYTES)
    base, writer = ffi.cast("void *", address_of(memory)), ffi.new("struct ring_writer *")
    lib.ring_format(base, len(memory), RING_DEPTH, SLOT_BYTES, 1)
    lib.ring_attach_writer(base, len(memory), writer)
    return memory, writer
