"""The appliance of the tick-to-order suite: io and core in one loop on one CPU, and the feeder on the other end.

Hard rule: what it makes it removes: instance folder, pair, process.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gateway.config import Configuration, load
from gateway.errors import CapabilityError, GatewayError
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops.appliance import CoreStage, io_stage
from gateway.ops.bench import compiled
from gateway.ops.bench.pinning import pinned
from gateway.ops.limit_block import prepare_account
from gateway.ops.process import POPULATED
from gateway.stages import Io, Placement, run_loop

SEED = 20260
TURNS_MAX = 20_000_000  # a loop without its feeder ends by itself
FEEDER_SECONDS_MAX = 10
RISK: dict[str, Any] = {
    "instruments": ["*"],
    "quantity_max": 1000,
    "value_max": 1_000_000,
    "position_max": 1_000_000,
    "collar_ppm": 1_000_000,
    "stale_ms": 3_600_000,
    "rate_per_second": 1_000_000,
    "rate_burst": 1_000_000,
    "day_messages_max": 1_000_000_000,
    "capital": 5_000_000_000,
    "gross_max": 5_000_000_000,
    "net_max": 5_000_000_000,
    "signal_ppm": 1_000_000,
    "window_ppm": 1_000_000,
    "dup_ms": 100,  # 25,000 orders a second: a full second of them would fill lines of the table of recent orders
}


PERMITS: dict[str, Any] = {"strategy.instruments": ["*"], "strategy.repeat_max": 1024, "strategy.repeat_s": 1}


def configuration_of(name: str, strategy: Path | None = None, more: dict[str, Any] | None = None) -> Configuration:
    """An appliance that lets every order of the echo strategy pass, or of another one."""
    file = strategy or Path(__file__).with_name("echo.py")
    risk = {f"risk.{key}": value for key, value in RISK.items()}
    named = {"instance.name": name, "port.name": f"pair:{name}", "strategy.file": str(file)}
    return load(None, {**named, **PERMITS, **risk, **(more or {})})


def stage_timer() -> Any:
    """contenders/port_echo.c with the type of `time_stages`."""
    library = compiled.load("port_echo")
    place, word = ctypes.c_void_p, ctypes.c_int64
    library.time_stages.argtypes, library.time_stages.restype = [place, place, place, place, word, place, place], None
    return library


class Appliance:
    """io and core of one short-lived instance, and the feeder on the other end of its port."""

    def __init__(self, name: str, cpus: tuple[int, int]) -> None:
        self.cpus, self.real_time = cpus, True
        self.feeder: subprocess.Popen[str] | None = None
        self.io: Io | None = None
        self.instance = Instance.create(name)
        try:
            self._set_up(name, configuration_of(name))
        except BaseException:  # also when it is interrupted: kernels may compile for a minute
            self.close()
            raise

    def _set_up(self, name: str, configuration: Configuration) -> None:
        prepare_account(self.instance, configuration)
        self.io = io_stage(self.instance, configuration)
        self.core = CoreStage(self.instance, configuration)
        self.stages = [self.io.stage(), self.core.stage()]  # compiled here, not at real-time priority
        self.library = stage_timer()
        self.instance.populate(*POPULATED["io"], *POPULATED["core"])
        command = [
            sys.executable,
            "-m",
            "gateway.ops.bench.feeder",
            f"pair:{name},side=b",
            name,
            str(self.cpus[1]),
            str(SEED),
        ]
        # a session of its own: Ctrl-C in a terminal reaches the suite alone, which then ends the feeder in order
        self.feeder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._expect("attached")

    def _line(self) -> str:
        assert self.feeder is not None and self.feeder.stdout is not None
        return self.feeder.stdout.readline().strip()

    def _expect(self, word: str) -> None:
        line = self._line()
        if line != word:
            raise GatewayError(f"the benchmark's feeder ended early (said {line!r}, not {word!r})")

    def _begin(self, **run: Any) -> None:
        assert self.feeder is not None and self.feeder.stdin is not None
        self.instance.control[0]["stop"] = 0
        self.feeder.stdin.write(json.dumps(run) + "\n")
        self.feeder.stdin.flush()
        self._expect("ready")

    def burst(self, frames: int, record: str | None = None) -> tuple[dict[str, Any], list[int], list[int]]:
        """`frames` that lie ready are worked off: what the feeder saw, thread time of io and core, what each did."""
        self._begin(frames=frames, record=record, burst=True)
        ns, work = np.zeros(2, np.int64), np.zeros(2, np.int64)
        steps = [word for stage in self.stages for word in (stage.step, stage.context)]
        turns = frames // lib.PORT_BURST_MAX + 1
        with pinned(self.cpus[0]) as real_time:
            self.library.time_stages(*steps, turns, ns.ctypes.data, work.ctypes.data)
        self.real_time &= real_time
        self.instance.control[0]["stop"] = 1
        self._forget_journal()
        return dict(json.loads(self._line())), ns.tolist(), work.tolist()

    def run(self, frames: int, record: str | None = None) -> dict[str, Any]:
        """One run of the loop while the feeder sends `frames`; returns what the feeder saw."""
        self._begin(frames=frames, record=record, burst=False)
        placement = Placement("PROCESS_IO", cpu=self.cpus[0], idle="spin", turns_max=TURNS_MAX)
        with pinned(self.cpus[0]) as real_time:
            run_loop(self.instance, self.stages, placement)
        self.real_time &= real_time
        self._forget_journal()
        return dict(json.loads(self._line()))

    def _forget_journal(self) -> None:
        """Plays the journal's reader: everything is given back."""
        header = self.instance.rings["core_journal"].view("ring_header")[0]
        header["cursor"] = header["claimed"]

    def spans(self) -> np.ndarray:
        """A copy of the four histograms."""
        return self.instance.counters[0]["spans"].copy()

    def close(self) -> None:
        """Ends the feeder and removes everything shared."""
        if self.feeder is not None and self.feeder.stdin is not None and self.feeder.stdout is not None:
            self.instance.control[0]["stop"] = 1  # of a run that was broken off
            self.feeder.stdin.close()
            try:
                self.feeder.wait(FEEDER_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.feeder.kill()
                self.feeder.wait()
            self.feeder.stdout.close()
        if self.io is not None:
            self.io.close()
        self.instance.close(remove=True)
        for side in "ab":
            Path(f"/dev/shm/gateway-pair-{self.instance.name}.{side}").unlink(missing_ok=True)


@contextmanager
def corridor() -> Iterator[Appliance]:
    """An appliance that is removed afterwards. Raises CapabilityError on a machine with one CPU."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise CapabilityError("tick to order needs two CPUs, one for the venue's side; this process may use one")
    name = f"bench-{os.getpid()}"
    appliance = Appliance(name, (usable[-1], usable[-2]))
    try:
        yield appliance
    finally:
        appliance.close()
