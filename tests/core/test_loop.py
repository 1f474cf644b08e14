"""The corridor's turn: what io says beside frames, where one turn ends, and what the strategy is asked."""

import pytest

from gateway import layout
from gateway.core.loop import FRAMES_PER_TURN
from gateway.protocols import moldudp64
from tests.corridor_bench import LINE_B, Feed, configuration, feed_all, live_pair, replay
from tests.fuzz.corridor_mutations import wrapped

COUNTING = """
from gateway.core.strategy import GAP

STATE = [("calls", "i8"), ("gaps", "i8"), ("lost", "i8"), ("last_sequence", "i8"), ("disorder", "i8")]


def on_event(state, event, book, orders):
    state.calls += 1
    state.disorder += event.sequence < state.last_sequence
    state.last_sequence = event.sequence
    if event.kind == GAP:
        state.gaps += 1
        state.lost += event.quantity
"""


@pytest.fixture
def counting(tmp_path):
    path = tmp_path / "counting.py"
    path.write_text(COUNTING)
    return path


def adds(feed, count):
    return [feed.packet(feed.add(10 + number, "B", 1, 1_000_000 + 100 * number)) for number in range(count)]


def test_one_turn_takes_at_most_its_share_of_records(counting):
    feed = Feed()
    frames = adds(feed, 3 * FRAMES_PER_TURN)
    with live_pair(configuration(counting)) as (live, peer):
        assert peer.transmit(frames) == len(frames)
        for _ in range(3):
            live.turns(1, stages="io")
        core = live.counters["core"]
        for turn in range(1, 4):
            live.turns(1)
            assert core["frames"] == turn * FRAMES_PER_TURN


def test_the_strategy_sees_every_event_once_and_in_order(counting):
    feed = Feed()
    frames = [feed.packet(*feed.listing()), *adds(feed, 200)]
    feed.packet(feed.message("B", match_number=1))  # information: moves no book
    frames.append(feed.frames[-1][1])
    doubled = [frame for frame in frames for _ in range(2)]
    doubled[3], doubled[4] = doubled[4], doubled[3]
    with live_pair(configuration(counting)) as (live, peer):
        feed_all(live, peer, doubled)
        state = live.core.strategy.state[0]
        assert (state["calls"], state["disorder"], state["gaps"]) == (202, 0, 0)
        assert live.counters["core"]["strategy_calls"] == 202 and live.counters["core"]["messages"] == 203


def test_a_gap_is_told_to_the_strategy_before_what_follows_it(counting, tmp_path):
    feed = Feed()
    adds(feed, 3)
    feed.sequence += 7
    adds(feed, 2)
    path = feed.write(tmp_path / "gap.pcap")
    result = replay(path, configuration(counting, feed__reorder_window_us=0))
    assert result["core"]["strategy_calls"] == 6 and result["core"]["gap_messages"] == 7


def test_a_hole_at_the_end_of_a_recording_is_declared_and_what_is_behind_it_delivered(tmp_path):
    feed = Feed()
    adds(feed, 1)
    feed.sequence += 1
    adds(feed, 1)
    result = replay(feed.write(tmp_path / "end.pcap"), configuration(feed__reorder_window_us=10_000_000))
    assert (result["core"]["gaps"], result["core"]["messages"]) == (1, 2)


def test_each_line_is_known_by_its_group_and_the_first_copy_wins():
    feed = Feed()
    first = feed.packet(*feed.listing())
    feed.sequence = 1
    copy = feed.packet(*feed.listing(), line=LINE_B)
    second = feed.packet(feed.add(1, "B", 1, 1_000_000), line=LINE_B)
    with live_pair(configuration()) as (live, peer):
        feed_all(live, peer, [first, copy, second])
        core = live.counters["core"]
        assert (core["line_a_first"], core["line_b_first"]) == (1, 1)
        assert core["reasons"][layout.value("FEED_DUPLICATE")] == 1 and core["messages"] == 3


def test_a_checksum_that_is_not_asked_for_is_not_verified():
    feed = Feed()
    frame = bytearray(feed.packet(*feed.listing()))
    frame[41] ^= 1
    for asked, messages in ((True, 0), (False, 2)):
        with live_pair(configuration(feed__checksum=asked)) as (live, peer):
            feed_all(live, peer, [bytes(frame)])
            assert live.counters["core"]["messages"] == messages


def test_a_new_session_empties_the_books_and_an_unended_one_is_not_left(tmp_path):
    feed, other = Feed("MONDAY"), Feed("TUESDAY")
    frames = [feed.packet(*feed.listing()), *adds(feed, 3)]
    tuesday = [other.packet(*other.listing(2, "NEW")), *adds(other, 1)]
    end = wrapped(moldudp64.encode_end_of_session("MONDAY", feed.sequence))
    with live_pair(configuration()) as (live, peer):
        feed_all(live, peer, [*frames, tuesday[0]])
        assert live.result()["feed_reasons"] == {"session_other": 1} and len(live.result()["books"][1]["bids"]) == 3
        feed_all(live, peer, [end, *tuesday])
        books = live.result()["books"]
        assert books[1]["symbol"] == "TEST" and len(books[1]["bids"]) == 1 and books[2]["symbol"] == "NEW"
        assert live.counters["core"]["sessions"] == 2 and live.counters["core"]["live_orders"] == 1
