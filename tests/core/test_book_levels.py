"""Books ⑤ of levels and what may be believed of them, rule by rule."""

from gateway.core import book_reader
from gateway.layout import value
from tests.book_twins import reasons_of
from tests.core.test_book import CROSSED, FAULT, STALE, VALID, Story
from tests.naive import ADD, CLEAR, FROM, LEVEL, OVERLAY, SET, THROUGH
from tests.naive_trust import (
    BUY,
    GAP,
    INFORMATION,
    INSTRUMENT,
    LOST,
    ONE_INSTRUMENT,
    RECOVERABLE,
    RECOVERED,
    SELL,
    SEQUENCE,
    SNAPSHOT_BEGIN,
    SNAPSHOT_END,
    STATUS,
)

TRUST = VALID | STALE | FAULT


def filled(levels: int = 5, **capacities: int) -> Story:
    """Bids at -100, -200 … and asks at 100, 200 …, of 10, 20 … lots."""
    story = Story(**capacities)
    for step in range(1, levels + 1):
        story.tell(LEVEL, side=BUY, price=-100 * step, quantity=10 * step, order_id=step)
        story.tell(LEVEL, side=SELL, price=100 * step, quantity=10 * step, order_id=step)
    return story


def bids(story: Story) -> list[int]:
    story.twins.compare()
    return [price for price, _, _ in story.levels(BUY)]


def test_a_level_event_states_the_whole_level():
    story = filled(2)
    assert story.tell(LEVEL, side=BUY, price=-100, quantity=7, order_id=3) == 1
    assert story.tell(LEVEL, side=BUY, price=-200, quantity=8) == 0
    assert story.levels(BUY) == [(-100, 7, 3), (-200, 8, 0)]
    assert story.tell(LEVEL, side=BUY, price=-100, quantity=0) == 1
    assert bids(story) == [-200]


def test_levels_leave_from_a_position_on_or_through_it():
    story = filled(5)
    story.tell(FROM, side=BUY, order_id=4 << 32)
    assert bids(story) == [-100, -200, -300]
    story.tell(THROUGH, side=BUY, order_id=2 << 32)
    assert bids(story) == [-300]
    story.tell(THROUGH, side=BUY, order_id=9 << 32)
    assert bids(story) == []
    assert not reasons_of(story.twins.counters)


def test_an_overlaid_level_has_another_price():
    story = filled(3)
    assert story.tell(OVERLAY, side=BUY, order_id=1 << 32, price=-50, quantity=4) == 1
    assert story.tell(OVERLAY, side=BUY, order_id=3 << 32, price=-333, quantity=4) == 0
    assert bids(story) == [-50, -200, -333]


def test_the_worst_level_goes_when_the_venue_keeps_no_more():
    story = filled(3, depth=3)
    story.tell(LEVEL, side=BUY, price=-150, quantity=1)
    assert bids(story) == [-100, -150, -200]
    story.tell(LEVEL, side=BUY, price=-300, quantity=0)
    assert not story.flags() & FAULT
    assert reasons_of(story.twins.counters) == {"FEED_LEVEL_UNKNOWN": 1}


def test_a_level_that_is_not_there_faults_a_whole_book_only():
    whole, late = filled(1), filled(1, flags=0)
    for story in (whole, late):
        story.tell(LEVEL, side=BUY, price=-900, quantity=0)
        assert reasons_of(story.twins.counters) == {"FEED_LEVEL_UNKNOWN": 1}
    assert whole.flags() & FAULT
    assert not late.flags() & FAULT


def test_a_book_is_of_one_kind_until_it_is_emptied():
    story = filled(1)
    story.add(1, BUY, -100, 5)
    assert story.levels(BUY) == [(-100, 10, 1)]
    assert story.flags() & FAULT
    story.tell(CLEAR)
    story.add(2, BUY, -100, 5)
    story.tell(LEVEL, side=BUY, price=-200, quantity=1)
    assert story.levels(BUY) == [(-100, 5, 1)]


def test_an_order_set_anew_keeps_its_place_unless_told_or_moved():
    story = Story()
    for order_id in (1, 2, 3, 4):
        story.add(order_id, BUY, -100, 10)
    story.tell(SET, order_id=1, price=-100, quantity=4)
    story.tell(SET, order_id=2, price=-100, quantity=25, flags=value("EVENT_REQUEUED"))
    story.tell(SET, order_id=3, price=-200, quantity=10)
    story.tell(SET, order_id=3, price=-100, quantity=10)
    queue = book_reader.queue(story.twins.store.handle, 5, BUY, -100)
    assert queue == [(1, 4), (4, 10), (2, 25), (3, 10)]
    story.tell(SET, order_id=4, price=-100, quantity=0)
    assert story.levels(BUY) == [(-100, 39, 3)]


def test_the_queue_is_in_order_when_the_arrivals_wrap():
    story = Story()
    story.twins.store.handle["arrivals"] = (1 << 32) - 2
    for order_id in (1, 2, 3, 4):
        story.tell(ADD, order_id=order_id, side=BUY, price=100, quantity=1)
    assert [order_id for order_id, _ in book_reader.queue(story.twins.store.handle, 5, BUY, 100)] == [1, 2, 3, 4]


