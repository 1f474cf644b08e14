"""The whole gateway in the guest on its virtio NIC, the rest of the world on the host's side of the link.

    demo        host: gateway venue ══ TAP ══ virtio NIC ── net_virtio ── io ── core     guest: gateway run
    restart     the same with resting orders; io is killed amid traffic, and later everything open is cancelled
    exception   host: the kernel, ping and a TCP session ══ … ── io ── TAP gwx, 10.9.0.2  guest: gateway run

Figures of one side are compared with the other's: frames sent with frames published, orders sent with orders received.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.cli.demo import report
from gateway.errors import GatewayError
from gateway.ops.demo import DemoOptions
from gateway.ops.reconciliation import reconcile
from vagrant.testbed.bench import Bench, Row, beside, bind, case, tap_netdev
from vagrant.testbed.guest_tree import ROOT
from vagrant.testbed.machine import DATA_PLANE, Hardware, Machine, last_line
from vagrant.testbed.network import FAR_ADDRESS, NEAR_ADDRESS, TAP, Link, link

CASE_SECONDS = 1200.0
START_SECONDS, FLOW_SECONDS, STOP_SECONDS, RESTART_SECONDS = 480.0, 240.0, 90.0, 400.0  # on a busy host
INSTANCE = "testbed"
PORT = f"dpdk:{DATA_PLANE}"
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


@dataclass(frozen=True)
class Market:
    """What the simulated venue does; slow, for the guest is emulated."""

    seconds: float = 8.0
    rate: int = 300
    symbols: int = 8
    strategy: str = "imbalance"
    kill_io_after_frames: int = 0


DEMO = Market()
RESTART = Market(seconds=400.0, rate=100, strategy="quotes", kill_io_after_frames=300)


def settings(folder: Path, **more: str) -> list[str]:
    """Words that run a command in the guest with the demo's configuration changed by GATEWAY__ keys."""
    chosen = {
        "INSTANCE__NAME": INSTANCE,
        "INSTANCE__STATE": "/tmp/state",
        "PORT__NAME": PORT,
        "PLACEMENT__IDLE": "sleep",
        "WATCH__CONTROL_STALE_MS": "60000",  # an emulated guest on a busy host stands still for seconds
        "WATCH__CORE_STALE_MS": "60000",
        "WATCH__ORDER_AGE_MAX_MS": "60000",
        "RISK__STALE_MS": "60000",
        **more,
    }
    return ["env", *[f"GATEWAY__{key}={value}" for key, value in chosen.items()]]


@contextlib.contextmanager
def appliance(bench: Bench, row: Row, folder: Path, wire: Link, watch: list[str], **more: str) -> Iterator[Machine]:
    """A guest in which `gateway run` drives the NIC; stopped in order at the end."""
    hardware = Hardware(tap_netdev(), memory_mib=3072)
    with bench.guest(row, hardware, folder, wire.prefix) as guest:
        bind(row, guest)
        source = bench.tree.folder / "source/gateway"
        words = ["python3", "-m", "gateway.cli.main", "run", str(source / "ops/demo.toml"), "--json"]
        began = time.monotonic()
        guest.start("appliance", *settings(folder, **more), *words)
        if watch:
            guest.start("account", "python3", "/run/job/account.py", INSTANCE, *watch)
        if "compiling" in guest.wait("appliance", " s\n", START_SECONDS).err:
            raise GatewayError("the guest compiles kernels that it should have been handed")
        guest.wait("appliance", "is running on", START_SECONDS)
        row.details["start_seconds"] = round(time.monotonic() - began, 1)
        yield guest
        guest.signal("appliance")
        ended = guest.wait("appliance", seconds=STOP_SECONDS)
        row.details["appliance_exit_code"] = ended.code
        row.details["appliance_said"] = [line for line in ended.err.splitlines() if line.startswith("gateway run:")]


def strategy_of(bench: Bench, market: Market) -> str:
    """The strategy's path in the guest."""
    return str(bench.tree.folder / "source/gateway/strategies" / f"{market.strategy}.py")


def compile_venue() -> None:
    """The venue's kernels, for this processor, before a guest waits for them."""
    code = "from gateway.venues.simulator.step import venue_step; venue_step()"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=START_SECONDS, cwd=ROOT)
    if outcome.returncode != 0:
        raise GatewayError(f"the venue's kernels: {last_line(outcome.stderr)}")


@contextlib.contextmanager
def venue(bench: Bench, market: Market, wire: Link, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """The simulated venue on the host's side."""
    words = ["gateway.cli.main", "venue", "--port", f"af_packet:{TAP}", "--instance", f"testbed-{os.getpid()}"]
    words += ["--seed", str(bench.seed), "--symbols", str(market.symbols), "--rate", str(market.rate)]
    words += ["--seconds", str(market.seconds), "--snapshots", str(2 * market.symbols), "--grace", "3"]
    with beside([*words, "--report", str(folder / "venue.json")], wire.prefix) as process:
        yield process


def venue_report(process: "subprocess.Popen[str]", folder: Path) -> dict[str, Any]:
    """Ends the venue; its account."""
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOP_SECONDS)
        return dict(json.loads((folder / "venue.json").read_text()))
    except (subprocess.TimeoutExpired, OSError, ValueError) as problem:
        raise GatewayError(f"the venue left no report: {problem}") from problem


def states(text: str) -> dict[str, dict[str, Any]]:
    """What account.py has said, by state."""
    rows = [json.loads(line) for line in text.splitlines() if line.startswith('{"state"')]
    return {row["state"]: row for row in rows}


