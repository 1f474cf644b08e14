"""Round trip of a 64-byte control message and bulk between two processes: `python -m tests.link.loopback_bench`.

    near ── TCP control, sealed ──► far ── the same way back ──► near        p50, p99, p99.9, five runs, their spread
    near ── bulk, sealed, packed by the codec ─────────────────► far         MB/s of raw records and per second of CPU

`--spaces` puts a relay-less veth between two namespaces instead of loopback. Figures are one machine's, with both sides and
whatever else runs on its cores; the spread says how much that is.
"""

import argparse
import json
import os
import statistics
from contextlib import ExitStack

from tests.link_pair import across, both_up, on_loopback
from tests.link_spaces import Spaces

ROUNDS, PINGS = 5, 3_000


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


def spread(rows, name):
    """Median and the ends of one quantile over the runs."""
    values = [row[name] for row in rows]
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spaces", action="store_true")
    parser.add_argument("--realtime", action="store_true", help="a processor and chrt -f 50 for each side, as bench latency")
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        near, far = direct(stack) if arguments.spaces else on_loopback(stack)
        both_up(near, far)
        rows = round_trips(near, far, arguments.realtime)
        found = {f"round_trip_us_{name}": spread(rows, name) for name in ("p50", "p99", "p999")}
        moved = [bulk(near, far, arguments.megabytes) for _ in range(3)]
        found["bulk_MB_per_second"] = {
            "median": statistics.median(row[0] for row in moved),
            "all": [row[0] for row in moved],
        }
        found["bulk_MB_per_cpu_second"] = {"median": statistics.median(row[1] for row in moved)}
    print(json.dumps(found, indent=2))


def direct(stack):
    """Two namespaces joined by one veth, no relay."""
    places = Spaces(stack, relayed=False)
    return across(places)


if __name__ == "__main__":
    main()
