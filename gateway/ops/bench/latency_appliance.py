"""The appliance of the latency benchmark: io and core in one loop on one CPU, over one port after another.

    io ► core ► io     as `gateway run` with [placement] together: the same stages, the same loop
    end                a third stage, which leaves the loop when the run's last packet has been worked off

Hard rule: what is timed is the appliance as it is. Stamps are put only around what it calls through an address (its port,
its decoder, its strategy), for runs of their own. What it makes it removes.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.config import Configuration
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.instance import Instance
from gateway.native import address, ffi, lib
from gateway.ops.appliance import CoreStage
from gateway.ops.bench.corridor import configuration_of
from gateway.ops.bench.latency_library import STAMPS, End, Stamps, address_of_function, library
from gateway.ops.bench.pinning import pinned
from gateway.ops.limit_block import prepare_account
from gateway.ops.process import POPULATED
from gateway.stages import Io, Placement, Stage, run_loop

STRATEGY = Path(__file__).with_name("latency_echo.py")
ROWS_MAX = 1 << 16
GIVEN_BACK = 2048  # records of one batch: less than io_core holds
UNKNOWN_MS = 60_000


def settings(name: str) -> Configuration:
    """An appliance that answers every add."""
    return configuration_of(name, STRATEGY, {"reconciliation.unknown_ms": UNKNOWN_MS})


class HeldIo(Io):
    """The io stage over ports that somebody else has opened and closes."""

    def __init__(self, instance: Instance, port: int) -> None:
        super().__init__(instance, [str(port)])

    def _open(self, name: str) -> None:
        self.use(int(name))

    def use(self, port: int) -> None:
        """From now on the struct port at this address."""
        self.io.ports[0] = ffi.cast("struct port *", port)[0]
        self.io.port_count = 1

    def close(self) -> None:
        """The ports stay open."""
        self.io.port_count = 0


class Appliance:
    """One short-lived instance; `run` is one run over one port."""

    def __init__(self, name: str, cpu: int, port: int, seconds_max: float) -> None:
        self.cpu, self.seconds_max, self.real_time = cpu, seconds_max, True
        self.instance = Instance.create(name)
        try:
            self._set_up(name, port)
        except BaseException:  # also when it is interrupted: kernels may compile for a minute
            self.close()
            raise

    def _set_up(self, name: str, port: int) -> None:
        configuration = settings(name)
        prepare_account(self.instance, configuration)
        self.core = CoreStage(self.instance, configuration)
        self.io = HeldIo(self.instance, port)
        self.instance.populate(*POPULATED["io"], *POPULATED["core"])
        self.decoder, self.strategy = int(self.core.channels.decoder["function"][0]), int(self.core.core.strategy)
        self.rows = np.zeros((ROWS_MAX, STAMPS), np.int64)
        self.stamps: Stamps = library().stamps_of_process().contents
        self.stamps.rows, self.stamps.rows_max = address_of(self.rows), ROWS_MAX
        self.end = End()

    def declined(self) -> int:
        """Adds that the strategy has not answered so far."""
        return int(self.core.strategy.state["declined"][0])

    def run(self, port: int, ready: bytes, packets: int, stamped: bool) -> dict[str, Any]:
        """One run: says `ready` from inside its loop, ends when `packets` more of the feed are worked off, or in time."""
        core, io = self.instance.counters[0]["core"], self.instance.counters[0]["io"]
        before = self.declined(), int(core["orders_sent"]), int(io["orders_transmitted"]), int(core["packets"])
        first = self._next_reference()
        self.io.use(port)
        self._stamp(stamped)
        self.end.port, self.end.ready, self.end.ready_bytes = port, ready, len(ready)
        self._turn(before[3] + packets)
        told = {
            "packets": int(core["packets"]) - before[3],
            "declined": self.declined() - before[0],
            "sent": int(core["orders_sent"]) - before[1],
            "transmitted": int(io["orders_transmitted"]) - before[2],
            "refused": int(self.instance.regions["gate"].view("gate_account")[0]["rejects"].sum()),
            "gaps": int(core["gaps"]),
        }
        self._stamp(False)
        self._give_back(first, self._next_reference())
        return told

    def _stamp(self, wanted: bool) -> None:
        """Stamps around the port, the decoder and the strategy, or none."""
        places = np.array([self.decoder, self.strategy], np.uint64)
        if wanted:
            self.stamps.row_count = self.stamps.mixed = 0
            library().stamps_around(address(self.io.io.ports), self.decoder, self.strategy, address_of(places))
        gate_end = ctypes.addressof(self.stamps) + Stamps.gate_end.offset
        self.core.path.path["passed_ticks"] = gate_end if wanted else 0
        self.core.channels.decoder["function"] = places[0]
        self.core.core.strategy = int(places[1])

    def spans(self) -> np.ndarray:
        """What the last stamped run kept: ticks between one stamp and the next, a row for each order."""
        return np.diff(self.rows[: int(self.stamps.row_count)], axis=1)

    def _turn(self, until: int) -> None:
        control = self.instance.control[0]
        control["stop"] = 0
        per_second = int(control["clock"]["ticks_per_second"])
        packets = layout.offsets("counters").core + layout.offsets("core_counters").packets
        self.end.packets = self.instance.address("counters") + packets
        self.end.stop = self.instance.address("control") + layout.offsets("control_block").stop
        self.end.until, self.end.turns = until, 0
        self.end.budget_ticks = int(per_second * self.seconds_max)
        end = Stage(address_of_function("end_step"), ctypes.addressof(self.end))
        placement = Placement("PROCESS_IO", cpu=self.cpu, idle="spin")
        with pinned(self.cpu) as real_time:
            run_loop(self.instance, [self.io.stage(), self.core.stage(), end], placement)
        self.real_time &= real_time

    def _next_reference(self) -> int:
        return int(self.instance.regions["orders"].view("order_table")[0]["next_reference"])

    def _give_back(self, first: int, last: int) -> None:
        """Plays io that could not send: core closes every order of the run by itself, and the tables stay as they were."""
        header = np.zeros(1, layout.dtype("frame_slot"))
        refusal = np.zeros(1, layout.dtype("order_refusal"))
        header["flags"], header["size"] = layout.value("FRAME_ORDER_REFUSED"), layout.size("order_refusal")
        refusal["reason"] = layout.value("REFUSAL_PORT")
        writer = address(ffi.addressof(self.io.io, "frames"))
        step = ffi.cast("int64_t (*)(int64_t)", self.core.step.address)
        for reference in range(first, last):
            header["time_receive_ns"] = lib.clock_read_ns(
                ffi.cast("struct clock_calibration *", self.instance.clock_address)
            )
            refusal["reference"] = reference
            sizes = layout.size("frame_slot"), layout.size("order_refusal")
            ring.put(writer, address_of(header), sizes[0], address_of(refusal), sizes[1])
            if reference % GIVEN_BACK == 0 or reference == last - 1:
                while step(self.core.stage().context) > 0:
                    pass
        journal = self.instance.rings["core_journal"].view("ring_header")[0]
        journal["cursor"] = journal["claimed"]  # plays the journal's reader

    def close(self) -> None:
        """Removes what is shared."""
        self.instance.close(remove=True)


assert GIVEN_BACK < limits.FRAME_RING_DEPTH
