"""What came of each channel of a replay: its lines, what each brought first or missed, gaps, books that are stale.

Beside the corridor, read after it has stopped. Hard rule: reads only.
"""

import ctypes
from ipaddress import IPv4Address
from typing import Any

import numpy as np

from gateway import layout
from gateway.core import book_reader
from gateway.ops.channels import Channels

STALE = layout.value("BOOK_STALE")
LINE_NAMES = ("a", "b", "retransmissions")
ROLES = {number: name.lower() for number, name in layout.names("channel_role", "CHANNEL_").items()}
COUNTED = ("gaps", "gap_messages", "recovered", "lost_messages", "resets")


def channel_report(channels: Channels, store: Any) -> list[dict[str, Any]]:
    """One object per channel that was heard, in the order it was first heard."""
    destinations = _destinations(channels)
    stale = _stale_books(store)
    result = []
    for index, row in enumerate(channels.rows):
        if index not in destinations:
            continue
        counts = channels.statistics[index]
        lines = {}
        for line, text in sorted(destinations[index].items()):
            found = counts["lines"][line]
            lines[LINE_NAMES[line]] = {"destination": text} | {
                name: int(found[name]) for name in ("first", "second", "repeated", "missed")
            }
        if not any(line["first"] or line["second"] for line in lines.values()):
            continue
        result.append(
            {
                "channel": next(iter(lines.values()))["destination"],
                "role": ROLES[int(row["role"])],
                "lines": lines,
                **{name: int(counts[name]) for name in COUNTED},
                "books_stale": stale.get(index, 0),
            }
        )
    return result


def _destinations(channels: Channels) -> dict[int, dict[int, str]]:
    """Channel → line → "address:port", of the lines that are listed or were learnt."""
    found: dict[int, dict[int, str]] = {}
    table = channels.lines[0]
    rows = _rows_at(int(table["rows"]), int(table["mask"]) + 1)
    for row in rows[rows["role"] == layout.value("LINE_FEED")]:
        text = f"{IPv4Address(int(row['address']))}:{int(row['port'])}"
        found.setdefault(int(row["channel"]), {}).setdefault(int(row["index"]), text)
    return found


def _rows_at(address: int, count: int) -> np.ndarray:
    """The rows of the table of lines, where core has them."""
    memory = (ctypes.c_uint8 * (count * layout.size("line"))).from_address(address)
    return np.ctypeslib.as_array(memory).view(layout.dtype("line"))


def _stale_books(store: Any) -> dict[int, int]:
    """Channel → books that are stale."""
    rows = book_reader.books(store)
    counts: dict[int, int] = {}
    for instrument, _ in book_reader.instruments(store):
        if int(rows[instrument]["flags"]) & STALE:
            channel = int(rows[instrument]["channel"])
            counts[channel] = counts.get(channel, 0) + 1
    return counts
