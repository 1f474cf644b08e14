"""Merges the two lines of a MoldUDP64 feed by sequence: between protocol ④ and book ⑤.

Hard rule: messages leave here once each and in order, or a gap is declared before the first one behind the hole.
The state is struct feed (native/layout/feed.h, with the picture); MoldUDP64 1.00 sections "Downstream Packet",
"Heartbeats" and "End of Session" say what the counts 0 and 0xFFFF mean.

    code = offer(feed, …)                    one packet comes in
    while code != NOTHING:                   what may go on now
        PACKET: deliver feed.ready_*    GAP: announce feed.gap_*
        code = next_ready(feed, now_ns, counters)
"""

from gateway import limits
from gateway.core.counters import add_to, count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import copy_bytes, load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value
from gateway.protocols.moldudp64 import END_OF_SESSION, HEADER_BYTES, count_of, sequence_of, session_high, session_low

FEED = offsets("feed")
HELD = offsets("held_packet")
COUNTERS = offsets("core_counters")
NOTHING, PACKET, GAP = value("READY_NOTHING"), value("READY_PACKET"), value("READY_GAP")
DUPLICATE, LATE = value("FEED_DUPLICATE"), value("FEED_LATE")
INVALID, SESSION_OTHER, FULL = value("FEED_SEQUENCE_INVALID"), value("FEED_SESSION_OTHER"), value("FEED_REORDER_FULL")
SHORT, AFTER_END = value("FEED_PACKET_SHORT"), value("FEED_END_OF_SESSION")
HELD_MAX, HELD_BYTES, HELD_ROW_BYTES = value("FEED_HELD_MAX"), value("FEED_HELD_BYTES"), size("held_packet")
assert HELD_MAX == limits.REORDER_PACKETS_MAX
JUMP_MAX = limits.SEQUENCE_JUMP_MAX
SEQUENCE_MAX = 1 << 62  # beyond it a sum of two sequences could overflow


@kernel
def offer(feed, payload, size_bytes, line, now_ns, counters):
    """Takes one packet of `size_bytes` at `payload` from line 0 or 1; says what is ready (enum feed_ready)."""
    if size_bytes < HEADER_BYTES:
        count_reason(counters, SHORT)
        return NOTHING
    add_to(counters + COUNTERS.packets, 1)
    sequence, count = sequence_of(payload), count_of(payload)
    end = count == END_OF_SESSION
    if end or count == 0:
        add_to(counters + (COUNTERS.end_of_session if end else COUNTERS.heartbeats), 1)
        count = 0
    if sequence == 0 and load_u32(feed + FEED.unsequenced) != 0:
        add_to(counters + COUNTERS.unsequenced, 1)
        return _make_ready(feed, payload, size_bytes, 0, now_ns)
    if not _follow(feed, payload, sequence, counters):
        return NOTHING
    return _place(feed, payload, size_bytes, sequence, count, end, line, now_ns, counters)


@kernel
def _follow(feed, payload, sequence, counters):
    """True when the packet belongs to the session we follow, or begins the one we shall follow."""
    if not 0 < sequence < SEQUENCE_MAX:
        count_reason(counters, INVALID)
        return False
    first, last = session_low(payload), session_high(payload)
    known = load_i64(feed + FEED.next_sequence)
    if known != 0 and first == load_i64(feed + FEED.session_first) and last == load_i64(feed + FEED.session_last):
        if sequence - known > JUMP_MAX:
            count_reason(counters, INVALID)
            return False
        return True
    if known != 0 and load_u32(feed + FEED.ended) == 0:
        count_reason(counters, SESSION_OTHER)
        return False
    _adopt(feed, first, last, sequence)
    add_to(counters + COUNTERS.sessions, 1)
    return True


@kernel
def _adopt(feed, session_first, session_last, sequence):
    store_i64(feed + FEED.session_first, session_first)
    store_i64(feed + FEED.session_last, session_last)
    store_i64(feed + FEED.next_sequence, sequence)
    store_i64(feed + FEED.first_sequence, sequence)
    store_i64(feed + FEED.gap_first, 0)
    store_i64(feed + FEED.gap_count, 0)
    store_u32(feed + FEED.ended, 0)
    store_u32(feed + FEED.held, 0)
    store_u32(feed + FEED.joined, 1)
    for index in range(HELD_MAX):
        store_u32(feed + FEED.rows + index * HELD_ROW_BYTES + HELD.used, 0)


@kernel
def _place(feed, payload, size_bytes, sequence, count, end, line, now_ns, counters):
    next_sequence = load_i64(feed + FEED.next_sequence)
    if sequence > next_sequence:
        _hold(feed, payload, size_bytes, sequence, count, end, now_ns, counters)
    elif count == 0:
        if end and sequence == next_sequence:
            store_u32(feed + FEED.ended, 1)
    elif sequence + count <= next_sequence:
        gap_first = load_i64(feed + FEED.gap_first)
        lost = gap_first <= sequence and sequence + count <= gap_first + load_i64(feed + FEED.gap_count)
        count_reason(counters, LATE if lost else DUPLICATE)
    elif load_u32(feed + FEED.ended) != 0:
        count_reason(counters, AFTER_END)
    else:
        add_to(counters + (COUNTERS.line_a_first if line == 0 else COUNTERS.line_b_first), 1)
        store_i64(feed + FEED.next_sequence, sequence + count)
        return _make_ready(feed, payload, size_bytes, next_sequence - sequence, now_ns)
    return next_ready(feed, now_ns, counters)


