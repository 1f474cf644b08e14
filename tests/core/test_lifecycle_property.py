"""The life of orders against a venue that does whatever a venue may, over a connection that fails wherever it can.

Late, lost and replayed, repeated and overtaking reports, disconnects at every point, orders lost on the way, cancels met
with silence, and core killed and begun anew from nothing. After each step our table is the naive twin's and what we hold
reserved covers what the venue may still do; at the end positions and open orders are the venue's.

    python -m pytest tests/core/test_lifecycle_property.py -m long         100,000 sequences
    LIFECYCLE_SEED=17 python -m pytest tests/core/test_lifecycle_property.py -k 2,000    one of them again
"""

import os
import random

import pytest

from tests.lifecycle_story import STEPS, Story


def tell(seeds: range | list[int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for seed in seeds:
        try:
            story = Story(seed)
            for _ in range(STEPS):
                story.step()
                story.check()
            story.finish()
        except AssertionError as problem:
            raise AssertionError(f"LIFECYCLE_SEED={seed}: {problem}") from problem
        for name, count in story.counts.items():
            totals[name] = totals.get(name, 0) + count
    return totals


@pytest.mark.slow
def test_after_2000_random_sequences_positions_and_open_orders_are_the_venues() -> None:
    given = os.environ.get("LIFECYCLE_SEED")
    first = random.randrange(1 << 40)
    totals = tell([int(given)] if given else range(first, first + 2000))
    assert given or all(totals.values()), f"from seed {first}: something never happened: {totals}"


@pytest.mark.long
def test_after_100000_random_sequences_positions_and_open_orders_are_the_venues() -> None:
    totals = tell(range(100_000))
    print(totals)
    assert all(totals.values()), totals
