"""Handshakes of one peer, in both roles: what we say of ourselves, what was accepted last. docs/protocols/link.md

    initiator   call ─► CALLING ── answered ──► OPEN
    responder   WAITING ── answer ──► ANSWERED (and no further: a frame must open)

Beside the corridor, inside a peer. Hard rule: a first message that is not newer than the last accepted one of its connection
is refused, so a recording is worth nothing.
"""

from collections.abc import Callable

from gateway.link.frames import handshake, wire
from gateway.link.frames.handshake import Entropy, Initiator, Pairing, Responder, Statement
from gateway.link.frames.protection import Unpack
from gateway.link.frames.wire import Refusal, Refused
from gateway.link.peers.lane import CALLING, Lane
from gateway.link.peers.peer_settings import PeerSettings, Secrets


class Greeting:
    """`expected` tells the next sequence of every channel."""

    def __init__(
        self,
        settings: PeerSettings,
        secrets: Secrets,
        entropy: Entropy,
        unpack: Unpack,
        expected: Callable[[], tuple[int, ...]],
    ):
        self._settings, self._secrets, self._entropy, self._unpack = settings, secrets, entropy, unpack
        self._expected = expected
        pair = (settings.node, settings.private_key, settings.remote_node, settings.remote_public_key)
        self._pairing = Pairing(*pair)
        self._accepted_ns = [0, 0]  # time in the newest first message, by connection

    def _statement(self, known_boot_id: bytes, fence: int, session_id: bytes) -> Statement:
        known = known_boot_id or handshake.NOTHING_KNOWN
        settings = self._settings
        return Statement(settings.boot_id, fence, known, self._expected(), session_id, settings.layouts)

    def call(self, connection: int, known: bytes, fence: int, session_id: bytes, now_ns: int) -> Lane | Refused:
        """A lane that says the first message; `session_id` b"" makes one."""
        session_id = session_id or self._entropy(wire.ID_BYTES)
        lane = Lane(connection, CALLING, now_ns, self._settings)
        lane.initiator = Initiator(
            self._pairing, connection, self._statement(known, fence, session_id), self._secrets.hourly
        )
        first = lane.initiator.first(now_ns, self._entropy)
        if isinstance(first, Refused):
            return first
        lane.out = first
        return lane

    def answered(self, lane: Lane, data: bytes, fence_seen: int, now_ns: int) -> Refused | None:
        """The answer to what a lane of ours said first: it has keys."""
        assert lane.initiator is not None, "only who called is answered"
        found = lane.initiator.second(data)
        if isinstance(found, Refused):
            return found
        lane.establish(found, self._secrets, self._unpack, fence_seen, now_ns)
        return None

    def answer(
        self, lane: Lane, data: bytes, known: bytes, fence: int, fence_seen: int, session_id: bytes, now_ns: int
    ) -> Refused | None:
        """What the other side says first: the lane has keys and an answer. On bulk it must speak of `session_id`."""
        statement = self._statement(known, fence, handshake.NOTHING_KNOWN)
        accepted_ns = self._accepted_ns[lane.connection]
        responder = Responder(self._pairing, lane.connection, statement, self._secrets.hourly, accepted_ns)
        found = responder.first(data, now_ns, self._entropy)
        if isinstance(found, Refused):
            return found
        answer, established = found
        if lane.connection == wire.BULK and established.session_id != session_id:
            return Refused(Refusal.SESSION)
        self._accepted_ns[lane.connection] = established.remote_time_ns
        lane.establish(established, self._secrets, self._unpack, fence_seen, now_ns)
        lane.out = answer
        return None
