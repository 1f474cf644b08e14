"""Lays out the memory of channels: struct feed rows with their pool, their rings of seen packets and their statistics.

Beside arbitrate.py. Hard rule: nothing here runs while frames flow; whoever makes the rows keeps what they point to alive.
"""

from typing import Any

import numpy as np

from gateway import limits
from gateway.core.held_packets import make_pool
from gateway.core.memory import address_of
from gateway.layout import dtype

BOTH_LINES = 3  # bit per line on which a copy of every packet comes


def make_feeds(
    count: int, form: int, *, packets: int = limits.POOL_PACKETS_MAX, statistics: int = 0, seed: int = 1, **settings: int
) -> tuple[np.ndarray, list[Any]]:
    """`count` struct feed rows in one array, and what they point into.

    form        address of the struct packet_format
    packets     room for waiting packets, of all rows together
    statistics  address of `count` struct channel_statistics, 0: memory of our own
    seed        of the jitter between requests
    settings    scalars of struct feed, the same in every row (window_ns, expected, restart_ns …)
    """
    rows, seen = np.zeros(count, dtype("feed")), np.zeros((count, limits.SEEN_PACKETS_MAX), dtype("seen_packet"))
    pool, keep = make_pool(packets)
    keep += [rows, seen, pool]
    if not statistics:
        keep.append(np.zeros(count, dtype("channel_statistics")))
        statistics = address_of(keep[-1])
    for index, row in enumerate(rows):
        row["channel"] = row["snapshot_of"] = index
        row["format"], row["pool"], row["seen"] = form, address_of(pool), address_of(seen[index])
        row["statistics"] = statistics + index * dtype("channel_statistics").itemsize
        row["deadline_ns"], row["random"] = limits.RECOVERY_DEADLINE_NS, (seed << 8 | index) * 2 + 1
        for name, number in settings.items():
            row[name] = number
    return rows, keep
