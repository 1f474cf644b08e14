"""What the exception path costs: python -m tests.exception_bench (root for all but the first figure).

Thread time, so that a busy machine adds little; with and without are interleaved, and the kernel is a real TAP in a
namespace of its own for the turns.
"""

import os
import statistics
import time
from contextlib import contextmanager

from gateway.config import load
from gateway.instance import Instance
from gateway.native import ffi, lib
from gateway.ops.appliance import io_stage
from gateway.ops.exception import derived_mac
from gateway.port import open_port
from gateway.protocols import udp
from tests.integration.far_end import FAR_ADDRESS, NEAR_ADDRESS, TAP, ends, inside, internet_checksum
from tests.test_exception import GROUP, bench_with_exception, unique_name

BURST, TURNS, ROUNDS = 64, 192, 201
MARKET = udp.frame(bytes(200), destination=GROUP, destination_port=31001)


def step_of(io):
    step, context = ffi.cast("int64_t(*)(void *)", lib.io_step_address()), ffi.cast("void *", io.io)
    return lambda: step(context)


def per_frame_ns(bench, path):
    """Thread time of io for one market frame, the exception path on or off."""
    bench.io.io.exception = path
    step, header = step_of(bench.io), bench.instance.rings["io_core"].view("ring_header")[0]
    total = 0
    for _ in range(TURNS // 16):
        for _ in range(16):
            assert bench.peer.transmit([MARKET] * BURST) == BURST
        began = time.thread_time_ns()
        for _ in range(16):
            step()
        total += time.thread_time_ns() - began
        header["cursor"] = header["claimed"]
    return total / (TURNS * BURST)


def classification():
    """Nanoseconds a frame: (off, on) as medians and minima."""
    with bench_with_exception() as (bench, _, path):
        rows = [(per_frame_ns(bench, ffi.NULL), per_frame_ns(bench, path)) for _ in range(ROUNDS)]
    off, on = zip(*rows, strict=True)
    return statistics.median(off), statistics.median(on), min(off), min(on)


def arp_for(address, asker):
    """A broadcast ARP request."""
    words = bytes(map(int, asker.split("."))), bytes(map(int, address.split(".")))
    head = bytes.fromhex("ffffffffffff 0200000000aa 0806 0001080006040001 0200000000aa")
    return head + words[0] + bytes(6) + words[1] + bytes(18)


def echo_request(address, asker, mac):
    """An ICMP echo request of 56 bytes."""
    body = b"\x08\x00\0\0" + bytes(60)
    body = body[:2] + internet_checksum(body).to_bytes(2, "big") + body[4:]
    addresses = bytes(map(int, asker.split("."))) + bytes(map(int, address.split(".")))
    head = b"\x45\0" + (20 + len(body)).to_bytes(2, "big") + bytes(4) + b"\x40\x01"
    head += internet_checksum(head + b"\0\0" + addresses).to_bytes(2, "big") + addresses
    return mac + bytes.fromhex("0200000000aa 0800") + head + body


@contextmanager
def io_with_tap(space, more=None):
    """An io stage with a TAP in a namespace: (io, the port's other end, instance)."""
    name = f"gwxbench{os.getpid()}"
    settings = {"exception.tap": TAP, "exception.address": f"{NEAR_ADDRESS}/24", "instance.name": unique_name("cost")}
    configuration = load(None, settings | (more or {}))
    instance = Instance.create(configuration.instance.name)
    try:
        with inside(space):
            io = io_stage(instance, configuration, port=f"pair:{name}")
        try:
            with open_port(f"pair:{name},side=b") as peer:
                yield io, peer, instance
        finally:
            io.close()
    finally:
        instance.close(remove=True)


def turns_ns(io, peer, frames, count, paced):
    """Thread time of `count` turns, each with a burst of `frames`, sorted. Without pace every turn takes its 16."""
    path, step, costs = io.beside.path, step_of(io), []
    if not paced:
        path.inward.ticks_frame = path.outward.ticks_frame = 1
    for _ in range(count):
        path.ticks_poll = 0
        assert peer.transmit(frames) == len(frames)
        began = time.thread_time_ns()
        step()
        costs.append(time.thread_time_ns() - began)
        peer.receive()
    return sorted(costs)


def quiet_ns(io):
    """Thread time of one question to a quiet TAP."""
    path, began, count = io.beside.path, time.thread_time_ns(), 100_000
    for _ in range(count):
        path.ticks_poll = 0
        lib.exception_send(path, io.io.ports, 1 << 62)
    return (time.thread_time_ns() - began) / count


def main():
    off, on, off_min, on_min = classification()
    print(f"io a frame: off {off:.1f}, on {on:.1f} ns (medians); {off_min:.1f}, {on_min:.1f} ns (minima)")
    if os.geteuid() != 0:
        print("skipped: a real TAP needs root")
        return
    with ends() as both, io_with_tap(both.near) as (io, peer, _):
        mac = bytes.fromhex(derived_mac(io.instance.name).replace(":", ""))
        turns_ns(io, peer, [], 1000, True)
        print(f"question to a quiet TAP: {quiet_ns(io):.0f} ns")
        floods = {"ARP": arp_for(NEAR_ADDRESS, FAR_ADDRESS), "ping": echo_request(NEAR_ADDRESS, FAR_ADDRESS, mac)}
        for name, frame in floods.items():
            costs = turns_ns(io, peer, [frame] * BURST, 2000, False)
            print(f"turn, flood of {name}, 16 each way: median {costs[1000] / 1000:.1f}, p99 {costs[1980] / 1000:.1f} us")


if __name__ == "__main__":
    main()