def run_demo(bench: Bench, name: str = "demo", market: Market = DEMO) -> Row:
    """The demo over the link: books and positions of the guest against the venue's."""
    row = Row(name, port=PORT, driver="net_virtio")
    compile_venue()
    watch = ["kill-io", str(market.kill_io_after_frames)] if market.kill_io_after_frames else ["watch"]
    with case(row, CASE_SECONDS) as folder, link() as wire:
        more = {"STRATEGY__FILE": strategy_of(bench, market)}
        with appliance(bench, row, folder, wire, watch, **more) as guest, venue(bench, market, wire, folder) as process:
            guest.wait("account", "running", START_SECONDS)
            if market.kill_io_after_frames:
                guest.wait("account", "cancelled", RESTART_SECONDS)
            else:
                guest.wait("account", "flowed", FLOW_SECONDS + market.seconds)
            theirs = venue_report(process, folder)
            if market.kill_io_after_frames:
                guest.wait("account", "flowed", FLOW_SECONDS)
            guest.signal("account")
            ended = guest.wait("account", seconds=STOP_SECONDS)
            judge = judge_restart if market.kill_io_after_frames else judge_demo
            judge(row, market, ended.json_line(), theirs, states(ended.out))
    return row


def counts(row: Row, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Market frames one way, order frames the other way."""
    io = ours["summary"]["io"]
    row.host_sent, row.guest_received = theirs["port"]["frames_transmitted"], io["frames_published"]
    row.guest_echoed = io["orders_transmitted"] + io["cancels_transmitted"]
    row.host_echoed = theirs["orders_received"] + theirs["cancels_received"]
    row.details["venue"] = {key: value for key, value in theirs.items() if isinstance(value, int)}


def judge_demo(row: Row, market: Market, ours: dict[str, Any], theirs: dict[str, Any], said: dict[str, Any]) -> None:
    """The demo's own judgement, and both counts."""
    counts(row, ours, theirs)
    check = reconcile(ours["books"], ours["positions"], ours["summary"], theirs)
    options = DemoOptions(seconds=market.seconds, symbols=market.symbols, rate=market.rate)
    demo = SimpleNamespace(wiring=SimpleNamespace(appliance=PORT), options=options)
    result = report(demo, ours["summary"], theirs, check)  # type: ignore[arg-type]
    row.details["result"] = result
    row.problems += check.problems
    row.require(row.host_sent == row.guest_received > 0, "market frames sent and received do not agree")
    row.require(result["orders_sent"] == result["venue_orders_received"] > 0, "orders sent and received do not agree")


def judge_restart(row: Row, market: Market, ours: dict[str, Any], theirs: dict[str, Any], said: dict[str, Any]) -> None:
    """Another io carries traffic and orders; cancels leave and the venue has nothing open."""
    counts(row, ours, theirs)
    restarted, cancelled = said["restarted"], said["cancelled"]
    row.details |= {"restart": restarted, "kill": cancelled}
    kill, after = cancelled["report"], cancelled["after"]
    row.require(restarted["by"] != restarted["killed"], "io is the same process")
    row.require(kill["open_before"] > 0 and kill["cancels_sent"] > 0, "nothing was open that could be cancelled")
    row.require(kill["confirmed"], f"the venue did not confirm: {kill['still_open']}")
    row.require(not theirs["open_orders"], f"the venue still has {len(theirs['open_orders'])} orders open")
    for name in ("frames_published", "orders_transmitted", "cancels_transmitted"):
        row.require(after[name] > restarted["before"][name], f"{name} stood still after the restart")
    apart = abs(row.host_echoed - row.guest_echoed)
    row.require(apart <= IN_FLIGHT, f"{apart} order frames more on one side than on the other")


def run_restart(bench: Bench) -> Row:
    """io killed amid traffic."""
    return run_demo(bench, "restart", RESTART)


def run_exception(bench: Bench) -> Row:
    """Ping and a TCP session from the host's kernel to the guest's, over the NIC that DPDK owns."""
    row = Row("exception", port=PORT, driver="net_virtio")
    more = {"EXCEPTION__TAP": KERNEL_TAP, "EXCEPTION__ADDRESS": f"{NEAR_ADDRESS}/24"}
    with case(row, CASE_SECONDS) as folder, link() as wire:
        wire.give_address()
        with appliance(bench, row, folder, wire, [], **more) as guest:
            ping(row, wire, guest)
            speak_tcp(row, bench, wire, guest)
    return row


def ping(row: Row, wire: Link, guest: Machine) -> None:
    """Echo requests: sent and heard here, answered there, as each kernel counts."""
    warm = [*wire.prefix, "ping", "-n", "-c", "1", "-w", "60", NEAR_ADDRESS]
    subprocess.run(warm, capture_output=True, timeout=90)  # ARP, and the first turn of everything
    before = icmp(guest)
    words = [*wire.prefix, "ping", "-n", "-c", str(PINGS), "-i", "0.3", "-W", "10", NEAR_ADDRESS]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120).stdout
    after = icmp(guest)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    row.host_sent, row.host_echoed = (int(found[1]), int(found[2])) if found else (0, 0)
    row.guest_received, row.guest_echoed = (after[name] - before[name] for name in ("InEchos", "OutEchoReps"))
    four = {row.host_sent, row.guest_received, row.guest_echoed, row.host_echoed}
    row.require(four == {PINGS}, "pings of both sides do not agree")


def icmp(guest: Machine) -> dict[str, int]:
    """The guest kernel's own count of ICMP messages (/proc/net/snmp)."""
    rows = [line.split() for line in guest.run("cat", "/proc/net/snmp").out.splitlines() if line.startswith("Icmp:")]
    return dict(zip(rows[0][1:], map(int, rows[1][1:]), strict=True))


def speak_tcp(row: Row, bench: Bench, wire: Link, guest: Machine) -> None:
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
