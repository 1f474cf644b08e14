"""The sockets of the link: listens, calls, reads, writes and keeps time for peers that know of none.

    one turn, in this order: clock, drain, judge, send

    epoll ─┬─ UDP       drained ─► acceptor.datagram
           ├─ listener  accept ──► acceptor.connection ─► Pending ── adopted ─┐
           └─ TCP       read ────► peer.received ◄───────────────────────────┘ ─► peer.tick ─► peer.output ─► write

The time of a turn is read before anything is drained, so that what arrived while this process slept counts before silence is
judged. Hard rule: nothing here blocks but `wait`, and nothing here looks into what it carries.
"""

import errno
import select
import socket
from collections.abc import Callable, Mapping

from gateway import limits
from gateway.link.datagram_socket import DATAGRAM_COUNTERS, DatagramSocket
from gateway.link.peers.acceptor import Acceptor, Pending
from gateway.link.peers.peer import Peer
from gateway.link.stream_socket import StreamSocket

READ, WRITE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR, select.EPOLLOUT
CONNECTIONS = (0, 1)  # control, bulk: strict priority in this order
BULK = 1
BACKLOG = 4096  # a burst of strangers must not make a peer wait for its next SYN, a second later
ACCEPTS_PER_TURN = 64
HELD_SECONDS = 0.001  # bulk that waits for the line: nobody says when it has carried what is on the way
SECOND_NS = 1_000_000_000
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
Address = tuple[str, int]


