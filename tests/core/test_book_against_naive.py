"""Book ⑤ against its naive twin: seeded streams, plausible and hostile, small pools, and what hypothesis finds."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core import book
from gateway.core.memory import address_of
from gateway.layout import dtype, value
from tests.book_streams import FIELDS, Stream
from tests.book_twins import Twins, event_rows
from tests.naive import ADD, CLEAR, DELETE, EXECUTE, REDUCE, REPLACE
from tests.naive_trust import GAP


def run(twins: Twins, stream: Stream, count: int, checkpoints: int) -> None:
    for index in range(count):
        twins.apply(stream.draw())
        if index % (count // checkpoints) == 0:
            twins.compare()
    twins.compare()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_plausible_stream_gives_the_twins_books(seed):
    print("seed", seed)
    twins = Twins()
    twins.begin_session(1)
    run(twins, Stream(seed, hostile=0.0), 25_000, 20)
    assert not twins.naive.reasons


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "hostile"), [(11, 0.02), (12, 0.3)])
def test_a_hostile_stream_gives_the_twins_books_flags_and_counts(seed, hostile):
    print("seed", seed)
    twins = Twins()
    twins.begin_session(1)
    run(twins, Stream(seed, hostile=hostile), 25_000, 20)
    assert set(twins.naive.reasons) == {
        "FEED_MESSAGE_FIELD",
        "FEED_ORDER_UNKNOWN",
        "FEED_ORDER_DUPLICATE",
        "FEED_QUANTITY_EXCESS",
        "FEED_INSTRUMENT_MISMATCH",
    }


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "nodes", "orders"), [(21, 40, 1 << 14), (22, 1 << 14, 512), (23, 25, 512)])
def test_small_pools_refuse_what_does_not_fit_and_recover(seed, nodes, orders):
    print("seed", seed)
    twins = Twins(nodes=nodes, orders=orders)
    run(twins, Stream(seed, live_target=400 if orders == 512 else 1000), 20_000, 20)
    full = "FEED_LEVELS_FULL" if nodes < 1 << 14 else "FEED_ORDERS_FULL"
    assert twins.naive.reasons[full] > 10


@pytest.mark.parametrize("tick", [1, 7, 100, 1 << 30, 250_000_000, 1 << 40])
def test_any_tick_keeps_any_price(tick):
    twins = Twins(tick=tick)
    run(twins, Stream(tick, instruments=2, live_target=300), 5_000, 10)


@pytest.mark.slow
def test_batches_of_any_size_end_in_the_same_bytes():
    events = event_rows([stream.draw() for stream in [Stream(31, hostile=0.05)] for _ in range(20_000)])
    images = []
    for batch in (1, 7, 64, 512):
        twins, rows = Twins(), events.copy()
        for first in range(0, len(rows), batch):
            part = rows[first : first + batch]
            book.apply_events(twins.store.address, address_of(part), len(part), address_of(twins.counters))
        images.append([rows.tobytes(), twins.counters.tobytes(), *(body.tobytes() for body in twins.store.memory)])
    assert all(image == images[0] for image in images)


SMALL_PRICES = [0, 1, 100, 6300, 6399, 6400, 6401, 409_600, 26_214_400, (1 << 32) - 1]
SMALL_PRICES += [-1, -100, -6400, 1 << 61, -(1 << 62), 1 << 62]
SMALL_EVENT = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([ADD, ADD, ADD, DELETE, EXECUTE, REDUCE, REPLACE, CLEAR, GAP]),
        "order_id": st.integers(0, 6),
        "other_id": st.integers(0, 6),
        "side": st.integers(0, 3),
        "instrument": st.integers(0, 2),
        "price": st.sampled_from(SMALL_PRICES),
        "quantity": st.integers(-1, 4) | st.just(1 << 32),
        "flags": st.integers(0, 3),
    }
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SMALL_EVENT, max_size=40), st.sampled_from([3, 4, 64]))
def test_any_short_story_ends_alike(events, nodes):
    twins = Twins(instruments=2, nodes=nodes, orders=512)
    twins.begin_session(1)
    for sequence, event in enumerate(events):
        twins.apply(dict.fromkeys(FIELDS, 0) | event | {"sequence": sequence})
    twins.compare()


def test_colliding_ids_are_exact_and_beyond_reach_refused():
    twins = Twins(orders=1024)
    # ids whose home is one and the same row: of groups that hash to the first line, the first of the 32
    multiplier, shift = (int(twins.store.handle[name][0]) for name in ("multiplier", "shift"))
    groups = (group for group in itertools.count() if group * multiplier % (1 << 64) >> shift == 0)
    ids = [group << 5 for group in itertools.islice(groups, 300)]
    for position, order_id in enumerate(ids):
        event = dict.fromkeys(FIELDS, 0) | {"kind": ADD, "order_id": order_id, "side": 1, "price": 100, "quantity": 1}
        if position < 256:
            twins.apply(event | {"sequence": position})
        else:
            row = event_rows([event])
            assert book.apply_event(twins.store.address, address_of(row), address_of(twins.counters)) == 0
    assert twins.counters["reasons"][0][value("FEED_ORDERS_FULL")] == 44
    order = np.random.default_rng(5).permutation(256)
    for index in order.tolist():
        # the refusals above flagged the book, which the twin does not know of
        twins.naive.books[0].flags |= value("BOOK_FAULT")
        twins.apply(dict.fromkeys(FIELDS, 0) | {"kind": DELETE, "order_id": ids[index]})
    twins.compare_orders()
    assert not np.frombuffer(twins.store.memory[2], dtype("book_order"))["reach"].any()


@pytest.mark.parametrize("step", [1, 2, 3, 32, 64, 1000, 1 << 20, 1 << 40, (1 << 40) + 32])
def test_ids_at_any_step_fill_the_table_to_its_half(step):
    twins = Twins(orders=1024)
    for position in range(512):
        event = {"kind": ADD, "order_id": 7 + position * step, "side": 1, "price": 100, "quantity": 1, "sequence": position}
        twins.apply(dict.fromkeys(FIELDS, 0) | event)
    assert not twins.counters["reasons"].any()
    reach = np.frombuffer(twins.store.memory[2], dtype("book_order"))["reach"]
    assert reach.max() < 64 and (reach <= 1).mean() > 0.9, (reach.max(), (reach <= 1).mean())
