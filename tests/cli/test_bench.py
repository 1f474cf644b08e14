"""A benchmark that is told to end, or is killed, leaves no shared memory for long."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.ops.bench import port_sides
from gateway.ops.bench.port_sides import Bench, Peer
from gateway.ops.bench.port_wires import PAIR, WIRES
from gateway.ops.left_overs import remove_left_overs

SHARED = Path("/dev/shm")
INTERRUPTED = 130


def names_of(pid: int) -> list[str]:
    return sorted(path.name for path in SHARED.glob(f"gateway-*bench-{pid}*"))


@pytest.fixture
def running():
    """A ports benchmark (it needs no kernels) that has made its first shared memory."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli.main", "bench", "--suite", "ports", "--quick"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not names_of(process.pid) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if process.poll() is not None:
        pytest.skip(f"no ports benchmark here: {process.communicate()[1].strip()}")
    try:
        assert names_of(process.pid)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)
        remove_left_overs()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_benchmark_that_is_told_to_end_leaves_nothing(running, number):
    running.send_signal(number)
    errors = running.communicate(timeout=40)[1]
    assert running.returncode == INTERRUPTED, errors
    assert "Traceback" not in errors
    assert names_of(running.pid) == []


@pytest.mark.slow
def test_what_a_killed_benchmark_leaves_is_removed_by_the_next_command(running):
    running.kill()
    running.communicate(timeout=20)
    subprocess.run([sys.executable, "-m", "gateway.cli.main", "doctor"], capture_output=True, timeout=60)
    assert names_of(running.pid) == []


@pytest.mark.parametrize(("owner", "step"), [(Bench, "_lay_links"), (Bench, "_open_ports"), (Peer, "hear")])
def test_an_opening_that_is_interrupted_ends_both_sides_before_anybody_hears_of_it(monkeypatch, owner, step):
    made, before = [], names_of(os.getpid())
    start, plain = subprocess.Popen, getattr(owner, step)

    def popen(*words, **options):
        made.append(start(*words, **options))
        return made[-1]

    def interrupted(self, *words):
        told = plain(self, *words)
        if len(made) == 2:
            raise KeyboardInterrupt
        return told

    monkeypatch.setattr(port_sides.subprocess, "Popen", popen)
    monkeypatch.setattr(owner, step, interrupted)
    with pytest.raises(KeyboardInterrupt), port_sides.bench(wires=[row for row in WIRES if row.name == PAIR]):
        pytest.fail("it was interrupted before")
    assert [side.poll() for side in made] == [0, 0] and names_of(os.getpid()) == before
