"""The venue's side of tick to order, a process of its own: python -m gateway.ops.bench.feeder PORT INSTANCE CPU SEED.

Sends the frames of the simulated venue's line A, one every INTERVAL_NS, and takes the orders that come back.
One JSON line {"frames": N, "record": FILE, "burst": false} per run comes in on stdin; "ready" and then one JSON line go out
on stdout; the end of stdin ends it. With `record` it is the recorder too, on this CPU; a `burst` lies in the port before the
loop turns. Hard rule: a run ends by setting the instance's stop word, and by itself after RUN_SECONDS_MAX.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from gateway import clock, kernel_cache, layout
from gateway.instance import Instance
from gateway.ops.bench.pinning import pinned
from gateway.ops.recorder import Recorder, Rotation
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


def feed(port: Port, frames: list[bytes], poll: Callable[[], object]) -> dict[str, Any]:
    """Sends the frames at their pace, polling meanwhile; returns what went out and what came back."""
    sent = orders = 0
    begin_ns = clock.monotonic_ns()
    last_ns = begin_ns + int(RUN_SECONDS_MAX * 1e9)
    for index, frame in enumerate(frames):
        due_ns = begin_ns + index * INTERVAL_NS
        while clock.monotonic_ns() < due_ns:
            orders += len(port.receive() or ())
            poll()
        sent += port.transmit([frame])
        if due_ns > last_ns:
            break
    quiet_ns = clock.monotonic_ns() + PATIENCE_NS
    while clock.monotonic_ns() < quiet_ns:
        orders += len(port.receive() or ())
        poll()
    return {"sent": sent, "orders": orders, "answerable": sum(map(has_add, frames[:sent]))}


def wait_for_stop(instance: Instance, poll: Callable[[], object]) -> None:
    """Polls until the burst was worked off."""
    deadline_ns = clock.monotonic_ns() + int(RUN_SECONDS_MAX * 1e9)
    while not instance.control[0]["stop"] and clock.monotonic_ns() < deadline_ns:
        poll()


@contextmanager
def recording(
    instance: Instance, path: str | None, told: dict[str, Any], frames: list[bytes]
) -> Iterator[Callable[[], object]]:
    """The recorder to poll; afterwards `told` has what it missed, and whether the file holds the frames byte for byte."""
    if not path:
        yield lambda: None
        return
    recorder = Recorder(instance, Path(path), Rotation())
    yield recorder.poll
    while recorder.poll():
        pass
    recorder.close()
    with open_port(f"pcap:{path},direction=in") as port:  # it begins with the record before the news
        recorded = [frame.data for frame in port]
    told |= {
        "missed": int(recorder.native.missed_in),
        "recorded": recorded[-len(frames) :] == frames,
        "bytes": Path(path).stat().st_size,
    }


def serve(port: Port, instance: Instance, run: dict[str, Any], frames: list[bytes], cpu: int) -> dict[str, Any]:
    """One run."""
    told: dict[str, Any] = {}
    with recording(instance, run.get("record"), told, frames) as poll:
        sent = port.transmit(frames) if run.get("burst") else 0
        print("ready", flush=True)
        if not run.get("burst"):
            wait_for_loop(instance)
        with pinned(cpu):
            told |= {"sent": sent} if run.get("burst") else feed(port, frames, poll)
            if run.get("burst"):
                wait_for_stop(instance, poll)
            instance.control[0]["stop"] = 1
    if run.get("burst"):
        told["orders"] = drain(port)
    return told


def drain(port: Port) -> int:
    """Takes the orders that a burst brought."""
    orders = 0
    while got := port.receive():
        orders += len(got)
    return orders


def main() -> None:
    """Serves runs until stdin ends."""
    kernel_cache.prepare()
    port_name, instance_name, cpu, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    instance = Instance.attach(instance_name)
    source = line_a(seed)
    with open_port(port_name) as port:
        print("attached", flush=True)
        for line in sys.stdin:
            run = json.loads(line)
            frames = list(islice(source, run["frames"]))
            told = serve(port, instance, run, frames, cpu)
            print(json.dumps(told), flush=True)
    instance.close()


if __name__ == "__main__":
    main()
