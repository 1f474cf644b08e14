"""One 64-byte record from one pinned process to another: hop latency, and bursts.

hop         half a round trip, p50, p99 and p99.9 of each repeat, by the TSC; beside a bare cache line, which is the floor
burst       nanoseconds per record at full speed, the producer's CPU time
burst rate  records per second from the first one sent to the last one read
"""

import time
from contextlib import ExitStack
from typing import Any

import numpy as np

from gateway.errors import CapabilityError
from gateway.ops.bench import ring_disruptor
from gateway.ops.bench.ring_disruptor import Jvm
from gateway.ops.bench.ring_pair import Pair, paired
from gateway.ops.bench.ring_sides import KINDS, LINE, OURS_C, OURS_NUMBA, RTE, SLOT_BYTES, Kind
from gateway.ops.bench.rounds import find, interleave, stepped_median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target

TITLE = "Ring: 64-byte records between two pinned processes"
HOP_UNITS = {"hop p50": "ns", "hop p99": "ns", "hop p99.9": "ns"}
BURST_UNITS = {"burst": "ns/record", "burst rate": "M records/s"}
FLOOR_TIMES, PEER_TIMES = 1.15, 0.65
BURST_NS = 1e3 / 35  # of wall time per record: 35 million a second


def run(plan: Plan) -> Result:
    """Hops, then bursts, every contender in turn."""
    result = Result("ring", TITLE)
    with ExitStack() as stack:
        try:
            pair = stack.enter_context(paired())
        except CapabilityError as problem:
            result.skipped["suite"] = str(problem)
            return result
        kinds = [kind for kind in KINDS.values() if _available(pair, kind, result)]
        jvm: Jvm | None = None
        try:
            jvm = stack.enter_context(ring_disruptor.started(pair.cpus))
        except CapabilityError as problem:
            result.skipped[ring_disruptor.NAME] = str(problem)
        _measure(result, plan, pair, kinds, jvm)
    return result


def _available(pair: Pair, kind: Kind, result: Result) -> bool:
    """Whether a contender is there; else the reason is noted. Ours and the floor are made with what a clone has."""
    try:
        if kind.library:
            pair.sides.library(kind)
    except CapabilityError as problem:
        result.skipped[kind.name] = str(problem)
        return False
    return True


def _measure(result: Result, plan: Plan, pair: Pair, kinds: list[Kind], jvm: Jvm | None) -> None:
    repeats = 7 if plan.quick else 15
    hops, records = (30_000, 300_000) if plan.quick else (100_000, 1_000_000)
    half = Plan(plan.quick, lambda share, what: plan.report(share / 2, f"hop: {what}"))
    rest = Plan(plan.quick, lambda share, what: plan.report(0.5 + share / 2, f"burst: {what}"))
    hopping = [_hop(pair, kind, hops) for kind in kinds]
    bursting = [_burst(pair, kind, records) for kind in kinds if kind.bursts]
    if jvm:
        hopping.append(jvm.hop(hops))
        bursting.append(jvm.burst(records))
    result.rows = interleave(hopping, repeats, HOP_UNITS, hops, half)
    result.rows += interleave(bursting, repeats, BURST_UNITS, records, rest)
    result.settings = {
        "repeats": repeats,
        "round_trips": hops,
        "records": records,
        "record_bytes": SLOT_BYTES,
        "ring_depth": pair.sides.depth,
        "cpus": pair.cpus,
        "real_time": pair.real_time,
        "ticks_per_second": pair.ticks_per_second,
    }
    if not pair.real_time:
        result.notes.append("SCHED_FIFO is not permitted here: percentiles include being preempted")
    _judge(result)


def _judge(result: Result) -> None:
    limits = {LINE: FLOOR_TIMES, RTE: PEER_TIMES, ring_disruptor.NAME: PEER_TIMES}
    for name in (OURS_C, OURS_NUMBA):
        hop, rate = (find(result.rows, name, metric) for metric in ("hop p50", "burst rate"))
        if hop is None or rate is None:
            result.failures.append(f"{name}: records were wrong, or the run did not end in time")
            continue
        for other, limit in limits.items():
            if floor := find(result.rows, other, "hop p50"):
                result.targets.append(Target(f"{name} / {other}, hop p50", times(hop, floor), limit, "×"))
        spent = float(np.median([1e3 / sample for sample in rate.samples]))
        result.targets.append(Target(f"{name}, burst, wall time per record", spent, round(BURST_NS, 2), "ns"))


def _hop(pair: Pair, kind: Kind, rounds: int) -> Contender:
    samples = np.zeros(rounds, np.int64)

    def run_round() -> Reading:
        outcome = pair.run("hop", kind, rounds, lambda deadline: pair.sides.hop(kind, 0, rounds, samples, deadline))
        done = samples[: max(outcome.done, 1)]
        scale = 0.5e9 / pair.ticks_per_second
        p99, p999 = np.percentile(done, [99, 99.9])
        figures = (stepped_median(done), float(p99), float(p999))
        return Reading({metric: ticks * scale for metric, ticks in zip(HOP_UNITS, figures, strict=True)}, outcome.done)

    return Contender(kind.name, kind.ours, run_round, kind.note)


def _burst(pair: Pair, kind: Kind, records: int) -> Contender:
    spent: dict[str, Any] = {}

    def send(deadline_ticks: int) -> int:
        begin = time.thread_time_ns()
        done = pair.sides.burst(kind, 0, records, deadline_ticks)
        spent["ns"] = time.thread_time_ns() - begin
        return done

    def run_round() -> Reading:
        outcome = pair.run("burst", kind, records, send)
        return Reading({"burst": spent["ns"] / records, "burst rate": records * 1e3 / outcome.wall_ns}, outcome.done)

    return Contender(kind.name, kind.ours, run_round, kind.note)
