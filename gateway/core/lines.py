"""Which channel a datagram belongs to: between udp ④ and arbitration.

Hard rule: the table is filled once, at start, and a quarter full at most, so that a look-up ends at the first free row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import address_of, load_i64, load_u16, load_u32, multiply_wrapping, shift_right
from gateway.layout import dtype, offsets, size, value

TABLE = offsets("line_table")
LINE = offsets("line")
LINE_BYTES = size("line")
FREE, FEED, REPORTS = value("LINE_FREE"), value("LINE_FEED"), value("LINE_REPORTS")
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio
SPARSE = 4  # rows a line, at least


@dataclass(frozen=True)
class Line:
    """One destination: IPv4 in host order and UDP port; `index` 0 is line A, 1 line B, 2 retransmissions."""

    address: int
    port: int
    channel: int
    index: int = 0
    role: int = FEED


@leaf
def home_of(address, port):
    """Hash of a destination; the low bits count."""
    return shift_right(multiply_wrapping((address << 16) | port, MULTIPLIER), 40)


@kernel
def find_line(table, address, port):
    """Address of the struct line of a destination, or 0 when it is not ours."""
    rows, mask = load_i64(table + TABLE.rows), load_i64(table + TABLE.mask)
    index = home_of(address, port) & mask
    for _ in range(mask + 1):
        row = rows + index * LINE_BYTES
        if load_u32(row + LINE.role) == FREE:
            break
        if load_u32(row + LINE.address) == address and load_u16(row + LINE.port) == port:
            return row
        index = (index + 1) & mask
    return load_i64(table + TABLE.fallback)


def make_lines(lines: list[Line], fallback: Line | None = None) -> tuple[np.ndarray, list[Any]]:
    """A struct line_table (array of one) and what it points into. Raises ValueError when a destination stands twice."""
    count = 1 << max(4, (SPARSE * len(lines)).bit_length())
    rows = np.zeros(count + 1, dtype("line"))
    for line in lines:
        index = int(home_of(line.address, line.port)) & (count - 1)
        while rows[index]["role"] != FREE:
            if (rows[index]["address"], rows[index]["port"]) == (line.address, line.port):
                raise ValueError(f"two lines have the destination {_text(line)}; give each its own")
            index = (index + 1) & (count - 1)
        _fill(rows[index], line)
    table = np.zeros(1, dtype("line_table"))
    table["rows"], table["mask"] = address_of(rows), count - 1
    if fallback is not None:
        _fill(rows[count], fallback)
        table["fallback"] = address_of(rows) + count * LINE_BYTES
    return table, [rows]


def _fill(row: Any, line: Line) -> None:
    for name in ("address", "port", "channel", "index", "role"):
        row[name] = getattr(line, name)


def _text(line: Line) -> str:
    return ".".join(str(line.address >> shift & 255) for shift in (24, 16, 8, 0)) + f":{line.port}"
