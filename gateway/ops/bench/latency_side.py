"""One end of a latency run, a process of its own: python -m gateway.ops.bench.latency_side SIDE CPU FOLDER.

    side 0   answers: the echo, or the appliance                  side 1   the venue: sends, and alone takes the time

One JSON line {"do": …} per step comes in on stdin, one JSON line goes out on stdout; the end of stdin ends it. Side 0 says
one line for each run that it has answered. Hard rule: a run ends by itself after RUN_SECONDS_MAX.
"""

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gateway import kernel_cache
from gateway.core.memory import address_of
from gateway.errors import CapabilityError, GatewayError, PortError
from gateway.native import ffi, lib
from gateway.ops.bench import port_wires
from gateway.ops.bench.latency_appliance import Appliance, settings
from gateway.ops.bench.latency_frames import TAGS, Batch, OrderShape, session_word, stream, take
from gateway.ops.bench.latency_hail import ECHO, END, REFUSED, STAMPED, Hail, NotServed, heard
from gateway.ops.bench.latency_library import Probe, library
from gateway.ops.bench.pinning import pinned
from gateway.ops.bench.port_side import Side, named
from gateway.ops.bench.quiet_end import quiet_end
from gateway.ops.exception import lines_of, ours_of
from gateway.port import Port, open_port

SEED = 20260
RUN_SECONDS_MAX = 0.8
PATIENCE_S = 0.02  # for the last orders of a run, when they are missing
HAIL_S, LISTEN_S, FAREWELLS = 0.05, 0.0005, 3
READY_S = 60.0  # for the other side to be there
STAMP_LOOPS = 1000


class LatencySide(Side):
    """What both ends have: wires, sockets behind the contract of a port, and the frames hails are made like."""

    def __init__(self, side: int, cpu: int, folder: Path) -> None:
        super().__init__(side, cpu, folder)
        self.measures = library()  # compiled here, not when a run's time has begun
        self.configuration = settings(folder.name)
        self.shape = OrderShape.of(self.configuration)
        self.market = next(stream(SEED))[0]
        self._frames = ffi.new("struct port_frame[]", lib.PORT_BURST_MAX)

    def connect(self, wire: str, number: int, apart: bool) -> dict[str, Any]:
        """The other side's socket becomes the only peer."""
        self.sockets[wire].connect((port_wires.address_of(1 - self.side, apart), number))
        header = self.market if self.side == 0 else self.shape.template
        self.ports[wire] = self.measures.socket_port(self.sockets[wire].fileno(), header)
        return {}

    def open(self, wire: str) -> dict[str, Any]:
        """This side's end of a wire of ours."""
        return self.open_named(wire, port_wires.port_of(named(wire), self.side, 0, self.folder))

    def open_named(self, wire: str, port: str) -> dict[str, Any]:
        """Any port, as this side's end."""
        opened: Port = open_port(port)
        opened.follow([*lines_of(self.configuration), *ours_of(self.configuration)])
        self.kept.append(opened)
        self.ports[wire] = opened.address
        return {}

    def listen(self, wire: str) -> Hail | None:
        """A hail that has come, if one has; whatever else lies in the port is gone."""
        port = ffi.cast("struct port *", self.ports[wire])
        found = None
        count = port.operations.receive(port, self._frames, lib.PORT_BURST_MAX)
        if count < 0:
            raise PortError(f"{wire}: nothing will ever come again over this port; name an interface")
        for frame in self._frames[0:count]:
            found = heard(bytes(ffi.buffer(frame.data, frame.size))) or found
        if count > 0:
            port.operations.release(port)
        return found

    def say(self, wire: str, frame: bytes) -> None:
        """One frame; a full port loses it, and whoever hails does so again."""
        port = ffi.cast("struct port *", self.ports[wire])
        data = ffi.from_buffer("uint8_t[]", frame)
        record = ffi.new("struct port_frame *", {"data": data, "size": len(frame), "size_wire": len(frame)})
        port.operations.transmit(port, record, 1)


