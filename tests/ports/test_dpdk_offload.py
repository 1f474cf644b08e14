"""Checksums, stamps and long frames of the DPDK port: by the device where it can, by us where it cannot."""

import os
import random
import socket
import subprocess

import pytest

from gateway.native import ffi, lib
from gateway.port import port_kinds
from tests.ports.dpdk_process import finish, run, start

pytestmark = pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")

JUDGE = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    flags, deadline = {}, time.monotonic() + 10
    while len(flags) < 3 and time.monotonic() < deadline:
        for row in port.receive():
            if row.data[12:14] == b"\\x08\\x00" and row.data[36:38] == (6000).to_bytes(2, "big"):
                flags[int.from_bytes(row.data[42:46], "big")] = row.flags
    print(flags[0], flags[1], flags[2] in (0, 1, 64), port.statistics()["checksum_bad"], port.describe()["checksums_in"])
"""


@pytest.mark.parametrize(
    ("driver", "judged"),
    [("net_tap0,iface={tap}", "64 0 True 1 device"), ("net_af_packet0,iface={veth}", "0 0 True 0 software")],
)
def test_a_checksum_that_the_device_verified_is_marked_and_a_bad_one_counted(veth, driver, judged):
    tap = f"gwc{os.getpid()}"
    judge = start(JUDGE, f"dpdk:{driver.format(tap=tap, veth=veth[1])},huge=no")
    assert judge.stdout.readline() == "open\n"
    send = """
with open_port(sys.argv[1]) as port:
    print(port.transmit([udp_frame(0), udp_frame(1, checksum=0x1234), udp_frame(2, checksum=0)]))
"""
    near = tap if "tap" in driver else veth[0]
    assert run(send, f"af_packet:{near}") == "3"
    assert finish(judge) == judged


@pytest.mark.parametrize(
    ("driver", "way"), [("net_tap0,iface={tap}", "device"), ("net_af_packet0,iface={veth}", "software")]
)
def test_a_checksum_that_the_kernel_left_open_is_filled_in_before_the_frame_leaves(veth, driver, way):
    tap = f"gwc{os.getpid()}"
    name = f"dpdk:{driver.format(tap=tap, veth=veth[1])},huge=no"
    program = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    sys.stdin.readline()
    frames = [udp_frame(index, 60 + index, checksum=0xBEEF) for index in range(50)]
    print(port.transmit(frames, flags=1), port.describe()["checksums_out"])
    collect(port, 1, 0.5)
"""
    sender = start(program, name)
    assert sender.stdout.readline() == "open\n"
    watch = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    expected = [udp_frame(index, 60 + index) for index in range(50)]
    frames, deadline = [], time.monotonic() + 10
    while len(frames) < 50 and time.monotonic() < deadline:
        frames += [row.data for row in port.receive() if row.data[36:38] == (6000).to_bytes(2, "big")]
    print(frames == expected, len(frames))
"""
    watcher = start(watch, f"af_packet:{tap if 'tap' in driver else veth[0]}")
    assert watcher.stdout.readline() == "open\n"
    sender.stdin.write("\n")
    sender.stdin.flush()
    assert finish(watcher) == "True 50"
    assert finish(sender) == f"50 {way}"


@pytest.mark.slow
@pytest.mark.parametrize(("key", "sent"), [("mtu=9000,", True), ("", False)])
def test_a_long_frame_crosses_whole_or_not_at_all(tmp_path, key, sent):
    receive = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    print([(len(data), data == frame(0, len(data))) for data in collect(port, 1, 5 if sys.argv[2] == "True" else 1)])
"""
    send_one = """
with open_port(sys.argv[1]) as port:
    deadline = time.monotonic() + 5
    while port.statistics()["link_state"] != 1 and time.monotonic() < deadline:
        port.receive()
        time.sleep(0.01)
    print(port.transmit([frame(0, 8000)]), port.statistics()["transmit_refused"])
    collect(port, 1, 1.0)
"""
    name = f"socket={tmp_path}/m.sock,socket-abstract=no,huge=no"
    receiver = start(receive, f"dpdk:net_memif0,role=server,{key}{name}", str(sent))
    assert receiver.stdout.readline() == "open\n"
    assert run(send_one, f"dpdk:net_memif0,role=client,{key}{name}") == ("1 0" if sent else "0 1")
    assert finish(receiver) == ("[(8000, True)]" if sent else "[]")


