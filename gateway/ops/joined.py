"""Stage processes that a service manager starts beside control, instead of control itself.

      unit gateway-io ──► gateway run CONFIG --process io ── waits for control's memory ──► python -m gateway.ops.process
      unit gateway-session ──► the same; where orders travel by the port there is nothing for it to do, and it leaves
      unit gateway-control ──► gateway run CONFIG --process control ──► watches them by their heartbeats and pids

Hard rule: a stage joins only an instance whose control gives signs of life; memory that a dead run left is never joined.
"""

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from gateway import clock, layout, pipeline
from gateway.config import Configuration
from gateway.errors import EXIT_DONE, AttachError, CapabilityError, ConfigurationError, GatewayError
from gateway.instance import PREFIX, Instance
from gateway.ops.log import tell
from gateway.ops.notification import Notification
from gateway.ops.process import HEARTBEATS, problem_of, problem_path
from gateway.ops.rescue import is_foreign, is_silent

JOIN_SECONDS = 60.0
PATIENCE_SECONDS = 2.0  # without a control for longer: it is said, once
POLL_SECONDS = 0.02
ENDED_IN_ORDER, ENDED = 0, 256  # a stranger's exit code is not ours to read: one that no process has
COMPILE_SECONDS = 900.0
GIVEN_UP_NS = 10_000_000_000  # a manager's next start comes within a second or two
GIVEN_UP = "the link ended too often and was given up; look why, wait ten seconds, then start it again"
NOTHING_TO_DO = {
    pipeline.SESSION.name: "orders.carriage is udp: there is no order session to run",
    pipeline.LINK.name: "link.enabled is false: there is no regional link to run",
}


class ControlAbsent(GatewayError):
    """There is no control to join."""

    exit_code = 1


def require_apart(configuration: Configuration) -> None:
    """Units of their own need processes of their own. Raises ConfigurationError."""
    if configuration.placement.together:
        raise ConfigurationError("placement.together = true puts io and core into one process; with --process write false")


def require_network(configuration: Configuration) -> None:
    """What control opens itself needs more than its unit gives unasked. Raises CapabilityError."""
    asked = {"orders.drop_copy": configuration.orders.drop_copy, "kill.http": configuration.kill.http}
    names = " and ".join(name for name, text in asked.items() if text)
    if not names:
        return
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except OSError as problem:
        where = "add the appliance to gateway_control_network, or its unit's drop-in network.conf"
        raise CapabilityError(f"{names}: control has no network here ({problem.strerror}); {where}") from None


def is_due(configuration: Configuration, stage: str) -> bool:
    """Whether the configuration has work for a stage: the one place that says so, so that a unit may always be there."""
    due = {pipeline.SESSION.name: configuration.orders.carriage != "udp", pipeline.LINK.name: configuration.link.enabled}
    return due.get(stage, True)


def join(configuration: Configuration, stage: str) -> int:
    """Waits for control's memory and becomes the stage process: same pid, so the service manager goes on watching it.

    Returns, with exit code 0, only where there is nothing to do.
    """
    require_apart(configuration)
    notification = Notification()
    if not is_due(configuration, stage):
        return leave(notification, NOTHING_TO_DO[stage])
    notification.wait_patiently(JOIN_SECONDS + COMPILE_SECONDS)
    notification.say("READY=1", "STATUS=waiting for control")
    instance = wait_for_control(configuration, stage)
    if stage == pipeline.LINK.name and was_just_given_up(instance):
        return leave(notification, GIVEN_UP)
    return become(instance.folder, stage, notification)


def leave(notification: Notification, line: str) -> int:
    """There is nothing to do, and that is in order."""
    notification.say("READY=1", f"STATUS={line}")  # of READY and STOPPING in one message the manager hears the last
    tell(f"gateway run: {line}")
    return EXIT_DONE


def become(folder: Path, stage: str, notification: Notification) -> NoReturn:
    """The stage process of the instance in this folder."""
    notification.say(f"STATUS={stage} of {folder.name.removeprefix(PREFIX)}")
    os.execv(sys.executable, [sys.executable, "-m", "gateway.ops.process", str(folder), stage])


def wait_for_control(configuration: Configuration, stage: str, seconds: float = JOIN_SECONDS) -> Instance:
    """The instance, once its control lives and `stage` is due. Raises ControlAbsent."""
    name, parent = configuration.instance.name, Path(configuration.instance.folder)
    deadline = time.monotonic() + seconds
    tell_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(AttachError):
            instance = Instance.attach(name, parent, writable=())
            if not is_silent(instance, "PROCESS_CONTROL") and not instance.control[0]["stop"]:
                deadline = max(deadline, time.monotonic() + 1.0)  # it waits with us; its own patience ends first
                tell_at = math.inf
                if stage != "io" or core_has_come(instance):
                    return instance
        if time.monotonic() >= tell_at:
            tell(f"gateway {stage}: waits up to {seconds:.0f} s for the control of {name}: gateway run CONFIG")
            tell_at = math.inf
        time.sleep(POLL_SECONDS)
    raise ControlAbsent(f"no control of {name} within {seconds:.0f} s; why: journalctl -u gateway-control@{name}")


def was_just_given_up(instance: Instance) -> bool:
    """Whether control has given the link up so lately that it is its service manager, and no person, who starts it."""
    beat = instance.control[0]["heartbeats"][layout.value(HEARTBEATS[pipeline.LINK.name])]
    age_ns = clock.now_ns(instance.clock_address) - int(beat["time_ns"])
    return int(beat["state"]) == layout.value("PROCESS_GIVEN_UP") and age_ns < GIVEN_UP_NS


def core_has_come(instance: Instance) -> bool:
    """io opens its port only when somebody takes the frames, or when core is gone and its orders are to be cancelled."""
    state = instance.control[0]["heartbeats"][layout.value("PROCESS_CORE")]["state"]
    return state in (layout.value("PROCESS_RUNNING"), layout.value("PROCESS_STOPPED"))


class Joined:
    """What Popen is to a child, for a process that somebody else started: known by its row of heartbeats."""

    def __init__(self, instance: Instance, beat: Any, stage: str):
        self._beat, self._stage = beat, stage
        self._folder = instance.folder
        self._before = int(beat["pid"])  # of its predecessor
        self._handle = -1
        self.pid = 0
        problem_path(self._folder, stage).write_text("")  # it stays: whoever joins may write it, and not make it

    def poll(self) -> int | None:
        """None while it lives or has not come yet; ENDED_IN_ORDER or ENDED afterwards."""
        if self._handle < 0 and not self._find():
            return ENDED if problem_of(self._folder, self._stage) else None
        if not select.select([self._handle], [], [], 0)[0]:
            return None
        return ENDED_IN_ORDER if self._beat["state"] == layout.value("PROCESS_STOPPED") else ENDED

    def _find(self) -> bool:
        pid = int(self._beat["pid"])
        if pid in (0, self._before):
            return False
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:  # it was there, and has gone already
            self._handle = self._gone()
        if is_foreign(pid, self._folder):  # no stage of ours: never to be signalled
            os.close(self._handle)
            self._handle = self._gone()
        self.pid = pid
        return True

    @staticmethod
    def _gone() -> int:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # always readable, as an ended process is

    def send_signal(self, number: int) -> None:
        """Signals it, if it is there; the handle cannot mean another process."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        """Asks it to leave."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int | None:
        """Until it has ended. Raises TimeoutExpired as Popen does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.pid and (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(["gateway", "joined"], timeout or 0.0)
            time.sleep(POLL_SECONDS)
        return code if self.pid else None
