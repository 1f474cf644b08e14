"""Suspicions a minute between two healthy links on loopback while busy loops take the processors: whose fault each is.

    python -m tests.link.liveness_bench [--seconds 30] [--hogs 4] [--policy other | nice | rr]

    hogs (nice 0)   side 1 ═ UDP, TCP ═ side 2      each datagram with the kernel's time of arrival (SO_TIMESTAMPNS)

A suspicion is true where two arrivals in a row are 50 ms or more apart by the kernel's own stamps: then nothing was sent, or
nothing carried it. It is false where the datagrams were there and the detector did not see them.

Hard rule: ends everything it starts.
"""

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import time

from gateway import limits
from gateway.link.peers.event import Suspect
from tests.link_endpoint import Endpoint
from tests.link_pair import words_of

STAMP = struct.Struct("qq")
SO_TIMESTAMPNS = 35
SECOND_NS = 1_000_000_000
POLICIES = {
    "other": lambda: None,
    "nice": lambda: os.nice(-10) and None,
    "rr": lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
}


class Stamped:
    """The UDP socket of a transport, with the kernel's time of every arrival beside it."""

    def __init__(self, inner):
        self._inner, self.arrivals = inner, []
        inner.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def recvfrom(self, size):
        data, beside, _, address = self._inner.recvmsg(size, 64)
        for level, kind, value in beside:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, rest_ns = STAMP.unpack(value[: STAMP.size])
                self.arrivals.append(seconds * SECOND_NS + rest_ns)
        return data, address

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Side(Endpoint):
    """An endpoint that remembers when it suspected, and after how long a silence."""

    def __init__(self, words):
        super().__init__(words)
        self.transport.datagrams.socket = self.stamped = Stamped(self.transport.datagrams.socket)
        self.suspicions = []

    def on_event(self, event, now_ns):
        super().on_event(event, now_ns)
        if isinstance(event, Suspect):
            self.suspicions.append((len(self.stamped.arrivals), event.silence_ns))

    def command(self):
        """The parent says only when it is over."""
        return not sys.stdin.readline()

    def result(self):
        """What it saw, and what the kernel did."""
        arrivals = self.stamped.arrivals
        gaps_ns = [after - before for before, after in zip(arrivals, arrivals[1:], strict=False)]
        # the gap that a suspicion stands in: behind the last datagram drained before it
        around = [gaps_ns[count - 1] for count, _ in self.suspicions if 0 < count <= len(gaps_ns)]
        true = sum(gap_ns >= limits.LINK_SUSPECT_NS for gap_ns in around)
        late_ms = sorted(round(silence_ns / 1e6, 1) for _, silence_ns in self.suspicions)
        return {
            "suspicions": len(self.suspicions),
            "true": true,
            "false": len(around) - true,
            "silence_ms": late_ms[:12],
            "gaps_of_50_ms": sum(gap_ns >= limits.LINK_SUSPECT_NS for gap_ns in gaps_ns),
            "gap_ms_max": round(max(gaps_ns, default=0) / 1e6, 1),
            "datagrams": len(arrivals),
        }


def side(words):
    """One process, until its stdin ends."""
    POLICIES[words["policy"]]()
    one = Side(words)
    one.run()
    print(json.dumps(one.result()), flush=True)


def start(words):
    command = [sys.executable, "-m", "tests.link.liveness_bench", "--side", json.dumps(words)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())["port"]


def measure(seconds, hogs, policy):
    """Both sides' accounts of so long under so many busy loops."""
    started = []
    try:
        far, port = start(words_of(2, 1, listen=["127.0.0.1", 0], policy=policy))
        started.append(far)
        near, _ = start(words_of(1, 2, listen=["127.0.0.1", 0], call=["127.0.0.1", port], policy=policy))
        started.append(near)
        time.sleep(2.0)
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(hogs)]
        started += loops
        time.sleep(seconds)
        for process in loops:
            process.kill()
        for process in (near, far):  # together: who ends first is silent, and suspected
            process.stdin.write('{"stop": true}\n')
            process.stdin.flush()
        found = [json.loads(process.communicate("", timeout=30)[0].splitlines()[-1]) for process in (near, far)]
    finally:
        for process in started:
            process.kill()
            process.wait()
    a_minute = 60 / seconds * sum(one["suspicions"] for one in found) / 2
    return {"policy": policy, "seconds": seconds, "hogs": hogs, "a_minute_and_side": round(a_minute, 1), "sides": found}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--hogs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--policy", choices=POLICIES, default="other")
    parser.add_argument("--side")
    arguments = parser.parse_args()
    if arguments.side:
        side(json.loads(arguments.side))
    else:
        print(json.dumps(measure(min(arguments.seconds, 60.0), arguments.hogs, arguments.policy), indent=1))


if __name__ == "__main__":
    main()
