"""Two lines become one sequence: arbitration against its naive twin, and its rules one by one."""

import random

import pytest

from gateway.core import arbitrate
from gateway.core.memory import address_of
from gateway.layout import value
from gateway.protocols import moldudp64
from tests.feed_bench import SESSION, WINDOW_NS, Feed, messages_of
from tests.naive_arbitrate import NaiveFeed


def test_messages_in_order_pass_at_once():
    feed = Feed()
    feed.offer(1, messages_of(1, 3), 0)
    feed.offer(4, messages_of(4, 2), 1)
    assert [row[0] for row in feed.output] == [1, 2, 3, 4, 5]


def test_the_second_line_is_a_duplicate():
    feed = Feed()
    feed.offer(1, messages_of(1, 3), 0, line=0)
    feed.offer(1, messages_of(1, 3), 1, line=1)
    assert len(feed.output) == 3
    assert feed.reason("FEED_DUPLICATE") == 1
    assert feed.counters[0]["line_a_first"] == 1


def test_a_packet_that_overlaps_delivers_only_its_news():
    feed = Feed()
    feed.offer(1, messages_of(1, 3), 0)
    feed.offer(2, messages_of(2, 5), 1)
    assert [row[0] for row in feed.output] == [1, 2, 3, 4, 5, 6]


def test_a_hole_filled_within_the_window_is_no_gap():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0)
    feed.offer(3, messages_of(3, 1), 10)
    assert [row[0] for row in feed.output] == [1]
    feed.offer(2, messages_of(2, 1), 10 + WINDOW_NS)
    assert [row[0] for row in feed.output] == [1, 2, 3]
    assert feed.counters[0]["gaps"] == 0


def test_a_gap_is_declared_one_tick_after_the_window_and_before_the_next_message():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0)
    feed.offer(5, messages_of(5, 1), 10)
    feed.tick(10 + WINDOW_NS)
    assert len(feed.output) == 1
    feed.tick(10 + WINDOW_NS + 1)
    assert feed.output[1:] == [("gap", 2, 3, 1), (5, b"m5")]
    assert feed.counters[0]["gaps"] == 1 and feed.counters[0]["gap_messages"] == 3


def test_a_packet_from_a_declared_gap_is_late_not_a_duplicate():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0)
    feed.offer(5, messages_of(5, 1), 10)
    feed.tick(10 + WINDOW_NS + 1)
    feed.offer(3, messages_of(3, 1), 10 + WINDOW_NS + 2)
    assert feed.reason("FEED_LATE") == 1 and feed.reason("FEED_DUPLICATE") == 0


def test_a_heartbeat_ahead_reveals_a_lost_tail():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0)
    feed.offer(4, [], 10)
    feed.tick(10 + WINDOW_NS + 1)
    assert feed.output[1:] == [("gap", 2, 2, 1)]
    feed.offer(4, messages_of(4, 1), 5000)
    assert feed.output[-1] == (4, b"m4")


def test_another_session_is_refused_until_the_first_has_ended():
    feed = Feed()
    feed.offer(1, messages_of(1, 2), 0)
    feed.offer(1, messages_of(1, 1), 1, session="OTHER")
    assert feed.reason("FEED_SESSION_OTHER") == 1
    feed.offer(3, [], 2, count=0xFFFF)
    feed.offer(3, messages_of(3, 1), 3)
    assert feed.reason("FEED_END_OF_SESSION") == 1
    feed.offer(1, messages_of(1, 1), 4, session="OTHER")
    assert feed.counters[0]["sessions"] == 2
    assert feed.output[-1] == (1, b"m1")


def test_sequence_zero_is_refused_unless_the_feed_is_unsequenced():
    refused, taken = Feed(), Feed(unsequenced=1)
    for feed in (refused, taken):
        feed.offer(0, messages_of(0, 1), 0, session="")
        feed.offer(0, messages_of(0, 1), 1, session="")
    assert refused.output == [] and refused.reason("FEED_SEQUENCE_INVALID") == 2
    assert len(taken.output) == 2 and taken.counters[0]["unsequenced"] == 2


def test_without_a_window_a_hole_is_a_gap_at_once():
    feed = Feed(window_ns=0)
    feed.offer(1, messages_of(1, 1), 7)
    feed.offer(4, messages_of(4, 1), 7)
    assert feed.output[1:] == [("gap", 2, 2, 1), (4, b"m4")]