class Transport:
    """Every socket of one process; `turn` does a bounded amount of work."""

    def __init__(
        self,
        peers: Mapping[int, Peer],
        acceptor: Acceptor,
        addresses: Mapping[int, Address],
        listen: Address | None,
        clock_ns: Callable[[], int],
    ):
        """`addresses`: where the peers that have one listen. Raises OSError when `listen` cannot be had."""
        self.peers, self.acceptor, self._clock_ns = peers, acceptor, clock_ns
        self._called = dict(addresses)
        self._streams: dict[tuple[int, int], StreamSocket] = {}
        self._sockets: dict[int, StreamSocket] = {}
        self._pending: dict[int, Pending] = {}
        self._writing: set[int] = set()
        self._held = False
        self._epoll = select.epoll()
        self._buffer = memoryview(bytearray(limits.LINK_READ_BYTES))
        self._listener: socket.socket | None = None
        self.counters = dict.fromkeys(("accepted", "called", *DATAGRAM_COUNTERS), 0)
        self.datagrams = DatagramSocket(addresses, self.counters)
        self.closed_bytes = [0, 0]  # of connections that are gone: in, out
        if listen is not None:
            self._listen(listen)
        self._epoll.register(self.datagrams.descriptor, READ)

    def _listen(self, listen: Address) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(listen)
            self._listener.listen(BACKLOG)
            self.datagrams.socket.bind(self._listener.getsockname())
        except OSError:
            self.close()
            raise
        self._epoll.register(self._listener.fileno(), READ)

    # ---- one turn --------------------------------------------------------------------------------------------------

    def turn(self, rest_seconds: float = 0.0) -> int:
        """Takes what is there, lets peers judge, sends. Returns how much there was to do."""
        ready = self._epoll.poll(rest_seconds)
        now_ns = self._clock_ns()
        worked = len(ready)
        ready.sort(key=lambda row: row[0] != self.datagrams.descriptor)
        for descriptor, mask in ready:
            self._on_ready(descriptor, mask, now_ns)
        if self.acceptor.deadline_ns <= now_ns:
            self.acceptor.tick(now_ns)
            self._drop_refused()
        self._held = False
        for node, peer in self.peers.items():
            if peer.deadline_ns <= now_ns:
                peer.tick(now_ns)
            worked += self._serve(node, peer, now_ns)
        return worked

    def wait(self, seconds: float, now_ns: int) -> int:
        """A turn that rests at first: until something arrives, a peer's deadline comes or `seconds` are over."""
        due_ns = min([self.acceptor.deadline_ns, *(peer.deadline_ns for peer in self.peers.values())])
        longest = HELD_SECONDS if self._held else seconds
        return self.turn(max(0.0, min(seconds, longest, (due_ns - now_ns) / SECOND_NS)))

    def close(self) -> None:
        """Closes every socket; peers are not asked."""
        for one in [*self._sockets.values()]:
            one.close()
        self._sockets.clear()
        self._streams.clear()
        self.datagrams.socket.close()
        if self._listener is not None:
            self._listener.close()
        self._epoll.close()

    def fileno(self) -> int:
        """Readable when a turn has something to do: for another loop to wait on."""
        return self._epoll.fileno()

    def port(self) -> int:
        """Where we listen, or where our datagrams come from."""
        return int(self.datagrams.socket.getsockname()[1])

    def is_connected(self, node: int, connection: int) -> bool:
        """Whether this peer has that connection."""
        stream = self._streams.get((node, connection))
        return stream is not None and not stream.connecting

    def round_trip_ns(self, node: int) -> int:
        """Of this peer's control connection, as the kernel measures it; 0 without one."""
        stream = self._streams.get((node, CONNECTIONS[0]))
        return 0 if stream is None or stream.connecting else stream.round_trip_ns

    def address_of(self, node: int, connection: int = CONNECTIONS[0]) -> str:
        """Where this connection of a peer comes from, or goes to; '' without one."""
        stream = self._streams.get((node, connection))
        try:
            return "" if stream is None else str(stream.socket.getpeername()[0])
        except OSError:
            return ""

    def transferred(self) -> tuple[int, int]:
        """Bytes in and out over TCP, of all connections there ever were."""
        streams = self._sockets.values()
        inside, outside = sum(one.bytes_in for one in streams), sum(one.bytes_out for one in streams)
        return self.closed_bytes[0] + inside, self.closed_bytes[1] + outside

    # ---- what arrives ----------------------------------------------------------------------------------------------

    def _on_ready(self, descriptor: int, mask: int, now_ns: int) -> None:
        if descriptor == self.datagrams.descriptor:
            self.datagrams.drain(self.acceptor, now_ns)
        elif self._listener is not None and descriptor == self._listener.fileno():
            self._accept(now_ns)
        elif (stream := self._sockets.get(descriptor)) is not None:
            if stream.connecting:
                self._on_called(stream, now_ns)
            elif mask & READ:
                self._read(stream, now_ns)

    def _accept(self, now_ns: int) -> None:
        assert self._listener is not None
        for _ in range(ACCEPTS_PER_TURN):
            try:
                one, address = self._listener.accept()
            except OSError as problem:
                if problem.errno not in NO_DESCRIPTORS or not self.acceptor.give_way():
                    return
                self._drop_refused()  # one that has shown nothing leaves its descriptor to the next
                continue
            self.counters["accepted"] += 1
            pending = self.acceptor.connection(address[0], now_ns)
            if pending.refused is not None:
                one.close()
                continue
            stream = StreamSocket(one)
            self._watch(stream)
            self._pending[stream.descriptor] = pending
        self._drop_refused()

    def _read(self, stream: StreamSocket, now_ns: int) -> None:
        size = stream.read(self._buffer)
        pending = self._pending.get(stream.descriptor)
        if size < 0:
            self._on_lost(stream, pending, now_ns)
        elif size and pending is not None:
            self._prove(stream, pending, bytes(self._buffer[:size]), now_ns)
        elif size:
            self.peers[stream.node].received(stream.connection, self._buffer[:size], now_ns)

    def _prove(self, stream: StreamSocket, pending: Pending, data: bytes, now_ns: int) -> None:
        """What somebody says who has not shown yet who it is."""
        descriptor = stream.descriptor
        pending.received(data, now_ns)
        if not stream.write(pending.output()) or pending.refused is not None:
            pending.closed()
            self._forget(stream)
        elif pending.adopted is not None:
            del self._pending[descriptor]
            peer, connection = pending.adopted
            self._adopt(stream, peer.settings.remote_node, connection)

    def _adopt(self, stream: StreamSocket, node: int, connection: int) -> None:
        """From now on this socket is that connection of that peer; the one before it is closed without a word."""
        if (before := self._streams.pop((node, connection), None)) is not None:
            self._forget(before)
        stream.belongs(node, connection, connection != BULK)
        self._streams[node, connection] = stream

    def _drop_refused(self) -> None:
        """Those that said too little for too long, or gave way to others."""
        for descriptor, pending in list(self._pending.items()):
            if pending.refused is not None:
                self._forget(self._sockets[descriptor])

    def _on_lost(self, stream: StreamSocket, pending: Pending | None, now_ns: int) -> None:
        self._forget(stream)
        if pending is not None:
            pending.closed()
        elif stream.node >= 0:
            self.peers[stream.node].closed(stream.connection, now_ns)

    # ---- what leaves -----------------------------------------------------------------------------------------------

    def _serve(self, node: int, peer: Peer, now_ns: int) -> int:
        worked = 0
        for connection in CONNECTIONS:
            stream = self._streams.get((node, connection))
            if stream is None:
                if peer.wants(connection, now_ns) and node in self._called:
                    self._call(node, peer, connection, now_ns)
                    worked += 1
            elif peer.wants_close(connection):
                self._forget(stream)
                peer.closed(connection, now_ns)
                worked += 1
            elif stream.connecting:
                worked += self._is_overdue(stream, peer, now_ns)
            else:
                worked += self._send(stream, peer, now_ns)
        for data in peer.datagrams(now_ns):
            self.datagrams.send(node, data)
        return worked

    def _send(self, stream: StreamSocket, peer: Peer, now_ns: int) -> int:
        if not stream.waits and not peer.has_output(stream.connection):
            return 0
        room = stream.room(stream.connection == BULK, now_ns)
        data = peer.output(stream.connection, room, now_ns) if room else b""
        self._held |= not room and not stream.waits
        before = stream.bytes_out
        if not stream.write(data):
            self._on_lost(stream, None, now_ns)
            return 1
        self._want_writable(stream)
        return int(stream.bytes_out != before)

    def _want_writable(self, stream: StreamSocket) -> None:
        """Asks to be woken when the kernel takes more, and only then."""
        if stream.waits != (stream.descriptor in self._writing):
            self._epoll.modify(stream.descriptor, READ | WRITE if stream.waits else READ)
            (self._writing.add if stream.waits else self._writing.discard)(stream.descriptor)

    # ---- calling ---------------------------------------------------------------------------------------------------

    def _call(self, node: int, peer: Peer, connection: int, now_ns: int) -> None:
        self.counters["called"] += 1
        try:
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:  # no descriptor is left: this attempt has failed, the next one follows
            peer.closed(connection, now_ns)
            return
        stream = StreamSocket(one, connecting=True)
        stream.deadline_ns = now_ns + limits.LINK_HANDSHAKE_NS
        stream.belongs(node, connection, connection != BULK)
        problem = one.connect_ex(self._called[node])
        if problem not in (0, errno.EINPROGRESS):
            stream.close()
            peer.closed(connection, now_ns)
            return
        self._streams[node, connection] = stream
        self._watch(stream, READ | WRITE)
        self._writing.add(stream.descriptor)

    def _is_overdue(self, stream: StreamSocket, peer: Peer, now_ns: int) -> bool:
        """A call that nobody answers is given up: the kernel would ask again later each time, for two minutes."""
        overdue = now_ns >= stream.deadline_ns
        if overdue:
            self._forget(stream)
            peer.closed(stream.connection, now_ns)
        return overdue

    def _on_called(self, stream: StreamSocket, now_ns: int) -> None:
        peer = self.peers[stream.node]
        if stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._forget(stream)
            peer.closed(stream.connection, now_ns)
            return
        stream.connecting = False
        self._want_writable(stream)
        peer.opened(stream.connection, now_ns)

    def _watch(self, stream: StreamSocket, mask: int = READ) -> None:
        self._sockets[stream.descriptor] = stream
        self._epoll.register(stream.descriptor, mask)

    def _forget(self, stream: StreamSocket) -> None:
        """Closes a socket that nobody is to be told of."""
        descriptor = stream.descriptor
        self._sockets.pop(descriptor, None)
        self._pending.pop(descriptor, None)
        self._writing.discard(descriptor)
        if self._streams.get((stream.node, stream.connection)) is stream:
            del self._streams[stream.node, stream.connection]
        self.closed_bytes[0] += stream.bytes_in
        self.closed_bytes[1] += stream.bytes_out
        stream.close()  # epoll forgets it with that
