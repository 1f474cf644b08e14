"""A hung io must not hold up a kill: it is ended, and a fresh one sends what waits in control_io.

    io silent ─► SIGKILL ─┬─ control lives: the supervisor starts io again
                          └─ control is gone too: this process starts io, for as long as cancels wait

Used only after the latch is set. Hard rule: the old process is dead before the new one opens the port; SIGKILL is the fence.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway import clock, layout
from gateway.instance import Instance

SILENT_NS = 500_000_000  # no heartbeat for so long: hung, stopped or dead
START_SECONDS = 20.0
POLL_SECONDS = 0.01


def is_silent(instance: Instance, process: str) -> bool:
    """Whether a process ("PROCESS_IO") that should give signs of life gives none."""
    beat = instance.control[0]["heartbeats"][layout.value(process)]
    age_ns = clock.now_ns(instance.clock_address) - int(beat["time_ns"])
    return bool(beat["state"] != layout.value("PROCESS_RUNNING") or age_ns > SILENT_NS)


def _end(pid: int) -> None:
    if pid <= 0:  # io never ran; 0 would mean our own process group
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait_for_another(instance: Instance, pid: int) -> bool:
    """Until an io with another pid runs."""
    beat = instance.control[0]["heartbeats"][layout.value("PROCESS_IO")]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if beat["pid"] != pid and not is_silent(instance, "PROCESS_IO"):
            return True
        time.sleep(POLL_SECONDS)
    return False


@contextmanager
def working_io(instance: Instance) -> Iterator[bool]:
    """An io that takes cancels, for the time of the block: the one that runs, or a fresh one. False: none could be had."""
    if not is_silent(instance, "PROCESS_IO"):
        yield True
        return
    pid = int(instance.control[0]["heartbeats"][layout.value("PROCESS_IO")]["pid"])
    _end(pid)
    core = instance.control[0]["heartbeats"][layout.value("PROCESS_CORE")]
    if core["state"] == layout.value("PROCESS_ABSENT"):  # it shared the loop, and is gone with it
        core["state"] = layout.value("PROCESS_STOPPED")
    if not is_silent(instance, "PROCESS_CONTROL"):
        yield _wait_for_another(instance, pid)
        return
    command = [sys.executable, "-m", "gateway.ops.process", str(instance.folder), "io"]
    fresh = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield _wait_for_another(instance, pid)
    finally:
        fresh.terminate()
        fresh.wait(START_SECONDS)
