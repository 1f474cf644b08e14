"""The bytes of one direction of a TCP connection, from recorded segments in the order they were recorded.

Beside the corridor, for tools. Hard rule: bytes are handed on once and in order; what was never recorded is a reported
gap, not a guess.
"""

SEQUENCE_SPACE = 1 << 32
HELD_SEGMENTS_MAX = 64  # waiting for an earlier one; more than that and it is taken for lost


class Stream:
    """One direction of a connection. A recording may begin in the middle: the first segment seen is the start."""

    def __init__(self) -> None:
        self.next: int | None = None  # sequence number of the next byte
        self._held: dict[int, bytes] = {}

    def accept(self, sequence: int, begins: bool, payload: bytes) -> tuple[bytes, bool]:
        """Takes one segment in; returns (bytes that follow on, whether some before them were lost)."""
        if begins:
            self.next = (sequence + 1) % SEQUENCE_SPACE
            self._held.clear()
            return payload, False
        if self.next is None:
            self.next = sequence
        if payload:
            self._held[sequence] = payload
        ready = self._take()
        lost = False
        if not ready and len(self._held) > HELD_SEGMENTS_MAX:
            self.next = min(self._held, key=self._ahead)
            ready, lost = self._take(), True
        return ready, lost

    def finish(self) -> bool:
        """Whether segments still wait for one that never came."""
        return bool(self._held)

    def _ahead(self, sequence: int) -> int:
        """How far `sequence` is ahead of the next byte; negative for what was seen already (RFC 9293 section 3.4)."""
        assert self.next is not None
        distance = (sequence - self.next) % SEQUENCE_SPACE
        return distance - SEQUENCE_SPACE if distance >= SEQUENCE_SPACE // 2 else distance

    def _take(self) -> bytes:
        """Every held byte that follows on; repeated ones are dropped."""
        assert self.next is not None
        ready = b""
        for sequence in sorted(self._held, key=self._ahead):
            ahead = self._ahead(sequence)
            if ahead > 0:
                break
            fresh = self._held.pop(sequence)[-ahead:] if ahead else self._held.pop(sequence)
            ready += fresh
            self.next = (self.next + len(fresh)) % SEQUENCE_SPACE
        return ready
