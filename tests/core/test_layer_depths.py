"""Books of another layer may be of another depth: the venue keeps fewer implied levels than real ones."""

import numpy as np

from gateway.core.book import apply_event
from gateway.core.book_reader import levels
from gateway.core.book_store import OwnedStore
from gateway.core.instruments import make_instruments, row_for
from gateway.core.memory import address_of
from gateway.layout import dtype, value

ADD, SET, LEVEL, BUY = value("EVENT_ADD"), value("EVENT_SET"), value("EVENT_LEVEL"), value("SIDE_BUY")


class World:
    """A small store and its table of instruments."""

    def __init__(self, **settings):
        self.store = OwnedStore(instruments=8, nodes=64, orders=512, tick=1, **settings)
        self.table = make_instruments(8, books=int(self.store.handle["books"][0]), layer_depths=(2, 0, 3))
        self.counters = np.zeros(1, dtype("core_counters"))

    def apply(self, **fields):
        event = np.zeros(1, dtype("event"))
        for name, number in fields.items():
            event[name] = number
        apply_event(self.store.address, address_of(event), address_of(self.counters))
        return event[0]


def test_the_depth_of_a_layer_is_its_own_and_that_of_the_others_the_feeds():
    world = World(depth=5)
    for layer, expected in ((0, 5), (1, 2), (2, 5), (3, 3), (4, 5)):
        row = row_for(world.table.address, 77, layer)
        for price in range(1, 10):
            world.apply(kind=LEVEL, instrument=row, side=BUY, price=price, quantity=1)
        assert [level[0] for level in levels(world.store.handle, row, BUY)] == [9, 8, 7, 6, 5][:expected]


def test_an_order_set_without_a_price_keeps_the_one_it_had():
    world = World()
    world.apply(kind=ADD, instrument=0, side=BUY, price=-250, quantity=9, order_id=1)
    event = world.apply(kind=SET, instrument=0, side=BUY, price=-(1 << 63), quantity=4, order_id=1)
    assert event["price"] == -250
    assert levels(world.store.handle, 0, BUY) == [(-250, 4, 1)]
