"""The same day over every kind of port, in a network namespace of its own: the books of its replay, to the last level.

this test ── AF_PACKET ─ veth ═ veth ─ AF_PACKET ── io, core
this test ── AF_PACKET ─ kernel ─ TAP ── io, core
feeder process ── memif socket ── io, core                 and a DPDK capture device
"""

import ctypes
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.port import open_port, port_kinds
from gateway.venues.simulator.flow import frames
from tests.corridor_bench import Live, batched, configuration, replay
from tests.ports.conftest import CLONE_NEWNET, ip

pytestmark = pytest.mark.root
SETTINGS = {"feed__reorder_window_us": 1_000_000}
COUNTS = (
    "messages",
    "gaps",
    "gap_messages",
    "sessions",
    "instruments",
    "live_orders",
    "crossed",
    "packets",
    "end_of_session",
)
SECONDS = 20


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The frames of a day, its capture, and what its replay says."""
    rows = list(frames(seed=5, symbols=6, messages=3000))
    path = tmp_path_factory.mktemp("ports") / "day.pcap"
    # a little-endian microsecond file: libpcap of the DPDK device reads that one everywhere
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for time_ns, frame in rows:
        parts += [struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9 // 1000, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(parts))
    said = what_was_said(replay(path, configuration(**SETTINGS)))
    return [frame for _, frame in rows], path, said


def what_was_said(result):
    return {
        "books": {str(key): json.loads(json.dumps(book)) for key, book in result["books"].items()},
        "types": result["messages"],
        **{name: result["core"][name] for name in COUNTS},
    }


@pytest.fixture
def namespace(as_root):
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"this host makes no network namespaces: {os.strerror(ctypes.get_errno())}")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        yield
        assert libc.setns(home, CLONE_NEWNET) == 0
    finally:
        os.close(home)


def over(live, peer, rows, expected):
    """Sends the day and turns the corridor until all of it is decoded."""
    deadline = time.monotonic() + SECONDS
    for group in batched(rows, 32):
        while group and time.monotonic() < deadline:
            group = group[peer.transmit(group) :]
            live.turns(8)
            peer.receive()
    core = live.counters["core"]
    while (core["messages"], core["packets"]) < (expected["messages"], expected["packets"]) and time.monotonic() < deadline:
        live.turns(64)
    return what_was_said(live.result())


def test_over_af_packet_on_a_veth_the_books_are_those_of_the_replay(day, namespace):
    rows, _, expected = day
    ip("link", "add", "gwca", "type", "veth", "peer", "name", "gwcb")
    for name in ("gwca", "gwcb"):
        ip("link", "set", name, "up")
    live = Live(configuration(**SETTINGS), "af_packet:gwca")
    try:
        with open_port("af_packet:gwcb") as peer:
            assert over(live, peer, rows, expected) == expected
        assert live.counters["io"]["frames_received"] == len(rows)
    finally:
        live.close()


def test_over_a_tap_the_books_are_those_of_the_replay(day, namespace):
    if not Path("/dev/net/tun").exists():
        pytest.skip("this host has no /dev/net/tun")
    rows, _, expected = day
    live = Live(configuration(**SETTINGS), "tap:gwct")
    try:
        with open_port("af_packet:gwct") as peer:
            assert over(live, peer, rows, expected) == expected
    finally:
        live.close()


# EAL starts once per process, so the corridor over a DPDK device runs in one of its own.
OVER_DPDK = """
import json, sys, time
from tests.corridor_bench import Live, configuration
from tests.integration.test_corridor_ports import SETTINGS, what_was_said
live = Live(configuration(**SETTINGS), sys.argv[1])
try:
    print("open", flush=True)
    core, deadline = live.counters["core"], time.monotonic() + float(sys.argv[3])
    while core["packets"] < int(sys.argv[2]) and time.monotonic() < deadline:
        live.turns(256)
    print(json.dumps(what_was_said(live.result())), flush=True)
finally:
    live.close()
"""
FEEDER = """
import sys, time
from gateway.port import open_port
with open_port("pcap:" + sys.argv[2]) as capture:
    rows = [frame.data for frame in capture]
with open_port(sys.argv[1]) as port:
    sent, deadline = 0, time.monotonic() + float(sys.argv[3])
    while sent < len(rows) and time.monotonic() < deadline:
        taken = port.transmit(rows[sent : sent + 32])
        sent += taken
        if not taken:
            port.receive()
        time.sleep(0.0005)
    time.sleep(1)
"""


def start(program, *words):
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    try:
        output, errors = process.communicate(timeout=2 * SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, errors
    return output


@pytest.mark.slow
@pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")
def test_over_memif_the_books_are_those_of_the_replay(day, tmp_path, as_root):
    _, path, expected = day
    socket = f"huge=no,id=0,socket={tmp_path}/m.sock,socket-abstract=no"
    corridor = start(OVER_DPDK, f"dpdk:net_memif0,role=server,{socket}", expected["packets"], SECONDS)
    try:
        assert corridor.stdout.readline().strip() == "open", corridor.stderr.read()
        finish(start(FEEDER, f"dpdk:net_memif0,role=client,{socket}", path, SECONDS))
    finally:
        output = finish(corridor)
    assert json.loads(output.splitlines()[-1]) == expected


@pytest.mark.slow
@pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")
def test_over_the_capture_device_of_dpdk_the_books_are_those_of_the_replay(day, as_root):
    _, path, expected = day
    output = finish(start(OVER_DPDK, f"dpdk:net_pcap0,rx_pcap={path},huge=no", expected["packets"], SECONDS))
    assert json.loads(output.splitlines()[-1]) == expected
