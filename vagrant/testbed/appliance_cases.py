"""The whole gateway in the guest on its virtio NIC, the rest of the world on the host's side of the link.

    demo        host: gateway venue ══ TAP ══ virtio NIC ── net_virtio ── io ── core     guest: gateway run
    restart     the same with resting orders; io is killed amid traffic, and later everything open is cancelled
    exception   host: the kernel, ping and a TCP session ══ … ── io ── TAP gwx, 10.9.0.2  guest: gateway run

Figures of one side are compared with the other's: frames sent with frames published, orders sent with orders received.
"""

import re
import subprocess
from typing import Any

from gateway.errors import GatewayError
from vagrant.testbed.agent import Guest, last_line
from vagrant.testbed.bench import Bench, Row, bind, case, tap_netdev
from vagrant.testbed.machine import Hardware
from vagrant.testbed.network import FAR_ADDRESS, NEAR_ADDRESS, TAP, Link, link
from vagrant.testbed.trading import (
    PORT,
    RESTART_SECONDS,
    TOGETHER,
    FarSide,
    Judge,
    Market,
    appliance,
    compile_venue,
    counts,
    judge_demo,
    trade,
)

CASE_SECONDS = 1200.0
HARDWARE = Hardware(tap_netdev(), memory_mib=3072)
KERNEL_TAP = "gwx"
PINGS, TCP_BYTES, TCP_PORT = 10, 200_000, 7000
IN_FLIGHT = 64  # orders of one burst: io may be killed between sending them and counting them

TCP_SERVER = """
import socket
with socket.create_server(("%s", %d)) as listener:
    print("listening", flush=True)
    peer, _ = listener.accept()
    count = 0
    with peer:
        while data := peer.recv(65536):
            count += len(data)
            peer.sendall(data)
print(count, flush=True)
"""
TCP_CLIENT = """
import random, socket, sys, threading
data = random.Random(int(sys.argv[3])).randbytes(int(sys.argv[4]))
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as client:
    def send():
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    threading.Thread(target=send, daemon=True).start()
    heard = b""
    while part := client.recv(65536):
        heard += part
print(len(heard) if heard == data else -1)
"""


DEMO = Market()
RESTART = Market(seconds=RESTART_SECONDS + 60, rate=100, strategy="quotes", kill_io_after_frames=300)


def run_demo(bench: Bench, name: str = "demo", market: Market = DEMO, judge: Judge = judge_demo) -> Row:
    """The demo over the link: books and positions of the guest against the venue's."""
    row = Row(name, port=PORT, driver="net_virtio")
    compile_venue()
    with case(row, CASE_SECONDS) as folder, link() as wire, bench.guest(row, HARDWARE, folder, wire.prefix) as guest:
        bind(row, guest)
        far = FarSide(f"af_packet:{TAP}", wire.prefix, folder, bench.seed)
        trade(row, guest, bench.tree, market, far, judge)
    return row


def judge_restart(row: Row, market: Market, ours: dict[str, Any], theirs: dict[str, Any], said: dict[str, Any]) -> None:
    """Another io carries traffic and orders; cancels leave, neither side has anything open (account.py waits for ours)."""
    counts(row, ours, theirs)
    restarted, cancelled = said["restarted"], said["cancelled"]
    row.details |= {"restart": restarted, "kill": cancelled}
    kill, after = cancelled["report"], cancelled["after"]
    row.require(restarted["by"] != restarted["killed"], "io is the same process")
    row.require(kill["open_before"] > 0, "nothing was open that could be cancelled")
    row.require(not kill["io_replaced"], "the kill took an io that works for one that hangs")
    row.require(not theirs["open_orders"], f"the venue still has {len(theirs['open_orders'])} orders open")
    for name in ("frames_published", "orders_transmitted", "cancels_transmitted"):
        row.require(after[name] > restarted["before"][name], f"{name} stood still after the restart")
    apart = abs(row.host_echoed - row.guest_echoed)
    row.require(apart <= IN_FLIGHT, f"{apart} order frames more on one side than on the other")


def run_restart(bench: Bench) -> Row:
    """io killed amid traffic."""
    return run_demo(bench, "restart", RESTART, judge_restart)


def run_exception(bench: Bench) -> Row:
    """Ping and a TCP session from the host's kernel to the guest's, over the NIC that DPDK owns."""
    row = Row("exception", port=PORT, driver="net_virtio")
    more = {"EXCEPTION__TAP": KERNEL_TAP, "EXCEPTION__ADDRESS": f"{NEAR_ADDRESS}/24", **TOGETHER}
    with case(row, CASE_SECONDS) as folder, link() as wire, bench.guest(row, HARDWARE, folder, wire.prefix) as guest:
        wire.give_address()
        bind(row, guest)
        with appliance(row, guest, bench.tree, [], **more):
            ping(row, wire, guest)
            speak_tcp(row, bench, wire, guest)
    return row


def ping(row: Row, wire: Link, guest: Guest) -> None:
    """Echo requests: sent and heard here, answered there, as each kernel counts."""
    warm = [*wire.prefix, "ping", "-n", "-c", "1", "-w", "60", NEAR_ADDRESS]
    subprocess.run(warm, capture_output=True, timeout=90)  # ARP, and the first turn of everything
    before = icmp(guest)
    words = [*wire.prefix, "ping", "-n", "-c", str(PINGS), "-i", "0.3", "-W", "10", NEAR_ADDRESS]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120)
    after = icmp(guest)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", said.stdout)
    if found is None:
        raise GatewayError(f"ping on the host: {last_line(said.stderr)}")
    row.host_sent, row.host_echoed = int(found[1]), int(found[2])
    row.guest_received, row.guest_echoed = (after[name] - before[name] for name in ("InEchos", "OutEchoReps"))
    four = {row.host_sent, row.guest_received, row.guest_echoed, row.host_echoed}
    row.require(four == {PINGS}, "pings of both sides do not agree")


def icmp(guest: Guest) -> dict[str, int]:
    """The guest kernel's own count of ICMP messages (/proc/net/snmp)."""
    rows = [line.split() for line in guest.run("cat", "/proc/net/snmp").out.splitlines() if line.startswith("Icmp:")]
    return dict(zip(rows[0][1:], map(int, rows[1][1:]), strict=True))


def speak_tcp(row: Row, bench: Bench, wire: Link, guest: Guest) -> None:
    """A session with data in both directions, byte for byte."""
    guest.start("tcp", "python3", "-c", TCP_SERVER % (NEAR_ADDRESS, TCP_PORT))
    guest.wait("tcp", "listening")
    words = [NEAR_ADDRESS, str(TCP_PORT), str(bench.seed), str(TCP_BYTES)]
    command = [*wire.prefix, "python3", "-c", TCP_CLIENT, *words]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
    heard = int(outcome.stdout or 0)
    there = int(guest.wait("tcp").out.split()[-1])
    row.details["tcp"] = {"bytes_sent": TCP_BYTES, "bytes_in_guest": there, "bytes_back": heard, "from": FAR_ADDRESS}
    row.require(heard == there == TCP_BYTES, f"TCP: {TCP_BYTES} bytes sent, {there} arrived, {heard} came back")
