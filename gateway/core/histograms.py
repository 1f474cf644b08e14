"""Adds a value to a struct histogram from a kernel: the twin of histogram_add in native/histogram.h.

Hard rule: one writer per histogram; the bucket rule is that header's, and a test holds the two together.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import kernel
from gateway.core.memory import leading_zeros, load_i64, store_i64
from gateway.layout import offsets, value

HISTOGRAM = offsets("histogram")
SUB_BITS = value("HISTOGRAM_SUB_BITS")
COLUMNS = 1 << SUB_BITS


@kernel
def bucket_of(value_ns):
    """Below 32 a bucket each; above, the top set bit picks the row and the next five bits the column."""
    if value_ns < COLUMNS:
        return max(value_ns, 0)
    magnitude = 63 - leading_zeros(value_ns) - SUB_BITS
    return ((magnitude + 1) << SUB_BITS) + ((value_ns >> magnitude) & (COLUMNS - 1))


@kernel
def add_value(histogram, value_ns):
    """Counts one value in ns."""
    add_to(histogram + HISTOGRAM.buckets + 8 * bucket_of(value_ns), 1)
    add_to(histogram + HISTOGRAM.sum_ns, value_ns)
    if value_ns > load_i64(histogram + HISTOGRAM.max_ns):
        store_i64(histogram + HISTOGRAM.max_ns, value_ns)
    if value_ns < load_i64(histogram + HISTOGRAM.min_ns) or load_i64(histogram + HISTOGRAM.count) == 0:
        store_i64(histogram + HISTOGRAM.min_ns, value_ns)
    add_to(histogram + HISTOGRAM.count, 1)
