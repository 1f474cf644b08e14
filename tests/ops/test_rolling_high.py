"""The rolling window against its naive twin: every sample kept, the highest looked up afresh."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ops.rolling_high import BUCKETS, RollingHigh


class NaiveHigh:
    """Keeps everything. A sample counts until the window has passed since the end of its bucket."""

    def __init__(self, window_ns: int):
        self.window_ns, self.bucket_ns = window_ns, max(window_ns // BUCKETS, 1)
        self.samples: list[tuple[int, int]] = []
        self.now_ns = 0

    def push(self, now_ns: int, value: int) -> int:
        self.now_ns = max(self.now_ns, now_ns)
        self.samples.append((self.now_ns // self.bucket_ns * self.bucket_ns + self.bucket_ns, value))
        return max(value for end_ns, value in self.samples if end_ns + self.window_ns > self.now_ns)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 10**5), st.lists(st.tuples(st.integers(-50, 60_000), st.integers(-(10**6), 10**6)), max_size=120))
def test_it_equals_the_naive_twin(window_ns, steps):
    ours, naive, now_ns = RollingHigh(window_ns), NaiveHigh(window_ns), 1000
    for passed_ns, value in steps:
        now_ns = max(now_ns + passed_ns, 0)
        assert ours.push(now_ns, value) == naive.push(now_ns, value)


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_the_naive_twin_over_restarts(seed):
    print(f"seed {seed}")
    draw = random.Random(seed)
    window_ns = draw.choice((3600 * 10**9, 10**9, 7200, 7201))
    ours, naive, now_ns, value = RollingHigh(window_ns), NaiveHigh(window_ns), 10**18, 0
    for _ in range(2000):
        now_ns += draw.choice((0, 1, window_ns // 4000 + 1, window_ns // 100, window_ns // 7))
        value += draw.randrange(-1000, 1000)
        if draw.random() < 0.02:
            rows = json.loads(json.dumps(ours.rows()))
            ours = RollingHigh(window_ns)
            ours.restore(rows)
        assert ours.push(now_ns, value) == naive.push(now_ns, value)


def test_a_sample_counts_for_the_window_and_the_rest_of_its_bucket_and_no_nanosecond_longer():
    high = RollingHigh(3600 * 10)  # buckets of 10
    high.push(1000, 7)
    assert high.push(1009 + 36_000, 1) == 7
    high = RollingHigh(36_000)
    high.push(1000, 7)
    assert high.push(1010 + 36_000, 1) == 1


def test_an_hour_of_falling_samples_stays_small():
    high = RollingHigh(3600 * 10**9)
    for tick in range(400_000):
        high.push(tick * 20_000_000, -tick)
    assert len(high.rows()) <= BUCKETS + 1


def test_a_clock_that_steps_back_ages_nothing():
    high = RollingHigh(1000)
    high.push(5000, 9)
    assert high.push(0, 3) == 9 and high.push(5900, 3) == 9 and high.push(6001, 3) == 3


@pytest.mark.parametrize("rows", [[[1, 2], [1, 3]], [[2, 1], [1, 1]], [["a", 1]], [[1, 1.5]], [[-1, 1]], [[True, 1]], [[1]]])
def test_what_no_window_has_written_is_refused(rows):
    with pytest.raises(ValueError):
        RollingHigh(100).restore(rows)


@pytest.mark.parametrize("window_ns", [0, -1])
def test_a_window_without_length_is_refused(window_ns):
    with pytest.raises(ValueError):
        RollingHigh(window_ns)
