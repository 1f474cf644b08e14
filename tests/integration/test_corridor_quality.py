"""Doubtful data through the whole corridor: a book that is not fed stays readable, is marked, and carries no order.

Four ways to lose a book: a gap, a feed that falls silent, a session that ends, an instrument that goes quiet.
"""

from pathlib import Path

import pytest

from gateway.layout import value
from gateway.protocols.moldudp64 import encode_end_of_session
from tests.corridor_bench import MILLISECOND_NS, Feed, configuration, live_pair, replay
from tests.fuzz.corridor_mutations import wrapped
from tests.integration.test_corridor_gate import PRICE, Probe, passed, refused, turn_until

VALID, STALE, QUIET = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_QUIET")
# Buys on every book that is not to be trusted, whatever the event: nothing of it may ever leave.
RECKLESS = """
from gateway.core.strategy import IOC, buy, trusted


def on_event(state, event, book, orders):
    if book.bid_quantity > 0 and not trusted(book):
        buy(orders, book.instrument, 1, book.bid_price, IOC)
"""
# Buys when it is told of a book that has become quiet.
LISTENER = """
from gateway.core.strategy import IOC, OPEN, QUIET, STATUS, buy


def on_event(state, event, book, orders):
    if event.kind == STATUS and event.sequence == 0 and event.quantity == OPEN and book.flags & QUIET:
        buy(orders, event.instrument, 1, book.bid_price, IOC)
"""
# Buys one share for an outlier, two for a divergent event, three for both.
FLAGS = """
from gateway.core.strategy import DIVERGENT, IOC, OUTLIER, TRADE, buy


def on_event(state, event, book, orders):
    quantity = (event.flags & OUTLIER) // OUTLIER + 2 * ((event.flags & DIVERGENT) // DIVERGENT)
    if event.kind == TRADE and quantity > 0:
        buy(orders, event.instrument, quantity, book.bid_price, IOC)
"""


class Scene(Probe):
    """A probe whose strategy is another one."""

    def __init__(self, folder: Path, strategy: str):
        super().__init__(folder)
        (folder / "probe.py").write_text(strategy)

    def silence(self, milliseconds: int) -> None:
        """Nothing but a heartbeat, after so long."""
        self.feed.packet(passed_ns=milliseconds * MILLISECOND_NS)

    def join(self, sequence: int) -> None:
        """The session ends; one of another name is met at this sequence."""
        self.feed.time_ns += MILLISECOND_NS
        self.feed.frames.append((self.feed.time_ns, wrapped(encode_end_of_session(self.feed.session, self.feed.sequence))))
        self.feed.session, self.feed.sequence = "SECONDDAY", sequence
        self.feed.packet(*self.feed.listing(1, "TEST"), *self.feed.listing(9, "BELL"))


@pytest.fixture
def scene(tmp_path):
    return lambda strategy=RECKLESS: Scene(tmp_path, strategy)


def held(result) -> None:
    """Intents there were, and each met the gate's STALE; the book is as it was."""
    assert result["decisions"] > 0 and result["accepted"] == 0 and result["orders"] == []
    assert result["rejects"]["stale"] == result["decisions"]
    assert result["books"][1]["bids"][-1] == (PRICE, 100, 1)


def test_a_gap_leaves_the_book_readable_marked_and_untradable(scene):
    lost = scene()
    lost.feed.sequence += 1
    for order in range(3, 9):
        lost.feed.packet(lost.feed.add(order, "B", 10, PRICE + order))
    result = lost.run(feed__reorder_window_us=0)
    held(result)
    assert result["books"][1]["flags"] & (VALID | STALE) == STALE and result["decisions"] >= 6


def test_a_feed_that_falls_silent_is_refused_by_age_without_a_mark(tmp_path):
    probe = Probe(tmp_path)
    probe.ring(1001 * MILLISECOND_NS)
    result = probe.run()
    refused(result, "stale")
    assert not result["books"][1]["flags"] & QUIET and not any(result["quality"].values())


def test_a_feed_that_falls_silent_leaves_books_marked_and_untradable(scene):
    silent = scene()
    silent.silence(1200)
    silent.silence(2)
    result = silent.run(quality__stale_after_ms=1000)
    held(result)
    assert result["books"][1]["flags"] & QUIET and result["quality"]["quiet"] == 2


def test_a_session_that_was_lost_leaves_nothing_to_trade_on(scene):
    ended = scene()
    ended.join(500)
    for order in range(1, 5):
        ended.feed.packet(ended.feed.add(order, "B", 100, PRICE))
    result = ended.run()
    assert result["decisions"] > 0 and result["rejects"]["stale"] == result["decisions"] and result["orders"] == []
    assert not result["books"][1]["flags"] & VALID


