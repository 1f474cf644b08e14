"""Who may begin a session with us: address, rate and deadline come before any key. docs/protocols/link.md

Beside the corridor, between a listening socket and the peers. Hard rule: until a first message has passed its MAC, a
connection costs its few hundred bytes and no cryptography beyond that one message.

    socket ─► Pending ── first message ──► peer of its node ── second message ──► first valid frame ──► adopted
                 └── refused: ADDRESS, RATE, FULL, DEADLINE, NODE, whatever the handshake says
"""

from collections.abc import Callable

from gateway.link.peer import Peer


class Pending:
    """A connection that has not proved itself. Hand it bytes, send its output, look at `adopted` and `refused`."""

    def __init__(self) -> None:
        self.refused: str | None = None  # close the socket
        self.adopted: tuple[Peer, int] | None = None  # from now on the socket is this peer's connection of that number

    def received(self, data: bytes, now_ns: int) -> None:
        """Bytes of the socket. What follows the first valid frame is handed to the peer."""

    def output(self) -> bytes:
        """What to send now: the second message of the handshake, once."""
        return b""

    def closed(self) -> None:
        """The socket is gone."""


class Acceptor:
    """All peers that may come to one listening socket, clients among them, by node id.

    `allowed` says the reason why an address may not speak, or None. When a Pending is adopted, the socket that its peer had
    under that number is to be closed without a word to the peer.
    """

    def __init__(self, peers: dict[int, Peer], allowed: Callable[[str], str | None]):
        self.peers = peers
        self.counters: dict[str, int] = {}

    def connection(self, address: str, now_ns: int) -> Pending:
        """A new TCP connection from this address; `refused` may be set at once."""
        return Pending()

    def datagram(self, data: bytes, address: str, now_ns: int) -> Peer | None:
        """Hands a UDP datagram to the peer of the node that it names, and says which if it was valid there."""
        return None

    def tick(self, now_ns: int) -> None:
        """Time goes on: deadlines of what is pending."""

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due at the latest."""
        return 0
