"""Merges the lines of one channel by sequence: between protocol ④ and book ⑤.

Hard rule: messages leave here once each and in order, or a gap is declared before the first one behind the hole.
The state is struct feed (native/layout/feed.h, with the picture); how packets are numbered is struct packet_format. Whose
packets are followed stands in follow.py, what happens at a hole in gaps.py.

    code = offer(feed, …)                    one packet comes in
    while code != NOTHING:                   what may go on now
        PACKET: deliver feed.ready_*    GAP: announce feed.gap_*    REQUEST: ask for feed.request_*    RECOVERED: announce it
        code = next_ready(feed, now_ns, counters)
"""

from gateway import limits
from gateway.core.counters import add_to, count_reason
from gateway.core.follow import RETRANSMISSIONS, SEQUENCE_MAX, follows, is_silent_type, persists, renew, restarts
from gateway.core.gaps import flush, make_ready, next_ready
from gateway.core.held_packets import HELD_BYTES, find_place, has_room, insert, row_of
from gateway.core.kernel import kernel, leaf
from gateway.core.line_statistics import (
    is_expected_copy,
    note_again,
    note_copy,
    note_expected_copy,
    note_first,
    note_other,
)
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.core.packet_fields import read_number
from gateway.layout import offsets, value

FEED = offsets("feed")
HELD = offsets("held_packet")
FORMAT = offsets("packet_format")
COUNTERS = offsets("core_counters")
NOTHING, PACKET, GAP = value("READY_NOTHING"), value("READY_PACKET"), value("READY_GAP")
REQUEST, RECOVERED = value("READY_REQUEST"), value("READY_RECOVERED")
DUPLICATE, LATE = value("FEED_DUPLICATE"), value("FEED_LATE")
INVALID, FULL = value("FEED_SEQUENCE_INVALID"), value("FEED_REORDER_FULL")
SHORT, AFTER_END = value("FEED_PACKET_SHORT"), value("FEED_END_OF_SESSION")
JUMP_MAX = limits.SEQUENCE_JUMP_MAX
COUNT_MAX = 0xFFFF
END = 1 << 32  # beside the count of a packet that ends its session

__all__ = ["GAP", "JUMP_MAX", "NOTHING", "PACKET", "RECOVERED", "REQUEST", "flush", "next_ready", "offer"]


@kernel
def offer(feed, payload, size_bytes, line, now_ns, counters):
    """Takes one packet of `size_bytes` at `payload` from line 0, 1 or 2; says what is ready (enum feed_ready).

    Two short ways, for a format with nothing else to look at: the packet that is next, and the copy its line owes us.
    """
    form = load_i64(feed + FEED.format)
    if size_bytes < load_u32(form + FORMAT.header_bytes):
        count_reason(counters, SHORT)
        return NOTHING
    add_to(counters + COUNTERS.packets, 1)
    sequence = read_number(payload, load_u32(form + FORMAT.sequence))
    count = read_number(payload, load_u32(form + FORMAT.count))
    if 0 < count < COUNT_MAX and count != load_u32(form + FORMAT.count_end) and is_plain(feed, form, payload):
        if sequence == load_i64(feed + FEED.next_sequence):
            advance = count if load_u32(form + FORMAT.sequence_counts_messages) != 0 else 1
            store_i64(feed + FEED.next_sequence, sequence + advance)
            add_to(counters + (COUNTERS.line_a_first if line == 0 else COUNTERS.line_b_first), 1)
            store_i64(feed + FEED.heard_ns, now_ns)
            note_first(feed, sequence, line, now_ns)
            return make_ready(feed, payload, size_bytes, sequence, 0, now_ns)
        if sequence > 1 and is_expected_copy(feed, sequence, line):
            count_reason(counters, DUPLICATE)
            store_i64(feed + FEED.heard_ns, now_ns)
            note_expected_copy(feed, line, now_ns)
            return next_ready(feed, now_ns, counters)
    return examine(feed, form, payload, size_bytes, sequence, line, now_ns, counters)


@leaf
def is_plain(feed, form, payload):
    """Whether a packet with the next sequence needs no second look."""
    odd = load_u32(form + FORMAT.time) | load_u32(form + FORMAT.type) | load_u32(form + FORMAT.header_length)
    if (odd | load_u32(feed + FEED.ended)) != 0:
        return False
    first = read_number(payload, load_u32(form + FORMAT.session_first))
    last = read_number(payload, load_u32(form + FORMAT.session_last))
    return (first == load_i64(feed + FEED.session_first)) & (last == load_i64(feed + FEED.session_last))


@kernel
def examine(feed, form, payload, size_bytes, sequence, line, now_ns, counters):
    """The long way: every rule, one after another."""
    if read_number(payload, load_u32(form + FORMAT.header_length)) > size_bytes:
        count_reason(counters, SHORT)
        return NOTHING
    if is_silent_type(form, payload):
        add_to(counters + COUNTERS.heartbeats, 1)
        note_other(feed, line, now_ns)
        return next_ready(feed, now_ns, counters)
    count = count_of(form, payload, counters)
    unsequenced = load_u32(form + FORMAT.zero_unsequenced) | load_u32(feed + FEED.unsequenced)
    if sequence == 0 and unsequenced != 0:
        add_to(counters + COUNTERS.unsequenced, 1)
        return make_ready(feed, payload, size_bytes, 0, 0, now_ns)
    if not 0 < sequence < SEQUENCE_MAX or count < 0:
        count_reason(counters, INVALID)
        return NOTHING
    end, count = count & END, count & (END - 1)
    if not follows(feed, form, payload, sequence, count, line, now_ns, counters):
        return NOTHING
    return place(feed, form, payload, size_bytes, sequence, count, end, line, now_ns, counters)


