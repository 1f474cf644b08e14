"""Gaps that a request server fills, or does not: seeded simulations beside the naive twin, and the rules one by one."""

import heapq
import random

import pytest

from gateway import limits
from tests.feed_bench import WINDOW_NS, Feed, messages_of
from tests.naive_arbitrate import NaiveFeed

MILLISECOND_NS = 1_000_000
MORNING_NS = 1_700_000_000_000_000_000
DEADLINE_NS = limits.RECOVERY_DEADLINE_NS


def asking(**settings):
    return Feed(request=1, **settings)


def hole(feed, first=2, behind=5, now_ns=MORNING_NS):
    """Message 1, then one behind a hole; the window passes."""
    feed.offer(1, messages_of(1, first - 1), now_ns - 1)
    feed.offer(behind, messages_of(behind, 1), now_ns)
    feed.tick(now_ns + WINDOW_NS + 1)
    return now_ns + WINDOW_NS + 1


def test_a_gap_that_may_still_be_filled_is_declared_then_asked_for_and_nothing_behind_it_leaves():
    feed = asking()
    now_ns = hole(feed)
    feed.offer(6, messages_of(6, 1), now_ns + 1)
    assert feed.output == [(1, b"m1"), ("gap", 2, 3, 0)]
    assert feed.requests == [(2, 3, now_ns)]


def test_a_filled_hole_delivers_in_order_and_says_recovered_behind_what_was_kept():
    feed = asking()
    now_ns = hole(feed)
    feed.offer(6, messages_of(6, 1), now_ns + 1)
    feed.offer(2, messages_of(2, 3), now_ns + 2, line=2)
    assert [row[0] for row in feed.output] == [1, "gap", 2, 3, 4, 5, 6, "recovered"]
    assert feed.statistics["recovered"] == 1 and feed.statistics["lost_messages"] == 0


def test_a_reply_of_part_of_the_hole_is_followed_by_a_request_for_the_rest():
    feed = asking()
    now_ns = hole(feed, behind=50)
    feed.offer(2, messages_of(2, 10), now_ns + 1, line=2)
    feed.tick(now_ns + limits.REQUEST_INTERVAL_NS)
    assert [row[:2] for row in feed.requests] == [(2, 48), (12, 38)]


def test_requests_back_off_and_end_at_the_deadline_and_what_was_kept_goes_on():
    feed = asking()
    began_ns = hole(feed)
    for step in range(1, 520):
        feed.tick(began_ns + step * MILLISECOND_NS)
    times = [row[2] for row in feed.requests]
    pauses = [behind - before for before, behind in zip(times, times[1:], strict=False)]
    assert 6 <= len(times) <= 10 and times[-1] < began_ns + DEADLINE_NS
    assert all(limits.REQUEST_RETRY_NS << min(number, 7) <= pause for number, pause in enumerate(pauses))
    assert [row for row in feed.output if row[0] == "gap"] == [("gap", 2, 3, 0), ("gap", 2, 3, 1)]
    assert feed.output[-1] == (5, b"m5") and feed.statistics["lost_messages"] == 3


