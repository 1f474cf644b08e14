"""Our own table as the truth of a kill: it is read while core writes it."""

import subprocess
import sys
import time

import pytest

from gateway.instance import Instance
from gateway.ops.venue_truth import TableTruth
from tests.stage_bench import unique_name

LOOKS, SECONDS = 500, 5.0
CORE = """
import sys
from gateway.instance import Instance
held = Instance.attach(sys.argv[1], writable=("gate",)).rows("gate")["position"]
print("begun", flush=True)
while True:
    held[:] = 1
    held[:] = 0
"""


@pytest.fixture
def instance():
    made = Instance.create(unique_name("truth"))
    yield made
    made.close(remove=True)


@pytest.fixture
def busy_core(instance):
    """Somebody who opens and closes every position, over and over."""
    process = subprocess.Popen([sys.executable, "-c", CORE, instance.name], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"begun\n"
    yield process
    process.kill()
    process.wait(10)


@pytest.mark.slow
def test_positions_are_read_while_core_changes_them(instance, busy_core):
    truth, deadline = TableTruth(instance), time.monotonic() + SECONDS
    found = 0
    for _ in range(LOOKS):
        positions = truth.positions()
        assert set(positions.values()) <= {1}
        found += bool(positions)
        if time.monotonic() > deadline:
            break
    assert busy_core.poll() is None and found > 0


def test_positions_without_zeros_and_by_symbol(instance):
    rows, books = instance.rows("gate"), instance.rows("books")
    books["symbol"][:3] = [b"AAPL    ", b"MSFT    ", b""]
    rows["position"][:4] = [100, 0, -7, 1]
    assert TableTruth(instance).positions() == {"AAPL": 100, "row 2": -7, "row 3": 1}
