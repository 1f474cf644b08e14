"""Side 1 of the ring benchmark, a process of its own: python -m gateway.ops.bench.ring_peer FILE CPU.

One JSON line per run comes in on stdin, one "ready" and one result go out on stdout; the end of stdin ends it.
"""

import json
import mmap
import os
import sys
from pathlib import Path

import numpy as np

from gateway import kernel_cache


def main() -> None:
    """Serves runs until stdin ends."""
    kernel_cache.prepare()
    from gateway.ops.bench.pinning import pinned
    from gateway.ops.bench.ring_pair import serve
    from gateway.ops.bench.ring_sides import ARENA_BYTES, KINDS, Sides

    file, cpu = sys.argv[1], int(sys.argv[2])
    with Path(file).open("r+b") as handle:
        arena = np.frombuffer(mmap.mmap(handle.fileno(), ARENA_BYTES), np.uint8)
    sides = Sides(int(arena.ctypes.data))
    os.sched_setaffinity(0, {cpu})  # where no real-time thread of side 0 can keep it from beginning
    print("attached", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        kind = KINDS[order["kind"]]
        if kind.library:
            sides.library(kind)  # loaded before the other side begins to wait
        print("ready", flush=True)
        with pinned(cpu):
            done, end_ticks = serve(sides, order)
        print(done, end_ticks, flush=True)


if __name__ == "__main__":
    main()
