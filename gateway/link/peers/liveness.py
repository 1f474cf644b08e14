"""Whether the other side lives: heartbeats out every 10 ms, suspicion after 50 ms without one. docs/protocols/link.md

         first valid heartbeat                 50 ms of silence
    SUSPECT ──────────────────► TRUSTED ───────────────────────► SUSPECT …

Beside the corridor, inside a peer. Hard rule: silence is judged in `tick`, after everything that had arrived was handed
over, and the time in which this process itself did not run is not the other's silence.
"""

from gateway import limits


class Liveness:
    """The clockwork of both directions; sealing and opening is the peer's."""

    def __init__(self, heartbeat_ns: int = limits.LINK_HEARTBEAT_NS, suspect_ns: int = limits.LINK_SUSPECT_NS):
        self._heartbeat_ns, self._suspect_ns = heartbeat_ns, suspect_ns
        self.suspected = True
        self.running = False
        self.due_ns = limits.LINK_NEVER_NS  # of our next heartbeat
        self.stalled_ns = 0  # of our own since the last one heard
        self._heard_ns = self._ticked_ns = 0

    def start(self, now_ns: int) -> None:
        """There are keys: heartbeats go out from now on."""
        if not self.running:
            self._heard_ns = self._ticked_ns = now_ns
            self.stalled_ns = 0
        self.running = True
        self.due_ns = now_ns

    def stop(self) -> None:
        """No heartbeats go out any more; what was heard is still judged."""
        self.due_ns = limits.LINK_NEVER_NS

    def heard(self, now_ns: int) -> bool:
        """A valid heartbeat. Whether the other side was suspected until now."""
        self._heard_ns = max(now_ns, self._heard_ns)
        self.stalled_ns = 0
        was, self.suspected = self.suspected, False
        return was

    def tick(self, now_ns: int) -> int:
        """The silence in nanoseconds at the moment it becomes suspicious, else 0."""
        if not self.running:
            return 0
        self.stalled_ns += max(now_ns - self._ticked_ns - self._heartbeat_ns, 0)
        self._ticked_ns = max(now_ns, self._ticked_ns)
        silence_ns = now_ns - self._heard_ns - self.stalled_ns
        if self.suspected or silence_ns < self._suspect_ns:
            return 0
        self.suspected = True
        return silence_ns

    def due(self, now_ns: int) -> bool:
        """Whether a heartbeat is to leave now; the next is due one interval on, however late this one is."""
        if now_ns < self.due_ns:
            return False
        self.due_ns = max(self.due_ns + self._heartbeat_ns, now_ns + self._heartbeat_ns // 2)
        return True

    @property
    def deadline_ns(self) -> int:
        """When `tick` or `due` has something to say at the latest."""
        if self.suspected or not self.running:
            return self.due_ns
        return min(self.due_ns, self._ticked_ns + self._heartbeat_ns)
