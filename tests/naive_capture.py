"""A slow, obvious reader and writer of pcap and pcapng: the twin that the capture port is compared with.

Written from draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng with `struct` and exact fractions; it shares no code
and no arithmetic with the port.
"""

import struct
from fractions import Fraction
from typing import NamedTuple

FRAME_BYTES_MAX = 256 * 1024
INTERFACES_MAX = 1024


class Recorded(NamedTuple):
    data: bytes
    time_ns: int
    size_wire: int


class Refused(Exception):
    """The file cannot be opened as a capture at all."""


# Writing -------------------------------------------------------------------------------------------------------------


def pcap(frames, order="<", nanoseconds=True, link=1, snap_bytes=262144):
    """A classic file; `frames` are Recorded rows, cut where `data` is shorter than `size_wire`."""
    parts = [
        struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, snap_bytes, link),
    ]
    for frame in frames:
        seconds, fraction = divmod(frame.time_ns, 10**9)
        fraction //= 1 if nanoseconds else 1000
        parts.append(struct.pack(order + "IIII", seconds, fraction, len(frame.data), frame.size_wire) + frame.data)
    return b"".join(parts)


def padded(data):
    return data + bytes(-len(data) % 4)


def block(order, kind, body):
    body = padded(body)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def options(order, *rows):
    parts = [struct.pack(order + "HH", code, len(value)) + padded(value) for code, value in rows]
    return b"".join(parts) + (bytes(4) if rows else b"")


def section(order="<", major=1):
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1))


def interface(order="<", link=1, snap_bytes=0, resolution=None, offset_seconds=None):
    rows = [(2, b"eth9")]  # if_name: an option the reader has to step over
    if resolution is not None:
        rows.append((9, bytes([resolution])))
    if offset_seconds is not None:
        rows.append((14, struct.pack(order + "q", offset_seconds)))
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap_bytes) + options(order, *rows))


def packet(order="<", index=0, ticks=0, data=b"", size_wire=None, rows=()):
    size_wire = len(data) if size_wire is None else size_wire
    head = struct.pack(order + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), size_wire)
    return block(order, 6, head + padded(data) + options(order, *rows))


def packet_old(order="<", index=0, ticks=0, data=b"", size_wire=None):
    size_wire = len(data) if size_wire is None else size_wire
    head = struct.pack(order + "HHIIII", index, 0xFFFF, ticks >> 32, ticks & 0xFFFFFFFF, len(data), size_wire)
    return block(order, 2, head + padded(data))


def packet_simple(order="<", data=b"", size_wire=None):
    return block(order, 3, struct.pack(order + "I", len(data) if size_wire is None else size_wire) + padded(data))


def ticks_of(time_ns, resolution):
    """The nearest earlier count of if_tsresol units."""
    unit = Fraction(1, 2 ** (resolution & 127) if resolution & 128 else 10**resolution)
    return int(Fraction(time_ns, 10**9) / unit)


# Reading -------------------------------------------------------------------------------------------------------------


def read(data):
    """(frames, errors), or Refused."""
    if len(data) < 4:
        raise Refused("too short")
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return read_blocks(data)
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (0xA1B2C3D4, 0xA1B23C4D):
            return read_records(data, order, 1 if magic == 0xA1B23C4D else 1000)
    raise Refused("no magic")


def read_records(data, order, fraction_ns):
    if len(data) < 24:
        raise Refused("torn header")
    major, link = struct.unpack_from(order + "H", data, 4)[0], struct.unpack_from(order + "I", data, 20)[0]
    if major != 2 or link & 0xFFFF != 1:
        raise Refused("version or link")
    frames, rest = [], data[24:]
    while rest:
        if len(rest) < 16:
            return frames, 1
        seconds, fraction, size, size_wire = struct.unpack(order + "IIII", rest[:16])
        if size > FRAME_BYTES_MAX or size > len(rest) - 16:
            return frames, 1
        time_ns = seconds * 10**9 + fraction * fraction_ns
        frames.append(Recorded(rest[16 : 16 + size], time_ns, max(size, size_wire)))
        rest = rest[16 + size :]
    return frames, 0


def split_block(rest, order):
    """(type, body, rest) of the first block, or None where its framing is damaged; `order` may be learned here."""
    if len(rest) < 12:
        return None
    if rest[:4] == b"\x0a\x0d\x0d\x0a":
        if len(rest) < 28:
            return None
        order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(bytes(rest[8:12]))
        if order is None or struct.unpack_from(order + "H", rest, 12)[0] != 1:
            return None
    kind, size = struct.unpack_from(order + "II", rest)
    if size % 4 or size < 12 or size > len(rest) or struct.unpack_from(order + "I", rest, size - 4)[0] != size:
        return None
    if kind == 0x0A0D0D0A and size < 28:
        return None
    return kind, rest[8 : size - 4], rest[size:], order


def read_interface(body, order):
    link, _, snap_bytes = struct.unpack_from(order + "HHI", body)
    resolution, offset_seconds, rest = 6, 0, body[8:]
    while len(rest) >= 4:
        code, size = struct.unpack_from(order + "HH", rest)
        if code == 0 or size > len(rest) - 4:
            break
        value = rest[4 : 4 + size]
        if code == 9 and size == 1:
            resolution = value[0]
        if code == 14 and size == 8:
            offset_seconds = struct.unpack(order + "q", value)[0]
        rest = rest[4 + size + -size % 4 :]
    return link, snap_bytes, resolution, offset_seconds


def time_of(ticks, resolution, offset_seconds, before):
    unit = Fraction(1, 2 ** (resolution & 127) if resolution & 128 else 10**resolution)
    time_ns = ticks * unit * 10**9 // 1 + offset_seconds * 10**9
    return int(time_ns) if 0 <= time_ns < 2**63 else before


def read_packet(kind, body, order, interfaces, before):
    """A Recorded row, or None for one that has to be counted."""
    ticks = size = None
    if kind == 3:
        if len(body) < 4:
            return None
        index, size_wire = 0, struct.unpack_from(order + "I", body)[0]
        start = 4
    else:
        if len(body) < 20:
            return None
        index = struct.unpack_from(order + ("I" if kind == 6 else "H"), body)[0]
        high, low, size, size_wire = struct.unpack_from(order + "IIII", body, 4)
        ticks, start = high << 32 | low, 20
    if index >= min(len(interfaces), INTERFACES_MAX) or interfaces[index][0] != 1:
        return None
    _, snap_bytes, resolution, offset_seconds = interfaces[index]
    if size is None:
        size = min(size_wire, snap_bytes) if snap_bytes else size_wire
    if size > len(body) - start or size > FRAME_BYTES_MAX:
        return None
    time_ns = before if ticks is None else time_of(ticks, resolution, offset_seconds, before)
    return Recorded(body[start : start + size], time_ns, max(size, size_wire))


def read_blocks(data):
    frames, errors, interfaces, before, order, rest = [], 0, [], 0, "<", data
    if split_block(rest, order) is None:
        raise Refused("section header")
    while rest:
        split = split_block(rest, order)
        if split is None:
            return frames, errors + 1
        kind, body, rest, order = split
        if kind == 0x0A0D0D0A:
            interfaces = []
        elif kind == 1 and len(body) >= 8:
            interfaces.append(read_interface(body, order))
        elif kind == 1:
            errors += 1
        elif kind in (2, 3, 6):
            frame = read_packet(kind, body, order, interfaces, before)
            if frame is None:
                errors += 1
            else:
                frames.append(frame)
                before = frame.time_ns
    return frames, errors
