"""Request budgets: the bucket against its naive twin, bans and what the venue says, configuration."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import load
from gateway.errors import ConfigurationError
from gateway.ops.log import Log
from gateway.ops.request_budget import Answer, budget_of
from gateway.ops.token_bucket import MINUTE_NS, Priority, terms_of
from tests.budget_desk import CANCEL, NEW, REDUCE, S, World


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
