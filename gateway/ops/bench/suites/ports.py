"""Ports: a frame there and back between two processes, over every kind of port, in one run, with UDP sockets as references.

rtt     a frame of 128 bytes is due every 100 µs; from that moment until its echo is there (a stall counts for all it delays)
echoed  at full speed, 128 frames on their way, 32 at a time
io      thread time of the io stage for a frame of a full burst: received, stamped, published; beside the bare port
"""

from gateway.errors import CapabilityError
from gateway.ops.bench.port_sides import Bench, bench
from gateway.ops.bench.port_wires import AF_PACKET, MEMIF, UDP_BUSY, Wire
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target

TITLE = "Ports: 128-byte frames there and back between two pinned processes"
INTERVAL_NS = 100_000
QUICK, WHOLE = (7, 1_000, 20_000), (13, 3_000, 60_000)  # rounds, frames one by one, frames at full speed
ECHO_UNITS = {"rtt p50": "µs", "rtt p99": "µs", "rtt p99.9": "µs", "echoed": "million frames/s"}
IO_UNITS = {"io stage": "ns/frame", "bare port": "ns/frame"}
LOADS = 16  # bursts of one round, by the stage and by the bare port in turn
LOAD_FRAMES = 512
TARGET_TIMES = 0.5
TARGET_IO_NS = 60.0


def run(plan: Plan) -> Result:
    """Echoes, then what a burst costs; every wire in turn."""
    result = Result("ports", TITLE)
    try:
        plan.report(0.0, "joining the wires")
        with bench() as both:
            _measure(result, plan, both)
    except CapabilityError as problem:
        result.skipped["suite"] = str(problem)
    return result


def _measure(result: Result, plan: Plan, both: Bench) -> None:
    rounds, asked, flooded = QUICK if plan.quick else WHOLE
    echoes = Plan(plan.quick, lambda share, what: plan.report(share * 0.85, what))
    costs = Plan(plan.quick, lambda share, what: plan.report(0.85 + share * 0.15, f"io: {what}"))
    result.skipped |= both.skipped
    wires = [wire for wire in both.wires if _meets(result, both, wire)]
    contenders = [_echo(both, wire, asked, flooded) for wire in wires]
    result.rows = interleave(contenders, rounds, ECHO_UNITS, asked + flooded, echoes)
    staged = [wire for wire in wires if wire.name in both.staged]
    result.rows += interleave([_cost(both, wire) for wire in staged], rounds, IO_UNITS, LOADS * LOAD_FRAMES, costs)
    result.settings = {
        "rounds": rounds,
        "round_trips": asked,
        "interval_ns": INTERVAL_NS,
        "frames_at_full_speed": flooded,
        "frame_bytes": 128,
        "io_burst": 64,
        "cpus": both.cpus,
        "real_time": both.real_time,
        "sockets": "loopback" if both.no_links else "veth between two namespaces",
    }
    if not both.real_time:
        result.notes.append("SCHED_FIFO is not permitted here: percentiles include being preempted")
    _judge(result)


def _meets(result: Result, both: Bench, wire: Wire) -> bool:
    """The first echo, while a memif client still looks for its server."""
    told, _ = both.together(
        {"do": "ask", "wire": wire.name, "count": 1, "interval_ns": 0},
        {"do": "echo", "wire": wire.name, "count": 1, "burst": 1},
    )
    if told["done"] != 1:
        result.failures.append(f"{wire.name}: no right echo came back")
    return bool(told["done"] == 1)


def _echo(both: Bench, wire: Wire, asked: int, flooded: int) -> Contender:
    name = wire.name

    def run_round() -> Reading:
        told, echoed = both.together(
            {"do": "ask", "wire": name, "count": asked, "interval_ns": INTERVAL_NS},
            {"do": "echo", "wire": name, "count": asked, "burst": 1},
        )
        fast, back = both.together(
            {"do": "flood", "wire": name, "count": flooded},
            {"do": "echo", "wire": name, "count": flooded, "burst": 32},
        )
        values = {f"rtt {share}": told[share] for share in ("p50", "p99", "p99.9")} | {"echoed": fast["rate"]}
        right = (told["done"], fast["done"]) == (echoed["done"], back["done"])
        return Reading(values, told["done"] + fast["done"] if right else -1)

    return Contender(name, wire.ours, run_round)


def _cost(both: Bench, wire: Wire) -> Contender:
    name = wire.name
    number = 0

    def run_round() -> Reading:
        nonlocal number
        spent, right = {False: 0.0, True: 0.0}, 0
        for load in range(-1, 2 * LOADS):  # the first one warms up what the other wires have pushed out, and is not counted
            bare = load % 2 == 1
            loaded = both.far.run("load", wire=name, number=number)
            told = both.near.run("cost", wire=name, number=number, bare=bare)
            if load < 0:
                continue
            spent[bare] += told["ns"]
            right += told["done"] if loaded["done"] == LOAD_FRAMES and not bare else 0
            number += LOAD_FRAMES
        frames = LOADS * LOAD_FRAMES
        return Reading({"io stage": spent[False] / frames, "bare port": spent[True] / frames}, right)

    return Contender(name, True, run_round)


def _judge(result: Result) -> None:
    own, other = find(result.rows, AF_PACKET, "rtt p50"), find(result.rows, UDP_BUSY, "rtt p50")
    if own is not None and other is not None:
        result.targets.append(Target(f"{AF_PACKET} / {UDP_BUSY}, rtt p50", times(own, other), TARGET_TIMES, "×"))
    stage = find(result.rows, MEMIF, "io stage")
    if stage is not None:
        result.targets.append(Target(f"io stage on {MEMIF}, full bursts", median(stage), TARGET_IO_NS, "ns/frame"))
    if any(not row.correct for row in result.rows if row.ours):
        result.failures.append("frames were lost, wrong, or not back in time: see the rows that differ")
