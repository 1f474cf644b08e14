"""The native half of the order session ⑧: native/io.c over a TCP socket, with the session's rings.

    core_session, control_session ─► io.c: latch, epoch, age ─► native/stream.c ─► socket
    session_core ◄── io.c: stamps ◄── inbox ◄── ops/session.py

Hard rule: an order meets the socket in native/io.c and nowhere else, so what stops it there stops it on every carriage.
"""

import socket

from gateway import layout, limits
from gateway.instance import Instance
from gateway.native import ffi, lib

ROWS = lib.STREAM_INBOX_ROWS
RESET = b"\1\0\0\0\0\0\0\0"  # struct linger { 1, 0 }: close discards what was not sent


class SessionWire:
    """struct io over struct stream; nothing of the rings of orders is read unless `open_orders` was said."""

    def __init__(self, instance: Instance, order_age_max_ns: int):
        clock = ffi.cast("struct clock_calibration *", instance.clock_address)
        self.stream = ffi.new("struct stream *")
        self.stream.held_max = limits.SESSION_HELD_BYTES_MAX
        self.io = ffi.new("struct io *")
        lib.stream_port(self.io.ports, self.stream, clock)
        self.io.port_count = 1
        self.io.frames = instance.writer("session_core")[0]
        for index, ring in enumerate(("core_session", "control_session")):
            self.io.orders[index] = instance.reader(ring)[0]
        self.io.control = ffi.cast("struct control_block *", instance.address("control"))
        self.io.counters = ffi.cast("struct counters *", instance.address("session_counters"))
        self.io.order_age_max_ns = order_age_max_ns
        self.io.burst = lib.PORT_BURST_MAX
        self._counters = instance.regions["session_counters"].view("counters")[0]["io"]
        self._socket: socket.socket | None = None

    def connect(self, connection: socket.socket) -> None:
        """A connected socket: the session's own packets may leave."""
        self._socket = connection
        self.stream.socket, self.stream.problem, self.stream.rest = connection.fileno(), 0, 0

    def open_orders(self) -> None:
        """Orders and cancels may leave."""
        self.io.order_ring_count = 2

    def close(self, discard: bool = False) -> None:
        """No connection any more; `discard`: what our kernel has not sent must never arrive."""
        self.io.order_ring_count = 0
        self.stream.socket, self.stream.problem, self.stream.rest = -1, 0, 0
        if self._socket is not None:
            if discard:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._socket.close()
            self._socket = None

    @property
    def room(self) -> int:
        """Rows of the inbox that are free."""
        return int(ROWS - self.stream.inbox_count)

    def put(self, flags: int, data: bytes) -> None:
        """One record for core; there must be room, and it must fit a row."""
        row = self.stream.inbox[self.stream.inbox_count]
        row.size, row.flags = len(data), flags
        ffi.memmove(row.bytes, data, len(data))
        self.stream.inbox_count += 1

    def send(self, data: bytes) -> bool:
        """One packet of the session's own; False: not now, try again."""
        return not data or bool(lib.stream_send(self.stream, data, len(data)))

    def turn(self) -> int:
        """One turn of io.c: the inbox to core, orders and cancels to the socket. Returns how much there was."""
        self.io.transmit_since = 0  # a cancel waits for as long as the session exists: it is never given up
        return int(lib.io_step(self.io))

    @property
    def held(self) -> int:
        """Bytes our kernel holds and has not sent."""
        return int(lib.stream_held(self.stream))

    @property
    def bytes_sent(self) -> int:
        """Bytes the kernel has taken since start."""
        return int(self.stream.bytes_sent)

    @property
    def failed(self) -> bool:
        """Whether the kernel refused a send for good."""
        return bool(self.stream.problem)

    @property
    def reference_transmitted(self) -> int:
        """Highest reference of a new order that was handed to any connection of this instance."""
        return int(self._counters["reference_transmitted"])


def news(connection: int, next_reference: int, reference_transmitted: int) -> bytes:
    """A struct session_news, as core reads it."""
    row = ffi.new("struct session_news *")
    row.connection, row.next_reference = connection, next_reference
    row.reference_transmitted = reference_transmitted
    return bytes(ffi.buffer(row, layout.size("session_news")))
