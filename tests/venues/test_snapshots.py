"""The snapshot channel: each snapshot is the venue's own book at the sequence it names, and disturbs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gateway.protocols import itch50, moldudp64
from gateway.venues.simulator.books import book_of, queue
from gateway.venues.simulator.flow import Bench
from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.naive_venue import FeedBooks
from tests.venues.desk import ADDRESSES, MAC_A, MAC_B, MAC_CLIENT, packets

SEED = 77
MAC = ADDRESSES.snapshots.hardware_bytes
SECOND_NS = 1_000_000_000
BUSY = {"seed": SEED, "symbols": 6, "rate": 200_000, "depth": 60, "snapshot_rate": 2_000}


@dataclass
class Snapshot:
    """One symbol's snapshot as the channel said it."""

    locate: int
    symbol: str
    sequence: int
    messages: list[dict] = field(default_factory=list)

    def books(self) -> FeedBooks:
        made = FeedBooks()
        for message in self.messages:
            made.apply(message)
        return made


def run(seconds: float, **settings) -> tuple[Bench, list[bytes]]:
    bench, frames = Bench(Settings(**{**BUSY, **settings})), []
    for _ in range(round(seconds * 20_000)):
        bench.advance()
        frames += bench.collect()
    return bench, frames


def snapshots(channel: list[moldudp64.Packet]) -> Iterator[Snapshot]:
    """Reads the channel as a client would; whatever breaks the order of a snapshot is an AssertionError."""
    current = None
    for packet in channel:
        for raw in packet.messages:
            message = itch50.decode(raw, itch50.SNAPSHOT_MESSAGES)
            if message["message_type"] == "g":
                assert current is None, "a snapshot began inside another"
                current = Snapshot(message["stock_locate"], message["stock"], message["sequence_number"])
                continue
            assert current is not None and message["stock_locate"] == current.locate
            if message["message_type"] == "G":
                assert message["sequence_number"] == current.sequence
                yield current
                current = None
            else:
                current.messages.append(message)


@pytest.fixture(scope="module")
def session() -> tuple[Bench, list[bytes]]:
    print("seed", SEED)
    return run(0.1)


@pytest.fixture(scope="module")
def feed(session) -> list[dict]:
    """Messages of line A; the first one has number 1."""
    return [itch50.decode(message) for packet in packets(session[1], MAC_A) for message in packet.messages]


@pytest.fixture(scope="module")
def said(session) -> list[Snapshot]:
    return list(snapshots(packets(session[1], MAC)))


def test_a_snapshot_holds_exactly_the_orders_at_its_sequence_in_priority_order(feed, said):
    assert len(said) > 100 and {snapshot.locate for snapshot in said} == set(range(1, 7))
    books, applied = FeedBooks(), 0
    for snapshot in said:
        assert snapshot.sequence >= applied
        for message in feed[applied : snapshot.sequence]:
            books.apply(message)
        applied = snapshot.sequence
        rows = [message for message in snapshot.messages if message["message_type"] == "A"]
        found = [(row["order_reference_number"], int(row["price"].replace(".", "")), row["shares"]) for row in rows]
        assert found == books.queue(snapshot.locate, "B") + books.queue(snapshot.locate, "S"), SEED
        assert all(row["stock"] == snapshot.symbol for row in rows)
    assert applied > 10_000


def test_a_snapshot_and_the_messages_behind_its_sequence_give_the_venues_own_book(session, feed, said):
    venue = session[0].venue
    assert len(feed) == venue.counters["feed_messages"]
    for snapshot in said:
        books = snapshot.books()
        for message in feed[snapshot.sequence :]:
            if message["stock_locate"] == snapshot.locate:
                books.apply(message)
        own = book_of(venue, snapshot.locate - 1)
        assert books.levels(snapshot.locate, "B") == own.bids and books.levels(snapshot.locate, "S") == own.asks
        symbol = venue.symbols[snapshot.locate - 1]
        for side in "BS":
            for order_id, price, shares in books.queue(snapshot.locate, side):
                level = (price - int(symbol["floor_price"])) // int(symbol["tick"])
                assert (order_id, shares, 0) in queue(venue, snapshot.locate - 1, level)


def test_a_snapshot_opens_with_the_symbols_directory_and_trading_state(said):
    for snapshot in said:
        directory, action = snapshot.messages[:2]
        assert (directory["message_type"], directory["stock"], directory["round_lot_size"]) == ("R", snapshot.symbol, 100)
        assert (action["message_type"], action["stock"], action["trading_state"]) == ("H", snapshot.symbol, "T")


