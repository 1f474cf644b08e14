"""Two peers joined by byte pipes with a virtual clock: what the tests of peers and channels share."""

from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.link.peers.event import Delivered, Event
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
BEGIN_NS = 1_760_000_000 * SECOND
NODES = (1, 2)
ROOM_BYTES = 64 * 1024


def private_key(node: int) -> bytes:
    return sha256(b"a static key of the tests" + bytes([node])).digest()


def public_key(node: int) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key(node)).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Hours:
    """A key service: every hour has a secret unless it was taken away."""

    def __init__(self) -> None:
        self.gone: set[int] = set()

    def hourly(self, hour: int) -> bytes | None:
        return None if hour in self.gone else sha256(b"hour" + hour.to_bytes(4, "little")).digest()


class Pair:
    """`peers[0]` initiates. Bytes travel at once; `step` moves everything, `run` lets time pass."""

    def __init__(self, seed: int = 1, **settings: Any):
        self.random = Random(seed)
        self.now_ns = BEGIN_NS
        self.settings = settings
        self.secrets = Hours()
        self.events: list[list[Event]] = [[], []]
        self.peers = [self.make(0), self.make(1)]
        self.connected: set[int] = set()
        self.cut = False  # nobody can connect, nothing arrives
        self.udp = [True, True]  # whether datagrams of this side arrive
        self.change: Callable[[int, int, bytes], bytes] = lambda side, connection, data: data
        self.reads = [True, True]  # whether this side's application takes events
        self.recorded: list[tuple[int, int, bytes]] = []

    def make(self, side: int) -> Peer:
        settings = PeerSettings(
            node=NODES[side],
            remote_node=NODES[1 - side],
            initiator=side == 0,
            boot_id=self.random.randbytes(16),
            private_key=private_key(NODES[side]),
            remote_public_key=public_key(NODES[1 - side]),
            **self.settings,
        )
        return Peer(settings, self.secrets, self.random.randbytes)

    def restart(self, side: int) -> None:
        """Another process with no memory takes this side's place."""
        self.peers[side] = self.make(side)
        for connection in sorted(self.connected):
            self.peers[1 - side].closed(connection, self.now_ns)
        self.connected.clear()

    def drop(self, connection: int) -> None:
        """A connection breaks; both sides hear of it."""
        if connection in self.connected:
            self.connected.discard(connection)
            for peer in self.peers:
                peer.closed(connection, self.now_ns)

    def connect(self) -> None:
        caller, called = self.peers
        for connection in (0, 1):
            if connection not in self.connected and caller.wants(connection, self.now_ns):
                if self.cut:
                    caller.closed(connection, self.now_ns)
                    continue
                self.connected.add(connection)
                called.opened(connection, self.now_ns)
                caller.opened(connection, self.now_ns)

    def step(self) -> int:
        """Everything moves once; how much there was."""
        self.connect()
        moved = 0
        for connection in (0, 1):
            for side in (0, 1):
                moved += self.carry(side, connection)
        for side in (0, 1):
            for data in self.peers[side].datagrams(self.now_ns):
                if self.udp[side] and not self.cut:
                    self.peers[1 - side].received_datagram(data, self.now_ns)
        for side in (0, 1):
            if self.reads[side]:
                self.take(side)
        return moved

    def carry(self, side: int, connection: int, room_bytes: int = ROOM_BYTES) -> int:
        if connection not in self.connected:
            return 0
        if any(peer.wants_close(connection) for peer in self.peers):
            self.drop(connection)
            return 1
        data = self.peers[side].output(connection, room_bytes, self.now_ns)
        if data:
            self.recorded.append((side, connection, data))
            data = self.change(side, connection, data)
            if not self.cut and data:
                self.peers[1 - side].received(connection, data, self.now_ns)
        return len(data)

    def take(self, side: int) -> None:
        peer = self.peers[side]
        for event in peer.events():
            self.events[side].append(event)
            if isinstance(event, Delivered):
                peer.consumed(event.channel, len(event.message.body))

    def settle(self) -> None:
        """Until nothing moves at this time."""
        for _ in range(10_000):
            if not self.step():
                return
        raise AssertionError("the peers never come to rest")

    def run(self, duration_ns: int, step_ns: int = MILLISECOND) -> None:
        end_ns = self.now_ns + duration_ns
        while self.now_ns < end_ns:
            self.settle()
            self.now_ns += step_ns
            for peer in self.peers:
                peer.tick(self.now_ns)
        self.settle()

    def up(self) -> "Pair":
        self.run(20 * MILLISECOND)
        assert [peer.state for peer in self.peers] == ["up", "up"] and self.connected == {0, 1}
        return self

    def send(self, side: int, channel: int, body: bytes, **options: Any) -> int:
        return self.peers[side].send(channel, body, now_ns=self.now_ns, **options)

    def delivered(self, side: int, channel: int) -> list[bytes]:
        """Bodies delivered to this side on that channel so far."""
        return [
            event.message.body for event in self.events[side] if isinstance(event, Delivered) and event.channel == channel
        ]

    def of(self, side: int, kind: type) -> list[Any]:
        """Events of one kind that this side's application has had."""
        return [event for event in self.events[side] if isinstance(event, kind)]
