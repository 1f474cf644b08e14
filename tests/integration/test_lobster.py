"""A real day's events of LOBSTER, re-encoded as ITCH frames: after each the book is the file's, level by level."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.config import load
from gateway.core import book_reader
from gateway.layout import value
from gateway.ops.replay import Replay
from tests.lobster import BUY, LOCATE, SELL, Encoder, Step, capture_of, frames

VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")

EVENTS = 998  # behind the first row, which is the seed
LEVELS = (EVENTS + 1) * 20  # of the file
APPEARED_UNKNOWN = 318  # times a level came into sight only because a better one left
UNKNOWN = 9_789  # of the file's levels, those that stood as such a level
EVENTS_UNKNOWN = 16  # events that name an older order of such a level


def compare(store: np.ndarray, step: Step) -> tuple[int, int]:
    """Every determined level equals the file's, and no other is there; (levels compared, levels unknown)."""
    compared, unknown = 0, 0
    row = book_reader.books(store)[LOCATE]
    for side, name in ((BUY, "bid"), (SELL, "ask")):
        ours = {price: quantity for price, quantity, _ in book_reader.levels(store, LOCATE, side)}
        theirs = dict(step.levels[side])
        assert ours.keys() <= theirs.keys()
        known = {price: quantity for price, quantity in theirs.items() if price not in step.unknown[side]}
        assert {price: ours[price] for price in known} == known
        best = step.levels[side][0]
        if best[0] in known:
            assert best == (row[f"{name}_price"], row[f"{name}_quantity"])
        compared += len(known)
        unknown += len(theirs) - len(known)
    return compared, unknown


def follow(replay: Replay, steps: list[Step]) -> tuple[int, int]:
    """Compares after each event, when the last of its messages has gone through; (levels compared, levels unknown)."""
    totals, position, due = np.zeros(2, int), 0, len(steps[0].messages)
    for messages in replay.steps():
        while position < len(steps) and messages == due:
            totals += compare(replay.core.store, steps[position])
            position += 1
            due += len(steps[position].messages) if position < len(steps) else 0
    assert position == len(steps)
    return int(totals[0]), int(totals[1])


@pytest.fixture
def day(shared_data: Path, tmp_path: Path) -> Callable[[bool], tuple[Encoder, int, int]]:
    """Runs the day through the whole corridor, frame by frame: (encoder, levels compared, levels unknown)."""

    def run(learn: bool) -> tuple[Encoder, int, int]:
        encoder = Encoder(shared_data / "lobster-aapl-20120621", learn)
        steps = list(encoder.steps())
        capture = tmp_path / "lobster.pcap"
        capture.write_bytes(capture_of(frames(steps), [row.time_ns for row in encoder.rows]))
        settings = {"instance.name": f"lobster-{os.getpid()}", "feed.name": "itch50", "feed.any_destination": True}
        with Replay(capture, load(None, settings), burst=1) as replay:
            compared, unknown = follow(replay, steps)
            check_end(replay, steps)
        print(f"levels compared {compared}, levels unknown {unknown}, {dict(encoder.counts)}")
        assert encoder.counts["events"] == EVENTS
        assert compared + unknown == LEVELS
        return encoder, compared, unknown

    return run


def check_end(replay: Replay, steps: list[Step]) -> None:
    """Nothing was lost, refused or contradicted, and the book says so."""
    counters, store = replay.instance.counters[0]["core"], replay.core.store
    assert not counters["reasons"].any()
    assert counters["gaps"] == 0
    assert counters["messages"] == sum(len(step.messages) for step in steps)
    assert book_reader.books(store)[LOCATE]["flags"] & (VALID | STALE | FAULT) == VALID
    assert book_reader.instruments(store) == [(LOCATE, "AAPL")]


def test_every_level_that_seed_and_events_determine_equals_the_file(day):
    encoder, _, unknown = day(learn=False)
    assert unknown == UNKNOWN
    assert encoder.counts["levels_appeared_unknown"] == APPEARED_UNKNOWN
    assert encoder.counts["events_unknown"] == EVENTS_UNKNOWN


@pytest.mark.slow
def test_every_level_equals_the_file_from_the_event_after_it_came_into_sight(day):
    encoder, _, unknown = day(learn=True)
    assert unknown == encoder.counts["levels_appeared_unknown"] == APPEARED_UNKNOWN
    assert encoder.counts["events_unknown"] == 0
