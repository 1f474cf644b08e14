"""The ring suite's own honesty: percentiles, the gate, peers that are missing, what observers cost."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from gateway.errors import CapabilityError
from gateway.ops.bench import compiled, ring_disruptor, ring_growth, ring_pair, ring_sides
from gateway.ops.bench.rounds import interleave, stepped_median
from gateway.ops.bench.suite import Plan, Result
from gateway.ops.bench.suites import ring

PLAN = Plan(quick=True, report=lambda share, what: None)
HOPS, RECORDS = 100, 3_000


@pytest.fixture(scope="module")
def pair():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a hop needs two CPUs")
    with ring_pair.paired() as both:
        yield both


def contenders(pair, name):
    kind = ring_sides.KINDS[name]
    if kind.library:
        try:
            pair.sides.library(kind)
        except CapabilityError as missing:
            pytest.skip(str(missing))
    found = [(ring._hop(pair, kind, HOPS), ring.HOP_UNITS, HOPS)]
    return [*found, (ring._burst(pair, kind, RECORDS), ring.BURST_UNITS, RECORDS)] if kind.bursts else found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ring_sides.KINDS))
def test_a_contender_moves_every_record_unchanged(pair, name):
    for contender, units, count in contenders(pair, name):
        rows = interleave([contender], 2, units, count, PLAN)
        assert [row.metric for row in rows if row.correct] == list(units)


@pytest.mark.slow
def test_the_disruptor_moves_every_record_unchanged(pair):
    try:
        with ring_disruptor.started(pair.cpus) as jvm:
            rows = interleave([jvm.hop(HOPS)], 1, ring.HOP_UNITS, HOPS, PLAN)
            rows += interleave([jvm.burst(RECORDS)], 1, ring.BURST_UNITS, RECORDS, PLAN)
    except CapabilityError as missing:
        pytest.skip(str(missing))
    assert [row.metric for row in rows if row.correct] == [*ring.HOP_UNITS, *ring.BURST_UNITS]


def test_a_record_changed_on_its_way_is_seen(pair):
    kind = ring_sides.KINDS[ring_sides.OURS_C]

    def bent(deadline_ticks):
        """Side 0 begins with record 1, where side 1 expects 0."""
        writer, _ = pair.sides._handles(0)
        slots = np.ctypeslib.as_array((ring_sides.ctypes.c_uint64 * 8).from_address(writer.slots))
        slots[2:] = np.arange(1, 7)
        slots[0] = 1
        return 1

    outcome = pair.run("burst", kind, 1, bent)
    assert outcome.done < 0


def test_a_run_that_does_not_end_in_time_is_tried_again_and_a_wrong_one_is_not(monkeypatch):
    answers = iter([5, 5, 9])
    both = ring_pair.Pair.__new__(ring_pair.Pair)
    both.runs = 0
    monkeypatch.setattr(both, "_run", lambda *_: ring_pair.Outcome(next(answers), 1.0, 1.0), raising=False)
    kind = ring_sides.KINDS[ring_sides.OURS_C]
    assert both.run("hop", kind, 9, lambda deadline: 0).done == 9
    answers = iter([-1, 9])
    assert both.run("hop", kind, 9, lambda deadline: 0).done == -1


def test_a_peer_that_is_not_installed_says_how_to_install_it(tmp_path, monkeypatch):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "CONTENDERS", tmp_path)
    header = compiled.PEERS["ring_boost"].header
    (tmp_path / "ring_boost.cpp").write_text(f"#include <{header}.not-there>\n")
    with pytest.raises(CapabilityError, match="apt-get install libboost-dev"):
        compiled.load("ring_boost")


def test_a_library_that_pkg_config_does_not_know_says_how_to_install_it(monkeypatch):
    def refuse(command, **options):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(compiled.subprocess, "run", refuse)
    with pytest.raises(CapabilityError, match="apt-get install libdpdk-dev"):
        compiled.load("ring_rte")


def test_the_disruptor_without_its_jar_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "JARS", tmp_path)
    with pytest.raises(CapabilityError, match="apt-get install libdisruptor-java"), ring_disruptor.started((0, 1)):
        pass


def test_a_median_lies_within_the_step_of_a_clock_that_moves_in_steps():
    early, late = np.repeat([100, 126, 152], [40, 50, 10]), np.repeat([100, 126, 152], [10, 50, 40])
    assert 113 <= stepped_median(early) < 126 < stepped_median(late) <= 139
    assert stepped_median(np.repeat([100, 125, 126, 152], [30, 20, 20, 30])) == pytest.approx(125.5, abs=1)
    assert stepped_median(np.full(9, 7)) == 7


def test_the_median_of_a_fine_clock_is_the_median():
    ticks = np.random.default_rng(5).normal(500, 20, 10_000).astype(np.int64)
    ticks[:100] *= 50
    assert stepped_median(ticks) == np.median(ticks)


def test_wrong_records_of_ours_fail_the_suite_and_give_no_target():
    result = Result("ring", ring.TITLE)
    ring._judge(result)
    assert len(result.failures) == 2
    assert not result.targets


def test_observers_of_any_number_read_everything_or_say_what_they_missed(pair, monkeypatch):
    monkeypatch.setattr(ring_growth, "OBSERVERS", (0, 3, 8))
    rows = ring_growth.rows_of(pair, PLAN, 2, RECORDS)
    assert all(row.correct and row.ours and min(row.samples) > 0 for row in rows)
    assert {row.metric for row in rows} == {
        f"{metric}, {count} observers" for metric in ("burst", "burst rate") for count in (0, 3, 8)
    }


def test_a_growth_row_is_wrong_when_a_record_does_not_arrive(pair, monkeypatch):
    monkeypatch.setattr(ring_growth, "OBSERVERS", (1,))
    monkeypatch.setattr(ring_growth.ring_observers, "send", lambda *_: (RECORDS, 0))

    def short(what, kind, count, own, **more):
        return ring_pair.Outcome(own(0) - 1, 1e6, 1e6)

    monkeypatch.setattr(pair, "run", short)
    assert not any(row.correct for row in ring_growth.rows_of(pair, PLAN, 1, RECORDS))
