"""Reads the latency histograms of native/histogram.h: percentiles of struct histogram views.

A value is known to its bucket, 3 % wide; a percentile is the largest value its bucket can hold, and never more than
the exact maximum, so it does not flatter. Hard rule: the bucket rule is native/histogram.h's, asked for, not repeated.
"""

import math
from functools import cache

import numpy as np

from gateway.native import lib


@cache
def _bucket_highs() -> np.ndarray:
    """The largest value of every bucket."""
    lows = [lib.histogram_bucket_low(bucket) for bucket in range(lib.HISTOGRAM_BUCKETS)]
    return np.array([low - 1 for low in lows[1:]] + [np.iinfo(np.int64).max], dtype=np.int64)


def percentile(view: np.void, share: float) -> int:
    """The value in ns that `share` (0 … 1) of the recorded values do not exceed; 0 for an empty histogram.

    `view` is one record of dtype("histogram"), live or copied. Raises ValueError for a share outside 0 … 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share {share} is not within 0 … 1")
    sums = np.cumsum(view["buckets"])  # the writer may be between bucket and count: the buckets are what is counted
    total = int(sums[-1])
    if total == 0:
        return 0
    rank = max(1, math.ceil(share * total))
    bucket = int(np.searchsorted(sums, rank))
    high = int(_bucket_highs()[bucket])
    return min(max(high, int(view["min_ns"])), int(view["max_ns"]))


def mean(view: np.void) -> float:
    """The mean in ns; 0 for an empty histogram."""
    count = int(view["count"])
    return int(view["sum_ns"]) / count if count else 0.0
