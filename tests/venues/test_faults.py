"""The fault plan: what it counts is what happened to the frames, packet by packet."""

from collections import Counter

import pytest

from gateway.errors import UsageError
from gateway.venues.simulator.flow import Bench
from gateway.venues.simulator.report import lost_ranges
from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.venues.desk import HEADERS, MAC_A, MAC_B, packets

SEED = 99
PLAN = "drop=50000,duplicate=40000,reorder=30000,delay=20000,drop_both=10000,delay_ns=300000"
MACS = (MAC_A, MAC_B)


def session(plan: FaultPlan, seed: int = SEED) -> tuple[Bench, list[bytes]]:
    bench = Bench(Settings(seed=seed, symbols=8, rate=100_000, faults=plan, seconds=0.5, grace_seconds=0.01))
    collected = []
    while bench.venue.counters["feed_ends"] == 0:
        bench.advance()
        collected += bench.collect()
    return bench, collected


@pytest.fixture(scope="module")
def faulty() -> tuple[Bench, list[bytes]]:
    print("seed", SEED)
    return session(FaultPlan.parse(PLAN))


@pytest.fixture(scope="module")
def clean() -> tuple[Bench, list[bytes]]:
    return session(FaultPlan())


def data_packets(frames: list[bytes], mac: bytes) -> list:
    return [packet for packet in packets(frames, mac) if packet.messages]


def test_a_fault_plan_leaves_the_market_as_it_is(faulty, clean):
    sequences = {packet.sequence: packet for packet in data_packets(clean[1], MAC_A)}
    for mac in MACS:
        for packet in data_packets(faulty[1], mac):
            assert sequences[packet.sequence] == packet


def test_what_each_line_lost_is_counted_exactly(faulty, clean):
    sent = {packet.sequence for packet in data_packets(clean[1], MAC_A)}
    counters = faulty[0].venue.counters
    missing = [sent - {packet.sequence for packet in data_packets(faulty[1], mac)} for mac in MACS]
    assert [len(lost) for lost in missing] == list(counters["line_dropped"][:2])
    both = missing[0] & missing[1]
    assert len(both) == counters["lost_packets"] >= counters["drop_both"] > 0


def test_the_lost_ranges_name_every_message_that_left_on_neither_line(faulty, clean):
    heard = {packet.sequence for mac in MACS for packet in data_packets(faulty[1], mac)}
    lost = set()
    for packet in data_packets(clean[1], MAC_A):
        if packet.sequence not in heard:
            lost |= set(range(packet.sequence, packet.sequence + len(packet.messages)))
    named = [number for first, count in lost_ranges(faulty[0].venue) for number in range(first, first + count)]
    assert len(named) == len(set(named)) == faulty[0].venue.counters["lost_messages"]
    assert set(named) == lost


def test_what_each_line_sent_twice_is_counted_exactly(faulty):
    for line, mac in enumerate(MACS):
        times = Counter(packet.sequence for packet in data_packets(faulty[1], mac))
        assert set(times.values()) == {1, 2}
        assert sum(times.values()) - len(times) == faulty[0].venue.counters["line_duplicated"][line]


def test_what_overtook_is_no_more_than_what_was_held_back(faulty):
    counters = faulty[0].venue.counters
    for line, mac in enumerate(MACS):
        newest, late = 0, 0
        for packet in data_packets(faulty[1], mac):
            late += packet.sequence < newest
            newest = max(newest, packet.sequence)
        held = counters["line_reordered"][line] + counters["line_delayed"][line]
        assert 0 < late <= held
    assert counters["held_full"] == 0


def test_frames_on_each_line_add_up(faulty, clean):
    counters = faulty[0].venue.counters
    for line, mac in enumerate(MACS):
        on_wire = sum(frame[:6] == mac for frame in faulty[1])
        bare = counters["feed_heartbeats"] + counters["feed_ends"]
        assert on_wire == counters["line_frames"][line]
        assert on_wire == (
            counters["feed_packets"] - counters["line_dropped"][line] + counters["line_duplicated"][line] + bare
        )


def test_a_reordered_packet_leaves_right_behind_the_next_one_of_its_line():
    bench, collected = session(FaultPlan.parse("reorder_a=100000"))
    order = [packet.sequence for packet in data_packets(collected, MAC_A)]
    assert [packet.sequence for packet in data_packets(collected, MAC_B)] == sorted(order)
    late = [index for index in range(1, len(order)) if order[index] < order[index - 1]]
    assert late and sorted(order) == sorted(set(order))
    assert len(late) <= bench.venue.counters["line_reordered"][0]


def test_a_delayed_packet_leaves_after_its_delay():
    plan = FaultPlan.parse("delay_b=200000,delay_ns=1000000")
    bench = Bench(Settings(seed=3, symbols=4, rate=50_000, faults=plan))
    seen: dict[int, int] = {}
    delays = set()
    for turn in range(2_000):
        bench.advance(50_000)
        frames = bench.collect()
        for packet in data_packets(frames, MAC_A):
            seen[packet.sequence] = turn
        delays |= {turn - seen[packet.sequence] for packet in data_packets(frames, MAC_B)}
    assert delays == {0, 20}


def test_a_plan_that_drops_everything_on_both_lines_loses_one_range():
    bench, collected = session(FaultPlan.parse("drop_both=1000000"))
    assert not data_packets(collected, MAC_A) and not data_packets(collected, MAC_B)
    assert lost_ranges(bench.venue) == [[1, int(bench.venue.counters["feed_messages"])]]
    assert packets(collected, MAC_B)[-1].sequence == bench.venue.counters["feed_sequence"]


def test_when_no_more_can_be_held_the_packet_leaves_and_that_is_counted():
    bench = Bench(Settings(seed=3, symbols=4, rate=100_000, faults=FaultPlan.parse("delay=1000000,delay_ns=9000000000")))
    for _ in range(2_000):
        bench.advance(50_000)
    counters = bench.venue.counters
    assert counters["line_delayed"].sum() == 64 == bench.venue.state[0]["held_count"]
    assert counters["held_full"] == 2 * counters["feed_packets"] - 64 > 0


def test_the_same_plan_and_seed_do_the_same_and_the_frames_tell(faulty):
    assert session(FaultPlan.parse(PLAN))[1] == faulty[1]
    assert len(faulty[1][0]) > HEADERS


def test_a_plan_reads_both_lines_one_line_and_order_faults():
    plan = FaultPlan.parse("drop=5, drop_b=7,delay_a=9,reject=11,partial=13,drop_both=15,delay_ns=17")
    assert plan.lines == ((5, 0, 0, 9), (7, 0, 0, 0))
    assert (plan.reject, plan.partial, plan.drop_both, plan.delay_ns) == (11, 13, 15, 17)
    assert FaultPlan.parse("") == FaultPlan()


@pytest.mark.parametrize(
    "text", ["drop", "drop=x", "drops=1", "drop=-1", "drop=600000,delay=600000", "reject=1000001", "delay_ns=0"]
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_mend(text):
    with pytest.raises(UsageError, match="--faults"):
        FaultPlan.parse(text)
