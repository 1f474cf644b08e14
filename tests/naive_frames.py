"""The naive twin of parse_frame: a frame to its UDP datagram byte by byte, from the RFCs, with nothing of the package."""

from typing import Any

OK, FRAME_SHORT, NOT_IPV4, NOT_UDP, FRAGMENT = 0, 1, 2, 3, 4
IP_HEADER, IP_CHECKSUM, UDP_LENGTH, UDP_CHECKSUM = 5, 6, 7, 8
CHECKSUM_UNREADY, CHECKSUM_GOOD = 1, 64


def sum_of(data: bytes) -> int:
    """Ones-complement sum of 16-bit words, an odd last byte padded with zero."""
    total = 0
    for offset in range(0, len(data), 2):
        total += data[offset] << 8
        if offset + 1 < len(data):
            total += data[offset + 1]
        if total > 0xFFFF:
            total -= 0xFFFF
    return total


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def parse_frame(frame: bytes, flags: int = 0) -> tuple[int, dict[str, Any] | None]:
    """(enum feed_reason, what struct datagram holds; the payload as bytes)."""
    if len(frame) < 14:
        return FRAME_SHORT, None
    position, vlan = 12, 0
    while number(frame[position : position + 2]) in (0x8100, 0x88A8):
        if vlan == 2:
            return NOT_IPV4, None
        vlan += 1
        position += 4
        if position + 2 > len(frame):
            return FRAME_SHORT, None
    if number(frame[position : position + 2]) != 0x0800:
        return NOT_IPV4, None
    ip = frame[position + 2 :]
    if len(ip) < 20:
        return FRAME_SHORT, None
    header, total = (ip[0] % 16) * 4, number(ip[2:4])
    if ip[0] // 16 != 4 or header < 20 or total < header:
        return IP_HEADER, None
    if total > len(ip):
        return FRAME_SHORT, None
    absent = ip[10] == 0 and ip[11] == 0
    if not absent and sum_of(ip[:header]) != 0xFFFF:
        return IP_CHECKSUM, None
    if ip[9] != 17:
        return NOT_UDP, None
    if ip[6] & 0x20 or number(ip[6:8]) & 0x1FFF:
        return FRAGMENT, None
    return _parse_udp(ip[12:16], ip[16:20], ip[header:total], flags, {"checksum_absent": int(absent), "vlan": vlan})


def _parse_udp(
    source: bytes, destination: bytes, udp: bytes, flags: int, found: dict[str, Any]
) -> tuple[int, dict[str, Any] | None]:
    if len(udp) < 8:
        return UDP_LENGTH, None
    size = number(udp[4:6])
    if size < 8 or size > len(udp):
        return UDP_LENGTH, None
    if number(udp[6:8]) != 0 and not flags & (CHECKSUM_UNREADY | CHECKSUM_GOOD):
        pseudo = source + destination + b"\x00\x11" + udp[4:6]
        if sum_of(pseudo + udp[:size]) != 0xFFFF:
            return UDP_CHECKSUM, None
    addresses = {"source": number(source), "destination": number(destination)}
    ports = {"source_port": number(udp[0:2]), "destination_port": number(udp[2:4])}
    return OK, {**found, **addresses, **ports, "payload": udp[8:size]}