@pytest.mark.slow
def test_an_instrument_that_went_quiet_is_told_to_its_strategy_and_refused(scene):
    quiet = scene(LISTENER)
    for _ in range(30):
        quiet.ring(10 * MILLISECOND_NS)
    result = quiet.run(quality__stale_after_ms=100)
    held(result)
    assert result["decisions"] == 1, "told once"
    assert result["books"][1]["flags"] & QUIET and not result["books"][9]["flags"] & QUIET
    assert result["quality"]["quiet"] == 1


def test_the_gate_does_not_wait_for_the_sweep(tmp_path):
    probe = Probe(tmp_path)
    probe.ring(101 * MILLISECOND_NS)
    refused(probe.run(quality__stale_after_ms=100), "stale")
    passed(probe.run(quality__stale_after_ms=102))


def test_the_next_event_of_a_quiet_instrument_makes_it_tradable_again(tmp_path):
    probe = Probe(tmp_path)
    for _ in range(30):
        probe.feed.packet(probe.feed.listing(9, "BELL")[0], passed_ns=10 * MILLISECOND_NS)
    probe.feed.packet(probe.feed.add(3, "B", 1, PRICE - 100))
    probe.ring()
    result = probe.run(quality__stale_after_ms=100)
    passed(result)
    assert result["quality"]["quiet"] == 1 and not result["books"][1]["flags"] & QUIET


def test_a_port_that_is_quiet_still_marks_its_books(tmp_path):
    probe = Probe(tmp_path)
    choice = configuration(tmp_path / "probe.py", quality__stale_after_ms=50)
    with live_pair(choice) as (live, peer):
        peer.transmit([frame for _, frame in probe.feed.frames])
        books = live.instance.rows("books")
        turn_until(live, lambda: books["flags"][1] & books["flags"][9] & QUIET, 20)
        assert books["flags"][1] & QUIET and books["flags"][9] & QUIET


def test_an_outlier_reaches_the_strategy_flagged_and_a_real_move_does_not_stay_one(scene):
    wild = scene(FLAGS)
    feed = wild.feed
    prices = [PRICE + index % 3 * 100 for index in range(40)]
    prices += [3 * PRICE, *prices[:5], *[2 * PRICE + index % 3 * 100 for index in range(12)]]
    for index, price in enumerate(prices):
        fields = {"buy_sell_indicator": "B", "shares": 1, "stock": "TEST", "match_number": index + 1}
        feed.packet(feed.message("P", 1, **fields, price=price))
    result = wild.run(quality__z_max=8.0, quality__agree=5)
    assert result["quality"]["outliers"] == result["decisions"] == 1 + 5
    assert result["quality"]["accepted"] == 1 and result["accepted"] == 6, "a flag by itself stops nothing"
    assert all(order["quantity"] == 1 for order in result["orders"])


def test_the_same_product_at_two_prices_is_flagged_at_both(scene):
    twins = scene(FLAGS)
    feed = twins.feed
    feed.packet(feed.add(11, "B", 100, 2 * PRICE, 9, "BELL"), feed.add(12, "S", 100, 2 * PRICE + 100, 9, "BELL"))
    for _ in range(20):
        feed.packet(feed.add(feed.sequence + 100, "B", 1, 100))
    fields = {"buy_sell_indicator": "B", "shares": 1, "price": PRICE}
    feed.packet(feed.message("P", 1, **fields, stock="TEST", match_number=1))
    feed.packet(feed.message("P", 9, **fields, stock="BELL", match_number=2))
    groups = {"quality__groups": ["TEST BELL"], "quality__divergence_ms": 5}
    result = twins.run(**groups)
    assert [order["quantity"] for order in result["orders"]] == [2, 2]
    assert result["quality"]["divergences"] == result["quality"]["groups_apart"] == 1
    assert twins.run(**groups | {"quality__groups": ["TEST BELL@1", "X Y"]})["decisions"] == 2
    assert twins.run(**groups | {"quality__divergence_ppm": 600_000})["decisions"] == 0
    assert twins.run()["decisions"] == 0


def test_without_a_section_nothing_is_judged(tmp_path):
    feed = Feed()
    feed.packet(*feed.listing(1, "TEST"))
    for index in range(100):
        fields = {"buy_sell_indicator": "B", "shares": 1, "stock": "TEST", "match_number": index + 1}
        feed.packet(feed.message("P", 1, **fields, price=1 + index * 10**6), passed_ns=10**10)
    result = replay(feed.write(tmp_path / "feed.pcap"), configuration())
    assert not any(result["quality"].values()) and not result["books"][1]["flags"] & QUIET
