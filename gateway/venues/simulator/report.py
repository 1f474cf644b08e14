"""What a simulated venue knows at the end: counters, lost ranges, books in full depth, the client's positions.

Beside the corridor. Hard rule: this is the other side's account; nothing in it comes from the appliance. Prices are
integers in 1/10000, times nanoseconds since the epoch.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.venues.simulator.books import books, client_orders
from gateway.venues.simulator.settings import STREAMS
from gateway.venues.simulator.state import Venue

LINE_COUNTS = ("line_frames", "line_dropped", "line_duplicated", "line_reordered", "line_delayed")
SKIPPED = ("region", "reserved", "phase", "messages_by_type", "rejects", *LINE_COUNTS)


def counts(counters: np.void) -> dict[str, Any]:
    """Every counter under its own name; per stream as {"a": …, "b": …, …}, per type and per reason without zeros."""
    plain: dict[str, Any] = {"phase": layout.names("venue_phase", "VENUE_")[int(counters["phase"])].lower()}
    plain |= {name: int(counters[name]) for name in layout.offsets("venue_counters")._fields if name not in SKIPPED}
    for name in LINE_COUNTS:
        plain[name] = {line: int(counters[name][index]) for index, line in enumerate(STREAMS)}
    types, rejects = counters["messages_by_type"].copy(), counters["rejects"].copy()
    plain["messages_by_type"] = {chr(index): int(types[index]) for index in np.flatnonzero(types)}
    plain["rejects"] = {f"{index:#06x}": int(rejects[index]) for index in np.flatnonzero(rejects)}
    return plain


def lost_ranges(venue: Venue) -> list[list[int]]:
    """[first sequence, messages] of everything that left on neither line, in order."""
    rows = venue.lost[: int(venue.counters["lost_ranges"])]
    return [[int(row["sequence"]), int(row["count"])] for row in rows]


def instruments(venue: Venue) -> list[dict[str, Any]]:
    """Every symbol: levels [price, shares, orders] best first, and the client's figures."""
    return [
        {
            "symbol": book.symbol,
            "locate": book.locate,
            "bids": [list(level) for level in book.bids],
            "asks": [list(level) for level in book.asks],
            "position": book.client_position,
            "cash": book.client_cash,
            "bought": book.client_bought,
            "sold": book.client_sold,
        }
        for book in books(venue)
    ]


def report(venue: Venue) -> dict[str, Any]:
    """The whole account; call it while no step runs."""
    row = venue.state[0]
    return {
        "seed": venue.settings.seed,
        "session": row["feed"]["session"].decode(),
        "report_session": row["reports"]["session"].decode(),
        "snapshot_session": row["snapshots"]["session"].decode(),
        **counts(venue.counters),
        "lost": lost_ranges(venue),
        "open_orders": client_orders(venue),
        "instruments": instruments(venue),
    }
