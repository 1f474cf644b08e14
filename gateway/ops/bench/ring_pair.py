"""The two sides of a run of the ring benchmark, started in order: this process, and a peer process or a thread.

Hard rule: side 1 says that it is there before side 0 begins to spin, and both end by themselves at the same deadline.
"""

import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import CapabilityError, GatewayError
from gateway.native import ffi, lib
from gateway.ops.bench import ring_observers
from gateway.ops.bench.pinning import pinned
from gateway.ops.bench.ring_sides import ARENA_BYTES, KINDS, PLACES, Kind, Sides

RUN_SECONDS_MAX = 0.5  # of one run: far below what the kernel lets a real-time spinner have
TRIES = 3  # of a run that did not end in time: somebody else's real-time thread had one of the CPUs
CALIBRATION_NS = 100_000_000


@dataclass(frozen=True)
class Outcome:
    """What both sides agree was done, negative when a payload was wrong, and how long from the first to the last."""

    done: int
    wall_ns: float
    own_ns: float  # of side 0 alone


class PeerProcess:
    """Side 1 as ring_peer.py in a process of its own."""

    def __init__(self, file: Path, cpu: int) -> None:
        command = [sys.executable, "-m", "gateway.ops.bench.ring_peer", str(file), str(cpu)]
        # a session of its own: Ctrl-C in a terminal reaches the suite alone, which then ends its peer in order
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._expect("attached")

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def _expect(self, word: str) -> None:
        line = self._line()
        if line != word:
            raise GatewayError(f"the ring benchmark's peer process ended early (said {line!r}, not {word!r})")

    def begin(self, order: dict[str, Any]) -> None:
        """Returns when side 1 is about to spin."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self._expect("ready")

    def finish(self) -> tuple[int, int]:
        """What side 1 did, and the tick it ended at."""
        done, end_ticks = self._line().split()
        return int(done), int(end_ticks)

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class PeerThread:
    """Side 1 as a thread of this process, for contenders that hold addresses."""

    def __init__(self, sides: Sides, cpu: int) -> None:
        self.sides, self.cpu = sides, cpu
        self.result = (0, 0)

    def begin(self, order: dict[str, Any]) -> None:
        """Returns when side 1 is about to spin."""
        ready = threading.Event()
        self.thread = threading.Thread(target=self._work, args=(order, ready))
        self.thread.start()
        ready.wait()

    def _work(self, order: dict[str, Any], ready: threading.Event) -> None:
        os.sched_setaffinity(0, {self.cpu})
        ready.set()
        with pinned(self.cpu):
            self.result = serve(self.sides, order)

    def finish(self) -> tuple[int, int]:
        """What side 1 did, and the tick it ended at."""
        self.thread.join()
        return self.result


def serve(sides: Sides, order: dict[str, Any]) -> tuple[int, int]:
    """Side 1 of a run."""
    kind, count, sides.place = KINDS[order["kind"]], order["count"], order["place"]
    deadline_ticks = lib.clock_read_ticks() + order["ticks_max"]
    if order["what"] == "observed":
        done = ring_observers.read(sides, order["observers"], count, deadline_ticks)
    elif order["what"] == "hop":
        done = sides.hop(kind, 1, count, np.zeros(1, np.int64), deadline_ticks)
    else:
        done = sides.burst(kind, 1, count, deadline_ticks)
    return done, lib.clock_read_ticks()


class Pair:
    """This process as side 0, and side 1."""

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
        self.real_time = True
        self.runs = 0
        self.process = PeerProcess(file, cpus[1])
        self.thread = PeerThread(self.sides, cpus[1])

    def run(self, what: str, kind: Kind, count: int, own: Callable[[int], int], **more: int) -> Outcome:
        """Runs both sides of `kind`; `own(deadline_ticks)` is ours. A run that did not end in time is tried again."""
        self.runs += 1
        order = {"what": what, "kind": kind.name, "count": count, "place": self.runs % PLACES, **more}
        for _ in range(TRIES):
            outcome = self._run(kind, order, own)
            if outcome.done < 0 or outcome.done == count:
                break
        return outcome

    def _run(self, kind: Kind, order: dict[str, Any], own: Callable[[int], int]) -> Outcome:
        self.sides.prepare(kind)
        self.sides.place = order["place"]
        partner = self.thread if kind.threads else self.process
        ticks_max = int(self.ticks_per_second * RUN_SECONDS_MAX)
        partner.begin({**order, "ticks_max": ticks_max})
        with pinned(self.cpus[0]) as real_time:
            begin_ticks = lib.clock_read_ticks()
            done = own(begin_ticks + ticks_max)
            own_ticks = lib.clock_read_ticks() - begin_ticks
        self.real_time &= real_time
        other, end_ticks = partner.finish()
        self.sides.end(kind)
        scale = 1e9 / self.ticks_per_second
        return Outcome(min(done, other), (end_ticks - begin_ticks) * scale, own_ticks * scale)

    def close(self) -> None:
        """Ends the peer."""
        self.process.close()


@contextmanager
def paired() -> Iterator[Pair]:
    """A pair on the last two CPUs this process may use. Raises CapabilityError."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise CapabilityError("a hop needs two CPUs; this process may use one")
    with tempfile.TemporaryDirectory(prefix=f"gateway-bench-{os.getpid()}-ring-", dir="/dev/shm") as folder:
        pair = Pair(Path(folder), (usable[-2], usable[-1]))
        try:
            yield pair
        finally:
            pair.close()
