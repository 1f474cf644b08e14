"""Books ⑤ of every kind in one store against their naive twin: levels, orders, channels, gaps, snapshots, sequences."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.book_feeds import EDGES, FIELDS, Feeds
from tests.book_twins import Twins
from tests.naive import ADD, CLEAR, DELETE, FROM, LEVEL, OVERLAY, SET, THROUGH
from tests.naive_trust import GAP, INSTRUMENT, RECOVERED, SEQUENCE, SNAPSHOT_BEGIN, SNAPSHOT_END, STATUS


def run(twins: Twins, feeds: Feeds, count: int, checkpoints: int = 40) -> None:
    for index in range(count):
        event, channel = feeds.draw()
        twins.apply(event, channel)
        if index % (count // checkpoints) == 0:
            twins.compare()
    twins.compare()


def started(channels: int = 3, **capacities: int) -> Twins:
    """Twins whose channels were all joined at message 1."""
    twins = Twins(**capacities)
    for channel in range(channels):
        twins.follow(channel)
        twins.begin_session(1)
    return twins


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "depth"), [(51, 0), (52, 10), (53, 1)])
def test_a_plausible_feed_gives_the_twins_books_whatever_the_depth(seed, depth):
    print("seed", seed)
    twins = started(instruments=9, depth=depth)
    run(twins, Feeds(seed), 15_000)
    assert twins.naive.healed > 50
    assert twins.naive.reasons["FEED_INSTRUMENT_GAP"] > 20


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "hostile", "depth"), [(61, 0.05, 0), (62, 0.4, 5)])
def test_a_hostile_feed_gives_the_twins_books_flags_and_counts(seed, hostile, depth):
    print("seed", seed)
    twins = started(instruments=9, depth=depth)
    run(twins, Feeds(seed, hostile=hostile, rare=0.1), 15_000)
    for reason in ("FEED_LEVEL_UNKNOWN", "FEED_SNAPSHOT_USELESS", "FEED_MESSAGE_FIELD", "FEED_ORDER_UNKNOWN"):
        assert twins.naive.reasons[reason] > 10


@pytest.mark.parametrize(("seed", "nodes", "orders"), [(71, 24, 1 << 14), (72, 1 << 14, 512)])
def test_small_pools_leave_books_of_both_kinds_consistent(seed, nodes, orders):
    print("seed", seed)
    twins = started(instruments=9, nodes=nodes, orders=orders)
    run(twins, Feeds(seed, rare=0.003, hostile=0.002), 12_000)
    assert twins.naive.reasons["FEED_LEVELS_FULL" if nodes == 24 else "FEED_ORDERS_FULL"] > 10


def test_sessions_of_one_channel_leave_the_others_alone():
    feeds, twins = Feeds(81, hostile=0.02), started(instruments=9)
    for round_number in range(30):
        run(twins, feeds, 200, 2)
        twins.follow(feeds.random.choice([0, 1, 2, 255, 300]))
        twins.begin_session(round_number % 3)
        twins.compare()


SMALL_EVENT = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(
            [LEVEL, LEVEL, LEVEL, FROM, THROUGH, OVERLAY, ADD, DELETE, SET, CLEAR, GAP, RECOVERED, SEQUENCE]
            + [SNAPSHOT_BEGIN, SNAPSHOT_END, STATUS, INSTRUMENT]
        ),
        "order_id": st.integers(0, 3) | st.integers(0, 4).map(lambda position: position << 32),
        "other_id": st.integers(0, 5),
        "side": st.integers(1, 2),
        "instrument": st.integers(0, 1),
        "price": st.sampled_from([*EDGES, 50, 200, 6300, -6300]),
        "quantity": st.integers(0, 5),
        "flags": st.sampled_from([0, 0, 4, 8, 16, 128, 136]),
    }
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(SMALL_EVENT, st.integers(0, 1)), max_size=40), st.sampled_from([0, 2]), st.booleans())
def test_any_short_story_of_two_channels_ends_alike(events, depth, joined_at_start):
    twins = started(2 if joined_at_start else 0, instruments=2, nodes=64, orders=512, depth=depth)
    for event, channel in events:
        twins.apply(dict.fromkeys(FIELDS, 0) | event, channel)
        twins.compare_lists()
    twins.compare()
