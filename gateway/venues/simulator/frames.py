"""Ethernet frames of the simulated venue: headers from a template, checksums, and the way into ring core_io.

Beside the corridor, inside the venue. Hard rule: a frame that finds core_io full waits in the outbox, in order; nothing
but the fault plan may lose one, and `frames_lost` counts it if that ever fails.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import (
    copy_bytes,
    load_be16,
    load_i64,
    load_u32,
    shift_right,
    store_be16,
    store_i64,
    store_u16,
    store_u32,
    ticks,
)
from gateway.core.ring import claim, publish
from gateway.layout import offsets, size, value

VENUE = offsets("venue")
COUNTERS = offsets("venue_counters")
TEMPLATE = offsets("venue_template")
FRAME = offsets("venue_frame")
SLOT = offsets("order_slot")
FRAME_ROW_BYTES = size("venue_frame")
TEMPLATE_BYTES = size("venue_template")
SLOT_HEADER_BYTES = size("order_slot")
HEADERS_BYTES = value("VENUE_HEADERS_BYTES")
OUTBOX_FRAMES = value("VENUE_OUTBOX_FRAMES")
KIND_OTHER = value("ORDER_SLOT_OTHER")

# Offsets within the frame: Ethernet II (14), IPv4 without options (20), UDP (8)
IP = 14
UDP = 34


@inner
def fold(total):
    """One's complement sum of 16-bit words, carries brought home (RFC 1071)."""
    total = (total & 0xFFFF) + shift_right(total, 16)
    total = (total & 0xFFFF) + shift_right(total, 16)
    return (total & 0xFFFF) + shift_right(total, 16)


@inner
def payload_sum(payload, size_bytes):
    """Sum of a payload's 16-bit network-order words; eight bytes behind it are set to zero."""
    store_i64(payload + size_bytes, 0)
    total = 0
    for offset in range(0, size_bytes, 4):
        total += load_u32(payload + offset)
    # the sum of swapped words is the swapped sum (RFC 1071, section 2 B)
    total = fold(total)
    return (total & 0xFF) << 8 | total >> 8


@inner
def build(venue, template, payload, size_bytes, total):
    """Writes headers and payload into the scratch frame; `total` is payload_sum. Returns the frame's size."""
    frame = venue + VENUE.scratch
    copy_bytes(frame, template + TEMPLATE.bytes, HEADERS_BYTES)
    copy_bytes(frame + HEADERS_BYTES, payload, size_bytes)
    identification = (load_i64(template + TEMPLATE.identification) + 1) & 0xFFFF
    store_i64(template + TEMPLATE.identification, identification)
    store_be16(frame + IP + 2, size_bytes + 28)
    store_be16(frame + IP + 4, identification)
    header = 0
    for offset in range(0, 20, 2):
        header += load_be16(frame + IP + offset)
    store_be16(frame + IP + 10, fold(header) ^ 0xFFFF)
    length = size_bytes + 8
    store_be16(frame + UDP + 4, length)
    # the length counts twice: in the pseudo header and in the header (RFC 768)
    checksum = fold(load_i64(template + TEMPLATE.sum) + 2 * length + total) ^ 0xFFFF
    store_be16(frame + UDP + 6, checksum if checksum != 0 else 0xFFFF)
    return HEADERS_BYTES + size_bytes


@inner
def _hand_over(venue, frame, size_bytes, is_report):
    """Publishes a frame in core_io, or in the ring of the order gateway; 0 when the ring is full."""
    writer = load_i64(venue + (VENUE.report_writer if is_report != 0 else VENUE.writer))
    slot = claim(writer)
    if slot == 0:
        return 0
    store_u32(slot + SLOT.size, size_bytes)
    store_u16(slot + SLOT.kind, KIND_OTHER)
    store_u16(slot + SLOT.flags, 0)
    store_i64(slot + SLOT.epoch, 0)
    store_i64(slot + SLOT.time_receive_ns, load_i64(venue + VENUE.now_ns))
    now = ticks()
    store_i64(slot + SLOT.ticks_receive, now)
    store_i64(slot + SLOT.ticks_decode, now)
    store_i64(slot + SLOT.ticks_order, now)
    store_i64(slot + SLOT.reference, 0)
    copy_bytes(slot + SLOT_HEADER_BYTES, frame, size_bytes)
    publish(writer, slot)
    return 1


@inner
def place(venue, frame, size_bytes, is_report):
    """Sends a frame on its way: into its ring, or behind those that already wait for room."""
    waiting = load_i64(venue + VENUE.outbox_count)
    if waiting == 0 and _hand_over(venue, frame, size_bytes, is_report) != 0:
        return
    index = load_i64(venue + VENUE.outbox_head) + waiting
    if index >= OUTBOX_FRAMES:
        add_to(load_i64(venue + VENUE.counters) + COUNTERS.frames_lost, 1)
        return
    row = load_i64(venue + VENUE.outbox) + index * FRAME_ROW_BYTES
    store_u32(row + FRAME.size, size_bytes)
    store_u32(row + FRAME.is_report, is_report)
    copy_bytes(row + FRAME.frame, frame, size_bytes)
    store_i64(venue + VENUE.outbox_count, waiting + 1)


@inner
def drain_outbox(venue):
    """Hands waiting frames over while their rings have room. Returns how many left."""
    head = load_i64(venue + VENUE.outbox_head)
    waiting = load_i64(venue + VENUE.outbox_count)
    left = 0
    while left < waiting:
        row = load_i64(venue + VENUE.outbox) + (head + left) * FRAME_ROW_BYTES
        if _hand_over(venue, row + FRAME.frame, load_u32(row + FRAME.size), load_u32(row + FRAME.is_report)) == 0:
            break
        left += 1
    emptied = left == waiting
    # an empty outbox begins at row 0 again, so that only bursts touch its far end
    store_i64(venue + VENUE.outbox_head, 0 if emptied else head + left)
    store_i64(venue + VENUE.outbox_count, waiting - left)
    return left
