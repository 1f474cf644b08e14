"""The simulated venue as a process: an instance folder of its own, a port, the io stage and the venue's step in one loop.

Beside the corridor, on the other end of any port.

    port ─ io ─ io_core ─ venue step ─ core_io ─ io ─ port          one CPU, no GIL

Hard rule: the venue shares code with the appliance (loop, io, rings) but no memory; each has its own folder.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gateway import clock, layout, limits, pipeline
from gateway.instance import FOLDER, Instance, handle_address
from gateway.stages import Io, Placement, Stage, run_loop
from gateway.venues.simulator.order_gateway import OrderGateway
from gateway.venues.simulator.order_settings import OrderSettings
from gateway.venues.simulator.report import report
from gateway.venues.simulator.settings import Settings
from gateway.venues.simulator.state import Venue, session_name
from gateway.venues.simulator.step import venue_step

RINGS = (
    pipeline.Ring("io_core", "frame_slot", limits.FRAME_SLOT_BYTES, 4096, "newest frame dropped and counted"),
    pipeline.Ring("core_io", "order_slot", limits.FRAME_SLOT_BYTES, 4096, "the venue waits, its outbox holds the rest"),
    pipeline.Ring("session_core", "frame_slot", limits.REPORT_SLOT_BYTES, 4096, "the gateway reads no more from its client"),
    pipeline.Ring("core_session", "order_slot", limits.FRAME_SLOT_BYTES, 4096, "the venue waits, its outbox holds the rest"),
)
REGIONS = (
    pipeline.Region("control", "REGION_CONTROL", "control_block", 0, header="control_block"),
    pipeline.Region("counters", "REGION_COUNTERS", "counters", 0, header="counters"),
    pipeline.Region("venue", "REGION_STATE", "venue_counters", 0, header="venue_counters"),
)
DRAIN_TURNS = 2000  # below one housekeeping interval: a stop that is already asked for does not cut the drain short
DRAIN_NS = 2_000_000_000
SLEEP_NS = 20_000  # the appliance next door needs the CPU more


def attach_counters(name: str, parent: Path = FOLDER) -> np.void:
    """The live struct venue_counters of a running venue; raises AttachError where there is none."""
    instance = Instance.attach(name, parent, RINGS, REGIONS)
    return instance.regions["venue"].view("venue_counters")[0]


class VenueProcess:
    """A venue ready to run: `run` returns when somebody stops it or it leaves by itself, `close` gives everything back."""

    def __init__(self, name: str, port: str, settings: Settings, idle: str = "sleep", cpu: int = -1):
        self._seed = settings.seed
        self.step = venue_step()  # compiled before the port exists: frames do not wait for a compiler
        self.instance = Instance.create(name, rings=RINGS, regions=REGIONS)
        self.io: Io | None = None
        self.gateway: OrderGateway | None = None
        try:
            self.io = Io(self.instance, [port], order_rings=("core_io",))
            self._writer: Any = self.instance.writer("core_io")
            self._reader: Any = self.instance.reader("io_core")
            self.gateway = self._make_gateway(settings.orders)
            over_tcp = {} if self.gateway is None else self.gateway.rings()
            self.venue = Venue(
                settings,
                handle_address(self._writer),
                handle_address(self._reader),
                calibration=self.instance.clock_address,
                counters=self.instance.address("venue"),
                stop_word=self.instance.address("control") + layout.offsets("control_block").stop,
                **over_tcp,
            )
        except BaseException:
            self.close()
            raise
        self._placement = Placement("PROCESS_CORE", cpu, idle, SLEEP_NS)

    def _make_gateway(self, orders: OrderSettings | None) -> OrderGateway | None:
        if orders is None:
            return None
        return OrderGateway(self.instance, orders, session_name("ORD", self._seed).decode())

    def _stages(self) -> list[Stage]:
        assert self.io is not None
        return [self.io.stage(), Stage(self.step.address, self.venue.address, [self.venue, self.step])]

    def _now_ns(self) -> int:
        return clock.now_ns(self.instance.clock_address)

    def run(self) -> str:
        """Trades until stopped (SIGTERM, SIGINT, the control block's stop word), then ends the session if need be."""
        self.venue.start(self._now_ns())
        if self.gateway is not None:
            times = self.venue.state[0]
            self.gateway.start(int(times["open_ns"]), int(times["close_ns"]))
        ended = run_loop(self.instance, self._stages(), self._placement)
        self.venue.finish(self._now_ns())
        begun_ns = clock.monotonic_ns()
        while True:
            run_loop(self.instance, self._stages(), replace(self._placement, turns_max=DRAIN_TURNS))
            if self._drained() or clock.monotonic_ns() - begun_ns > DRAIN_NS:
                return ended

    def _drained(self) -> bool:
        if self.venue.state[0]["outbox_count"] != 0:
            return False
        headers = [self.instance.rings[name].view("ring_header")[0] for name in ("core_io", "core_session")]
        return all(header["cursor"] == header["claimed"] for header in headers)

    def report(self) -> dict[str, Any]:
        """The venue's account, with what its own io counted at the port."""
        io = self.instance.counters[0]["io"]
        names = ("frames_received", "frames_transmitted", "drop_ring_full", "drop_port", "cancels_failed")
        # a frame of ours is neither order nor cancel; io counts those the port refused for good with the cancels
        port = {("frames_unsent" if name == "cancels_failed" else name): int(io[name]) for name in names}
        sessions: dict[str, Any] = {}
        if self.gateway is not None:
            sessions = {"order_session": self.gateway.report(), "arrivals": [list(row) for row in self.gateway.arrivals]}
        return {"instance": self.instance.name, "port": port, **sessions, **report(self.venue)}

    def close(self) -> None:
        """Closes the port and removes the folder."""
        if self.gateway is not None:
            self.gateway.close()
        if self.io is not None:
            self.io.close()
        self.instance.close(remove=True)
