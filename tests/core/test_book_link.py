"""Books of another region ⑤ beside those of their source: equal at every checkpoint, whatever comes while a scan runs."""

import numpy as np
import pytest

from gateway.core import book_reader
from gateway.layout import value
from gateway.link.streams import records
from gateway.link.streams.records import own_word, rows
from tests.book_feeds import FIELDS, Feeds
from tests.book_streams import Stream
from tests.link_regions import Mirror, Source, differences
from tests.link_story import Story
from tests.naive import ADD, DELETE
from tests.naive_trust import FAULT, GAP, LOST, RECOVERED, SNAPSHOT_END, STALE, STATUS, VALID

BIDS = 1
EVENT_DEFINITION = value("EVENT_INSTRUMENT")


def event(kind: int, **fields: int) -> dict[str, int]:
    return dict.fromkeys(FIELDS, 0) | {"kind": kind} | fields


def order(number: int, instrument: int = 0, side: int = 1, price: int = 100, quantity: int = 10) -> dict[str, int]:
    return event(ADD, order_id=number, instrument=instrument, side=side, price=price, quantity=quantity)


def synchronised(orders: int = 3, **source: int) -> tuple[Source, Mirror]:
    """A source whose channel was joined at message 1, and a mirror of it."""
    region, mirror = Source(**source), Mirror()
    region.begin_session(1, 0)
    for number in range(orders):
        region.apply(order(number, number % 3, price=100 * (number + 1)))
    region.ask()
    region.scan()
    mirror.give(region.take())
    assert mirror.phase == "LIVE" and not differences(region.store, mirror.store)
    return region, mirror


def flags(mirror: Mirror, instrument: int = 0) -> int:
    return int(book_reader.books(mirror.store.handle)["flags"][instrument])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "options", "depth"),
    [
        (101, {}, 0),
        (102, {"rare": 0.1}, 0),
        (103, {}, 4),
        (104, {"hostile": 0.05}, 0),
        (105, {"hostile": 0.3, "rare": 0.1}, 3),
    ],
)
def test_whoever_joins_at_any_time_ends_with_the_sources_books(seed, options, depth):
    print("seed", seed)
    feeds = Feeds(seed, **options)
    story = Story(seed, feeds.draw, depth=depth)
    for channel in range(3):
        story.source.begin_session(1, channel)
    story.run(1500)
    story.finish()
    print(story.checks, story.overlap)
    assert story.checks["live"] > 20 and story.overlap > 100
    assert all(mirror.count("mismatches") == mirror.count("refused") == 0 for mirror, _ in story.readers)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "hostile"), [(111, 0.0), (112, 0.02), (113, 0.2)])
def test_a_busy_feed_of_orders_crosses_the_scan_and_ends_alike(seed, hostile):
    print("seed", seed)
    stream = Stream(seed, instruments=300, hostile=hostile, live_target=1500)
    story = Story(seed, lambda: (stream.draw(), 0), instruments=300)
    story.run(1500, asks=0.003, deliveries=0.06)
    story.finish()
    print(story.checks, story.overlap)
    scanned = sum(mirror.count("scanned") for mirror, _ in story.readers)
    assert scanned > 500 and story.overlap > 300 and story.checks["settled"] > 0


@pytest.mark.parametrize("seed", [121, 122])
def test_sessions_that_begin_within_scans_leave_equal_books(seed):
    print("seed", seed)
    feeds = Feeds(seed, rare=0.05)
    story = Story(seed, feeds.draw)
    for round_number in range(8):
        story.run(100, asks=0.01)
        story.source.begin_session(round_number % 3, feeds.random.randrange(3))
    story.finish()
    assert story.source.tap["given_up"][0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [131, 132, 133])
def test_a_full_ring_loses_records_says_so_and_the_next_scan_heals(seed):
    print("seed", seed)
    feeds = Feeds(seed)
    story = Story(seed, feeds.draw, ring_depth=512)
    for _ in range(3):
        story.run(700, deliveries=0.0005)
        story.source.ask()
        story.deliver()
        while story.source.turn(1):
            story.deliver()
    assert story.source.tap["out"]["shed"][0] > 0 and story.source.tap["given_up"][0] > 0
    assert sum(mirror.count("lost") for mirror, _ in story.readers) > 0
    assert all(mirror.phase == "LIVE" for mirror, _ in story.readers) and story.checks["live"] > 5


def test_every_record_given_whole_ends_with_the_same_books_as_those_a_reader_leaves():
    feeds, region = Feeds(141), Source()
    left_out, whole = Mirror(), Mirror()
    for index in range(1500):
        region.apply(*feeds.draw())
        if index % 300 == 0:
            region.ask()
        region.turn(1)
        if index % 50 == 0:
            batch = region.take()
            left_out.give(batch)
            whole.give(batch, whole=True)
    region.ask()
    region.scan()
    batch = region.take()
    left_out.give(batch)
    whole.give(batch, whole=True)
    assert left_out.phase == whole.phase == "LIVE"
    assert not differences(region.store, whole.store)
    assert not differences(region.store, left_out.store)