@leaf
def _make_ready(feed, payload, size_bytes, skip, time_ns):
    store_i64(feed + FEED.ready_payload, payload)
    store_u32(feed + FEED.ready_size, size_bytes)
    store_u32(feed + FEED.ready_skip, skip)
    store_i64(feed + FEED.ready_time_ns, time_ns)
    return PACKET


@kernel
def _hold(feed, payload, size_bytes, sequence, count, end, now_ns, counters):
    """Keeps a packet that is ahead; the same packet of the other line is a duplicate."""
    free = -1
    for index in range(HELD_MAX):
        row = feed + FEED.rows + index * HELD_ROW_BYTES
        if load_u32(row + HELD.used) == 0:
            free = index
        elif load_i64(row + HELD.sequence) == sequence and load_u32(row + HELD.count) >= count:
            count_reason(counters, DUPLICATE)
            return
    if free < 0 or size_bytes > HELD_BYTES:
        count_reason(counters, FULL)
        store_i64(feed + FEED.hold_since_ns, now_ns - load_i64(feed + FEED.window_ns) - 1)  # no room to wait longer
        return
    row = feed + FEED.rows + free * HELD_ROW_BYTES
    store_i64(row + HELD.sequence, sequence)
    store_u32(row + HELD.count, count)
    store_u32(row + HELD.size, size_bytes)
    store_i64(row + HELD.time_receive_ns, now_ns)
    store_u32(row + HELD.end_of_session, 1 if end else 0)
    store_u32(row + HELD.used, 1)
    copy_bytes(load_i64(feed + FEED.held_bytes) + free * HELD_BYTES, payload, size_bytes)
    if load_u32(feed + FEED.held) == 0:
        store_i64(feed + FEED.hold_since_ns, now_ns)
    store_u32(feed + FEED.held, load_u32(feed + FEED.held) + 1)
    add_to(counters + COUNTERS.reordered, 1)


@kernel
def next_ready(feed, now_ns, counters):
    """What may leave the held packets now (enum feed_ready): call it until NOTHING, and whenever time has passed."""
    while load_u32(feed + FEED.held) != 0:
        index = _earliest(feed)
        row = feed + FEED.rows + index * HELD_ROW_BYTES
        sequence, count = load_i64(row + HELD.sequence), load_u32(row + HELD.count)
        next_sequence = load_i64(feed + FEED.next_sequence)
        if sequence > next_sequence:
            window_ns = load_i64(feed + FEED.window_ns)
            if window_ns > 0 and now_ns - load_i64(feed + FEED.hold_since_ns) <= window_ns:
                return NOTHING
            return _declare_gap(feed, next_sequence, sequence - next_sequence, counters)
        store_u32(row + HELD.used, 0)
        store_u32(feed + FEED.held, load_u32(feed + FEED.held) - 1)
        store_i64(feed + FEED.hold_since_ns, now_ns)
        if load_u32(row + HELD.end_of_session) != 0:
            store_u32(feed + FEED.ended, 1)
        if sequence + count > next_sequence:
            store_i64(feed + FEED.next_sequence, sequence + count)
            payload = load_i64(feed + FEED.held_bytes) + index * HELD_BYTES
            skip = next_sequence - sequence
            return _make_ready(feed, payload, load_u32(row + HELD.size), skip, load_i64(row + HELD.time_receive_ns))
    return NOTHING


@kernel
def _earliest(feed):
    """Row of the held packet with the lowest sequence, of two such the shorter; at least one is held."""
    best, best_sequence, best_count = 0, 0x7FFFFFFFFFFFFFFF, 0
    for index in range(HELD_MAX):
        row = feed + FEED.rows + index * HELD_ROW_BYTES
        if load_u32(row + HELD.used) != 0:
            sequence, count = load_i64(row + HELD.sequence), load_u32(row + HELD.count)
            if sequence < best_sequence or (sequence == best_sequence and count < best_count):
                best, best_sequence, best_count = index, sequence, count
    return best


@kernel
def _declare_gap(feed, first, count, counters):
    store_i64(feed + FEED.gap_first, first)
    store_i64(feed + FEED.gap_count, count)
    store_i64(feed + FEED.next_sequence, first + count)
    add_to(counters + COUNTERS.gaps, 1)
    add_to(counters + COUNTERS.gap_messages, count)
    return GAP


@kernel
def flush(feed):
    """The input has ended: no hole is waited for any more."""
    store_i64(feed + FEED.window_ns, -(1 << 62))
