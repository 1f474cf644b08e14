"""An acceptor with its peers, and callers whose bytes are carried to it: what the tests of the acceptor share."""

from random import Random

from gateway.link.frames import wire
from gateway.link.peers.acceptor import Acceptor, Pending
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings
from tests.link.pair import BEGIN_NS, MILLISECOND, Hours, private_key, public_key

CONTROL, BULK = wire.CONTROL, wire.BULK


def make(node: int, remote: int, initiator: bool, key: int | None = None, layouts: int = 0) -> Peer:
    random = Random(node * 1000 + remote)
    settings = PeerSettings(
        node=node,
        remote_node=remote,
        initiator=initiator,
        boot_id=random.randbytes(16),
        private_key=private_key(key or node),
        remote_public_key=public_key(remote),
        layouts=layouts,
    )
    return Peer(settings, Hours(), random.randbytes)


class Door:
    """An acceptor at node 9 for nodes 1 to 3, and one caller's sockets by connection."""

    def __init__(self) -> None:
        self.now_ns = BEGIN_NS
        self.own = {node: make(9, node, False) for node in (1, 2, 3)}
        self.allowed: dict[str, str] = {}
        self.acceptor = Acceptor(self.own, self.allowed.get)
        self.sockets: dict[tuple[int, int], Pending] = {}

    def call(self, caller: Peer, connection: int, address: str = "10.0.0.1") -> Pending:
        pending = self.acceptor.connection(address, self.now_ns)
        self.sockets[caller.settings.node, connection] = pending
        caller.opened(connection, self.now_ns)
        return pending

    def carry(self, caller: Peer) -> None:
        """Everything between this caller and the door moves until it rests."""
        own = self.own.get(caller.settings.node)
        for _ in range(50):
            for connection in (CONTROL, BULK):
                if caller.wants(connection, self.now_ns):
                    self.call(caller, connection)
                pending = self.sockets.get((caller.settings.node, connection))
                if pending is None:
                    continue
                data = caller.output(connection, 1 << 20, self.now_ns)
                back = b""
                if pending.adopted:
                    assert own is not None
                    own.received(connection, data, self.now_ns)
                    back = own.output(connection, 1 << 20, self.now_ns)
                else:
                    if data:
                        pending.received(data, self.now_ns)
                    back = pending.output()
                if pending.refused:
                    caller.closed(connection, self.now_ns)
                    del self.sockets[caller.settings.node, connection]
                elif back:
                    caller.received(connection, back, self.now_ns)

    def wait(self, duration_ns: int) -> None:
        self.now_ns += duration_ns
        self.acceptor.tick(self.now_ns)
        for peer in self.own.values():
            peer.tick(self.now_ns)


def caller_first(door: Door) -> bytes:
    """A genuine first message that somebody has recorded; its session came and went."""
    caller = make(1, 9, True)
    caller.opened(CONTROL, door.now_ns)
    first = caller.output(CONTROL, 1000, door.now_ns)
    pending = door.acceptor.connection("10.0.0.1", door.now_ns)
    pending.received(first, door.now_ns)
    caller.received(CONTROL, pending.output(), door.now_ns)
    pending.received(caller.output(CONTROL, 1 << 20, door.now_ns), door.now_ns)
    assert pending.adopted
    door.own[1].closed(CONTROL, door.now_ns)
    door.now_ns += MILLISECOND
    return first
