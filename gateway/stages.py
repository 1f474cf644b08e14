"""Puts stages into run loops: the io stage over its ports, and any list of step functions on one CPU.

Used by whatever has a port and a step: the appliance, a replay, the simulated venue.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.errors import GatewayError, PortError
from gateway.instance import Instance
from gateway.native import ffi, lib, text
from gateway.port import open_error

TIME_INTERVAL_NS = 1_000_000  # a quiet port tells core the time this often
ENDS = {0: "stopped", 1: "finished", 2: "turns"}


@dataclass
class Stage:
    """A step function with its context; `keep` holds what the context points into."""

    step: int
    context: int
    keep: list[Any] = field(default_factory=list)
    housekeep: int = 0


class Io:
    """The io stage: one port (or two), ring io_core, rings core_io and control_io."""

    def __init__(
        self,
        instance: Instance,
        ports: list[str],
        order_age_max_ns: int = limits.ORDER_AGE_MAX_NS,
        order_rings: tuple[str, ...] = ("core_io", "control_io"),
        burst: int = lib.PORT_BURST_MAX,
    ):
        if not 1 <= len(ports) <= lib.IO_PORTS_MAX:
            raise PortError(f"an io stage has 1 to {lib.IO_PORTS_MAX} ports, not {len(ports)}")
        self.io = ffi.new("struct io *")
        self.beside: Any = None  # what was opened beside the ports and closes before them
        self.instance = instance
        self._clock = ffi.cast("struct clock_calibration *", instance.clock_address)
        for name in ports:
            self._open(name)
        self.io.frames = instance.writer("io_core")[0]
        if "io_recorder" in instance.rings:
            self.io.notes = instance.writer("io_recorder")[0]
        for ring in order_rings:
            self.io.orders[self.io.order_ring_count] = instance.reader(ring)[0]
            self.io.order_ring_count += 1
        self.io.control = ffi.cast("struct control_block *", instance.address("control"))
        self.io.counters = ffi.cast("struct counters *", instance.address("counters"))
        self.io.order_age_max_ns = order_age_max_ns
        self.io.burst = burst
        self._describe()
        if not self.patient:
            per_second = int(instance.control[0]["clock"]["ticks_per_second"])
            self.io.time_interval_ticks = per_second * TIME_INTERVAL_NS // 1_000_000_000

    def _open(self, name: str) -> None:
        error = ffi.new("char[]", lib.PORT_ERROR_BYTES)
        outcome = lib.port_open(self.io.ports + self.io.port_count, name.encode(), self._clock, error)
        if outcome != 0:
            self.close()
            raise open_error(outcome, text(error))
        self.io.port_count += 1

    def follow(self, destinations: list[tuple[int, int]]) -> None:
        """Tells the ports what core follows, (address in host order, UDP port), so that a device may sort by it."""
        rows = [address << 16 | port for address, port in destinations]
        for index in range(self.io.port_count):
            lib.port_follow(self.io.ports + index, ffi.new("uint64_t[]", rows), len(rows))
        self._describe()

    def _describe(self) -> None:
        """Leaves in shared memory how the first port was set up, for everybody who looks."""
        words = ffi.new("char[]", lib.PORT_TEXT_BYTES)
        lib.port_describe(self.io.ports, words)
        self.instance.counters[0]["port"][:] = np.frombuffer(ffi.buffer(words), np.uint8)

    @property
    def patient(self) -> bool:
        """Whether the input waits for us (a capture)."""
        return bool(self.io.ports[0].operations.patient)

    def stage(self) -> Stage:
        """The C step over this context."""
        context = int(ffi.cast("uintptr_t", self.io))
        return Stage(lib.io_step_address(), context, [self], lib.io_housekeep_address())

    def close(self) -> None:
        """Closes the ports, and first what stands beside them."""
        if self.beside is not None:
            self.beside.close()
            self.beside = None
        for index in range(self.io.port_count):
            lib.port_close(self.io.ports + index)
            if lost := int(self.io.ports[index].buffers_lost):
                print(f"gateway: the driver kept {lost} packet buffers", file=sys.stderr, flush=True)
        self.io.port_count = 0


@dataclass(frozen=True)
class Placement:
    """Where and how a loop runs."""

    process: str  # PROCESS_… whose heartbeat it writes
    cpu: int = -1
    idle: str = "yield"
    sleep_ns: int = 50_000
    turns_max: int = 0
    watches: tuple[tuple[str, str, int], ...] = ()  # (PROCESS_…, KILL_…, timeout_ns)
    notify_socket: int = -1  # of the service manager; -1: there is none
    notify_interval_ns: int = 0


IDLE = {"spin": "LOOP_SPIN", "yield": "LOOP_YIELD", "sleep": "LOOP_SLEEP"}
HOUSEKEEPING_TURNS = 4096
TURNS_IDLE = 64


def run_loop(instance: Instance, stages: list[Stage], placement: Placement) -> str:
    """Runs stages on this thread, without the GIL, until stopped or finished; returns how it ended ('stopped', …)."""
    loop = ffi.new("struct loop *")
    for stage in stages:
        row = loop.stages[loop.stage_count]
        row.step = ffi.cast("int64_t(*)(void *)", stage.step)
        row.context = ffi.cast("void *", stage.context)
        loop.stage_count += 1
    loop.idle = layout.value(IDLE[placement.idle])
    loop.sleep_ns = placement.sleep_ns
    loop.turns_idle = TURNS_IDLE
    loop.housekeeping_turns = HOUSEKEEPING_TURNS
    loop.process = layout.value(placement.process)
    loop.cpu = placement.cpu
    loop.turns_max = placement.turns_max
    loop.control = ffi.cast("struct control_block *", instance.address("control"))
    if stages[0].housekeep:
        loop.housekeep = ffi.cast("void(*)(void *)", stages[0].housekeep)
    for process, reason, timeout_ns in placement.watches:
        watch = loop.watches[loop.watch_count]
        watch.process, watch.kill_reason, watch.timeout_ns = layout.value(process), layout.value(reason), timeout_ns
        loop.watch_count += 1
    loop.notify_socket, loop.notify_interval_ns = placement.notify_socket, placement.notify_interval_ns
    end = lib.loop_run(loop)
    if end < 0:
        raise GatewayError(f"the {placement.process} loop cannot be pinned to CPU {placement.cpu} (errno {-end})")
    return ENDS[end]
