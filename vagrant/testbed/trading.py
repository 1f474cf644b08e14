"""The appliance in a guest, the venue on the host's side of its card: one session, judged from both sides' accounts.

    host: gateway venue ══ TAP, or Vagrant's cable ══ virtio NIC ── net_virtio ── io ── core      guest: gateway run
          trade ─────────── agent's line ──────────────────────────────── account.py: what the appliance holds

Hard rule: figures of one side are compared with the other's; nothing is taken from one side alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.cli.demo import report
from gateway.errors import GatewayError
from gateway.ops.demo import DemoOptions
from gateway.ops.reconciliation import reconcile
from vagrant.testbed.agent import GUEST_FOLDER, Guest, last_line
from vagrant.testbed.bench import Row, beside
from vagrant.testbed.guest_tree import ROOT, GuestTree
from vagrant.testbed.machine import DATA_PLANE

START_SECONDS, FLOW_SECONDS, STOP_SECONDS, RESTART_SECONDS = 480.0, 240.0, 90.0, 400.0  # on a busy host
RUNS = "is running on"  # what `gateway run` says then
INSTANCE = "testbed"
PORT = f"dpdk:{DATA_PLANE}"
TOGETHER = {"PLACEMENT__TOGETHER": "true"}  # one process less to start: emulated, each takes a quarter of a minute


@dataclass(frozen=True)
class Market:
    """What the simulated venue does; slow, for the guest is emulated."""

    seconds: float = 8.0
    rate: int = 300
    symbols: int = 8
    strategy: str = "imbalance"
    kill_io_after_frames: int = 0


@dataclass(frozen=True)
class FarSide:
    """Where the venue plugs in, and what it draws its market from."""

    port: str
    prefix: list[str]  # words that run a command where that port is
    folder: Path
    seed: int = 1


Judge = Callable[[Row, Market, dict[str, Any], dict[str, Any], dict[str, Any]], None]


def settings(**more: str) -> list[str]:
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
def appliance(row: Row, guest: Guest, tree: GuestTree, watch: list[str], **more: str) -> Iterator[None]:
    """`gateway run` drives the guest's card, watched where `watch` says how; stopped in order at the end."""
    words = ["python3", "-m", "gateway.cli.main", "run", str(tree.folder / "source/gateway/ops/demo.toml"), "--json"]
    began = time.monotonic()
    guest.start("appliance", *settings(**more), *words)
    if watch:
        guest.start("account", "python3", f"{GUEST_FOLDER}/account.py", INSTANCE, *watch)
    if "compiling" in guest.wait("appliance", "compiling", RUNS, seconds=START_SECONDS).err:
        raise GatewayError("the guest compiles kernels that it should have been handed")
    row.details["start_seconds"] = round(time.monotonic() - began, 1)
    yield
    guest.signal("appliance")
    ended = guest.wait("appliance", seconds=STOP_SECONDS)
    row.details["appliance_exit_code"] = ended.code
    row.details["appliance_said"] = [line for line in ended.err.splitlines() if line.startswith("gateway run:")]


def compile_venue() -> None:
    """The venue's kernels, for this processor, before a guest waits for them."""
    code = "from gateway.venues.simulator.step import venue_step; venue_step()"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=START_SECONDS, cwd=ROOT)
    if outcome.returncode != 0:
        raise GatewayError(f"the venue's kernels: {last_line(outcome.stderr)}")


@contextlib.contextmanager
def venue(market: Market, far: FarSide) -> Iterator["subprocess.Popen[str]"]:
    """The simulated venue on the host's side."""
    words = ["gateway.cli.main", "venue", "--port", far.port, "--instance", f"testbed-{os.getpid()}"]
    words += ["--seed", str(far.seed), "--symbols", str(market.symbols), "--rate", str(market.rate)]
    words += ["--seconds", str(market.seconds), "--snapshots", str(2 * market.symbols), "--grace", "3"]
    with beside([*words, "--report", str(far.folder / "venue.json")], far.prefix) as process:
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


def trade(
    row: Row, guest: Guest, tree: GuestTree, market: Market, far: FarSide, judge: Judge = judge_demo, **more: str
) -> None:
    """The demo over the card: what the guest holds against the venue's account; `more` as in `settings`."""
    watch = ["kill-io", str(market.kill_io_after_frames)] if market.kill_io_after_frames else ["watch"]
    strategy = str(tree.folder / "source/gateway/strategies" / f"{market.strategy}.py")
    with appliance(row, guest, tree, watch, STRATEGY__FILE=strategy, **more):
        guest.wait("account", "running", seconds=START_SECONDS)  # before the market: what nobody listens to is lost
        with venue(market, far) as process:
            if market.kill_io_after_frames:
                guest.wait("account", "cancelled", seconds=RESTART_SECONDS)
            else:
                guest.wait("account", "flowed", seconds=FLOW_SECONDS + market.seconds)
            theirs = venue_report(process, far.folder)
        if market.kill_io_after_frames:
            guest.wait("account", "flowed", seconds=FLOW_SECONDS)
        guest.signal("account")
        ended = guest.wait("account", seconds=STOP_SECONDS)
        judge(row, market, ended.json_line(), theirs, states(ended.out))
