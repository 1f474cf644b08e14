"""MoldUDP64 1.00 ④: the transport packet around ITCH messages, exact codec and kernel accessors.

Hard rule: a message block is believed only after its length was checked against the packet.

    downstream   [ session: 10 ][ sequence: 8 ][ count: 2 ][ length: 2, message ] × count
    request      [ session: 10 ][ sequence: 8 ][ count: 2 ]

`sequence` numbers the first message of the packet; a heartbeat (count 0) names the next one, and so does the end of the
session (count 0xFFFF). Numbers are in network order.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.core.kernel import leaf
from gateway.core.memory import load_be16, load_be64, load_i64, load_u16
from gateway.core.packet_fields import make_format
from gateway.protocols.message import Refused

_HEADER = struct.Struct(">10sQH")
HEADER_BYTES = _HEADER.size
SESSION_BYTES = 10
SEQUENCE_OFFSET = 10
COUNT_OFFSET = 18
BLOCK_BYTES = 2  # the length in front of each message

HEARTBEAT = 0
END_OF_SESSION = 0xFFFF


@dataclass(frozen=True)
class Packet:
    """A downstream packet: session without its padding, number of the first message, count word, messages."""

    session: str
    sequence: int
    count: int
    messages: tuple[bytes, ...]


def _header(session: str, sequence: int, count: int) -> bytes:
    try:
        return _HEADER.pack(session.encode("latin-1").ljust(SESSION_BYTES, b" ")[:SESSION_BYTES], sequence, count)
    except (struct.error, UnicodeEncodeError) as problem:
        raise Refused("message_field", f"no MoldUDP64 header of {session!r}, {sequence}, {count}") from problem


def encode(session: str, sequence: int, messages: Iterable[bytes] = ()) -> bytes:
    """A downstream packet; without messages it is a heartbeat."""
    blocks = list(messages)
    if len(blocks) >= END_OF_SESSION or any(len(block) > 0xFFFF for block in blocks):
        raise Refused("message_field", "too many messages for a packet, or one too long")
    body = b"".join(len(block).to_bytes(BLOCK_BYTES, "big") + block for block in blocks)
    return _header(session, sequence, len(blocks)) + body


def encode_end_of_session(session: str, sequence: int) -> bytes:
    """The packet that ends a session; `sequence` is one past the last message."""
    return _header(session, sequence, END_OF_SESSION)


def encode_request(session: str, sequence: int, count: int) -> bytes:
    """A request for `count` messages from `sequence` on (section "Request Packet")."""
    return _header(session, sequence, count)


def decode_request(data: bytes) -> tuple[str, int, int]:
    """(session, sequence, count) of a request; refuses another length."""
    if len(data) != HEADER_BYTES:
        raise Refused("packet_short", f"a MoldUDP64 request of {len(data)} bytes instead of {HEADER_BYTES}")
    session, sequence, count = _HEADER.unpack(data)
    return session.decode("latin-1").rstrip(" \0"), sequence, count


def decode(data: bytes) -> Packet:
    """A downstream packet. Refuses (ValueError) a short header, a block that leaves the packet, and trailing bytes."""
    packet, rest = decode_prefix(data)
    if rest is not None:
        raise rest
    return packet


def decode_prefix(data: bytes) -> tuple[Packet, Refused | None]:
    """As much of a packet as can be believed, and the refusal of the rest (None: the packet is whole)."""
    if len(data) < HEADER_BYTES:
        raise Refused("packet_short", f"a MoldUDP64 packet of {len(data)} bytes")
    session, sequence, count = _HEADER.unpack_from(data)
    messages: list[bytes] = []
    offset = HEADER_BYTES
    refusal = None
    for _ in range(0 if count == END_OF_SESSION else count):
        length = int.from_bytes(data[offset : offset + BLOCK_BYTES], "big")
        if offset + BLOCK_BYTES + length > len(data):
            refusal = Refused("block_overrun", f"block {len(messages) + 1} of {count} leaves the packet")
            break
        messages.append(data[offset + BLOCK_BYTES : offset + BLOCK_BYTES + length])
        offset += BLOCK_BYTES + length
    if refusal is None and offset != len(data):
        refusal = Refused("packet_trailing", f"{len(data) - offset} bytes behind the last block")
    return Packet(session.decode("latin-1").rstrip(" \0"), sequence, count, tuple(messages)), refusal


@leaf
def sequence_of(payload: Any) -> Any:
    """Number of the first message of the packet at `payload`; numbers above 2**63 come out negative."""
    return load_be64(payload + SEQUENCE_OFFSET)


@leaf
def count_of(payload: Any) -> Any:
    """The count word: messages, HEARTBEAT or END_OF_SESSION."""
    return load_be16(payload + COUNT_OFFSET)


@leaf
def session_low(payload: Any) -> Any:
    """The first 8 bytes of the session as one word; compare with another packet's, with session_high."""
    return load_i64(payload)


@leaf
def session_high(payload: Any) -> Any:
    """The last 2 bytes of the session as one word."""
    return load_u16(payload + 8)


def moldudp64_format() -> np.ndarray:
    """How MoldUDP64 1.00 numbers its packets, as a struct packet_format (array of one); the session is compared as bytes."""
    fields = {
        "sequence": (SEQUENCE_OFFSET, 8, True),
        "count": (COUNT_OFFSET, 2, True),
        "session_first": (0, 8, False),
        "session_last": (8, 2, False),
    }
    return make_format(HEADER_BYTES, fields, sequence_counts_messages=1, count_end=END_OF_SESSION)
