"""The wire's layouts: handshake prefix and payload, frame header, inner head; types, flags, both CRCs, every refusal.

First file of the regional link; everything else imports it. Nothing here holds a key or a state.
Hard rule: a layout stands here once, little-endian, and docs/protocols/link.md says the same.

    frame   [ header: 28 | CRC-32C of it: 4 ][ ciphertext: length - 16 | tag: 16 ][ CRC-32 of ciphertext and tag: 4 ]
    inside  [ sequence: 8 | sent: 8 | raw length: 4 | schema: 2 | token id: 2 ][ body ][ CRC-32 of the unpacked body: 4 ]
"""

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

import google_crc32c
from isal import isal_zlib

from gateway import limits

crc32c = google_crc32c.value  # of bytes; the header's
crc32 = isal_zlib.crc32  # of anything with a buffer; ciphertext's and body's

VERSION = 1
MAGIC = 0x4C47  # the bytes "GL"
HANDSHAKE_MAGIC = 0x4847  # the bytes "GH"

CONTROL, BULK, LIVENESS = 0, 1, 2  # connections of a session: two over TCP, one over UDP
TO_RESPONDER, TO_INITIATOR = 0, 1  # directions

HEADER_BYTES = 32
ASSOCIATED_BYTES = 28
TAG_BYTES = 16
INNER_BYTES = 24
CRC_BYTES = 4
SEALED_BYTES_MIN = INNER_BYTES + CRC_BYTES + TAG_BYTES
OVERHEAD_BYTES = HEADER_BYTES + SEALED_BYTES_MIN + CRC_BYTES
BODY_BYTES_MAX = limits.LINK_CIPHERTEXT_BYTES_MAX - SEALED_BYTES_MIN
FRAME_BYTES_MAX = HEADER_BYTES + limits.LINK_CIPHERTEXT_BYTES_MAX + CRC_BYTES

HEAD = struct.Struct("<HBBBBHIIQI")  # magic version flags type channel source key_epoch fence record length
HEADER = struct.Struct("<HBBBBHIIQII")  # and its CRC-32C
INNER = struct.Struct("<QQIHH")
CRC = struct.Struct("<I")
PREFIX = struct.Struct("<HBBBxxxHHI")  # magic version message connection (zero) initiator responder hour
PAYLOAD = struct.Struct("<16s16sqII16s16Q")  # session boot time fence layouts known_boot resume[16]

KEY_BYTES = 32
ID_BYTES = 16  # of a session, of a process's life
PREFIX_BYTES = PREFIX.size
HANDSHAKE_BYTES = PREFIX_BYTES + KEY_BYTES + PAYLOAD.size + TAG_BYTES + CRC_BYTES
assert HEAD.size == ASSOCIATED_BYTES and HEADER.size == HEADER_BYTES and INNER.size == INNER_BYTES
assert OVERHEAD_BYTES == 80 and HANDSHAKE_BYTES == 260


class Type(IntEnum):
    """What a frame is."""

    DATA = 1
    ACK = 2
    NAK = 3
    HEARTBEAT = 4
    EPOCH = 5
    FENCE = 6
    SNAPSHOT = 7
    TOKEN = 8
    KILL = 9
    GOAWAY = 10


class Flag(IntFlag):
    """Bits of a frame; any other closes the connection."""

    COMPRESSED = 1
    RETRANSMISSION = 2
    SNAPSHOT = 4
    FRAGMENT = 8
    END = 16


FLAGS_UNKNOWN = 0xFF ^ 31
TYPE_MAX = max(Type)


class Refusal(IntEnum):
    """Every reason for which a handshake, a frame or a connection is refused, in the order of checks; each has a counter.

    `word` is how logs, metrics and reports name it.
    """

    # before any cipher: who may knock (acceptor)
    ADDRESS = 0
    RATE = 1
    FULL = 2
    DEADLINE = 3
    # handshake
    HANDSHAKE_LENGTH = 4
    HANDSHAKE_MAGIC = 5
    HANDSHAKE_VERSION = 6
    HANDSHAKE_MESSAGE = 7
    HANDSHAKE_CRC = 8
    NODE = 9
    HOUR = 10
    NO_SECRET = 11
    HANDSHAKE_TAG = 12
    CLOCK = 13
    REPLAYED = 14
    SESSION = 15
    # frame
    LENGTH = 16
    HEADER_CRC = 17
    MAGIC = 18
    VERSION = 19
    FLAGS = 20
    TYPE = 21
    CHANNEL = 22
    SOURCE = 23
    EPOCH = 24
    KEY_WORN = 25
    RECORD = 26
    OUTER_CRC = 27
    TAG = 28
    FENCE = 29
    RAW_LENGTH = 30
    UNPACK = 31
    INNER_CRC = 32
    BODY = 33
    # session (peer)
    SEQUENCE = 34
    RETRIES = 35
    DAMAGE = 36
    CREDIT = 37
    FRAGMENT = 38
    LAYOUTS = 39

    @property
    def word(self) -> str:
        """Lower case, as it is counted."""
        return self.name.lower()


