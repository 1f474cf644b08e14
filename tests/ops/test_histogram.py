"""Percentiles from buckets against percentiles from the sorted values themselves."""

import math
import random

import numpy as np
import pytest

from gateway.layout import dtype
from gateway.native import lib
from gateway.ops.histogram import mean, percentile

SEED = 20_240_611
WIDTH = 1 / 32  # of a bucket, relative to its value


def recorded(values: list[int]) -> np.void:
    """A struct histogram that has seen these values."""
    view = np.zeros(1, dtype=dtype("histogram"))[0]
    for value in values:
        view["buckets"][lib.histogram_bucket_of(value)] += 1
    if values:
        view["count"], view["sum_ns"] = len(values), sum(values) % 2**63
        view["min_ns"], view["max_ns"] = min(values), max(values)
    return view


def exact(values: list[int], share: float) -> int:
    """The value that `share` of all do not exceed."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


@pytest.mark.parametrize("largest", [31, 64, 5_000, 10**9, 2**62])
def test_a_percentile_is_never_below_the_exact_one_nor_a_bucket_above_it(largest: int):
    print(f"seed {SEED}")
    source = random.Random(SEED + largest)
    values = [source.randrange(largest) + 1 for _ in range(2_000)]
    view = recorded(values)
    for share in (0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0):
        truth = exact(values, share)
        assert truth <= percentile(view, share) <= truth * (1 + WIDTH), share


def test_values_below_32_are_exact():
    values = list(range(32))
    view = recorded(values)
    assert [percentile(view, (value + 1) / 32) for value in values] == values


def test_the_extremes_are_exact():
    view = recorded([1_000_003, 77, 999])
    assert percentile(view, 1.0) == 1_000_003
    assert percentile(view, 0.0) in range(77, 80)
    assert percentile(recorded([2**63 - 1]), 0.5) == 2**63 - 1


def test_an_empty_histogram_says_zero():
    assert percentile(recorded([]), 0.99) == 0
    assert mean(recorded([])) == 0.0


def test_the_mean_is_that_of_the_values():
    assert mean(recorded([10, 20, 60])) == 30.0


@pytest.mark.parametrize("share", [-0.1, 1.1, 99.0, math.nan])
def test_a_share_outside_its_range_is_refused(share: float):
    with pytest.raises(ValueError, match="not within 0 … 1"):
        percentile(recorded([1]), share)


def test_every_value_lies_in_its_own_bucket():
    for value in [0, 1, 31, 32, 33, 63, 64, 65, 1023, 1024, 10**6, 10**12, 2**62, 2**63 - 1]:
        bucket = lib.histogram_bucket_of(value)
        assert lib.histogram_bucket_low(bucket) <= value
        if value < 2**63 - 1:
            assert value < lib.histogram_bucket_low(bucket + 1)
