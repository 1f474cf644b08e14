"""The simulated venue's feed: decoded by the protocol's own codec, rebuilt by a naive book, counted."""

import time

import pytest

from gateway.protocols import itch50, udp
from gateway.venues.simulator.books import books
from gateway.venues.simulator.flow import Bench, frames
from gateway.venues.simulator.settings import Settings
from tests.naive_venue import FeedBooks
from tests.venues.desk import HEADERS, MAC_A, MAC_B, MAC_CLIENT, Desk, packets, quiet

SECOND_NS = 1_000_000_000
SEED = 7


def day(seed: int = SEED, messages: int = 30_000, symbols: int = 16, rate: int = 200_000) -> tuple[Bench, list[bytes]]:
    """A whole session's frames, and the bench they came from."""
    bench = Bench(Settings(seed=seed, symbols=symbols, rate=rate, messages=messages))
    collected = []
    while bench.venue.counters["feed_messages"] < messages:
        bench.advance()
        collected += bench.collect()
    bench.venue.finish(int(bench.clock[0]))
    bench.advance(steps=3)
    return bench, collected + bench.collect()


@pytest.fixture(scope="module")
def session() -> tuple[Bench, list[bytes]]:
    print("seed", SEED)
    return day()


def messages_of(frames_: list[bytes]) -> list[dict]:
    return [itch50.decode(message) for packet in packets(frames_, MAC_A) for message in packet.messages]


def conserved(counters) -> bool:
    left = int(counters["shares_entered"])
    return left == 2 * counters["shares_traded"] + counters["shares_cancelled"] + counters["resting_shares"]


def test_the_books_rebuilt_from_the_feed_are_the_venues_own(session):
    bench, collected = session
    rebuilt = FeedBooks()
    for message in messages_of(collected):
        rebuilt.apply(message)
    for book in books(bench.venue):
        assert rebuilt.levels(book.locate, "B") == book.bids, book.symbol
        assert rebuilt.levels(book.locate, "S") == book.asks, book.symbol
        assert not book.bids or not book.asks or book.bids[0][0] < book.asks[0][0]
    assert len(rebuilt.orders) == bench.venue.counters["resting_orders"] > 500


def test_every_share_entered_is_traded_cancelled_or_resting(session):
    bench, _ = session
    assert conserved(bench.venue.counters)
    assert bench.venue.counters["shares_traded"] > 0


def test_the_start_of_day_names_every_symbol_before_anything_trades(session):
    heard = messages_of(session[1])
    kinds = [message["message"] for message in heard[: 2 * 16 + 3]]
    assert kinds == ["System Event", *["Stock Directory"] * 16, *["Stock Trading Action"] * 16, *["System Event"] * 2]
    codes = [message["event_code"] for message in heard if message["message"] == "System Event"]
    assert codes == ["O", "S", "Q", "M", "E", "C"]
    directory = heard[1]
    assert (directory["stock"], directory["stock_locate"], directory["round_lot_size"]) == ("SIM0000", 1, 100)
    assert heard[17]["trading_state"] == "T"


def test_the_mix_of_messages_is_a_real_days(session):
    counts = session[0].venue.counters["messages_by_type"]
    shares = {letter: 100 * int(counts[ord(letter)]) / 30_000 for letter in "ADXUE"}
    assert 42 < shares["A"] < 52
    assert 36 < shares["D"] + shares["X"] < 46
    assert 4 < shares["U"] < 8
    assert 2 < shares["E"] < 7


def test_popular_symbols_get_more_than_rare_ones(session):
    orders = [int(row["orders"]) for row in session[0].venue.symbols]
    assert orders[0] > 3 * orders[7] > 0


def test_prices_cluster_near_the_touch(session):
    near = total = 0
    for book in books(session[0].venue):
        for side in (book.bids, book.asks):
            near += sum(count for price, _, count in side if abs(price - side[0][0]) <= 500)
            total += sum(count for _, _, count in side)
    assert near > 0.4 * total


def test_both_lines_carry_the_same_packets_without_a_gap(session):
    line_a, line_b = packets(session[1], MAC_A), packets(session[1], MAC_B)
    assert line_a == line_b
    expected = 1
    for packet in line_a:
        assert packet.sequence == expected
        assert packet.session == "SIM0000007"
        expected += len(packet.messages)
    assert expected == session[0].venue.counters["feed_sequence"]


def test_frames_carry_true_checksums_and_fit_the_packet_limit(session):
    for frame in session[1][:500] + session[1][-20:]:
        ip, datagram = frame[14:34], frame[34:]
        assert udp.checksum(ip) == 0
        assert len(frame) - HEADERS <= 1400
        assert int.from_bytes(ip[2:4], "big") == len(frame) - 14
        assert int.from_bytes(datagram[4:6], "big") == len(datagram)
        pseudo = ip[12:20] + bytes([0, 17]) + datagram[4:6]
        assert udp.checksum(pseudo + datagram) == 0


