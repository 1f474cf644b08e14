"""A blocking socket whose every operation has a deadline, however slowly the other side drips.

Hard rule: a deadline is for the whole message, not for each of its bytes.
"""

import socket
import ssl
from types import TracebackType

from gateway import clock

SECOND_NS = 1_000_000_000


class TimedSocket:
    """Reads and writes whole messages. Raises TimeoutError when a deadline passes, OSError when the line breaks."""

    def __init__(self, connection: socket.socket):
        self.connection = connection

    def shake_hands(self, within_ns: int) -> None:
        """The TLS handshake, whole."""
        assert isinstance(self.connection, ssl.SSLSocket)
        self.connection.settimeout(within_ns / SECOND_NS)  # ssl counts it for the handshake as a whole
        self.connection.do_handshake()

    def read(self, size: int, first_within_ns: int, rest_within_ns: int) -> bytes:
        """`size` bytes: the first byte within one time, the rest within another; b"" when the other side is done."""
        got = self._receive(size, clock.monotonic_ns() + first_within_ns)
        until_ns = clock.monotonic_ns() + rest_within_ns
        while got and len(got) < size:
            more = self._receive(size - len(got), until_ns)
            if not more:
                return b""
            got += more
        return got

    def write(self, data: bytes, within_ns: int) -> None:
        """All of it."""
        self.connection.settimeout(within_ns / SECOND_NS)  # sendall counts it for the whole
        self.connection.sendall(data)

    def _receive(self, size: int, until_ns: int) -> bytes:
        left_ns = until_ns - clock.monotonic_ns()
        if left_ns <= 0:
            raise TimeoutError("deadline")
        self.connection.settimeout(left_ns / SECOND_NS)
        return self.connection.recv(size)

    def close(self) -> None:
        """Closes the socket."""
        self.connection.close()

    def __enter__(self) -> "TimedSocket":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
