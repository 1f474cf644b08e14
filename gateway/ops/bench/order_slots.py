"""The order records of order_records.py as core tells them to other regions: events in slots of core_link, numbered from 1.

    records ─ told ─► live slots, one for each event (F says nothing that T and C do not) ─ scanned ─► a scan of the orders

Hard rule: what a venue says is in the slot as it is; sequences, arrivals and flags are what core would give them.
"""

from pathlib import Path

import numpy as np

from gateway.core.book_orders import GROUP_BITS
from gateway.errors import CapabilityError
from gateway.layout import value
from gateway.link.streams import records
from gateway.ops.bench.es_orders import KINDS, REQUEUED, SIDES
from gateway.ops.bench.order_records import Records, recorded, seeded

ADDS, CHANGES, SIDED = ord("A"), ord("M"), tuple(b"AMT")
SEED, SEEDED_RECORDS = 20260, 60_000
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # of a hash like that of core's table of orders


def order_slots(folder: Path | None) -> tuple[np.ndarray, str]:
    """Slots of the recorded days below a folder, or of the seeded stream where there is no folder; and which they are.

    Raises CapabilityError for a folder without the days.
    """
    orders = recorded(folder) if folder is not None else seeded(SEEDED_RECORDS, SEED)
    rows = told(orders)
    if len(rows) == 0:
        raise CapabilityError(f"{orders.source} has no order in it")
    return rows, orders.source


def told(orders: Records) -> np.ndarray:
    """A slot for each record that is an event."""
    kinds, sides = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    for letter, kind in KINDS.items():
        kinds[ord(letter)] = kind
    for letter, side in SIDES.items():
        sides[ord(letter)] = side
    source = orders.rows[kinds[orders.rows["action"]] != 0]
    rows = records.rows(len(source))
    event, action, requeued = rows["event"], source["action"], _requeued(source)
    event["kind"] = kinds[action]
    event["side"] = np.where(np.isin(action, SIDED), sides[source["side"]], value("SIDE_NONE"))
    event["flags"] = np.where(requeued, REQUEUED, 0)
    event["instrument"] = np.unique(source["instrument"], return_inverse=True)[1] + 1
    for name, origin in (("sequence", "sequence"), ("time_venue_ns", "ts_event"), ("time_receive_ns", "ts_recv")):
        event[name] = source[origin]
    for name, origin in (("order_id", "order_id"), ("price", "price"), ("quantity", "size")):
        event[name] = source[origin]
    places = (action == ADDS) | requeued
    rows["kind"], rows["time_ns"] = records.EVENT, source["ts_recv"]
    rows["arrivals"] = np.cumsum(places) - places
    rows["sequence"] = np.arange(1, len(rows) + 1)
    return rows


def _requeued(source: np.ndarray) -> np.ndarray:
    """Which changes make an order larger than it was: it goes to the end of its queue."""
    sizes: dict[int, int] = {}
    found = np.zeros(len(source), bool)
    columns = (source[name].tolist() for name in ("action", "order_id", "size"))
    for index, (action, order, size) in enumerate(zip(*columns, strict=True)):
        if action == CHANGES:
            found[index] = size > sizes.get(order, 0)
        if action in (ADDS, CHANGES):
            sizes[order] = size
    return found


def scanned(rows: np.ndarray, count: int) -> np.ndarray:
    """A scan of `count` records: SCAN_BEGIN, the orders that were added in `rows` as core's table holds them, SCAN_END.

    Where these are too few, the same come again under other names. The table is hashed, so neighbours have little in common.
    """
    adds = rows[rows["event"]["kind"] == value("EVENT_ADD")]
    which = np.arange(count - 2)
    found, source = records.rows(count), adds[which % len(adds)]["event"]
    names = source["order_id"]
    names = names + (which // len(adds)).astype(np.uint64) * (names.max() - names.min() + np.uint64(1))
    order = np.argsort((names >> np.uint64(GROUP_BITS)) * MULTIPLIER, kind="stable")
    event = found["event"][1:-1]
    for name in ("kind", "price", "quantity", "instrument", "side"):
        event[name] = source[name][order]
    event["order_id"] = names[order]
    found["kind"], found["arrivals"] = records.ORDER, count
    found["priority"][1:-1] = order
    found["kind"][0], found["kind"][-1] = records.SCAN_BEGIN, records.SCAN_END
    found["sequence"] = np.arange(1, count + 1)
    return found
