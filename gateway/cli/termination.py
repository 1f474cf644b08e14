"""SIGTERM leaves a command like Ctrl-C does, so that `finally` removes whatever it made.

Hard rule: for verbs that make something and have no loop of their own that listens to signals.
"""

import signal
from types import FrameType


def leave_in_order() -> None:
    """From now on SIGTERM raises KeyboardInterrupt in the main thread."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
