"""The kill switch: latch, then file, then cancel every open order, then say what is left.

    latch (shared memory) ─► io refuses every new order     file (synced) ─► no restart
    open orders ─► ring control_io ─► io ─► port             core is not needed; an io that hangs is replaced
    the same for orders over TCP: ring control_session ─► session ─► socket, in `io` below too

Hard rule: the latch is set before anything that can fail.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gateway import clock, layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.core.order_frames import OrderFrames
from gateway.core.order_packets import OrderPackets
from gateway.core.orders import open_references
from gateway.instance import Instance, handle_address
from gateway.native import ffi, lib
from gateway.ops import kill_file
from gateway.ops.rescue import is_silent, working_sender

CONFIRM_SECONDS = 5.0  # cancels are out and confirmed within this, or named
POLL_SECONDS = 0.005
SLOT_BYTES = layout.size("order_slot")
COUNTERS = {"PROCESS_IO": "counters", "PROCESS_SESSION": "session_counters"}  # region of who sends
Templates = OrderFrames | OrderPackets


@dataclass
class KillReport:
    """What a kill found and did; times in ns by the instance's clock."""

    reason: str = ""
    latched_ns: int = 0
    latch_took_ns: int = 0
    open_before: int = 0
    cancels_sent: int = 0
    cancels_unsent: int = 0
    orders_blocked: int = 0
    still_open: list[int] = field(default_factory=list)
    confirmed: bool = False
    core_alive: bool = True
    io_replaced: bool = False  # io was silent: ended, and a fresh one sent the cancels
    cancels_waiting: int = 0  # no io took them
    file_problem: str = ""  # why the latch could not be written down, if so: it dies with the instance

    def as_json(self) -> dict[str, object]:
        """The fields, for printing."""
        return dict(self.__dict__)


def latch(instance: Instance, reason: str) -> int:
    """Sets the latch in shared memory; returns the reason now in force (the first one stays)."""
    control = ffi.cast("struct control_block *", instance.address("control"))
    return int(lib.control_kill(control, layout.value(reason)))


def kill(instance: Instance, state: Path, frames: Templates, reason: str = "KILL_COMMAND") -> KillReport:
    """Latches, makes the latch last, cancels everything open and reports. Works with core or io stopped or gone."""
    report = KillReport()
    began = clock.monotonic_ns()
    in_force = latch(instance, reason)
    report.latch_took_ns = clock.monotonic_ns() - began
    report.latched_ns = int(instance.control[0]["kill_time_ns"])
    report.reason = layout.names("kill_reason", "KILL_")[in_force]
    try:
        kill_file.set_latch(state, report.reason)
    except OSError as problem:  # what is open is cancelled all the same
        report.file_problem = f"{problem.filename or state}: {problem.strerror}"
    for _ in range(2):  # io may fall silent on the way
        report.io_replaced |= is_silent(instance, frames.process)
        with working_sender(instance, frames.process):
            cancel_all(instance, frames, report)
        report.cancels_waiting = _waiting(instance, frames.control_ring)
        if report.cancels_waiting == 0:
            break
    sender = instance.regions[COUNTERS[frames.process]].view("counters")[0]["io"]
    report.orders_blocked = int(sender["orders_blocked_kill"])
    return report


def cancel_all(
    instance: Instance,
    frames: Templates,
    report: KillReport,
    seconds: float = CONFIRM_SECONDS,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Cancels every open order through the control ring and waits until none is open or `seconds` are over.

    `waiting` is called meanwhile: who supervises goes on giving signs of life. A new connection is asked anew: what the
    one before took may have gone down with it.
    """
    deadline = time.monotonic() + seconds
    asked: set[int] = set()
    connection = int(instance.control[0]["session_connection"])
    with control_ring(instance, frames.control_ring) as writer:
        while True:
            if (now := int(instance.control[0]["session_connection"])) not in (0, connection):
                connection = now
                asked.clear()
            references = open_references(instance.rows("orders"))
            report.open_before = max(report.open_before, len(references))
            for reference in references:
                if reference not in asked and _send(writer, frames.cancel(reference), reference):
                    asked.add(reference)
            report.still_open = references
            report.core_alive = core_is_alive(instance)
            if not references or time.monotonic() > deadline or (not report.core_alive and asked.issuperset(references)):
                break
            waiting()
            time.sleep(POLL_SECONDS)
    report.cancels_sent = len(asked)
    report.cancels_unsent = len(set(report.still_open) - asked)
    report.confirmed = not report.still_open
    _wait_until_taken(instance, frames.control_ring, deadline, waiting)


def core_is_alive(instance: Instance) -> bool:
    """Whether the loop that runs core shows signs of life; a stopped process does not, and confirms nothing."""
    core = instance.control[0]["heartbeats"][layout.value("PROCESS_CORE")]
    apart = core["state"] != layout.value("PROCESS_ABSENT")
    return not is_silent(instance, "PROCESS_CORE" if apart else "PROCESS_IO")


@contextmanager
def control_ring(instance: Instance, name: str) -> Iterator[object]:
    """The writer of control_io or control_session: whoever holds the lock is its one producer."""
    lock = os.open(instance.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        kill_file.give_to_owner(lock, instance.folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield instance.writer(name)
    finally:
        os.close(lock)


def _send(writer: object, frame: bytes, reference: int) -> bool:
    """Puts one cancel into the control ring; False while it is full."""
    data = np.frombuffer(frame, dtype=np.uint8)
    header = ffi.new("struct order_slot *")
    header.size, header.kind, header.reference = len(frame), layout.value("ORDER_SLOT_CANCEL"), reference
    return bool(ring.put(handle_address(writer), handle_address(header), SLOT_BYTES, address_of(data), len(frame)))


def _waiting(instance: Instance, ring_name: str) -> int:
    """Cancels in the control ring that nobody has taken."""
    view = instance.rings[ring_name].view("ring_header")[0]
    return int(view["claimed"]) - int(view["cursor"])


def _wait_until_taken(instance: Instance, ring_name: str, deadline: float, waiting: Callable[[], None]) -> bool:
    """Until every cancel was taken off the ring (True), or the deadline."""
    while _waiting(instance, ring_name) > 0:
        if time.monotonic() > deadline:
            return False
        waiting()
        time.sleep(POLL_SECONDS)
    return True
