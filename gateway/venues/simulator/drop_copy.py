"""The drop copy of the simulated venue: the order gateway's log once more, on a port of its own, for any number of readers.

    reader ═ TCP ═ connection ──┐
    reader ═ TCP ═ connection ──┴── log of the order gateway          turned by the order gateway's thread

Beside the corridor. Hard rule: nothing that a reader says reaches the engine.
"""

import socket
from collections.abc import Callable

from gateway.protocols.soupbintcp_server import Log, Server
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost
from gateway.venues.simulator.order_connection import CONNECTIONS_MAX, Connection, listen


class DropCopyPort:
    """Listens from the moment it is made."""

    def __init__(self, host: str, port: int, log: Log, admit: Callable[[str, str], str]):
        self._log, self._admit = log, admit
        self.connections: list[Connection] = []
        self.logins = 0
        self._listener = listen(host, port, "drop copy")

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    def turn(self, now_ns: int) -> None:
        """Readers in, what is new out."""
        accepted = self._accept()
        if accepted is not None:
            self.connections.append(Connection(accepted, Server(self._log, self._admit, now_ns, shared=True)))
        for connection in self.connections:
            self._on(connection, connection.read(now_ns))
            if connection.open:
                self._on(connection, connection.write(now_ns))
        self.connections = [connection for connection in self.connections if connection.open]

    def cut(self) -> None:
        """Resets every connection."""
        for connection in self.connections:
            connection.close(abruptly=True)

    def close(self) -> None:
        """Ends every connection, and listens no more."""
        for connection in self.connections:
            connection.close()
        self._listener.close()

    def _accept(self) -> socket.socket | None:
        if len(self.connections) >= CONNECTIONS_MAX:
            return None
        try:
            return self._listener.accept()[0]
        except OSError:  # nobody, or somebody who has left again
            return None

    def _on(self, connection: Connection, events: list[Event]) -> None:
        for event in events:
            match event:
                case Accepted():
                    connection.logged_in = True
                    self.logins += 1
                case Lost():
                    connection.logged_in = False
                    connection.write(0)
                    connection.close()