@pytest.mark.parametrize("key", ["", "mtu=9000,"])
def test_a_long_frame_in_several_buffers_arrives_as_one(namespace, key):
    name = f"gwj{os.getpid()}"
    program = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    frames, deadline = [], time.monotonic() + 5
    while len(frames) < 2 and time.monotonic() < deadline:
        frames += [row for row in port.receive() if row.data[12:14] == b"\\x88\\xb5"]
    print([(len(row.data), row.size_wire, row.data == frame(7, row.size_wire)) for row in frames])
"""
    process = start(program, f"dpdk:net_tap0,iface={name},{key}huge=no")
    assert process.stdout.readline() == "open\n"
    subprocess.run(["ip", "link", "set", name, "mtu", "9000"], check=True, timeout=10)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as near:
        near.bind((name, 0))
        for size in (8014, 100):
            near.send(bytes.fromhex("02000000000202000000000188b5") + (7).to_bytes(4, "big") + bytes(size - 18))
    assert finish(process) == "[(8014, 8014, True), (100, 100, True)]"


@pytest.mark.parametrize(
    ("argument", "mend"),
    [
        ("net_null0,mtu=67", "mtu=67 is not a whole number from 68 to 9600"),
        ("net_null0,mtu=9601", "mtu=9601 is not"),
        ("net_null0,promiscuous=perhaps", "promiscuous= is auto, yes or no"),
    ],
)
def test_a_key_that_cannot_be_is_one_line(argument, mend):
    program = """
try:
    open_port("dpdk:" + sys.argv[1] + ",huge=no")
except GatewayError as error:
    print(error)
"""
    assert mend in run(program, argument)


@pytest.mark.parametrize("seed", range(5))
def test_stamps_of_a_card_become_our_time_whatever_its_clock_counts(seed):
    """A card whose clock has any rate and drifts: a stamp stays within what it drifts between two comparisons."""
    rng = random.Random(seed)
    rate = rng.choice([0.1, 0.33, 1.0, 2.4]) * (1 + rng.uniform(-1e-4, 1e-4))  # ticks a nanosecond
    card_zero, our_zero = rng.randrange(1 << 62), 1_800_000_000_000_000_000
    clock = ffi.new("struct stamp_clock *")

    def card(ns):
        return card_zero + int((ns - our_zero) * rate)

    now = our_zero
    assert lib.stamp_to_ns(clock, card(now), now) == 0, "no stamp before the clock is known"
    for _ in range(60):
        lib.stamp_observe(clock, card(now), now)
        now += rng.randrange(6_000_000, 150_000_000)
        arrived = now - rng.randrange(0, 2_000_000)
        stamped = lib.stamp_to_ns(clock, card(arrived), now)
        if clock.multiplier:
            assert abs(stamped - arrived) < 50 + 20 / rate, (seed, stamped - arrived)
            assert stamped <= now
    assert clock.multiplier and clock.steps == 0


def test_a_stamp_that_cannot_be_true_is_none_and_a_clock_that_was_set_is_learnt_anew():
    clock = ffi.new("struct stamp_clock *")
    for ns in range(1_000_000_000, 1_100_000_001, 10_000_000):
        lib.stamp_observe(clock, ns * 2, ns)
    now = 1_100_000_000
    assert lib.stamp_to_ns(clock, 2 * (now - 1000), now) == now - 1000
    assert lib.stamp_to_ns(clock, 2 * (now + 10_000), now) == now, "a hair ahead is now"
    assert lib.stamp_to_ns(clock, 2 * (now + 1_000_000), now) == 0
    assert lib.stamp_to_ns(clock, 2 * (now - 1_000_000), now + 2_000_000_000) == 0, "no frame waits so long"
    lib.stamp_observe(clock, 77, now + 10_000_000)
    assert clock.steps == 1 and lib.stamp_to_ns(clock, 80, now + 10_000_100) == 0
    lib.stamp_observe(clock, 77 + 3 * 10_000_000, now + 20_000_000)
    assert lib.stamp_to_ns(clock, 77 + 3 * 9_000_000, now + 20_000_000) == now + 19_000_000
