"""Counting ②–⑧: one more here, so much more there. Every counter word has one writer, so nothing here is atomic.

`counters` is the address of a struct core_counters (native/layout/counters.h).
"""

from gateway.core.kernel import leaf
from gateway.core.memory import load_i64, store_i64
from gateway.layout import offsets

COUNTERS = offsets("core_counters")


@leaf
def add_to(address, amount):
    """*address += amount, 64 bits."""
    store_i64(address, load_i64(address) + amount)


@leaf
def count_reason(counters, reason):
    """One more of enum feed_reason. Returns 0: nothing changed, nothing known."""
    add_to(counters + COUNTERS.reasons + reason * 8, 1)
    return 0
