"""Control's part of the kill switch: the triggers it listens to, and the sequence behind a latch that anybody has set.

    SIGUSR1 · HTTP · device ─► latch ◄── io (stale heartbeats) · post-trade controls · gateway kill · the file
                                 └─► found by `poll` ─► a thread: kill.py            the supervisor goes on meanwhile

Hard rule: `poll` never blocks and never raises for what the world does; the latch is set in memory before anything else.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from numba import int64

from gateway import layout
from gateway.config import Configuration
from gateway.core import ring
from gateway.instance import Instance
from gateway.ops import kill, kill_file
from gateway.ops.kill_device import KillDevice
from gateway.ops.kill_http import KillServer
from gateway.ops.kill_latch import keeps_positions
from gateway.ops.kill_report import KillReport

FAILURES_MAX = 3  # of the sequence itself, our own
FILE_SECONDS = 0.25  # between two looks at the latch file
REASONS = layout.names("kill_reason", "KILL_")


class KillWatch:
    """Of one supervisor; made before its stages, closed behind them."""

    def __init__(self, instance: Instance, configuration: Configuration, say: Callable[[str], None]):
        self.instance, self.configuration, self._say = instance, configuration, say
        self.state = configuration.state_folder
        self.report: KillReport | None = None  # of the last sequence that ran here
        self._handled_ns = self._seen_ns = 0
        self._failures = 0
        self._file_due = 0.0
        self._file_problem = ""
        self._thread: threading.Thread | None = None
        ring.put.compile((int64,) * 5)  # a kill waits for no compiler
        options = configuration.kill
        self._device = KillDevice(options.device, say) if options.device else None
        self._server = KillServer(options.http, options.token_file, self._on_http, say) if options.http else None

    def poll(self) -> None:
        """Looks at the triggers and at the latch."""
        if self._device is not None and self._device.pressed():
            self.trigger("KILL_DEVICE")
        latched_ns = kill.latched_ns(self.instance)
        if latched_ns != self._seen_ns:
            self._seen_ns, self._file_due = latched_ns, 0.0  # to the file without delay
        self._follow_file()
        if latched_ns and latched_ns != self._handled_ns and not self.working:
            self._handled_ns = latched_ns
            self._thread = threading.Thread(target=self._work, name="kill", daemon=True)
            self._thread.start()

    def trigger(self, reason: str) -> None:
        """Sets the latch; safe in a signal handler and on any thread."""
        kill.latch(self.instance, reason)

    @property
    def working(self) -> bool:
        """Whether a sequence is under way here."""
        return self._thread is not None and self._thread.is_alive()

    def finish(self, waiting: Callable[[], None], rest_seconds: float) -> None:
        """Until the sequence under way has ended; it ends by `[kill] seconds`."""
        deadline = time.monotonic() + self.configuration.kill.seconds
        while self.working and time.monotonic() < deadline:
            waiting()
            time.sleep(rest_seconds)

    def close(self) -> None:
        """Listens no more."""
        if self._device is not None:
            self._device.close()
        if self._server is not None:
            self._server.close()
        self._device = self._server = None

    def _on_http(self) -> dict[str, Any]:
        self.trigger("KILL_HTTP")
        return {"latch": REASONS[int(self.instance.control[0]["kill_latch"])], "latched_ns": kill.latched_ns(self.instance)}

    def _follow_file(self) -> None:
        """Memory and file are one latch: what is set in one is set in the other."""
        now = time.monotonic()
        latch = int(self.instance.control[0]["kill_latch"])
        if now < self._file_due:
            return
        self._file_due = now + FILE_SECONDS
        if kill_file.reason(self.state) is not None:
            if not latch:
                self.trigger("KILL_FILE")
            return
        if latch:
            self._write_down(REASONS[latch])

    def _write_down(self, reason: str) -> None:
        try:
            kill_file.set_latch(self.state, reason)
        except OSError as problem:
            text = f"{problem.filename or self.state}: {problem.strerror}"
            if text != self._file_problem:
                what = "the latch is set in memory only and does not outlive this run"
                self._say(f"KILL LATCH NOT WRITTEN ({text}): {what}; nothing new leaves")
            self._file_problem = text

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._run()
        except Exception as problem:  # the thread must not end in silence: a person has to do what it did not
            self._failures += 1
            self._say(f"KILL SEQUENCE FAILED ({type(problem).__name__}: {problem}): look at the venue")
            if self._failures < FAILURES_MAX:
                self._handled_ns = 0  # once more

    def _run(self) -> None:
        reason = REASONS[int(self.instance.control[0]["kill_latch"])]
        self._say(f"KILL LATCH {reason}: nothing new leaves; cancelling what is open")
        keep = reason == "COMMAND" and keeps_positions(self.instance)
        report = kill.kill(self.instance, self.configuration, f"KILL_{reason}", by="control", keep_positions=keep)
        self.report = report
        for line in said(report):
            self._say(line)


def said(report: KillReport) -> list[str]:
    """A report in lines for a log."""
    done = "nothing is open" if report.confirmed else f"{len(report.still_open)} orders are not confirmed closed"
    flat = "positions are kept" if not report.flatten else "flat" if not report.positions_after else "NOT FLAT"
    first = f"kill {report.reason}: {report.cancels_sent} cancels sent, {done}, {flat}, after {report.took_ms} ms"
    lines = [f"kill residual: {line}" for line in report.residual_lines()]
    if report.record_problem:
        lines.append(f"kill: {report.records_unwritten} lines of control_orders.jsonl NOT WRITTEN ({report.record_problem})")
    return [first, *lines]
