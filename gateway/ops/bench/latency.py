"""`gateway bench latency`: what is asked for becomes two joined ends, rounds of runs, and one result.

    one machine    a wire that is made for the run (pair, memif, af_packet, tap), beside UDP sockets that are polled;
                   or two ports that are cabled
    two machines   --role venue measures; --role gateway, or echo, answers

Hard rule: the appliance, its floor and the sockets take their turns in one run, over the same stream at the same pace.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import CapabilityError, UsageError
from gateway.ops.bench import latency_ends, latency_record
from gateway.ops.bench.latency_ends import Ends
from gateway.ops.bench.latency_hail import ECHO, GATEWAY, STAMPED
from gateway.ops.bench.latency_run import RUN_FRAMES_MAX, WARM_UP_FRAMES, Measurement
from gateway.ops.bench.port_wires import AF_PACKET, MEMIF, PAIR, TAP, UDP_BUSY, WIRES, Wire
from gateway.ops.bench.suite import Result, Row

TITLE = "Latency from the moment a frame was due to its order, at the venue's side (µs)"
MADE = {"pair": PAIR, "memif": MEMIF, "af_packet": AF_PACKET, "tap": TAP}
BY = {ECHO: "echo", GATEWAY: "gateway", STAMPED: "gateway, stamped"}
RUN_SECONDS = 0.4  # of one run: nobody spins at real-time priority for longer
SAMPLES_MIN = 4


@dataclass(frozen=True)
class Asked:
    """What a user asks for."""

    port: str
    venue_port: str | None
    role: str | None
    rate: int
    seconds: float

    @property
    def frames(self) -> int:
        """Frames of one run."""
        return max(min(RUN_FRAMES_MAX, int(self.rate * min(RUN_SECONDS, self.seconds))), 1)

    @property
    def rounds(self) -> int:
        """Runs of each contender."""
        return max(math.ceil(self.rate * self.seconds / self.frames), 1)


@contextmanager
def joined(asked: Asked, cpus: tuple[int, int] | None) -> Iterator[Ends]:
    """The two ends. Raises CapabilityError with what this host lacks, UsageError where an end is not named."""
    if asked.role == "venue":
        with latency_ends.venue_side(asked.port, last_cpu(cpus, 1)) as elsewhere:
            yield elsewhere
    elif asked.venue_port:
        with latency_ends.cabled(asked.port, asked.venue_port, cpus) as cabled:
            yield cabled
    else:
        with latency_ends.here(wires_of(asked.port), cpus) as ends:
            wire = MADE[asked.port.rstrip(":")]
            if wire in ends.skipped:
                raise CapabilityError(f"{asked.port}: {ends.skipped[wire]}")
            yield ends


def wires_of(port: str) -> list[Wire]:
    """The wire of that name, and the sockets. Raises UsageError."""
    wire = MADE.get(port.rstrip(":"))
    if wire is None:
        raise UsageError(
            f"--port {port}: say where its other end is, with --venue-port on this machine or --role on two;"
            f" or name a wire that is made for the run: {', '.join(MADE)}"
        )
    return [row for row in WIRES if row.name in (wire, UDP_BUSY)]


def last_cpu(cpus: tuple[int, int] | None, end: int) -> int:
    """The CPU of an end that is alone on its machine."""
    return cpus[end] if cpus else max(os.sched_getaffinity(0))


def run(
    asked: Asked, warm_up_s: float, cpus: tuple[int, int] | None, report: Callable[[float, str], None]
) -> tuple[Result, "Measured"]:
    """Measures. `report` hears the share done and what is running."""
    report(0.0, "joining the ends, compiling")
    with joined(asked, cpus) as ends:
        measurement = Measurement(ends, 1_000_000_000 // asked.rate)
        measurement.prepare(max(int(asked.rate * warm_up_s), WARM_UP_FRAMES))
        for index in range(asked.rounds):
            report(index / asked.rounds, f"round {index + 1} of {asked.rounds}")
            measurement.round(asked.frames, index)
        measured = Measured(asked, measurement, dict(ends.skipped))
    return measured.to_result(), measured


@dataclass(frozen=True)
class Measured:
    """A measurement that is over, in the forms it is wanted in."""

    asked: Asked
    measurement: Measurement
    skipped: dict[str, str]

    def to_data(self) -> dict[str, Any]:
        """Percentiles over all runs by HDR histogram, and the budgets."""
        rows = [
            {"over": wire, "by": BY[mode], "orders": runs.due - runs.missing, "missing": runs.missing}
            | {"ns": latency_record.figures(latency_record.histogram_of(runs.all_ns))}
            for (wire, mode), runs in self._runs()
        ]
        budgets = [budget_data(self.measurement, wire.name) for wire in self.measurement.ends.wires]
        shares = [f"p{share:g}" for share in latency_record.PERCENTILES] + ["max"]
        return {"title": TITLE, "shares": shares, "rows": rows, "budgets": [data for data in budgets if data]}

    def _runs(self) -> Iterator[tuple[tuple[str, int], Any]]:
        """Contenders without the stamped runs, echo before appliance."""
        for key, runs in sorted(self.measurement.runs.items(), key=lambda item: (item[0][0] == UDP_BUSY, item[0])):
            if key[1] != STAMPED and len(runs.all_ns):
                yield key, runs

    def to_result(self) -> Result:
        """As a suite's result: each run's percentiles are the samples."""
        result = Result("latency", TITLE, skipped=self.skipped, failures=list(self.measurement.failures))
        for (wire, mode), runs in self._runs():
            for share in latency_record.PERCENTILES[:4]:
                samples = [float(np.percentile(ns, share)) / 1000 for ns in runs.ns if len(ns) >= SAMPLES_MIN]
                name = BY[mode] if wire != UDP_BUSY else f"{BY[mode]}, {UDP_BUSY}"
                result.rows.append(Row(name, f"tick → order p{share:g}", "µs", wire != UDP_BUSY, True, samples))
        for data in filter(None, (budget_data(self.measurement, wire.name) for wire in self.measurement.ends.wires)):
            whole = sum(data["stages"].values())
            for stage, ns in [*data["stages"].items(), ("tick → order", whole)]:
                result.rows.append(Row("gateway", f"{stage} mean", "ns", True, True, [ns]))
        result.settings = {"port": self.asked.port, "rate": self.asked.rate, "seconds": self.asked.seconds}
        result.settings |= {"frames_per_run": self.asked.frames, "real_time": self.measurement.real_time}
        if self.measurement.not_served:
            result.skipped["gateway"] = self.measurement.not_served
        result.notes += list(comparisons(self.measurement))
        if not self.measurement.real_time:
            result.notes.append("SCHED_FIFO is not permitted here: percentiles include being preempted")
        return result

    def write_log(self, path: Path) -> None:
        """The HDR log: an interval for each run."""
        logs = {
            f"{wire} {BY[mode]}".replace(" ", "-").replace(",", ""): [
                (*times, latency_record.histogram_of(ns)) for times, ns in zip(runs.times, runs.ns, strict=True)
            ]
            for (wire, mode), runs in self._runs()
        }
        latency_record.write_log(path, logs)


def comparisons(measurement: Measurement) -> Iterator[str]:
    """What the appliance adds to its floor, and how it stands to the sockets: medians over rounds of one run."""
    for wire in measurement.ends.wires:
        added = above_floor(measurement, wire.name)
        if added:
            yield f"{wire.name}: tick to order p50 is {np.median(added):,.0f} ns above the echo of the same port"
        shares = against_sockets(measurement, wire.name)
        if shares:
            yield f"{wire.name}: tick to order p50 is {np.median(shares):.2f} × the same on {UDP_BUSY} sockets"


def p50s(measurement: Measurement, wire: str, mode: int) -> list[float]:
    """The median of each run, in nanoseconds."""
    runs = measurement.runs.get((wire, mode))
    return [float(np.median(ns)) for ns in runs.ns if len(ns)] if runs else []


def above_floor(measurement: Measurement, wire: str) -> list[float]:
    """By how much the appliance's p50 lies above the echo's, round by round."""
    both = zip(p50s(measurement, wire, GATEWAY), p50s(measurement, wire, ECHO), strict=False)
    return [own - floor for own, floor in both]


def against_sockets(measurement: Measurement, wire: str) -> list[float]:
    """The appliance's p50 over that of the same appliance on sockets, round by round."""
    if wire == UDP_BUSY:
        return []
    both = zip(p50s(measurement, wire, GATEWAY), p50s(measurement, UDP_BUSY, GATEWAY), strict=False)
    return [own / theirs for own, theirs in both]