def test_strategies_hear_nothing_of_a_book_before_it_is_settled_and_then_that_its_snapshot_is_complete():
    region, mirror = Source(), Mirror()
    region.begin_session(1, 0)
    for number in range(50):
        region.apply(order(number, number % 3))
    region.ask()
    region.turn()  # the scan has begun
    while region.phase:
        region.turn(1)
        region.apply(order(1000 + int(region.tap["cursor"][0]), 1))
    mirror.give(region.take())
    heard = mirror.heard()
    settled = [instrument for kind, instrument, _ in heard if kind == SNAPSHOT_END]
    assert sorted(settled) == [0, 1, 2]
    assert all(word & VALID and not word & STALE for _, _, word in heard)
    first = next(index for index, (kind, instrument, _) in enumerate(heard) if instrument == 1)
    assert heard[first][0] == SNAPSHOT_END
    mirror.heard()
    region.apply(order(5000, 2))
    mirror.give(region.take())
    assert [(kind, instrument) for kind, instrument, _ in mirror.heard()] == [(ADD, 2)]


def test_a_book_that_is_named_gets_its_limits_here_and_one_that_comes_later_too():
    region, mirror = Source(), Mirror()
    permitted = value("INSTRUMENT_PERMITTED")
    symbol = int.from_bytes(b"AAPL    ", "little")
    region.apply(event(EVENT_DEFINITION, instrument=1, order_id=symbol, price=5))
    region.ask()
    region.scan()
    mirror.give(region.take())
    assert mirror.desk.rows["flags"][1] & permitted and mirror.desk.rows["tick"][1] == 5
    assert not mirror.desk.rows["flags"][2] & permitted
    region.apply(event(EVENT_DEFINITION, instrument=2, order_id=symbol, price=25))
    mirror.give(region.take())
    assert mirror.desk.rows["flags"][2] & permitted and mirror.desk.rows["tick"][2] == 25


def test_definitions_with_their_exponents_come_with_the_scan_and_live():
    region, mirror = Source(), Mirror()
    row = region.listings[4]
    row["flags"], row["identifier"], row["price_exponent"], row["lot"] = 3, 77, -9, 10
    row["symbol"], row["symbol_bytes"] = b"ESZ6", 4
    region.apply(order(1, 4))
    region.ask()
    region.scan()
    region.listings[5]["flags"], region.listings[5]["quantity_exponent"] = 1, -3
    region.apply(order(2, 5))
    mirror.give(region.take())
    for number in (4, 5):
        assert mirror.listings[number] == region.listings[number]


def test_a_source_that_falls_silent_leaves_stale_books_that_are_what_they_were_once_it_is_heard():
    region, mirror = synchronised()
    region.apply(event(GAP))  # two kinds of books, one of them stale at the source itself
    region.apply(event(value("EVENT_CLEAR"), instrument=1))
    mirror.give(region.take())
    before = [flags(mirror, number) for number in range(3)]
    mirror.heard()
    mirror.give(own_word(records.DOWN), whole=True)
    assert mirror.phase == "SILENT" and all(flags(mirror, number) & STALE for number in range(3))
    assert not any(flags(mirror, number) & VALID for number in range(3))
    mirror.give(own_word(records.DOWN), whole=True)
    mirror.give(own_word(records.UP), whole=True)
    assert mirror.phase == "LIVE" and [flags(mirror, number) for number in range(3)] == before
    assert [kind for kind, _, _ in mirror.heard()] == [GAP, RECOVERED]
    mirror.give(own_word(records.DOWN), whole=True)
    region.apply(order(77, 2))
    mirror.give(region.take())  # a record says as much as UP
    assert mirror.phase == "LIVE" and not differences(region.store, mirror.store)


def test_a_record_that_comes_twice_is_passed_over():
    region, mirror = synchronised()
    region.apply(order(50, 1))
    batch = region.take()
    mirror.give(batch)
    mirror.give(batch)
    assert not differences(region.store, mirror.store)
    assert flags(mirror, 1) & (STALE | FAULT) == 0 and mirror.count("passed") == len(batch)


def test_the_links_own_loss_makes_books_stale_and_numbers_begin_anew():
    region, mirror = synchronised()
    mirror.heard()
    mirror.give(own_word(records.LOST), whole=True)
    assert mirror.phase == "WAITING" and all(flags(mirror, number) & STALE for number in range(3))
    assert [kind for kind, _, _ in mirror.heard()] == [GAP]
    other, numbers = Source(), mirror.count("sequence")
    assert numbers == 0
    other.apply(order(9, 2))
    other.ask()
    other.scan()
    mirror.give(other.take(), whole=True)  # another life of the source: its records are numbered from 1
    assert mirror.phase == "LIVE" and not differences(other.store, mirror.store, [2])
    assert flags(mirror, 0) & STALE and not flags(mirror, 0) & VALID