def test_the_channel_has_a_session_and_numbers_of_its_own_without_a_gap(session):
    expected = 1
    for packet in packets(session[1], MAC):
        assert (packet.session, packet.sequence) == (f"SNP{SEED:07d}", expected)
        expected += len(packet.messages)
    assert expected == session[0].venue.counters["snapshot_sequence"] > 1000


def test_what_the_venue_counts_of_its_snapshots_is_what_was_said(session, said):
    counters = session[0].venue.counters
    channel = packets(session[1], MAC)
    assert counters["snapshots"] - len(said) in (0, 1), "the last one may be on its way"
    assert counters["snapshot_packets"] == sum(bool(packet.messages) for packet in channel)
    assert counters["line_frames"][3] == len(channel)
    assert sum(len(snapshot.messages) - 2 for snapshot in said) <= counters["snapshot_orders"]


def test_snapshots_leave_the_feed_and_the_reports_byte_for_byte_as_they_are(session):
    quiet = run(0.1, snapshot_rate=0)[1]
    assert [frame for frame in session[1] if frame[:6] != MAC] == quiet
    assert {frame[:6] for frame in quiet} == {MAC_A, MAC_B, MAC_CLIENT}, "off means no frame at all"


def test_snapshots_keep_their_pace_and_a_large_book_leaves_a_few_packets_at_a_time():
    bench = Bench(Settings(**{**BUSY, "symbols": 1, "depth": 4_000, "snapshot_rate": 100}))
    frames: list[int] = []
    while bench.venue.state[0]["phase"] != 2 or len(frames) < 20_000:
        bench.advance(50_000)
        frames.append(len(packets(bench.collect(), MAC)))
    assert max(frames) == 4 and bench.venue.counters["snapshot_packets"] > 1_000
    assert bench.venue.counters["snapshots"] == pytest.approx(100, abs=2)


def test_a_full_ring_holds_snapshots_back_and_loses_nothing():
    bench = Bench(Settings(**{**BUSY, "snapshot_rate": 100_000}), depth=16)
    collected = []
    for turn in range(6_000):
        bench.advance()
        collected += bench.collect() if turn % 8 == 0 else []
        assert bench.venue.state[0]["outbox_count"] < 64
    assert bench.venue.counters["steps_blocked"] > 0 and bench.venue.counters["frames_lost"] == 0
    assert len(list(snapshots(packets(collected, MAC)))) > 100


def test_before_every_symbol_was_announced_there_are_only_heartbeats():
    bench, frames = Bench(Settings(**{**BUSY, "wait_seconds": 2.5})), []
    for _ in range(24):
        bench.advance(100_000_000)
        frames += bench.collect()
    channel = packets(frames, MAC)
    assert [packet.count for packet in channel] == [0, 0, 0] == [packet.sequence - 1 for packet in channel]


def test_behind_the_end_of_the_session_the_last_books_are_still_said(session):
    bench, _ = run(0.02)
    bench.venue.finish(int(bench.clock[0]))
    bench.advance(steps=3)
    bench.collect()
    frames = []
    for _ in range(100):
        bench.advance()
        frames += bench.collect()
    channel = packets(frames, MAC)
    while channel[0].messages[0][:1] != b"g":
        channel.pop(0)  # the rest of one that began before the end
    last = int(bench.venue.counters["feed_sequence"]) - 1
    final = list(snapshots(channel))
    assert len(final) >= 6 and {snapshot.sequence for snapshot in final} == {last}
    for snapshot in final:
        assert snapshot.books().levels(snapshot.locate, "B") == book_of(bench.venue, snapshot.locate - 1).bids


def test_the_fault_plan_reaches_snapshots_and_nothing_else():
    plan = FaultPlan.parse("drop_snapshots=200000,duplicate_snapshots=200000,reorder_snapshots=100000")
    bench, frames = run(0.05, faults=plan)
    clean = run(0.05)[1]
    assert [frame for frame in frames if frame[:6] != MAC] == [frame for frame in clean if frame[:6] != MAC]
    sent = {packet.sequence: packet for packet in packets(clean, MAC) if packet.messages}
    heard = [packet for packet in packets(frames, MAC) if packet.messages]
    assert all(sent[packet.sequence] == packet for packet in heard)
    dropped, duplicated = int(bench.venue.counters["line_dropped"][3]), int(bench.venue.counters["line_duplicated"][3])
    assert len(sent) - len({packet.sequence for packet in heard}) - dropped in (0, 1), "one may be held back"
    assert len(heard) - len({packet.sequence for packet in heard}) == duplicated > 10 < dropped
    numbers = [packet.sequence for packet in heard]
    assert numbers != sorted(numbers)
