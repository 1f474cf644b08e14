"""Who may begin a session with us: address, rate and deadline come before any key. docs/protocols/link.md

    socket ─► Pending ── first message ──► peer of its node ── second message ──► first frame that opens ──► adopted
                 └── refused: ADDRESS, RATE, FULL, DEADLINE, NODE, whatever the handshake says

Beside the corridor, between a listening socket and the peers. Hard rule: before the first message has passed its MAC a
connection costs its few hundred bytes, and no cryptography but that one message's.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.wire import Refusal, Refused
from gateway.link.peers.lane import OPEN, Lane
from gateway.link.peers.peer import Peer

SECOND_NS = 1_000_000_000
SOURCE = slice(6, 8)  # of a frame's header


class Pending:
    """A connection that has not proved itself. Hand it bytes, send its output, look at `adopted` and `refused`."""

    __slots__ = (
        "address",
        "serial",
        "deadline_ns",
        "refused",
        "adopted",
        "node",
        "_acceptor",
        "_collected",
        "_peer",
        "_lane",
    )

    def __init__(self, acceptor: "Acceptor", address: str, serial: int, deadline_ns: int):
        self.address, self.serial, self.deadline_ns = address, serial, deadline_ns
        self.refused: str | None = None  # close the socket
        self.adopted: tuple[Peer, int] | None = None  # from now on the socket is this peer's connection of that number
        self.node = 0  # whom it says it is; 0: not yet
        self._acceptor = acceptor
        self._collected = b""
        self._peer: Peer | None = None
        self._lane: Lane | None = None

    def received(self, data: bytes, now_ns: int) -> None:
        """Bytes of the socket. What follows the first frame that opens is read by the peer, too."""
        if self.refused is not None:
            return
        if self._lane is None:
            missing = wire.HANDSHAKE_BYTES - len(self._collected)
            self._collected += bytes(data[:missing])
            data = data[missing:]
            if len(self._collected) < wire.HANDSHAKE_BYTES:
                return
            self._answer(now_ns)
        if self._lane is not None and self._peer is not None and data:
            lane, peer = self._lane, self._peer
            lane.heard_ns = now_ns
            lane.bytes_in += len(data)
            peer.prove(lane, bytes(data), now_ns)
            if lane.refused is not None:
                self.refuse(lane.refused)
            elif lane.state == OPEN:
                self.adopted = (peer, lane.connection)
                self._acceptor.forget(self)

    def _answer(self, now_ns: int) -> None:
        data, self._collected = self._collected, b""
        prefix = wire.read_prefix(data)
        if isinstance(prefix, Refusal):
            self.refuse(prefix)
            return
        self.node = prefix.initiator
        peer = self._acceptor.peers.get(prefix.initiator)
        if peer is None:
            self.refuse(Refusal.NODE)
            return
        if not self._acceptor.may_try(self.address, now_ns):
            self.refuse(Refusal.RATE)
            return
        found = peer.answer(data, prefix.connection, now_ns)
        if isinstance(found, Refused):
            self.refuse(found.reason)
            return
        self._peer, self._lane = peer, found

    def output(self) -> bytes:
        """What to send now: the second message of the handshake, once."""
        if self._lane is None or self.adopted is not None:
            return b""
        data, self._lane.out = self._lane.out, b""
        return data

    def refuse(self, reason: Refusal) -> None:
        """The socket is to be closed."""
        if self.refused is None and self.adopted is None:
            self.refused = reason.word
            self._acceptor.count(reason)
            self._acceptor.forget(self)
            self._acceptor.tell(self, reason)

    def closed(self) -> None:
        """The socket is gone."""
        self._acceptor.forget(self)


class Acceptor:
    """All peers that may come to one listening socket, clients among them, by node id.

    `allowed` says the reason why an address may not speak, or None. When a Pending is adopted, the socket that its peer had
    under that number is to be closed without a word to the peer.
    """

    def __init__(
        self, peers: Mapping[int, Peer], allowed: Callable[[str], str | None], tell: Callable[[Pending], None] | None = None
    ):
        """`tell` hears of every connection that is refused for anything but what `allowed` said."""
        self.peers = peers
        self._allowed, self._tell = allowed, tell
        self._pending: dict[int, Pending] = {}  # by serial number: the oldest first
        self._of_address: dict[str, dict[int, Pending]] = {}
        self._initiations: OrderedDict[str, tuple[int, int]] = OrderedDict()  # what is left × 1 s, and when
        self._serial = 0
        self._counts = [0] * len(Refusal)
        self._connections = self._adopted = 0

    def connection(self, address: str, now_ns: int) -> Pending:
        """A new TCP connection from this address; `refused` may be set at once, that of an older one, too."""
        self._serial += 1
        self._connections += 1
        pending = Pending(self, address, self._serial, now_ns + limits.LINK_HANDSHAKE_NS)
        if self._allowed(address) is not None:
            pending.refuse(Refusal.ADDRESS)
            return pending
        same = self._of_address.setdefault(address, {})
        if len(same) >= limits.LINK_PENDING_ADDRESS_MAX:
            next(iter(same.values())).refuse(Refusal.FULL)
        if len(self._pending) >= limits.LINK_PENDING_MAX:
            self.give_way()
        self._pending[pending.serial] = pending
        self._of_address.setdefault(address, {})[pending.serial] = pending
        return pending

    def datagram(self, data: bytes, address: str, now_ns: int) -> Peer | None:
        """Hands a UDP datagram to the peer of the node that it names, and says which if it was valid there."""
        if len(data) < wire.OVERHEAD_BYTES or self._allowed(address) is not None:
            self.count(Refusal.LENGTH if len(data) < wire.OVERHEAD_BYTES else Refusal.ADDRESS)
            return None
        peer = self.peers.get(int.from_bytes(data[SOURCE], "little"))
        if peer is None:
            self.count(Refusal.NODE)
            return None
        return peer if peer.received_datagram(data, now_ns) else None

    def tick(self, now_ns: int) -> None:
        """Time goes on: deadlines of what is pending."""
        while self._pending:
            oldest = next(iter(self._pending.values()))
            if oldest.deadline_ns > now_ns:
                return
            oldest.refuse(Refusal.DEADLINE)

    def give_way(self) -> bool:
        """The oldest connection that has not proved itself is refused; False where there is none."""
        for oldest in self._pending.values():
            oldest.refuse(Refusal.FULL)
            return True
        return False

    @property
    def deadline_ns(self) -> int:
        """When `tick` is due at the latest."""
        return next(iter(self._pending.values())).deadline_ns if self._pending else limits.LINK_NEVER_NS

    @property
    def pending(self) -> int:
        """Connections that have not proved themselves."""
        return len(self._pending)

    @property
    def counters(self) -> dict[str, int]:
        """Refusals by their word, and what came of the rest."""
        counts = {reason.word: self._counts[reason] for reason in Refusal}
        return counts | {"connections": self._connections, "adopted": self._adopted, "pending": len(self._pending)}

    # ---- for Pending -----------------------------------------------------------------------------------------------

    def may_try(self, address: str, now_ns: int) -> bool:
        """Whether this address has an initiation left of its LINK_INITIATIONS a second."""
        full = limits.LINK_INITIATIONS * SECOND_NS
        left, then_ns = self._initiations.pop(address, (full, now_ns))
        left = min(full, left + (now_ns - then_ns) * limits.LINK_INITIATIONS)
        allowed = left >= SECOND_NS
        self._initiations[address] = (left - SECOND_NS if allowed else left, now_ns)
        if len(self._initiations) > limits.LINK_ADDRESSES_MAX:
            self._initiations.popitem(last=False)
        return allowed

    def count(self, reason: Refusal) -> None:
        """Something was refused before it was a peer's."""
        self._counts[reason] += 1

    def tell(self, pending: Pending, reason: Refusal) -> None:
        """It was refused: the journal of access wants to know, unless it was asked itself."""
        if self._tell is not None and reason != Refusal.ADDRESS:
            self._tell(pending)

    def forget(self, pending: Pending) -> None:
        """It is pending no more."""
        if self._pending.pop(pending.serial, None) is None:
            return
        self._adopted += pending.adopted is not None
        same = self._of_address[pending.address]
        del same[pending.serial]
        if not same:
            del self._of_address[pending.address]
