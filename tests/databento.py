"""Real order data of CME's ES future (`databento-dbn`, order by order) as events, and a twin that keeps only dictionaries.

DBN, schema "mbo": action A adds, C takes `size` off, M states price and size anew (its place is lost when the price changes
or the size grows), R clears, T and F report a trade and leave the book as it is. Prices are in 1e-9.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

from gateway.core.book_depth import best_level, next_level
from gateway.core.levels import LEVEL, level_at, price_of, side_of
from gateway.core.memory import load_i64, load_u32
from gateway.layout import dtype, value

TICK = 250_000_000  # 0.25 of an index point
INSTRUMENT = 7
SIDES = {"B": value("SIDE_BUY"), "A": value("SIDE_SELL"), "N": 0}
MASK = (1 << 64) - 1
PRIMES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


def records(folder: Path, day: str) -> list[Any]:
    """Every order-level record of a day."""
    dbn = pytest.importorskip("databento_dbn", reason="databento-dbn is not installed: pip install gateway[test]")
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
    decoder.write((folder / "databento-dbn" / f"esh4-glbx-mdp3-{day}.mbo.dbn.zst").read_bytes())
    return [record for record in decoder.decode() if isinstance(record, dbn.MBOMsg)]


def event_of(record: Any, row: np.ndarray, twin: "Orders") -> bool:
    """Writes the struct event of a record; False when it has none."""
    kinds = {"A": "ADD", "C": "REDUCE", "M": "SET", "R": "CLEAR", "T": "TRADE"}
    action = str(record.action)
    if action not in kinds:
        return False
    row[0] = 0
    for name, number in (
        ("sequence", record.sequence),
        ("time_receive_ns", record.ts_recv),
        ("order_id", record.order_id),
        ("price", record.price),
        ("quantity", record.size),
        ("instrument", INSTRUMENT),
        ("side", SIDES[str(record.side)] if action in "AMT" else 0),
        ("kind", value(f"EVENT_{kinds[action]}")),
        ("flags", value("EVENT_REQUEUED") if action == "M" and twin.grows(record) else 0),
    ):
        row[name] = number
    return True


class Orders:
    """The twin: orders by id, levels by price; `digest` sums what each level is, whatever their order."""

    def __init__(self) -> None:
        self.live: dict[int, list[int]] = {}
        self.levels: dict[int, dict[int, list[int]]] = {1: {}, 2: {}}
        self.queues: dict[tuple[int, int], list[int]] = {}
        self.digest = 0

    def grows(self, record: Any) -> bool:
        return record.size > self.live[record.order_id][2]

    def apply(self, record: Any) -> None:
        action, order_id = str(record.action), record.order_id
        if action == "A":
            self._stand(order_id, SIDES[str(record.side)], record.price, record.size)
        elif action == "C":
            side, price, left = self.live[order_id]
            self._resize(order_id, side, price, left - record.size)
        elif action == "M":
            side, price, left = self.live[order_id]
            if record.price != price or record.size > left:
                self._resize(order_id, side, price, 0)
                self._stand(order_id, side, record.price, record.size)
            else:
                self._resize(order_id, side, price, record.size)
        elif action == "R":
            self.__init__()  # type: ignore[misc]

    def _stand(self, order_id: int, side: int, price: int, size: int) -> None:
        self.live[order_id] = [side, price, size]
        self.queues.setdefault((side, price), []).append(order_id)
        self._add(side, price, size, 1)

    def _resize(self, order_id: int, side: int, price: int, size: int) -> None:
        left = self.live[order_id][2]
        self.live[order_id][2] = size
        if size == 0:
            del self.live[order_id]
            self.queues[side, price].remove(order_id)
        self._add(side, price, size - left, -(size == 0))

    def _add(self, side: int, price: int, size: int, orders: int) -> None:
        level = self.levels[side].setdefault(price, [0, 0])
        self.digest -= weight(price, *level)
        level[0], level[1] = level[0] + size, level[1] + orders
        if level[1] == 0:
            del self.levels[side][price]
        else:
            self.digest += weight(price, *level)

    def best(self, side: int) -> tuple[int, int]:
        levels = self.levels[side]
        price = (max if side == 1 else min)(levels, default=0)
        return (price, levels[price][0]) if levels else (0, 0)

    def sorted_levels(self, side: int) -> list[tuple[int, int, int]]:
        return [(price, *self.levels[side][price]) for price in sorted(self.levels[side], reverse=side == 1)]


def weight(price: int, quantity: int, orders: int) -> int:
    """A number of a level that no other level is likely to share; nothing for none."""
    if orders == 0:
        return 0
    mixed = (price * PRIMES[0] + quantity) & MASK
    return ((mixed ^ (mixed >> 29)) * PRIMES[1] + orders * PRIMES[2]) & MASK


@njit
def _digest(store, side, number, levels_max):
    total, count, index = np.uint64(0), 0, best_level(store, side, number)
    while index != 0 and count < levels_max:
        level, price = level_at(store, index), price_of(store, index)
        mixed = np.uint64(price) * np.uint64(PRIMES[0]) + np.uint64(load_i64(level + LEVEL.quantity))
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(PRIMES[1])
        total += mixed + np.uint64(load_u32(level + LEVEL.orders)) * np.uint64(PRIMES[2])
        count += 1
        index = next_level(store, side, number, price)
    return total, count


@njit
def book_digest(store, book, levels_max):
    """(sum of the weights of every level, levels) of a book, each side walked from its best level."""
    bids, bid_count = _digest(store, side_of(book, 1), 1, levels_max)
    asks, ask_count = _digest(store, side_of(book, 2), 2, levels_max)
    return bids + asks, bid_count + ask_count


def event_row() -> np.ndarray:
    return np.zeros(1, dtype("event"))
