"""What happens at a hole: wait, declare it, ask for what is missing, give up; and what may leave the waiting packets.

Beside arbitrate.py, between ④ and ⑤.

    FOLLOWING ── a packet ahead ──► WAITING ── window over ──► gap declared ──┬─ no server, or too large ──► lost: FOLLOWING
        ▲                              │                                      ▼
        ├─────────── hole filled ──────┘                                    ASKING ── request, wait, request …
        ├─────────── RECOVERED ◄─ hole filled, all behind it delivered ───────┤
        └─────────── lost: GAP again, with gap_lost ◄─ deadline, attempts or room over

Hard rule: nothing behind a hole leaves before the hole was declared, and while it is being filled nothing behind it leaves.
"""

from gateway import limits
from gateway.core.counters import add_to
from gateway.core.held_packets import has_room, payload_of, row_of, take_first
from gateway.core.kernel import kernel, leaf
from gateway.core.line_statistics import LINE as LINE_STATISTICS
from gateway.core.line_statistics import STATISTICS, enter, line_of, settle
from gateway.core.memory import load_i64, load_u32, multiply_wrapping, remainder_u32, shift_right, store_i64, store_u32
from gateway.layout import offsets, value

FEED = offsets("feed")
HELD = offsets("held_packet")
COUNTERS = offsets("core_counters")
NOTHING, PACKET, GAP = value("READY_NOTHING"), value("READY_PACKET"), value("READY_GAP")
REQUEST, RECOVERED = value("READY_REQUEST"), value("READY_RECOVERED")
NONE, ASKING, PARTLY = value("RECOVERY_NONE"), value("RECOVERY_ASKING"), value("RECOVERY_PARTLY")
ENDED = -(1 << 62)  # the window once the input has ended
RANDOM_MULTIPLIER = 6364136223846793005  # Knuth, MMIX
REQUEST_COUNT_MAX = 0xFFFE  # MoldUDP64 1.00: 0xFFFF ends a session


@leaf
def make_ready(feed, payload, size_bytes, sequence, skip, time_ns):
    """The packet may be delivered; `skip` of its messages were, and the first that is news has this sequence."""
    store_i64(feed + FEED.ready_payload, payload)
    store_u32(feed + FEED.ready_size, size_bytes)
    store_u32(feed + FEED.ready_skip, skip)
    store_i64(feed + FEED.ready_sequence, sequence)
    store_i64(feed + FEED.ready_time_ns, time_ns)
    return PACKET


@leaf
def next_ready(feed, now_ns, counters):
    """What may leave now (enum feed_ready): call it until NOTHING, and whenever time has passed."""
    if (load_u32(feed + FEED.held_first) | load_u32(feed + FEED.recovery)) == 0:
        return NOTHING
    return drain(feed, now_ns, counters)


@kernel
def drain(feed, now_ns, counters):
    """The first waiting packet when nothing is missing in front of it; else what the hole asks for."""
    while load_u32(feed + FEED.held_first) != 0:
        row = row_of(feed, load_u32(feed + FEED.held_first))
        next_sequence = load_i64(feed + FEED.next_sequence)
        sequence, count = load_i64(row + HELD.sequence), load_u32(row + HELD.count)
        if sequence > next_sequence:
            break
        payload = payload_of(feed, load_u32(feed + FEED.held_first))
        take_first(feed)
        if load_u32(row + HELD.end_of_session) != 0:
            store_u32(feed + FEED.ended, 1)
        line, time_ns = load_u32(row + HELD.line), load_i64(row + HELD.time_receive_ns)
        brought = LINE_STATISTICS.other
        if sequence + count > next_sequence:
            brought = LINE_STATISTICS.first
        add_to(line_of(feed, line) + brought, 1)
        store_i64(line_of(feed, line) + LINE_STATISTICS.last_seen_ns, time_ns)
        if sequence + count > next_sequence:
            enter(feed, next_sequence, line, load_u32(row + HELD.missing), time_ns)
            store_i64(feed + FEED.next_sequence, sequence + count)
            return make_ready(feed, payload, load_u32(row + HELD.size), next_sequence, next_sequence - sequence, time_ns)
    state = load_u32(feed + FEED.recovery)
    if state != NONE and load_i64(feed + FEED.next_sequence) >= load_i64(feed + FEED.hole_end):
        store_u32(feed + FEED.recovery, NONE)
        if state == ASKING:
            add_to(load_i64(feed + FEED.statistics) + STATISTICS.recovered, 1)
            return RECOVERED
    if load_u32(feed + FEED.held_first) == 0:
        return NOTHING
    return at_hole(feed, now_ns, counters)


