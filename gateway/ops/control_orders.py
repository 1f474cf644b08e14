"""What control sends by itself ⑧: cancels, mass cancels and orders that make positions smaller, with core dead or alive.

    gateway kill, control ─► control_io ─► io ─► port          control_session ─► session ─► socket
                  └─► control_record.py: which order and why, first

Hard rule: a reference of control's is above everything that core, the venue or an earlier kill has used; the highest one is
written down before the order is handed over, because the venue ignores what does not rise (OUCH 5.0, 1.2).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gateway import clock, layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.core.order_frames import OrderFrames
from gateway.core.order_packets import OrderPackets
from gateway.instance import Instance, handle_address
from gateway.native import ffi
from gateway.ops import kill_file
from gateway.ops.control_record import Cause, ControlRecord

SLOT_BYTES = layout.size("order_slot")
REFERENCE_MAX = layout.value("ORDER_REFERENCE_MAX")
REFERENCE_GAP = 1024  # what core may have on its way when nobody can ask it
CONTROL_STRATEGY = layout.value("GATE_STRATEGIES") - 1  # the row of the strategies that is control's own
STRATEGY_SHIFT = 32  # of a client order id's number: the strategy stands above the reference
DAY, IMMEDIATE = "0", "3"  # Time In Force, 2.1
SIDES, LIVES = {"B": "buy", "S": "sell"}, {DAY: "day", IMMEDIATE: "ioc"}
REFERENCE_FILE = "control_reference"
Templates = OrderFrames | OrderPackets


class ControlOrders:
    """The one producer of control_io or control_session, for as long as it is open (`control_orders`)."""

    def __init__(self, instance: Instance, frames: Templates, writer: object, record: ControlRecord):
        self.instance, self.frames, self.record = instance, frames, record
        self._writer = writer
        self._path = instance.folder / REFERENCE_FILE
        self._reference = 0
        self.reductions: set[int] = set()  # references of the orders that were handed over

    def waiting(self) -> int:
        """Records in the ring that nobody has taken."""
        return waiting_in(self.instance, self.frames.control_ring)

    def has_room(self) -> bool:
        """Whether the ring takes one more; nobody else fills it."""
        return self.waiting() < int(self.instance.rings[self.frames.control_ring].view("ring_header")[0]["depth"])

    def cancel(self, reference: int) -> bool:
        """Cancels one order; False while the ring is full."""
        if not self.has_room():
            return False
        self.record.write("cancel", reference)
        return self._put(self.frames.cancel(reference), "ORDER_SLOT_CANCEL", reference)

    def other(self, packet: bytes) -> bool:
        """A packet that is no order (a question); False while the ring is full."""
        return self._put(packet, "ORDER_SLOT_OTHER", 0)

    def mass_cancel(self, symbol: str = "", above: int = 0) -> int:
        """Cancels every order of a symbol, or all; its reference, 0 while the ring is full.

        What the venue has not received by then can never be accepted: it takes no reference below this one any more.
        """
        reference = self._next(above) if self.has_room() else 0
        if reference == 0:
            return 0
        self.record.write("mass_cancel", reference, symbol=symbol)
        sent = self._put(self.frames.mass_cancel(reference, symbol), "ORDER_SLOT_CANCEL", reference)
        return reference if sent else 0

    def reduce(
        self,
        side: str,
        quantity: int,
        symbol: str,
        price: int,
        life: str,
        above: int = 0,
        inputs: dict[str, Any] | None = None,
    ) -> int:
        """An order against a position, "B" or "S"; its reference, 0 while the ring is full or no reference is left.

        `inputs` is what it was decided on, for the record.
        """
        reference = self._next(above) if self.has_room() else 0
        if reference == 0:
            return 0
        name = self.frames.client_order_id(reference, CONTROL_STRATEGY)
        terms = {"side": side, "quantity": quantity, "symbol": symbol, "price": price, "time_in_force": life}
        frame = self.frames.reduce(name, user_ref_num=reference, **terms)
        words = {"client_order_id": name, "side": SIDES[side], "time_in_force": LIVES[life]}
        self.record.write("order", reference, **(terms | words), **(inputs or {}))
        if not self._put(frame, "ORDER_SLOT_REDUCE", reference):
            return 0
        self.reductions.add(reference)
        return reference

    def _next(self, above: int) -> int:
        """The next free reference, written down; 0 when there is none."""
        used = int(self.instance.regions["orders"].view("order_table")[0]["next_reference"])
        last = max(used, above) + REFERENCE_GAP if self._reference == 0 else max(self._reference, above)
        reference = max(last, self._written()) + 1
        if reference > REFERENCE_MAX:
            return 0
        self._write(reference)
        self.instance.control[0]["reference_used"] = self._reference = reference
        return reference

    def _written(self) -> int:
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0

    def _write(self, reference: int) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            kill_file.give_to_owner(file, self._path.parent)
            os.pwrite(file, f"{reference:010d}".encode(), 0)
        finally:
            os.close(file)

    def _put(self, frame: bytes, kind: str, reference: int) -> bool:
        data = np.frombuffer(frame, dtype=np.uint8)
        header = ffi.new("struct order_slot *")
        header.size, header.kind, header.reference = len(frame), layout.value(kind), reference
        header.epoch = int(self.instance.control[0]["epoch"])
        header.time_receive_ns = clock.now_ns(self.instance.clock_address)
        header.flags = layout.value("ORDER_SLOT_ENTERS") if kind == "ORDER_SLOT_REDUCE" else 0
        handed = ring.put(handle_address(self._writer), handle_address(header), SLOT_BYTES, address_of(data), len(frame))
        if not handed and reference:
            self.record.write("unsent", reference)
        return bool(handed)


@contextmanager
def control_orders(instance: Instance, frames: Templates, state: Path, cause: Cause) -> Iterator[ControlOrders]:
    """The control ring's one producer: whoever holds its lock. What it sends is written down in the folder `state`."""
    record = ControlRecord(instance, state, cause)
    lock = os.open(instance.folder / f"{frames.control_ring}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        kill_file.give_to_owner(lock, instance.folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield ControlOrders(instance, frames, instance.writer(frames.control_ring), record)
    finally:
        os.close(lock)
        record.close()


def waiting_in(instance: Instance, ring_name: str) -> int:
    """Records in a control ring that nobody has taken."""
    view = instance.rings[ring_name].view("ring_header")[0]
    return int(view["claimed"]) - int(view["cursor"])
