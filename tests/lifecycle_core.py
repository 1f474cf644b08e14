"""Core's side of the life of orders: a desk, the channel of reports, and the naive twin that hears the same."""

import numpy as np
from numba import njit

from gateway import kernel_cache, layout
from gateway.core.feed_rows import make_feeds
from gateway.core.memory import address_of
from gateway.core.report_stream import take_reports
from gateway.core.resolution import apply_resolution, sweep_unanswered
from gateway.core.session_news import on_session_up
from gateway.protocols import moldudp64
from gateway.protocols.moldudp64 import moldudp64_format
from tests.naive_lifecycle import Lifecycle
from tests.order_desk import Desk

UNKNOWN_NS = 2_000_000_000
FORM = moldudp64_format()


kernel_cache.prepare()


@njit(cache=True)
def _take(core, payload, size_bytes):
    take_reports(core, payload, size_bytes)


@njit(cache=True)
def _up(core, news):
    on_session_up(core, news)


@njit(cache=True)
def sweep(path, now_ns):
    """Orders without an answer become UNKNOWN."""
    return sweep_unanswered(path, now_ns)


@njit(cache=True)
def resolve(path, kind, reference, now_ns):
    """Control says what became of one."""
    return apply_resolution(path, kind, reference, now_ns)


class Core:
    """Core's side: a desk, the reports' channel, and the twin."""

    def __init__(self, connection: int):
        self.desk = Desk(orders_rows=128, fills_rows=256).open()
        self.desk.set_account(rate_per_second=10**9, rate_burst=10**6)
        self.desk.account["session_connection"] = (1 << 64) - 1
        self.desk.adoption["unknown_ns"] = UNKNOWN_NS
        self.feed, self.keep = make_feeds(1, address_of(FORM), packets=32, window_ns=1 << 60)
        self.core = np.zeros(1, dtype=layout.dtype("core"))
        self.report_counters = np.zeros(1, dtype=layout.dtype("core_counters"))
        for name, address in (
            ("path", self.desk.path.address),
            ("account", address_of(self.desk.gate)),
            ("counters", address_of(self.desk.counters)),
            ("reports", address_of(self.feed)),
            ("report_counters", address_of(self.report_counters)),
        ):
            self.core[name] = address
        self.twin = Lifecycle()
        self.heard = 0  # messages of the log that were applied: all before were too
        self.held: set[int] = set()  # indices that arrived before an earlier one

    def deliver(self, log: list[bytes], index: int, now_ns: int) -> None:
        """One message of the log arrives, whether it is its turn, comes too early, or again."""
        packet = np.frombuffer(moldudp64.encode("S1", index + 1, [log[index]]), dtype=np.uint8)
        self.core["now_ns"] = now_ns
        _take(address_of(self.core), address_of(packet), len(packet))
        self.held.add(index)
        while self.heard in self.held:
            self.twin.report(log[self.heard], now_ns)
            self.heard += 1

    def up(self, connection: int, first: int, last: int, now_ns: int) -> None:
        news = np.zeros(1, dtype=layout.dtype("session_news"))
        news["connection"], news["next_reference"], news["reference_transmitted"] = connection, first, last
        self.core["now_ns"] = now_ns
        _up(address_of(self.core), address_of(news))
        self.twin.up(first, last, now_ns)
