"""Engines of PyPI that keep books: they hold what the day's twin holds, and who does not is found out."""

import importlib.util

import pytest

from gateway.ops.bench import book_peers
from gateway.ops.bench.book_peers import ITCHCPP, SOUND, ItchcppBooks, one_symbol, peers
from gateway.ops.bench.itch_day_file import blocks_in

LIVE, MESSAGES = 300, 3000


@pytest.fixture(scope="module")
def day():
    return one_symbol(MESSAGES, 11, LIVE)


def test_a_day_of_one_symbol_keeps_its_live_orders_on_its_levels(day):
    assert day.flow.counts.sum() == day.flow.totals["live"][0] >= LIVE * 0.9
    assert set(day.flow.symbols) == {1} and int(day.sizes.sum()) == day.offsets[-1] + day.sizes[-1]


def test_every_engine_that_is_installed_holds_the_levels_of_the_twin(day):
    contenders, skipped = peers(day, "book")
    if not contenders:
        pytest.skip(f"none is installed: {skipped}")
    for one in contenders:
        readings = [one.run(), one.run()]
        assert [reading.checksum for reading in readings] == [SOUND, SOUND], one.name
        assert all(reading.values["book"] > 0 for reading in readings)


def test_packets_from_the_middle_give_their_messages_alone(day):
    first, last = 3, 7
    inside = day.data[day.offsets[first] : day.offsets[last]].tobytes()
    wanted = b""
    for offset, size in zip(day.offsets[first:last] - day.offsets[first], day.sizes[first:last], strict=True):
        wanted += inside[offset + 20 : offset + size]
    assert blocks_in(day.data, day.offsets[first:last], day.sizes[first:last], last - first) == wanted


@pytest.mark.skipif(importlib.util.find_spec(ITCHCPP) is None, reason="itchcpp is not installed")
def test_a_best_price_that_is_not_the_twins_is_found_out(day):
    books = ItchcppBooks()
    books.feed(day.data, day.offsets, day.sizes, len(day.offsets))
    assert books.differences(day.flow) == (0, 2)
    day.flow.levels[1, 0] += 1
    assert books.differences(day.flow) == (1, 2)
    day.flow.levels[1, 0] -= 1


def test_an_engine_that_is_not_installed_is_skipped_with_the_reason(day, monkeypatch):
    monkeypatch.setattr(book_peers.importlib.util, "find_spec", lambda name: None)
    contenders, skipped = peers(day, "book")
    assert contenders == []
    assert all(reason.startswith("not installed: pip install") for reason in skipped.values()) and len(skipped) == 2
