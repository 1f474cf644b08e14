"""Packets of recorded SBE captures, walked by hand: three framings, written out, so that no definition file is needed.

Each gives Packet rows: what the packet's own header says, and the messages in it as the interpreter decodes them.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gateway.protocols.headers import PROTOCOL_TCP, carried_by
from gateway.protocols.message import Refused
from gateway.protocols.sbe.interpreter import Decoded, decode
from gateway.protocols.sbe.model import Schema
from tests import naive_capture


class Packet(NamedTuple):
    number: int  # of the frame, from 1
    time_ns: int
    port: int  # UDP destination
    header: dict[str, Any]
    messages: list[Decoded]


def payloads(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """(frame number, time, destination port, payload) of every UDP or TCP frame of a capture (one holds PIM as well)."""
    for number, recorded in enumerate(naive_capture.read(path.read_bytes())[0], 1):
        try:
            carried = carried_by(recorded.data, checksum_unready=True)
        except Refused as refusal:
            assert refusal.reason == "not_udp", refusal
            continue
        payload = carried.payload
        if carried.protocol == PROTOCOL_TCP:
            assert payload[:2] == b"\xfe\xca", "CME over TCP: an encoding word of 0xCAFE in front of each packet"
            payload = payload[2:]
        yield number, recorded.time_ns, carried.flow[3], payload


def cme(path: Path, schema: Schema) -> Iterator[Packet]:
    """CME MDP 3.0: sequence, sending time, then messages with a size that counts itself."""
    for number, time_ns, port, data in payloads(path):
        sequence, sending_time = struct.unpack_from("<IQ", data)
        messages = list(sized(data[12:], schema))
        yield Packet(number, time_ns, port, {"sequence": sequence, "sendingTime": sending_time}, messages)


def optiq(path: Path, schema: Schema) -> Iterator[Packet]:
    """Euronext Optiq: time, sequence, flags, channel, then messages with a length that counts itself."""
    for number, time_ns, port, data in payloads(path):
        names = ("packetTime", "packetSequenceNumber", "packetFlags", "channelId")
        header = dict(zip(names, struct.unpack_from("<QIHH", data), strict=True))
        yield Packet(number, time_ns, port, header, list(sized(data[16:], schema)))


def sized(data: bytes, schema: Schema) -> Iterator[Decoded]:
    """Messages with a 16-bit size in front that counts itself; each ends where its size says."""
    offset = 0
    while offset < len(data):
        (size,) = struct.unpack_from("<H", data, offset)
        message = decode(schema, data[offset + 2 : offset + size])
        assert message.size == size - 2 or message.size <= size - 2 < message.size + 8, "padded to eight bytes at most"
        yield message
        offset += size


def deribit(path: Path, schema: Schema) -> Iterator[Packet]:
    """Deribit multicast: length, channel, sequence, then messages back to back, each as long as it decodes."""
    for number, time_ns, port, data in payloads(path):
        length, channel, sequence = struct.unpack_from("<HHI", data)
        messages = []
        offset = 8
        while offset < 8 + length:
            message = decode(schema, data[offset : 8 + length])
            messages.append(message)
            offset += message.size
        assert offset == 8 + length == len(data)
        yield Packet(number, time_ns, port, {"length": length, "channel": channel, "sequence": sequence}, messages)
