"""A result as a page: nothing that the result holds is left out."""

import json

import pytest

from gateway.cli.main import main
from gateway.ops.bench import markdown


def row(contender, metric, median, ours=False, correct=True):
    quartiles = [median * 0.9, median * 1.1]
    return {
        "contender": contender,
        "metric": metric,
        "unit": "ns",
        "ours": ours,
        "correct": correct,
        "median": median,
        "quartiles": quartiles,
        "samples": [median],
    }


@pytest.fixture
def told():
    targets = [
        {"what": "work | here", "value": 2.0, "limit": 4.0, "unit": "ns", "met": True},
        {"what": "rest", "value": 9.0, "limit": 4.0, "unit": "ns", "met": False},
    ]
    suite = {
        "suite": "decode",
        "title": "Decoding",
        "rows": [row("gateway", "work", 2.0, ours=True), row("peer", "work", 5.0), row("liar", "work", 1.0, correct=False)],
        "targets": targets,
        "skipped": {"absent": "not installed: install it"},
        "notes": ["one note"],
        "failures": ["one failure"],
        "seconds": 12.4,
    }
    machine = {"cpu": "a CPU", "cpu_count": 2, "kernel": "6.1", "commit": "0123"}
    return {"quick": False, "machine": machine, "noise": {"busy_share": 0.5, "steal_share": 0.01}, "suites": [suite]}


def test_every_target_row_skip_note_and_failure_is_there(told):
    page = markdown.page(told)
    assert "| `decode` | work \\| here | 2.00 ns | ≤ 4 ns | met |" in page
    assert "| `decode` | rest | 9.00 ns | ≤ 4 ns | **missed** |" in page
    assert "| peer | work (ns) | 5.00 | 4.50 – 5.50 | 2.50 × |  |" in page
    assert "| liar | work (ns) | 1.00 | 0.90 – 1.10 | 0.50 × | **differs: does not count** |" in page
    for said in ("skipped absent: not installed: install it", "- one note", "**failed**: one failure", "a CPU", "1.0%"):
        assert said in page


def test_without_one_row_of_ours_nothing_is_a_ratio_to_it(told):
    told["suites"][0]["rows"][0]["correct"] = False
    assert "×" not in markdown.page(told)
    told["suites"][0]["rows"] = [row("a", "work", 1.0, ours=True), row("b", "work", 2.0, ours=True), row("c", "work", 3.0)]
    assert "×" not in markdown.page(told)


def test_the_command_writes_the_page_of_a_result_that_is_there(told, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(told | {"ok": True}), encoding="utf-8")
    assert main(["bench", "--from", str(tmp_path / "run.json"), "--markdown", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == markdown.page(told)