def test_a_filled_gap_heals_what_was_valid_and_a_lost_one_nothing():
    for lost, trust in ((0, VALID), (LOST, STALE)):
        story = filled(1)
        story.tell(GAP)
        assert story.flags() & (TRUST | RECOVERABLE) == STALE | RECOVERABLE
        story.tell(GAP, flags=lost)
        story.tell(RECOVERED)
        assert story.flags() & TRUST == trust
        story.twins.compare()


def test_a_gap_concerns_its_channel_or_its_instrument_only():
    story = filled(1)
    story.twins.follow(9)
    story.twins.begin_session(1)
    story.tell(LEVEL, instrument=6, side=BUY, price=1, quantity=1)
    story.tell(GAP)
    assert (story.flags(5) & TRUST, story.flags(6) & TRUST) == (VALID, STALE)
    story.tell(RECOVERED)
    story.tell(GAP, flags=ONE_INSTRUMENT)
    assert (story.flags(5) & TRUST, story.flags(6) & TRUST) == (STALE, VALID)
    story.twins.compare()


def test_a_definition_on_another_channel_does_not_bind_the_book_to_it():
    story = Story()
    story.twins.follow(3)
    story.tell(INSTRUMENT, price=25)
    story.twins.follow(0)
    story.tell(LEVEL, side=BUY, price=50, quantity=1)
    story.tell(GAP)
    assert story.flags() & TRUST == STALE
    story.twins.compare()


def test_a_sequence_that_follows_heals_and_one_that_does_not_makes_stale():
    story = Story()
    story.tell(LEVEL, side=BUY, price=100, quantity=1, other_id=1)
    story.tell(GAP)
    story.tell(LEVEL, side=BUY, price=200, quantity=1, other_id=2)
    assert story.flags() & TRUST == VALID
    assert story.twins.counters["healed"][0] == 1
    story.tell(LEVEL, side=BUY, price=300, quantity=1, other_id=4)
    assert story.flags() & TRUST == STALE
    story.tell(RECOVERED)
    assert story.flags() & TRUST == STALE
    assert reasons_of(story.twins.counters) == {"FEED_INSTRUMENT_GAP": 1}


def test_what_was_applied_before_is_passed_over():
    story = Story()
    story.tell(SEQUENCE, other_id=10, order_id=9, price=8)
    story.tell(LEVEL, side=BUY, price=100, quantity=5)
    story.tell(SEQUENCE, other_id=10, order_id=9, price=8)
    assert story.tell(LEVEL, side=BUY, price=100, quantity=1) == 0
    assert story.tell(CLEAR) == 0
    story.tell(SEQUENCE, other_id=13, order_id=0, price=11)
    story.tell(LEVEL, side=BUY, price=200, quantity=1)
    assert story.levels(BUY) == [(200, 1, 0), (100, 5, 0)]
    assert INFORMATION != LEVEL
    assert not reasons_of(story.twins.counters)


def test_a_snapshot_makes_a_book_valid_at_its_sequence():
    story = filled(2)
    story.tell(GAP, flags=LOST)
    story.tell(SNAPSHOT_BEGIN, other_id=70)
    assert bids(story) == []
    story.tell(LEVEL, side=BUY, price=10, quantity=1, flags=value("EVENT_OF_SNAPSHOT"))
    assert story.flags() & TRUST == STALE
    story.tell(SNAPSHOT_END)
    assert story.flags() & TRUST == VALID
    story.tell(LEVEL, side=BUY, price=20, quantity=1, other_id=70)
    story.tell(LEVEL, side=BUY, price=30, quantity=1, other_id=71)
    assert bids(story) == [30, 10]
    assert story.flags() & TRUST == VALID


def test_a_snapshot_that_a_gap_cuts_is_useless():
    story = filled(1)
    story.tell(SNAPSHOT_BEGIN)
    story.tell(GAP)
    story.tell(SNAPSHOT_END)
    assert story.flags() & TRUST == STALE
    assert reasons_of(story.twins.counters) == {"FEED_SNAPSHOT_USELESS": 1}


def test_crossing_counts_only_where_the_state_forbids_it():
    story = filled(1)
    story.tell(STATUS, quantity=value("TRADING_AUCTION"))
    story.tell(LEVEL, side=BUY, price=500, quantity=1)
    assert story.flags() & CROSSED
    assert story.twins.counters["crossed"][0] == 0
    story.tell(STATUS, quantity=value("TRADING_OPEN"))
    assert story.twins.counters["crossed"][0] == 1


def test_a_tick_learnt_on_a_full_book_waits_until_it_is_emptied():
    story = filled(1)
    story.tell(INSTRUMENT, price=25)
    assert (story.twins.rows["bid"]["tick"][5], story.twins.rows["tick_next"][5]) == (100, 25)
    story.tell(CLEAR)
    assert (story.twins.rows["bid"]["tick"][5], story.twins.rows["tick_next"][5]) == (25, 0)


def test_a_storm_of_gaps_walks_no_book_twice():
    story = filled(1)
    handle = story.twins.store.handle[0]
    story.tell(GAP)
    story.tell(GAP, flags=LOST)
    for name in ("fresh", "recoverable"):
        assert handle["channels"][0][name] == 0
    story.twins.compare()
