"""A small pcapng writer for synthetic sessions: one Ethernet interface, nanosecond times, a comment that says so.

Beside the corridor. Format: draft-ietf-opsawg-pcapng, sections 4.1 (section header), 4.2 (interface), 4.3 (packet).
Hard rule: blocks are padded to 32 bits and carry their length at both ends.
"""

import struct
from pathlib import Path
from types import TracebackType

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
ETHERNET = 1
COMMENT, END_OF_OPTIONS, TIME_RESOLUTION = 1, 0, 9
NANOSECONDS = 9  # 10**-9


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


class CaptureWriter:
    """An open pcapng file; a context manager."""

    def __init__(self, path: Path, comment: str):
        self._file = path.open("wb")
        end = struct.pack("<HH", END_OF_OPTIONS, 0)
        section = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1) + _option(COMMENT, comment.encode()) + end
        interface = struct.pack("<HHI", ETHERNET, 0, 0) + _option(TIME_RESOLUTION, bytes([NANOSECONDS])) + end
        self._file.write(_block(SECTION, section) + _block(INTERFACE, interface))

    def write(self, time_ns: int, frame: bytes) -> None:
        """Appends one whole frame."""
        size = len(frame)
        header = struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, size, size)
        self._file.write(_block(PACKET, header + _padded(frame)))

    def __enter__(self) -> "CaptureWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
