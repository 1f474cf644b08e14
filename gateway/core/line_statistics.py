"""What each line of a channel brought: first, second, repeated, missed, and by how much one line leads the other.

Beside arbitrate.py, between ④ and ⑤. Every delivered packet enters a ring in the order of its sequence; the copy of the
other line is found there, in most cases at the line's own cursor. Hard rule: a copy counts as missed only when its packet
leaves the ring (FEED_SEEN_MAX later) or the input ends, so nothing is counted twice and nothing late is called missing.
"""

from typing import Any

import numpy as np

from gateway import limits
from gateway.core.counters import add_to
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

FEED = offsets("feed")
SEEN = offsets("seen_packet")
STATISTICS = offsets("channel_statistics")
LINE = offsets("line_statistics")
SEEN_BYTES, LINE_BYTES = size("seen_packet"), size("line_statistics")
SEEN_MAX, LINES = value("FEED_SEEN_MAX"), value("FEED_LINES")
SEEN_MASK = SEEN_MAX - 1
LINE_NAMES = ("a", "b", "retransmission")
assert SEEN_MAX == limits.SEEN_PACKETS_MAX and len(LINE_NAMES) == LINES


@leaf
def line_of(feed, line):
    """Address of a line's struct line_statistics."""
    return load_i64(feed + FEED.statistics) + STATISTICS.lines + line * LINE_BYTES


@leaf
def seen_row(feed, entry):
    """Address of the struct seen_packet with this running number."""
    return load_i64(feed + FEED.seen) + (entry & SEEN_MASK) * SEEN_BYTES


@leaf
def note_first(feed, sequence, line, time_ns):
    """A packet is delivered as it comes, brought by `line`."""
    statistics = line_of(feed, line)
    add_to(statistics + LINE.first, 1)
    store_i64(statistics + LINE.last_seen_ns, time_ns)
    enter(feed, sequence, line, load_u32(feed + FEED.expected) & ~(1 << line), time_ns)


@leaf
def enter(feed, sequence, line, missing, time_ns):
    """A delivered packet enters the ring; the one that leaves it is missed by whoever has not brought it."""
    count = load_i64(feed + FEED.seen_count)
    row = seen_row(feed, count)
    gone = load_u32(row + SEEN.missing)
    if gone != 0:
        count_missed(feed, gone)
    store_i64(row + SEEN.sequence, sequence)
    store_i64(row + SEEN.time_receive_ns, time_ns)
    store_u32(row + SEEN.line, line)
    store_u32(row + SEEN.missing, missing)
    store_i64(feed + FEED.seen_count, count + 1)


@kernel
def count_missed(feed, missing):
    """One packet was missed by every line whose bit is set."""
    for line in range(LINES):
        add_to(line_of(feed, line) + LINE.missed, missing >> line & 1)


@kernel
def note_again(feed, sequence, line, now_ns):
    """A packet delivered before comes once more. True when it is still known."""
    statistics, entry = line_of(feed, line), find_seen(feed, sequence, line)
    store_i64(statistics + LINE.last_seen_ns, now_ns)
    if entry < 0:
        add_to(statistics + LINE.other, 1)
        return False
    row = seen_row(feed, entry)
    store_i64(feed + FEED.cursors + line * 8, entry + 1)
    left = note_copy(
        feed, line, load_u32(row + SEEN.missing), load_u32(row + SEEN.line), load_i64(row + SEEN.time_receive_ns), now_ns
    )
    store_u32(row + SEEN.missing, left)
    return True


@leaf
def is_expected_copy(feed, sequence, line):
    """Whether this sequence is the one at the line's cursor, delivered before, and the line has not brought it yet."""
    cursor = load_i64(feed + FEED.cursors + line * 8)
    row = seen_row(feed, cursor)
    known = (cursor < load_i64(feed + FEED.seen_count)) & (load_i64(row + SEEN.sequence) == sequence)
    return known & (load_u32(row + SEEN.missing) >> line & 1 != 0)


