"""One TCP connection of the simulated venue's order gateway: a socket around the server of SoupBinTCP.

Packets are read one by one, so that each has the kernel's own stamp of its last byte: when it came, not when we looked.

Beside the corridor, inside the venue. Hard rule: nothing here blocks; a client that does not read is not written to.
"""

import contextlib
import socket
import struct
import time

from gateway.errors import PortError
from gateway.protocols.soupbintcp_server import Server
from gateway.protocols.soupbintcp_stream import Event, Lost

READS = 128  # of one turn: two for each packet
STAMP_OPTION = 35  # SO_TIMESTAMPNS, which module socket does not name
STAMP = struct.Struct("qq")
LENGTH_BYTES = 2
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
        self.socket.setsockopt(socket.SOL_SOCKET, STAMP_OPTION, 1)
        self.open = True
        self.logged_in = False
        self.stamps: list[int] = []  # when each event of the last `read` came in
        self._unsent = b""
        self._held = b""  # of a packet that is not whole

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def read(self, now_ns: int) -> list[Event]:
        """What the client has sent; `stamps` says when each of it came in."""
        events: list[Event] = []
        self.stamps = []
        for _ in range(READS):
            try:
                data, stamp_ns = self._receive(now_ns)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data, stamp_ns = b"", now_ns
            news = self.server.receive(data, now_ns)
            events += news
            self.stamps += [stamp_ns] * len(news)
            if not data or any(isinstance(event, Lost) for event in news):
                break
        return events

    def _receive(self, now_ns: int) -> tuple[bytes, int]:
        """The next bytes, never beyond the end of a packet, and when the last of them came in."""
        length = int.from_bytes(self._held[:LENGTH_BYTES], "big") if len(self._held) >= LENGTH_BYTES else 0
        data, notes, _, _ = self.socket.recvmsg(LENGTH_BYTES + length - len(self._held), socket.CMSG_SPACE(STAMP.size))
        self._held += data
        if len(self._held) >= LENGTH_BYTES and len(self._held) == LENGTH_BYTES + int.from_bytes(self._held[:2], "big"):
            self._held = b""
        for level, kind, note in notes:
            if (level, kind) == (socket.SOL_SOCKET, STAMP_OPTION) and len(note) == STAMP.size:
                seconds, rest = STAMP.unpack(note)
                return data, now_ns - max(0, time.time_ns() - seconds * 1_000_000_000 - rest)
        return data, now_ns

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
