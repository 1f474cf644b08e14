"""One side of the ports benchmark, a process of its own: python -m gateway.ops.bench.port_side SIDE CPU FOLDER.

One JSON line {"do": …} per step comes in on stdin, one JSON line goes out on stdout, runs say {"ready": true} before; the
end of stdin ends it. Hard rule: a run ends by itself after RUN_SECONDS_MAX; whatever was opened dies with the process.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits, pipeline
from gateway.errors import GatewayError
from gateway.instance import Instance
from gateway.native import address, ffi, lib
from gateway.ops.bench import port_wires
from gateway.ops.bench.compiled import load
from gateway.ops.bench.pinning import pinned
from gateway.ops.bench.port_wires import WIRES, Wire
from gateway.ops.bench.quiet_end import quiet_end
from gateway.port import Port, open_port
from gateway.stages import Io

RUN_SECONDS_MAX = 2.0
CALIBRATION_NS = 50_000_000
COST_BURST = 64 * 8  # frames of one load: whole bursts, and less than any ring between the sides holds
SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
RINGS = tuple(ring for ring in pipeline.RINGS if ring.name == "io_core")
REGIONS = tuple(region for region in pipeline.REGIONS if region.name in ("control", "counters"))


def library() -> Any:
    """contenders/port_echo.c with the types of its functions."""
    told = load("port_echo")
    word, place = ctypes.c_int64, ctypes.c_void_p
    types: dict[str, list[Any]] = {
        "ask": [place, word, word, place, word],
        "echo": [place, word, word, word],
        "flood": [place, word, place, word],
        "load": [place, word, word, word],
        "time_stage": [place, place, word, place],
        "time_port": [place, word, place],
        "frame_bytes": [],
    }
    for name, arguments in types.items():
        getattr(told, name).argtypes, getattr(told, name).restype = arguments, word
    told.fill_frame.argtypes, told.fill_frame.restype = [place, ctypes.c_uint64], None
    told.udp_port.argtypes, told.udp_port.restype = [ctypes.c_int, ctypes.c_int], place
    return told


class Side:
    """The open wires of one side and what it can be told to do."""

    def __init__(self, side: int, cpu: int, folder: Path) -> None:
        self.side, self.cpu, self.folder = side, cpu, folder
        self.library = library()
        calibration = ffi.new("struct clock_calibration *")
        lib.clock_calibrate(calibration, CALIBRATION_NS)
        self.ticks_per_second = int(calibration.ticks_per_second)
        self.ports: dict[str, int] = {}  # address of the struct port
        self.kept: list[Any] = []
        self.sockets: dict[str, Any] = {}
        self.stages: dict[str, tuple[Instance, Io]] = {}
        self.real_time = True

    def leave(self) -> dict[str, Any]:
        """Into a namespace of its own."""
        port_wires.leave_namespace()
        return {"pid": os.getpid()}

    def enter(self, pid: int) -> dict[str, Any]:
        """Into the other side's namespace; sockets stay where they were opened."""
        port_wires.enter_namespace(pid)
        return {}

    def lay(self, pid: int) -> dict[str, Any]:
        """Side 0: the links."""
        port_wires.lay_links(pid)
        return {}

    def raise_link(self) -> dict[str, Any]:
        """The sockets' link on this side."""
        port_wires.raise_socket_link(self.side)
        return {}

    def bridge(self) -> dict[str, Any]:
        """Side 0: joins the TAPs."""
        port_wires.bridge_taps()
        return {}

    def open(self, wire: str) -> dict[str, Any]:
        """This side's end of a wire."""
        port = open_port(port_wires.port_of(named(wire), self.side, 0, self.folder))
        self.kept.append(port)
        self.ports[wire] = port.address
        return {}

    def open_socket(self, wire: str, apart: bool) -> dict[str, Any]:
        """This side's socket; the number of its port."""
        self.sockets[wire] = port_wires.open_socket(named(wire), self.side, apart)
        return {"number": self.sockets[wire].getsockname()[1]}

    def connect(self, wire: str, number: int, apart: bool) -> dict[str, Any]:
        """The other side's socket becomes the only peer."""
        self.sockets[wire].connect((port_wires.address_of(1 - self.side, apart), number))
        waits = int(wire == port_wires.UDP_BLOCKING)
        self.ports[wire] = self.library.udp_port(self.sockets[wire].fileno(), waits)
        return {}

    def open_stage(self, wire: str) -> dict[str, Any]:
        """Side 0: an io stage over a second wire of this kind; side 1: the port that loads it."""
        name = port_wires.port_of(named(wire), self.side, 1, self.folder)
        if self.side == 1:
            port: Port = open_port(name)
            self.kept.append(port)
            self.ports[f"{wire}+io"] = port.address
            return {}
        instance = Instance.create(f"{self.folder.name}-{len(self.stages)}", rings=RINGS, regions=REGIONS)
        self.stages[wire] = (instance, Io(instance, [name], order_rings=()))
        instance.populate("io_core")
        return {}

    def _deadline_ticks(self) -> int:
        return int(lib.clock_read_ticks()) + int(self.ticks_per_second * RUN_SECONDS_MAX)

    def ask(self, wire: str, count: int, interval_ns: int) -> dict[str, Any]:
        """Frames one by one, each due an interval after the one before; percentiles in microseconds."""
        ticks = np.zeros(count, np.int64)
        interval = interval_ns * self.ticks_per_second // 1_000_000_000
        done = self.library.ask(self.ports[wire], count, interval, ticks.ctypes.data, self._deadline_ticks())
        micros = ticks[: max(done, 1)] * (1e6 / self.ticks_per_second)
        return {"done": done} | {name: float(np.percentile(micros, share)) for name, share in SHARES.items()}

    def flood(self, wire: str, count: int) -> dict[str, Any]:
        """Frames at full speed; how many came back, millions a second."""
        ticks = np.ones(1, np.int64)
        done = self.library.flood(self.ports[wire], count, ticks.ctypes.data, self._deadline_ticks())
        return {"done": done, "rate": done / (int(ticks[0]) / self.ticks_per_second) / 1e6}

    def echo(self, wire: str, count: int, burst: int) -> dict[str, Any]:
        """Sends back what comes."""
        return {"done": self.library.echo(self.ports[wire], count, burst, self._deadline_ticks())}

    def load(self, wire: str, number: int) -> dict[str, Any]:
        """Side 1: one burst for the other side's io stage."""
        return {"done": self.library.load(self.ports[f"{wire}+io"], number, COST_BURST, self._deadline_ticks())}

    def cost(self, wire: str, number: int, bare: bool) -> dict[str, Any]:
        """Side 0: thread time of taking one load, by the io stage or by the bare port; whether every byte was right."""
        instance, io = self.stages[wire]
        work = np.zeros(1, np.int64)
        turns = COST_BURST // lib.PORT_BURST_MAX
        if bare:
            port = address(ffi.addressof(io.io, "ports"))
            ns = self.library.time_port(port, turns, work.ctypes.data)
            return {"ns": ns, "done": int(work[0])}
        stage = io.stage()
        ns = self.library.time_stage(stage.step, stage.context, turns, work.ctypes.data)
        return {"ns": ns, "done": self._published(instance, number) if int(work[0]) == COST_BURST else int(work[0])}

    def _published(self, instance: Instance, number: int) -> int:
        """Plays core: compares the frames in io_core with those that were sent, and gives the slots back."""
        mapping = instance.rings["io_core"]
        header = mapping.view("ring_header")[0]
        first, last = int(header["cursor"]), int(header["claimed"])
        slots = mapping.bytes[layout.size("ring_header") :].reshape(limits.FRAME_RING_DEPTH, limits.FRAME_SLOT_BYTES)
        begin, size = layout.size("frame_slot"), int(self.library.frame_bytes())
        expected = np.zeros(size, np.uint8)
        right = 0
        for position in range(first, last):
            self.library.fill_frame(expected.ctypes.data, number + position - first)
            right += bool((slots[position % limits.FRAME_RING_DEPTH, begin : begin + size] == expected).all())
        header["cursor"] = last
        return right

    def close(self) -> None:
        """Removes what would outlive the process."""
        for instance, io in self.stages.values():
            io.close()
            instance.close(remove=True)
        for port in self.kept:
            port.close()


def named(wire: str) -> Wire:
    """A row of WIRES."""
    return next(row for row in WIRES if row.name == wire)


RUNS = ("ask", "flood", "echo", "load", "cost")


def serve(side: Side, order: dict[str, Any]) -> dict[str, Any]:
    """One step; a run is pinned, and real-time where that is permitted."""
    do = order.pop("do")
    if do not in RUNS:
        return dict(getattr(side, do)(**order))
    print(json.dumps({"ready": True}), flush=True)
    with pinned(side.cpu) as real_time:
        told = dict(getattr(side, do)(**order))
    return told | {"real_time": real_time}


def answer(side: Side, line: str) -> dict[str, Any]:
    """What a step gave, or why it could not be."""
    try:
        return serve(side, json.loads(line))
    except GatewayError as problem:
        return {"error": str(problem)}


def main() -> None:
    """Serves steps until stdin ends."""
    side = Side(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps({"ticks_per_second": side.ticks_per_second}), flush=True)
    try:
        with quiet_end():
            for line in sys.stdin:
                print(json.dumps(answer(side, line)), flush=True)
    finally:
        side.close()


if __name__ == "__main__":
    main()
