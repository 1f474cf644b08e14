"""Raw records per second through the whole link, and per second of each side's CPU: `python -m tests.link.records_bench`.

    rows ─► StreamServer ─ packed, retained ─► Peer ─ sealed ─► socket ═══ loopback ═══► Client ─ opened, unpacked ─► rows
    source process: CPU of its own                                        this process: CPU of its own

A raw record is a slot of core_link, 128 bytes of which 120 travel; MB are counted as those 120. First a pass in which every
row is compared with what was published, then measured ones. `--data DIR` takes the recorded ES orders, else a seeded stream.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gateway import limits
from gateway.link.client import Client
from gateway.link.streams import records
from gateway.link.streams.batch import ROW_BYTES
from gateway.ops.bench.order_slots import order_slots
from tests.link.loopback_bench import row_of
from tests.link.stream_core import NaiveCore
from tests.link.stream_gateway import CLIENT, Gateway

ENTRIES_AHEAD = 256  # retained and not yet sent: the source never gets so far ahead that its reader falls behind
PATIENCE_SECONDS = 60.0
PRIORITY, REST_SECONDS = 50, 0.2


class OrderCore(NaiveCore):
    """A core whose ring always has its fill of records, the same days again and again, until it has told `due`."""

    def __init__(self, folder):
        super().__init__(random.Random(1), 1)
        self.rows = order_slots(folder)[0]
        self.due, self.server = 0, None

    def step(self, events, scanned):
        """Nothing happens by itself."""

    def take(self):
        if self.sequence >= self.due or self._ahead() > ENTRIES_AHEAD:
            return self.rows[:0]
        begin = self.sequence % len(self.rows)
        found = records.copied(self.rows[begin : begin + min(limits.LINK_RECORDS_PER_TURN, self.due - self.sequence)])
        found["sequence"] = np.arange(self.sequence + 1, self.sequence + 1 + len(found), dtype=np.uint64)
        self.sequence += len(found)
        return found

    def _ahead(self):
        progress = self.server.subscribers[CLIENT].progress.get("market_data")
        return self.server.retained.end - progress.number if progress and progress.number is not None else 1 << 30


def serve(folder):
    """The source: a line with its port, then a line of CPU nanoseconds for each number of records that it is to reach."""
    core = OrderCore(folder)
    gateway = Gateway(core, bytes_max=1 << 28)
    core.server = gateway.server
    print(gateway.port, flush=True)
    for line in sys.stdin:
        core.due = int(line)
        print(time.process_time_ns(), gateway.server.packing.raw_bytes, gateway.server.packing.packed_bytes, flush=True)
    gateway.stop()


class Source:
    """The same from outside."""

    def __init__(self, folder):
        words = ["--data", str(folder)] if folder else []
        command = [sys.executable, "-m", "tests.link.records_bench", "--source", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def tell(self, due):
        """(CPU nanoseconds so far, raw bytes packed, bytes they became); from now on it tells records up to `due`."""
        self.process.stdin.write(f"{due}\n")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


def read(client, last, check=None):
    """Takes items until record `last` has come."""
    for item in client.batches(PATIENCE_SECONDS):
        if check is not None:
            check(item.rows)
        if item.rows[-1]["sequence"] >= last:
            return
    raise SystemExit(f"record {last} did not come within {PATIENCE_SECONDS:.0f} s")


class Compared:
    """The gate: every row is the published one, in order, each once."""

    def __init__(self, rows):
        self.rows, self.next = rows, 1

    def __call__(self, found):
        begin = (self.next - 1) % len(self.rows)
        wanted = np.concatenate((self.rows[begin : begin + len(found)], self.rows[: len(found)]))[: len(found)]
        wanted["sequence"] = np.arange(self.next, self.next + len(found), dtype=np.uint64)
        if found.tobytes() != wanted.tobytes():
            raise SystemExit(f"rows from {self.next} on came as others: no figure counts")
        self.next += len(found)


def measure(client, source, first, count):
    """MB of raw records a second of wall, of the source's CPU and of the reader's, for the next `count` records."""
    before, own, begun = source.tell(first)[0], time.process_time_ns(), time.monotonic_ns()
    source.tell(first + count)
    read(client, first + count)
    took, own = time.monotonic_ns() - begun, time.process_time_ns() - own
    theirs = source.tell(first + count)[0] - before
    megabytes = count * ROW_BYTES / 1e6
    return [megabytes * 1e9 / ns for ns in (took, theirs, own)]


def settle(process, cpu):
    """Every thread of a process on one processor, ahead of whatever else wants it; None: as before."""
    places, priority = (set(range(os.cpu_count() or 1)), 0) if cpu is None else ({cpu}, PRIORITY)
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), places)
        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO if priority else os.SCHED_OTHER, os.sched_param(priority))


def rounds_of(client, source, count, rounds, realtime):
    """What `measure` gives, round after round."""
    for number in range(1, rounds + 1):
        for cpu, process in enumerate((source.process.pid, os.getpid())):
            settle(process, cpu if realtime else None)
        yield measure(client, source, number * count, count)
        settle(os.getpid(), None)
        settle(source.process.pid, None)
        time.sleep(REST_SECONDS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the recorded days; without it a seeded stream")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--realtime", action="store_true", help="a processor and chrt -f 50 for each side, while it is measured"
    )
    parser.add_argument("--source", action="store_true", help="what the bench starts; not for you")
    words = parser.parse_args()
    if words.source:
        serve(words.data)
        return
    rows, name = order_slots(words.data)
    source, count = Source(words.data), words.megabytes * 1_000_000 // ROW_BYTES
    try:
        with Client(Gateway.client_settings(("127.0.0.1", source.port))) as client:
            client.subscribe("market_data", join=False)
            source.tell(count)
            read(client, count, Compared(rows))
            rounds = list(rounds_of(client, source, count, words.rounds, words.realtime))
            _, raw, packed = source.tell(0)
    finally:
        source.stop()
    print(f"{name}; {words.megabytes} MB a run, {raw / packed:.1f}:1 on the line")
    print("| what | median | least – most | runs |\n|---|---|---|---|")
    for place, unit in enumerate(("MB/s", "MB per CPU second, source", "MB per CPU second, reader")):
        print(row_of("raw records", unit, [row[place] for row in rounds]))


if __name__ == "__main__":
    main()
