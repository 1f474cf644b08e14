"""MoldUDP64 packets of the simulated venue: messages gather during a step and leave in packets at its end.

Beside the corridor, inside the venue. MoldUDP64 1.00: session 10, sequence 8, count 2, then blocks of length 2 and data.
Hard rule: a sequence number is spent exactly once, whatever the fault plan does to the packet that carries it.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import copy_bytes, load_be16, load_i64, store_be16, store_be64, store_i64
from gateway.layout import offsets, value
from gateway.venues.simulator.faults import release_reordered, transmit_lines
from gateway.venues.simulator.frames import COUNTERS, TEMPLATE_BYTES, VENUE, build, payload_sum, place
from gateway.venues.simulator.store import keep

PACKET = offsets("venue_packet")
PAYLOAD_MAX = value("VENUE_PAYLOAD_MAX")
HEADER_BYTES = 20
SESSION_BYTES = 10
LINES, SNAPSHOTS, REPORTS = value("VENUE_LINES"), value("VENUE_SNAPSHOTS"), value("VENUE_REPORTS")
COUNT_END = 0xFFFF  # message count of an end-of-session packet


@inner
def _finish_header(packet, messages):
    """Writes session, next sequence and count. Returns the payload's address."""
    payload = packet + PACKET.payload
    copy_bytes(payload, packet + PACKET.session, SESSION_BYTES)
    store_be64(payload + 10, load_i64(packet + PACKET.sequence))
    store_be16(payload + 18, messages)
    return payload


@inner
def _report(venue, payload, size_bytes):
    template = venue + VENUE.templates + REPORTS * TEMPLATE_BYTES
    size_frame = build(venue, template, payload, size_bytes, payload_sum(payload, size_bytes))
    place(venue, venue + VENUE.scratch, size_frame, 1)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.report_frames, 1)


@inner
def reserve(venue, packet, size_bytes):
    """Address where the next message of `size_bytes` goes, its length already written before it."""
    used = load_i64(packet + PACKET.blocks_size)
    block = load_i64(packet + PACKET.blocks) + used
    store_be16(block, size_bytes)
    if used + 2 + size_bytes > load_i64(packet + PACKET.blocks_limit):
        add_to(load_i64(venue + VENUE.counters) + COUNTERS.frames_lost, 1)
    else:
        store_i64(packet + PACKET.blocks_size, used + 2 + size_bytes)
    return block + 2


@inner
def cut(packet, offset):
    """Fills the payload with the blocks from `offset` on that fit one packet. Returns messages << 32 | payload bytes."""
    blocks, end = load_i64(packet + PACKET.blocks), load_i64(packet + PACKET.blocks_size)
    begin, messages = offset, 0
    while offset < end:
        behind = offset + 2 + load_be16(blocks + offset)
        if HEADER_BYTES + behind - begin > PAYLOAD_MAX:
            break
        offset = behind
        messages += 1
    _finish_header(packet, messages)
    copy_bytes(packet + PACKET.payload + HEADER_BYTES, blocks + begin, offset - begin)
    return messages << 32 | (HEADER_BYTES + offset - begin)


@inner
def _flush(venue, packet, is_feed):
    """Cuts everything gathered into packets and sends them. Returns how many."""
    offset, sent = 0, 0
    payload = packet + PACKET.payload
    while offset < load_i64(packet + PACKET.blocks_size):
        taken = cut(packet, offset)
        messages, size_bytes = taken >> 32, taken & 0xFFFFFFFF
        sequence = load_i64(packet + PACKET.sequence)
        store_i64(packet + PACKET.sequence, sequence + messages)
        if is_feed:
            keep(venue, sequence, messages, load_i64(packet + PACKET.blocks) + offset)
            transmit_lines(venue, sequence, messages, payload, size_bytes, payload_sum(payload, size_bytes))
        else:
            _report(venue, payload, size_bytes)
        offset += size_bytes - HEADER_BYTES
        sent += 1
    if sent > 0:
        store_i64(packet + PACKET.blocks_size, 0)
        store_i64(packet + PACKET.time_sent_ns, load_i64(venue + VENUE.now_ns))
    return sent


@inner
def flush(venue):
    """Ends a step: what was said leaves, the client's reports before the feed."""
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.report_packets, _flush(venue, venue + VENUE.reports, False))
    add_to(counters + COUNTERS.feed_packets, _flush(venue, venue + VENUE.feed, True))
    store_i64(counters + COUNTERS.report_sequence, load_i64(venue + VENUE.reports + PACKET.sequence))
    store_i64(counters + COUNTERS.feed_sequence, load_i64(venue + VENUE.feed + PACKET.sequence))


@inner
def _send_bare(venue, packet, messages):
    """A packet without messages: on both lines for the feed, on its one for the snapshots, to the client for reports."""
    payload = _finish_header(packet, messages)
    store_i64(packet + PACKET.time_sent_ns, load_i64(venue + VENUE.now_ns))
    if packet == venue + VENUE.reports:
        _report(venue, payload, HEADER_BYTES)
        return
    total = payload_sum(payload, HEADER_BYTES)
    of_snapshots = packet == venue + VENUE.snapshots
    for line in range(SNAPSHOTS if of_snapshots else 0, SNAPSHOTS + 1 if of_snapshots else LINES):
        size_frame = build(venue, venue + VENUE.templates + line * TEMPLATE_BYTES, payload, HEADER_BYTES, total)
        place(venue, venue + VENUE.scratch, size_frame, 0)
        add_to(load_i64(venue + VENUE.counters) + COUNTERS.line_frames + line * 8, 1)
    release_reordered(venue, SNAPSHOTS if of_snapshots else -1)


@inner
def _silent(venue, packet):
    silent_ns = load_i64(venue + VENUE.now_ns) - load_i64(packet + PACKET.time_sent_ns)
    return silent_ns >= load_i64(venue + VENUE.heartbeat_ns)


@inner
def heartbeat_feed(venue, messages):
    """A heartbeat (`messages` 0) or an end of session on both lines once the feed was silent for `heartbeat_ns`.

    The feed's messages must have left. Returns packets sent.
    """
    if not _silent(venue, venue + VENUE.feed):
        return 0
    if messages == COUNT_END:
        end_of_session(venue)
    else:
        _send_bare(venue, venue + VENUE.feed, 0)
        add_to(load_i64(venue + VENUE.counters) + COUNTERS.feed_heartbeats, 1)
    return 1


@inner
def heartbeat_reports(venue):
    """A heartbeat to the client once its session was silent for `heartbeat_ns`. Returns packets sent."""
    if not _silent(venue, venue + VENUE.reports):
        return 0
    _send_bare(venue, venue + VENUE.reports, 0)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.report_heartbeats, 1)
    return 1


@inner
def heartbeat_snapshots(venue):
    """A heartbeat on the snapshot channel once it was silent for `heartbeat_ns`. Returns packets sent."""
    if load_i64(venue + VENUE.snapshot_rate) == 0 or not _silent(venue, venue + VENUE.snapshots):
        return 0
    _send_bare(venue, venue + VENUE.snapshots, 0)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.snapshot_heartbeats, 1)
    return 1


@inner
def end_of_session(venue):
    """An end-of-session packet on both lines of the feed; its messages must have left."""
    _send_bare(venue, venue + VENUE.feed, COUNT_END)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.feed_ends, 1)
