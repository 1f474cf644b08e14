"""Side 1 of the ring benchmark, a process of its own: python -m gateway.ops.bench.ring_peer FILE CPU.

One JSON line per run comes in on stdin, one "ready" and one result go out on stdout; the end of stdin ends it.
"""

import json
import mmap
import sys
from pathlib import Path

import numpy as np

from gateway import kernel_cache
from gateway.native import lib


def main() -> None:
    """Serves runs until stdin ends."""
    kernel_cache.prepare()
    from gateway.ops.bench.pinning import pinned
    from gateway.ops.bench.ring_sides import ARENA_BYTES, Sides

    file, cpu = sys.argv[1], int(sys.argv[2])
    with Path(file).open("r+b") as handle:
        arena = np.frombuffer(mmap.mmap(handle.fileno(), ARENA_BYTES), np.uint8)
    sides = Sides(int(arena.ctypes.data))
    ticks = np.zeros(1, np.int64)
    print("attached", flush=True)
    for line in sys.stdin:
        run = json.loads(line)
        deadline_ticks = lib.clock_read_ticks() + run["ticks_max"]
        print("ready", flush=True)
        with pinned(cpu):
            if run["what"] == "hop":
                done = sides.hop(run["kind"], 1, run["count"], ticks, deadline_ticks)
            else:
                done = sides.burst(run["kind"], 1, run["count"], deadline_ticks)
        print(done, flush=True)


if __name__ == "__main__":
    main()
