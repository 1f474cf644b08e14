"""One look at a running instance, as a plain dictionary: what `gateway top --json` prints and the live view draws.

It adds to summary.py what only makes sense of something that runs: heartbeats, rings, open orders, the tops of books.
Hard rule: reads only. The writers go on meanwhile, so two numbers of one look may be a turn apart.
"""

from typing import Any

import numpy as np

from gateway import clock, layout, pipeline
from gateway.core.decimals import text_of
from gateway.core.instrument_reader import instrument_of, name_of
from gateway.instance import Instance
from gateway.ops.summary import reasons, summary
from gateway.sections import PRICE_EXPONENT

BOOK_FLAGS = ("VALID", "STALE", "CROSSED", "FAULT", "QUIET")
RATES = {
    "frames_received": "io",
    "bytes_received": "io",
    "frames_transmitted": "io",
    "exception_in": "io",
    "exception_out": "io",
    "messages": "core",
    "events": "core",
    "strategy_calls": "core",
    "orders_sent": "core",
    "fills": "core",
}


def take(instance: Instance, books: int = 10) -> dict[str, Any]:
    """The look: summary, time, heartbeats, rings, own orders by state, positions, and the tops of `books` books."""
    control = instance.control[0]
    now_ns = clock.now_ns(instance.clock_address)
    return {
        **summary(instance),
        "time_ns": now_ns,
        "kill_time_ns": int(control["kill_time_ns"]),
        "epoch": int(control["epoch"]),
        "heartbeats": heartbeats(control["heartbeats"], now_ns),
        "rings": [ring(ring_map.name, instance) for ring_map in pipeline.RINGS if ring_map.name in instance.rings],
        "orders": orders_by_state(instance.rows("orders")),
        "positions": int(np.count_nonzero(instance.rows("gate")["position"])),
        "books": tops(instance, int(instance.counters[0]["core"]["instruments"]), books),
    }


def heartbeats(beats: np.ndarray, now_ns: int) -> list[dict[str, Any]]:
    """Every process that ever lived: name, state, pid, age of its last sign of life in ms, turns, busy turns."""
    names, states = layout.names("process_index", "PROCESS_"), layout.names("process_state", "PROCESS_")
    return [
        {
            "process": names[index].lower(),
            "state": states.get(int(beat["state"]), "UNKNOWN").lower(),
            "pid": int(beat["pid"]),
            "age_ms": max(0, now_ns - int(beat["time_ns"])) // 1_000_000,
            "turns": int(beat["turns"]),
            "turns_busy": int(beat["turns_busy"]),
            "stuck": int(beat["stuck"]),
        }
        for index, beat in enumerate(beats)
        if beat["time_ns"] and index in names
    ]


def ring(name: str, instance: Instance) -> dict[str, Any]:
    """Depth, records waiting and records refused of one ring."""
    header = instance.rings[name].view("ring_header")[0]
    depth, cursor, claimed = int(header["depth"]), int(header["cursor"]), int(header["claimed"])
    waiting = min(depth, max(0, claimed - cursor)) if header["reliable"] else 0
    return {"ring": name, "depth": depth, "waiting": waiting, "records": claimed, "shed": int(header["shed"])}


def orders_by_state(orders: np.ndarray) -> dict[str, int]:
    """Own orders by state name; rows that are free are left out."""
    counts = np.bincount(orders["state"], minlength=16)
    counts[layout.value("ORDER_FREE")] = 0
    return reasons(counts, "order_state", "ORDER_")


def tops(instance: Instance, count: int, limit: int) -> list[dict[str, Any]]:
    """The tops of the `limit` books with most live orders, of the `count` instruments that are listed."""
    rows = instance.rows("books")
    listed = rows["listed"][:count].astype(np.int64) - 1
    listed = listed[(listed >= 0) & (listed < len(rows))]
    live = rows["orders"][listed]
    busiest = listed[np.argsort(live, kind="stable")[::-1][:limit]]
    return [top(instance, int(index)) for index in busiest]


def top(instance: Instance, row: int) -> dict[str, Any]:
    """One book's name, its best prices in exact decimals (None where a side is empty), and its marks, of quality too."""
    book, listings = instance.rows("books")[row], instance.rows("instruments")
    listing = instrument_of(listings, row)
    exponent = PRICE_EXPONENT if listing is None else listing.price_exponent
    bid, ask = int(book["bid_quantity"]), int(book["ask_quantity"])
    flags, quality_flags = int(book["flags"]), int(instance.rows("quality")[row]["flags"])
    return {
        "instrument": row,
        "symbol": name_of(row, listings, instance.rows("books")),
        "bid": text_of(int(book["bid_price"]), exponent) if bid else None,
        "bid_quantity": bid,
        "ask": text_of(int(book["ask_price"]), exponent) if ask else None,
        "ask_quantity": ask,
        "orders": int(book["orders"]),
        "flags": [name.lower() for name in BOOK_FLAGS if flags & layout.value(f"BOOK_{name}")]
        + ["divergent"] * bool(quality_flags & layout.value("QUALITY_DIVERGENT")),
    }


def rates(now: dict[str, Any], before: dict[str, Any]) -> dict[str, float]:
    """What happened per second between two looks."""
    seconds = (now["time_ns"] - before["time_ns"]) / 1e9
    if seconds <= 0:
        return dict.fromkeys(RATES, 0.0)
    return {name: (now[block][name] - before[block][name]) / seconds for name, block in RATES.items()}
