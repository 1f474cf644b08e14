"""An io stage on a pair port with the test at the other end: what several tests build on."""

import itertools
import os
from contextlib import contextmanager

import numpy as np

from gateway import layout
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.instance import Instance, handle_address
from gateway.native import ffi
from gateway.port import open_port
from gateway.stages import Io, Placement, run_loop

_numbers = itertools.count()


def unique_name(stem: str) -> str:
    """A name no other test process uses."""
    return f"test-{stem}-{os.getpid()}-{next(_numbers)}"


class IoBench:
    """The stage, its instance, the peer port, and a producer on core_io and control_io."""

    def __init__(self, instance, io, peer):
        self.instance, self.io, self.peer = instance, io, peer
        self.reader = instance.reader("io_core")
        self.writers = {name: instance.writer(name) for name in ("core_io", "control_io")}
        instance.control[0]["epoch"] = 1

    def order(self, frame, kind="ORDER_SLOT_NEW", epoch=1, reference=7, time_ns=None, to="core_io"):
        header = ffi.new("struct order_slot *")
        header.size, header.kind, header.epoch, header.reference = len(frame), layout.value(kind), epoch, reference
        header.time_receive_ns = self.now_ns() if time_ns is None else time_ns
        data = np.frombuffer(frame, dtype=np.uint8)
        header_bytes = layout.size("order_slot")
        args = handle_address(self.writers[to]), handle_address(header), header_bytes, address_of(data), len(frame)
        return bool(ring.put(*args))

    def now_ns(self):
        from gateway import clock

        return clock.now_ns(self.instance.clock_address)

    def turns(self, count=8):
        return run_loop(self.instance, [self.io.stage()], Placement("PROCESS_IO", idle="spin", turns_max=count))

    def records(self, limit=4096):
        """Records of io_core as (flags, payload bytes, time_ns), acknowledged."""
        slot_bytes = int(self.reader.slot_bytes)
        target = np.zeros(limit * slot_bytes, dtype=np.uint8)
        count = ring.drain(handle_address(self.reader), address_of(target), limit)
        ring.acknowledge_drained(handle_address(self.reader))
        rows = []
        for index in range(count):
            slot = target[index * slot_bytes : (index + 1) * slot_bytes]
            head = slot[: layout.size("frame_slot")].view(layout.dtype("frame_slot"))[0]
            payload = slot[layout.size("frame_slot") :][: int(head["size"])].tobytes()
            rows.append((int(head["flags"]), payload, int(head["time_receive_ns"])))
        return rows

    def received(self):
        return [frame.data for frame in self.peer.receive() or []]

    @property
    def counters(self):
        return self.instance.counters[0]["io"]


@contextmanager
def io_bench(**options):
    """An IoBench that leaves nothing behind."""
    name = unique_name("io")
    instance = Instance.create(name)
    try:
        io = Io(instance, [f"pair:{name}"], **options)
        peer = open_port(f"pair:{name},side=b")
        try:
            yield IoBench(instance, io, peer)
        finally:
            io.close()
            peer.close()
    finally:
        instance.close(remove=True)
