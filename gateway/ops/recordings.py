"""Recordings of WebSocket sessions on disk: what is one, and how a compressed one reaches a port.

A port maps plain files, so gzip is unpacked into memory that has a path under /proc/self/fd and goes with its descriptor.
Hard rule: what comes out of a compressed file is bounded, whatever its header says.
"""

import os
import re
import zlib
from pathlib import Path

from gateway import limits
from gateway.errors import PortError

GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 20
WINDOW_BITS_GZIP = 31
LINE = re.compile(rb"(?:\d{1,19} |\d{1,10}(?:\.\d*)?: |ws{1,2}://\S+ <-)")  # the four kinds of native/ports/recording.c


class Recording:
    """A recording as a file that a port can map: `path` is its own, or that of unpacked memory until `close`."""

    def __init__(self, path: Path):
        self.descriptor = -1
        self.path = path
        try:
            with path.open("rb") as file:
                compressed = file.read(2) == GZIP_MAGIC
            if compressed:
                self.descriptor = os.memfd_create("gateway-recording", os.MFD_CLOEXEC)
                self._unpack(path)
                self.path = Path(f"/proc/self/fd/{self.descriptor}")
        except OSError as problem:
            self.close()
            raise PortError(f"{path}: {problem.strerror or problem}") from problem
        except PortError:
            self.close()
            raise

    def _unpack(self, path: Path) -> None:
        total = 0
        inflater = zlib.decompressobj(WINDOW_BITS_GZIP)
        try:
            with path.open("rb") as file, os.fdopen(os.dup(self.descriptor), "wb") as target:
                data, open_member = file.read(CHUNK_BYTES), False
                while data:
                    text = inflater.decompress(data, CHUNK_BYTES)
                    total += len(text)
                    if total > limits.RECORDING_BYTES_MAX:
                        raise PortError(f"{path}: unpacks to more than {limits.RECORDING_BYTES_MAX >> 30} GiB; cut it")
                    target.write(text)
                    data, open_member = inflater.unconsumed_tail, not inflater.eof
                    if inflater.eof:
                        data = inflater.unused_data
                        inflater = zlib.decompressobj(WINDOW_BITS_GZIP)
                    data = data or file.read(CHUNK_BYTES)
                if open_member:
                    raise zlib.error("it ends too early")
        except zlib.error as problem:
            raise PortError(f"{path}: damaged gzip ({problem}); copy it again") from problem

    def is_session(self) -> bool:
        """Whether the first line is one of a recorded WebSocket session."""
        with self.path.open("rb") as file:
            return LINE.match(file.read(4096)) is not None

    def close(self) -> None:
        """Gives unpacked memory back; a port that has mapped it keeps its own hold."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
