"""The venue's side of tick to order, a process of its own: python -m gateway.ops.bench.feeder PORT INSTANCE CPU SEED.

Sends the frames of the simulated venue's line A, one every INTERVAL_NS, and takes the orders that come back.
One JSON line {"frames": N} per run comes in on stdin; "ready" and then one JSON line go out on stdout; the end of stdin
ends it. Hard rule: a run ends by setting the instance's stop word, and by itself after RUN_SECONDS_MAX.
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from gateway import clock, kernel_cache, layout
from gateway.instance import Instance
from gateway.port import Port, open_port

INTERVAL_NS = 40_000
SYMBOLS = 32
RATE = 20_000  # messages per second of the venue's own clock: mostly one message per packet
RUN_SECONDS_MAX = 0.8
START_SECONDS_MAX = 5.0
PATIENCE_NS = 2_000_000  # for the last orders of a run
FIRST_BLOCK = 42 + 20  # behind Ethernet, IPv4, UDP and the MoldUDP64 header
ADDS = (ord("A"), ord("F"))


def line_a(seed: int) -> Iterator[bytes]:
    """Frames of line A, without end for a benchmark's purposes."""
    from gateway.venues.simulator.flow import frames

    first = b""
    for _, frame in frames(seed=seed, symbols=SYMBOLS, messages=1 << 40, rate=RATE):
        first = first or frame[:6]
        if frame[:6] == first:
            yield frame


def has_add(frame: bytes) -> bool:
    """Whether a MoldUDP64 frame carries an add, which the echo strategy answers."""
    at = FIRST_BLOCK
    for _ in range(int.from_bytes(frame[at - 2 : at], "big")):
        if frame[at + 2] in ADDS:
            return True
        at += 2 + int.from_bytes(frame[at : at + 2], "big")
    return False


def wait_for_loop(instance: Instance) -> None:
    """Until the appliance's loop turns."""
    beat = instance.control[0]["heartbeats"][layout.value("PROCESS_IO")]
    deadline_ns = clock.monotonic_ns() + int(START_SECONDS_MAX * 1e9)
    while beat["state"] != layout.value("PROCESS_RUNNING") and clock.monotonic_ns() < deadline_ns:
        time.sleep(0.0002)


def feed(port: Port, frames: list[bytes]) -> dict[str, Any]:
    """Sends the frames at their pace; returns what went out and what came back."""
    sent = orders = 0
    begin_ns = clock.monotonic_ns()
    last_ns = begin_ns + int(RUN_SECONDS_MAX * 1e9)
    for index, frame in enumerate(frames):
        due_ns = begin_ns + index * INTERVAL_NS
        while clock.monotonic_ns() < due_ns:
            orders += len(port.receive() or ())
        sent += port.transmit([frame])
        if due_ns > last_ns:
            break
    quiet_ns = clock.monotonic_ns() + PATIENCE_NS
    while clock.monotonic_ns() < quiet_ns:
        orders += len(port.receive() or ())
    return {"sent": sent, "orders": orders, "answerable": sum(map(has_add, frames[:sent]))}


def main() -> None:
    """Serves runs until stdin ends."""
    kernel_cache.prepare()
    from gateway.ops.bench.pinning import pinned

    port_name, instance_name, cpu, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    instance = Instance.attach(instance_name)
    source = line_a(seed)
    with open_port(port_name) as port:
        print("attached", flush=True)
        for line in sys.stdin:
            frames = list(islice(source, json.loads(line)["frames"]))
            print("ready", flush=True)
            wait_for_loop(instance)
            with pinned(cpu):
                told = feed(port, frames)
                instance.control[0]["stop"] = 1
            print(json.dumps(told), flush=True)
    instance.close()


if __name__ == "__main__":
    main()
