"""Observers: any number, never waited for; what they read is whole, and what they lost is counted to the record."""

import random

import pytest

from tests.native.ring_driver import HEADER, HEADER_BYTES, OBSERVED, OBSERVED_TORN, ScratchRing, side


def drain(observer) -> int:
    """Observes until nothing is new; returns the overruns met. Bounded: a silent ring ends it."""
    overruns = 0
    for _ in range(100_000):
        seen = observer.observe()
        if seen == 0:
            return overruns
        overruns += seen == -1
    raise AssertionError("an observer of a silent ring did not come to an end")


@pytest.mark.parametrize("producer", ["c", "numba"])
@pytest.mark.parametrize("depth", [2, 4, 16, 256])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_an_observer_read_and_missed_adds_up_to_what_was_published(producer, depth, seed):
    print("seed", seed)
    choose = random.Random(seed)
    ring = ScratchRing(depth, 128, reliable=False)
    writer = ring.writer(side(producer))
    observers = [ring.reader(side("c"), reliable=False) for _ in range(3)]
    published = 0
    for _ in range(200):
        for _ in range(choose.choice([0, 1, depth - 1, depth, depth + 1, 3 * depth])):
            published += writer.publish()
        for observer in observers:
            for _ in range(choose.randrange(depth)):
                observer.observe()
    overruns = [drain(observer) for observer in observers]
    for observer in observers:
        read = int(observer.ledger.words[OBSERVED])
        assert read + observer.struct.missed == published == observer.struct.position
        assert observer.ledger.words[OBSERVED_TORN] == 0
        assert observer.struct.missed > 0, "the schedule overran nobody: it proves nothing"
    assert len(overruns) == 3


@pytest.mark.parametrize("depth", [2, 8, 64])
def test_an_observer_within_one_depth_misses_nothing(depth):
    ring = ScratchRing(depth, reliable=False)
    writer, observer = ring.writer(side("c")), ring.reader(side("c"), reliable=False)
    for _ in range(50):
        for _ in range(depth):
            writer.publish()
        assert drain(observer) == 0
    assert (observer.struct.missed, observer.ledger.words[OBSERVED]) == (0, 50 * depth)


def test_an_observer_behind_by_one_more_than_the_depth_is_overrun():
    ring = ScratchRing(8, reliable=False)
    writer, observer = ring.writer(side("c")), ring.reader(side("c"), reliable=False)
    for _ in range(9):
        writer.publish()
    assert observer.observe() == -1
    assert (observer.struct.missed, observer.struct.position) == (5, 5)


def test_an_observer_does_not_hold_the_producer_back_and_does_not_move_the_cursor():
    ring = ScratchRing(4)
    writer, reader, observer = ring.writer(side("c")), ring.reader(side("c")), ring.reader(side("c"), reliable=False)
    for _ in range(40):
        assert writer.publish() == 1
        assert reader.take() > 0
        reader.acknowledge()
    cursor = ring.header("cursor")
    drain(observer)
    assert ring.header("cursor") == cursor == 40
    assert observer.struct.missed + observer.ledger.words[OBSERVED] == 40


def test_an_observer_rejects_the_slot_that_is_being_overwritten():
    """The claim is out, the payload half new, the sequence still the old one: the instant the fences are for."""
    ring = ScratchRing(4, 128, reliable=False)
    writer, observer = ring.writer(side("c")), ring.reader(side("c"), reliable=False)
    for _ in range(4):
        writer.publish()
    ring.memory.words[HEADER.claimed // 8] = 5
    ring.memory.words[HEADER_BYTES // 8 + 5] ^= -1
    assert observer.observe() == -1
    assert observer.ledger.words[OBSERVED_TORN] == 0
    assert observer.struct.missed == observer.struct.position > 0


def test_a_late_observer_begins_with_the_newest_record():
    ring = ScratchRing(8)
    writer = ring.writer(side("c"))
    for _ in range(5):
        writer.publish()
    observer = ring.reader(side("c"), reliable=False)
    assert observer.observe() == 1
    assert observer.struct.position == 5
