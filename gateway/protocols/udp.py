"""Ethernet, IPv4, UDP ④: what a raw frame carries, and how one is built.

Hard rule: a length is believed only inside the one around it: UDP inside IP, IP inside the frame. So Ethernet padding
and capture trailers fall away, and no load leaves the frame.

    frame      [ MAC, MAC ][ tag ]×0..2 [ type ][ IPv4, options ][ UDP ][ payload ][ padding, trailer ]
    lengths    size of the frame ≥ headers + IP total length;  IP total length ≥ IP header + UDP length

`parse_frame` is the kernel of the corridor, `frame` the exact builder for the venue, tools and tests.
"""

import struct
from ipaddress import IPv4Address

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    load_be16,
    load_be32,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    shift_right,
    store_i64,
    store_u16,
    store_u32,
)
from gateway.layout import offsets, value
from gateway.protocols.message import Refused

DATAGRAM = offsets("datagram")

OK, FRAME_SHORT, NOT_IPV4 = value("FEED_OK"), value("FEED_FRAME_SHORT"), value("FEED_NOT_IPV4")
NOT_UDP, FRAGMENT, IP_HEADER = value("FEED_NOT_UDP"), value("FEED_FRAGMENT"), value("FEED_IP_HEADER")
IP_CHECKSUM, UDP_LENGTH = value("FEED_IP_CHECKSUM"), value("FEED_UDP_LENGTH")
UDP_CHECKSUM = value("FEED_UDP_CHECKSUM")
CHECKSUM_SETTLED = value("FRAME_CHECKSUM_UNREADY") | value("FRAME_CHECKSUM_GOOD")  # not filled in yet, or verified

ETHERNET_BYTES = 14
TAG_BYTES = 4
TAGS_MAX = 2
IP_BYTES = 20
UDP_BYTES = 8

TYPE_IPV4 = 0x0800
TYPE_TAG = 0x8100  # IEEE 802.1Q
TYPE_TAG_OUTER = 0x88A8  # IEEE 802.1ad
PROTOCOL_UDP = 17
FRAGMENT_MASK = 0x3FFF  # more fragments, or an offset (RFC 791)


@kernel
def parse_frame(frame: int, size: int, flags: int, datagram: int) -> int:
    """Finds the UDP payload of the `size` bytes at `frame` and fills struct datagram; returns enum feed_reason, 0 = OK.

    `flags` is enum frame_flag of the slot: CHECKSUM_SETTLED leaves the UDP checksum unchecked. An IP checksum of 0 is
    taken on trust and reported in `checksum_absent`; a UDP checksum of 0 means "not used" (RFC 768), and one that is the
    pseudo header's sum alone was recorded on its way to the hardware that fills it in. The struct is valid only after 0.
    """
    if size < ETHERNET_BYTES:
        return FRAME_SHORT
    header = frame + ETHERNET_BYTES
    kind = load_be16(header - 2)
    tags = 0
    while (kind == TYPE_TAG) | (kind == TYPE_TAG_OUTER):
        if tags == TAGS_MAX:
            return NOT_IPV4
        tags += 1
        header += TAG_BYTES
        if header > frame + size:
            return FRAME_SHORT
        kind = load_be16(header - 2)
    if kind != TYPE_IPV4:
        return NOT_IPV4
    store_u32(datagram + DATAGRAM.vlan, tags)
    return _parse_ip(header, frame + size - header, flags, datagram)


@leaf
def _parse_ip(header, room, flags, datagram):
    """The IPv4 header (RFC 791 section 3.1) with `room` bytes of frame from its first byte on."""
    if room < IP_BYTES:
        return FRAME_SHORT
    first = load_u8(header)
    header_bytes = (first & 15) * 4
    total = load_be16(header + 2)
    if first >> 4 != 4 or header_bytes < IP_BYTES or total < header_bytes:
        return IP_HEADER
    if total > room:
        return FRAME_SHORT
    absent = 1 if load_u16(header + 10) == 0 else 0
    if absent == 0 and _fold(_sum_words(header, header_bytes)) != 0xFFFF:
        return IP_CHECKSUM
    if load_u8(header + 9) != PROTOCOL_UDP:
        return NOT_UDP
    if load_be16(header + 6) & FRAGMENT_MASK:
        return FRAGMENT
    store_u32(datagram + DATAGRAM.checksum_absent, absent)
    store_u32(datagram + DATAGRAM.source, load_be32(header + 12))
    store_u32(datagram + DATAGRAM.destination, load_be32(header + 16))
    addresses = load_u32(header + 12) + load_u32(header + 16)
    return _parse_udp(header + header_bytes, total - header_bytes, addresses, flags, datagram)


