"""Two results of the benchmark beside each other: what moved, what is drift, what is noise."""

import json

import pytest

from gateway.cli.main import main
from gateway.errors import UsageError
from gateway.ops.bench import compare, report

OURS, PEER = "gateway", "own C"
SCATTER = (0.99, 1.0, 1.0, 1.0, 1.01)


def row(contender, value, unit="ns/msg", metric="work", correct=True, scatter=SCATTER):
    samples = [value * share for share in scatter]
    return {
        "contender": contender,
        "metric": metric,
        "unit": unit,
        "ours": contender == OURS,
        "correct": correct,
        "samples": samples,
    }


def result(*rows, settings=None, machine=None, suite="decode"):
    return {
        "machine": {"cpu": "one", "cpu_count": 2, "commit": "0123456789abcdef", **(machine or {})},
        "suites": [{"suite": suite, "settings": {"messages": 1000, "rounds": 5, **(settings or {})}, "rows": list(rows)}],
    }


def verdict_of(then, now, contender=OURS):
    (change,) = [found for found in compare.compare(then, now) if found.key[1] == contender]
    return change.verdict


@pytest.mark.parametrize(
    ("then", "now", "said"), [(10, 8, "faster"), (8, 10, "slower"), (10, 10, "same"), (10, 10.1, "same"), (10, 9.9, "same")]
)
def test_a_change_counts_beyond_the_noise(then, now, said):
    assert verdict_of(result(row(OURS, then)), result(row(OURS, now))) == said


def test_what_moved_everybody_is_the_machine():
    then, now = result(row(OURS, 10), row(PEER, 20)), result(row(OURS, 15), row(PEER, 30))
    assert verdict_of(then, now) == "same" and verdict_of(then, now, PEER) == "peer"
    assert [found.drift for found in compare.compare(then, now)] == [1.5, None]
    better = result(row(OURS, 10), row(PEER, 30))
    assert verdict_of(then, better) == "faster"


def test_of_a_rate_more_is_better():
    then, now = result(row(OURS, 10, unit="M/s")), result(row(OURS, 20, unit="M/s"))
    assert (verdict_of(then, now), verdict_of(now, then)) == ("faster", "slower")


def test_rounds_that_scatter_say_less():
    wild = (0.5, 0.7, 1.0, 1.4, 2.0)
    assert verdict_of(result(row(OURS, 10, scatter=wild)), result(row(OURS, 8, scatter=wild))) == "same"
    assert verdict_of(result(row(OURS, 10), row(PEER, 10, scatter=wild)), result(row(OURS, 8), row(PEER, 10))) == "same"
    assert verdict_of(result(row(OURS, 10, scatter=(1.0,))), result(row(OURS, 5, scatter=(1.0,)))) == "same"


def test_a_wrong_result_is_not_faster():
    assert verdict_of(result(row(OURS, 10)), result(row(OURS, 5, correct=False))) == "wrong result"
    wrong_peer = result(row(OURS, 10), row(PEER, 5, correct=False))
    assert verdict_of(result(row(OURS, 10), row(PEER, 10)), wrong_peer) == "same"


def test_only_the_same_work_is_compared():
    then = result(row(OURS, 10))
    other = result(row(OURS, 5), settings={"messages": 999})
    assert compare.compare(then, other) == [] and "decode: other settings, not compared" in compare.remarks(then, other)
    assert verdict_of(then, result(row(OURS, 5), settings={"rounds": 50})) == "faster"
    assert compare.compare(then, result(row(OURS, 5, metric="other"))) == []


def test_another_machine_and_missing_suites_are_said():
    then, now = result(row(OURS, 10)), result(row(OURS, 10), machine={"cpu": "two"}, suite="ring")
    remarks = compare.remarks(then, now)
    assert "another machine: cpu one then, two now" in remarks and "only in the earlier run: decode" in remarks


def test_a_metric_without_a_sample_or_at_zero_is_left_out():
    nothing = result(row(OURS, 0), row(PEER, 10))
    assert [found.key[1] for found in compare.compare(nothing, nothing)] == [PEER]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"suites": 1, "machine": {}}'])
def test_a_file_that_is_no_result_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="no result of gateway bench --json"):
        report.load(path)
    with pytest.raises(UsageError):
        report.load(tmp_path / "absent.json")


def test_two_results_are_compared_without_a_run(tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    for path, value in ((old, 10), (new, 5)):
        path.write_text(json.dumps(result(row(OURS, value)) | {"ok": True}))
    assert main(["bench", "--from", str(new), "--compare", str(old), "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(found["verdict"], found["moved"]) for found in told["changes"]] == [("faster", 0.5)]
    assert main(["bench", "--from", str(new), "--compare", str(old)]) == 0
    assert "faster" in capsys.readouterr().out
    assert main(["bench", "--from", str(new)]) == 2
    assert "say what to do with it" in capsys.readouterr().err
