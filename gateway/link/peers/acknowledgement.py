"""Bodies of ACK and NAK, and when an ACK is due. docs/protocols/link.md, "Peer and channels"

    ACK   [ asks u8 ][ count u8 ][ reserved u16 ] 2 × [ connection's mark u32 ][ records taken in u64 ]
          count × [ channel u8 ][ reserved 3 ][ gap u32 ][ in order u64 ][ highest u64 ][ limit u64 ]
    NAK   [ connection's mark u32 ][ count u32 ][ first missing u64 ][ records taken in u64 ]

A record number says what has passed through a connection, so a sender knows without guessing at times that a frame was
lost: its record was taken in, its sequence was not. The mark (first bytes of the connection's handshake hash) keeps what
is said of a connection from being read as said of its successor. Beside the corridor. Hard rule: nothing here waits.
"""

import struct
from typing import NamedTuple

from gateway import limits

HEAD = struct.Struct("<BBHIQIQ")
ROW = struct.Struct("<B3xIQQQ")
NAK = struct.Struct("<IIQQ")


class Row(NamedTuple):
    """One channel in an ACK: `gap` sequences lack behind `in_order`; `highest` has arrived; `limit` may be charged."""

    channel: int
    gap: int
    in_order: int
    highest: int
    limit: int


class Acknowledgement(NamedTuple):
    """An ACK. `marks`, `records`: of the control and of the bulk connection. `asks`: answer with an ACK of all channels."""

    asks: int
    marks: tuple[int, int]
    records: tuple[int, int]
    rows: list[Row]


class Missing(NamedTuple):
    """A NAK."""

    mark: int
    frames: int
    first: int
    records: int


def pack(asks: bool, marks: tuple[int, int], records: tuple[int, int], rows: list[tuple[int, int, int, int, int]]) -> bytes:
    """The body of an ACK."""
    head = HEAD.pack(asks, len(rows), 0, marks[0], records[0], marks[1], records[1])
    return head + b"".join([ROW.pack(*row) for row in rows])


def read(body: bytes) -> Acknowledgement | None:
    """The ACK in a body, or None."""
    if len(body) < HEAD.size:
        return None
    asks, count, reserved, mark, records, bulk_mark, bulk_records = HEAD.unpack_from(body)
    if asks > 1 or reserved or len(body) != HEAD.size + count * ROW.size:
        return None
    rows = [Row(*row) for row in ROW.iter_unpack(body[HEAD.size :])]
    return Acknowledgement(asks, (mark, bulk_mark), (records, bulk_records), rows)


def pack_missing(mark: int, first: int, count: int, records: int) -> bytes:
    """The body of a NAK."""
    return NAK.pack(mark, count, first, records)


def read_missing(body: bytes) -> Missing | None:
    """The NAK in a body, or None."""
    if len(body) != NAK.size:
        return None
    missing = Missing(*NAK.unpack(body))
    return missing if missing.frames and missing.first else None


class Cadence:
    """When the next ACK leaves: after so many frames, or so long after the first of them, or at once."""

    __slots__ = ("due_ns", "_frames", "_frames_max", "_wait_ns")

    def __init__(self, frames_max: int = limits.LINK_ACKNOWLEDGE_FRAMES, wait_ns: int = limits.LINK_ACKNOWLEDGE_NS):
        self._frames_max, self._wait_ns = frames_max, wait_ns
        self.said()

    def heard(self, now_ns: int) -> None:
        """A sequenced frame came."""
        self._frames += 1
        if self._frames >= self._frames_max:
            self.due_ns = 0
        elif self._frames == 1:
            self.due_ns = min(self.due_ns, now_ns + self._wait_ns)

    def hurry(self) -> None:
        """At once: damage, a gap, credit, a question."""
        self.due_ns = 0

    def said(self) -> None:
        """An ACK left."""
        self._frames = 0
        self.due_ns = limits.LINK_NEVER_NS
