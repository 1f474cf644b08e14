"""What a recorder costs the appliance it records: the corridor of tick to order, with and without one, in turn.

    feeder and recorder (another process, another CPU) ── pair ──► io ► core ► io ── pair ──► feeder
              └───────── observes io_core, core_io, control_io, io_recorder ─────────┘

The recorder polls without rest, which `gateway capture` does not. What it wrote is compared with what was sent.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.errors import CapabilityError
from gateway.ops.bench.corridor import Appliance, corridor
from gateway.ops.bench.rounds import find, interleave, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target
from gateway.ops.histogram import percentile

TITLE = "Capture: the corridor with and without a recorder beside it"
QUICK, MANY = (7, 800), (21, 1500)  # rounds, paced frames of each; all orders stay open and must find room
WARM_UP_FRAMES = 2000
ALONE, RECORDED = "no recorder", "recorder"
UNITS = {"io": "ns/frame", "core": "ns/frame", "tick → order p50": "ns", "tick → order p99": "ns"}
BURST_FRAMES = 64 * 20
TARGET_TIMES = 1.05
TRIES = 3
ANSWERED_MIN = 0.9  # a frame that adds an order is answered; one that arrives too old is not
WHOLE = layout.value("SPAN_TICK_TO_ORDER")


def run(plan: Plan) -> Result:
    """Both ways in turn, on one warm appliance."""
    result = Result("capture", TITLE)
    try:
        plan.report(0.0, "compiling, opening the books")
        with corridor() as appliance, tempfile.TemporaryDirectory(prefix="gateway-capture-") as folder:
            _measure(result, plan, appliance, str(Path(folder) / "x.pcapng"))
    except CapabilityError as problem:
        result.skipped["suite"] = str(problem)
    return result


def _measure(result: Result, plan: Plan, appliance: Appliance, path: str) -> None:
    rounds, frames = QUICK if plan.quick else MANY
    appliance.run(WARM_UP_FRAMES)
    contenders = [_contender(appliance, name, frames, path if name == RECORDED else None) for name in (ALONE, RECORDED)]
    result.rows = interleave(contenders, rounds, UNITS, "whole", plan)
    result.settings = {
        "rounds": rounds,
        "frames_paced": frames,
        "frames_burst": BURST_FRAMES,
        "cpus": appliance.cpus,
        "real_time": appliance.real_time,
    }
    if not all(row.correct for row in result.rows):
        result.failures.append("frames were lost, or the recording is not what was sent")
    for metric in UNITS:
        own, other = find(result.rows, RECORDED, metric), find(result.rows, ALONE, metric)
        if own is not None and other is not None and metric != "tick → order p99":
            result.targets.append(Target(f"{RECORDED} / {ALONE}, {metric}", times(own, other), TARGET_TIMES, "×"))


def _contender(appliance: Appliance, name: str, frames: int, path: str | None) -> Contender:
    def run_round() -> Reading:
        paced, passed = _paced(appliance, frames, path)
        burst, ns, work = appliance.burst(BURST_FRAMES, path)
        values = {
            "io": ns[0] / BURST_FRAMES,
            "core": ns[1] / BURST_FRAMES,
            "tick → order p50": float(percentile(passed, 0.5)),
            "tick → order p99": float(percentile(passed, 0.99)),
        }
        whole = (
            _is_answered(paced, passed)
            and paced["sent"] == frames
            and burst["sent"] == BURST_FRAMES
            and work[0] >= BURST_FRAMES
        )
        return Reading(values, "whole" if whole and _is_sound(paced, path) and _is_sound(burst, path) else "not whole")

    return Contender(name, True, run_round)


def _paced(appliance: Appliance, frames: int, path: str | None) -> tuple[dict[str, Any], Any]:
    """A paced run and its histogram. On a crowded host the feeder may get its CPU after the loop has ended: once more."""
    for _ in range(TRIES):
        before = appliance.spans()
        told = appliance.run(frames, path)
        passed = _difference(before, appliance.spans())
        if _is_answered(told, passed):
            break
    return told, passed


def _is_answered(told: dict[str, Any], passed: Any) -> bool:
    """Whether the times are those of the frames that were sent."""
    return int(passed["count"]) >= ANSWERED_MIN * told["answerable"] > 0


def _is_sound(told: dict[str, Any], path: str | None) -> bool:
    """Whether the file holds what was sent, byte for byte, where there is one."""
    return path is None or bool(told["recorded"] and told["missed"] == 0)


def _difference(before: np.ndarray, after: np.ndarray) -> Any:
    passed = after[WHOLE].copy()
    for field in ("buckets", "count", "sum_ns"):
        passed[field] = after[WHOLE][field] - before[WHOLE][field]
    return passed