def test_a_scan_begin_always_begins_anew_even_where_the_books_were_whole():
    region, mirror = synchronised()
    region.apply(order(60, 1))
    region.take()  # lost on the way, and nobody says so
    region.ask()
    region.scan()
    mirror.give(region.take(), whole=True)
    assert mirror.phase == "LIVE" and not differences(region.store, mirror.store)
    assert mirror.count("lost") == 1


def test_a_book_that_does_not_hold_what_the_source_says_is_a_fault_and_counted():
    region, mirror = Source(), Mirror()
    for number in range(4):
        region.apply(order(number, number % 2))
    region.ask()
    region.scan()
    batch = region.take()
    missing = np.flatnonzero(batch["kind"] == records.ORDER)[0]
    mirror.give(np.delete(batch, missing), whole=True)
    assert mirror.count("mismatches") == int(mirror.counters["mirror_mismatches"][0]) == 1
    wrong, right = (0, 1) if flags(mirror, 0) & FAULT else (1, 0)
    assert flags(mirror, wrong) & (VALID | STALE | FAULT) == STALE | FAULT, "nothing trades on it"
    assert flags(mirror, right) & (VALID | STALE | FAULT) == flags(mirror, right) & VALID
    region.ask()
    region.scan()
    mirror.give(region.take(), whole=True)
    assert mirror.count("mismatches") == 1 and not differences(region.store, mirror.store), "another scan heals it"


def test_a_scan_that_ends_with_books_missing_is_no_scan():
    region, mirror = Source(), Mirror()
    region.apply(order(1, 0))
    region.apply(order(2, 1))
    region.ask()
    region.scan()
    batch = region.take()
    missing = np.flatnonzero(batch["kind"] == records.SETTLED)[0]
    mirror.give(np.delete(batch, missing), whole=True)
    assert mirror.phase == "WAITING" and mirror.count("refused") == 1
    assert flags(mirror, 0) & flags(mirror, 1) & STALE


@pytest.mark.parametrize("seed", range(6))
def test_records_that_no_source_made_are_counted_and_break_nothing(seed):
    print("seed", seed)
    random, mirror = np.random.default_rng(seed), Mirror()
    region = Source()
    for number in range(30):
        region.apply(order(number, number % 9))
    region.ask()
    region.scan()
    good = region.take()
    batch = np.tile(good, 20)
    raw = batch.view(np.uint8).reshape(len(batch), -1)
    for row in range(len(batch)):
        for _ in range(random.integers(0, 4)):
            raw[row, random.integers(12, 128)] = random.integers(0, 256)
    batch["kind"] = np.where(random.random(len(batch)) < 0.1, random.integers(0, 20, len(batch)), batch["kind"])
    batch["sequence"] = np.arange(1, len(batch) + 1)
    mirror.give(batch, whole=True)
    noise = rows(500)
    noise.view(np.uint8)[:] = random.integers(0, 256, noise.nbytes)
    noise["kind"], noise["sequence"] = random.integers(0, 16, 500), np.arange(10_000, 10_500)
    mirror.give(noise, whole=True)
    mirror.give(own_word(records.LOST), whole=True)
    region.apply(order(100, 4))
    region.ask()
    region.scan()
    mirror.give(region.take(), whole=True)
    assert mirror.phase == "LIVE" and mirror.count("refused") > 0
    used = [number for number, _ in book_reader.instruments(region.store.handle)]
    assert not [line for line in differences(region.store, mirror.store, used) if ".depth" not in line]


def test_a_mirror_that_is_told_on_breaks_its_order_where_no_record_says_what_it_did():
    from gateway.core.memory import address_of

    region, onward = Source(), Source()
    mirror, last = Mirror(tap=address_of(onward.tap)), Mirror()
    onward.tap["store"] = mirror.store.address
    for number in range(20):
        region.apply(order(number, number % 3))
    region.ask()
    region.scan()
    mirror.give(region.take())
    onward.ask()
    onward.scan()
    last.give(onward.take())
    region.apply(order(30, 1))
    region.apply(event(DELETE, order_id=3, instrument=0))
    region.apply(event(STATUS, instrument=2, quantity=1))
    mirror.give(region.take())
    last.give(onward.take())
    assert last.phase == "LIVE" and not differences(region.store, last.store)
    mirror.give(own_word(records.DOWN), whole=True)
    last.give(onward.take())
    assert last.phase == "WAITING" and all(flags(last, number) & STALE for number in range(3))
    mirror.give(own_word(records.UP), whole=True)
    onward.ask()
    onward.scan()
    last.give(onward.take())
    assert last.phase == "LIVE" and not differences(region.store, last.store)


def test_a_gap_that_the_venue_says_reaches_the_mirror_as_one():
    region, mirror = synchronised()
    mirror.heard()
    region.apply(event(GAP, flags=LOST), channel=0)
    mirror.give(region.take())
    assert not differences(region.store, mirror.store)
    assert [(kind, bool(word & STALE)) for kind, _, word in mirror.heard()] == [(GAP, True)]
