"""Request budgets: the bucket against its naive twin, bans, a table out of order, and real processes on one bucket."""

import fcntl
import os
import random
import subprocess
import sys
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import load
from gateway.errors import ConfigurationError
from gateway.ops import budget_table
from gateway.ops.log import Log
from gateway.ops.request_budget import Answer, RequestBudget, budget_of
from gateway.ops.token_bucket import MINUTE_NS, Priority, terms_of

S = 10**9
NOON = 1_767_614_400 * S
CANCEL, REDUCE, NEW = Priority.CANCEL, Priority.REDUCE, Priority.NEW


class World:
    """Time, and what was said."""

    def __init__(self, path, per_minute=60, burst=100, cancel=20, reduce=10):
        self.path, self.now, self.told = path, NOON, []
        self.terms = terms_of(per_minute, burst, cancel, reduce)

    def budget(self, venue="binance", address="10.0.0.1"):
        return RequestBudget(self.path, venue, address, self.terms, lambda: self.now, self.told.append)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "requests")


class NaiveBucket:
    """Free weight as a fraction that fills with time; cancels may owe."""

    def __init__(self, terms):
        self.terms, self.free, self.then = terms, Fraction(terms.burst), None

    def ask(self, priority, weight, now):
        passed, self.then = now - (now if self.then is None else self.then), now
        floor = -Fraction(MINUTE_NS, self.terms.interval_ns)
        self.free = max(min(self.free + Fraction(passed, self.terms.interval_ns), Fraction(self.terms.burst)), floor)
        kept = self.terms.burst - self.terms.shares[priority]
        if priority is not CANCEL and self.free - weight < kept:
            return False
        self.free = max(self.free - weight, floor)
        return True


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(1, 10**5), st.integers(1, 200), st.integers(1, 50), st.integers(0, 40)),
    st.lists(st.tuples(st.sampled_from(Priority), st.integers(1, 200), st.integers(-(10**9), 10**11)), max_size=60),
)
def test_the_bucket_equals_its_naive_twin(tmp_path_factory, terms, steps):
    world = World(tmp_path_factory.mktemp("budget") / "requests", *terms)
    budget, naive = world.budget(), NaiveBucket(world.terms)
    for priority, weight, passed in steps:
        world.now += passed
        weight = min(weight, world.terms.burst)
        answer = budget.acquire(priority, weight)
        assert answer.granted == naive.ask(priority, weight, world.now)
        if not answer.granted:
            assert world.terms.shares[priority] < weight or answer.wait_ns > 0
    budget.close()


def test_each_priority_finds_the_reserve_of_those_above_it_untouched(world):
    budget = world.budget()
    assert [budget.acquire(NEW).granted for _ in range(71)] == [True] * 70 + [False]
    assert [budget.acquire(REDUCE).granted for _ in range(11)] == [True] * 10 + [False]
    assert all(budget.acquire(CANCEL).granted for _ in range(50)), "cancels always pass"
    assert budget.acquire(NEW) == Answer(False, (50 + 11) * S, "budget")
    world.now += 61 * S - 1
    assert not budget.acquire(NEW).granted
    world.now += 1
    assert budget.acquire(NEW).granted


def test_the_bucket_is_one_for_all_and_another_for_another_address(world):
    first, second, other = world.budget(), world.budget(), world.budget(address="10.0.0.2")
    assert sum(budget.acquire(NEW).granted for _ in range(50) for budget in (first, second)) == 70
    assert other.acquire(NEW, 70).granted


@pytest.mark.parametrize("weight", [0, -1, 101, 2**63, 1.5, float("nan"), None, "1", True])
def test_an_impossible_weight_is_refused_and_a_cancel_of_it_costs_everything(world, weight):
    budget = world.budget()
    assert budget.acquire(NEW, weight) == Answer(False, 0, "weight") == budget.acquire(REDUCE, weight)
    assert budget.acquire(NEW, 70).granted
    assert budget.acquire(CANCEL, weight).granted and not budget.acquire(REDUCE).granted


# ---- what the venue says ---------------------------------------------------------------------------------------------


def test_during_a_ban_nothing_leaves_and_from_its_end_on_it_does(world):
    budget = world.budget()
    budget.retry_after(30)
    for priority in Priority:
        assert budget.acquire(priority) == Answer(False, 30 * S, "ban")
    world.now += 30 * S - 1
    assert not budget.acquire(CANCEL).granted and budget.banned_ns() == 1
    world.now += 1
    assert budget.acquire(NEW).granted and budget.banned_ns() == 0


def test_a_ban_outlives_its_process_and_binds_every_other(world):
    first = world.budget()
    first.retry_after("120")
    first.close()
    assert world.budget().acquire(CANCEL).reason == "ban"
    world.budget().retry_after(1)
    assert world.budget().acquire(CANCEL).wait_ns == 120 * S, "a shorter one does not shorten it"


@pytest.mark.parametrize("said", ["", "soon", None, "-5", 0, "nan", "inf", "1e3", float("nan"), "１２", b"7"])
def test_a_refusal_without_a_readable_time_lasts_a_minute(world, said):
    budget = world.budget()
    budget.retry_after(said)
    assert budget.banned_ns() == 60 * S


@pytest.mark.parametrize(("said", "lasts"), [("1.2", 2), (10**12, 7 * 86_400), ("5", 5)])
def test_a_ban_is_rounded_up_and_ends_within_a_week(world, said, lasts):
    budget = world.budget()
    budget.retry_after(said)
    assert budget.banned_ns() == lasts * S


def test_the_venues_own_count_makes_the_bucket_tighter_and_never_wider(world):
    budget = world.budget()
    budget.used_weight(1120, 1200)
    assert [budget.acquire(NEW).granted for _ in range(51)] == [True] * 50 + [False]
    budget.used_weight(0, 1200)
    assert not budget.acquire(NEW).granted
    for nonsense in (-1, 1201, "many", None, 1.5):
        world.now += 100 * S
        assert budget.acquire(NEW).granted
        budget.used_weight(nonsense, 1200)
        assert not budget.acquire(REDUCE).granted and budget.acquire(CANCEL).granted


def test_a_clock_that_steps_back_holds_new_requests_for_a_burst_and_a_minute_at_most(world):
    budget = world.budget()
    budget.acquire(NEW, 70)
    world.now -= 86_400 * S
    assert not budget.acquire(NEW).granted and budget.acquire(CANCEL).granted
    world.now += 160 * S + 1 * S
    assert budget.acquire(NEW).granted


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


# ---- configuration ---------------------------------------------------------------------------------------------------


def test_the_table_is_one_for_every_instance_of_the_host(tmp_path):
    budgets = []
    for name in ("one", "two"):
        budgets.append(
            budget_of(load(None, {"instance.state": str(tmp_path / name), "budget.burst": 10}), "binance", "a", Log("run"))
        )
    assert sum(budget.acquire(NEW).granted for budget in budgets * 10) in (7, 8)
    assert (tmp_path / "budget" / "requests").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("key", ["per_minute", "burst", "cancel_percent"])
@pytest.mark.parametrize("number", [0, -1, 2**63, float("nan")], ids=str)
def test_absurd_budgets_are_refused(key, number):
    with pytest.raises(ConfigurationError, match=f"budget.{key}"):
        load(None, {f"budget.{key}": number})


def test_reserves_that_leave_nothing_are_refused():
    with pytest.raises(ConfigurationError, match="95 at most"):
        load(None, {"budget.cancel_percent": 50, "budget.reduce_percent": 46})
    for words in ((0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 0), (1, 1, 60, 50)):
        with pytest.raises(ValueError):
            terms_of(*words)
