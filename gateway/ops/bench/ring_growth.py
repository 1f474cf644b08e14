"""What observers cost: bursts over one ring with none to eight of them, for the suite of growing work.

A machine with two CPUs has none for each observer, so side 1 serves all: it reads reliably, and after every 64 records each
observer in turn copies what is new. `burst` is the producer's time per record without its waits for room; `burst rate` is
that of all together, and falls because one CPU makes all the copies.
"""

from typing import Any

from gateway.ops.bench import ring_observers
from gateway.ops.bench.ring_pair import Pair, paired
from gateway.ops.bench.ring_sides import KINDS, OURS_C
from gateway.ops.bench.rounds import interleave
from gateway.ops.bench.suite import Contender, Plan, Reading, Row

UNITS = {"burst": "ns/record", "burst rate": "M records/s"}
OBSERVERS = (0, 1, 2, 4, 8)
REPEATS_QUICK, REPEATS = 5, 9
RECORDS_QUICK, RECORDS = 200_000, 1_000_000


def measure(plan: Plan) -> list[Row]:
    """Rows `burst, N observers` and `burst rate, N observers`. Raises CapabilityError where there are no two CPUs."""
    records = RECORDS_QUICK if plan.quick else RECORDS
    with paired() as pair:
        rounds = REPEATS_QUICK if plan.quick else REPEATS
        return rows_of(pair, plan, rounds, records)


def rows_of(pair: Pair, plan: Plan, rounds: int, records: int) -> list[Row]:
    """The rows of one run; each number of observers is a contender of its own, so that they take turns."""
    units = {f"{metric}, {count} observers": unit for count in OBSERVERS for metric, unit in UNITS.items()}
    contenders = [_observed(pair, count, records) for count in OBSERVERS]
    return interleave(contenders, rounds, units, records, plan)


def _observed(pair: Pair, observers: int, records: int) -> Contender:
    spent: dict[str, Any] = {}
    scale = 1e9 / pair.ticks_per_second

    def send(deadline_ticks: int) -> int:
        done, spent["stalled"] = ring_observers.send(pair.sides, records, deadline_ticks)
        return done

    def run_round() -> Reading:
        outcome = pair.run("observed", KINDS[OURS_C], records, send, observers=observers)
        burst = (outcome.own_ns - spent["stalled"] * scale) / records
        values = {f"burst, {observers} observers": burst}
        return Reading(values | {f"burst rate, {observers} observers": records * 1e3 / outcome.wall_ns}, outcome.done)

    return Contender(OURS_C, True, run_round, "all observers on the reader's CPU, in turn")