@leaf
def _parse_udp(header, room, addresses, flags, datagram):
    """The UDP header (RFC 768) with `room` bytes of IP payload from its first byte on."""
    if room < UDP_BYTES:
        return UDP_LENGTH
    size = load_be16(header + 4)
    if size < UDP_BYTES or size > room:
        return UDP_LENGTH
    if load_u16(header + 6) != 0 and flags & CHECKSUM_SETTLED == 0:
        # pseudo header: addresses, protocol, length; summed as loaded, since a ones-complement sum has no byte order
        pseudo = addresses + (PROTOCOL_UDP << 8) + load_u16(header + 4)
        if _fold(pseudo + _sum_bytes(header, size)) != 0xFFFF and load_u16(header + 6) != _fold(pseudo):
            return UDP_CHECKSUM
    store_i64(datagram + DATAGRAM.payload, header + UDP_BYTES)
    store_u32(datagram + DATAGRAM.size, size - UDP_BYTES)
    store_u16(datagram + DATAGRAM.source_port, load_be16(header))
    store_u16(datagram + DATAGRAM.destination_port, load_be16(header + 2))
    return OK


@leaf
def _sum_words(address, size):
    """Sum of `size` bytes, a multiple of 4, as 32-bit words."""
    total = 0
    for offset in range(0, size, 4):
        total += load_u32(address + offset)
    return total


@kernel
def _sum_bytes(address, size):
    """Ones-complement sum of `size` >= 8 bytes, below 2**48: eight bytes at a time, halves apart so that none carries."""
    low = 0
    high = 0
    whole = size & ~7
    for offset in range(0, whole, 8):
        word = load_i64(address + offset)
        low += word & 0xFFFFFFFF
        high += shift_right(word, 32)
    rest = size - whole
    if rest:
        # the last eight bytes, without those already summed: an even number of them, as `whole` is
        word = shift_right(load_i64(address + size - 8), 64 - 8 * rest)
        low += word & 0xFFFFFFFF
        high += shift_right(word, 32)
    return low + high


@leaf
def _fold(total):
    """A ones-complement sum below 2**48 folded to 16 bits."""
    total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071) of `data`, for the header it is written into."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _mac(text: str) -> bytes:
    data = bytes.fromhex(text.replace(":", ""))
    if len(data) != 6:
        raise Refused("message_field", f"{text!r} is no Ethernet address")
    return data


def multicast_mac(group: str) -> str:
    """The Ethernet address of an IPv4 multicast group (RFC 1112 section 6.4)."""
    low = int(IPv4Address(group)) & 0x7FFFFF
    return "01:00:5e:" + ":".join(f"{byte:02x}" for byte in low.to_bytes(3, "big"))


def frame(
    payload: bytes,
    *,
    source: str = "10.0.0.1",
    destination: str = "10.0.0.2",
    source_port: int = 0,
    destination_port: int = 0,
    source_mac: str = "02:00:00:00:00:01",
    destination_mac: str | None = None,
    vlans: tuple[int, ...] = (),
    identification: int = 0,
    time_to_live: int = 16,
) -> bytes:
    """A whole Ethernet frame around a UDP payload, checksums right, without padding. Addresses are dotted text.

    `vlans` are 802.1Q tag control words, outermost first (the outer of two is an 802.1ad tag). Refuses (ValueError) a
    payload that IPv4 cannot hold and more than two tags.
    """
    if len(payload) > 0xFFFF - IP_BYTES - UDP_BYTES or len(vlans) > TAGS_MAX:
        raise Refused("message_field", f"no frame for {len(payload)} bytes of payload and {len(vlans)} tags")
    addresses = IPv4Address(source).packed + IPv4Address(destination).packed
    udp_bytes = UDP_BYTES + len(payload)
    ports = struct.pack(">HHH", source_port, destination_port, udp_bytes)
    pseudo = addresses + struct.pack(">HH", PROTOCOL_UDP, udp_bytes)
    udp = ports + struct.pack(">H", checksum(pseudo + ports + b"\0\0" + payload) or 0xFFFF) + payload
    total = IP_BYTES + udp_bytes
    start = struct.pack(">BBHHHBB", 0x45, 0, total, identification, 0x4000, time_to_live, PROTOCOL_UDP)
    ip = start + struct.pack(">H", checksum(start + b"\0\0" + addresses)) + addresses
    if destination_mac is None:
        multicast = IPv4Address(destination).is_multicast
        destination_mac = multicast_mac(destination) if multicast else "02:00:00:00:00:02"
    types = [TYPE_TAG_OUTER, TYPE_TAG] if len(vlans) == TAGS_MAX else [TYPE_TAG]
    tags = b"".join(struct.pack(">HH", kind, tag) for kind, tag in zip(types, vlans, strict=False))
    return _mac(destination_mac) + _mac(source_mac) + tags + struct.pack(">H", TYPE_IPV4) + ip + udp
