"""Tick to order: from a frame visible in io to its order frame handed to the port; io and core in one loop on one CPU.

    feeder (another process, another CPU) ── pair ──► io ► core ► io ── pair ──► feeder

The whole corridor works: checksums, arbitration, decode, books, the echo strategy, the gate, the journal. The figures
come from the histograms that a live appliance keeps (native/io.c), one difference per repeat.
"""

from collections.abc import Iterator

import numpy as np

from gateway import layout
from gateway.errors import CapabilityError
from gateway.ops.bench.corridor import SEED, Appliance, corridor
from gateway.ops.bench.feeder import INTERVAL_NS, SYMBOLS
from gateway.ops.bench.rounds import find, median
from gateway.ops.bench.suite import Plan, Result, Row, Target
from gateway.ops.histogram import mean, percentile

TITLE = "Tick to order: frame visible in io to order frame handed to the port"
ANSWERED_MIN = 0.95  # frames that io takes in one burst carry one time and get one answer
WARM_UP_FRAMES = 4000  # opens every symbol and fills its book
FRAMES = 8000  # per repeat
TARGET_NS = 1500.0
OURS = "gateway"
SPANS = {
    "SPAN_RECEIVE_DECODE": "receive → decode",
    "SPAN_DECODE_ORDER": "decode → order",
    "SPAN_ORDER_TRANSMIT": "order → port",
    "SPAN_TICK_TO_ORDER": "tick → order",
}
WHOLE = SPANS["SPAN_TICK_TO_ORDER"]
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def run(plan: Plan) -> Result:
    """Repeats on one warm appliance."""
    result = Result("tick-to-order", TITLE)
    repeats = 7 if plan.quick else 13
    try:
        plan.report(0.0, "compiling, opening the books")
        with corridor() as appliance:
            _measure(result, plan, appliance, repeats)
    except CapabilityError as problem:
        result.skipped["suite"] = str(problem)
    return result


def _measure(result: Result, plan: Plan, appliance: Appliance, repeats: int) -> None:
    appliance.run(WARM_UP_FRAMES)
    rejects = _rejects(appliance)  # while the books fill
    rows: dict[tuple[str, str], Row] = {}
    for repeat in range(repeats):
        plan.report((repeat + 1) / (repeats + 1), f"repeat {repeat + 1} of {repeats}")
        before, io_before = appliance.spans(), appliance.instance.counters[0]["io"].copy()
        told = appliance.run(FRAMES)
        after, io_after = appliance.spans(), appliance.instance.counters[0]["io"]
        _check(result, repeat, told, before, after, int(io_after["frames_received"] - io_before["frames_received"]))
        for name, metric, value in _figures(before, after):
            row = rows.setdefault((name, metric), Row(OURS, f"{name} {metric}", "ns", True, True, []))
            row.samples.append(value)
    result.rows = list(rows.values())
    _settle(result, appliance, repeats, _rejects(appliance) - rejects)


def _rejects(appliance: Appliance) -> int:
    return int(appliance.instance.regions["gate"].view("gate_account")[0]["rejects"].sum())


def _settle(result: Result, appliance: Appliance, repeats: int, rejects: int) -> None:
    """Settings, what the whole run must show, and the target."""
    core = appliance.instance.counters[0]["core"]
    if rejects or core["gaps"]:
        result.failures.append(
            f"{rejects} orders rejected, {int(core['gaps'])} gaps: the budget is not that of the corridor"
        )
    result.settings = {
        "repeats": repeats,
        "frames_per_repeat": FRAMES,
        "interval_ns": INTERVAL_NS,
        "symbols": SYMBOLS,
        "seed": SEED,
        "cpus": appliance.cpus,
        "real_time": appliance.real_time,
        "strategy": "echo",
        "port": "pair",
        "messages": int(core["messages"]),
    }
    if not appliance.real_time:
        result.notes.append("SCHED_FIFO is not permitted here: percentiles include being preempted")
    whole = find(result.rows, OURS, f"{WHOLE} p50")
    if whole is not None:
        result.targets.append(Target(f"{WHOLE} p50", median(whole), TARGET_NS, "ns"))


def _check(result: Result, repeat: int, told: dict[str, int], before: np.ndarray, after: np.ndarray, frames: int) -> None:
    """Every frame arrived, what was to be answered was answered once, and the stages are the whole."""
    counts = after["count"] - before["count"]
    sums = (after["sum_ns"] - before["sum_ns"]).astype(np.int64)
    order = [layout.value(name) for name in SPANS]
    if not frames == told["sent"] == FRAMES:
        result.failures.append(f"repeat {repeat}: {told['sent']} of {FRAMES} frames sent, {frames} received")
    timed = int(counts[0])
    if set(counts.tolist()) != {told["orders"]} or not ANSWERED_MIN * told["answerable"] <= timed <= told["answerable"]:
        result.failures.append(
            f"repeat {repeat}: {told['answerable']} frames to answer, {timed} orders timed, {told['orders']} arrived"
        )
    parts, whole = int(sums[order[:-1]].sum()), int(sums[order[-1]])
    if abs(parts - whole) > len(order) * timed:  # each is rounded down by less than 1 ns
        result.failures.append(f"repeat {repeat}: the stages sum to {parts} ns, the whole is {whole} ns")


def _figures(before: np.ndarray, after: np.ndarray) -> Iterator[tuple[str, str, float]]:
    """(span, metric, ns) of what was recorded between two copies."""
    for span, name in SPANS.items():
        index = layout.value(span)
        passed = after[index].copy()
        for field in ("buckets", "count", "sum_ns"):
            passed[field] = after[index][field] - before[index][field]
        yield name, "mean", mean(passed)
        for metric, share in SHARES.items():
            yield name, metric, float(percentile(passed, share))
