"""The pictures of a result: what is drawn, what is left out, and that it is SVG."""

import builtins
import json
import math
import xml.etree.ElementTree as ElementTree

import pytest

from gateway.cli.main import main
from gateway.errors import CapabilityError
from gateway.ops.bench import plots

STAGES = {"receive → decode": 100.0, "decode → order": 700.0, "order → port": 200.0, "tick → order": 1000.0}


def row(contender, metric, samples, unit="ns", correct=True):
    return {
        "contender": contender,
        "metric": metric,
        "unit": unit,
        "ours": contender.startswith("gateway"),
        "correct": correct,
        "samples": samples,
    }


def ring_rows():
    return [
        row(name, f"hop {metric}", [value * scale] * 3)
        for name, scale in (("gateway", 1.0), ("classic", 2.0))
        for metric, value in (("p50", 80.0), ("p99", 120.0), ("p99.9", 300.0))
    ]


@pytest.fixture
def document():
    stages = [row("gateway", f"{stage} mean", [ns * 0.9, ns, ns * 1.1]) for stage, ns in STAGES.items()]
    stages += [row("gateway", f"{stage} p50", [ns] * 3) for stage, ns in STAGES.items()]
    rates = [row("gateway", "burst", [40.0] * 3, "M/s"), row("classic", "burst", [20.0] * 3, "M/s")]
    return {
        "ok": True,
        "quick": True,
        "machine": {"cpu": "a cpu", "commit": "0123456789abcdef", "time": "now"},
        "suites": [{"suite": "ring", "rows": ring_rows() + rates}, {"suite": "tick-to-order", "rows": stages}],
    }


def test_a_ratio_is_ours_by_theirs_of_the_same_round_and_rates_are_turned(document):
    found = {what: shares for what, _, shares in plots.ratios(document)}
    assert found == {f"ring hop {name}": [0.5] * 3 for name in ("p50", "p99", "p99.9")} | {"ring burst": [0.5] * 3}


def test_a_wrong_result_is_not_drawn(document):
    for wrong in document["suites"][0]["rows"]:
        wrong["correct"] = wrong["contender"] == "gateway"
    panels, _ = plots.curves_of(document)
    assert plots.ratios(document) == []
    assert [list(curves) for title, curves in panels.items() if title.startswith("ring")] == [["hop"]]


def test_a_curve_is_a_contender_and_where_we_are_alone_a_latency(document):
    panels, ours = plots.curves_of(document)
    assert panels["ring hop (ns)"]["classic"] == [(50.0, 160.0), (99.0, 240.0), (99.9, 600.0)]
    assert list(panels["tick-to-order, gateway (ns)"]) == list(STAGES)
    assert ours >= {"gateway"} and "classic" not in ours


def texts(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg") and all(math.isfinite(float(word)) for word in root.attrib["viewBox"].split())
    return " ".join(element.text or "" for element in root.iter() if element.tag.endswith("}text"))


@pytest.mark.slow
def test_three_pictures_say_where_they_come_from(document, tmp_path):
    written = plots.draw(document, tmp_path)
    assert [path.name for path in written] == ["ratios.svg", "percentiles.svg", "budget.svg"]
    for path in written:
        assert "gateway bench --quick, commit 0123456789, a cpu, now" in texts(path)
    assert "1,000 ns" in texts(written[2]) and "0.50" in texts(written[0]) and "p99.9" in texts(written[1])


def test_the_same_result_gives_the_same_bytes(document, tmp_path):
    first = [path.read_bytes() for path in plots.draw(document, tmp_path)]
    assert [path.read_bytes() for path in plots.draw(document, tmp_path)] == first


def test_what_a_result_does_not_have_is_not_drawn(document, tmp_path):
    document["suites"] = [{"suite": "decode", "rows": [row("gateway", "decode", [5.0])]}]
    assert plots.draw(document, tmp_path) == []


def test_without_the_library_one_line_says_what_to_install(document, tmp_path, monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(CapabilityError, match=r"pip install 'bypass-gateway\[plots\]'"):
        plots.draw(document, tmp_path)


def test_the_command_draws_an_earlier_result(document, tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert main(["bench", "--from", str(path), "--plots", str(tmp_path)]) == 0
    assert "budget.svg" in capsys.readouterr().err and (tmp_path / "ratios.svg").exists()
    assert main(["bench", "--from", str(path), "--plots", str(tmp_path / "absent")]) == 2
    assert "does not exist" in capsys.readouterr().err
