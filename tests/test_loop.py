"""The run loop: stop, end, pinning, heartbeat, and a silent neighbour that sets the latch."""

import os
import signal
import threading
import time

import pytest

from gateway import clock, layout
from gateway.errors import GatewayError
from gateway.native import lib
from gateway.stages import Placement, run_loop
from tests.stage_bench import io_bench

RUNNING, STOPPED = layout.value("PROCESS_RUNNING"), layout.value("PROCESS_STOPPED")


def run_beside(bench, placement):
    ends = []
    thread = threading.Thread(target=lambda: ends.append(run_loop(bench.instance, [bench.io.stage()], placement)))
    thread.start()
    return thread, ends


@pytest.mark.parametrize("idle", ["spin", "yield", "sleep"])
def test_a_stop_request_ends_the_loop(idle):
    with io_bench() as bench:
        thread, ends = run_beside(bench, Placement("PROCESS_IO", idle=idle))
        time.sleep(0.1)
        beat = bench.instance.control[0]["heartbeats"][lib.PROCESS_IO]
        assert beat["state"] == RUNNING and beat["pid"] == os.getpid()
        bench.instance.control[0]["stop"] = 1
        thread.join(10)
        assert ends == ["stopped"] and beat["state"] == STOPPED and beat["turns"] > 0


def test_sigterm_ends_the_loop_and_the_old_handler_is_back():
    before = signal.getsignal(signal.SIGTERM)
    with io_bench() as bench:
        thread, ends = run_beside(bench, Placement("PROCESS_IO", idle="sleep"))
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)
        thread.join(10)
        assert ends == ["stopped"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigusr1_sets_the_kill_latch():
    with io_bench() as bench:
        thread, _ = run_beside(bench, Placement("PROCESS_IO", idle="sleep"))
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while bench.instance.control[0]["kill_latch"] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        bench.instance.control[0]["stop"] = 1
        thread.join(10)
        assert bench.instance.control[0]["kill_latch"] == lib.KILL_SIGNAL


def test_a_cpu_that_does_not_exist_is_one_line():
    with io_bench() as bench, pytest.raises(GatewayError, match="cannot be pinned to CPU 1000"):
        run_loop(bench.instance, [bench.io.stage()], Placement("PROCESS_IO", cpu=1000))


def silent_neighbour(bench, state, silent_ns, timeout_ns):
    beat = bench.instance.control[0]["heartbeats"][lib.PROCESS_CORE]
    beat["time_ns"] = clock.now_ns(bench.instance.clock_address) - silent_ns
    beat["state"] = state
    watches = (("PROCESS_CORE", "KILL_CORE_STALE", timeout_ns),)
    run_loop(bench.instance, [bench.io.stage()], Placement("PROCESS_IO", idle="spin", turns_max=5000, watches=watches))
    return int(bench.instance.control[0]["kill_latch"])


def test_a_silent_neighbour_sets_the_latch():
    with io_bench() as bench:
        assert silent_neighbour(bench, RUNNING, 3_000_000_000, 1_000_000_000) == lib.KILL_CORE_STALE


def test_a_neighbour_within_its_time_does_not():
    with io_bench() as bench:
        assert silent_neighbour(bench, RUNNING, 0, 60_000_000_000) == 0


@pytest.mark.parametrize("state", ["PROCESS_ABSENT", "PROCESS_STARTING", "PROCESS_STOPPED"])
def test_a_neighbour_that_should_not_run_is_not_watched(state):
    with io_bench() as bench:
        assert silent_neighbour(bench, layout.value(state), 10**12, 1_000_000_000) == 0