ALARMING = frozenset({Refusal.HANDSHAKE_TAG, Refusal.TAG, Refusal.INNER_CRC})  # no accident of a line makes these
MENDS = {  # by word: what an operator does about it
    Refusal.CLOCK.word: "set the clocks of both by NTP or PTP",
    Refusal.LAYOUTS.word: "it lays records out otherwise: install the same build on both sides",
}


class Header(NamedTuple):
    """The clear head of a frame; `length` counts ciphertext and tag."""

    flags: int
    type: int
    channel: int
    source: int
    key_epoch: int
    fence: int
    record: int
    length: int


class Inner(NamedTuple):
    """What stands encrypted before the body."""

    sequence: int
    sent_ns: int
    raw_bytes: int
    schema: int
    token_id: int


class Message(NamedTuple):
    """One message. To be sealed: `body` as it goes on the wire, `raw_bytes` of it unpacked. Opened: `body` unpacked."""

    type: int
    channel: int
    flags: int
    fence: int
    sequence: int
    sent_ns: int
    schema: int
    token_id: int
    raw_bytes: int
    body: bytes


class Damaged(NamedTuple):
    """A frame that the line damaged: dropped, its record number used up, the connection goes on."""

    channel: int
    record: int
    type: int


class Stale(NamedTuple):
    """A genuine frame of a fence epoch that is over: dropped; its sender is to be told with FENCE."""

    channel: int
    sequence: int
    fence: int


class Refused(NamedTuple):
    """Ends what it happened to."""

    reason: Refusal


class Prefix(NamedTuple):
    """The clear head of a handshake message."""

    message: int
    connection: int
    initiator: int
    responder: int
    hour: int


def pack_header(header: Header) -> bytes:
    """32 bytes, the CRC-32C included."""
    head = HEAD.pack(MAGIC, VERSION, *header)
    return head + CRC.pack(crc32c(head))


def read_header(data: bytes) -> Header | Refusal:
    """The header in exactly 32 bytes, or why it is none: length, CRC-32C, magic, version, flags, type, channel."""
    magic, version, flags, kind, channel, source, key_epoch, fence, record, length, crc = HEADER.unpack(data)
    if not SEALED_BYTES_MIN <= length <= limits.LINK_CIPHERTEXT_BYTES_MAX:
        return Refusal.LENGTH
    if crc32c(data[:ASSOCIATED_BYTES]) != crc:
        return Refusal.HEADER_CRC
    if magic != MAGIC:
        return Refusal.MAGIC
    if version != VERSION:
        return Refusal.VERSION
    if flags & FLAGS_UNKNOWN:
        return Refusal.FLAGS
    if not 0 < kind <= TYPE_MAX:
        return Refusal.TYPE
    if channel >= limits.LINK_CHANNELS:
        return Refusal.CHANNEL
    return Header(flags, kind, channel, source, key_epoch, fence, record, length)


def pack_prefix(prefix: Prefix) -> bytes:
    """The 16 clear bytes before a handshake message."""
    return PREFIX.pack(HANDSHAKE_MAGIC, VERSION, *prefix)


def read_prefix(data: bytes) -> Prefix | Refusal:
    """The prefix of a whole handshake message of 260 bytes, or why it is none; no cipher is touched."""
    if len(data) != HANDSHAKE_BYTES:
        return Refusal.HANDSHAKE_LENGTH
    magic, version, *fields = PREFIX.unpack_from(data)
    if magic != HANDSHAKE_MAGIC:
        return Refusal.HANDSHAKE_MAGIC
    if version != VERSION:
        return Refusal.HANDSHAKE_VERSION
    prefix = Prefix(*fields)
    if prefix.message not in (1, 2) or prefix.connection not in (CONTROL, BULK) or any(data[5:8]):
        return Refusal.HANDSHAKE_MESSAGE
    if crc32(data[:-CRC_BYTES]) != CRC.unpack_from(data, HANDSHAKE_BYTES - CRC_BYTES)[0]:
        return Refusal.HANDSHAKE_CRC
    return prefix
