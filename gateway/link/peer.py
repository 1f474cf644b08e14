"""One side of the regional link to one other node, sans I/O: bytes and time in, bytes and events out. docs/protocols/link.md

Beside the corridor: transport below, streams above. Hard rule: no socket, clock or randomness in here; the same calls
give the same bytes.
"""

from collections.abc import Callable, Iterator

from gateway.link.event import Event
from gateway.link.peer_settings import PeerSettings, Secrets


class Peer:
    """Two TCP connections and a UDP flow with one node, over any number of reconnects."""

    def __init__(
        self,
        settings: PeerSettings,
        secrets: Secrets,
        entropy: Callable[[int], bytes],
        unpack: Callable[..., bytes] | None = None,
    ):
        self.settings = settings
        self.counters: dict[str, int] = {}
        self.state = "idle"  # idle | opening | up
        self.session_id = b""  # of the session that is up; what tokens are bound to
        self.remote_boot_id = b""
        self.fence = 0  # our fence epoch, on every frame; raise it, never lower it
        self.suspected = True

    # from the transport

    def opened(self, connection: int, now_ns: int) -> None:
        """A TCP connection stands. One that the peer had under the same number is gone."""

    def received(self, connection: int, data: bytes | memoryview, now_ns: int) -> None:
        """Bytes of a TCP connection."""

    def closed(self, connection: int, now_ns: int) -> None:
        """A TCP connection is gone, or could not be opened."""

    def received_datagram(self, data: bytes, now_ns: int) -> None:
        """One UDP datagram."""

    def tick(self, now_ns: int) -> None:
        """Time goes on. Call it after everything that had arrived was handed over, and by `deadline_ns` at the latest."""

    # to the transport

    def output(self, connection: int, room_bytes: int, now_ns: int) -> bytes:
        """What the socket should send now: about `room_bytes`, at most one frame more; b"" when there is nothing."""
        return b""

    def has_output(self, connection: int) -> bool:
        """Whether `output` would give anything: when to wait for a writable socket."""
        return False

    def datagrams(self, now_ns: int) -> list[bytes]:
        """UDP datagrams that are due."""
        return []

    def wants(self, connection: int, now_ns: int) -> bool:
        """Whether to connect now (initiator only; back-off inside). True until `opened` or `closed` is called."""
        return False

    def wants_close(self, connection: int) -> bool:
        """Whether to close this socket; call `closed` afterwards."""
        return False

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due at the latest."""
        return 0

    # for the application

    def send(
        self,
        channel: int,
        body: bytes,
        *,
        now_ns: int,
        type: int = 1,
        schema: int = 0,
        token_id: int = 0,
        flags: int = 0,
        raw_bytes: int | None = None,
        body_crc: int | None = None,
        key: int = 0,
    ) -> int:
        """Its channel sequence, from 1; 0: no room, say it again after `Writable`.

        `body` of at most LINK_BODY_BYTES_MAX becomes one frame; a longer one is cut into fragments and delivered whole (not
        if it is compressed). A compressed body says its `raw_bytes` and the CRC-32 of the uncompressed body.
        """
        return 0

    def room(self, channel: int) -> int:
        """Bytes of bodies that `send` takes now."""
        return 0

    def consumed(self, channel: int, count_bytes: int) -> None:
        """The application has done with so many bytes of delivered bodies: the other side may send as many more."""

    def events(self) -> Iterator[Event]:
        """What happened since the last call, in order. Each event comes once."""
        return iter(())

    def leave(self, now_ns: int) -> None:
        """Says GOAWAY, and ends the session once it was acknowledged, or after a second."""

    def close(self, reason: str, now_ns: int) -> None:
        """Ends the session at once: a revoked key, a token that lied. The initiator comes again after its back-off."""

    @property
    def resting(self) -> bool:
        """Nothing unsent, unacknowledged or held back: both sides agree on everything sent."""
        return True