def budget_data(measurement: Measurement, wire: str) -> dict[str, Any] | None:
    """The budget of one wire for tables and pictures; None: too few orders were stamped."""
    spans = measurement.spans.get(wire)
    if not spans:
        return None
    ns_per_tick = 1e9 / measurement.ends.ticks_per_second
    stamp_ns = float(np.mean(measurement.stamp_ticks)) * ns_per_tick
    venue_ns = measurement.runs[wire, STAMPED].all_ns
    budget = latency_record.budget_of(np.concatenate(spans), ns_per_tick, stamp_ns, venue_ns)
    if budget is None:
        return None
    plain = p50s(measurement, wire, GATEWAY)
    share = measurement.stamped_share
    note = f"whole {budget.whole:,.0f} ns; a stamp costs {stamp_ns:.1f} ns, and one frame of {share:.0f} has stamps:"
    note += f" {stamp_ns / share:.1f} ns a stage; p50 of stamped runs {np.median(venue_ns):,.0f}"
    note += f", of those without {np.median(plain):,.0f}" if plain else ""
    return {"over": wire, "orders": budget.orders, "stages": budget.stages, "note": note, "stamp_ns": stamp_ns}


def answer(
    port: str, appliance: bool, cpus: tuple[int, int] | None, update: Callable[..., None], note: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Answers until the venue's side is done; the budgets of what was stamped."""
    with latency_ends.answering_side(port, last_cpu(cpus, 0), appliance) as side:
        note("ready; start the venue's side on the other machine with --role venue")
        spans, costs = [], []
        for count, told in enumerate(side.answer(lambda: False), 1):
            update(count)
            if told.get("spans"):
                spans.append(np.array(told["spans"], np.int64))
                costs.append(told["stamp_ticks"])
        if not spans:
            return []
        ns_per_tick = 1e9 / side.ticks_per_second
    ticks = np.concatenate(spans)
    stamp_ns = float(np.mean(costs)) * ns_per_tick
    budget = latency_record.budget_of(ticks, ns_per_tick, stamp_ns, ticks.sum(axis=1) * ns_per_tick)
    if budget is None:
        return []
    stages = {name: ns for name, ns in budget.stages.items() if name != latency_record.WIRE}
    return [{"orders": budget.orders, "stages": stages, "note": f"a stamp costs {stamp_ns:.1f} ns"}]
