"""Which channel a datagram belongs to: between udp ④ and arbitration. The contract stands in native/layout/line.h.

Hard rule: the table is a quarter full at most, so that a look-up ends at the first free row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    address_of,
    load_i64,
    load_u16,
    load_u32,
    multiply_wrapping,
    shift_right,
    store_u16,
    store_u32,
)
from gateway.layout import dtype, offsets, size, value

TABLE = offsets("line_table")
LINE = offsets("line")
RULE = offsets("line_rule")
FEED = offsets("feed")
LINE_BYTES, RULE_BYTES, FEED_BYTES = size("line"), size("line_rule"), size("feed")
FREE, OF_FEED, REPORTS = value("LINE_FREE"), value("LINE_FEED"), value("LINE_REPORTS")
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio
SPARSE = 4  # rows a line, at least
NO_LINE = 0


@dataclass(frozen=True)
class Line:
    """One destination: IPv4 in host order and UDP port; `index` 0 is line A, 1 line B, 2 retransmissions."""

    address: int
    port: int
    channel: int
    index: int = 0
    role: int = OF_FEED


@dataclass(frozen=True)
class Rule:
    """How destinations nobody listed become channels; see struct line_rule."""

    port_first: int = 0
    port_last: int = 65535
    port_offset: int = 0
    index: int = 0
    channel_role: int = 0
    address_counts: bool = True


@leaf
def home_of(address, port):
    """Hash of a destination; the low bits count."""
    return shift_right(multiply_wrapping((address << 16) | port, MULTIPLIER), 40)


@kernel
def find_line(table, address, port):
    """Address of the struct line of a destination, or 0 when it is not ours."""
    mask = load_i64(table + TABLE.mask)
    index = home_of(address, port) & mask
    row = load_i64(table + TABLE.rows) + index * LINE_BYTES
    for _ in range(mask + 1):
        if load_u32(row + LINE.role) == FREE:
            break
        if load_u32(row + LINE.address) == address and load_u16(row + LINE.port) == port:
            return row
        index = (index + 1) & mask
        row = load_i64(table + TABLE.rows) + index * LINE_BYTES
    if load_u32(table + TABLE.rules_used) != 0:
        return learn_line(table, row, address, port)
    return load_i64(table + TABLE.fallback)


@kernel
def learn_line(table, row, address, port):
    """Makes the free `row` the line of a destination that a rule takes; 0 when none does, or there is no room."""
    used = load_u32(table + TABLE.lines_used)
    if (used + 1) * SPARSE > load_i64(table + TABLE.mask) + 1:
        return NO_LINE
    for number in range(load_u32(table + TABLE.rules_used)):
        rule = table + TABLE.rules + number * RULE_BYTES
        if load_u16(rule + RULE.port_first) <= port <= load_u16(rule + RULE.port_last):
            key_address = address if load_u32(rule + RULE.address_counts) != 0 else 0
            channel = channel_for(table, key_address, port - load_u16(rule + RULE.port_offset), rule)
            if channel < 0:
                return NO_LINE
            store_u32(row + LINE.address, address)
            store_u16(row + LINE.port, port)
            store_u16(row + LINE.index, load_u16(rule + RULE.index))
            store_u32(row + LINE.channel, channel)
            store_u32(row + LINE.role, OF_FEED)
            store_u32(table + TABLE.lines_used, used + 1)
            return row
    return NO_LINE


@kernel
def channel_for(table, key_address, key_port, rule):
    """Index of the channel with this key, taken into use when it is new; -1 when all are in use."""
    used = load_u32(table + TABLE.channels_used)
    for index in range(used):
        feed = load_i64(table + TABLE.channels) + index * FEED_BYTES
        if load_u32(feed + FEED.key_address) == key_address and load_u32(feed + FEED.key_port) == key_port:
            return index
    if used >= load_u32(table + TABLE.channels_max):
        return -1
    feed = load_i64(table + TABLE.channels) + used * FEED_BYTES
    store_u32(feed + FEED.key_address, key_address)
    store_u32(feed + FEED.key_port, key_port)
    store_u32(feed + FEED.role, load_u32(rule + RULE.channel_role))
    store_u32(table + TABLE.channels_used, used + 1)
    return used


def make_lines(
    lines: list[Line],
    fallback: Line | None = None,
    rules: tuple[Rule, ...] = (),
    channels: np.ndarray | None = None,
    channels_used: int = 0,
) -> tuple[np.ndarray, list[Any]]:
    """A struct line_table (array of one) and what it points into, to be kept alive.

    `channels` are the rows of struct feed, of which the first `channels_used` are listed ones. Raises ValueError when a
    destination stands twice or there are too many rules.
    """
    room = len(lines) + (limits.LINES_LEARNT_MAX if rules else 0)
    count = 1 << max(4, (SPARSE * room).bit_length())
    rows = np.zeros(count + 1, dtype("line"))
    for line in lines:
        index = int(home_of(line.address, line.port)) & (count - 1)
        while rows[index]["role"] != FREE:
            if (rows[index]["address"], rows[index]["port"]) == (line.address, line.port):
                raise ValueError(f"two lines have the destination {_text(line)}; give each its own")
            index = (index + 1) & (count - 1)
        _fill(rows[index], line)
    table = np.zeros(1, dtype("line_table"))
    table["rows"], table["mask"], table["lines_used"] = address_of(rows), count - 1, len(lines)
    if fallback is not None:
        _fill(rows[count], fallback)
        table["fallback"] = address_of(rows) + count * LINE_BYTES
    if channels is not None:
        table["channels"], table["channels_max"] = address_of(channels), len(channels)
        table["channels_used"] = channels_used
    _fill_rules(table, rules)
    return table, [rows, channels]


def _fill_rules(table: np.ndarray, rules: tuple[Rule, ...]) -> None:
    room = table["rules"].shape[1]
    if len(rules) > room:
        raise ValueError(f"{len(rules)} rules for destinations; {room} at most")
    table["rules_used"] = len(rules)
    for row, rule in zip(table["rules"][0], rules, strict=False):
        _fill(row, rule)


def _fill(row: Any, source: Line | Rule) -> None:
    for name, number in vars(source).items():
        row[name] = number


def _text(line: Line) -> str:
    return ".".join(str(line.address >> shift & 255) for shift in (24, 16, 8, 0)) + f":{line.port}"