def test_a_full_waiting_room_declares_the_gap_at_once_and_counts_it():
    feed, twin = Feed(window_ns=10**12), NaiveFeed(10**12)
    feed.offer(1, messages_of(1, 1), 0)
    twin.offer(1, messages_of(1, 1), 0)
    for index in range(value("FEED_HELD_MAX") + 1):
        feed.offer(10 + 2 * index, messages_of(10 + 2 * index, 1), 1)
        twin.offer(10 + 2 * index, messages_of(10 + 2 * index, 1), 1)
    assert feed.reason("FEED_REORDER_FULL") == 1
    assert feed.output == twin.output and ("gap", 2, 8, 1) in feed.output


@pytest.mark.slow
@pytest.mark.parametrize("recoverable", [0, 1])
@pytest.mark.parametrize("seed", range(6))
def test_a_packet_that_finds_no_place_is_delivered_though_it_never_comes_again(seed, recoverable):
    """A stall lets thousands of packets gather behind a hole; many of them came on one line alone."""
    generator, window_ns = random.Random(seed), 10**12
    feed = Feed(window_ns=window_ns, request=recoverable, **({"deadline_ns": window_ns} if recoverable else {}))
    twin = NaiveFeed(window_ns, recoverable=bool(recoverable))
    lost, now_ns = {generator.randint(2, 40)} | {generator.randint(41, 6000) for _ in range(6)}, 1
    for sequence in range(1, 6001):
        for line in (0, 1):
            if sequence not in lost and (line == 1 or generator.random() < 0.5):
                now_ns += 1
                feed.offer(sequence, messages_of(sequence, 1), now_ns, line)
                twin.offer(sequence, messages_of(sequence, 1), now_ns, line)
    declared = [number for row in feed.output if row[0] == "gap" for number in range(row[1], row[1] + row[2])]
    assert feed.reason("FEED_REORDER_FULL") > 1 and set(declared) <= lost, f"seed {seed}"
    assert feed.output == twin.output, f"seed {seed}"
    assert int(feed.counters[0]["gap_messages"]) == len(set(declared)), f"seed {seed}"


@pytest.mark.parametrize("size", range(20))
def test_a_packet_shorter_than_its_header_is_counted(size):
    feed = Feed()
    feed.raw(moldudp64.encode(SESSION, 1, [])[:size], 0)
    assert feed.reason("FEED_PACKET_SHORT") == 1 and feed.output == []


def test_a_sequence_that_runs_ahead_beyond_belief_is_refused():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0)
    for sequence in (1 << 62, (1 << 64) - 1, 3 + arbitrate.JUMP_MAX):
        feed.offer(sequence, messages_of(1, 1), 1)
    assert feed.reason("FEED_SEQUENCE_INVALID") == 3
    feed.offer(2, messages_of(2, 1), 2)
    assert feed.output[-1] == (2, b"m2")


@pytest.mark.parametrize("seed", range(40))
def test_arbitration_equals_its_naive_twin(seed):
    generator = random.Random(seed)
    packets, sequence = [], 1
    while sequence < 400:
        count = generator.randint(0, 6)
        packets.append((sequence, messages_of(sequence, count)))
        sequence += count
    arrivals = []
    loss, delay = generator.choice((0, 0.05, 0.4)), generator.choice((0, 300, 3000))
    for line in (0, 1):
        for index, packet in enumerate(packets):
            if index == 0 or generator.random() >= loss:
                arrivals.append((index * 100 + (generator.randint(0, delay) if index else 0), line, packet))
    arrivals.sort(key=lambda row: row[0])
    feed, twin = Feed(), NaiveFeed(WINDOW_NS)
    for now_ns, line, (first, messages) in arrivals:
        feed.offer(first, messages, now_ns, line)
        twin.offer(first, messages, now_ns, line)
    feed.tick(10**9)
    twin.drain(10**9)
    assert feed.output == twin.output, f"seed {seed}"
    arbitrate.flush(address_of(feed.feed))
    ours = feed.statistics["lines"]
    for line, counts in twin.statistics().items():
        names = ("first", "second", "repeated", "missed", "lead_sum_ns", "lead_max_ns")
        assert {name: ours["ab"[line]][name] for name in names} == {name: counts[name] for name in names}, f"seed {seed}"
    assert feed.counters[0]["gap_messages"] == sum(row[2] for row in twin.output if row[0] == "gap")
