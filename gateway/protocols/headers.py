"""Ethernet, IPv4, UDP and TCP headers in plain Python: what a recorded frame carries, for tools.

Beside the corridor, whose kernel is `udp.parse_frame`: both believe the same frames and give the same reasons.
Hard rule: a length is believed only inside the one around it, and a refusal names its enum feed_reason.
"""

import struct
from dataclasses import dataclass

from gateway.protocols.message import Refused
from gateway.protocols.udp import (
    ETHERNET_BYTES,
    FRAGMENT_MASK,
    IP_BYTES,
    PROTOCOL_UDP,
    TAG_BYTES,
    TAGS_MAX,
    TYPE_IPV4,
    TYPE_TAG,
    TYPE_TAG_OUTER,
    UDP_BYTES,
    checksum,
)

PROTOCOL_TCP = 6
TCP_BYTES = 20
TCP_SYN = 2


@dataclass(frozen=True)
class Carried:
    """What a frame carries. `flow` is (source, source port, destination, destination port), addresses in host order;
    the last two fields are TCP's."""

    protocol: int
    flow: tuple[int, int, int, int]
    payload: bytes
    sequence: int = 0
    begins: bool = False  # SYN: `sequence` numbers no payload byte


def carried_by(frame: bytes, checksum_unready: bool = False) -> Carried:
    """The UDP or TCP payload of a frame. Refuses (ValueError) every other frame with the reason.

    TCP checksums are not looked at: a recorder on the sending host sees them before the hardware fills them in.
    """
    offset = ETHERNET_BYTES
    kind = _type_at(frame, offset)
    for _ in range(TAGS_MAX):
        if kind not in (TYPE_TAG, TYPE_TAG_OUTER):
            break
        offset += TAG_BYTES
        kind = _type_at(frame, offset)
    if kind != TYPE_IPV4:
        raise Refused("not_ipv4", f"Ethernet type {kind:#06x}")
    return _ip(frame[offset:], checksum_unready)


def _type_at(frame: bytes, offset: int) -> int:
    """The Ethernet type in front of `offset`."""
    if len(frame) < offset:
        raise Refused("frame_short", f"a frame of {len(frame)} bytes")
    return int.from_bytes(frame[offset - 2 : offset], "big")


def _ip(data: bytes, checksum_unready: bool) -> Carried:
    if len(data) < IP_BYTES:
        raise Refused("frame_short", f"{len(data)} bytes of IPv4 header")
    total = int.from_bytes(data[2:4], "big")
    header_bytes = (data[0] & 15) * 4
    if data[0] >> 4 != 4 or header_bytes < IP_BYTES or total < header_bytes:
        raise Refused("ip_header", f"IPv4 header of {header_bytes} bytes in a datagram of {total}")
    if total > len(data):
        raise Refused("frame_short", f"{len(data)} of {total} bytes of the datagram")
    if data[10:12] != b"\0\0" and checksum(data[:header_bytes]) != 0:
        raise Refused("ip_checksum", "IPv4 header checksum")
    protocol = data[9]
    if protocol not in (PROTOCOL_UDP, PROTOCOL_TCP):
        raise Refused("not_udp", f"IP protocol {protocol}")
    if int.from_bytes(data[6:8], "big") & FRAGMENT_MASK:
        raise Refused("fragment", "a fragment")
    addresses, body = data[12:20], data[header_bytes:total]
    return _udp(addresses, body, checksum_unready) if protocol == PROTOCOL_UDP else _tcp(addresses, body)


def _udp(addresses: bytes, data: bytes, checksum_unready: bool) -> Carried:
    size = int.from_bytes(data[4:6], "big")
    if len(data) < UDP_BYTES or size < UDP_BYTES or size > len(data):
        raise Refused("udp_length", f"UDP length {size} in {len(data)} bytes")
    if data[6:8] != b"\0\0" and not checksum_unready:
        pseudo = addresses + struct.pack(">HH", PROTOCOL_UDP, size)
        # the pseudo header's sum alone: recorded before the hardware filled the checksum in
        unfilled = checksum(pseudo) ^ 0xFFFF == int.from_bytes(data[6:8], "big")
        if not unfilled and checksum(pseudo + data[:size]) != 0:
            raise Refused("udp_checksum", "UDP checksum")
    return Carried(PROTOCOL_UDP, _flow(addresses, data), data[UDP_BYTES:size])


def _tcp(addresses: bytes, data: bytes) -> Carried:
    header_bytes = (data[12] >> 4) * 4 if len(data) >= TCP_BYTES else 0
    if header_bytes < TCP_BYTES or header_bytes > len(data):
        raise Refused("tcp_header", f"TCP header of {header_bytes} bytes in {len(data)}")
    sequence = int.from_bytes(data[4:8], "big")
    begins = bool(data[13] & TCP_SYN)
    return Carried(PROTOCOL_TCP, _flow(addresses, data), data[header_bytes:], sequence, begins)


def _flow(addresses: bytes, data: bytes) -> tuple[int, int, int, int]:
    source, destination = struct.unpack(">II", addresses)
    source_port, destination_port = struct.unpack(">HH", data[:4])
    return source, source_port, destination, destination_port
