"""What the numbers in journal.bin stand for: run, strategies, symbols, clock, and in whose name the orders are.

    journal.jsonl   one JSON object a line; each holds from the record it names on, counted from 0

    {"record": 0, "kind": "run", "instance": …, "clock": {ticks_base, ns_base, multiplier}, "strategies": {"0": …}, …}
    {"record": 0, "kind": "clock", "offset_ns": …, "error_us": …, "disciplined": …}       our clock minus the host's
    {"record": 0, "kind": "instrument", "instrument": 13, "symbol": "AAPL"}

Hard rule: a line stands in this file before the first record that needs it stands in the other.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from gateway import clock
from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops.host import clock_state
from gateway.ops.limit_block import EPOCH_SINGLE_NODE, traders
from gateway.sections import PRICE_EXPONENT

CLOCK_INTERVAL_NS = 60_000_000_000
MICROSECOND_NS = 1000


def path_beside(journal: Path) -> Path:
    """Where the context of a journal stands."""
    return journal.with_suffix(".jsonl")


class JournalContext:
    """The writer, beside the one writer of the journal."""

    def __init__(self, journal: Path, instance: Instance):
        """Opens the file behind its last whole line. Raises OSError."""
        self._instance = instance
        self._books: Any = instance.rows("books")
        self._named: set[int] = set()
        self._clock_ns = -CLOCK_INTERVAL_NS  # of the last clock line
        path = path_beside(journal)
        whole = _whole_bytes(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, whole)

    def begin(self, record: int, configuration: Configuration) -> None:
        """A run whose first record is `record`."""
        calibration = self._instance.control[0]["clock"]
        records, session = configuration.records, configuration.session
        self._write(
            record,
            "run",
            instance=self._instance.name,
            process=os.getpid(),
            began=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            clock={name: int(calibration[name]) for name in ("ticks_base", "ns_base", "multiplier")},
            price_exponent=PRICE_EXPONENT,
            site=session.site,
            epoch=EPOCH_SINGLE_NODE,
            capacity=session.capacity,
            carriage=configuration.orders.carriage,
            strategies={str(row): trader.name for row, trader in traders(configuration).items()},
            records=records.model_dump(),
        )

    def note(self, record: int, records: np.ndarray, now_ns: int) -> None:
        """What the next `records`, the first of them number `record`, are in need of."""
        if now_ns - self._clock_ns >= CLOCK_INTERVAL_NS:
            self._clock_ns = now_ns
            self._write(record, "clock", **clock_offset(self._instance))
        for instrument in np.unique(records["intent"]["instrument"]).tolist():
            if instrument not in self._named and instrument < len(self._books):
                symbol = self._books[instrument]["symbol"].decode("ascii", "replace").rstrip()
                if symbol:  # the directory may name it later
                    self._named.add(instrument)
                    self._write(record, "instrument", instrument=instrument, symbol=symbol)

    def _write(self, record: int, kind: str, **said: Any) -> None:
        line = (json.dumps({"record": record, "kind": kind, **said}, ensure_ascii=False) + "\n").encode()
        while line:
            line = line[os.write(self._file, line) :]

    def sync(self) -> None:
        """To the disk."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Closes; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def clock_offset(instance: Instance) -> dict[str, Any]:
    """How far the instance's clock is from the host's, and what is known of the host's: without discipline no error bound.

    offset_ns    the instance's clock minus the host's UTC clock, asked for one after the other
    error_us     bound of the host's own error as the kernel states it (adjtimex, maxerror), null where nothing disciplines
    """
    state = clock_state()
    before = time.time_ns()
    ours = clock.now_ns(instance.clock_address)
    host = (before + time.time_ns()) // 2
    error_us = state.error_us if state.disciplined else None
    return {"offset_ns": ours - host, "error_us": error_us, "disciplined": state.disciplined}


def read_context(journal: Path) -> list[dict[str, Any]]:
    """The lines, in order of their records; what is no line of ours is passed over, and so is a file that is absent."""
    try:
        content = path_beside(journal).read_bytes()
    except OSError:
        return []
    found = []
    for line in content.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("record"), int) and isinstance(row.get("kind"), str):
            found.append(row)
    return sorted(found, key=lambda row: int(row["record"]))


def _whole_bytes(path: Path) -> int:
    """Bytes up to and with the last line end."""
    try:
        return path.read_bytes().rfind(b"\n") + 1
    except FileNotFoundError:
        return 0