@kernel
def count_of(form, payload, counters):
    """Sequence numbers a packet takes, 0 for a heartbeat, END for the end of the session; -1: beyond belief."""
    field = load_u32(form + FORMAT.count)
    if field == 0:
        return 1
    count, count_end = read_number(payload, field), load_u32(form + FORMAT.count_end)
    if count_end != 0 and count == count_end:
        add_to(counters + COUNTERS.end_of_session, 1)
        return END
    if count == 0:
        add_to(counters + COUNTERS.heartbeats, 1)
        return 0
    if not 0 < count <= COUNT_MAX:
        return -1
    return count if load_u32(form + FORMAT.sequence_counts_messages) != 0 else 1


@kernel
def place(feed, form, payload, size_bytes, sequence, count, end, line, now_ns, counters):
    """Where a packet of the followed session stands: ahead, behind, or next."""
    next_sequence = load_i64(feed + FEED.next_sequence)
    if sequence > next_sequence:
        if sequence - next_sequence > JUMP_MAX:
            count_reason(counters, INVALID)
            return NOTHING
        hold(feed, payload, size_bytes, sequence, count, end, line, now_ns, counters)
    elif count == 0:
        note_other(feed, line, now_ns)
        if sequence == next_sequence:
            store_i64(feed + FEED.heard_ns, now_ns)
            if end != 0:
                store_u32(feed + FEED.ended, 1)
    elif sequence + count <= next_sequence:
        if not is_new_run(feed, form, payload, sequence, count, line, now_ns):
            refuse_old(feed, sequence, count, counters)
            return next_ready(feed, now_ns, counters)
        renew(feed, form, payload, sequence, now_ns, counters)
        return deliver(feed, form, payload, size_bytes, sequence, count, line, now_ns, counters)
    elif load_u32(feed + FEED.ended) != 0:
        count_reason(counters, AFTER_END)
    else:
        return deliver(feed, form, payload, size_bytes, sequence, count, line, now_ns, counters)
    return next_ready(feed, now_ns, counters)


@kernel
def deliver(feed, form, payload, size_bytes, sequence, count, line, now_ns, counters):
    """The packet is next, or overlaps what is next."""
    next_sequence = load_i64(feed + FEED.next_sequence)
    add_to(counters + (COUNTERS.line_a_first if line == 0 else COUNTERS.line_b_first), 1)
    store_i64(feed + FEED.next_sequence, sequence + count)
    store_i64(feed + FEED.heard_ns, now_ns)
    note_first(feed, next_sequence, line, now_ns)
    time = read_number(payload, load_u32(form + FORMAT.time))
    store_i64(feed + FEED.time_newest, max(time, load_i64(feed + FEED.time_newest)))
    return make_ready(feed, payload, size_bytes, next_sequence, next_sequence - sequence, now_ns)


@kernel
def is_new_run(feed, form, payload, sequence, count, line, now_ns):
    """Whether old numbers are the beginning of a new run; else it is a copy, or what was declared lost."""
    if restarts(feed, form, payload, sequence, line, now_ns):
        return True
    if note_again(feed, sequence, line, now_ns):
        store_i64(feed + FEED.heard_ns, now_ns)
        return False
    if line == RETRANSMISSIONS:
        return False
    first, last = load_i64(feed + FEED.session_first), load_i64(feed + FEED.session_last)
    return persists(feed, first, last, sequence, count, line, now_ns)


@kernel
def refuse_old(feed, sequence, count, counters):
    """All of it was delivered before, or declared lost."""
    first = load_i64(feed + FEED.gap_first)
    inside = first <= sequence and sequence + count <= first + load_i64(feed + FEED.gap_count)
    count_reason(counters, LATE if inside and load_i64(feed + FEED.gap_lost) != 0 else DUPLICATE)


@kernel
def hold(feed, payload, size_bytes, sequence, count, end, line, now_ns, counters):
    """Keeps a packet that is ahead; the same packet of the other line is a duplicate.

    One that finds no room is kept all the same, in the spare row: its other copy may never come.
    """
    store_i64(feed + FEED.heard_ns, now_ns)
    behind = find_place(feed, sequence, count)
    if behind != 0 and load_i64(row_of(feed, behind) + HELD.sequence) == sequence:
        count_reason(counters, DUPLICATE)
        if count == 0:
            note_other(feed, line, now_ns)
            return
        row = row_of(feed, behind)
        missing, first_ns = load_u32(row + HELD.missing), load_i64(row + HELD.time_receive_ns)
        store_u32(row + HELD.missing, note_copy(feed, line, missing, load_u32(row + HELD.line), first_ns, now_ns))
        return
    if size_bytes > HELD_BYTES:
        count_reason(counters, FULL)
        wait_no_longer(feed, now_ns)
        return
    is_full = not has_room(feed, load_u32(feed + FEED.recovery))
    row = insert(feed, behind, payload, size_bytes, sequence, count, now_ns)
    store_u32(row + HELD.line, line)
    store_u32(row + HELD.missing, load_u32(feed + FEED.expected) & ~(1 << line))
    store_u32(row + HELD.end_of_session, 1 if end != 0 else 0)
    add_to(counters + COUNTERS.reordered, 1)
    if is_full:
        count_reason(counters, FULL)
        wait_no_longer(feed, now_ns)


@kernel
def wait_no_longer(feed, now_ns):
    """There is no room to wait longer: the hole in front is a gap, and one that is being filled is given up. Either way, or
    because at_hole finds no room to ask, the first waiting packet leaves before another one comes."""
    store_i64(feed + FEED.give_up_ns, now_ns)
    first = load_u32(feed + FEED.held_first)
    if first != 0:
        store_i64(row_of(feed, first) + HELD.since_ns, now_ns - load_i64(feed + FEED.window_ns) - 1)