class AnsweringSide(LatencySide):
    """Side 0. The appliance is made when the first run asks for it, unless there is to be none."""

    def __init__(self, side: int, cpu: int, folder: Path) -> None:
        super().__init__(side, cpu, folder)
        self.appliance: Appliance | None = None

    def prepare(self, wire: str) -> dict[str, Any]:
        """Makes the appliance: its kernels compile here, not while somebody waits."""
        self.appliance = Appliance(self.folder.name, self.cpu, self.ports[wire], RUN_SECONDS_MAX)
        return {}

    def answer(self, ended: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Runs that are hailed for, over any wire, until `ended`."""
        while not ended():
            for wire in self.ports:
                hail = self.listen(wire)
                if hail is not None and hail.mode == END:
                    return
                if hail is not None:
                    yield self._serve(wire, hail)
            time.sleep(LISTEN_S)

    def _serve(self, wire: str, hail: Hail) -> dict[str, Any]:
        told: dict[str, Any] = {"wire": wire, "mode": hail.mode, "number": hail.number}
        if hail.mode != ECHO and self.appliance is None:
            self.say(wire, Hail(hail.number, REFUSED, 0).frame(self.shape.template))
            return told | {"served": False}
        ready = hail.frame(self.shape.template)
        if hail.mode == ECHO or self.appliance is None:
            return told | {"served": True} | self._echo(wire, hail, ready)
        told |= {"served": True} | self.appliance.run(self.ports[wire], ready, hail.count, hail.mode == STAMPED)
        if hail.mode == STAMPED:
            told["spans"] = self.appliance.spans().tolist()
            told["mixed"] = int(self.appliance.stamps.mixed)
            told["stamp_ticks"] = self.measures.stamps_cost(STAMP_LOOPS) / STAMP_LOOPS
        return told | {"real_time": self.appliance.real_time, "ticks_per_second": self.ticks_per_second}

    def _echo(self, wire: str, hail: Hail, ready: bytes) -> dict[str, Any]:
        shape = self.shape
        with pinned(self.cpu) as real_time:
            answered = self.measures.echo_orders(
                self.ports[wire],
                ready,
                len(ready),
                hail.session,
                shape.template,
                len(shape.template),
                shape.tag_at,
                TAGS,
                hail.count,
                int(self.ticks_per_second * RUN_SECONDS_MAX),
            )
        return {"sent": int(answered), "real_time": real_time}

    def close(self) -> None:
        """The appliance goes before its ports."""
        if self.appliance is not None:
            self.appliance.close()
        super().close()


class VenueSide(LatencySide):
    """Side 1: hails, sends what is due, takes the time of what comes back."""

    def __init__(self, side: int, cpu: int, folder: Path) -> None:
        super().__init__(side, cpu, folder)
        self.number = 0
        self.stream = stream(SEED)
        self.batch = take(self.stream, 0)
        self.session = session_word(self.market)

    def frames(self, count: int) -> dict[str, Any]:
        """The next frames of the stream become those of the following runs."""
        self.batch = take(self.stream, count)
        return {}

    def run(self, wire: str, mode: int, interval_ns: int) -> dict[str, Any]:
        """One run over the frames at hand; nanoseconds of each that an order is due for, -1: none came."""
        self._hail(wire, mode)
        with pinned(self.cpu) as real_time:
            probe, ticks = self._probe(wire, self.batch, interval_ns)
            self.measures.probe_run(probe)
        due = np.flatnonzero(self.batch.tags[: probe.sent])
        ns = np.where(ticks[due] < 0, -1, ticks[due] * 1_000_000_000 // self.ticks_per_second)
        told = {name: int(getattr(probe, name)) for name in ("sent", "due", "answered", "strangers")}
        return told | {
            "number": self.number,
            "frames": len(self.batch),
            "ns": ns.tolist(),
            "at": due.tolist(),
            "real_time": real_time,
        }

    def _probe(self, wire: str, batch: Batch, interval_ns: int) -> tuple[Probe, np.ndarray]:
        ticks = np.full(len(batch), -1, np.int64)
        probe = Probe()
        probe.port, probe.count = self.ports[wire], len(batch)
        for name, array in (("bytes", batch.bytes), ("offsets", batch.offsets), ("tags", batch.tags), ("ticks", ticks)):
            setattr(probe, name, address_of(array))
        probe.interval_ticks = interval_ns * self.ticks_per_second // 1_000_000_000
        probe.patience_ticks = int(self.ticks_per_second * PATIENCE_S)
        probe.deadline_ticks = int(lib.clock_read_ticks()) + int(self.ticks_per_second * RUN_SECONDS_MAX)
        probe.order_bytes, probe.tag_at = len(self.shape.template), self.shape.tag_at
        return probe, ticks

    def finish(self, wire: str) -> None:
        """Tells the other side that this was all; who does not hear it waits on."""
        for _ in range(FAREWELLS):
            self.say(wire, Hail(0, END, 0).frame(self.market))
            time.sleep(HAIL_S)

    def _hail(self, wire: str, mode: int) -> None:
        """Until the other side says that it is there."""
        self.number = (self.number + 1) & 0xFFFF
        hail = Hail(self.number, mode, len(self.batch), self.session)
        last, next_s = time.monotonic() + READY_S, 0.0
        while (now := time.monotonic()) < last:
            if now >= next_s:
                self.say(wire, hail.frame(self.market))
                next_s = now + HAIL_S
            answer = self.listen(wire)
            if answer is not None and answer.number == self.number:
                if answer.mode == REFUSED:
                    raise NotServed("the other side has no appliance: the floor alone is measured")
                return
            time.sleep(LISTEN_S)
        raise CapabilityError(
            f"nobody answers over {wire}; start `gateway bench latency --role gateway` (or echo) at its other end first"
        )


def serve(side: Any, order: dict[str, Any]) -> None:
    """One step; `answer` goes on until stdin ends."""
    do = order.pop("do")
    if do == "answer":
        for told in side.answer(lambda: bool(select.select([sys.stdin], [], [], 0)[0])):
            print(json.dumps(told), flush=True)
        return
    try:
        told = getattr(side, do)(**order)
    except GatewayError as problem:
        told = {"error": str(problem)}
    print(json.dumps(told), flush=True)


def main() -> None:
    """Serves steps until stdin ends."""
    kernel_cache.prepare()
    number = int(sys.argv[1])
    side = (AnsweringSide, VenueSide)[number](number, int(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps({"ticks_per_second": side.ticks_per_second}), flush=True)
    try:
        with quiet_end():
            for line in sys.stdin:
                serve(side, json.loads(line))
    finally:
        side.close()


if __name__ == "__main__":
    main()
