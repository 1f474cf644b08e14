"""Our own executions for other regions: details from core_journal as it is written, completeness from the region `fills`.

    core ── core_journal ──► observer ──► rows of struct link_execution, numbered from 1 ──► stream `executions`
       └─── region fills ──► looked through at the start, when the observer was overrun, when the counts differ

Hard rule: every fill of the table is told, once. The journal only says more of it: side, position, the venue's time. What
the observer never saw is told from the tables of fills and orders, with letter 0 and no times.
"""

from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.core.memory import address_of
from gateway.core.ring import drain
from gateway.instance import Instance, handle_address

REPORT = layout.value("JOURNAL_REPORT")
EXECUTED, BROKEN = ord("E"), ord("B")  # OUCH 5.0
SLOT, ROW = layout.dtype("journal_slot"), layout.dtype("link_execution")
LOOK_NS = 1_000_000_000  # between two comparisons of the counts
SETTLE_NS = 200_000_000  # a fill stands in the table before its record is read


class Executions:
    """The executions of this instance, oldest first, each once."""

    def __init__(self, instance: Instance, batch: int = limits.LINK_EXECUTIONS_PER_TURN):
        self._reader: Any = instance.reader("core_journal", reliable=False)
        self._head = instance.rings["core_journal"].view("ring_header")[0]
        claimed, depth = int(self._head["claimed"]), int(self._head["depth"])
        self._reader.position = max(0, claimed - depth // 2)  # what stands there still, with room to read it
        self._slots = np.zeros(batch, SLOT)
        self._table = instance.regions["orders"].view("order_table")[0]
        self._fills, self._orders, self._books = (instance.rows(name) for name in ("fills", "orders", "books"))
        self._told: set[tuple[int, int, bool]] = set()  # reference, match, broken
        self._overrun = claimed > depth // 2
        self._looked_ns = self._differ_ns = 0
        self.sequence = 0  # of the last one
        self.recovered = 0  # told from the table alone
        self._told_fills = 0

    def known(self, rows: np.ndarray) -> None:
        """What was told before this process began, in the same life of the instance."""
        for row in rows:
            self._told.add((int(row["reference"]), int(row["match"]), bool(row["broken"])))
            self._told_fills += not row["broken"]
            self.sequence = int(row["sequence"])

    def take(self, now_ns: int) -> np.ndarray:
        """The next executions (struct link_execution), perhaps none."""
        slots = self._read()
        if not len(slots) and (self._overrun or self._is_short(now_ns)):
            self._overrun = False
            return self._from_table()
        reasons = slots["reasons"]
        fit = (slots["kind"] == REPORT) & ((reasons == EXECUTED) | (reasons == BROKEN)) & (slots["intent"]["quantity"] > 0)
        return self._numbered([self._row_of(slots[index]) for index in np.flatnonzero(fit)])

    def _read(self) -> np.ndarray:
        """Whole records of the journal's ring; none when it ran over us, which the table then makes good."""
        before = int(self._reader.position)
        count = drain(handle_address(self._reader), address_of(self._slots), len(self._slots))
        if int(self._head["claimed"]) > before + int(self._head["depth"]):
            self._reader.position = int(self._head["claimed"]) - int(self._head["depth"]) // 2
            self._overrun = True
            count = 0
        return self._slots[:count]

    def _is_short(self, now_ns: int) -> bool:
        """Whether the table has had more fills than we told of, for longer than a record is on its way."""
        if now_ns - self._looked_ns < SETTLE_NS:
            return False
        self._looked_ns = now_ns
        if int(self._table["fills"]) <= self._told_fills:
            self._differ_ns = 0
        elif not self._differ_ns:
            self._differ_ns = now_ns
        return bool(self._differ_ns) and now_ns - self._differ_ns > LOOK_NS

    def _from_table(self) -> np.ndarray:
        """What the table of fills has and was not told."""
        self._differ_ns = 0
        fills = self._fills[np.flatnonzero(np.array(self._fills["reference"]))]
        rows = []
        for fill in fills[np.lexsort((fills["reference"], fills["match"]))]:
            for broken in (False, True) if fill["broken"] else (False,):
                if (int(fill["reference"]), int(fill["match"]), broken) not in self._told:
                    rows.append(self._row_of_fill(fill, broken))
        self.recovered += len(rows)
        return self._numbered(rows)

    def _row_of(self, slot: np.void) -> np.ndarray:
        row = np.zeros(1, ROW)
        for name in ("reference", "match", "venue_order_id", "price", "quantity", "time_ns", "time_venue_ns", "position"):
            row[name] = slot[name]
        row["broken"], row["letter"] = slot["reasons"] == BROKEN, slot["reasons"]
        return self._named(row, slot["intent"])

    def _row_of_fill(self, fill: np.void, broken: bool) -> np.ndarray:
        row = np.zeros(1, ROW)
        for name in ("reference", "match", "price", "quantity"):
            row[name] = fill[name]
        row["broken"] = broken
        order = self._orders[int(fill["reference"]) % len(self._orders)]
        return self._named(row, order) if order["reference"] == fill["reference"] else row

    def _named(self, row: np.ndarray, order: np.void) -> np.ndarray:
        """What the order says, and the symbol of its instrument."""
        for name in ("side", "instrument", "strategy"):
            row[name] = order[name]
        row["symbol"] = self._books[int(order["instrument"]) % len(self._books)]["symbol"]
        return row

    def _numbered(self, rows: list[np.ndarray]) -> np.ndarray:
        fresh = []
        for row in rows:
            key = (int(row["reference"][0]), int(row["match"][0]), bool(row["broken"][0]))
            if key not in self._told:
                self._told.add(key)
                self._told_fills += not key[2]
                self.sequence += 1
                row["sequence"] = self.sequence
                fresh.append(row)
        return np.concatenate(fresh) if fresh else np.zeros(0, ROW)
