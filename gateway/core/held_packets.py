"""Packets that wait for an earlier one: a list per channel in the order of their sequence, in a pool all channels share.

Beside arbitrate.py, between ④ and ⑤. Hard rule: a packet that was read is never dropped for want of room: one row is kept
spare, the packet that takes it ends the waiting, and the walk to a place is bounded by the packets a channel may hold. The
state: struct packet_pool, held_packet (layout/feed.h).
"""

from typing import Any

import numpy as np

from gateway import limits
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import address_of, copy_bytes, load_i64, load_u32, store_i64, store_u32
from gateway.layout import dtype, offsets, size, value

FEED = offsets("feed")
POOL = offsets("packet_pool")
HELD = offsets("held_packet")
ROW_BYTES, HELD_BYTES = size("held_packet"), value("FEED_HELD_BYTES")
HELD_MAX, KEPT_MAX = value("FEED_HELD_MAX"), value("FEED_KEPT_MAX")
NONE = value("RECOVERY_NONE")
SPARE_ROWS = 1  # for the packet that finds no room: what it ends frees a row before the next one comes
assert HELD_MAX == limits.REORDER_PACKETS_MAX and KEPT_MAX == limits.RECOVERY_PACKETS_MAX


def make_pool(packets: int = limits.POOL_PACKETS_MAX) -> tuple[np.ndarray, list[Any]]:
    """A struct packet_pool (array of one) with room for so many packets, and what it points into."""
    rows_max = packets + 1 + SPARE_ROWS
    rows, data = np.zeros(rows_max, dtype("held_packet")), np.zeros(rows_max * HELD_BYTES, np.uint8)
    pool = np.zeros(1, dtype("packet_pool"))
    pool["rows"], pool["bytes"], pool["rows_max"] = address_of(rows), address_of(data), rows_max
    return pool, [rows, data]


@leaf
def row_of(feed, index):
    """Address of a struct held_packet."""
    return load_i64(load_i64(feed + FEED.pool) + POOL.rows) + index * ROW_BYTES


@leaf
def payload_of(feed, index):
    """Address of a waiting packet's bytes."""
    return load_i64(load_i64(feed + FEED.pool) + POOL.bytes) + index * HELD_BYTES


@kernel
def find_place(feed, sequence, count):
    """Index of the first waiting packet that belongs behind this one, or is it; 0: there is none. From the nearer end."""
    first, last = load_u32(feed + FEED.held_first), load_u32(feed + FEED.held_last)
    if first == 0:
        return 0
    near = load_i64(row_of(feed, first) + HELD.sequence)
    far = load_i64(row_of(feed, last) + HELD.sequence)
    if sequence - near < far - sequence:
        index = first
        for _ in range(KEPT_MAX):
            if index == 0 or is_behind(feed, index, sequence, count):
                break
            index = load_u32(row_of(feed, index) + HELD.next)
        return index
    index, behind = last, 0
    for _ in range(KEPT_MAX):
        if index == 0 or not is_behind(feed, index, sequence, count):
            break
        behind = index
        index = load_u32(row_of(feed, index) + HELD.previous)
    return behind


@leaf
def is_behind(feed, index, sequence, count):
    """Whether a waiting packet stands at this place of the order or behind it."""
    row = row_of(feed, index)
    other = load_i64(row + HELD.sequence)
    return other > sequence or (other == sequence and load_u32(row + HELD.count) >= count)


@kernel
def has_room(feed, recovery):
    """Whether one more packet may wait while the channel's recovery is in this state: of the channel, of the pool, and half
    of the pool stays for the others."""
    pool, held = load_i64(feed + FEED.pool), load_u32(feed + FEED.held)
    taken, room = load_u32(pool + POOL.taken), load_u32(pool + POOL.rows_max) - 1 - SPARE_ROWS
    if taken >= room or held >= KEPT_MAX:
        return False
    return held < HELD_MAX or (recovery != NONE and taken * 2 < room)


@kernel
def insert(feed, behind, payload, size_bytes, sequence, count, now_ns):
    """Takes a packet in before the waiting packet `behind` (0: as the last). Returns its row's address."""
    pool = load_i64(feed + FEED.pool)
    index = load_u32(pool + POOL.free)
    if index != 0:
        store_u32(pool + POOL.free, load_u32(row_of(feed, index) + HELD.next))
    else:
        index = load_u32(pool + POOL.used) + 1
        store_u32(pool + POOL.used, index)
    store_u32(pool + POOL.taken, load_u32(pool + POOL.taken) + 1)
    row = row_of(feed, index)
    store_i64(row + HELD.sequence, sequence)
    store_i64(row + HELD.time_receive_ns, now_ns)
    store_u32(row + HELD.count, count)
    store_u32(row + HELD.size, size_bytes)
    copy_bytes(payload_of(feed, index), payload, size_bytes)
    before, since_ns = load_u32(feed + FEED.held_last), now_ns
    if behind != 0:
        before = load_u32(row_of(feed, behind) + HELD.previous)
        since_ns = min(now_ns, load_i64(row_of(feed, behind) + HELD.since_ns))
    store_i64(row + HELD.since_ns, since_ns)
    link(feed, before, index)
    link(feed, index, behind)
    store_u32(feed + FEED.held, load_u32(feed + FEED.held) + 1)
    return row


@leaf
def link(feed, before, behind):
    """`behind` follows `before` in the list; 0 is the list's end on either side."""
    if before != 0:
        store_u32(row_of(feed, before) + HELD.next, behind)
    else:
        store_u32(feed + FEED.held_first, behind)
    if behind != 0:
        store_u32(row_of(feed, behind) + HELD.previous, before)
    else:
        store_u32(feed + FEED.held_last, before)


@kernel
def take_first(feed):
    """Takes the first waiting packet out. Its row and bytes stay as they are until the next packet enters."""
    pool, index = load_i64(feed + FEED.pool), load_u32(feed + FEED.held_first)
    row = row_of(feed, index)
    link(feed, 0, load_u32(row + HELD.next))
    store_u32(row + HELD.next, load_u32(pool + POOL.free))
    store_u32(pool + POOL.free, index)
    store_u32(pool + POOL.taken, load_u32(pool + POOL.taken) - 1)
    store_u32(feed + FEED.held, load_u32(feed + FEED.held) - 1)
    return row


@kernel
def drop_all(feed):
    """Nothing waits any more."""
    while load_u32(feed + FEED.held_first) != 0:
        take_first(feed)
