"""Puts together struct order_path: the one base pointer that gate ⑦, submit ⑧ and reports share. Off the hot path.

Hard rule: everything that must outlive a core lies in the regions named here; this struct itself is only addresses.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway import layout
from gateway.core.adoption import make_adoption
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError
from gateway.native import at


@dataclass(frozen=True)
class OrderPath:
    """`address` is a struct order_path, `intents_address` its struct intents. Keep the object alive as long as both."""

    path: np.ndarray
    intents: np.ndarray
    keep: tuple[Any, ...]

    @property
    def address(self) -> int:
        """Address of the struct order_path."""
        return address_of(self.path)

    @property
    def intents_address(self) -> int:
        """Address of the struct intents a strategy fills."""
        return address_of(self.intents)


def make_order_path(
    *,
    gate: int,
    books: int,
    control: int,
    orders: int,
    fills: int,
    core_io: int,
    journal: int,
    counters: int,
    frames: int,
    epoch: int,
    instruments: int,
    orders_rows: int,
    fills_rows: int,
    holdings: int,
    windows: int,
    recent: int,
    recent_lines: int,
    executions: int,
    strategy: int = 0,
    requests_out: int = 0,
    gate_view: int = 0,
    orders_view: int = 0,
    adoption: int = 0,
    keep: tuple[Any, ...] = (),
) -> OrderPath:
    """The path over regions that exist already; every argument but the counts is an address.

    holdings  struct gate_holding rows, strategies times instruments    windows  struct gate_window row 0
    recent    struct gate_recent lines                                  executions   struct gate_executions per strategy
    gate      struct gate_account, struct gate_row rows behind it      books    struct book row 0
    orders    struct order_table, struct order rows behind it          fills    struct fill row 0
    core_io, journal   struct ring_writer of the orders and of core_journal   counters struct core_counters
    requests_out       struct ring_writer of core_io; 0: that of the orders
    frames    struct order_template                                    control  struct control_block
    adoption  struct adoption; 0: one in which every instrument is named and no order ages
    gate_view, orders_view   what a strategy reads instead of gate and orders: read-only mappings of the same files
    """
    _require_powers(orders=orders_rows, fills=fills_rows, recent=recent_lines)
    if adoption == 0:
        own = np.array([instruments], dtype=np.uint64)
        record, kept = make_adoption(books_used=address_of(own), unknown_ns=0, cancel_found=False)
        adoption, keep = address_of(record), (*keep, own, record, *kept)
    path = np.zeros(1, dtype=layout.dtype("order_path"))
    intents = np.zeros(1, dtype=layout.dtype("intents"))
    table: Any = at(orders, "struct order_table *")
    table.next_reference = max(1, table.next_reference)
    same_name = {"books": books, "instruments": instruments, "control": control, "epoch": epoch, "core_io": core_io}
    same_name |= {"journal": journal, "fills": fills, "counters": counters, "frames": frames, "holdings": holdings}
    same_name |= {"windows": windows, "recent": recent, "executions": executions, "adoption": adoption}
    given = same_name | {
        "account": gate,
        "rows": gate + layout.size("gate_account"),
        "intents": address_of(intents),
        "table": orders,
        "orders": orders + layout.size("order_table"),
        "orders_mask": orders_rows - 1,
        "fills_mask": fills_rows - 1,
        "requests_out": requests_out or core_io,
        "recent_mask": recent_lines - 1,
    }
    for name, number in given.items():
        path[name] = number
    intents["table"] = (orders_view or orders) + layout.size("order_table")
    intents["gate"] = (gate_view or gate) + layout.size("gate_account")
    intents["orders_mask"], intents["instruments"] = given["orders_mask"], instruments
    intents["next_reference"], intents["strategy"] = table.next_reference, strategy
    return OrderPath(path, intents, keep)


def _require_powers(**rows: int) -> None:
    """A row of these tables is found by the low bits of a number."""
    for name, count in rows.items():
        if count < 2 or count & (count - 1):
            raise ConfigurationError(f"the table of {name} has {count} rows; give it a power of two")
