"""Round trip of a 64-byte control message and bulk between two processes: `python -m tests.link.loopback_bench`. A table.

    near ── TCP control, sealed ──► far ── the same way back ──► near        p50, p99, p99.9, five runs, their spread
    near ── bulk, sealed, plain bodies of 16,000 bytes ────────► far         MB/s, and per second of the busier side's CPU

`--spaces` puts a relay-less veth between two namespaces instead of loopback. Figures are one machine's, with both sides and
whatever else runs on its cores; the spread says how much that is. Records, packed and unpacked: records_bench.py.
"""

import argparse
import os
import statistics
from contextlib import ExitStack

from tests.link_pair import across, both_up, on_loopback
from tests.link_spaces import Spaces

ROUNDS, PINGS = 7, 3_000
BULK_ROUNDS = 3


def round_trips(near, far, realtime, rounds=ROUNDS, pings=PINGS):
    """Quantiles of each run in microseconds; a run lasts about half a second."""
    found = []
    for _ in range(rounds):
        near.ask(clear=True)
        before = near.ask()["answered"]
        if realtime:
            far.ask(realtime=True, cpu=1)
        near.ask(ping={"count": pings, "bytes": 64}, **({"realtime": True, "cpu": 0} if realtime else {}))
        near.until(lambda account, before=before: account["answered"] >= before + pings, "round trips")
        if realtime:
            near.ask(realtime=False)
            far.ask(realtime=False)
        found.append(near.ask()["round_trips"])
    return found


def cpu_seconds(side):
    """User and system time of a process so far."""
    words = (f"/proc/{side.process.pid}/stat",)
    with open(words[0]) as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bulk(near, far, megabytes=200, size=16_000):
    """(MB per second of wall, MB per second of the slower side's CPU) of plain bodies on the bulk connection."""
    count = megabytes * 1_000_000 // size
    first = far.ask()["seen"].get("3", 0)
    before = cpu_seconds(near), cpu_seconds(far)
    far.ask(clear=True)
    near.ask(send={"channel": 3, "count": count, "bytes": size})
    account = far.until(lambda account: account["seen"].get("3", 0) == first + count, "bulk", 120)
    used = max(cpu_seconds(near) - before[0], cpu_seconds(far) - before[1])
    return megabytes / (account["took"]["3"] / 1e9), megabytes / max(used, 0.01)


def row_of(what, unit, values):
    """A line of the table: the median of the runs and the ends."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"| {what} | {middle:,.0f} {unit} | {least:,.0f} – {most:,.0f} | {len(values)} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spaces", action="store_true")
    parser.add_argument("--realtime", action="store_true", help="a processor and chrt -f 50 for each side, as bench latency")
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        near, far = direct(stack) if arguments.spaces else on_loopback(stack)
        both_up(near, far)
        trips = round_trips(near, far, arguments.realtime)
        moved = [bulk(near, far, arguments.megabytes) for _ in range(BULK_ROUNDS)]
    print("| what | median | least – most | runs |\n|---|---|---|---|")
    for name, what in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")):
        print(row_of(f"round trip, 64 bytes, {what}", "µs", [trip[name] for trip in trips]))
    print(row_of("bulk, plain", "MB/s", [seconds for seconds, _ in moved]))
    print(row_of("bulk, plain, the busier side", "MB per CPU second", [cpu for _, cpu in moved]))


def direct(stack):
    """Two namespaces joined by one veth, no relay."""
    places = Spaces(stack, relayed=False)
    return across(places)


if __name__ == "__main__":
    main()