def test_full_packets_are_filled_up_to_the_limit():
    bench = Bench(Settings(rate=0, symbols=16, messages=5_000))
    bench.advance(steps=200)
    sizes = [len(frame) - HEADERS for frame in bench.collect()]
    assert max(sizes) > 1400 - 41
    assert max(sizes) <= 1400


def test_the_session_ends_with_end_of_session_packets_that_are_said_again(session):
    bench, collected = session
    last = packets(collected, MAC_A)[-3:]
    assert [packet.count for packet in last] == [0xFFFF] * 3
    assert {packet.sequence for packet in last} == {int(bench.venue.counters["feed_sequence"])}
    bench.advance(SECOND_NS)
    (again,) = packets(bench.collect(), MAC_B)
    assert again.count == 0xFFFF


def test_a_silent_second_brings_a_heartbeat_with_the_next_sequence_on_every_session():
    desk = Desk(quiet(seed=3))
    desk.frames.clear()
    desk.step(SECOND_NS - 100_000)
    assert desk.frames == []
    desk.step(200_000)
    for mac, session_, sequence in ((MAC_A, "SIM0000003", 12), (MAC_B, "SIM0000003", 12), (MAC_CLIENT, "ORD0000003", 1)):
        (packet,) = packets(desk.frames, mac)
        assert (packet.session, packet.sequence, packet.count) == (session_, sequence, 0)


def test_before_its_day_begins_the_venue_only_sends_heartbeats():
    desk = Desk(Settings(wait_seconds=2.0, rate=0, messages=20, symbols=2))
    desk.step(SECOND_NS)
    assert {packet.count for packet in packets(desk.frames, MAC_A)} == {0}
    desk.step(SECOND_NS)
    assert len(desk.feed) >= 7


def test_the_same_seed_and_clock_give_the_same_bytes_and_another_seed_does_not():
    first = day(seed=11, messages=3_000)[1]
    assert day(seed=11, messages=3_000)[1] == first
    assert day(seed=12, messages=3_000)[1] != first


def test_the_rate_is_kept_over_a_hundred_milliseconds_and_bursts_within_them():
    bench = Bench(Settings(rate=100_000, symbols=16))
    counts = []
    for _ in range(1000):  # a hundred milliseconds in steps of a tenth
        bench.advance(100_000)
        bench.collect()
        counts.append(int(bench.venue.counters["feed_messages"]))
    assert counts[-1] == pytest.approx(10_000, rel=0.03)
    intervals = [after - before for before, after in zip(counts[::100], counts[99::100], strict=True)]
    assert max(intervals) > 5 * min(intervals)


def test_a_ring_that_is_full_loses_nothing():
    bench = Bench(Settings(rate=0, symbols=16, messages=20_000), depth=16)
    collected = []
    for _ in range(20_000):
        bench.advance()
        collected += bench.collect()[:16]
        if bench.venue.counters["feed_messages"] >= 20_000 and bench.venue.state[0]["outbox_count"] == 0:
            break
    assert bench.venue.counters["steps_blocked"] >= 0
    assert bench.venue.counters["frames_lost"] == 0
    assert len(messages_of(collected)) == bench.venue.counters["feed_messages"]


def test_frames_stops_at_the_end_of_the_session_and_leaves_reports_out():
    made = list(frames(seed=5, symbols=4, messages=2_000))
    assert {frame[:6] for _, frame in made} == {MAC_A, MAC_B}
    assert packets([frame for _, frame in made], MAC_A)[-1].count == 0xFFFF
    times = [time_ns for time_ns, _ in made]
    assert times == sorted(times)


@pytest.mark.parametrize("symbols", [1, 4096])
def test_one_symbol_and_the_most_symbols_both_trade(symbols):
    bench, collected = day(messages=3 * 4096 + 2_000, symbols=symbols, rate=2_000_000)
    rebuilt = FeedBooks()
    for message in messages_of(collected):
        rebuilt.apply(message)
    assert len(rebuilt.orders) == bench.venue.counters["resting_orders"] > 0
    assert conserved(bench.venue.counters)


def test_one_core_sustains_two_hundred_thousand_messages_a_second():
    bench = Bench(Settings(rate=0))
    bench.advance(steps=50)
    bench.collect()
    before, begun = int(bench.venue.counters["feed_messages"]), time.thread_time()
    for _ in range(500):
        bench.advance(steps=10)
        bench.collect()
    spent = time.thread_time() - begun
    assert (int(bench.venue.counters["feed_messages"]) - before) / spent > 200_000
