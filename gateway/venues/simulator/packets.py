"""MoldUDP64 packets of the simulated venue: messages gather in a packet, which leaves when full or at the end of a step.

Beside the corridor, inside the venue. MoldUDP64 1.00: session 10, sequence 8, count 2, then blocks of length 2 and data.
Hard rule: a sequence number is spent exactly once, whatever the fault plan does to the packet that carries it.
"""

from numba import njit

from gateway.core.memory import copy_bytes, load_i64, store_be16, store_be64, store_i64
from gateway.layout import offsets, value
from gateway.venues.simulator.faults import release_reordered, transmit_lines
from gateway.venues.simulator.frames import COUNTERS, TEMPLATE_BYTES, VENUE, build, count, payload_sum, place

PACKET = offsets("venue_packet")
PAYLOAD_MAX = value("VENUE_PAYLOAD_MAX")
HEADER_BYTES = 20
SESSION_BYTES = 10
REPORTS = 2  # index of the reports' template
COUNT_END = 0xFFFF  # message count of an end-of-session packet


@njit
def _finish_header(packet, messages):
    """Writes session, next sequence and count. Returns the payload's address."""
    payload = packet + PACKET.payload
    copy_bytes(payload, packet + PACKET.session, SESSION_BYTES)
    store_be64(payload + 10, load_i64(packet + PACKET.sequence))
    store_be16(payload + 18, messages)
    return payload


@njit
def _report(venue, payload, size_bytes):
    template = venue + VENUE.templates + REPORTS * TEMPLATE_BYTES
    size_frame = build(venue, template, payload, size_bytes, payload_sum(payload, size_bytes))
    place(venue, venue + VENUE.scratch, size_frame)
    count(load_i64(venue + VENUE.counters) + COUNTERS.report_frames, 1)


@njit
def _close(venue, packet):
    """Finishes the packet being filled. Returns its payload's address."""
    messages = load_i64(packet + PACKET.count)
    payload = _finish_header(packet, messages)
    store_i64(packet + PACKET.sequence, load_i64(packet + PACKET.sequence) + messages)
    store_i64(packet + PACKET.size, 0)
    store_i64(packet + PACKET.count, 0)
    store_i64(packet + PACKET.time_sent_ns, load_i64(venue + VENUE.now_ns))
    return payload


@njit
def flush_feed(venue):
    """Sends the feed's packet on both lines, if it holds a message."""
    packet = venue + VENUE.feed
    size_bytes = load_i64(packet + PACKET.size)
    if size_bytes == 0:
        return
    sequence = load_i64(packet + PACKET.sequence)
    messages = load_i64(packet + PACKET.count)
    payload = _close(venue, packet)
    counters = load_i64(venue + VENUE.counters)
    store_i64(counters + COUNTERS.feed_sequence, sequence + messages)
    count(counters + COUNTERS.feed_packets, 1)
    transmit_lines(venue, sequence, messages, payload, size_bytes, payload_sum(payload, size_bytes))


@njit
def flush_reports(venue):
    """Sends the reports' packet, if it holds a message."""
    packet = venue + VENUE.reports
    size_bytes = load_i64(packet + PACKET.size)
    if size_bytes == 0:
        return
    payload = _close(venue, packet)
    counters = load_i64(venue + VENUE.counters)
    store_i64(counters + COUNTERS.report_sequence, load_i64(packet + PACKET.sequence))
    count(counters + COUNTERS.report_packets, 1)
    _report(venue, payload, size_bytes)


@njit
def reserve(venue, packet, size_bytes):
    """Address where the next message of `size_bytes` goes, its length already written before it."""
    used = load_i64(packet + PACKET.size)
    if used + 2 + size_bytes > PAYLOAD_MAX:
        if packet == venue + VENUE.feed:
            flush_feed(venue)
        else:
            flush_reports(venue)
        used = 0
    if used == 0:
        used = HEADER_BYTES
    message = packet + PACKET.payload + used
    store_be16(message, size_bytes)
    store_i64(packet + PACKET.size, used + 2 + size_bytes)
    count(packet + PACKET.count, 1)
    return message + 2


@njit
def _send_bare(venue, packet, messages):
    """A packet without messages: on both lines for the feed, to the client for the reports."""
    payload = _finish_header(packet, messages)
    store_i64(packet + PACKET.time_sent_ns, load_i64(venue + VENUE.now_ns))
    if packet == venue + VENUE.reports:
        _report(venue, payload, HEADER_BYTES)
        return
    total = payload_sum(payload, HEADER_BYTES)
    for line in range(REPORTS):
        size_frame = build(venue, venue + VENUE.templates + line * TEMPLATE_BYTES, payload, HEADER_BYTES, total)
        place(venue, venue + VENUE.scratch, size_frame)
        count(load_i64(venue + VENUE.counters) + COUNTERS.line_frames + line * 8, 1)
    release_reordered(venue, -1)


@njit
def _silent(venue, packet):
    silent_ns = load_i64(venue + VENUE.now_ns) - load_i64(packet + PACKET.time_sent_ns)
    return silent_ns >= load_i64(venue + VENUE.heartbeat_ns)


@njit
def heartbeat_feed(venue, messages):
    """A heartbeat (`messages` 0) or an end of session on both lines once the feed was silent for `heartbeat_ns`.

    The feed's packet must be flushed. Returns packets sent.
    """
    if not _silent(venue, venue + VENUE.feed):
        return 0
    if messages == COUNT_END:
        end_of_session(venue)
    else:
        _send_bare(venue, venue + VENUE.feed, 0)
        count(load_i64(venue + VENUE.counters) + COUNTERS.feed_heartbeats, 1)
    return 1


@njit
def heartbeat_reports(venue):
    """A heartbeat to the client once its session was silent for `heartbeat_ns`. Returns packets sent."""
    if not _silent(venue, venue + VENUE.reports):
        return 0
    _send_bare(venue, venue + VENUE.reports, 0)
    count(load_i64(venue + VENUE.counters) + COUNTERS.report_heartbeats, 1)
    return 1


@njit
def end_of_session(venue):
    """An end-of-session packet on both lines of the feed; its packet must be flushed."""
    _send_bare(venue, venue + VENUE.feed, COUNT_END)
    count(load_i64(venue + VENUE.counters) + COUNTERS.feed_ends, 1)
