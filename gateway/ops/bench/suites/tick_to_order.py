"""Tick to order: from the moment a frame was due to its order, at the venue's side; io and core in one loop on one CPU.

    venue's side (another process, another CPU) ── wire ──► io ► core ► io ── wire ──► venue's side

The whole corridor works: checksums, arbitration, decode, books, the strategy, the gate, the journal. Over each wire the
floor is measured in turn with it: the same frames at the same pace, answered by a loop that decides nothing. The reference
is the same appliance on UDP sockets that are polled. What `gateway bench latency` runs, this suite runs.
"""

from collections.abc import Iterator

import numpy as np

from gateway.errors import CapabilityError
from gateway.ops.bench.latency import above_floor, against_sockets, budget_data, p50s
from gateway.ops.bench.latency_ends import here
from gateway.ops.bench.latency_hail import ECHO, GATEWAY
from gateway.ops.bench.latency_run import Measurement
from gateway.ops.bench.latency_side import SEED
from gateway.ops.bench.port_wires import AF_PACKET, MEMIF, PAIR, UDP_BUSY, WIRES
from gateway.ops.bench.suite import Plan, Result, Row, Target

TITLE = "Tick to order: a frame is due, its order is at the venue's side"
INTERVAL_NS = 50_000
QUICK, WHOLE = (5, 3000), (15, 6000)  # rounds, frames of a run
OVER, JUDGED = (PAIR, MEMIF, AF_PACKET, UDP_BUSY), (MEMIF, AF_PACKET)
SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
TARGET_ADDED_NS, TARGET_TIMES = 700.0, 0.5
TICK, FLOOR = "tick → order", "floor"


def run(plan: Plan) -> Result:
    """Rounds over every wire that this host can have."""
    result = Result("tick-to-order", TITLE)
    rounds, frames = QUICK if plan.quick else WHOLE
    try:
        plan.report(0.0, "compiling, opening the books")
        with here([wire for wire in WIRES if wire.name in OVER]) as ends:
            result.skipped |= ends.skipped
            measurement = Measurement(ends, INTERVAL_NS)
            measurement.prepare()
            for index in range(rounds):
                plan.report((index + 1) / (rounds + 1), f"round {index + 1} of {rounds}")
                measurement.round(frames, index)
    except CapabilityError as problem:
        result.skipped["suite"] = str(problem)
        return result
    _settle(result, measurement, rounds, frames)
    return result


def _settle(result: Result, measurement: Measurement, rounds: int, frames: int) -> None:
    result.rows = [*_latencies(measurement), *_stages(measurement)]
    result.failures = measurement.failures
    result.settings = {
        "rounds": rounds,
        "frames_per_run": frames,
        "interval_ns": INTERVAL_NS,
        "seed": SEED,
        "real_time": measurement.real_time,
        "strategy": "one order for every add",
    }
    if not measurement.real_time:
        result.notes.append("SCHED_FIFO is not permitted here: percentiles include being preempted")
    result.targets = list(_targets(measurement))


def _latencies(measurement: Measurement) -> Iterator[Row]:
    """Percentiles of each round; the floor beside them."""
    for (wire, mode), runs in measurement.runs.items():
        if mode not in (ECHO, GATEWAY):
            continue
        for name, share in SHARES.items():
            metric = f"{TICK if mode == GATEWAY else FLOOR} {name}"
            samples = [float(np.percentile(ns, share)) for ns in runs.ns if len(ns)]
            yield Row(wire, metric, "ns", wire != UDP_BUSY, runs.missing == 0, samples)


def _stages(measurement: Measurement) -> Iterator[Row]:
    """The budget over the wires that have targets, else over the pair: stages, what is not inside, and the whole."""
    budgets = {wire.name: budget_data(measurement, wire.name) for wire in measurement.ends.wires}
    judged = [wire for wire in JUDGED if budgets.get(wire)] or [PAIR]
    for wire, data in budgets.items():
        if data is None or wire not in judged:
            continue
        for stage, ns in [*data["stages"].items(), (TICK, sum(data["stages"].values()))]:
            yield Row(wire, f"{stage} mean", "ns", True, True, [ns])


def _targets(measurement: Measurement) -> Iterator[Target]:
    for wire in JUDGED:
        if p50s(measurement, wire, GATEWAY):
            added = float(np.median(above_floor(measurement, wire)))
            yield Target(f"{TICK} p50 above the floor, {wire}", added, TARGET_ADDED_NS, "ns")
        if shares := against_sockets(measurement, wire):
            yield Target(f"{wire} / {UDP_BUSY}, {TICK} p50", float(np.median(shares)), TARGET_TIMES, "×")
