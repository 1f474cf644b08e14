"""When the initiator connects: control first, bulk behind it, each with its own waits. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: a responder never connects, and bulk never before the other side has said
something on control, so that it knows the session that bulk belongs to.
"""

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.handshake import Entropy
from gateway.link.peers.back_off import BackOff
from gateway.link.peers.lane import Lane
from gateway.link.peers.peer_settings import PeerSettings


class Dialling:
    """Waits by connection; `lanes` are the session's."""

    def __init__(self, settings: PeerSettings, entropy: Entropy, lanes: list[Lane | None]):
        self._initiates = settings.initiator
        self._lanes = lanes
        self._waits = [BackOff(settings.retry_first_ns, settings.retry_last_ns, entropy) for _ in range(2)]

    def failed(self, connection: int, now_ns: int) -> None:
        """An attempt failed, or its connection was lost."""
        if self._initiates:
            self._waits[connection].failed(now_ns)

    def succeeded(self, connection: int, now_ns: int) -> None:
        """The connection stands."""
        self._waits[connection].succeeded(now_ns)

    def pause(self, until_ns: int) -> None:
        """The other side said GOAWAY."""
        for wait in self._waits:
            wait.pause(until_ns)

    def wants(self, connection: int, now_ns: int) -> bool:
        """Whether a connection that is not there should be made now."""
        if not self._initiates or now_ns < self._waits[connection].retry_ns:
            return False
        control = self._lanes[wire.CONTROL]
        return connection == wire.CONTROL or (control is not None and control.heard_any)

    def due_ns(self, connection: int, now_ns: int) -> int:
        """When `wants` may become true; never if that waits for something else than time."""
        retry_ns = self._waits[connection].retry_ns
        return retry_ns if self._initiates and retry_ns > now_ns else limits.LINK_NEVER_NS
