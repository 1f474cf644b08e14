"""Quotes of another region: their age is that of the last moment they were known to be true, and stale says so."""

import numpy as np
import pytest

from gateway import layout
from gateway.instance import Instance
from gateway.link.quotes import EVERY_NS, MARK, Confirmation, QuoteCache, QuoteTops
from gateway.link.streams import records
from tests.stage_bench import unique_name

MILLISECOND_NS = 1_000_000
NOW_NS = 1_700_000_000_000_000_000
GOOD = layout.value("BOOK_VALID") | layout.value("BOOK_KNOWN") | layout.value("BOOK_NAMED")


@pytest.fixture
def instance():
    made = Instance.create(unique_name("quotes"))
    rows = made.rows("books")
    for number, symbol in ((1, b"AAPL    "), (2, b"MSFT    ")):
        rows[number]["symbol"], rows[number]["flags"] = symbol, GOOD
        rows[number]["bid_price"], rows[number]["bid_quantity"] = 100 * number, 10
        rows[number]["ask_price"], rows[number]["ask_quantity"] = 101 * number, 20
    yield made
    made.close(remove=True)


def confirm(instance, time_ns):
    instance.regions["link"].view("link_state")[0]["time_confirmed_ns"] = time_ns


def events(*rows):
    """Live records: (sequence, instrument)."""
    batch = records.rows(len(rows))
    batch["kind"] = records.EVENT
    for index, (sequence, instrument) in enumerate(rows):
        batch[index]["sequence"], batch[index]["event"]["instrument"] = sequence, instrument
    return batch


def marks(*sequences, time_ns=NOW_NS):
    rows = np.zeros(len(sequences), records.QUOTE)
    rows["instrument"], rows["sequence"], rows["time_ns"] = MARK, sequences, time_ns
    return rows


def test_a_quote_within_the_bound_is_not_stale_and_tells_its_age(instance):
    confirm(instance, NOW_NS - 40 * MILLISECOND_NS)
    quote = QuoteCache(instance, 50 * MILLISECOND_NS).find("AAPL", NOW_NS)
    assert (quote.bid_price, quote.ask_price, quote.symbol) == (100, 101, "AAPL")
    assert quote.age_ns == 40 * MILLISECOND_NS and not quote.stale


@pytest.mark.parametrize("over_ns", [1, 10**9, NOW_NS])
def test_no_read_beyond_the_bound_is_unmarked(instance, over_ns):
    confirm(instance, NOW_NS - 50 * MILLISECOND_NS - over_ns if over_ns < NOW_NS else 0)
    assert all(quote.stale for quote in QuoteCache(instance, 50 * MILLISECOND_NS).all(NOW_NS))


@pytest.mark.parametrize("flag", ["BOOK_STALE", "BOOK_FAULT", "BOOK_SNAPSHOT"])
def test_a_doubtful_book_is_stale_however_young(instance, flag):
    confirm(instance, NOW_NS)
    instance.rows("books")[1]["flags"] |= layout.value(flag)
    cache = QuoteCache(instance, 50 * MILLISECOND_NS)
    assert cache.find("AAPL", NOW_NS).stale and not cache.find("MSFT", NOW_NS).stale


def test_a_symbol_that_nobody_knows_has_no_quote(instance):
    assert QuoteCache(instance, 1).find("ZZZZ", NOW_NS) is None


def test_the_source_tells_of_what_moved_and_how_far_it_has_come(instance):
    tops = QuoteTops(instance)
    tops.note(events((7, 1), (8, 1), (9, 2)))
    rows = tops.take(NOW_NS)
    assert rows["instrument"].tolist() == [1, 2, MARK] and rows["sequence"].tolist() == [9, 9, 9]
    assert rows["bid_price"].tolist()[:2] == [100, 200] and rows["time_ns"][2] == NOW_NS
    assert len(tops.take(NOW_NS + EVERY_NS - 1)) == 0
    quiet = tops.take(NOW_NS + EVERY_NS)
    assert quiet["instrument"].tolist() == [MARK] and quiet["sequence"].tolist() == [9]


def test_records_of_a_scan_move_no_mark(instance):
    tops = QuoteTops(instance)
    tops.note(events((7, 1)))
    scan = records.rows(1)
    scan["kind"], scan["sequence"] = records.SCAN_BEGIN, 8
    tops.note(scan)
    assert tops.take(NOW_NS)["sequence"].tolist() == [7, 7]


def test_books_are_confirmed_when_core_has_applied_the_marks_record_and_not_before():
    confirmation = Confirmation()
    confirmation.on_quotes(marks(5), NOW_NS, 2 * MILLISECOND_NS)
    confirmation.on_quotes(marks(9, time_ns=NOW_NS + 10), NOW_NS + 10, 2 * MILLISECOND_NS)
    assert confirmation.follow(4) == 0
    assert confirmation.follow(8) == NOW_NS - 2 * MILLISECOND_NS
    assert confirmation.follow(9) == NOW_NS + 10 - 2 * MILLISECOND_NS
    confirmation.forget()
    assert confirmation.follow(9) == 0


@pytest.mark.parametrize("clock_ns", [0, 20_000_000_000, -20_000_000_000])
def test_a_mark_that_was_held_up_on_its_way_makes_no_quote_younger_than_it_is(clock_ns):
    """`clock_ns`: how far the source's clock is off, which must not count."""
    confirmation, trip_ns = Confirmation(), 2 * MILLISECOND_NS

    def comes(sequence, left_ns, way_ns):
        rows = marks(sequence, time_ns=left_ns + clock_ns)
        confirmation.on_quotes(rows, left_ns + way_ns, trip_ns)
        return left_ns - confirmation.follow(sequence)

    assert 0 <= comes(1, NOW_NS, MILLISECOND_NS) <= trip_ns
    held = NOW_NS + 50 * MILLISECOND_NS
    assert 0 <= comes(2, held, 3_000 * MILLISECOND_NS) <= trip_ns, "known true until it left, not until it came"
    assert 0 <= comes(3, held + 4_000 * MILLISECOND_NS, MILLISECOND_NS) <= trip_ns


def test_clocks_that_drift_apart_do_not_age_quotes_for_ever():
    confirmation = Confirmation()
    for minute in range(180):
        now_ns = NOW_NS + minute * 60 * 1000 * MILLISECOND_NS
        drift_ns = minute * 600_000  # ten in a million
        confirmation.on_quotes(marks(minute + 1, time_ns=now_ns - drift_ns), now_ns, 0)
        assert now_ns - confirmation.follow(minute + 1) <= 2 * MILLISECOND_NS


def test_another_life_of_the_source_has_another_clock():
    confirmation = Confirmation()
    confirmation.on_quotes(marks(1), NOW_NS, 0)
    later_ns = NOW_NS + 1_000 * MILLISECOND_NS
    confirmation.restart()
    confirmation.on_quotes(marks(1, time_ns=later_ns - 5_000 * MILLISECOND_NS), later_ns, 0)
    assert confirmation.follow(1) == later_ns
