"""Runs seeds of the link simulation and says which went wrong; a seed alone repeats its run.

python -m tests.sim.link_run FIRST [LAST]      one line a failing seed, then what happened in all of them; 1 when one failed
"""

import sys
import time
from collections import Counter

import pytest

from tests.sim.link_nonces import Nonces, Watched, watch
from tests.sim.link_plan import draw
from tests.sim.link_world import World


def run_seed(seed: int) -> World:
    """One run, judged; the cipher has to be watched already."""
    Watched.watch = Nonces()
    world = World(draw(seed), Watched.watch)
    world.run()
    return world


def run_seeds(first: int, last: int) -> tuple[dict[int, list[str]], Counter[str]]:
    """(seed -> problems of those that failed, what happened in all)."""
    failed: dict[int, list[str]] = {}
    happened: Counter[str] = Counter()
    for seed in range(first, last + 1):
        world = run_seed(seed)
        happened.update(world.counts)
        happened["delivered"] += world.referee.delivered
        happened.update({f"packets_{name}": count for name, count in vars(world.packets).items()})
        happened.update({f"refused_{name}": count for name, count in world.refusals.items()})
        for side in world.sides:
            happened.update({f"peer_{name}": count for name, count in side.peer.counters.items()})
        if world.problems:
            failed[seed] = world.problems
            print(f"seed {seed}: {world.problems[0]}", flush=True)
    return failed, happened


def main() -> int:
    """As the words say."""
    first = int(sys.argv[1])
    last = int(sys.argv[2]) if len(sys.argv) > 2 else first
    with pytest.MonkeyPatch.context() as patch:
        watch(patch)
        began = time.perf_counter()
        failed, happened = run_seeds(first, last)
        seconds = time.perf_counter() - began
    for name, count in sorted(happened.items()):
        print(f"{name:40} {count:12,}")
    print(f"{last - first + 1} seeds, {len(failed)} failed, {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
