"""The ring beside its naive twin: a deque with a bound. C and numba on either side, in every pairing."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.ring_driver import HEADER, HEADER_BYTES, ScratchRing, side

PAIRINGS = [(producer, consumer) for producer in ("c", "numba") for consumer in ("c", "numba")]
DEPTHS = [2, 4, 8, 16, 64, 256, 1024]


class DequeRing:
    """What a ring does, without memory, cursors or atomics: records enter at one end and are held until given back."""

    def __init__(self, depth: int) -> None:
        self.depth, self.published = depth, 0
        self.waiting: deque[int] = deque()  # published, not read
        self.held: deque[int] = deque()  # read, not given back

    def publish(self) -> int:
        if len(self.waiting) + len(self.held) == self.depth:
            return 0
        self.waiting.append(self.published)
        self.published += 1
        return 1

    def take(self) -> int:
        if not self.waiting:
            return 0
        self.held.append(self.waiting.popleft())
        return self.held[-1] + 1

    def acknowledge(self) -> int:
        self.held.clear()
        return 1

    def restart_reader(self) -> None:
        self.waiting = self.held + self.waiting
        self.held = deque()


@pytest.mark.parametrize(("producer", "consumer"), PAIRINGS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_records_come_out_whole_and_in_order_over_three_wraps(producer, consumer, depth):
    ring = ScratchRing(depth, 128)
    writer, reader = ring.writer(side(producer)), ring.reader(side(consumer))
    for position in range(3 * depth + 1):
        assert writer.publish() == 1
        assert reader.take() == position + 1
        assert reader.take() == 0
        reader.acknowledge()


@pytest.mark.parametrize(("producer", "consumer"), PAIRINGS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_full_ring_refuses_until_the_reader_gives_back(producer, consumer, depth):
    ring = ScratchRing(depth)
    writer, reader = ring.writer(side(producer)), ring.reader(side(consumer))
    for lap in range(3):
        assert [writer.publish() for _ in range(depth)] == [1] * depth
        assert writer.publish() == 0
        assert [reader.take() for _ in range(depth)] == [lap * depth + index + 1 for index in range(depth)]
        assert writer.publish() == 0, "read is not given back"
        reader.acknowledge()


@pytest.mark.parametrize("producer", ["c", "numba"])
def test_a_shed_record_is_counted_and_the_count_survives_the_producer(producer):
    ring = ScratchRing(4)
    writer = ring.writer(side(producer))
    refused = sum(1 - writer.publish() for _ in range(9))
    for _ in range(refused):
        writer.shed()
    assert refused == ring.header("shed") == 5
    ring.writer(side(producer)).shed()
    assert ring.header("shed") == 6


@pytest.mark.parametrize("producer", ["c", "numba"])
def test_without_a_reliable_reader_the_producer_never_waits(producer):
    ring = ScratchRing(4, reliable=False)
    writer = ring.writer(side(producer))
    assert sum(writer.publish() for _ in range(1000)) == 1000
    assert ring.header("claimed") == 1000


@pytest.mark.parametrize("producer", ["c", "numba"])
@pytest.mark.parametrize("slot_bytes", [64, 256, 2048])
def test_a_producer_changes_no_byte_of_any_slot_but_its_own(producer, slot_bytes):
    """Taking the lines of the next slot writes to it what stands there."""
    ring = ScratchRing(4, slot_bytes)
    writer = ring.writer(side(producer))
    first, words = HEADER_BYTES // 8, slot_bytes // 8
    slots = ring.memory.words[first : first + 4 * words]
    slots[:] = range(1_000_003, 1_000_003 + 4 * words)
    for position in range(4):
        before = slots.copy()
        assert writer.publish() == 1
        own = slice(position * words, (position + 1) * words)
        before[own] = slots[own]
        assert (slots == before).all()


@pytest.mark.parametrize("slot_bytes", [64, 128, 256, 2048])
def test_the_last_word_of_every_slot_size_arrives(slot_bytes):
    ring = ScratchRing(2, slot_bytes)
    writer, reader = ring.writer(side("numba")), ring.reader(side("c"))
    for position in range(5):
        assert (writer.publish(), reader.take()) == (1, position + 1)
        reader.acknowledge()


def test_a_claimed_record_is_invisible_until_published():
    ring = ScratchRing(4)
    writer, reader, observer = ring.writer(side("c")), ring.reader(side("c")), ring.reader(side("c"), reliable=False)
    writer.publish()
    ring.memory.words[HEADER.claimed // 8] = 2  # as a producer leaves it that dies inside its second record
    assert (reader.take(), reader.take()) == (1, 0)
    assert (observer.observe(), observer.observe()) == (1, 0)


OPERATIONS = st.lists(
    st.sampled_from(["publish"] * 5 + ["take"] * 5 + ["acknowledge"] * 2 + ["restart writer", "restart reader"]),
    min_size=1,
    max_size=300,
)


@pytest.mark.parametrize(("producer", "consumer"), PAIRINGS)
@settings(max_examples=300, deadline=None, derandomize=True)
@given(depth=st.sampled_from([2, 4, 8]), operations=OPERATIONS)
def test_any_order_of_operations_gives_what_a_deque_gives(producer, consumer, depth, operations):
    ring, twin = ScratchRing(depth), DequeRing(depth)
    writer, reader = ring.writer(side(producer)), ring.reader(side(consumer))
    for operation in operations:
        if operation == "restart writer":
            writer = ring.writer(side(producer))
        elif operation == "restart reader":
            reader = ring.reader(side(consumer))
            twin.restart_reader()
        else:
            handle = writer if operation == "publish" else reader
            assert getattr(handle, operation)() == getattr(twin, operation)()
    assert ring.header("claimed") == twin.published
