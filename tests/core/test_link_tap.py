"""The tap ⑤→ core_link: each event told once, after it was applied; what the ring had no room for is told as lost."""

import numpy as np
import pytest

from gateway.layout import names, value
from gateway.link.streams import records
from tests.book_feeds import FIELDS
from tests.link_regions import Source
from tests.naive import ADD, DELETE, EXECUTE, LEVEL, REPLACE, SET
from tests.naive_trust import GAP, INFORMATION, INSTRUMENT, OF_SNAPSHOT, SNAPSHOT_BEGIN, SNAPSHOT_END

EVENTS = names("event_kind", "EVENT_")
NEWS, SEQUENCE = value("LINK_NEWS"), value("EVENT_INSTRUMENT_SEQUENCE")


def event(kind: int, **fields: int) -> dict[str, int]:
    return dict.fromkeys(FIELDS, 0) | {"kind": kind} | fields


def order(number: int, instrument: int = 0, price: int = 100, quantity: int = 10) -> dict[str, int]:
    return event(ADD, order_id=number, instrument=instrument, side=1, price=price, quantity=quantity)


def kinds(batch: np.ndarray) -> list[str]:
    """Names of the records, of live ones that of their event."""
    return [
        EVENTS[int(row["event"]["kind"])] if row["kind"] == records.EVENT else records.KINDS[int(row["kind"])]
        for row in batch
    ]


def test_without_a_link_nothing_is_told_and_books_move():
    region = Source(linked=False)
    region.apply(order(1))
    assert len(region.take()) == 0 and region.store.handle["orders_live"][0] == 1


def test_the_first_event_of_a_book_comes_behind_the_news_of_it_and_every_event_comes_once():
    region = Source()
    for number in range(1, 4):
        region.apply(order(number))
    region.apply(order(4, instrument=2))
    batch = region.take()
    assert kinds(batch) == ["BOOK", "ADD", "ADD", "ADD", "BOOK", "ADD"]
    assert batch["sequence"].tolist() == [1, 2, 3, 4, 5, 6] and not batch["source_sequence"].any()
    opened = batch["kind"] == records.BOOK_KIND
    assert (batch["flags"][opened] == records.LIVE).all() and records.is_live(batch).all()
    assert records.books(batch)["instrument"][opened].tolist() == [0, 2]


def test_a_record_says_the_event_as_it_was_applied():
    region = Source()
    region.apply(order(1, price=700, quantity=30))
    region.apply(event(EXECUTE, order_id=1, quantity=10))
    region.apply(event(REPLACE, order_id=1, other_id=2, price=800, quantity=5))
    region.apply(event(SET, order_id=2, price=-(1 << 63), quantity=7))
    region.apply(event(DELETE, order_id=2))
    told = region.take()["event"][2:]
    assert told["price"].tolist() == [700, 800, 800, 800]
    assert told["side"].tolist() == [1, 1, 1, 1] and told["quantity"].tolist() == [10, 5, 7, 7]


def test_arrivals_are_those_in_front_of_the_event():
    region = Source()
    for number in range(1, 5):
        region.apply(order(number))
    batch = region.take()
    assert batch["arrivals"][batch["kind"] == records.EVENT].tolist() == [0, 1, 2, 3]


def test_time_and_channel_stand_in_every_record():
    region = Source()
    region.apply(order(1), channel=3)
    region.apply(event(GAP, quantity=5), channel=4)
    batch = region.take()
    assert batch["channel"].tolist() == [3, 3, 4] and batch["time_ns"][1:].tolist() == [1, 2]


def test_information_is_not_told_and_what_was_applied_before_is_told_as_it_came():
    region = Source()
    region.apply(event(INFORMATION))
    region.apply(event(LEVEL, instrument=1, side=1, price=100, quantity=5, other_id=7))
    region.apply(event(LEVEL, instrument=1, side=1, price=200, quantity=5, other_id=6), channel=2)
    batch = region.take()
    assert kinds(batch) == ["BOOK", "LEVEL", "LEVEL"]
    assert batch["flags"].tolist() == [records.LIVE, 0, records.UNSCANNED] and batch["event"]["other_id"][2] == 6


def test_a_definition_comes_in_front_of_the_event_that_says_it():
    region = Source()
    region.apply(order(1, instrument=3))
    region.listings[3]["flags"], region.listings[3]["price_exponent"] = 3, -8
    region.listings[3]["symbol"], region.listings[3]["symbol_bytes"] = b"BTC-PERPETUAL", 13
    region.apply(event(INSTRUMENT, instrument=3, price=5))
    batch = region.take()[2:]
    assert kinds(batch) == ["LISTING", "INSTRUMENT"] and batch["flags"].tolist() == [records.LIVE, 0]
    listing = records.listings(batch)[0]
    assert (listing["price_exponent"], listing["symbol"], listing["instrument"]) == (-8, b"BTC-PERPETUAL", 3)


def test_what_strategies_do_not_hear_is_quiet_and_its_news_come_later():
    region = Source()
    region.apply(event(SNAPSHOT_BEGIN, instrument=1, other_id=9), quiet=records.QUIET)
    region.apply(event(LEVEL, instrument=1, side=1, price=100, quantity=5, flags=OF_SNAPSHOT), quiet=records.QUIET)
    region.apply(event(SNAPSHOT_END, instrument=1), quiet=records.QUIET)
    region.news(event(SNAPSHOT_END, instrument=1))
    batch = region.take()[1:]
    assert batch["flags"].tolist() == [records.QUIET] * 3 + [NEWS]


def test_a_run_of_a_channel_is_told_with_its_first_sequence():
    region = Source()
    region.begin_session(17, 5)
    batch = region.take()
    assert kinds(batch) == ["RUN"] and (batch["count"][0], batch["channel"][0]) == (17, 5)


def test_what_finds_no_room_is_told_as_lost_once_a_quarter_is_free():
    region = Source(ring_depth=16)
    for number in range(20):
        region.apply(order(number))
    assert region.ring.reader.position == 0
    assert region.tap["lost"][0] == 5  # the news of the book took a slot
    batch = region.take()
    assert len(batch) == 16 and "LOST" not in kinds(batch)
    region.apply(order(30))
    batch = region.take()
    assert kinds(batch) == ["LOST", "ADD"] and batch["count"][0] == 5 and region.tap["lost"][0] == 0


def test_a_loss_is_told_by_an_idle_turn_too():
    region = Source(ring_depth=16)
    for number in range(20):
        region.apply(order(number))
    region.turn()
    assert region.tap["lost"][0] == 5  # no room yet
    region.take()
    region.turn()
    assert kinds(region.take()) == ["LOST"]


def test_a_broken_order_is_told_at_once():
    region = Source()
    region.apply(order(1))
    region.break_order()
    assert kinds(region.take()) == ["BOOK", "ADD", "LOST"]


@pytest.mark.parametrize("length", [1, 7])
def test_records_become_bytes_and_back(length):
    region = Source()
    for number in range(length):
        region.apply(order(number))
    batch = region.take()
    body = records.without_sequences(batch)
    assert body.shape == (len(batch), 120)
    assert np.array_equal(records.with_sequences(body.reshape(-1), 1), batch)
    with pytest.raises(ValueError, match="no whole number"):
        records.with_sequences(bytes(121), 1)
