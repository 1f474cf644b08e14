"""The loop of the process `session`: turns of the order session, heartbeat, stop word, signals.

    SIGTERM, SIGINT: leave      SIGUSR1: set the kill latch      as in native/loop.c

Hard rule: it leaves by logging out, so that a venue which cancels on disconnect does so at once.
"""

import os
import signal
import threading
from types import FrameType
from typing import Any

from gateway import clock, layout
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.native import ffi, lib
from gateway.ops.notification import Notification
from gateway.ops.session import OrderSession, wait

REST_DOWN_SECONDS = 0.005  # without a session there is nothing to hurry for
PATIENCE_TURNS = 200  # without work before it rests


class SessionStage:
    """The order session and the loop around it."""

    def __init__(self, instance: Instance, configuration: Configuration, notification: Notification):
        self.instance, self._notification = instance, notification
        self.session = OrderSession(instance, configuration)
        place = configuration.placement
        self._rest_seconds = 0.0 if place.idle == "spin" else place.sleep_us / 1_000_000
        self._beat: Any = instance.control[0]["heartbeats"][layout.value("PROCESS_SESSION")]
        self._stopping = False

    def run(self) -> None:
        """Turns until control or a signal says stop."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_stop)
            signal.signal(signal.SIGUSR1, self._on_kill)
        self._beat["pid"], self._beat["turns"], self._beat["turns_busy"] = os.getpid(), 0, 0
        self._live(self._now_ns(), 0)
        self._beat["state"] = layout.value("PROCESS_RUNNING")
        idle = 0
        while not self._stopping and not self.instance.control[0]["stop"]:
            now_ns = self._now_ns()
            worked = self.session.turn(now_ns)
            self._live(now_ns, worked)
            idle = 0 if worked else idle + 1
            up = self.session.phase == layout.value("SESSION_UP")
            if idle > (PATIENCE_TURNS if up else 0):
                wait(self.session, self._rest_seconds if up else REST_DOWN_SECONDS)
        self.session.leave(self._now_ns())
        self._beat["state"] = layout.value("PROCESS_STOPPED")

    def _now_ns(self) -> int:
        return clock.now_ns(self.instance.clock_address)

    def _live(self, now_ns: int, worked: int) -> None:
        self._beat["turns"] += 1
        self._beat["turns_busy"] += worked > 0
        self._beat["time_ns"] = now_ns
        self._notification.feed()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _on_kill(self, number: int, frame: FrameType | None) -> None:
        control = ffi.cast("struct control_block *", self.instance.address("control"))
        lib.control_kill(control, layout.value("KILL_SIGNAL"))
