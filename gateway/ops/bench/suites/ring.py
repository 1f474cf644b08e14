"""One 64-byte record from one pinned process to another: hop latency, and bursts.

hop     half a round trip, p50, p99 and p99.9 of each repeat, by the TSC; beside a bare cache line, which is the floor
burst   nanoseconds per record at full speed, the producer's CPU time
"""

import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import CapabilityError, GatewayError
from gateway.native import ffi, lib
from gateway.ops.bench.pinning import pinned
from gateway.ops.bench.ring_sides import (
    ARENA_BYTES,
    BURSTS,
    HOPS,
    LINE,
    OURS_C,
    OURS_NUMBA,
    SLOT_BYTES,
    Sides,
    is_ring,
)
from gateway.ops.bench.rounds import find, interleave, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target

TITLE = "Ring: 64-byte records between two pinned processes"
RUN_SECONDS_MAX = 0.5  # of one run: far below what the kernel lets a real-time spinner have
HOP_UNITS = {"hop p50": "ns", "hop p99": "ns", "hop p99.9": "ns"}
BURST_UNITS = {"burst": "ns/record"}
TARGET_TIMES = 1.5
CALIBRATION_NS = 100_000_000


class Pair:
    """This process as side 0 and its peer as side 1."""

    def __init__(self, folder: Path, cpus: tuple[int, int]) -> None:
        self.cpus = cpus
        file = folder / "arena"
        file.write_bytes(bytes(ARENA_BYTES))
        with file.open("r+b") as handle:
            self.arena = np.frombuffer(mmap.mmap(handle.fileno(), ARENA_BYTES), np.uint8)
        self.sides = Sides(int(self.arena.ctypes.data))
        calibration = ffi.new("struct clock_calibration *")
        lib.clock_calibrate(calibration, CALIBRATION_NS)
        self.ticks_per_second = int(calibration.ticks_per_second)
        command = [sys.executable, "-m", "gateway.ops.bench.ring_peer", str(file), str(cpus[1])]
        # a session of its own: Ctrl-C in a terminal reaches the suite alone, which then ends its peer in order
        self.peer = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.real_time = True
        self._expect("attached")

    def _expect(self, word: str) -> None:
        assert self.peer.stdout
        line = self.peer.stdout.readline().strip()
        if line != word:
            raise GatewayError(f"the ring benchmark's peer process ended early (said {line!r}, not {word!r})")

    def run(self, what: str, kind: str, count: int, own: Callable[[int], int]) -> int:
        """Runs both sides of `kind`; `own(deadline_ticks)` is ours. Returns what both agree was done."""
        assert self.peer.stdin and self.peer.stdout
        self.sides.reset()
        if is_ring(kind):
            self.sides.format()
        ticks_max = int(self.ticks_per_second * RUN_SECONDS_MAX)
        order = {"what": what, "kind": kind, "count": count, "ticks_max": ticks_max}
        self.peer.stdin.write(json.dumps(order) + "\n")
        self.peer.stdin.flush()
        self._expect("ready")
        with pinned(self.cpus[0]) as real_time:
            done = own(lib.clock_read_ticks() + ticks_max)
        self.real_time &= real_time
        other = int(self.peer.stdout.readline())
        return min(done, other)

    def close(self) -> None:
        """Ends the peer."""
        assert self.peer.stdin and self.peer.stdout
        self.peer.stdin.close()
        self.peer.wait(10)
        self.peer.stdout.close()


@contextmanager
def _pair() -> Iterator[Pair]:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise CapabilityError("a hop needs two CPUs; this process may use one")
    with tempfile.TemporaryDirectory(prefix=f"gateway-bench-{os.getpid()}-ring-", dir="/dev/shm") as folder:
        pair = Pair(Path(folder), (usable[-2], usable[-1]))
        try:
            yield pair
        finally:
            pair.close()


def run(plan: Plan) -> Result:
    """Hops, then bursts, every contender in turn."""
    result = Result("ring", TITLE)
    repeats = 7 if plan.quick else 11
    hops, records = (30_000, 500_000) if plan.quick else (100_000, 2_000_000)
    try:
        with _pair() as pair:
            _measure(result, plan, pair, repeats, hops, records)
    except CapabilityError as problem:
        result.skipped["suite"] = str(problem)
    return result


def _measure(result: Result, plan: Plan, pair: Pair, repeats: int, hops: int, records: int) -> None:
    half = Plan(plan.quick, lambda share, what: plan.report(share / 2, f"hop: {what}"))
    rest = Plan(plan.quick, lambda share, what: plan.report(0.5 + share / 2, f"burst: {what}"))
    result.rows = interleave([_hop(pair, kind, hops) for kind in HOPS], repeats, HOP_UNITS, hops, half)
    result.rows += interleave([_burst(pair, kind, records) for kind in BURSTS], repeats, BURST_UNITS, records, rest)
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
    floor = find(result.rows, LINE, "hop p50")
    for name in (OURS_C, OURS_NUMBA):
        ours = find(result.rows, name, "hop p50")
        if ours is None:
            result.failures.append(f"{name}: records were wrong, or the run did not end in time")
        elif floor is not None:
            share = times(ours, floor)
            result.targets.append(Target(f"{name} / {LINE}, hop p50", share, TARGET_TIMES, "×"))


def _hop(pair: Pair, kind: str, rounds: int) -> Contender:
    ticks = np.zeros(rounds, np.int64)

    def run_round() -> Reading:
        done = pair.run("hop", kind, rounds, lambda deadline: pair.sides.hop(kind, 0, rounds, ticks, deadline))
        hop_ns = ticks[: max(done, 1)] * (0.5e9 / pair.ticks_per_second)
        p50, p99, p999 = np.percentile(hop_ns, [50, 99, 99.9])
        return Reading({"hop p50": float(p50), "hop p99": float(p99), "hop p99.9": float(p999)}, done)

    return Contender(kind, is_ring(kind), run_round)


def _burst(pair: Pair, kind: str, records: int) -> Contender:
    spent: dict[str, Any] = {}

    def send(deadline_ticks: int) -> int:
        begin = time.thread_time_ns()
        done = pair.sides.burst(kind, 0, records, deadline_ticks)
        spent["ns"] = time.thread_time_ns() - begin
        return done

    def run_round() -> Reading:
        done = pair.run("burst", kind, records, send)
        return Reading({"burst": spent["ns"] / records}, done)

    return Contender(kind, is_ring(kind), run_round)
