"""Seeded losses on both lines, healed by requests, by snapshots, by both, or not at all: never a wrong book meanwhile.

Every step is judged by a referee that sees what was lost (tests/sim/healing.py). A failure prints its seed; the seed and
the mode reproduce it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.sim.healing import Healing

REQUESTS = {"feed__request_server": "10.77.0.2:41003", "feed__recovery_address": "10.77.0.1:41003"}
SNAPSHOTS = {"feed__snapshot_line": "239.192.1.3:31003"}
NEITHER = {"feed__request_server": "", "feed__snapshot_line": ""}
LOSSES = "drop_both=4000,drop=20000,delay=10000,reorder=10000,duplicate=5000"
TROUBLE = "drop_replies=200000,delay_replies=200000,duplicate_replies=100000,drop_snapshots=20000"
SECONDS, SETTLING_SECONDS = 0.25, 0.6
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 7))]


@pytest.fixture
def healing(tmp_path: Path) -> Iterator[Callable[..., Healing]]:
    """Makes a session; closes it in the end."""
    made: list[Healing] = []

    def make(seed: int, plan: str, keys: dict[str, str], **settings: int) -> Healing:
        print("seed", seed, "plan", plan, "keys", keys)
        chosen = {"symbols": 6, "rate": 40_000, "depth": 30, "snapshot_rate": 2_000, **settings}
        made.append(Healing(tmp_path, Settings(seed=seed, faults=FaultPlan.parse(plan), **chosen), **{**NEITHER, **keys}))
        return made[-1]

    yield make
    for session in made:
        session.close()


def trade_and_settle(session: Healing) -> None:
    """A day with losses; then its end, and time for what is on its way."""
    session.run(SECONDS)
    session.bench.venue.finish(int(session.bench.clock[0]))
    session.run(SETTLING_SECONDS, step_ns=500_000)
    session.compare()
    assert session.problems == []
    assert session.counters["gaps"] > 5 < len(session.bench.venue.lost["sequence"].nonzero()[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plan", [LOSSES, f"{LOSSES},{TROUBLE}"])
def test_by_requests_every_gap_heals_and_no_book_is_ever_wrong(healing, seed, plan):
    session = healing(seed, plan, REQUESTS)
    trade_and_settle(session)
    assert session.sick_since == {} and len(session.sick_ns) > 5
    assert session.next_sequence() == session.bench.venue.counters["feed_sequence"]
    assert session.counters["messages"] == session.bench.venue.counters["feed_messages"]
    assert session.counts["requests"] >= session.counters["gaps"] and session.counts["orders"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plan", [LOSSES, f"{LOSSES},{TROUBLE}"])
def test_by_snapshots_alone_every_book_heals_and_none_is_ever_wrong(healing, seed, plan):
    session = healing(seed, plan, SNAPSHOTS)
    trade_and_settle(session)
    assert session.sick_since == {} and len(session.sick_ns) > 20
    assert session.counts["requests"] == 0 and session.counts["orders"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_server_is_of_no_help_snapshots_heal_what_requests_do_not(healing, seed):
    keys = {**REQUESTS, **SNAPSHOTS, "feed__recovery_deadline_ms": 20}
    session = healing(seed, f"{LOSSES},drop_replies=700000", keys)
    trade_and_settle(session)
    assert session.sick_since == {} and session.counts["requests"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_with_neither_the_books_stay_stale_and_nothing_is_sent_on_them(healing, seed):
    session = healing(seed, LOSSES, {})
    trade_and_settle(session)
    assert set(session.sick_since) == set(range(1, 7)) and session.sick_ns == []
    assert session.counts["requests"] == 0


@pytest.mark.slow
def test_how_long_books_were_stale_is_what_the_core_recorded(healing):
    session = healing(5, LOSSES, REQUESTS)
    trade_and_settle(session)
    recorded = session.instance.counters[0]["stale"]
    assert recorded["count"] == session.counters["healed"] > 0
    assert recorded["max_ns"] >= max(session.sick_ns, default=0) > 0


@pytest.mark.slow
def test_one_who_joins_late_has_limits_and_trades_once_snapshots_have_named_the_instruments(healing):
    session = healing(5, "", SNAPSHOTS)
    session.miss(0.05)
    assert session.bench.venue.counters["feed_sequence"] > 100, "the directory was said before"
    session.run(SECONDS)
    session.bench.venue.finish(int(session.bench.clock[0]))
    session.run(SETTLING_SECONDS, step_ns=500_000)
    session.compare()
    assert session.problems == []
    assert session.instance.rows("gate")["quantity_max"][1:7].all()
    assert session.counts["orders"] > 50 and session.sick_since == {}