def test_two_channels_with_different_seeds_do_not_keep_step():
    times = []
    for seed in (1, 2):
        feed = asking(seed=seed)
        began_ns = hole(feed)
        for step in range(1, 2000):
            feed.tick(began_ns + step * MILLISECOND_NS // 4)
        times.append([row[2] for row in feed.requests])
    assert times[0] != times[1]


def test_replies_of_another_session_are_refused_and_the_hole_stays():
    feed = asking()
    now_ns = hole(feed)
    feed.offer(2, messages_of(2, 3), now_ns + 1, line=2, session="OTHER")
    assert feed.reason("FEED_SESSION_OTHER") == 1 and len(feed.output) == 2


def test_a_gap_too_large_to_ask_for_is_lost_at_once():
    feed = asking()
    behind = 3 + limits.RECOVERY_MESSAGES_MAX
    feed.offer(1, messages_of(1, 1), 0)
    feed.offer(behind, messages_of(behind, 1), 1)
    feed.tick(WINDOW_NS + 2)
    assert feed.output[1:] == [("gap", 2, behind - 2, 1), (behind, messages_of(behind, 1)[0])] and feed.requests == []


def test_when_no_more_packets_can_be_kept_the_hole_is_given_up_and_no_packet_is_lost():
    feed = asking()
    now_ns = hole(feed)
    last = 6 + limits.RECOVERY_PACKETS_MAX
    for number in range(6, last + 1):
        feed.offer(number, messages_of(number, 1), now_ns + 1)
    assert feed.reason("FEED_REORDER_FULL") == 1
    assert [row[0] for row in feed.output] == [1, "gap", "gap", *range(5, last + 1)]


def test_a_channel_that_begins_anew_forgets_the_hole_it_was_filling():
    feed = asking()
    hole(feed)
    feed.offer(1, [b"new"], MORNING_NS + 2 * limits.RESTART_NS)
    feed.tick(MORNING_NS + 2 * limits.RESTART_NS + DEADLINE_NS)
    assert feed.output[-1] == (1, b"new") and feed.feed[0]["held"] == 0


def test_a_pool_is_shared_and_one_channel_that_recovers_leaves_half_of_it_to_others():
    feed = asking(packets=400)
    now_ns = hole(feed)
    for number in range(6, 400):
        feed.offer(number, messages_of(number, 1), now_ns + 1)
    assert feed.reason("FEED_REORDER_FULL") > 0 and int(feed.keep[-2]["taken"][0]) <= 256
    assert [row[0] for row in feed.output] == [1, "gap", "gap", *range(5, 400)]


@pytest.mark.parametrize("seed", range(4))
def test_a_pool_that_several_channels_exhaust_never_drops_a_packet(seed):
    generator, count = random.Random(seed), 6
    feeds = [asking(packets=64) for _ in range(count)]
    pool = int(feeds[0].feed[0]["pool"])
    for feed in feeds[1:]:
        feed.feed[0]["pool"] = pool
    following, lost = [1] * count, [set() for _ in range(count)]
    for now_ns in range(MORNING_NS, MORNING_NS + 3000):
        index = generator.randrange(count)
        if following[index] > 1 and generator.random() < 0.02:
            lost[index].add(following[index])
        else:
            feeds[index].offer(following[index], messages_of(following[index], 1), now_ns)
        following[index] += 1
    for index, feed in enumerate(feeds):
        feed.offer(following[index], messages_of(following[index], 1), MORNING_NS + 3000)
        for step in range(1, 2 * len(lost[index]) + 2):
            feed.tick(MORNING_NS + step * (DEADLINE_NS + MILLISECOND_NS))
        delivered = [row[0] for row in feed.output if isinstance(row[0], int)]
        assert delivered == [number for number in range(1, following[index] + 1) if number not in lost[index]], (
            f"seed {seed}"
        )
    assert sum(feed.reason("FEED_REORDER_FULL") for feed in feeds) > 0


class Simulation:
    """Two lines and a request server on one clock; the twin sees what the kernel sees."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.feed, self.twin = asking(seed=seed), NaiveFeed(WINDOW_NS, recoverable=True)
        self.loss, self.delay = self.random.choice((0.2, 0.4, 0.6)), self.random.choice((100, 3000))
        self.server_loss = self.random.choice((0, 0.3, 1))
        self.queue, self.order, self.asked, self.last = [], 0, 0, 0

    def send(self, now_ns, line, first, count):
        self.order += 1
        heapq.heappush(self.queue, (now_ns, self.order, line, first, count))

    def publish(self):
        sequence, now_ns = 1, MORNING_NS
        while sequence < 600:
            count = self.random.randint(0, 5)
            for line in (0, 1):
                if sequence == 1 or self.random.random() >= self.loss:
                    self.send(now_ns + (self.random.randint(0, self.delay) if sequence > 1 else 0), line, sequence, count)
            sequence, now_ns = sequence + count, now_ns + 100_000
        self.last = sequence - 1
        for line in (0, 1):
            self.send(now_ns + MILLISECOND_NS, line, sequence, 0)

    def answer(self):
        """Replies are cut short, late, doubled, of the wrong place, or lost."""
        for first, count, now_ns in self.feed.requests[self.asked :]:
            self.asked += 1
            if self.random.random() < self.server_loss:
                continue
            first = max(1, first - self.random.choice((0, 0, 0, 2)))
            take = max(1, min(count, self.random.randint(1, 12), self.last + 1 - first))
            for _ in range(self.random.choice((1, 1, 2))):
                self.send(now_ns + self.random.randint(10_000, 4 * MILLISECOND_NS), 2, first, take)

    def run(self):
        self.publish()
        now_ns = MORNING_NS
        while self.queue or self.feed.feed[0]["held"]:
            if self.queue and self.queue[0][0] <= now_ns + MILLISECOND_NS:
                now_ns, _, line, first, count = heapq.heappop(self.queue)
                self.feed.offer(first, messages_of(first, count), now_ns, line)
                self.twin.offer(first, messages_of(first, count), now_ns, line)
            else:
                now_ns += MILLISECOND_NS
                self.feed.tick(now_ns)
                self.twin.drain(now_ns)
            self.answer()


@pytest.mark.parametrize("seed", range(24))
def test_recovery_equals_its_naive_twin_and_nothing_is_lost_that_the_server_gives(seed):
    simulation = Simulation(seed)
    simulation.run()
    feed = simulation.feed
    assert feed.output == simulation.twin.output, f"seed {seed}"
    numbers = [row[0] for row in feed.output if isinstance(row[0], int)]
    lost = {number for row in feed.output if row[0] == "gap" and row[3] for number in range(row[1], row[1] + row[2])}
    assert numbers == sorted(set(numbers)) and not lost & set(numbers), f"seed {seed}"
    assert sorted(lost | set(numbers)) == list(range(1, simulation.last + 1)), f"seed {seed}"
    assert not lost or simulation.server_loss, f"seed {seed}"
    gaps = [row for row in feed.output if row[0] == "gap" and not row[3]]
    assert len(gaps) == feed.statistics["gaps"] > 0


@pytest.mark.parametrize("line", [0, 1])
def test_any_packets_dropped_from_one_line_change_nothing(line):
    generator, packets = random.Random(line), [(1 + 3 * number, messages_of(1 + 3 * number, 3)) for number in range(300)]
    for _ in range(8):
        feed, dropped = Feed(), {number for number in range(300) if generator.random() < generator.random()}
        for number, packet in enumerate(packets):
            for copy in (0, 1):
                if copy != line or number not in dropped:
                    feed.offer(*packet, number * 100 + copy, copy)
        assert [row[0] for row in feed.output] == list(range(1, 901)) and feed.counters[0]["gaps"] == 0
        lost = [name for name, counts in feed.statistics["lines"].items() if counts["missed"]]
        assert feed.reason("FEED_DUPLICATE") == 300 - len(dropped) and lost == []
