"""The kill switch: the latch, its file, and one process at a time that does the rest.

    kill_latch.py: latch ─► io, session refuse every new order     file (synced) ─► no restart
    kill_sequence.py: cancel ─► verify ─► close positions ─► verify ─► report

Hard rule: the latch is set before anything that can fail.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import clock, layout
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops import kill_file, kill_report
from gateway.ops.kill_latch import latch, latched_ns
from gateway.ops.kill_report import KillReport
from gateway.ops.kill_sequence import Sequence

POLL_SECONDS = 0.005
FRESH_SECONDS = 30.0  # a kill so soon behind what caused it counts its times from there, a later one from its own beginning
REPORT_SECONDS = 2.0  # for whoever is at work to write down what it did, once its own time is over
WORK_SECONDS = 6.0  # to cancel, to verify and to begin closing, however late this one comes to work
LOCK_FILE = "kill.lock"


__all__ = ["kill", "latch", "latched_ns", "only_one"]


def kill(
    instance: Instance,
    configuration: Configuration,
    reason: str = "KILL_COMMAND",
    by: str = "gateway kill",
    keep_positions: bool = False,
    since_ns: int | None = None,
) -> KillReport:
    """Latches, makes the latch last, and does the rest, or waits for whoever is doing it and takes over that report.

    since_ns   from when on this kill counts (instance clock): what ended before is done again; None: since the latch
    Works with core, io or session stopped or gone, with the venue silent, with a full disk.
    """
    report = KillReport(by=by, flatten=configuration.kill.flatten and not keep_positions)
    began = clock.monotonic_ns()
    in_force = latch(instance, reason)
    report.latch_took_ns = clock.monotonic_ns() - began
    report.latched_ns = latched_ns(instance)
    report.reason = layout.names("kill_reason", "KILL_")[in_force]
    since_ns = report.latched_ns if since_ns is None else since_ns
    state, started = configuration.state_folder, begun(instance, since_ns)
    deadline = max(started + configuration.kill.seconds, time.monotonic() + WORK_SECONDS)
    try:
        kill_file.set_latch(state, report.reason)
    except OSError as problem:  # what is open is cancelled all the same
        report.file_problem = f"{problem.filename or state}: {problem.strerror}"
    with only_one(instance, deadline + REPORT_SECONDS) as alone:
        if alone is None:
            report.problem = "another kill is at work and does not end: look at the venue"
            return report
        found = _of_another(instance.folder, report, since_ns)
        if found is not None:
            return found
        Sequence(instance, configuration, report, started, deadline).run()
        report.ended_ns = clock.now_ns(instance.clock_address)
        problem_text = kill_report.save(state, report)
        report.file_problem = report.file_problem or problem_text
        kill_report.hand_over(instance.folder, report)
    return report


def begun(instance: Instance, since_ns: int) -> float:
    """The monotonic time of an instant (instance clock) from which this kill counts: now, where that was long ago."""
    age_seconds = (clock.now_ns(instance.clock_address) - since_ns) / 1_000_000_000
    return time.monotonic() - (age_seconds if 0 <= age_seconds < FRESH_SECONDS else 0.0)


@contextmanager
def only_one(instance: Instance, deadline: float) -> Iterator[bool | None]:
    """True: nobody else was at work. False: somebody was, and has ended. None: somebody is, and the time is over."""
    lock = os.open(instance.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        kill_file.give_to_owner(lock, instance.folder)
        alone: bool | None = _locked(lock)
        while alone is False and not _locked(lock):
            if time.monotonic() > deadline:
                alone = None
            time.sleep(POLL_SECONDS)
        yield alone
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _of_another(folder: Path, own: KillReport, since_ns: int) -> KillReport | None:
    """The report of whoever did, for the same latch and not earlier, all that is asked for here."""
    document = kill_report.last(folder)
    if document is None or document.get("latched_ns") != own.latched_ns:
        return None
    with contextlib.suppress(TypeError, KeyError):
        report = kill_report.as_report(document)
        if report.ended_ns >= since_ns and report.flatten >= own.flatten:
            return report
    return None
