"""Two whole cores and what is told between them: the corridor's events, its gaps and healing, the feed `link`.

pair ─ io ─ core (tap) ── core_link ══ the test carries rows ══ link_core ── core (mirror) ─ io ─ pair
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.layout import value
from gateway.link.streams.join import Join
from gateway.link.streams.records import RecordReader, RecordWriter
from gateway.venues.simulator.flow import frames
from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.corridor_bench import Live, configuration, feed_all, full_books, live_pair
from tests.sim.healing import Healing

KEY = "A" * 43 + "="
LINKED = {"link__enabled": True, "link__node": 1, "link__key_file": "/none", "link__key_service": "unix:/none"}
LINKED |= {"link__roles_file": "/none", "link__addresses_file": "/none", "link__signer": KEY}
STALE, VALID = value("BOOK_STALE"), value("BOOK_VALID")


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
