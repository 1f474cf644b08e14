"""A venue process that loses packets on both lines, and a client in plain Python that gets every one of them back.

The client is the naive twin of the appliance's recovery: a dict of messages by sequence, requests for what is not in it.
"""

import json
import time
from collections.abc import Iterator

import pytest

from gateway.protocols import itch50, moldudp64
from tests.naive_venue import FeedBooks
from tests.venues.asker import MAC, request_frame
from tests.venues.desk import MAC_A, MAC_B, packets
from tests.venues.test_snapshots import MAC as MAC_SNAPSHOTS
from tests.venues.test_snapshots import snapshots
from tests.venues.test_venue_process import Running

SECONDS = 40.0
WORDS = ("--seconds", "0.6", "--grace", "0.1", "--symbols", "4", "--rate", "20000", "--seed", "21")
PLAN = "drop=30000,drop_both=20000,drop_replies=100000,delay_replies=100000,drop_snapshots=20000"


@pytest.fixture
def running(tmp_path) -> Iterator[Running]:
    venue = Running(tmp_path, *WORDS, "--faults", PLAN, "--snapshots", "2000")
    yield venue
    venue.close()


def has_ended(running: Running) -> bool:
    return any(packet.count == 0xFFFF for packet in packets(running.frames[-16:], MAC_A))


def heard(frames: list[bytes]) -> dict[int, bytes]:
    replies = bytes.fromhex(MAC.replace(":", ""))
    found = [packet for mac in (MAC_A, MAC_B, replies) for packet in packets(frames, mac)]
    return {
        packet.sequence + index: message
        for packet in found
        if packet.count != 0xFFFF
        for index, message in enumerate(packet.messages)
    }


@pytest.mark.slow
def test_a_client_that_asks_again_and_again_gets_every_message(running):
    running.listen(lambda: has_ended(running))
    last = next(packet for packet in packets(running.frames, MAC_A)[::-1] if packet.count == 0xFFFF)
    lost = len(set(range(1, last.sequence)) - set(heard(running.frames)))
    deadline = time.monotonic() + SECONDS
    while missing := sorted(set(range(1, last.sequence)) - set(heard(running.frames))):
        assert time.monotonic() < deadline, f"{len(missing)} messages never came"
        for first in missing[:20]:
            running.port.transmit([request_frame(moldudp64.encode_request(last.session, first, 5))])
        until = time.monotonic() + 0.01
        running.listen(lambda until=until: time.monotonic() > until)
    running.stop()
    account = json.loads(running.report_path.read_text())
    assert lost == account["lost_messages"] > 20
    assert account["requests_answered"] >= account["lost_ranges"] and account["line_dropped"]["replies"] > 0
    rebuilt = FeedBooks()
    for _, message in sorted(heard(running.frames).items()):
        rebuilt.apply(itch50.decode(message))
    for book in account["instruments"]:
        assert [list(level) for level in rebuilt.levels(book["locate"], "B")] == book["bids"]
        assert [list(level) for level in rebuilt.levels(book["locate"], "S")] == book["asks"]


@pytest.mark.slow
def test_a_client_that_only_listens_to_snapshots_ends_with_the_venues_books(running):
    running.listen(lambda: has_ended(running))
    ended = len(running.frames)
    running.listen(lambda: len(packets(running.frames[ended:], MAC_SNAPSHOTS)) > 60)
    running.stop()
    account = json.loads(running.report_path.read_text())
    books = {}
    for snapshot in whole(packets(running.frames, MAC_SNAPSHOTS)):
        books[snapshot.locate] = snapshot
    assert len(books) == 4 and account["line_dropped"]["snapshots"] > 0
    for book in account["instruments"]:
        snapshot = books[book["locate"]]
        assert snapshot.sequence == account["feed_sequence"] - 1
        rebuilt = snapshot.books()
        assert [list(level) for level in rebuilt.levels(book["locate"], "B")] == book["bids"]
        assert [list(level) for level in rebuilt.levels(book["locate"], "S")] == book["asks"]


def whole(channel: list[moldudp64.Packet]) -> Iterator:
    """The snapshots that no lost packet cut: each begins at a g and ends at its G without a hole in between."""
    part: list[moldudp64.Packet] = []
    expected = 0
    for packet in [packet for packet in channel if packet.messages]:
        if packet.sequence != expected:
            part = []
        expected = packet.sequence + len(packet.messages)
        if packet.messages[0][:1] == b"g":
            part = []
        if part or packet.messages[0][:1] == b"g":
            part.append(packet)
        if part and packet.messages[-1][:1] == b"G":
            yield from snapshots(part)
            part = []
