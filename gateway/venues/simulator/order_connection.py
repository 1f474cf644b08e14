"""One TCP connection of the simulated venue's order gateway: a socket around the server of SoupBinTCP.

Beside the corridor, inside the venue. Hard rule: nothing here blocks; a client that does not read is not written to.
"""

import contextlib
import socket
import struct

from gateway.errors import PortError
from gateway.protocols.soupbintcp_server import Server
from gateway.protocols.soupbintcp_stream import Event, Lost

READ_BYTES = 1 << 14
CONNECTIONS_MAX = 8
RESET = struct.pack("ii", 1, 0)  # linger: close resets, and drops what was not read or sent


def listen(host: str, port: int, name: str) -> socket.socket:
    """A socket that listens and does not block; `port` 0: any that is free. Raises PortError, which calls it `name`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(CONNECTIONS_MAX)
    except OSError as problem:
        listener.close()
        raise PortError(f"the {name} cannot listen on {host}:{port}: {problem.strerror}") from None
    listener.setblocking(False)
    return listener


class Connection:
    """A socket and its server. `open` is False once either is gone."""

    def __init__(self, connection: socket.socket, server: Server):
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.server = connection, server
        self.open = True
        self.logged_in = False
        self._unsent = b""

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def read(self, now_ns: int) -> list[Event]:
        """What the client has sent."""
        try:
            data = self.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            data = b""
        return self.server.receive(data, now_ns)

    def write(self, now_ns: int) -> list[Event]:
        """What there is to say, as far as the kernel takes it; time goes on for the server once all was taken."""
        events = [] if self._unsent else self.server.advance(now_ns)
        self._unsent += self.server.output()
        try:
            if self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            if not any(isinstance(event, Lost) for event in events):
                events.append(self.server.disconnect("closed"))
        return events

    @property
    def is_done(self) -> bool:
        """Whether the client has been told that the session ended, or is not logged in."""
        return not self.logged_in or (self.server.said_end and not self._unsent)

    def close(self, abruptly: bool = False) -> None:
        """Closes the socket; `abruptly`: by a reset, unread orders and unsent reports are gone."""
        if self.open:
            self.open = False
            if abruptly:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.socket.close()

    def tear(self) -> None:
        """Half a packet, then a reset."""
        with contextlib.suppress(OSError):
            if not self._unsent:  # else the kernel has half a packet already
                self.socket.send(b"\0\x10S torn")
        self.close(abruptly=True)
