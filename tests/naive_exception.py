"""Whose frame it is, said slowly: by slices, one header after the other. The twin of native/exception.c."""

import struct

MULTICAST = range(224, 240)


def is_fast(frame, followed, any_multicast=False):
    """Whether core gets the frame; `followed` holds (address in host order, port)."""
    kind, packet = behind_tags(frame)
    if kind != 0x0800 or len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != 17:
        return False
    multicast = packet[16] in MULTICAST
    port = destination_port(packet)
    if port is None:
        return multicast
    if multicast and any_multicast:
        return True
    return (int.from_bytes(packet[16:20], "big"), port) in followed


def behind_tags(frame):
    """(type, what follows it) behind up to two VLAN tags; type 0 when there is none."""
    kind, rest = frame[12:14], frame[14:]
    tags = 0
    while kind in (b"\x81\x00", b"\x88\xa8"):
        if tags == 2:
            return 0, b""
        tags += 1
        kind, rest = rest[2:4], rest[4:]
    return (struct.unpack(">H", kind)[0] if len(kind) == 2 else 0), rest


def destination_port(packet):
    """The UDP destination port, or None where none can be read."""
    header_bytes = (packet[0] & 15) * 4
    total, _, fragment = struct.unpack(">HHH", packet[2:8])
    datagram = packet[:total][header_bytes:]
    if header_bytes < 20 or fragment & 0x3FFF or len(datagram) < 8:
        return None
    return int.from_bytes(datagram[2:4], "big")
