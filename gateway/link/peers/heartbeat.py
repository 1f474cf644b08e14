"""Heartbeats over UDP, sealed and opened under the keys of the control connection's handshake. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: no datagram ends anything; what does not open is counted and forgotten.

Keys outlive the session: while a TCP connection is made anew, heartbeats go on under the old ones, so that a lost
connection is not taken for a lost node. The first valid datagram of the new keys ends the old.
"""

from gateway import limits
from gateway.link.frames import bodies, handshake, wire
from gateway.link.frames.bodies import Heartbeat
from gateway.link.frames.datagram import DatagramOpener, DatagramSealer
from gateway.link.frames.handshake import Established
from gateway.link.frames.protection import Unpack
from gateway.link.frames.wire import Message, Refusal, Refused, Stale, Type
from gateway.link.peers.liveness import Liveness
from gateway.link.peers.peer_settings import PeerSettings, Secrets


class Heartbeats:
    """Both directions of one peer."""

    def __init__(self, settings: PeerSettings, secrets: Secrets, unpack: Unpack):
        self._settings, self._secrets, self._unpack = settings, secrets, unpack
        self.liveness = Liveness(settings.heartbeat_ns, settings.suspect_ns)
        self.sent = self.heard = self.unknown = 0
        self.refusals = [0] * len(Refusal)  # of datagrams that were not valid, as the keys of now see them
        self.fence = 0  # the highest that a valid datagram has said
        self._beat = self._echo = 0
        self._sealer: DatagramSealer | None = None
        self._openers: list[DatagramOpener] = []  # the current one first
        self._linger_ns = limits.LINK_NEVER_NS

    def begin(self, established: Established, now_ns: int) -> None:
        """A session stands: its keys from now on."""
        settings = self._settings
        ours, theirs = wire.TO_RESPONDER, wire.TO_INITIATOR
        if not settings.initiator:
            ours, theirs = theirs, ours
        key, hour, secret = established.session_key, established.hour, established.secret
        self._sealer = DatagramSealer(settings.node, ours, key, hour, secret)
        opener = DatagramOpener(settings.remote_node, theirs, key, hour, secret, self._secrets.hourly, self._unpack)
        self._openers = [opener, *self._openers[:1]]
        self._linger_ns = limits.LINK_NEVER_NS
        self.liveness.start(now_ns)

    def end(self, now_ns: int) -> None:
        """The session is lost; heartbeats go on for a while."""
        self._linger_ns = now_ns + limits.LINK_LINGER_NS

    def received(self, data: bytes, now_ns: int) -> bool | None:
        """One datagram: whether it ends a suspicion; None when it is not valid."""
        why = Refusal.SESSION  # there were never keys
        for index, opener in enumerate(self._openers):
            found = opener.open(data)
            if not isinstance(found, Message | Stale):
                why = why if index else found.reason if isinstance(found, Refused) else Refusal.OUTER_CRC
                continue
            if index == 0:
                del self._openers[1:]
            self.heard += 1
            self.fence = max(self.fence, found.fence)
            if isinstance(found, Message) and (beat := bodies.read_heartbeat(found.body)) is not None:
                self._echo = max(self._echo, beat.beat)
            return self.liveness.heard(now_ns)
        self.unknown += 1
        self.refusals[why] += 1
        return None

    def due(self, fence: int, now_ns: int) -> list[bytes]:
        """The datagrams that are to leave now; none under a key that is worn and has no successor."""
        if self._sealer is None or not self.liveness.due(now_ns):
            return []
        if now_ns >= self._linger_ns:
            self.liveness.stop()
            return []
        if (hour := handshake.hour_of(now_ns)) > self._sealer.hour:
            secret = self._secrets.hourly(hour)
            if secret is not None:
                self._sealer.rekey(hour, secret)
        if self._sealer.worn:
            return []
        self._beat += 1
        self.sent += 1
        body = bodies.pack_heartbeat(Heartbeat(self._beat, self._echo, now_ns))
        return [self._sealer.seal(Message(Type.HEARTBEAT, 0, 0, fence, 0, now_ns, 0, 0, len(body), body))]

    def raise_fence(self, fence: int) -> None:
        """Datagrams below this are stale; their sender lives all the same."""
        for opener in self._openers:
            opener.fence = max(opener.fence, fence)
