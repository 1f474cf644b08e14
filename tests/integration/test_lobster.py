"""A real day's events of LOBSTER, re-encoded as ITCH frames: after each the book is the file's, level by level."""

import numpy as np

from gateway import limits
from gateway.core import book, book_reader
from gateway.core.book_store import OwnedStore
from gateway.core.memory import address_of
from gateway.layout import dtype, value
from gateway.protocols.itch50_decode import decode_packet, make_table
from gateway.protocols.udp import parse_frame
from tests.book_twins import reasons_of
from tests.lobster import BUY, LOCATE, SELL, Encoder, Step, frames

VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")

APPEARED_UNKNOWN = 318  # times a level came into sight only because a better one left
UNKNOWN = 9_789  # of the 19,980 levels of the file, those that stood as such a level
EVENTS_UNKNOWN = 16  # events that name an older order of such a level


class Corridor:
    """Frame → datagram → events → book, without rings."""

    def __init__(self):
        self.store = OwnedStore(instruments=64, nodes=256, orders=4096)
        self.counters, self.datagram = np.zeros(1, dtype("core_counters")), np.zeros(1, dtype("datagram"))
        self.events, self.table = np.zeros(limits.EVENTS_MAX, dtype("event")), make_table()
        book.begin_session(self.store.address, 1)

    def receive(self, frame: bytes) -> None:
        data = np.frombuffer(frame, np.uint8)
        counters, events = address_of(self.counters), address_of(self.events)
        assert parse_frame(address_of(data), len(data), 0, address_of(self.datagram)) == 0
        datagram = self.datagram[0]
        payload, size = int(datagram["payload"]), int(datagram["size"])
        count = decode_packet(address_of(self.table), payload, size, 0, 1, events, counters)
        book.apply_events(self.store.address, events, count, counters)


def compare(corridor: Corridor, step: Step) -> tuple[int, int]:
    """Every determined level equals the file's; (levels compared, levels unknown)."""
    compared, unknown = 0, 0
    for side in (BUY, SELL):
        ours = {price: quantity for price, quantity, _ in book_reader.levels(corridor.store.handle, LOCATE, side)}
        theirs = dict(step.levels[side])
        assert ours.keys() <= theirs.keys()
        for price, quantity in theirs.items():
            if price in step.unknown[side]:
                unknown += 1
            else:
                assert ours[price] == quantity
                compared += 1
        best = step.levels[side][0]
        if best[0] not in step.unknown[side]:
            row, name = book_reader.books(corridor.store.handle)[LOCATE], "bid" if side == BUY else "ask"
            assert best == (row[f"{name}_price"], row[f"{name}_quantity"])
    return compared, unknown


def run(folder, learn: bool) -> tuple[Encoder, int, int]:
    """The whole day through the corridor; (encoder, levels compared, levels unknown)."""
    encoder, corridor = Encoder(folder / "lobster-aapl-20120621", learn), Corridor()
    steps = list(encoder.steps())
    compared, unknown = 0, 0
    for step, parts in zip(steps, frames(steps), strict=True):
        for frame in parts:
            corridor.receive(frame)
        more_compared, more_unknown = compare(corridor, step)
        compared, unknown = compared + more_compared, unknown + more_unknown
    row = book_reader.books(corridor.store.handle)[LOCATE]
    assert reasons_of(corridor.counters) == {}
    assert row["flags"] & (VALID | STALE | FAULT) == VALID
    assert book_reader.instruments(corridor.store.handle) == [(LOCATE, "AAPL")]
    assert encoder.counts["events"] == 998
    assert compared + unknown == 999 * 20
    print(f"levels compared {compared}, levels unknown {unknown}, {dict(encoder.counts)}")
    return encoder, compared, unknown


def test_every_level_that_seed_and_events_determine_equals_the_file(shared_data):
    encoder, _, unknown = run(shared_data, learn=False)
    assert unknown == UNKNOWN
    assert encoder.counts["levels_appeared_unknown"] == APPEARED_UNKNOWN
    assert encoder.counts["events_unknown"] == EVENTS_UNKNOWN


def test_every_level_equals_the_file_from_the_event_after_it_came_into_sight(shared_data):
    encoder, _, unknown = run(shared_data, learn=True)
    assert unknown == encoder.counts["levels_appeared_unknown"] == APPEARED_UNKNOWN
    assert encoder.counts["events_unknown"] == 0
