"""Runs of a latency benchmark, one after another: which wire, who answers, what came of it. For the verb and for the suite.

    round   for every wire: the echo, then the appliance, over the same frames at the same pace; then stamped runs

Hard rule: every frame that wants an order gets it or is counted as missing, and what does not add up fails the run.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateway.errors import GatewayError
from gateway.ops.bench.latency_ends import Ends
from gateway.ops.bench.latency_hail import ECHO, GATEWAY, STAMPED, NotServed
from gateway.ops.bench.latency_library import STAMPS

WARM_UP_FRAMES = 4000  # opens every symbol and fills its book
WARM_UP_NS = 40_000
RUN_FRAMES_MAX = 8000
LEAD_FRAMES = 64  # of each run: both sides have just got their CPUs
STAMPED_SHARE = 16  # one frame of so many is worked off with stamps


@dataclass
class Runs:
    """What one contender (a wire, and who answered) scored: nanoseconds of every run, and what was missing."""

    ns: list[np.ndarray] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)  # seconds since the epoch, of begin and end
    due: int = 0
    missing: int = 0

    def add(self, told: dict[str, Any], declined: int, times: tuple[float, float]) -> None:
        """One run as the venue's side told it."""
        ns, at = np.array(told["ns"], np.int64), np.array(told["at"], np.int64)
        self.due += told["due"] - declined
        self.missing += told["due"] - declined - told["answered"]
        self.times.append(times)
        self.ns.append(ns[(ns >= 0) & (at >= LEAD_FRAMES)])

    @property
    def all_ns(self) -> np.ndarray:
        """Every sample."""
        return np.concatenate(self.ns) if self.ns else np.zeros(0, np.int64)


class Measurement:
    """Contenders and their runs over two ends that are joined."""

    def __init__(self, ends: Ends, interval_ns: int) -> None:
        self.ends, self.interval_ns = ends, interval_ns
        self.runs: dict[tuple[str, int], Runs] = {}
        self.spans: dict[str, list[np.ndarray]] = {}
        self.stamp_ticks: list[float] = []
        self.modes: tuple[int, ...] = (ECHO, GATEWAY, STAMPED)
        self.not_served = ""
        self.failures: list[str] = []
        self.real_time = True
        self.stamped_share = float(STAMPED_SHARE)
        self.declined = self.mixed = 0

    def prepare(self, frames: int = WARM_UP_FRAMES) -> None:
        """Compiles, opens the books, and meets each wire once."""
        self.ends.prepare()
        for wire in self.ends.wires:
            self._frames(LEAD_FRAMES)
            self._warm(wire.name, ECHO)
            self._meet(wire.name)
        while GATEWAY in self.modes and frames > 0:
            self._frames(min(frames, RUN_FRAMES_MAX))
            self._warm(self.ends.wires[0].name, GATEWAY)
            frames -= RUN_FRAMES_MAX

    def _warm(self, wire: str, mode: int) -> None:
        """A run that does not count, but must be whole: the books follow the stream from its first message."""
        found = self._run(wire, mode, WARM_UP_NS)[2]
        if found:
            raise GatewayError(f"{found[0]}, while warming up; end other work on the two CPUs and run it again")

    def _meet(self, wire: str) -> None:
        """The first run of the appliance; where there is none, only the floor is measured."""
        if GATEWAY not in self.modes:
            return
        try:
            self._warm(wire, GATEWAY)
        except NotServed as problem:
            self.modes, self.not_served = (ECHO,), str(problem)

    def round(self, frames: int, index: int) -> None:
        """Every wire: floor and appliance in an order that moves on, over the same frames."""
        wires = self.ends.wires
        for turn in range(len(wires)):
            wire = wires[(index + turn) % len(wires)]
            self._frames(frames)
            for mode in (ECHO, GATEWAY) if (index + turn) % 2 == 0 else (GATEWAY, ECHO):
                if mode in self.modes:
                    self.take(wire.name, mode)
            if wire.ours and STAMPED in self.modes:
                stamped = max(frames // STAMPED_SHARE, 4 * LEAD_FRAMES)
                self.stamped_share = frames / stamped
                self._frames(stamped)
                self.take(wire.name, STAMPED)

    def take(self, wire: str, mode: int) -> None:
        """One run that counts."""
        begin_s = time.time()
        told, answered, found = self._run(wire, mode, self.interval_ns)
        self.failures += found or missing(wire, told, int(answered.get("declined", 0)))
        declined = int(answered.get("declined", 0))
        self.declined += declined
        self.runs.setdefault((wire, mode), Runs()).add(told, declined, (begin_s, time.time()))
        if mode == STAMPED and answered:
            ticks = np.array(answered["spans"], np.int64).reshape(-1, STAMPS - 1)
            self.spans.setdefault(wire, []).append(ticks[LEAD_FRAMES // 2 :])
            self.stamp_ticks.append(answered["stamp_ticks"])
            self.mixed += answered["mixed"]

    def _frames(self, count: int) -> None:
        self.ends.venue("frames", count=count)

    def _run(self, wire: str, mode: int, interval_ns: int) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """What both sides say of one run, and what does not add up between them."""
        told = self.ends.venue("run", wire=wire, mode=mode, interval_ns=interval_ns)
        answered = self.ends.answered(told["number"])
        self.real_time &= bool(told["real_time"] and answered.get("real_time", True))
        return told, answered, problems(wire, mode, told, answered)


def problems(wire: str, mode: int, told: dict[str, Any], answered: dict[str, Any]) -> list[str]:
    """What does not add up in one run; nothing where all of it does. A side that is elsewhere says nothing to add up."""
    found = []
    if told["sent"] != told["frames"]:
        found.append(f"{told['sent']} of {told['frames']} frames sent in time")
    if answered:
        found += missing("", told, int(answered.get("declined", 0)))
    if answered and answered["sent"] != told["answered"]:
        found.append(f"{answered['sent']} orders sent, {told['answered']} taken for answers")
    if answered and mode != ECHO and answered["packets"] != told["sent"]:
        found.append(f"{told['sent']} frames sent, {answered['packets']} worked off")
    if answered and mode != ECHO and (answered["refused"] or answered["gaps"]):
        found.append(f"{answered['refused']} orders refused, {answered['gaps']} gaps")
    return [f"{wire}: {problem}" for problem in found]


def missing(wire: str, told: dict[str, Any], declined: int) -> list[str]:
    """Orders that were due and never came."""
    count = told["due"] - declined - told["answered"]
    return [f"{wire}: {count} of {told['due']} orders never came".removeprefix(": ")] if count else []
