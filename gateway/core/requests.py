"""Requests for retransmission ⑧: a ready frame with session, sequence and count written into it, straight to core_io.

    [ Ethernet 14 ][ IPv4 20 ][ UDP 8 ][ session: 10 ][ sequence: 8 ][ count: 2 ]      MoldUDP64 1.00, "Request Packet"

When one is due, and how many, decides gaps.py. Hard rule: a request is no order: neither the gate nor the kill latch holds
it up and nothing counts it as an order.
"""

import numpy as np

from gateway.core import ring
from gateway.core.kernel import kernel
from gateway.core.memory import (
    copy_bytes,
    load_i64,
    load_u32,
    store_be16,
    store_be64,
    store_i64,
    store_u16,
    store_u32,
    ticks,
)
from gateway.core.order_frames import datagram_template
from gateway.core.submit import FRAME_BYTES, HEADERS_BYTES, seal
from gateway.layout import offsets, size, value

FEED = offsets("feed")
SLOT = offsets("order_slot")
FRAME = offsets("order_frame")
SLOT_BYTES = size("order_slot")
KIND = value("ORDER_SLOT_REQUEST")
REQUEST_BYTES = 20
SEQUENCE_OFFSET, COUNT_OFFSET = 10, 18


def make_request_frame(
    *, our_mac: bytes, server_mac: bytes, our_address: tuple[int, int], server_address: tuple[int, int]
) -> np.ndarray:
    """The template of a channel's requests, a struct order_frame (array of one); addresses are (IPv4 in host order, port).

    `our_address` is where the replies come: line 2 of the channel.
    """
    return datagram_template(server_mac + our_mac, our_address, server_address, bytes(REQUEST_BYTES))


@kernel
def send_request(feed, core_io, epoch, now_ns):
    """Writes the request that feed.request_* speak of into core_io. 0 when the ring has no room: the next attempt comes."""
    slot = ring.claim(core_io)
    if slot == 0:
        return 0
    template = load_i64(feed + FEED.request)
    copy_bytes(slot + SLOT_BYTES, template + FRAME.bytes, FRAME_BYTES)
    message = slot + SLOT_BYTES + HEADERS_BYTES
    store_i64(message, load_i64(feed + FEED.session_first))
    store_u16(message + 8, load_i64(feed + FEED.session_last))
    store_be64(message + SEQUENCE_OFFSET, load_i64(feed + FEED.request_first))
    store_be16(message + COUNT_OFFSET, load_i64(feed + FEED.request_count))
    seal(slot + SLOT_BYTES, load_u32(template + FRAME.size), load_u32(template + FRAME.checksum))
    store_u32(slot + SLOT.size, load_u32(template + FRAME.size))
    store_u16(slot + SLOT.kind, KIND)
    store_u16(slot + SLOT.flags, 0)
    for offset in (SLOT.ticks_receive, SLOT.ticks_decode, SLOT.reference):
        store_i64(slot + offset, 0)
    store_i64(slot + SLOT.epoch, epoch)
    store_i64(slot + SLOT.time_receive_ns, now_ns)
    store_i64(slot + SLOT.ticks_order, ticks())
    ring.publish(core_io, slot)
    return 1
