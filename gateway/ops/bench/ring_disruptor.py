"""The LMAX Disruptor in the ring benchmark: a JVM of its own that runs contenders/RingDisruptor.java, driven line by line.

Its two threads are pinned from here, by their names, and have real-time priority only while a run lasts; no other thread
of the JVM ever has. Hard rule: a run ends by itself at its deadline, and what it needs is compiled before the first one.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import CapabilityError
from gateway.ops.bench.compiled import java_classes
from gateway.ops.bench.pinning import real_time
from gateway.ops.bench.ring_pair import RUN_SECONDS_MAX, TRIES
from gateway.ops.bench.suite import Contender, Reading

NAME = "LMAX Disruptor"
NOTE = "threads of one JVM, BusySpinWaitStrategy with a deadline, bursts 16 at a time; its clock's cost is taken off"
DEBIAN = "libdisruptor-java default-jdk-headless"
# Compiled when first needed, in the thread that needs it; objects on lines of their own; no pauses for statistics.
FLAGS = (
    *("-Xbatch", "-XX:+UseSerialGC", "-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:-UsePerfData"),
    *("-XX:ObjectAlignmentInBytes=64", "-XX:+UnlockDiagnosticVMOptions", "-XX:GuaranteedSafepointInterval=0"),
)
WARM_RUNS = 4
WARM_HOPS, WARM_RECORDS = 20_000, 200_000
THREAD_NAMES = ("bench-side-0", "bench-side-1")


class Jvm:
    """The JVM and its two threads, each on a CPU of `cpus`."""

    def __init__(self, cpus: tuple[int, int]) -> None:
        classes = java_classes("RingDisruptor", "disruptor.jar", DEBIAN)
        self.process = subprocess.Popen(
            ["java", *FLAGS, "-cp", classes, "RingDisruptor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        if self._line() != ["ready"]:
            self.close()
            raise CapabilityError("its JVM did not start; try: java -version")
        self.threads = self._threads()
        for thread, cpu in zip(self.threads, cpus, strict=True):
            os.sched_setaffinity(thread, {cpu})
        for _ in range(WARM_RUNS):
            self.run("hop", WARM_HOPS)
            self.run("burst", WARM_RECORDS)

    def _threads(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task")
        named = {(task / "comm").read_text().strip(): int(task.name) for task in tasks.iterdir()}
        return [named[name] for name in THREAD_NAMES]

    def _line(self) -> list[str]:
        assert self.process.stdout
        return self.process.stdout.readline().split()

    def run(self, what: str, count: int) -> list[float]:
        """What RingDisruptor.java answers: records first. A run that did not end in time is tried again."""
        for _ in range(TRIES):
            with real_time(self.threads):
                answer = self._ask(f"{what} {count} {int(RUN_SECONDS_MAX * 1e9)}")
            if answer[0] < 0 or answer[0] == count:
                break
        return answer

    def _ask(self, order: str) -> list[float]:
        """The figures of one run; a JVM that ended has moved nothing."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
        return [float(word) for word in self._line()] or [0.0]

    def hop(self, rounds: int) -> Contender:
        """Half a round trip."""

        def run_round() -> Reading:
            done, *figures = self.run("hop", rounds)
            return Reading(dict(zip(("hop p50", "hop p99", "hop p99.9"), figures, strict=False)), int(done))

        return Contender(NAME, False, run_round, NOTE)

    def burst(self, records: int) -> Contender:
        """The producer's CPU time, and records per second of both."""

        def run_round() -> Reading:
            done, cpu_ns, wall_ns = (*self.run("burst", records), 0.0, 0.0)[:3]
            values = {"burst": cpu_ns / records, "burst rate": records * 1e3 / wall_ns} if wall_ns else {}
            return Reading(values, int(done))

        return Contender(NAME, False, run_round, NOTE)

    def close(self) -> None:
        """Ends the JVM."""
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextmanager
def started(cpus: tuple[int, int]) -> Iterator[Jvm]:
    """A warm JVM. Raises CapabilityError where there is none."""
    jvm = Jvm(cpus)
    try:
        yield jvm
    finally:
        jvm.close()
