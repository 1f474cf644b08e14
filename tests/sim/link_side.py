"""A gateway of the link simulation: its peer, the sockets it believes in, and an application that sends and checks.

    application ─ send ─► Peer ─ output ─► Flow ═══ way ═══► the other side
                ◄ events ─     ◄ received ─

It stands where the transport stands in a real process, and does what that does: everything that has arrived is handed
over before the peer is told the time. Hard rule: it knows the peer by its public calls alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.link.peers.acceptor import Acceptor, Pending
from gateway.link.peers.event import Alarm, Delivered, Restarted, Up, Writable
from gateway.link.peers.peer import Peer
from tests.sim.link_network import MILLISECOND, SECOND, Flow

if TYPE_CHECKING:
    from tests.sim.link_world import World

CONNECTIONS = (0, 1)


@dataclass
class Socket:
    """One end of a TCP connection. `said_gone`: its owner was told that it is over, or closed it."""

    out: Flow
    pending: Pending | None = None
    number: int = -1
    gone: bool = False


@dataclass
class Application:
    """What a gateway sends and what it was given."""

    unsent: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)  # channel -> (key, body) in order
    delivered: list[tuple[int, int, bytes]] = field(default_factory=list)  # channel, sequence, body
    restarts: int = 0
    ups: int = 0
    alarms: list[str] = field(default_factory=list)
    unread: list[tuple[int, int]] = field(default_factory=list)  # channel, bytes not yet consumed


class Side:
    """One gateway: the dialling one has no acceptor."""

    def __init__(self, world: "World", name: str, make_peer: Callable[[], Peer], listens: bool):
        self.world, self.name, self.make_peer, self.listens = world, name, make_peer, listens
        self.asleep_until_ns = 0
        self.lives = 0
        self.application = Application()
        self.sent: list[tuple[int, int, bytes]] = []  # life, channel, body: whatever the application handed over
        self._inbox: list[tuple[str, Socket | None, bytes]] = []
        self._wake_ns = 0
        self.begin()

    def begin(self) -> None:
        """The process starts, or starts again: nothing of its memory is left."""
        self.lives += 1
        self.peer = self.make_peer()
        self.acceptor = Acceptor({self.peer.settings.remote_node: self.peer}, lambda address: None) if self.listens else None
        self.sockets: dict[int, Socket] = {}
        self.pending: list[Socket] = []

    def die(self) -> None:
        """The kernel closes what the process had open."""
        for socket in [*self.sockets.values(), *self.pending]:
            self._shut(socket)
        self._inbox = []

    # ---- what the network brings -----------------------------------------------------------------------------------

    def bring(self, socket: Socket | None, data: bytes) -> None:
        """TCP bytes (b"": the other end has closed) or, without a socket, a datagram. A process that sleeps reads later."""
        self._inbox.append(("tcp" if socket else "udp", socket, data))
        self.work()

    def connected(self, socket: Socket, connection: int) -> None:
        """A connection that was dialled stands."""
        socket.number = connection
        self.sockets[connection] = socket
        self.peer.opened(connection, self.world.now_ns)
        self.work()

    def accepted(self, socket: Socket) -> None:
        """Somebody has connected to us."""
        assert self.acceptor is not None
        socket.pending = self.acceptor.connection("10.0.0.1", self.world.now_ns)
        self.pending.append(socket)
        self.work()

    # ---- one turn --------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Reads what has come, tells the time, lets the application work, writes."""
        now_ns = self.world.now_ns
        if now_ns < self.asleep_until_ns:
            self._wake(self.asleep_until_ns)
            return
        inbox, self._inbox = self._inbox, []
        for kind, socket, data in inbox:
            if kind == "udp":
                self._read_datagram(data, now_ns)
            elif socket is not None and not socket.gone:
                self._read(socket, data, now_ns)
        self.peer.tick(now_ns)
        if self.acceptor is not None:
            self.acceptor.tick(now_ns)
        self._serve(now_ns)
        self._write(now_ns)
        self._serve(now_ns)
        self.world.look_at_bounds(self)
        self._wake(self._deadline_ns())

    def _deadline_ns(self) -> int:
        deadlines = [self.peer.deadline_ns] + ([self.acceptor.deadline_ns] if self.acceptor is not None else [])
        return min([time_ns for time_ns in deadlines if time_ns > 0], default=self.world.now_ns + 10 * MILLISECOND)

    def _wake(self, time_ns: int) -> None:
        time_ns = max(time_ns, self.world.now_ns + MILLISECOND // 10)
        if not self.world.now_ns < self._wake_ns <= time_ns:
            self._wake_ns = time_ns
            self.world.clock.at(time_ns, self._awake, time_ns)

    def _awake(self, time_ns: int) -> None:
        if self._wake_ns == time_ns:
            self._wake_ns = 0
            self.work()

    def _read_datagram(self, data: bytes, now_ns: int) -> None:
        if self.acceptor is not None:
            self.acceptor.datagram(data, "10.0.0.1", now_ns)
        else:
            self.peer.received_datagram(data, now_ns)

    def _read(self, socket: Socket, data: bytes, now_ns: int) -> None:
        if socket.pending is not None:
            self._read_pending(socket, socket.pending, data, now_ns)
        elif self.sockets.get(socket.number) is not socket:
            return
        elif data:
            self.peer.received(socket.number, data, now_ns)
        else:
            self._gone(socket, now_ns)

    def _read_pending(self, socket: Socket, pending: Pending, data: bytes, now_ns: int) -> None:
        if data:
            pending.received(data, now_ns)
        else:
            pending.closed()
            self._shut(socket)
        self._settle(socket, pending)

    def _settle(self, socket: Socket, pending: Pending) -> None:
        if pending.adopted is not None:
            _, number = pending.adopted
            if (old := self.sockets.get(number)) is not None:
                self._shut(old)
            socket.pending, socket.number = None, number
            self.sockets[number] = socket
            self.pending.remove(socket)
        elif pending.refused is not None and not socket.gone:
            self.world.refusals[pending.refused] += 1
            self._shut(socket)
        if socket.gone and socket in self.pending:
            self.pending.remove(socket)

    def _write(self, now_ns: int) -> None:
        for socket in [*self.pending]:
            if socket.pending is not None:
                socket.out.write(socket.pending.output())
                self._settle(socket, socket.pending)
        for number, socket in [*self.sockets.items()]:
            while socket.out.room and (data := self.peer.output(number, socket.out.room, now_ns)):
                socket.out.write(data)
            if self.peer.wants_close(number):
                self._gone(socket, now_ns)
        for data in self.peer.datagrams(now_ns):
            self.world.way_from(self).send(data)
        if not self.listens:
            for connection in CONNECTIONS:
                if self.peer.wants(connection, now_ns) and connection not in self.world.dialling:
                    self.world.dial(connection)

    def _gone(self, socket: Socket, now_ns: int) -> None:
        """The connection is over, whoever ended it."""
        self._shut(socket)
        if self.sockets.get(socket.number) is socket:
            del self.sockets[socket.number]
            self.peer.closed(socket.number, now_ns)

    def _shut(self, socket: Socket) -> None:
        if not socket.gone:
            socket.gone = True
            socket.out.finish()

    # ---- the application -------------------------------------------------------------------------------------------

    def hand(self, channel: int, key: int, body: bytes) -> None:
        """The application wants this sent; what finds no room waits."""
        self.application.unsent.setdefault(channel, []).append((key, body))
        self._send(channel)
        self.work()

    def _send(self, channel: int) -> None:
        waiting = self.application.unsent.get(channel, [])
        while waiting:
            key, body = waiting[0]
            if not self.peer.send(channel, body, now_ns=self.world.now_ns, key=key):
                self.world.counts["held_up"] += 1
                return
            self.sent.append((self.lives, channel, body))
            waiting.pop(0)

    def _serve(self, now_ns: int) -> None:
        application = self.application
        for event in self.peer.events():
            match event:
                case Delivered(channel, message):
                    self.world.take(self, channel, message)
                    application.unread.append((channel, len(message.body)))
                    self.world.clock.at(now_ns + self.world.reading_ns(self), self._consume, self.lives)
                case Up():
                    application.ups += 1
                    self.world.counts["ups"] += 1
                    for channel in sorted(application.unsent):
                        self._send(channel)
                case Restarted():
                    application.restarts += 1
                    self.world.met_another(self)
                case Writable(channel):
                    self._send(channel)
                case Alarm(reason, _):
                    application.alarms.append(reason)

    def _consume(self, life: int) -> None:
        if life == self.lives and self.application.unread:
            channel, size = self.application.unread.pop(0)
            if self.peer.settings.channels[channel].manual_credit:
                self.peer.consumed(channel, size)
                self.work()


def seconds(count: float) -> int:
    """In nanoseconds."""
    return int(count * SECOND)
