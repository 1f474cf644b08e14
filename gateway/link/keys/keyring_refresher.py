"""The thread that keeps a keyring fresh, so that the loop of the link never waits for a key service.

Hard rule: it ends only when it is asked to; whatever a service does, it is asked again.
"""

import threading
from collections.abc import Callable

from gateway import clock, limits
from gateway.link.keys.keyring import Keyring

STOP_SECONDS = 5.0
SECOND_NS = 1_000_000_000


class KeyringRefresher:
    """Refreshes once at `start`, so that keys are there when it returns, then beside."""

    def __init__(self, keyring: Keyring, now_ns: Callable[[], int] = clock.utc_ns):
        self._keyring, self._now_ns = keyring, now_ns
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keyring", daemon=True)
        self._due_ns, self.faults = 0, 0
        self._closing = False

    def start(self) -> None:
        """Blocks as long as the service takes for its first answers; an outage leaves the keyring empty and says so."""
        self._turn()
        self._thread.start()

    def refresh_now(self) -> None:
        """Asks for a refresh at once; returns at once."""
        self._asked.set()

    def close(self) -> None:
        """Ends the thread. The keyring keeps what it has."""
        self._closing = True
        self._asked.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._closing:
            wait_ns = min(self._due_ns - self._now_ns(), limits.KEY_POLL_NS)  # a clock that was set back delays no poll
            if self._asked.wait(max(wait_ns, 0) / SECOND_NS):
                self._asked.clear()
            if not self._closing:
                self._turn()

    def _turn(self) -> None:
        try:
            self._due_ns = self._keyring.refresh(self._now_ns())
        except Exception as problem:  # a bug of ours in a thread must not end trading silently two hours later
            self.faults += 1
            self._keyring.problem = f"refresh failed: {type(problem).__name__}"
            self._due_ns = self._now_ns() + limits.KEY_RETRY_NS
