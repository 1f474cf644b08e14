"""Executions as files: our own, so that a restarted link numbers them as before; another region's, so that they can be read.

    executions.bin            16 bytes of the instance's life, then rows of struct link_execution, as they were numbered
    executions-NAME.jsonl     a line per execution of the peer NAME, each once

Hard rule: a stream is asked for behind what its file has, never behind what was heard; what a death cuts off comes again.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.errors import GatewayError
from gateway.link.streams.cursor import Cursor
from gateway.ops.durable_file import make_folder

ROW = layout.dtype("link_execution")
LIFE_BYTES = 16
BUY = layout.value("SIDE_BUY")
Key = tuple[str, int, int, bool]


class OwnExecutions:
    """The numbered executions of one life of the instance."""

    def __init__(self, path: Path, life: bytes):
        """Raises GatewayError when the file cannot be had."""
        self.path = path
        try:
            make_folder(path.parent)
            whole = path.read_bytes() if path.exists() else b""
            same = whole[:LIFE_BYTES] == life
            size = LIFE_BYTES + (len(whole) - LIFE_BYTES) // ROW.itemsize * ROW.itemsize if same else 0
            self.rows = np.frombuffer(whole[LIFE_BYTES:size], ROW) if same else np.zeros(0, ROW)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, size)
            os.lseek(self._file, 0, os.SEEK_END)
            if not same:
                os.write(self._file, life)
        except OSError as problem:
            raise GatewayError(f"{path}: {problem.strerror}; choose another instance.state") from problem

    def append(self, rows: np.ndarray) -> None:
        """Keeps rows in the file."""
        if len(rows):
            os.write(self._file, rows.tobytes())

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class RemoteExecutions:
    """Another region's executions, a line each."""

    def __init__(self, path: Path):
        """Reads what is known already. Raises GatewayError when the file cannot be had."""
        self.path = path
        self._known: set[Key] = set()
        self._last = ("", 0)  # life of the source and number of the newest one
        self.repeated = 0
        self._disk = ThreadPoolExecutor(1, "executions")  # the loop never waits for a disk
        try:
            make_folder(path.parent)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            whole = path.read_bytes()
            end = whole.rfind(b"\n") + 1
            os.ftruncate(self._file, end)
            for line in whole[:end].splitlines():
                row = json.loads(line)
                self._known.add((row["boot"], row["reference"], row["match"], row["broken"]))
                self._last = (row["boot"], row["sequence"])
        except (OSError, ValueError, KeyError) as problem:
            raise GatewayError(f"{path}: {problem}; put it aside and start again") from problem

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known)

    def append(self, rows: np.ndarray, boot_id: bytes) -> int:
        """Writes those that are new, and has the disk take them soon; how many."""
        lines = []
        for row in rows:
            said = line_of(row, boot_id)
            key = (said["boot"], said["reference"], said["match"], said["broken"])
            if key in self._known:
                self.repeated += 1
                continue
            self._known.add(key)
            self._last = (said["boot"], said["sequence"])
            lines.append(json.dumps(said))
        if lines:
            os.write(self._file, ("\n".join(lines) + "\n").encode())
            self._disk.submit(os.fdatasync, self._file)
        return len(lines)

    def cursor(self, node: int) -> Cursor | None:
        """Where to go on behind what the file has."""
        boot, sequence = self._last
        return Cursor(node, bytes.fromhex(boot), sequence + 1) if boot else None

    def close(self) -> None:
        """Syncs and closes the file; a second call does nothing."""
        if self._file >= 0:
            self._disk.shutdown()
            os.close(self._file)
            self._file = -1


def line_of(row: np.void, boot_id: bytes) -> dict[str, Any]:
    """One execution in words."""
    names = ("sequence", "reference", "match", "venue_order_id", "price", "quantity", "time_ns", "time_venue_ns", "position")
    said: dict[str, Any] = {"boot": boot_id.hex(), **{name: int(row[name]) for name in names}}
    said |= {"symbol": row["symbol"].decode("ascii", "replace").rstrip(), "side": "buy" if row["side"] == BUY else "sell"}
    return said | {"strategy": int(row["strategy"]), "broken": bool(row["broken"])}
