"""Time to the first usable record of a snapshot beside waiting for all of it (M37): `python -m tests.link.early_bench`.

    source process ── sealed frames, TCP ──► relay, so many Mbit/s ──► Client ─► EarlyState     rounds, median, least, most

First: rows readable in the state. Whole: SCAN_END was applied, when who waits could begin. Both from the request on.
Orders are those of the recorded ES days below `--data DIR`, else of a seeded stream; how far it shrinks stands beside.
"""

import argparse
import json
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from gateway.link.client import Client
from gateway.link.streams import records
from gateway.link.streams.early import EarlyState
from gateway.ops.bench.order_slots import order_slots, scanned
from tests.link.stream_core import NaiveCore
from tests.link.stream_gateway import Gateway

CHUNK, LIMIT_SECONDS = 8192, 600.0
STEP_ROWS = 4096


class BookCore(NaiveCore):
    """A core whose scans are the same large book each time: the orders of the days, or of the seeded stream."""

    def __init__(self, megabytes, folder):
        super().__init__(random.Random(1), 1)
        self.book_of_rows, self.at = scanned(order_slots(folder)[0], megabytes * 1_000_000 // records.SLOT_BYTES), None

    def step(self, events, scanned):
        if self.at is None and self.wanted:
            self.wanted, self.at = 0, 0

    def take(self):
        if self.at is None:
            return records.rows(0)
        rows = records.copied(self.book_of_rows[self.at : self.at + STEP_ROWS])
        rows["sequence"] = np.arange(self.sequence + 1, self.sequence + 1 + len(rows))
        self.sequence += len(rows)
        self.at += STEP_ROWS
        if self.at >= len(self.book_of_rows):
            self.at = None
        return rows


class Relay:
    """Carries TCP connections to a port, what comes back at so many bits per second together."""

    def __init__(self, port, bits_per_second):
        self.port, self.rate = port, bits_per_second / 8
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.free, self.lock = time.monotonic(), threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    def _carry(self, source, target, slow):
        try:
            while data := source.recv(CHUNK):
                if slow:
                    with self.lock:
                        self.free = max(self.free, time.monotonic()) + len(data) / self.rate
                        due = self.free
                    time.sleep(max(0.0, due - time.monotonic()))
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            one.close()


def measure(client):
    """Seconds until the first rows were usable and until the snapshot was whole, and how many rows it had."""
    readable = []
    state = EarlyState(readable.append, readable.clear)
    begun, first = time.monotonic(), None
    client._do(client._session.reader.want_snapshot)
    for item in client.batches(LIMIT_SECONDS):
        state.take(item.rows)
        if first is None and readable:
            first = time.monotonic() - begun
        if state.complete:
            break
    return first, time.monotonic() - begun, sum(map(len, readable))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the recorded days; without it a seeded stream")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--mbit", type=float, default=100.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", action="store_true")
    words = parser.parse_args()
    if words.source:
        gateway = Gateway(BookCore(words.megabytes, words.data), bytes_max=1 << 28)
        print(gateway.port, flush=True)
        while sys.stdin.readline():
            print(gateway.server.packing.raw_bytes, gateway.server.packing.packed_bytes, flush=True)
        gateway.stop()
        return
    command = [sys.executable, "-m", "tests.link.early_bench", "--source", "--megabytes", str(words.megabytes)]
    command += ["--data", str(words.data)] if words.data else []
    source = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        relay = Relay(int(source.stdout.readline()), words.mbit * 1e6)
        desk = Gateway.client_settings(relay.address)
        with Client(desk) as client:
            rounds = [measure(client) for _ in range(words.rounds)]
            source.stdin.write("\n")
            source.stdin.flush()
            raw, packed = map(int, source.stdout.readline().split())
    finally:
        source.stdin.close()
        source.wait(30)
    report = {"megabytes_raw": words.megabytes, "mbit": words.mbit, "rounds": words.rounds, "rows": rounds[0][2]}
    report |= {"orders": "recorded" if words.data else "seeded", "raw_to_packed": round(raw / packed, 2)}
    for name, index in (("first_usable_s", 0), ("whole_s", 1)):
        values = [row[index] for row in rounds]
        report[name] = {"median": round(statistics.median(values), 4), "least": min(values), "most": max(values)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
