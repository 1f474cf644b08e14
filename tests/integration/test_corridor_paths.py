"""One path: a recording, a live pair, two processes or one loop, every port: the same books; and the same orders twice."""

import pytest

from gateway.layout import value
from gateway.port import open_port
from gateway.venues.simulator.flow import frames, write_capture
from gateway.venues.simulator.settings import FaultPlan
from tests.corridor_bench import IMBALANCE, configuration, feed_all, live_pair, replay
from tests.naive_corridor import NaiveCorridor

SEED, SYMBOLS, MESSAGES = 11, 8, 6_000
FAULTS = "drop_a=20000,duplicate_b=5000,reorder_b=5000,delay_a=2000"
STALE = value("BOOK_STALE")
WINDOW_US = 1_000_000  # longer than any line is behind the other
EAGER = {"threshold_percent": 55, "quiet_ns": 1_000_000, "spread_max": 10_000, "position_max": 100_000}


@pytest.fixture(scope="module")
def day():
    """(time, frame) of both lines of a synthetic day, with faults that one line mends for the other."""
    return list(frames(SEED, SYMBOLS, MESSAGES, faults=FaultPlan.parse(FAULTS)))


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("day") / "day.pcapng"
    assert write_capture(path, SEED, SYMBOLS, MESSAGES, faults=FaultPlan.parse(FAULTS)) > 0
    return path


def settings(**more):
    return configuration(IMBALANCE, **{"feed__reorder_window_us": WINDOW_US, "strategy__parameters": EAGER, **more})


def orders_of(path):
    with open_port(f"pcap:{path}") as port:
        return [(frame.time_ns, frame.data) for frame in port]


def what_the_feed_said(result):
    """Of a summary, what must not depend on the port or on time."""
    core = result["core"]
    names = ("messages", "gaps", "gap_messages", "sessions", "instruments", "live_orders", "crossed", "strategy_calls")
    return {"books": result["books"], "types": result["messages"], **{name: core[name] for name in names}}


def test_two_replays_give_the_same_order_frames_to_the_byte(capture, tmp_path):
    outs = [tmp_path / "first.pcapng", tmp_path / "second.pcapng"]
    results = [replay(capture, settings(), out=str(out)) for out in outs]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    orders = orders_of(outs[0])
    assert len(orders) == results[0]["core"]["orders_sent"] == results[0]["io"]["orders_transmitted"] > 20
    for result in results:
        result.pop("instance")
        for name in [name for name in result if name.endswith("_ns")]:
            result.pop(name)  # latencies are measured, not replayed
    assert results[0] == results[1]


def test_the_burst_that_io_takes_changes_no_order_and_no_book(capture, tmp_path):
    out = [tmp_path / "64.pcapng", tmp_path / "1.pcapng"]
    results = [replay(capture, settings(), out=str(path), burst=burst) for path, burst in zip(out, (64, 1), strict=True)]
    assert what_the_feed_said(results[0]) == what_the_feed_said(results[1])
    assert [data for _, data in orders_of(out[0])] == [data for _, data in orders_of(out[1])]


def test_a_replayed_day_equals_its_naive_twin(day, capture):
    result = replay(capture, settings())
    twin = NaiveCorridor(window_ns=WINDOW_US * 1000, unsequenced=False)
    for time_ns, frame in day:
        twin.frame(frame, time_ns)
    twin.end(day[-1][0])
    assert result["books"] == twin.all_books()
    assert result["messages"] == dict(twin.types)
    assert result["core"]["gaps"] == 0 and result["core"]["reordered"] > 0
    assert result["feed_reasons"] == twin.all_reasons() and result["feed_reasons"].keys() == {"duplicate"}


def test_a_live_pair_gives_the_books_of_the_replay(day, capture):
    replayed = what_the_feed_said(replay(capture, settings()))
    choice = settings()
    with live_pair(choice) as (live, peer):
        feed_all(live, peer, (frame for _, frame in day))
        result = live.result()
    assert what_the_feed_said(result) == replayed
    assert result["io"]["frames_received"] == result["io"]["frames_published"] == len(day)
    assert result["core"]["orders_sent"] > 0


def test_lost_messages_make_the_same_gaps_on_every_path(tmp_path):
    plan = FaultPlan.parse("drop_both=20000")
    path = tmp_path / "lossy.pcapng"
    write_capture(path, SEED, SYMBOLS, MESSAGES, faults=plan)
    replayed = replay(path, settings(feed__reorder_window_us=0))
    assert replayed["core"]["gaps"] > 3 and all(book["flags"] & STALE for book in replayed["books"].values())
    with live_pair(settings(feed__reorder_window_us=0)) as (live, peer):
        feed_all(live, peer, (frame for _, frame in frames(SEED, SYMBOLS, MESSAGES, faults=plan)))
        result = live.result()
    assert what_the_feed_said(result) == what_the_feed_said(replayed)
