"""Snapshots heal waiting books: what is joined, refused, passed over; seeded, with a book in plain Python beside."""

import random

import numpy as np
import pytest

from gateway.core import book_reader
from gateway.core.book import apply_event, begin_session
from gateway.core.book_store import OwnedStore
from gateway.core.memory import address_of
from gateway.core.recovery import begin_run, examine_event, make_healing, note_lost, replay_kept
from gateway.layout import dtype, value

BEGIN, END, LEVEL, GAP = (value(f"EVENT_{name}") for name in ("SNAPSHOT_BEGIN", "SNAPSHOT_END", "LEVEL", "GAP"))
PASS, DONE = value("HEAL_PASS"), value("HEAL_DONE")
LOST, VALID, BUY = value("EVENT_LOST"), value("BOOK_VALID"), value("SIDE_BUY")
INSTRUMENTS, NODES, ORDERS = 4, 256, 1 << 12


class Channel:
    """An incremental channel 0 and its snapshot channel 1, with real books of levels."""

    def __init__(self, kept=64, first=1):
        self.owned = OwnedStore(instruments=INSTRUMENTS, nodes=NODES, orders=ORDERS, tick=1)
        self.store = self.owned.handle
        self.healing, self.keep = make_healing(address_of(self.store), INSTRUMENTS, kept)
        self.feeds = np.zeros(2, dtype("feed"))
        self.feeds["channel"], self.feeds["role"][1] = (0, 1), value("CHANNEL_SNAPSHOT")
        self.counters = np.zeros(1, dtype("core_counters"))
        self.event = np.zeros(1, dtype("event"))
        begin_session(address_of(self.store), first)
        begin_run(address_of(self.healing), 0, first)
        begin_run(address_of(self.healing), 1, 1)

    def say(self, kind, instrument=0, sequence=0, snapshot=False, flags=0, **fields):
        """One event, as the corridor would take it; returns the verdict."""
        self.event[:] = 0
        row = self.event[0]
        row["kind"], row["instrument"], row["sequence"], row["flags"] = kind, instrument, sequence, flags
        for name, number in fields.items():
            row[name] = number
        if not snapshot:
            self.feeds["next_sequence"][0] = sequence + 1
        feed = address_of(self.feeds) + int(snapshot) * self.feeds.itemsize
        addresses = address_of(self.healing), feed, address_of(self.event), address_of(self.counters)
        verdict = examine_event(*addresses)
        if verdict != PASS:
            apply_event(address_of(self.store), addresses[2], addresses[3])
        if verdict == DONE:
            replay_kept(addresses[0], feed, instrument, addresses[3], 0)
        return verdict

    def level(self, sequence, price, quantity, instrument=0):
        return self.say(LEVEL, instrument, sequence, side=BUY, price=price, quantity=quantity)

    def snapshot(self, at, levels, instrument=0):
        """A whole snapshot that holds everything up to feed sequence `at`."""
        self.say(BEGIN, instrument, snapshot=True, quantity=at)
        for price, quantity in levels.items():
            self.say(LEVEL, instrument, snapshot=True, side=BUY, price=price, quantity=quantity)
        return self.say(END, instrument, snapshot=True, quantity=at)

    def lose(self, first, count):
        note_lost(address_of(self.healing), 0, first, count)
        self.event[:] = 0
        self.event["kind"], self.event["flags"] = GAP, LOST
        apply_event(address_of(self.store), address_of(self.event), address_of(self.counters))
        self.feeds["next_sequence"][0] = first + count

    def book(self, instrument=0):
        return {row[0]: row[1] for row in book_reader.levels(self.store, instrument, BUY)}

    def is_valid(self, instrument=0):
        return bool(book_reader.books(self.store)[instrument]["flags"] & VALID)

    def reason(self, name):
        return int(self.counters[0]["reasons"][value(name)])


def test_what_was_kept_beyond_the_snapshot_follows_it_and_the_book_is_valid():
    channel = Channel()
    channel.level(1, 100, 5)
    channel.lose(2, 3)
    for sequence, price in ((5, 101), (6, 102), (7, 103)):
        assert channel.level(sequence, price, sequence) == PASS
    assert not channel.is_valid() and channel.snapshot(5, {100: 9, 101: 5}) == DONE
    assert channel.is_valid() and channel.book() == {100: 9, 101: 5, 102: 6, 103: 7}
    channel.level(8, 100, 0)
    assert channel.book() == {101: 5, 102: 6, 103: 7}


