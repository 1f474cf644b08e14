"""What both clients of the link stand on: one peer, its sockets, its reader; no thread and no loop of its own.

    ClientSession ── turn ──► Transport ─► Peer ─► StreamReader ─► items         client.py: a thread; async_client.py: a loop

Hard rule: whoever drives it calls `turn` from one thread alone; items are credited by `taken` from that thread as well.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from gateway import clock
from gateway.errors import GatewayError, LinkError
from gateway.link.frames import wire
from gateway.link.peers.acceptor import Acceptor
from gateway.link.peers.channel import CHANNELS, ChannelSettings
from gateway.link.peers.event import Alarm, Down, Event, Parted
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings, Secrets
from gateway.link.rights.tokens import Method
from gateway.link.streams.cursor import Cursor
from gateway.link.streams.record_layouts import layouts
from gateway.link.streams.stream_reader import Item, Notice, StreamReader
from gateway.link.streams.stream_request import STREAMS
from gateway.link.transport import Transport
from gateway.link.warming import warm
from gateway.native import address, ffi

BOOT_BYTES = 16
FINAL = frozenset(("ROLE", "PRINCIPAL", "NODE", "SCOPE", "STREAM", "ADDRESS", "GEOFENCE", "JOINED", "REQUEST"))
MENDS = {
    "ROLE": "ask for a role that reads it in the signed roles file",
    "PRINCIPAL": "the roles file does not know whom the token names",
    "NODE": "this principal may not come through this node",
    "ADDRESS": "the addresses file does not allow where you call from",
    "GEOFENCE": "the addresses file does not allow where you call from",
    "JOINED": "market data that is joined brings its own snapshots",
}
Tokens = Callable[..., bytes]  # as TokenProvider.token: stream, audience, binding, now_ns, method, payload


@dataclass(frozen=True)
class ClientSettings:
    """Who we are, whom we call and with what keys."""

    node: int
    remote_node: int
    address: tuple[str, int]
    private_key: bytes
    remote_public_key: bytes
    secrets: Secrets  # a Keyring
    tokens: Tokens  # TokenSource(...).token
    channels: tuple[ChannelSettings, ...] = CHANNELS  # the source's own table


class ClientSession:
    """One client's end of the link."""

    def __init__(self, settings: ClientSettings):
        warm()
        self.settings = settings
        self._calibration = ffi.new("struct clock_calibration *")
        clock.calibrate(address(self._calibration))
        remote = settings.remote_node
        peer = PeerSettings(
            node=settings.node,
            remote_node=remote,
            initiator=True,
            boot_id=os.urandom(BOOT_BYTES),
            private_key=settings.private_key,
            remote_public_key=settings.remote_public_key,
            layouts=layouts(),
            channels=settings.channels,
        )
        self.peer = Peer(peer, settings.secrets, os.urandom)
        self.reader = StreamReader(self.peer, self._token)
        acceptor = Acceptor({remote: self.peer}, lambda host: None)
        self.transport = Transport({remote: self.peer}, acceptor, {remote: settings.address}, None, self.now_ns)
        self.reason = ""  # why the last session or connection ended
        self.sessions_lost = self.alarms = 0

    def now_ns(self) -> int:
        """Unix time."""
        return clock.now_ns(address(self._calibration))

    def want(self, stream: str, cursor: Cursor | None, join: bool) -> None:
        """Reads a stream. Raises LinkError for one there is not."""
        if stream not in STREAMS:
            raise LinkError(f"{stream!r} is no stream; use one of {', '.join(STREAMS)}")
        self.reader.want(stream, cursor, join)

    def turn(self, rest_seconds: float = 0.0) -> tuple[list[Item], list[Notice]]:
        """Waits for at most so long, does what is to be done; items in order, and what happened to streams."""
        if rest_seconds:
            self.transport.wait(rest_seconds, self.now_ns())
        else:
            self.transport.turn()
        items: list[Item] = []
        now_ns = self.now_ns()
        for event in self.peer.events():
            self._note(event)
            items += self.reader.on_event(event, now_ns)
        self.reader.tick(now_ns)
        notices, self.reader.notices = self.reader.notices, []
        return items, notices

    def leave(self, seconds: float = 1.0) -> None:
        """Says goodbye, as long as it takes and no longer; closes the sockets."""
        end_ns = self.now_ns() + int(seconds * 1e9)
        self.peer.leave(self.now_ns())
        while self.peer.state == "up" and self.now_ns() < end_ns:
            self.transport.wait(0.01, self.now_ns())
        self.transport.close()

    @property
    def is_up(self) -> bool:
        """Whether a session stands."""
        return self.peer.state == "up"

    def unreachable(self, seconds: float) -> LinkError:
        """Nobody answered for so long."""
        host, port = self.settings.address
        why = f": {self.reason}" if self.reason else ""
        where = f"node {self.settings.remote_node} at {host}:{port}"
        mend = wire.MENDS.get(self.reason, "check address, keys and the key service")
        return LinkError(f"no session with {where} within {seconds:g} s{why}; {mend}")

    def _note(self, event: Event) -> None:
        if isinstance(event, Parted | Down):
            self.reason = event.reason
            self.sessions_lost += isinstance(event, Down)
        elif isinstance(event, Alarm):
            self.alarms += 1
            self.reason = event.reason.lower()

    def _token(self, stream: str, method: Method, binding: bytes, payload: bytes, now_ns: int) -> bytes:
        try:
            return self.settings.tokens(stream, self.settings.remote_node, binding, now_ns, method, payload)
        except GatewayError:
            raise
        except Exception as problem:  # the application's own provider: its fault is one line, and is tried again
            raise LinkError(f"the token provider failed: {type(problem).__name__}: {problem}") from problem


def denial(notice: Notice) -> LinkError | None:
    """The error of a notice that time does not mend, else None."""
    if notice.what != "denied" or notice.reason not in FINAL:
        return None
    mend = MENDS.get(notice.reason, "see docs/protocols/link-streams.md")
    return LinkError(f"{notice.stream} was denied: {notice.reason}; {mend}")
