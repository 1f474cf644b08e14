"""What control sends to the venue by itself, written down before it is handed over: which order, and why.

    ControlOrders ─► control_orders.jsonl in the state folder ─► control ring ─► io, session
                         └─ not taken? ─► the same file in the instance's folder, in memory

    {"time": …, "run": …, "time_ns": …, "because": "kill COMMAND", "by": "gateway kill", "latched_ns": …, "kind": "order",
     "reference": …, "side": "sell", "symbol": …, "quantity": …, "price": …, …}
     kind: order, cancel, mass_cancel; unsent: the ring did not take it after all

`run` is the beginning of the instance's clock, as the journal's run has it: references begin anew, this does not.
Hard rule: what cannot be written down is counted and said, and is sent all the same: a full disk closes no position.
"""

import contextlib
import errno
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import clock
from gateway.instance import Instance
from gateway.ops import kill_file

RECORD_FILE = "control_orders.jsonl"
ORDERS_LISTED_MAX = 1000  # of one kill's report; the file has them all


@dataclass(frozen=True)
class Cause:
    """Why control sends by itself: "kill COMMAND", "stop", "found"; `latched_ns` of the kill, `by` whom it is done."""

    because: str
    by: str = "control"
    latched_ns: int = 0


class ControlRecord:
    """One writer's; the files are opened at the first line."""

    def __init__(self, instance: Instance, state: Path, cause: Cause):
        self._instance, self._folders = instance, (state, instance.folder)
        self._head = {"because": cause.because, "by": cause.by, "latched_ns": cause.latched_ns}
        self._run = int(instance.control[0]["clock"]["ns_base"])
        self._files: dict[Path, int] = {}
        self._torn = False
        self.unwritten = 0  # lines that the state folder did not take
        self.problem = ""  # why not, the first time
        self.orders: list[dict[str, Any]] = []  # the last ORDERS_LISTED_MAX

    def write(self, kind: str, reference: int, **facts: Any) -> None:
        """One line, before the message of that reference is handed over. Never raises for what a disk does."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        head = {"time": stamp, "run": self._run, "time_ns": clock.now_ns(self._instance.clock_address), **self._head}
        row = {**head, "kind": kind, "reference": reference, **facts}
        if kind == "order":
            self.orders = [*self.orders, row][-ORDERS_LISTED_MAX:]
        line = json.dumps(row).encode() + b"\n"
        state, memory = self._folders
        try:
            self._append(state, b"\n" + line if self._torn else line)
            self._torn = False
        except OSError as problem:
            self.unwritten += 1
            self.problem = self.problem or f"{state / RECORD_FILE}: {problem.strerror}"
            with contextlib.suppress(OSError):  # it is in the report too
                self._append(memory, line)

    def _append(self, folder: Path, line: bytes) -> None:
        if folder not in self._files:
            self._files[folder] = _opened(folder)
        written = os.write(self._files[folder], line)
        if written < len(line):  # the disk was full in the middle: the next line begins behind the torn one
            self._torn = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Syncs and closes; a second call does nothing."""
        state = self._folders[0]
        for folder, file in self._files.items():
            try:
                os.fdatasync(file)
            except OSError as problem:
                if folder == state:
                    self.problem = self.problem or f"{state / RECORD_FILE}: {problem.strerror}"
            os.close(file)
        self._files.clear()


def _opened(folder: Path) -> int:
    """The file of a folder, open behind its end; a last line that a crash has torn is ended first. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / RECORD_FILE
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        kill_file.give_to_owner(file, folder)
        end = os.fstat(file).st_size
        if end and os.pread(file, 1, end - 1) != b"\n":
            os.write(file, b"\n")
    except OSError:
        os.close(file)
        raise
    return file


def read(*folders: Path) -> list[dict[str, Any]]:
    """The lines of these folders, oldest first; what is no line of ours, or no file, is passed over."""
    found = []
    for folder in folders:
        path = folder / RECORD_FILE
        try:
            content = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        for line in content.splitlines():
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                numbers = ("reference", "time_ns", "run")
                if isinstance(row, dict) and "kind" in row and all(type(row.get(name)) is int for name in numbers):
                    found.append(row)
    return sorted(found, key=lambda row: int(row["time_ns"]))
