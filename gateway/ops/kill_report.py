"""What a kill found and did, what it left behind, and the two files in the state folder that keep it.

    kill_report.json    the last one, whole: what `gateway kill --clear` asks about
    kills.jsonl         a line for every kill and every clearing, never rewritten

A copy of the first stands in the instance's folder, in memory, for a second kill that waits for this one. What a kill sends
stands in control_orders.jsonl, line by line, before it is sent (control_record.py).

Hard rule: what is left is named one by one, with its quantity and the reason; "nothing" is said only of what was verified.
"""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gateway.ops import kill_file

REPORT_FILE, LOG_FILE = "kill_report.json", "kills.jsonl"
MILLISECOND_NS = 1_000_000


@dataclass(frozen=True)
class Residual:
    """One thing a person must see to: an open order (`reference`), or a position (signed quantity)."""

    symbol: str
    quantity: int
    why: str
    reference: int = 0
    side: str = ""

    def line(self) -> str:
        """For a person."""
        if self.reference:
            return f"order {self.reference} {self.side} {self.quantity} {self.symbol}: {self.why}".replace("  ", " ")
        return f"position {self.symbol} {self.quantity:+d}: {self.why}"


@dataclass
class KillReport:
    """What a kill found and did; times in ns by the instance's clock, durations in ms from the latch on."""

    reason: str = ""
    latched_ns: int = 0
    latch_took_ns: int = 0
    open_before: int = 0
    cancels_sent: int = 0
    cancels_unsent: int = 0
    mass_cancels_sent: int = 0
    orders_blocked: int = 0
    still_open: list[int] = field(default_factory=list)
    confirmed: bool = False  # nothing is open, by `verified_by`
    verified_by: str = ""
    drop_copy_problem: str = ""  # why the venue's own account could not be read
    closed_after_ms: int = -1  # when nothing was open any more; -1: never seen
    core_alive: bool = True
    io_replaced: bool = False  # io was silent: ended, and a fresh one sent the cancels
    cancels_waiting: int = 0  # no io took them
    file_problem: str = ""  # why the latch could not be written down, if so: it dies with the instance
    flatten: bool = False  # positions were to be closed
    positions_before: dict[str, int] = field(default_factory=dict)
    positions_after: dict[str, int] = field(default_factory=dict)
    positions_verified: bool = False
    flatten_orders: int = 0
    orders: list[dict[str, Any]] = field(default_factory=list)  # those, as they were written down before they were sent
    records_unwritten: int = 0  # lines of control_orders.jsonl that the state folder did not take
    record_problem: str = ""  # why not
    flat_after_ms: int = -1
    residuals: list[Residual] = field(default_factory=list)
    took_ms: int = 0
    ended_ns: int = 0
    problem: str = ""  # why nothing was done, if so
    by: str = ""  # who worked: "gateway kill", "control"

    @property
    def clean(self) -> bool:
        """Nothing is left for a person."""
        return self.confirmed and not self.residuals and not self.file_problem and not self.problem

    def as_json(self) -> dict[str, Any]:
        """The fields, for printing."""
        return {**asdict(self), "clean": self.clean}

    def residual_lines(self) -> list[str]:
        """What is left, for a person."""
        return [residual.line() for residual in self.residuals]


def save(state: Path, report: KillReport) -> str:
    """Writes both files, synced; returns what is wrong where it cannot."""
    document = json.dumps(report.as_json())
    try:
        _write(state / REPORT_FILE, document.encode() + b"\n", os.O_TRUNC)
        note(state, {"event": "kill", **report.as_json()})
    except OSError as problem:
        return f"{problem.filename or state}: {problem.strerror}"
    return ""


def hand_over(folder: Path, report: KillReport) -> None:
    """Leaves it in the instance's own folder, in memory, for whoever waits there for the end of the same kill: it gets there
    with a full disk too."""
    with contextlib.suppress(OSError):  # then they do the work again
        _write(folder / REPORT_FILE, json.dumps(report.as_json()).encode() + b"\n", os.O_TRUNC)


def note(state: Path, event: dict[str, Any]) -> None:
    """One more line of the log. Raises OSError."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"time": stamp, "user": os.getuid(), **event})
    _write(state / LOG_FILE, line.encode() + b"\n", os.O_APPEND)


def last(folder: Path) -> dict[str, Any] | None:
    """The last report of a state folder, or of an instance's; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        document = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
        return document if isinstance(document, dict) else None
    return None


def as_report(document: dict[str, Any]) -> KillReport:
    """A report read back. Raises TypeError, KeyError for one of another build."""
    fields = {name: value for name, value in document.items() if name != "clean"}
    return KillReport(**{**fields, "residuals": [Residual(**row) for row in fields["residuals"]]})


def _write(path: Path, data: bytes, how: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    try:
        kill_file.give_to_owner(file, path.parent)
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)
