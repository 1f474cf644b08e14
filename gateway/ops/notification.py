"""Words to the service manager that started this process: sd_notify(3), one datagram each.

Hard rule: nobody but the process that the service manager started speaks; without one every word goes nowhere.
"""

import contextlib
import os
import socket
import time

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
FEEDS_PER_TIMEOUT = 4
SAY_SECONDS = 1.0  # a busy manager's queue holds ten words; READY=1 must not be lost
MICROSECOND_NS = 1_000


class Notification:
    """The service manager's socket, or silence where there is none."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._fed = 0.0
        self.timeout_us = 0  # of the watchdog; 0: it does not watch
        address = os.environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        channel.settimeout(SAY_SECONDS)
        try:
            channel.connect("\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            channel.close()
            return
        self._socket = channel
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            word = os.environ.get("WATCHDOG_USEC", "")
            self.timeout_us = int(word) if word.isdecimal() else 0

    @property
    def file(self) -> int:
        """The connected socket's descriptor, or -1."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def interval_ns(self) -> int:
        """How often the watchdog is fed; 0: it does not watch."""
        return self.timeout_us * MICROSECOND_NS // FEEDS_PER_TIMEOUT

    def say(self, *words: str) -> None:
        """Sends words such as `READY=1`, one a line."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # a full or vanished socket must not end what it watches
                self._socket.send("\n".join(words).encode())

    def feed(self) -> None:
        """A sign of life, when one is due; it waits for nobody, the next one comes soon."""
        if self.timeout_us and time.monotonic() - self._fed > self.timeout_us / 1e6 / FEEDS_PER_TIMEOUT:
            self._fed = time.monotonic()
            with contextlib.suppress(OSError):
                os.write(self.file, b"WATCHDOG=1")

    def wait_patiently(self, seconds: float) -> None:
        """The watchdog waits so long for the next sign of life: a compiler gives none."""
        if self.timeout_us:
            self.say(f"WATCHDOG_USEC={max(self.timeout_us, int(seconds * 1e6))}", "WATCHDOG=1")

    def watch_closely(self) -> None:
        """The watchdog goes back to the time of its unit."""
        if self.timeout_us:
            self.say(f"WATCHDOG_USEC={self.timeout_us}", "WATCHDOG=1")


def without_notification() -> dict[str, str]:
    """The environment for a child of ours: the service manager hears from us alone."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}
