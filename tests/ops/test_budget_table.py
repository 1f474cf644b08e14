"""The table of request budgets: out of order, held by somebody, full; and real processes on one bucket, killed."""

import fcntl
import os
import random
import subprocess
import sys
import time

import pytest

from gateway.ops import budget_table
from gateway.ops.request_budget import Answer
from tests.budget_desk import CANCEL, NEW, NOON, REDUCE, S, World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "requests")


# ---- a table out of order --------------------------------------------------------------------------------------------


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "magic": lambda path: flip(path, 0),
    "version": lambda path: flip(path, 8),
    "name": lambda path: [flip(path, 64), [flip(path, 64 + 128 * n) for n in range(1, 64)]],
    "used": lambda path: flip(path, 64 + 64),
    "ban": lambda path: flip(path, 64 + 72),
    "digest": lambda path: flip(path, 64 + 120),
    "short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "other": lambda path: path.write_bytes(b"cheese"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "open"])
def test_a_damaged_table_denies_new_requests_allows_cancels_and_is_said(world, damage, fresh):
    budget = world.budget()
    assert budget.acquire(NEW).granted
    DAMAGE[damage](world.path)
    if fresh:
        budget = world.budget()
    if damage in ("magic", "version", "short") and not fresh:
        assert budget.acquire(NEW).granted, "its own row is whole"
        return
    assert budget.acquire(NEW) == Answer(False, 0, "table") == budget.acquire(REDUCE)
    assert budget.acquire(CANCEL) == Answer(True, 0, "table")
    assert len(world.told) == 1 and "only cancels leave" in world.told[0] and budget.faults == 3
    budget.used_weight(5, 10)
    world.path.unlink()
    assert budget.acquire(NEW).granted, "a human removed it"


def test_a_ban_that_this_process_saw_holds_though_the_table_is_damaged(world):
    budget = world.budget()
    budget.retry_after(30)
    world.path.write_bytes(b"cheese")
    assert budget.acquire(CANCEL) == Answer(False, 30 * S, "ban")
    world.now += 30 * S
    assert budget.acquire(CANCEL).granted and not budget.acquire(NEW).granted


def test_a_table_whose_holder_does_not_let_go_holds_no_cancel_up(world):
    budget = world.budget()
    budget.acquire(NEW)
    with world.path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        began = time.monotonic()
        assert budget.acquire(CANCEL).granted and time.monotonic() - began < 5
        assert not budget.acquire(NEW).granted
    assert budget.acquire(NEW).granted


def test_a_table_that_cannot_be_made_denies_and_one_that_is_full_too(world, tmp_path):
    world.path = tmp_path / "file" / "requests"
    (tmp_path / "file").write_text("")
    assert world.budget().acquire(NEW).reason == "table" and world.budget().acquire(CANCEL).granted
    world.path = tmp_path / "requests"
    for number in range(64):
        assert world.budget(address=str(number)).acquire(NEW).granted
    assert world.budget(address="64").acquire(NEW).reason == "table"


def test_names_that_do_not_fit_are_a_mistake_of_the_program(tmp_path):
    with pytest.raises(ValueError, match="64 bytes"):
        budget_table.BudgetTable(tmp_path / "requests", "v" * 65)


# ---- real processes --------------------------------------------------------------------------------------------------

HAMMER = """
import os, random, signal, sys, time
from pathlib import Path
from gateway.ops.request_budget import RequestBudget
from gateway.ops.token_bucket import Priority, terms_of
draw = random.Random(int(sys.argv[2]))
clock = lambda: int(sys.argv[3])
budget = RequestBudget(Path(sys.argv[1]), "binance", "10.0.0.1", terms_of(60, 1600, 20, 10), clock, lambda line: None)
granted = [0, 0, 0]
for step in range(600):
    priority = draw.choice((Priority.NEW, Priority.NEW, Priority.NEW, Priority.REDUCE, Priority.CANCEL))
    answer = budget.acquire(priority)
    granted[priority] += answer.granted and answer.reason != "table"
    if sys.argv[4] == "die" and step == 300:
        print(*granted, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
print(*granted, budget.faults, flush=True)
"""


def hammer(path, seed, fate="live"):
    command = [sys.executable, "-c", HAMMER, str(path), str(seed), str(NOON), fate]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


@pytest.mark.slow
def test_processes_that_hammer_one_bucket_get_exactly_what_is_in_it(tmp_path):
    """Time stands still: NEW gets what is free below both reserves, whoever asks, though two of them are killed."""
    path = tmp_path / "requests"
    running = [hammer(path, seed, "die" if seed < 2 else "live") for seed in range(5)]
    said = [[int(word) for word in process.communicate(timeout=100)[0].split()] for process in running]
    assert [process.returncode for process in running] == [-9, -9, 0, 0, 0]
    cancels, reductions, new = (sum(row[index] for row in said) for index in range(3))
    world = World(path, 60, 1600)
    with budget_table.BudgetTable(path, "binance 10.0.0.1").row() as row:
        used = (row.used_ns - NOON) // world.terms.interval_ns
        assert row.granted == cancels + reductions + new == used
    assert new <= world.terms.shares[NEW] and cancels >= 350
    assert not world.budget().acquire(NEW).granted and new + reductions + cancels >= world.terms.shares[NEW]


def test_a_process_killed_at_any_moment_leaves_a_table_that_is_whole(tmp_path):
    path, draw = tmp_path / "requests", random.Random(7)
    for seed in range(3):
        process = hammer(path, seed)
        while not path.exists():
            time.sleep(0.01)
        time.sleep(draw.random() * 0.1)
        process.kill()
        process.communicate(timeout=60)
        world = World(path, 60, 1600)
        assert world.budget().acquire(CANCEL).reason == ""
