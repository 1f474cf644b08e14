"""Early processing: records are state at once, effects wait for the end mark, what broke is forgotten."""

import random

import pytest

from gateway import limits
from gateway.link.streams import records
from gateway.link.streams.early import EarlyState
from tests.link.stream_core import NaiveCore


def scan(seed=1, orders=30):
    core = NaiveCore(random.Random(seed), orders)
    core.step(200, 0)
    core.take()
    core.request_scan()
    while core.scans == 0:
        core.step(1, 3)
    core.step(5, 0)
    return core.take()


class Desk:
    def __init__(self):
        self.rows, self.fired = [], []
        self.state = EarlyState(lambda rows: self.rows.extend(rows["sequence"].tolist()), self.rows.clear)

    def take(self, rows):
        self.state.take(rows, lambda part: [lambda one=one: self.fired.append(one) for one in part["sequence"].tolist()])


def test_records_are_usable_before_the_end_and_effects_wait_for_it():
    rows, desk = scan(), Desk()
    end = int((rows["kind"] == records.SCAN_END).argmax())
    desk.take(rows[: end // 2])
    assert len(desk.rows) > 5 and desk.fired == [] and desk.state.held == len(desk.rows)
    assert desk.state.running and not desk.state.complete
    desk.take(rows[end // 2 : end])
    assert desk.fired == []
    desk.take(rows[end : end + 1])
    assert desk.fired == desk.rows and desk.state.complete and desk.state.held == 0
    desk.take(rows[end + 1 :])
    assert desk.fired == desk.rows, "behind the end effects leave at once"


@pytest.mark.parametrize("seed", range(20))
def test_how_rows_are_cut_changes_nothing(seed):
    rows, whole, cut = scan(seed), Desk(), Desk()
    whole.take(rows)
    chance, at = random.Random(seed), 0
    while at < len(rows):
        size = chance.randint(1, 9)
        cut.take(rows[at : at + size])
        at += size
    assert whole.rows == cut.rows and whole.fired == cut.fired


def test_a_transfer_that_breaks_leaves_no_state_and_no_effect():
    rows, desk = scan(), Desk()
    desk.take(rows[: len(rows) // 2])
    desk.take(records.own_word(records.LOST))
    assert desk.rows == [] and desk.fired == [] and desk.state.dropped > 0 and desk.state.refused == "LOST"
    desk.take(rows[len(rows) // 2 :])
    assert desk.rows == [] and desk.fired == [], "what follows a loss belongs to nothing"
    desk.take(rows)
    assert desk.state.complete and desk.fired == desk.rows


def test_a_transfer_that_begins_anew_drops_what_the_first_one_held():
    rows, desk = scan(), Desk()
    desk.take(rows[: len(rows) // 2])
    desk.take(rows)
    assert desk.state.begun == 2 and desk.state.ended == 1 and desk.state.refused == "ANEW"
    assert desk.fired == desk.rows and len(set(desk.fired)) == len(desk.fired)


def test_effects_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(limits, "LINK_EFFECTS_HELD_MAX", 10)
    rows, desk = scan(), Desk()
    desk.take(rows)
    assert desk.state.refused == "EFFECTS" and desk.fired == [] and desk.state.held == 0
