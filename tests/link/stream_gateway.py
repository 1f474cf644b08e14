"""A source of streams on a real socket, in a thread: transport, peer, stream server and a naive core.

Hard rule: one thread drives everything; a test reaches in by `do`, which runs between two turns.
"""

import os
import threading
from collections import deque

from gateway import clock
from gateway.link.client_session import ClientSettings
from gateway.link.keys import static_key
from gateway.link.peers.acceptor import Acceptor
from gateway.link.peers.channel import CHANNELS
from gateway.link.peers.event import Down, Up
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings
from gateway.link.streams.record_layouts import layouts
from gateway.link.streams.stream_server import StreamServer
from gateway.link.transport import Transport
from gateway.link.warming import warm
from gateway.native import address, ffi
from tests.link.stream_access import Desk
from tests.link.stream_world import World

SOURCE, CLIENT = 7, 9
SECONDS = 30.0


class OneSecret:
    """The same secret for every hour."""

    def hourly(self, hour):
        return bytes(range(32))


def private(node):
    return bytes([node]) * 32


class Gateway:
    """The source. `core` outlives restarts of the server; `rate` is events a turn."""

    def __init__(
        self, core, desk=None, port=0, bytes_max=1 << 22, events=2, scanned=8, rows_of_core=True, channels=CHANNELS, build=0
    ):
        """`build` is added to the number of our layouts."""
        self.channels = channels
        self.core, self.desk = core, desk or Desk()
        warm()
        self.events, self.scanned = events, scanned
        self.calibration = ffi.new("struct clock_calibration *")
        clock.calibrate(address(self.calibration))
        self.peer = Peer(
            PeerSettings(
                node=SOURCE,
                remote_node=CLIENT,
                initiator=False,
                boot_id=os.urandom(16),
                private_key=private(SOURCE),
                remote_public_key=static_key.public_of(private(CLIENT)),
                layouts=layouts() + build,
                channels=channels,
            ),
            OneSecret(),
            os.urandom,
        )
        acceptor = Acceptor({CLIENT: self.peer}, lambda host: None)
        self.transport = Transport({CLIENT: self.peer}, acceptor, {}, ("127.0.0.1", port), self.now_ns)
        self.port = self.transport.port()
        self.server = StreamServer(core, self.desk, bytes_max=bytes_max)
        self.server.retained.next_sequence = core.sequence + 1
        self.server.attach(self.peer, CLIENT, "127.0.0.1")
        self.ups, self.downs, self.orders = 0, 0, deque()
        self._end = threading.Event()
        self.problem = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now_ns(self):
        return clock.now_ns(address(self.calibration))

    def do(self, order):
        """Runs it between two turns; its answer."""
        done, answer = threading.Event(), []
        self.orders.append(lambda: (answer.append(order()), done.set()))
        assert done.wait(SECONDS), f"the source has stopped: {self.problem!r}"
        return answer[0]

    @staticmethod
    def client_settings(address):
        """Settings of a client of a source in another process."""
        desk = Desk()
        return ClientSettings(
            node=CLIENT,
            remote_node=SOURCE,
            address=address,
            private_key=private(CLIENT),
            remote_public_key=static_key.public_of(private(SOURCE)),
            secrets=OneSecret(),
            tokens=lambda stream, audience, *words: desk.tokens(stream, words[2], words[0], words[3], words[1]),
        )

    def settings(self, **changes):
        words = {
            "node": CLIENT,
            "remote_node": SOURCE,
            "address": ("127.0.0.1", self.port),
            "private_key": private(CLIENT),
            "remote_public_key": static_key.public_of(private(SOURCE)),
            "secrets": OneSecret(),
            "channels": self.channels,
            "tokens": lambda stream, audience, binding, now_ns, method, payload: self.desk.tokens(
                stream, method, binding, payload, now_ns
            ),
        }
        return ClientSettings(**{**words, **changes})

    def cut(self, connections=(0, 1)):
        """Closes the sockets under the session."""

        def close():
            for stream in list(self.transport._sockets.values()):
                if stream.connection in connections:
                    self.transport._on_lost(stream, None, self.now_ns())

        self.do(close)

    def stop(self):
        """Kills the process: no goodbye."""
        if self._end.is_set():
            return
        self._end.set()
        self._thread.join(SECONDS)
        self.transport.close()
        if self.problem is not None:
            raise self.problem

    def _run(self):
        try:
            while not self._end.is_set():
                self._turn()
        except BaseException as problem:
            self.problem = problem

    def _turn(self):
        self.transport.wait(0.001, self.now_ns())
        while self.orders:
            self.orders.popleft()()
        now_ns = self.now_ns()
        for event in self.peer.events():
            self.ups += isinstance(event, Up)
            self.downs += isinstance(event, Down)
            self.server.on_event(CLIENT, event, now_ns)
        self.core.step(self.events, self.scanned)
        rows = self.core.take()
        if len(rows):
            self.server.publish(rows, now_ns)
        self.server.tick(now_ns)


__all__ = ["CLIENT", "SOURCE", "Gateway", "World"]