def test_a_snapshot_of_a_healthy_book_is_passed_over():
    channel = Channel()
    channel.level(1, 100, 5)
    assert channel.snapshot(1, {7: 7}) == PASS and channel.book() == {100: 5} and channel.is_valid()


def test_a_snapshot_from_before_the_loss_is_useless_and_the_next_one_heals():
    channel = Channel()
    channel.level(1, 100, 5)
    channel.lose(2, 3)
    channel.level(5, 101, 5)
    assert channel.snapshot(3, {1: 1}) == PASS and not channel.is_valid()
    assert channel.reason("FEED_SNAPSHOT_USELESS") == 1
    assert channel.snapshot(4, {100: 1}) == DONE and channel.book() == {100: 1, 101: 5}


def test_a_snapshot_ahead_of_the_feed_is_applied_and_what_it_holds_is_not_applied_again():
    channel = Channel()
    channel.lose(1, 3)
    assert channel.snapshot(6, {100: 6}) == DONE
    for sequence in (4, 5, 6):
        channel.level(sequence, 100, sequence - 3)
    assert channel.book() == {100: 6}
    channel.level(7, 100, 7)
    assert channel.book() == {100: 7} and channel.is_valid()


def test_a_loss_on_the_snapshot_channel_cuts_the_snapshot_and_makes_no_healthy_book_stale():
    channel = Channel()
    channel.level(1, 50, 5, instrument=1)
    channel.lose(2, 1)
    channel.snapshot(2, {50: 5}, instrument=1)
    channel.say(BEGIN, snapshot=True, quantity=2)
    note_lost(address_of(channel.healing), 1, 9, 1)
    assert channel.say(LEVEL, snapshot=True, side=BUY, price=1, quantity=1) == PASS
    assert channel.say(END, snapshot=True) == PASS
    assert not channel.is_valid() and channel.is_valid(1) and channel.reason("FEED_SNAPSHOT_USELESS") == 1


def test_a_ring_that_overflows_asks_for_a_newer_snapshot():
    channel = Channel(kept=8)
    channel.lose(1, 1)
    for sequence in range(2, 14):
        channel.level(sequence, sequence, 1)
    assert channel.reason("FEED_EVENTS_FULL") == 4
    assert channel.snapshot(4, {}) == PASS and channel.reason("FEED_SNAPSHOT_USELESS") == 1
    assert channel.snapshot(5, {1: 1}) == DONE
    assert sorted(channel.book()) == [1, *range(6, 14)] and channel.is_valid()


def test_one_instrument_heals_while_another_still_waits():
    channel = Channel(first=50)
    channel.level(50, 10, 1)
    channel.level(51, 20, 2, instrument=1)
    assert channel.snapshot(51, {20: 2}, instrument=1) == DONE
    assert channel.is_valid(1) and not channel.is_valid() and channel.book() == {}


def test_an_event_that_names_no_instrument_of_ours_is_counted():
    channel = Channel()
    assert channel.say(BEGIN, 4_000_000, snapshot=True, quantity=1) == PASS
    assert channel.reason("FEED_MESSAGE_FIELD") == 1


@pytest.mark.parametrize("seed", range(10))
def test_no_valid_book_ever_differs_from_the_truth_and_all_heal_in_the_end(seed):
    generator = random.Random(seed)
    channel, truth = Channel(kept=generator.choice((8, 64))), [{} for _ in range(INSTRUMENTS)]
    history, sequence = [[dict(book) for book in truth]], 0
    for _ in range(800):
        sequence += 1
        instrument, price, quantity = generator.randrange(INSTRUMENTS), generator.randrange(30), generator.randrange(4)
        if quantity:
            truth[instrument][price] = quantity
        else:
            truth[instrument].pop(price, None)
        history.append([dict(book) for book in truth])
        if generator.random() < 0.02:
            channel.lose(sequence, 1)
        elif quantity or price in history[-2][instrument]:
            channel.level(sequence, price, quantity, instrument)
        else:
            channel.feeds["next_sequence"][0] = sequence + 1
        if generator.random() < 0.1:
            at, which = max(0, sequence - generator.choice((0, 0, 1, 5, 40))), generator.randrange(INSTRUMENTS)
            channel.snapshot(at, history[at][which], which)
        check(channel, truth, seed)
    for instrument in range(INSTRUMENTS):
        channel.snapshot(sequence, truth[instrument], instrument)
        assert channel.is_valid(instrument), f"seed {seed}"
    check(channel, truth, seed)


def check(channel, truth, seed):
    for instrument in range(INSTRUMENTS):
        if channel.is_valid(instrument):
            assert channel.book(instrument) == truth[instrument], f"seed {seed}"