@leaf
def note_expected_copy(feed, line, now_ns):
    """The copy at the line's cursor has come."""
    cursor = load_i64(feed + FEED.cursors + line * 8)
    row = seen_row(feed, cursor)
    store_i64(feed + FEED.cursors + line * 8, cursor + 1)
    store_u32(row + SEEN.missing, load_u32(row + SEEN.missing) & ~(1 << line))
    add_to(line_of(feed, line) + LINE.second, 1)
    store_i64(line_of(feed, line) + LINE.last_seen_ns, now_ns)
    leader, lead_ns = line_of(feed, load_u32(row + SEEN.line)), now_ns - load_i64(row + SEEN.time_receive_ns)
    add_to(leader + LINE.lead_sum_ns, lead_ns)
    if lead_ns > load_i64(leader + LINE.lead_max_ns):
        store_i64(leader + LINE.lead_max_ns, lead_ns)


@kernel
def note_copy(feed, line, missing, first_line, first_ns, now_ns):
    """Counts a further copy of a packet; returns the lines that are missing now."""
    bit = 1 << line
    if missing & bit == 0:
        again = LINE.second if line == LINES - 1 and line != first_line else LINE.repeated
        add_to(line_of(feed, line) + again, 1)
        return missing
    add_to(line_of(feed, line) + LINE.second, 1)
    leader, lead_ns = line_of(feed, first_line), now_ns - first_ns
    add_to(leader + LINE.lead_sum_ns, lead_ns)
    store_i64(leader + LINE.lead_max_ns, max(lead_ns, load_i64(leader + LINE.lead_max_ns)))
    return missing & ~bit


@kernel
def find_seen(feed, sequence, line):
    """Running number of the packet with this sequence, -1: not among the last FEED_SEEN_MAX."""
    high = load_i64(feed + FEED.seen_count)
    low = max(0, high - SEEN_MAX)
    cursor = load_i64(feed + FEED.cursors + line * 8)
    if low <= cursor < high and load_i64(seen_row(feed, cursor) + SEEN.sequence) == sequence:
        return cursor
    while low < high:
        middle = (low + high) >> 1
        if load_i64(seen_row(feed, middle) + SEEN.sequence) < sequence:
            low = middle + 1
        else:
            high = middle
    if low < load_i64(feed + FEED.seen_count) and load_i64(seen_row(feed, low) + SEEN.sequence) == sequence:
        return low
    return -1


@leaf
def note_other(feed, line, now_ns):
    """A packet of the followed session that brings nothing: a heartbeat."""
    add_to(line_of(feed, line) + LINE.other, 1)
    store_i64(line_of(feed, line) + LINE.last_seen_ns, now_ns)


@kernel
def settle(feed):
    """No further copy is waited for: what is missing now was missed. At the end of input, and when a new run begins."""
    count = load_i64(feed + FEED.seen_count)
    for entry in range(max(0, count - SEEN_MAX), count):
        row = seen_row(feed, entry)
        missing = load_u32(row + SEEN.missing)
        if missing != 0:
            count_missed(feed, missing)
            store_u32(row + SEEN.missing, 0)


@kernel
def forget(feed):
    """A new run of numbers begins: nothing delivered before is known any more."""
    settle(feed)
    store_i64(feed + FEED.seen_count, 0)
    for line in range(LINES):
        store_i64(feed + FEED.cursors + line * 8, 0)


def read_channel(row: np.void) -> dict[str, Any]:
    """A struct channel_statistics as a plain dictionary; lines that never brought nor missed anything are left out.

    `lead_mean_ns` is by how much a line leads on average where it is first and the other line's copy came, None: never.
    """
    result: dict[str, Any] = {name: int(row[name]) for name in row.dtype.names or () if name not in ("lines", "reserved")}
    lines = {}
    for index, name in enumerate(LINE_NAMES):
        line: dict[str, Any] = {key: int(row["lines"][index][key]) for key in row["lines"].dtype.names}
        copies = int(row["lines"][1 - index]["second"]) if index < 2 else 0
        line["lead_mean_ns"] = int(row["lines"][index]["lead_sum_ns"]) // copies if copies else None
        if any(value for value in line.values()):
            lines[name] = line
    return {**result, "lines": lines}
