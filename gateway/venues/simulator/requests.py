"""The re-request server of the simulated venue: MoldUDP64 request packets in, downstream packets by unicast out.

Beside the corridor, inside the venue. MoldUDP64 1.00, section "Request Packet": the answer is one ordinary packet with
as many of the messages as fit it, to the address and port that asked; who wants more asks again.
Hard rule: what cannot be answered is counted and met with silence, and no request costs more than one packet.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import (
    copy_bytes,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    store_be16,
    store_be32,
    store_be64,
    store_i64,
)
from gateway.layout import offsets, value
from gateway.protocols.moldudp64 import (
    COUNT_OFFSET,
    HEADER_BYTES,
    SEQUENCE_OFFSET,
    SESSION_BYTES,
    count_of,
    sequence_of,
    session_high,
    session_low,
)
from gateway.venues.simulator.faults import transmit_service
from gateway.venues.simulator.frames import COUNTERS, IP, TEMPLATE, TEMPLATE_BYTES, UDP, VENUE
from gateway.venues.simulator.packets import PACKET, PAYLOAD_MAX
from gateway.venues.simulator.store import fetch

DATAGRAM = offsets("datagram")
REPLIES = value("VENUE_REPLIES")
MAC_BYTES = 6
MULTICAST_FROM = 224  # first byte of an address that no answer may go to
COST = 1_000_000_000  # one request: a second's nanoseconds
BURST = value("VENUE_REQUEST_BURST")


@inner
def _answerable(frame, datagram):
    """Whether an answer would reach one machine: a forged source must not put it on a multicast line."""
    first = load_u32(datagram + DATAGRAM.source) >> 24
    alone = 0 < first < MULTICAST_FROM and load_u16(datagram + DATAGRAM.source_port) != 0
    return alone and load_u8(frame + MAC_BYTES) & 1 == 0


@inner
def _afford(venue):
    """Pays for one request; False when the rate does not allow it."""
    now_ns = load_i64(venue + VENUE.now_ns)
    passed = min(max(0, now_ns - load_i64(venue + VENUE.request_ns)), COST)
    store_i64(venue + VENUE.request_ns, now_ns)
    credit = load_i64(venue + VENUE.request_credit) + passed * load_i64(venue + VENUE.request_rate)
    credit = min(credit, BURST * COST)
    affordable = credit >= COST
    store_i64(venue + VENUE.request_credit, credit - COST if affordable else credit)
    return affordable


@inner
def _refusal(venue, frame, datagram):
    """The counter of what is wrong with a request; 0: it gets an answer."""
    request, feed = load_i64(datagram + DATAGRAM.payload), venue + VENUE.feed
    if load_u32(datagram + DATAGRAM.size) != HEADER_BYTES or not _answerable(frame, datagram):
        return COUNTERS.requests_malformed
    session = feed + PACKET.session
    if session_low(request) != session_low(session) or session_high(request) != session_high(session):
        return COUNTERS.requests_session
    if count_of(request) == 0:
        return COUNTERS.requests_empty
    first, behind = sequence_of(request), load_i64(feed + PACKET.sequence)
    if first <= 0 or first >= behind:
        return COUNTERS.requests_ahead
    if behind - first > load_i64(venue + VENUE.store_messages):
        return COUNTERS.requests_expired
    return 0 if _afford(venue) else COUNTERS.requests_limited


@inner
def _address_reply(venue, frame, datagram):
    """Makes the asker the receiver of the replies' template: MAC, IPv4 address, port, and their share of the checksum."""
    template = venue + VENUE.templates + REPLIES * TEMPLATE_BYTES
    address, port = load_u32(datagram + DATAGRAM.source), load_u16(datagram + DATAGRAM.source_port)
    copy_bytes(template + TEMPLATE.bytes, frame + MAC_BYTES, MAC_BYTES)
    store_be32(template + TEMPLATE.bytes + IP + 16, address)
    store_be16(template + TEMPLATE.bytes + UDP + 2, port)
    total = load_i64(venue + VENUE.reply_sum) + (address >> 16) + (address & 0xFFFF) + port
    store_i64(template + TEMPLATE.sum, total)


@inner
def _reply(venue, sequence, messages):
    """Sends what fits one packet. Returns the messages in it."""
    payload = venue + VENUE.reply
    taken = fetch(venue, sequence, messages, payload + HEADER_BYTES, PAYLOAD_MAX - HEADER_BYTES)
    copy_bytes(payload, venue + VENUE.feed + PACKET.session, SESSION_BYTES)
    store_be64(payload + SEQUENCE_OFFSET, sequence)
    store_be16(payload + COUNT_OFFSET, taken >> 32)
    transmit_service(venue, REPLIES, payload, HEADER_BYTES + (taken & 0xFFFFFFFF))
    return taken >> 32


@inner
def on_request(venue, frame, datagram):
    """One datagram to the re-request server."""
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.requests_received, 1)
    refusal = _refusal(venue, frame, datagram)
    if refusal != 0:
        add_to(counters + refusal, 1)
        return
    request = load_i64(datagram + DATAGRAM.payload)
    sequence = sequence_of(request)
    messages = min(count_of(request), load_i64(venue + VENUE.feed + PACKET.sequence) - sequence)
    _address_reply(venue, frame, datagram)
    add_to(counters + COUNTERS.requests_answered, 1)
    add_to(counters + COUNTERS.reply_messages, _reply(venue, sequence, messages))
