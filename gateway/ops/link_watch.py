"""What control does when the regional link ends or hangs: why, core is told, it starts again, five times; then it waits.

    silent for watch.link_hung_ms ─► it is killed ─┐
    it ended ─► why, in the log ─► mirrored books: stale ─┬─► again                       the first to the fifth time
                                                          └─► PROCESS_GIVEN_UP, the mend ─ started by hand ─► watched again

Beside supervisor.py. Hard rule: nothing here waits for the link, and whatever becomes of it stops nothing else.
"""

import os
import subprocess
import time
from typing import Any

from gateway import clock, layout, pipeline
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.link.streams import records
from gateway.ops.joined import Joined
from gateway.ops.log import Log
from gateway.ops.notification import Notification
from gateway.ops.process import HEARTBEATS, MILLISECOND_NS, problem_of
from gateway.ops.producer import FILLED, is_ours
from gateway.venues.feed import LINK_FEED

NAME = pipeline.LINK.name
TURN_NS = 100_000_000  # what one turn of control may add to a silence: who stalled itself has not listened


class LinkWatch:
    """The deaths of one link, from control's side."""

    def __init__(self, instance: Instance, configuration: Configuration, log: Log, notification: Notification):
        self._instance, self._log, self._notification = instance, log, notification
        self._mirrors = configuration.feed.name == LINK_FEED and not configuration.feed.definition
        self._beat: Any = instance.control[0]["heartbeats"][layout.value(HEARTBEATS[NAME])]
        self._by_hand: Joined | None = None  # who may come after it was given up
        self._hung_ns = configuration.watch.link_hung_ms * MILLISECOND_NS
        self._running = layout.value("PROCESS_RUNNING")
        self._heard, self._silent_ns, self._looked_ns = 0, 0, time.monotonic_ns()

    def end_hung(self, child: "subprocess.Popen[bytes] | Joined | None") -> None:
        """Kills a link that runs and has given no sign of life for too long; called once a turn of control."""
        now_ns, heard = time.monotonic_ns(), int(self._beat["time_ns"])
        passed_ns, self._looked_ns = min(now_ns - self._looked_ns, TURN_NS), now_ns
        if heard != self._heard or self._beat["state"] != self._running:
            self._heard, self._silent_ns = heard, 0
        self._silent_ns += passed_ns
        if self._silent_ns <= self._hung_ns or child is None:
            return
        self._silent_ns = 0
        text = f"link: no sign of life for {self._hung_ns / 1e9:g} s (watch.link_hung_ms); it is ended and started again"
        self._log.error("link_hung", text)
        child.kill()

    def goes_on(self, times: int, times_max: int, mend: str) -> bool:
        """It has ended for the `times`th time: whether it is to be started again. `mend` starts it by hand."""
        if why := problem_of(self._instance.folder, NAME):
            self._log.error("link_problem", f"link: {why}")
        if self._mirrors:
            self._tell_core()
        if times <= times_max:
            return True
        text = f"link ended {times} times and is given up; the region goes on alone until the keys it held run out. "
        text += f"Mend what its lines say, then: {mend}"
        self._log.error("link_given_up", text)
        self._notification.say(f"STATUS={text}")
        self._by_hand = Joined(self._instance, self._beat, NAME)
        self._beat["time_ns"] = clock.now_ns(self._instance.clock_address)
        self._beat["state"] = layout.value("PROCESS_GIVEN_UP")
        return False

    def came_back(self) -> Joined | None:
        """A link that somebody has started since it was given up, once."""
        if self._by_hand is None:
            return None
        self._by_hand.poll()
        if not self._by_hand.pid:
            return None
        child, self._by_hand = self._by_hand, None
        self._log.info("link_started", "link: started by hand; it is watched again")
        return child

    def _tell_core(self) -> None:
        """Nobody fills link_core: its books are stale until a scan. A link that is there already says so itself."""
        file = os.open(self._instance.folder / FILLED[NAME], os.O_RDONLY | os.O_CLOEXEC)
        try:
            if is_ours(file):
                records.RecordWriter(self._instance.writer("link_core")).put(records.own_word(records.LOST))
        finally:
            os.close(file)
