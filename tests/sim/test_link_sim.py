"""The link under a seeded simulation: whatever the network does, nothing is lost, doubled or forged, no nonce used twice.

A failure prints its seed; `python -m tests.sim.link_run SEED` repeats it.
"""

from collections import Counter

import pytest

from tests.sim.link_nonces import watch
from tests.sim.link_planted import BUGS
from tests.sim.link_run import run_seed, run_seeds

SEEDS = range(1, 2001)
PORTIONS = [(first, first + 249) for first in range(SEEDS.start, SEEDS.stop, 250)]
SEEDS_LONG = (10_001, 20_000)
SEEDS_OF_A_BUG = range(1, 400)
MUST_HAPPEN = (
    *("cut", "cut_one_way", "pause", "reset", "half_open", "restart", "replay", "forge", "echo", "slow_reader"),
    "held_up",
    *("packets_lost", "packets_doubled", "packets_late", "packets_resent", "packets_damaged", "refused_replayed"),
    *("peer_crc_failures", "peer_retransmitted", "peer_duplicates", "peer_conflated", "peer_rekeys", "peer_header_crc"),
    *("peer_ended_silence", "peer_ended_closed", "peer_ended_damage", "peer_ended_header_crc"),
)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every seal is watched."""
    assert watch(monkeypatch) >= 2
    return monkeypatch


@pytest.fixture(scope="module")
def happened() -> Counter[str]:
    """What all seeds together went through."""
    return Counter()


@pytest.mark.slow
@pytest.mark.parametrize(("first", "last"), PORTIONS)
def test_whatever_the_network_does_every_message_arrives_once_in_order_and_whole(watched, happened, first, last):
    failed, counts = run_seeds(first, last)
    happened.update(counts)
    assert failed == {}


@pytest.mark.slow
def test_every_fault_of_the_simulation_has_fired(happened):
    if happened["delivered"] == 0:
        pytest.skip("the seeds did not run")
    assert [name for name in MUST_HAPPEN if not happened[name]] == []
    assert happened["delivered"] > 50 * len(SEEDS) // 2


@pytest.mark.long
def test_ten_thousand_seeds_more(watched):
    failed, _ = run_seeds(*SEEDS_LONG)
    assert failed == {}


def test_a_seed_is_a_run(watched):
    runs = [run_seed(77) for _ in range(2)]
    assert vars(runs[0].packets) == vars(runs[1].packets) and runs[0].counts == runs[1].counts
    assert runs[0].nonces.sealed == runs[1].nonces.sealed


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_has_its_place_in_the_product_still(monkeypatch, name):
    BUGS[name](monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_is_found(watched, name):
    BUGS[name](watched)
    for seed in SEEDS_OF_A_BUG:
        if problems := run_seed(seed).problems:
            print(f"seed {seed}: {problems[0]}")
            return
    pytest.fail(f"{len(SEEDS_OF_A_BUG)} seeds did not find it")
