"""Real order data of CME's ES future for the suite `book`: a Databento recording, order by order, as events beside a twin.

DBN, schema "mbo": A adds, C takes `size` off, M states price and size anew (its place in the queue is lost when the price
changes or the size grows), R clears; T and F tell of a trade and leave the book as it is. Prices are in 1e-9.
Hard rule: the twin is dictionaries of orders and levels and knows nothing of the books' code.
"""

import importlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import CapabilityError
from gateway.layout import dtype, value

FOLDER, PATTERN = "databento-dbn", "esh4-glbx-mdp3-*.mbo.dbn.zst"
INSTRUMENT = 1
TICK = 250_000_000  # a quarter of an index point
SIDES = {"B": value("SIDE_BUY"), "A": value("SIDE_SELL"), "N": value("SIDE_NONE")}
KINDS = {
    letter: value(f"EVENT_{name}")
    for letter, name in (("A", "ADD"), ("C", "REDUCE"), ("M", "SET"), ("R", "CLEAR"), ("T", "TRADE"))
}
REQUEUED = value("EVENT_REQUEUED")
Levels = dict[int, tuple[int, int]]  # price → (quantity, orders)


@dataclass
class EsDay:
    """Events of a day, and at each checkpoint (events before it) the levels of bids and asks."""

    name: str
    events: np.ndarray
    checkpoints: list[tuple[int, Levels, Levels]]


@dataclass
class _Twin:
    orders: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # id → (side, price, size)

    def levels(self, side: int) -> Levels:
        found: Levels = {}
        for own_side, price, size in self.orders.values():
            if own_side == side:
                quantity, orders = found.get(price, (0, 0))
                found[price] = quantity + size, orders + 1
        return found

    def apply(self, action: str, record: Any) -> bool:
        """One record; whether the order goes to the end of a queue by it."""
        before = self.orders.get(record.order_id, (0, 0, 0))
        if action == "R":
            self.orders.clear()
        elif action == "A":
            self.orders[record.order_id] = (SIDES[str(record.side)], record.price, record.size)
        elif action == "M":
            self.orders[record.order_id] = (before[0], record.price, record.size)
        elif action == "C":
            self.orders[record.order_id] = (*before[:2], before[2] - record.size)
            if self.orders[record.order_id][2] == 0:
                del self.orders[record.order_id]
        return action == "M" and record.size > before[2]


def recorded_days(folder: Path | None, checkpoints: int) -> list[EsDay]:
    """Every recorded day below a folder. Raises CapabilityError where there is none, or nobody to read it."""
    files = sorted((folder / FOLDER).glob(PATTERN)) if folder is not None else []
    if not files:
        raise CapabilityError(f"{FOLDER}/{PATTERN} is not below --data or $GATEWAY_SHARED_DATA")
    if importlib.util.find_spec("databento_dbn") is None:
        raise CapabilityError("not installed: pip install databento-dbn, or 'bypass-gateway[test]'")
    return [_day(path, checkpoints) for path in files]


def _day(path: Path, checkpoints: int) -> EsDay:
    dbn = importlib.import_module("databento_dbn")
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
    decoder.write(path.read_bytes())
    records = [record for record in decoder.decode() if isinstance(record, dbn.MBOMsg)]
    due = {len(records) * number // checkpoints for number in range(1, checkpoints + 1)}
    rows, kept, twin = [], [], _Twin()
    for position, record in enumerate(records, 1):
        action = str(record.action)
        requeued = twin.apply(action, record)
        if action in KINDS:
            rows.append(_event(action, record, requeued))
        if position in due:
            kept.append((len(rows), twin.levels(SIDES["B"]), twin.levels(SIDES["A"])))
    return EsDay(path.name, np.array(rows, dtype("event")), kept)


def _event(action: str, record: Any, requeued: bool) -> tuple[int, ...]:
    """The columns of struct event, in its order."""
    names = {
        "sequence": record.sequence,
        "time_receive_ns": record.ts_recv,
        "order_id": record.order_id,
        "price": record.price,
        "quantity": record.size,
        "instrument": INSTRUMENT,
        "kind": KINDS[action],
        "side": SIDES[str(record.side)] if action in "AMT" else 0,
        "flags": REQUEUED if requeued else 0,
    }
    return tuple(names.get(name, 0) for name in dtype("event").names or ())
