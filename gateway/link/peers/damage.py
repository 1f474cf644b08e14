"""When line damage ends a session: eight damaged frames in ten seconds, and within 160 frames. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: one frame in a hundred may be damaged for ever and is answered in place; a
line that damages one in twenty is left.
"""

from collections import deque

from gateway import limits


class DamageRule:
    """Counts damaged frames of one session."""

    def __init__(self) -> None:
        self._frames = 0
        self._last: deque[tuple[int, int]] = deque(maxlen=limits.LINK_DAMAGE_FAILURES)

    def whole(self) -> None:
        """A frame came whole."""
        self._frames += 1

    def damaged(self, now_ns: int) -> bool:
        """A frame came damaged. Whether the session ends."""
        self._frames += 1
        self._last.append((now_ns, self._frames))
        if len(self._last) < limits.LINK_DAMAGE_FAILURES:
            return False
        first_ns, first_frame = self._last[0]
        return now_ns - first_ns <= limits.LINK_DAMAGE_NS and self._frames - first_frame < limits.LINK_DAMAGE_FRAMES
