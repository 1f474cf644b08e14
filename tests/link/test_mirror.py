"""What a mirror says of itself: what waits, where core is, and how often the source said that records are missing."""

from types import SimpleNamespace

import numpy as np
import pytest

from gateway import layout, limits
from gateway.link.mirror import Mirror
from gateway.link.streams import records
from gateway.link.streams.stream_reader import Item
from tests.order_desk import Ring

DEPTH = 8


class Stand:
    """A mirror before a small link_core, and core's end of it."""

    def __init__(self):
        self.ring = Ring(DEPTH, limits.LINK_SLOT_BYTES)
        header = self.ring.memory[-self.ring.memory.ctypes.data % 64 :][: layout.size("ring_header")]
        mapping = SimpleNamespace(view=lambda struct: header.view(layout.dtype(struct)))
        instance = SimpleNamespace(writer=lambda name: self.ring.writer, rings={"link_core": mapping})
        self.done: list[Item] = []
        self.mirror = Mirror(instance, self.done.append)

    def offer(self, first: int, kinds: list[int]) -> None:
        rows = records.rows(len(kinds))
        rows["sequence"], rows["kind"] = np.arange(first, first + len(kinds)), kinds
        self.mirror.offer(Item("market_data", rows))

    def core(self) -> list[int]:
        """Core takes all that stands in its ring: the source's sequences."""
        taken = [np.frombuffer(slot, dtype=records.SLOT)[0] for slot in self.ring.take_all()]
        return [int(slot["source_sequence"]) for slot in taken]


@pytest.fixture
def stand():
    return Stand()


def test_the_word_it_begins_with_is_no_loss_and_each_of_the_sources_is_one(stand):
    stand.mirror.turn()
    assert stand.mirror.written == 1 and stand.mirror.lost == 0
    stand.offer(1, [records.EVENT, records.LOST, records.EVENT, records.LOST])
    stand.mirror.turn()
    assert stand.mirror.lost == 2


def test_a_full_ring_lets_the_rest_wait_and_nothing_is_counted_twice(stand):
    stand.offer(1, [records.EVENT] * 5 + [records.LOST] + [records.EVENT] * 6)
    stand.mirror.turn()
    assert stand.mirror.waiting == 1 + 12 - DEPTH and not stand.done and stand.mirror.lost == 1
    stand.mirror.turn()
    assert stand.mirror.lost == 1
    taken = stand.core()
    stand.mirror.turn()
    taken += stand.core()
    assert taken == [0, *range(1, 13)]
    assert stand.mirror.waiting == 0 and len(stand.done) == 1 and stand.mirror.lost == 1


def test_a_position_is_applied_once_core_has_taken_it(stand):
    stand.offer(1, [records.EVENT] * 3)
    stand.mirror.turn()
    assert stand.mirror.position == 3 and stand.mirror.applied == 0
    stand.core()
    stand.mirror.turn()
    assert stand.mirror.applied == 3
