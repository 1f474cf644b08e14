"""One TCP connection of the link: what is read from it, what waits for it, how much of ours may be on the way.

    peer.output ──► room ──► write ──► kernel ══════ line          what the kernel has taken, nothing overtakes any more

Of bulk never more is on the way than the line carries in its shortest round trip and BULK_QUEUE_NS: on a slow line a
snapshot would else fill every buffer on the path, and control waits behind it there, whatever connection it has.
Hard rule: what waits here is bounded: one answer of `peer.output`, and only when it is gone is the next one asked for.
"""

import errno
import fcntl
import socket
import struct
import termios

from gateway import limits

BULK_QUEUE_NS = 25_000_000  # that bulk may add to the way of control
BULK_FLOOR_BYTES = 32 << 10  # on the way at least, however slow the line looks: two frames
LOOK_NS = 5_000_000  # between two looks at what the kernel knows of the line
TCP_INFO_BYTES, RTT_AT, MIN_RTT_AT, DELIVERY_RATE_AT = 232, 68, 148, 160  # struct tcp_info, linux/tcp.h
SECOND_NS, MICROSECOND_NS = 1_000_000_000, 1_000
PASSING = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


class StreamSocket:
    """A non-blocking connection; `node` and `connection` once it is known whose it is."""

    def __init__(self, one: socket.socket, node: int = -1, connection: int = -1, connecting: bool = False):
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.node, self.connection, self.connecting = one, node, connection, connecting
        self.deadline_ns = limits.LINK_NEVER_NS  # of a call that is not answered yet
        self._unsent = memoryview(b"")
        self._allowance, self._looked_ns = limits.LINK_BULK_BYTES_FIRST, 0
        self.bytes_in = self.bytes_out = 0

    def belongs(self, node: int, connection: int, is_control: bool) -> None:
        """It is this peer's: control keeps little in the kernel."""
        self.node, self.connection = node, connection
        if is_control:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.LINK_CONTROL_SEND_BUFFER)

    @property
    def descriptor(self) -> int:
        """For epoll."""
        return self.socket.fileno()

    @property
    def waits(self) -> bool:
        """Whether the kernel has not taken everything."""
        return bool(self._unsent)

    def read(self, buffer: memoryview) -> int:
        """Bytes that are now in `buffer`; 0: nothing is there; -1: the connection is gone."""
        try:
            size = self.socket.recv_into(buffer)
        except OSError as problem:
            return 0 if problem.errno in PASSING else -1
        self.bytes_in += size
        return size or -1

    def room(self, is_bulk: bool, now_ns: int) -> int:
        """Bytes that may be handed over now."""
        if self._unsent:
            return 0
        if not is_bulk:
            return limits.LINK_CONTROL_SEND_BUFFER
        if now_ns - self._looked_ns > LOOK_NS:
            self._look(now_ns)
        return max(0, self._allowance - self._on_the_way())

    def write(self, data: bytes) -> bool:
        """Hands over what the kernel takes, the rest with the next call; False: the connection is gone."""
        if data:
            self._unsent = memoryview(data)
        while self._unsent:
            try:
                size = self.socket.send(self._unsent)
            except OSError as problem:
                return problem.errno in PASSING
            self.bytes_out += size
            self._unsent = self._unsent[size:]
        return True

    def close(self) -> None:
        """A second call does nothing."""
        self._unsent = memoryview(b"")
        self.socket.close()

    def _on_the_way(self) -> int:
        """Bytes that the other side's kernel has not confirmed."""
        return int(struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0\0\0\0"))[0])

    @property
    def round_trip_ns(self) -> int:
        """The round trip as the kernel measures and smooths it; 0: not yet."""
        told = self._told()
        return struct.unpack_from("I", told, RTT_AT)[0] * MICROSECOND_NS if len(told) >= RTT_AT + 4 else 0

    def _told(self) -> bytes:
        """What the kernel knows of the line; nothing where it is gone."""
        try:
            return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        except OSError:
            return b""

    def _look(self, now_ns: int) -> None:
        """What the line carried lately, in its shortest round trip and our share of queue."""
        self._looked_ns = now_ns
        told = self._told()
        if len(told) < DELIVERY_RATE_AT + 8:
            return
        round_trip_ns = struct.unpack_from("I", told, MIN_RTT_AT)[0] * MICROSECOND_NS
        rate = struct.unpack_from("Q", told, DELIVERY_RATE_AT)[0]
        if rate:
            carried = rate * (round_trip_ns + BULK_QUEUE_NS) // SECOND_NS
            self._allowance = min(max(carried, BULK_FLOOR_BYTES), limits.LINK_BULK_BYTES_MAX)
