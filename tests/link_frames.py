"""Where a link's frames lie in a TCP stream that somebody in the middle sees pass: what the relay aims at.

    handshake (not framed) │ header 32 │ ciphertext and tag │ CRC 4 │ header 32 │ …

Hard rule: it follows the bytes that the sender sent first; what is sent again is found by its place.
"""

import struct
from collections import deque

from gateway.link.frames import wire

HEADER_BYTES, CRC_BYTES, KEPT = 32, 4, 4096
SPACE = 1 << 32


class Stream:
    """One direction of one TCP connection."""

    def __init__(self, sequence):
        self.first = sequence  # of the first byte behind the SYN
        self.end = 0  # bytes followed so far
        self.bodies = deque(maxlen=KEPT)  # (first, end) of each ciphertext
        self.frames = 0
        self.payload = bytearray()  # what was sent, while it is recorded
        self.recording = False
        self._head = bytearray()
        self._skip = 0

    def place(self, sequence):
        """Offset of a sequence number, near where we are."""
        offset = (sequence - self.first - self.end) % SPACE
        return self.end + (offset - SPACE if offset >= SPACE // 2 else offset)

    def follow(self, sequence, payload):
        """Takes what is new of a segment; returns its offset."""
        start = self.place(sequence)
        fresh = self.end - start
        if 0 <= fresh < len(payload):
            if self.recording:
                self.payload += payload[fresh:]
            self._take(payload[fresh:])
        return start

    def _take(self, data):
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at, self.end = at + step, self.end + step
                continue
            self._head.append(data[at])
            at, self.end = at + 1, self.end + 1
            if len(self._head) == HEADER_BYTES:
                self._begin(bytes(self._head))

    def _begin(self, head):
        """32 bytes: a header, or a window over a handshake that moves on by one."""
        if struct.unpack_from("<I", head, 28)[0] != wire.crc32c(head[:28]):
            del self._head[0]
            return
        size = struct.unpack_from("<I", head, 24)[0]
        self._head.clear()
        self.bodies.append((self.end, self.end + size))
        self.frames += 1
        self._skip = size + CRC_BYTES

    def inside(self, start, size, whole=False):
        """(first, end) of the ciphertexts of a segment that begins at `start`; `whole`: only with their CRC in it."""
        end = start + size
        found = []
        for first, last in reversed(self.bodies):
            if last + CRC_BYTES <= start:
                break
            if whole and first >= start and last + CRC_BYTES <= end:
                found.append((first - start, last - start))
            elif not whole and max(first, start) < min(last, end):
                found.append((max(first, start) - start, min(last, end) - start))
        return found
