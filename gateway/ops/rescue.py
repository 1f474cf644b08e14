"""A hung sender (io, or session) must not hold up a kill: it is ended, and a fresh one sends what waits in its control ring.

    silent ─► SIGKILL ─┬─ control lives: the supervisor starts it again
                       └─ control is gone too: this process starts it, for as long as cancels wait

Used only after the latch is set. Hard rule: the old process is dead before the new one opens port or socket; SIGKILL is
the fence.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import clock, layout
from gateway.instance import Instance, is_held

SILENT_NS = 500_000_000  # no heartbeat for so long: hung, stopped or dead
START_SECONDS = 20.0
POLL_SECONDS = 0.01
STAGES = {"PROCESS_IO": "io", "PROCESS_SESSION": "session"}


def is_silent(instance: Instance, process: str) -> bool:
    """Whether a process ("PROCESS_IO") that should give signs of life gives none."""
    beat = instance.control[0]["heartbeats"][layout.value(process)]
    age_ns = clock.now_ns(instance.clock_address) - int(beat["time_ns"])
    return bool(beat["state"] != layout.value("PROCESS_RUNNING") or age_ns > SILENT_NS)


def has_run(instance: Instance, process: str) -> bool:
    """Whether a process ever ran, or may have: one that did not has sent nothing."""
    beat = instance.control[0]["heartbeats"][layout.value(process)]
    return bool(beat["pid"]) or beat["state"] in (layout.value("PROCESS_RUNNING"), layout.value("PROCESS_STOPPED"))


def control_lives(instance: Instance) -> bool:
    """Whether somebody else starts what is missing: control, also while it is still starting."""
    state = instance.control[0]["heartbeats"][layout.value("PROCESS_CONTROL")]["state"]
    starting = state == layout.value("PROCESS_ABSENT") and is_held(instance.name, instance.folder.parent)
    return starting or not is_silent(instance, "PROCESS_CONTROL")


def is_foreign(pid: int, folder: Path) -> bool:
    """Whether a number out of shared memory means a process that is no stage of the instance in `folder`: it was given away
    again, or written by who has no business with it. What /proc does not show is believed."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    ours = any(word.rpartition(b"/")[2] == folder.name.encode() for word in words)
    return not (b"gateway.ops.process" in words and ours)


def _end(pid: int, folder: Path) -> bool:
    """Whether the stage is dead, or dies: another user's process takes CAP_KILL."""
    if pid <= 0:  # it never ran
        return True
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not is_foreign(pid, folder):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    except PermissionError:
        return False
    finally:
        os.close(handle)
    return True


def _wait_for_another(instance: Instance, process: str, pid: int, seconds: float) -> bool:
    """Until one with another pid runs."""
    beat = instance.control[0]["heartbeats"][layout.value(process)]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if beat["pid"] != pid and not is_silent(instance, process):
            return True
        time.sleep(POLL_SECONDS)
    return False


@contextmanager
def working_sender(instance: Instance, process: str, seconds: float = START_SECONDS) -> Iterator[bool]:
    """A process ("PROCESS_IO", "PROCESS_SESSION") that takes cancels, for the time of the block: the one that runs, or a
    fresh one, waited for `seconds` at most. False: none could be had."""
    if not is_silent(instance, process):
        yield True
        return
    pid, seconds = int(instance.control[0]["heartbeats"][layout.value(process)]["pid"]), min(seconds, START_SECONDS)
    ended = _end(pid, instance.folder)
    if process == "PROCESS_IO":
        core = instance.control[0]["heartbeats"][layout.value("PROCESS_CORE")]
        if core["state"] == layout.value("PROCESS_ABSENT"):  # it shared the loop, and is gone with it
            core["state"] = layout.value("PROCESS_STOPPED")
    if control_lives(instance):
        yield _wait_for_another(instance, process, pid, seconds)  # its service manager's watchdog ends it, if we may not
        return
    if not ended:
        yield False
        return
    command = [sys.executable, "-m", "gateway.ops.process", str(instance.folder), STAGES[process]]
    fresh = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield _wait_for_another(instance, process, pid, seconds)
    finally:
        fresh.terminate()
        fresh.wait(START_SECONDS)
