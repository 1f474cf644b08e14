"""TCP bytes in, one item at a time out: a message, damage that the connection survives, or the end. docs/protocols/link.md

Between a socket's bytes and the peer; protection.py opens what is cut out here.

    feed ─► bytes ─► length, header CRC, magic, version, flags, type, channel ─► source, epoch, record ─► wait for all of it
                 ─► outer CRC ─► tag ─► fence ─► raw length, unpacking, inner CRC ─► next

Hard rule: checks happen in this order and each refusal is counted once; never more is buffered than one frame and
what was fed last; after a refusal nothing more is read.
"""

from gateway import limits
from gateway.errors import LinkError
from gateway.link.frames.protection import EPOCH, Opener
from gateway.link.frames.wire import (
    ASSOCIATED_BYTES,
    CRC,
    CRC_BYTES,
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    Damaged,
    Header,
    Message,
    Refusal,
    Refused,
    Stale,
    read_header,
)

FEED_BYTES_MAX = limits.LINK_CIPHERTEXT_BYTES_MAX


class FrameStream:
    """One direction of one TCP connection, as received. `counters` counts by `Refusal`."""

    def __init__(self, opener: Opener):
        self.opener = opener
        self.counters = [0] * len(Refusal)
        self.refused: Refusal | None = None
        self._buffer: bytes | bytearray = b""
        self._position = 0
        self._header: Header | None = None  # of a frame that has not come whole
        self._head = b""

    @property
    def buffered_bytes(self) -> int:
        """What was fed and not yet taken."""
        return len(self._buffer) - self._position

    def feed(self, data: bytes | memoryview) -> None:
        """Bytes of the socket, 1 MiB at most, after `next` has said None. Bytes objects are kept, not copied."""
        if self.refused is not None:
            return
        left = len(self._buffer) - self._position
        if left > FRAME_BYTES_MAX or len(data) > FEED_BYTES_MAX:
            raise LinkError("a stream is fed 1 MiB at most, and read until it has nothing more")
        if not left:
            self._buffer = data if isinstance(data, bytes) else bytes(data)
        elif isinstance(self._buffer, bytearray):
            del self._buffer[: self._position]
            self._buffer += data
        else:
            self._buffer = bytearray(memoryview(self._buffer)[self._position :])
            self._buffer += data
        self._position = 0

    def next(self) -> Message | Damaged | Stale | Refused | None:
        """The next item; None: feed more. After a Refused there is nothing but None."""
        while self.refused is None:
            header = self._header or self._read_header()
            if not isinstance(header, Header):
                return header
            begin = self._position + HEADER_BYTES
            end = begin + header.length
            if len(self._buffer) < end + CRC_BYTES:
                return None
            (crc,) = CRC.unpack_from(self._buffer, end)
            found = self.opener.open(header, self._head, memoryview(self._buffer)[begin:end], crc)
            self._position = end + CRC_BYTES
            self._header = None
            if isinstance(found, Message):
                if found.type == EPOCH:
                    continue
                return found
            return self._counted(found)
        return None

    def _read_header(self) -> Header | Refused | None:
        begin = self._position
        if len(self._buffer) - begin < HEADER_BYTES:
            return None
        data = bytes(self._buffer[begin : begin + HEADER_BYTES])
        header = read_header(data)
        if isinstance(header, Refusal):
            return self._refuse(header)
        if (reason := self.opener.unexpected(header)) is not None:
            return self._refuse(reason)
        self._head = data[:ASSOCIATED_BYTES]
        self._header = header
        return header

    def _counted(self, found: Damaged | Stale | Refused) -> Damaged | Stale | Refused:
        if isinstance(found, Refused):
            return self._refuse(found.reason)
        self.counters[Refusal.OUTER_CRC if isinstance(found, Damaged) else Refusal.FENCE] += 1
        return found

    def _refuse(self, reason: Refusal) -> Refused:
        self.counters[reason] += 1
        self.refused = reason
        self._buffer, self._position = b"", 0
        return Refused(reason)
