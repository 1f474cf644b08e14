"""Two whole cores and what is told between them: the corridor's events, its gaps and healing, the feed `link`.

pair ─ io ─ core (tap) ── core_link ══ the test carries rows ══ link_core ── core (mirror) ─ io ─ pair
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from gateway.layout import value
from gateway.link.incoming import Incoming
from gateway.link.outgoing import InstanceSource
from gateway.link.streams import records
from gateway.link.streams.join import Join
from gateway.link.streams.records import RecordReader, RecordWriter
from gateway.link.streams.stream_reader import Item
from gateway.link.streams.stream_server import StreamServer
from gateway.venues.simulator.flow import frames
from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.corridor_bench import Live, configuration, feed_all, full_books, live_pair
from tests.link.stream_access import Desk
from tests.link.stream_wire import Line
from tests.sim.healing import Healing

KEY = "A" * 43 + "="
LINKED = {"link__enabled": True, "link__node": 1, "link__key_file": "/none", "link__key_service": "unix:/none"}
LINKED |= {"link__roles_file": "/none", "link__addresses_file": "/none", "link__signer": KEY}
STALE, VALID, FAULT = value("BOOK_STALE"), value("BOOK_VALID"), value("BOOK_FAULT")


class Wire:
    """What the two processes `link` do, streams and all, over a line in memory; `damage` sees rows on their way."""

    def __init__(self, source: Live, mirror: Live, folder: Path):
        self.source, self.mirror, self.now_ns, self.notices = source, mirror, 10**18, []
        desk, self.line = Desk(), Line(Random(7))
        self.server = StreamServer(InstanceSource(source.instance, 7), desk)
        self.server.attach(self.line.source, 9, "127.0.0.1")
        self.records = RecordReader(source.instance.reader("core_link"), 4096)
        self.line.reader.state, self.line.reader.suspected = "up", False
        streams = ("market_data", "snapshots")
        self.incoming = Incoming(mirror.instance, "paris", self.line.reader, desk.tokens, streams, folder)
        self.offer, self.incoming.mirror.offer = self.incoming.mirror.offer, self._offer
        self.damage = lambda rows: rows
        self.line.up(False)

    def _offer(self, item: Item) -> None:
        self.offer(item._replace(rows=self.damage(item.rows)))

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(20_000):
            if holds():
                return
            self.turns(1)
        raise AssertionError(f"in vain: {self.incoming.reader.market.join.phase}, {self.notices}")

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.now_ns += 10_000_000
            self.source.turns(16)
            while len(batch := self.records.take()):
                self.records.acknowledge()
                self.server.publish(batch, self.now_ns)
            self.server.tick(self.now_ns)
            for end in (self.line.source, self.line.reader):
                self.line.step(200)
                for event in end.events():
                    if end is self.line.source:
                        self.server.on_event(9, event, self.now_ns)
                    else:
                        self.incoming.on_event(event, self.now_ns)
            self.incoming.turn(self.now_ns)
            self.mirror.turns(16)
            self.notices += self.incoming.reader.notices
            self.incoming.reader.notices.clear()


class Carrier:
    """What the two processes `link` do, without a wire."""

    def __init__(self, source, mirror: Live):
        self.source, self.mirror, self.join = source, mirror, Join()
        self.reader = RecordReader(source.reader("core_link"), 4096)
        self.writer = RecordWriter(mirror.instance.writer("link_core"))
        self.records = 0

    def ask(self) -> None:
        self.source.regions["link"].view("link_state")[0]["snapshot_wanted"] += 1

    def carry(self) -> None:
        """Everything told so far is taken over."""
        while len(batch := self.reader.take()):
            self.reader.acknowledge()
            self.records += len(batch)
            rows = self.join.take(batch)
            while len(rows):
                rows = rows[self.writer.put(rows) :]
                self._work()

    def _work(self) -> None:
        head = self.mirror.instance.rings["link_core"].view("ring_header")[0]
        while head["cursor"] < head["claimed"]:
            self.mirror.turns(16)


@pytest.fixture
def mirror() -> Iterator[Live]:
    """An appliance whose feed is another region."""
    with live_pair(configuration(feed__name="link")) as (live, _):
        yield live


@pytest.mark.parametrize("faults", ["drop_a=20000,duplicate_b=5000", "drop_both=20000"])
def test_a_day_on_one_core_is_the_day_of_the_other(mirror, faults):
    with live_pair(configuration(**LINKED, feed__reorder_window_us=0)) as (live, peer):
        carrier = Carrier(live.instance, mirror)
        day = [frame for _, frame in frames(11, 8, 6_000, faults=FaultPlan.parse(faults))]
        feed_all(live, peer, day[: len(day) // 3])
        carrier.ask()
        for begin in range(len(day) // 3, len(day), 256):
            feed_all(live, peer, day[begin : begin + 256])
            carrier.carry()
        live.turns(20_000)  # the scan walks four million rows
        carrier.carry()
        assert carrier.join.scans == 1 and carrier.records > 6_000
        theirs, ours = full_books(live.core.store), full_books(mirror.core.store)
        assert len(theirs) == 8 and ours == theirs
        assert any(book["flags"] & STALE for book in ours.values()) == ("both" in faults)


@pytest.mark.slow
def test_books_that_snapshots_heal_at_the_source_heal_here(mirror, tmp_path: Path):
    plan = FaultPlan.parse("drop_both=4000,drop=20000,delay=10000")
    settings = Settings(seed=5, faults=plan, symbols=6, rate=40_000, depth=30, snapshot_rate=2_000)
    session = Healing(tmp_path, settings, feed__request_server="", feed__snapshot_line="239.192.1.3:31003", **LINKED)
    try:
        carrier = Carrier(session.instance, mirror)
        carrier.ask()
        healed = 0
        for _ in range(25):
            session.run(0.01)
            for _ in range(1_000):
                session._step(session._context)
            carrier.carry()
            if carrier.join.scans:
                theirs, ours = full_books(session.core.store), full_books(mirror.core.store)
                assert ours == theirs
                healed += sum(book["flags"] & VALID != 0 for book in ours.values())
        assert carrier.join.scans == 1 and session.counters["gaps"] > 5 and healed > 5
    finally:
        session.close()


def test_a_book_that_does_not_fit_is_stale_at_once_and_live_again_after_a_scan_that_nobody_had_to_ask_for(mirror, tmp_path):
    planted: list[int] = []

    def damage(rows: np.ndarray) -> np.ndarray:
        """One order of one book is lost within the first scan, and nobody notices."""
        orders = np.flatnonzero(rows["kind"] == records.ORDER)
        if planted or len(orders) == 0:
            return rows
        planted.append(int(rows["event"]["instrument"][orders[0]]))
        return np.delete(rows, orders[0])

    with live_pair(configuration(**LINKED, feed__reorder_window_us=0)) as (live, peer):
        feed_all(live, peer, [frame for _, frame in frames(11, 8, 2_000)])
        wire = Wire(live, mirror, tmp_path)
        wire.damage = damage
        counted = mirror.instance.counters[0]["core"]
        wire.until(lambda: counted["mirror_mismatches"])
        ours = full_books(mirror.core.store)
        wrong = [book for book in ours.values() if book["flags"] & FAULT]
        assert len(planted) == len(wrong) == 1 and wrong[0]["flags"] & (STALE | VALID) == STALE
        wire.until(lambda: wire.incoming.healing.scans and wire.incoming.reader.market.join.scans == 2)
        wire.turns(20)
        theirs, ours = full_books(live.core.store), full_books(mirror.core.store)
        assert len(theirs) == 8 and ours == theirs and all(book["flags"] & VALID for book in ours.values())
        assert int(counted["mirror_mismatches"]) == wire.incoming.healing.mismatches == wire.incoming.healing.scans == 1
        assert wire.server.scans.requests == 2, "one for who came, one for the mismatch"
        assert [notice.what for notice in wire.notices] == ["mismatch"]
