"""A device whose key press sets the kill latch: an input event device, a terminal line, a FIFO.

    /dev/input/event*   a key going down (Linux input events); everything else there is no press
    anything else       any byte

Hard rule: it never blocks control, and a device that is lost is said aloud and looked for again, never taken for a press.
"""

import contextlib
import os
import stat
import struct
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.errors import CapabilityError

READ_BYTES = 4096
EVENT = struct.Struct("llHHi")  # struct input_event of a 64-bit kernel: time, type, code, value
EVENT_KEY, DOWN = 1, 1
INPUT_MAJOR = 13
RETRY_SECONDS = 1.0


class KillDevice:
    """One device, open for reading; `say`: the log. Raises CapabilityError where it cannot be opened at the start."""

    def __init__(self, path: str, say: Callable[[str], None]):
        self.path, self._tell = path, say
        self._file = -1
        self._is_input = False
        self._terminal: list[Any] | None = None  # as it was found
        self._held = b""
        self._retry = 0.0
        try:
            self._open()
        except OSError as problem:
            raise CapabilityError(f"kill.device: {path}: {problem.strerror}; plug it in, or write another path") from None

    def pressed(self) -> bool:
        """Whether a key was pressed since the last call."""
        if self._file < 0 and not self._found_again():
            return False
        try:
            data = os.read(self._file, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as problem:
            self._lose(problem.strerror or "it is gone")
            return False
        if not data:
            self._lose("it has ended")
            return False
        return self._is_press(data)

    def close(self) -> None:
        """Gives it back as it was."""
        if self._file >= 0:
            if self._terminal is not None:
                with contextlib.suppress(OSError, termios.error):
                    termios.tcsetattr(self._file, termios.TCSANOW, self._terminal)
            os.close(self._file)
        self._file = -1

    def _open(self) -> None:
        mode = Path(self.path).stat().st_mode
        how = os.O_RDWR if stat.S_ISFIFO(mode) else os.O_RDONLY  # a FIFO outlives the writer that leaves it
        self._file = os.open(self.path, how | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        status = os.fstat(self._file)
        self._is_input = stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == INPUT_MAJOR
        self._terminal, self._held = None, b""
        if os.isatty(self._file):
            self._terminal = termios.tcgetattr(self._file)
            tty.setcbreak(self._file, termios.TCSANOW)  # a press counts without a line end
            termios.tcflush(self._file, termios.TCIFLUSH)

    def _is_press(self, data: bytes) -> bool:
        if not self._is_input:
            return True
        data = self._held + data
        whole = len(data) // EVENT.size * EVENT.size
        self._held = data[whole:]
        return any(kind == EVENT_KEY and value == DOWN for _, _, kind, _, value in EVENT.iter_unpack(data[:whole]))

    def _lose(self, why: str) -> None:
        self.close()
        self._say(f"is lost ({why}): no key press kills until it is back")

    def _found_again(self) -> bool:
        now = time.monotonic()
        if now < self._retry:
            return False
        self._retry = now + RETRY_SECONDS
        try:
            self._open()
        except (OSError, termios.error):
            return False
        self._say("is back")
        return True

    def _say(self, what: str) -> None:
        self._tell(f"KILL DEVICE {self.path} {what}")