@kernel
def at_hole(feed, now_ns, counters):
    """The first waiting packet stands behind a hole: wait, declare, ask or give up."""
    row = row_of(feed, load_u32(feed + FEED.held_first))
    first = load_i64(feed + FEED.next_sequence)
    count = load_i64(row + HELD.sequence) - first
    if load_u32(feed + FEED.recovery) != NONE:
        return ask(feed, first, count, now_ns)
    window_ns = load_i64(feed + FEED.window_ns)
    if window_ns > 0 and now_ns - load_i64(row + HELD.since_ns) <= window_ns:
        return NOTHING
    statistics = load_i64(feed + FEED.statistics)
    add_to(counters + COUNTERS.gaps, 1)
    add_to(counters + COUNTERS.gap_messages, count)
    add_to(statistics + STATISTICS.gaps, 1)
    add_to(statistics + STATISTICS.gap_messages, count)
    in_vain = load_i64(feed + FEED.request) == 0 or count > limits.RECOVERY_MESSAGES_MAX or window_ns == ENDED
    if in_vain or not has_room(feed, ASKING):
        return lose(feed, first, count)
    store_u32(feed + FEED.recovery, ASKING)
    store_i64(feed + FEED.hole_end, first + count)
    store_i64(feed + FEED.give_up_ns, now_ns + load_i64(feed + FEED.deadline_ns))
    store_i64(feed + FEED.request_first, 0)
    # the last gap's back-off was for its own requests: this one is asked for as soon as the pace allows
    paced_ns = load_i64(feed + FEED.request_sent_ns) + limits.REQUEST_INTERVAL_NS
    store_i64(feed + FEED.request_due_ns, max(now_ns, paced_ns))
    store_u32(feed + FEED.attempts, 0)
    return declare(feed, first, count, 0)


@kernel
def declare(feed, first, count, lost):
    """The gap's words, for whoever announces it."""
    store_i64(feed + FEED.gap_first, first)
    store_i64(feed + FEED.gap_count, count)
    store_i64(feed + FEED.gap_lost, lost)
    return GAP


@kernel
def lose(feed, first, count):
    """Nothing fills this hole: what stands behind it goes on."""
    add_to(load_i64(feed + FEED.statistics) + STATISTICS.lost_messages, count)
    store_i64(feed + FEED.next_sequence, first + count)
    return declare(feed, first, count, 1)


@kernel
def ask(feed, first, count, now_ns):
    """While a hole is being filled: the next request when its time has come, or the end of trying."""
    due_ns = load_i64(feed + FEED.request_due_ns)
    progress = first != load_i64(feed + FEED.request_first)
    attempts = 0 if progress else load_u32(feed + FEED.attempts)
    tired = attempts >= limits.REQUEST_ATTEMPTS_MAX and now_ns >= due_ns
    if now_ns >= load_i64(feed + FEED.give_up_ns) or tired or load_i64(feed + FEED.window_ns) == ENDED:
        store_u32(feed + FEED.recovery, PARTLY)
        return lose(feed, first, count)
    if progress and load_i64(feed + FEED.request_first) != 0:
        due_ns = min(due_ns, load_i64(feed + FEED.request_sent_ns) + limits.REQUEST_INTERVAL_NS)
    if now_ns < due_ns:
        return NOTHING
    store_i64(feed + FEED.request_first, first)
    store_i64(feed + FEED.request_count, min(count, REQUEST_COUNT_MAX))
    store_i64(feed + FEED.request_sent_ns, now_ns)
    store_i64(feed + FEED.request_due_ns, now_ns + patience_ns(feed, attempts))
    store_u32(feed + FEED.attempts, attempts + 1)
    add_to(load_i64(feed + FEED.statistics) + STATISTICS.requests, 1)
    return REQUEST


@kernel
def patience_ns(feed, attempts):
    """How long an answer is waited for: doubled with each attempt, and up to half as much again, so that no two of us
    keep step."""
    wait_ns = limits.REQUEST_RETRY_NS << min(attempts, limits.REQUEST_DOUBLINGS_MAX)
    state = multiply_wrapping(load_i64(feed + FEED.random) | 1, RANDOM_MULTIPLIER) ^ 0x55
    store_i64(feed + FEED.random, state)
    return wait_ns + remainder_u32(shift_right(state, 33), (wait_ns >> 1) + 1)


@kernel
def flush(feed):
    """The input has ended: no hole and no copy is waited for any more."""
    store_i64(feed + FEED.window_ns, ENDED)
    settle(feed)
