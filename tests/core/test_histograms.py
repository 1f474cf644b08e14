"""The kernels' histogram against the C one's bucket rule, value by value."""

import random

import numpy as np

from gateway.core.histograms import add_value, bucket_of
from gateway.core.memory import address_of
from gateway.layout import dtype
from gateway.native import lib

SEED = 8181


def values() -> list[int]:
    randomness = random.Random(SEED)
    edges = [edge + step for edge in (1 << bits for bits in range(5, 63)) for step in (-1, 0, 1)]
    return [
        -5,
        0,
        1,
        31,
        32,
        33,
        (1 << 63) - 1,
        *edges,
        *(randomness.randrange(1 << randomness.randrange(1, 63)) for _ in range(2000)),
    ]


def test_a_value_falls_into_the_bucket_of_the_c_rule():
    for number in values():
        assert bucket_of(number) == lib.histogram_bucket_of(number), (SEED, number)


def test_count_sum_least_and_most_are_those_of_the_values():
    histogram = np.zeros(1, dtype("histogram"))
    added = [number for number in values() if number < 1 << 40]
    for number in added:
        add_value(address_of(histogram), number)
    row = histogram[0]
    assert (row["count"], row["sum_ns"]) == (len(added), sum(added))
    assert (row["min_ns"], row["max_ns"]) == (min(added), max(added))
    assert row["buckets"].sum() == len(added)
