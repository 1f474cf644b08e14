"""Curves of growth: their gates, their points, the picture of them; and the facts about the machine behind every figure."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from gateway.ops.bench import book_growth, gate_growth, growth_plot, machine, plots, ring_growth, start_times
from gateway.ops.bench.suite import Plan, Row, run_suite
from gateway.ops.bench.suites import growth

PLAN = Plan(quick=True, report=lambda share, what: None)
ONE, TWO = "100 symbols", "10,000 symbols"


def point(contender, metric, samples, unit="ns/msg", correct=True):
    return {"contender": contender, "metric": metric, "unit": unit, "ours": True, "correct": correct, "samples": samples}


def document(rows):
    machine = {"cpu": "a cpu", "commit": "0123456789abcdef", "time": "now"}
    return {"ok": True, "quick": True, "machine": machine, "suites": [{"suite": "growth", "rows": rows}]}


def test_a_metric_at_a_number_of_something_is_a_point_of_its_contenders_curve():
    rows = [point(ONE, f"feed at {count} live orders", [value] * 3) for count, value in (("2,000", 8.0), ("500", 5.0))]
    rows += [point(TWO, "feed at 500 live orders", [6.0]), point(TWO, "feed", [1.0]), point(TWO, "wait until io", [1.0])]
    rows += [point(TWO, "feed at 2,000 live orders", [9.0], correct=False)]
    panels = growth_plot.panels_of(document(rows))
    assert panels == {
        ("growth: feed", "live orders", "ns/msg"): {
            ONE: [(500.0, 5.0, 5.0, 5.0), (2000.0, 8.0, 8.0, 8.0)],
            TWO: [(500.0, 6.0, 6.0, 6.0)],
        }
    }


@pytest.mark.slow
def test_curves_become_an_svg_with_their_labels_and_single_points_do_not(tmp_path):
    flat = [point(ONE, f"feed at {count:,} live orders", [50.0, 51.0, 52.0]) for count in (100_000, 1_000_000)]
    steep = [point(TWO, f"decision at {count:,} accounts", [float(count)] * 3, "ns/order") for count in (1, 16, 256)]
    (path,) = plots.draw(document(flat + steep), tmp_path)
    text = path.read_text()
    assert path.name == "growth.svg"
    assert ElementTree.fromstring(text).tag.endswith("svg")
    for words in ("growth: feed (ns/msg)", "live orders", ONE, "100 k", "1 M", "accounts", "256"):
        assert words in text
    assert growth_plot.picture(document(flat[:1])) is None


def test_a_gate_in_every_size_refuses_what_is_wrong_before_what_passes_is_timed():
    rows, failures = gate_growth.measure((1, 64), (1, 4), 2, PLAN)
    assert not failures
    assert all(row.correct and len(row.samples) == 2 and min(row.samples) > 0 for row in rows)
    assert [row.metric.partition(" at ")[2] for row in rows] == [
        "1 instruments",
        "64 instruments",
        "1 accounts",
        "4 accounts",
    ]


def test_a_gate_that_lets_a_wrong_order_pass_is_not_timed(monkeypatch):
    monkeypatch.setattr(gate_growth, "QUANTITY_WRONG", 100)
    rows, failures = gate_growth.measure((8,), (), 1, PLAN)
    assert (rows, len(failures)) == ([], 1)


def test_resident_bytes_are_those_of_pages_that_were_touched():
    body = np.zeros(64 << 20, np.uint8)
    before = book_growth.resident_bytes(body)
    body[: 8 << 20] = 1
    assert before + (4 << 20) <= book_growth.resident_bytes(body) < body.nbytes


@pytest.mark.long
def test_books_of_every_size_equal_the_twin_and_one_share_too_many_is_found(monkeypatch):
    monkeypatch.setattr(book_growth, "BATCH", 500)
    points = [book_growth.Point(symbols, live) for symbols in (5, 50) for live in (200, 2000)]
    *_, (_, rows, failures) = book_growth.measure(points, 2)
    assert not failures
    assert {len(row.samples) for row in rows if row.metric.startswith("feed")} == {2 * book_growth.BATCHES}
    books = book_growth.Books(points[0], 1)
    books.fill()
    assert (books.differences(), books.live()) == (0, books.flow.counts.sum())
    books.flow.levels[tuple(place[0] for place in books.flow.counts.nonzero())] += 1
    assert books.differences() == 1


def test_a_quick_run_skips_the_cold_start_with_the_reason(monkeypatch):
    row = Row("gateway", "feed at 1 live orders", "ns", True, True, [1.0])
    monkeypatch.setattr(book_growth, "measure", lambda points, passes: iter([("books", [row], ["a level differs"])]))
    monkeypatch.setattr(gate_growth, "measure", lambda *sizes: ([row], []))
    monkeypatch.setattr(ring_growth, "measure", lambda plan: [row])
    monkeypatch.setattr(start_times, "ready_seconds", lambda: 2.0)
    result = run_suite("growth", PLAN)
    assert not result.ok
    assert result.failures == ["a level differs"]
    assert growth.COLD_SKIPPED in result.skipped.values()
    assert [row.samples for row in result.rows if row.metric == start_times.WARM] == [[2.0, 2.0]]
    assert 0 < min(result.rows[-2].samples) < start_times.HELP_SECONDS_MAX
    assert result.seconds > 0


def test_a_result_names_machine_versions_and_commit():
    facts = machine.facts()
    for name in (
        "cpu",
        "governor",
        "kernel",
        "hugepages",
        "hugepages_by_size",
        "transparent_hugepages",
        "compiler",
        "commit",
    ):
        assert facts[name] not in ("", None), name
    assert {"numba", "numpy", "llvmlite"} <= facts["packages"].keys()
    assert facts["dpdk"]
    assert facts["cpu_seconds"]["steal"] >= 0
