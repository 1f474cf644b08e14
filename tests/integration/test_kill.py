"""The kill switch while everything runs: counted at the venue, with core well, hung and dead."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gateway.core.orders import open_references
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.native import lib
from gateway.venues.simulator.process import attach_counters

QUOTES = Path(__file__).resolve().parent.parent.parent / "gateway" / "strategies" / "quotes.py"
START_SECONDS = 200
SETTLE_SECONDS = 0.5


class RunningDemo:
    """A demo in the background with a strategy that keeps orders resting, and the venue's live counters."""

    def __init__(self, placement, *more):
        words = ["demo", "--seconds", "60", "--strategy", str(QUOTES), "--rate", "5000", "--json"]
        words += ["--placement", placement, *more]
        self.together = placement == "together"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "GATEWAY__KILL__FLATTEN": "false"},  # counted is whatever leaves after it
        )
        self.name = f"demo-{self.process.pid}"
        self.instance = self.wait_for(lambda: Instance.attach(self.name))
        self.venue = self.wait_for(lambda: attach_counters(f"{self.name}-venue"))
        self.wait_for(lambda: self.venue["orders_received"] > 20 and self.venue["resting_orders"] > 0)

    def wait_for(self, what):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the demo ended early"
            with contextlib.suppress(AttachError):
                result = what()
                if result is not None and (isinstance(result, (Instance, np.void)) or bool(result)):
                    return result
            time.sleep(0.02)
        raise AssertionError("the demo did not come up")

    def pid(self, process):
        process = lib.PROCESS_IO if self.together else process
        return int(self.instance.control[0]["heartbeats"][process]["pid"])

    def open_orders(self):
        return len(open_references(self.instance.rows("orders")))

    def stop_core_with_orders_open(self):
        """SIGSTOP at an instant when orders rest: tried until one is caught."""
        core = self.pid(lib.PROCESS_CORE)
        for _ in range(200):
            self.wait_for(lambda: self.open_orders() > 0)
            os.kill(core, signal.SIGSTOP)
            time.sleep(0.05)
            if self.open_orders() > 0:
                return
            os.kill(core, signal.SIGCONT)
        raise AssertionError("no order rested")

    def kill_command(self):
        command = [sys.executable, "-m", "gateway.cli.main", "kill", "--instance", self.name, "--json"]
        environment = {**os.environ, "GATEWAY_ORDERS_PASSWORD": "simulated"}
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment)
        return outcome.returncode, json.loads(outcome.stdout)

    def close(self):
        for process in (lib.PROCESS_CORE, lib.PROCESS_IO):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid(process), signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()


@pytest.fixture
def running(request):
    demo = RunningDemo(getattr(request, "param", "apart"))
    try:
        yield demo
    finally:
        demo.close()
        assert not demo.instance.folder.exists()


def orders_after(running, seconds):
    """New orders the venue receives in the next `seconds`."""
    before = int(running.venue["orders_received"])
    time.sleep(seconds)
    return int(running.venue["orders_received"]) - before


@pytest.mark.slow
def test_after_a_kill_no_new_order_reaches_the_venue_and_cancels_do(running):
    assert orders_after(running, 1.0) > 0, "the strategy trades before the kill"
    running.wait_for(lambda: running.open_orders() > 0)
    cancels = int(running.venue["cancels_received"])
    code, report = running.kill_command()
    assert report["reason"] == "COMMAND" and report["cancels_sent"] == report["open_before"]
    assert code == 0 and report["confirmed"] and report["still_open"] == []
    assert report["latch_took_ns"] < 1_000_000_000
    time.sleep(SETTLE_SECONDS)  # frames on the wire before the latch
    assert orders_after(running, 2.0) == 0
    assert int(running.venue["cancels_received"]) >= cancels + report["cancels_sent"]
    # one order may be between io's last check and the venue's clock when the latch is set
    assert int(running.venue["time_last_order_ns"]) < report["latched_ns"] + 50_000_000
    assert (
        running.instance.counters[0]["io"]["orders_blocked_kill"]
        + running.instance.regions["gate"].view("gate_account")[0]["rejects"][lib.GATE_KILL]
        > 0
    ), "somebody tried"


def test_a_kill_works_while_core_is_stopped(running):
    running.stop_core_with_orders_open()
    time.sleep(1.0)  # core is silent for good
    cancels = int(running.venue["cancels_received"])
    code, report = running.kill_command()
    assert report["reason"] == "COMMAND" and not report["core_alive"]
    assert report["open_before"] > 0 and report["cancels_sent"] == report["open_before"]
    assert code == 1 and report["still_open"], "nothing confirms them while core hangs, and the report says so"
    time.sleep(SETTLE_SECONDS)
    assert int(running.venue["cancels_received"]) == cancels + report["cancels_sent"]
    assert orders_after(running, 1.0) == 0
    os.kill(running.pid(lib.PROCESS_CORE), signal.SIGCONT)
    assert orders_after(running, 1.5) == 0, "a core that comes back finds the latch"


@pytest.mark.slow
@pytest.mark.parametrize("running", ["together"], indirect=True)
def test_a_kill_ends_a_hung_loop_that_holds_io_and_a_fresh_io_cancels(running):
    running.stop_core_with_orders_open()
    time.sleep(1.0)
    cancels = int(running.venue["cancels_received"])
    code, report = running.kill_command()
    assert report["reason"] == "COMMAND" and report["io_replaced"] and report["cancels_waiting"] == 0
    assert code == 1 and report["still_open"], "no core is left to confirm them"
    time.sleep(SETTLE_SECONDS)
    assert int(running.venue["cancels_received"]) >= cancels + report["cancels_sent"] > cancels
    assert orders_after(running, 1.0) == 0


@pytest.mark.slow
def test_a_kill_replaces_a_stopped_io(running):
    running.wait_for(lambda: running.open_orders() > 0)
    os.kill(running.pid(lib.PROCESS_IO), signal.SIGSTOP)
    time.sleep(1.0)
    cancels = int(running.venue["cancels_received"])
    _, report = running.kill_command()
    assert report["reason"] == "COMMAND" and report["cancels_waiting"] == 0
    assert report["io_replaced"] or report["cancels_sent"] == 0
    time.sleep(SETTLE_SECONDS)
    assert int(running.venue["cancels_received"]) >= cancels + report["cancels_sent"]
    assert orders_after(running, 1.0) == 0


@pytest.mark.slow
def test_core_killed_outright_latches_and_cancels_by_itself(running):
    cancels = int(running.venue["cancels_received"])
    running.stop_core_with_orders_open()
    os.kill(running.pid(lib.PROCESS_CORE), signal.SIGKILL)
    deadline = time.monotonic() + 5
    while running.instance.control[0]["kill_latch"] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.instance.control[0]["kill_latch"] == lib.KILL_CORE_DIED
    time.sleep(SETTLE_SECONDS)
    assert int(running.venue["cancels_received"]) > cancels
    assert orders_after(running, 1.0) == 0


@pytest.mark.slow
def test_a_second_kill_keeps_the_first_reason_and_finds_nothing_open(running):
    running.kill_command()
    code, report = running.kill_command()
    assert code == 0 and report["reason"] == "COMMAND" and report["open_before"] == 0
