"""Whose packets a channel follows: sessions, restarts, and what takes the place of a run that has fallen silent.

Beside arbitrate.py, between ④ and ⑤; the reasoning stands in docs/adr/0014-following-a-channel.md. Hard rule: one packet
alone, whatever it says, never moves a channel away from a session that is still heard; retransmissions never do at all.
"""

from gateway import limits
from gateway.core.counters import add_to, count_reason
from gateway.core.held_packets import drop_all
from gateway.core.kernel import kernel, leaf
from gateway.core.line_statistics import STATISTICS, forget
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.core.packet_fields import read_number
from gateway.layout import offsets, size, value

FEED = offsets("feed")
FORMAT = offsets("packet_format")
CANDIDATE = offsets("feed_candidate")
COUNTERS = offsets("core_counters")
CANDIDATE_BYTES = size("feed_candidate")
SESSION_OTHER, RESET = value("FEED_SESSION_OTHER"), value("FEED_SEQUENCE_RESET")
INVALID = value("FEED_SEQUENCE_INVALID")
RETRANSMISSIONS, NONE = value("FEED_RETRANSMISSIONS"), value("RECOVERY_NONE")
SEQUENCE_MAX = 1 << 62  # beyond it a sum of two sequences could overflow


@leaf
def is_silent_type(form, payload):
    """Whether the packet's type says that it carries no messages and takes no sequence."""
    field = load_u32(form + FORMAT.type)
    if field == 0:
        return False
    kind = read_number(payload, field) & 0xFF
    return load_i64(form + FORMAT.silent_types + (kind >> 6) * 8) >> (kind & 63) & 1 != 0


@kernel
def follows(feed, form, payload, sequence, count, line, now_ns, counters):
    """True when the packet belongs to the session we follow, or begins the one we shall follow."""
    first = read_number(payload, load_u32(form + FORMAT.session_first))
    last = read_number(payload, load_u32(form + FORMAT.session_last))
    known = load_i64(feed + FEED.next_sequence) != 0
    if known and first == load_i64(feed + FEED.session_first) and last == load_i64(feed + FEED.session_last):
        return True
    if line == RETRANSMISSIONS:
        count_reason(counters, SESSION_OTHER)
        return False
    if known and load_u32(feed + FEED.ended) == 0:
        if not persists(feed, first, last, sequence, count, line, now_ns):
            count_reason(counters, SESSION_OTHER)
            return False
        add_to(load_i64(feed + FEED.statistics) + STATISTICS.resets, 1)
        count_reason(counters, RESET)
    adopt(feed, first, last, sequence, now_ns)
    add_to(counters + COUNTERS.sessions, 1)
    return True


@kernel
def persists(feed, session_first, session_last, sequence, count, line, now_ns):
    """Whether another run may take over: the followed one is silent, this one keeps coming on its line in sequence."""
    candidate = feed + FEED.candidates + line * CANDIDATE_BYTES
    in_sequence = sequence == load_i64(candidate + CANDIDATE.next_sequence)
    same = session_first == load_i64(candidate + CANDIDATE.session_first)
    same &= session_last == load_i64(candidate + CANDIDATE.session_last)
    packets = load_i64(candidate + CANDIDATE.count) + 1 if in_sequence and same else 1
    store_i64(candidate + CANDIDATE.session_first, session_first)
    store_i64(candidate + CANDIDATE.session_last, session_last)
    store_i64(candidate + CANDIDATE.next_sequence, sequence + count)
    store_i64(candidate + CANDIDATE.count, packets)
    silence_ns = load_i64(feed + FEED.silence_ns)
    return packets >= limits.CANDIDATE_PACKETS and 0 < silence_ns < now_ns - load_i64(feed + FEED.heard_ns)


@kernel
def restarts(feed, form, payload, sequence, line, now_ns):
    """Whether one packet with old numbers says by itself that the channel began anew, by the venue's time or by ours."""
    restart_ns = load_i64(feed + FEED.restart_ns)
    if line == RETRANSMISSIONS or restart_ns <= 0:
        return False
    field = load_u32(form + FORMAT.time)
    if field == 0:
        return sequence == 1 and now_ns - load_i64(feed + FEED.began_ns) > restart_ns
    margin = load_i64(form + FORMAT.time_margin)
    if margin == 0:
        margin = max(limits.REORDER_WINDOW_NS, load_i64(feed + FEED.window_ns))
    return read_number(payload, field) - load_i64(feed + FEED.time_newest) > margin


@kernel
def renew(feed, form, payload, sequence, now_ns, counters):
    """The channel began anew without saying so."""
    count_reason(counters, RESET)
    add_to(load_i64(feed + FEED.statistics) + STATISTICS.resets, 1)
    adopt(feed, load_i64(feed + FEED.session_first), load_i64(feed + FEED.session_last), sequence, now_ns)
    store_i64(feed + FEED.time_newest, read_number(payload, load_u32(form + FORMAT.time)))


@kernel
def adopt(feed, session_first, session_last, sequence, now_ns):
    """Follows this session from this sequence on; nothing of the run before is waited for."""
    forget(feed)
    drop_all(feed)
    store_i64(feed + FEED.session_first, session_first)
    store_i64(feed + FEED.session_last, session_last)
    store_i64(feed + FEED.next_sequence, sequence)
    store_i64(feed + FEED.first_sequence, sequence)
    store_i64(feed + FEED.began_ns, now_ns)
    store_i64(feed + FEED.heard_ns, now_ns)
    store_i64(feed + FEED.time_newest, -SEQUENCE_MAX)
    store_i64(feed + FEED.gap_first, 0)
    store_i64(feed + FEED.gap_count, 0)
    store_u32(feed + FEED.ended, 0)
    store_u32(feed + FEED.recovery, NONE)
    store_u32(feed + FEED.joined, 1)
    for line in range(RETRANSMISSIONS):
        store_i64(feed + FEED.candidates + line * CANDIDATE_BYTES + CANDIDATE.count, 0)
