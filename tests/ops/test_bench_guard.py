"""The regression guard: what it lets pass, what it fails for, and that its C works compute what they must."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from gateway.cli.main import main
from gateway.errors import ConfigurationError, UsageError
from gateway.ops.bench.guard import check, counting, library, works

VERSIONS = {"gcc": "12.2.0", "python": "3.11", "numba": "0.68.1", "llvmlite": "0.50.0", "valgrind": "3.19.0"}
COUNTS = {"ring": ("C", 67.0), "book": ("numba", 286.3), "gate, plain C": ("control", 574.9)}


def counted(versions=VERSIONS, **changed):
    """What `count` gives, with the counts of COUNTS times the share named."""
    rows = [
        {"work": work, "side": side, "unit": "piece", "instructions": value * changed.get(work.split(",")[0], 1.0)}
        for work, (side, value) in COUNTS.items()
    ]
    return {"versions": dict(versions), "works": rows}


@pytest.fixture
def stored(tmp_path):
    check.store(counted(), tmp_path / "stored.json")
    return check.load(tmp_path / "stored.json")


def verdicts(stored, told):
    return {line.work: line.verdict.partition(":")[0] for line in check.compare(stored, told)}


def ok(stored, told):
    return check.to_data(told, check.compare(stored, told))["ok"]


def test_equal_counts_pass(stored):
    assert set(verdicts(stored, counted()).values()) == {"same"}
    assert ok(stored, counted())


def test_more_instructions_than_the_tolerance_fail_and_fewer_are_to_be_stored(stored):
    assert verdicts(stored, counted(ring=1.019))["ring"] == "same"
    assert verdicts(stored, counted(ring=1.021))["ring"] == "REGRESSION"
    assert not ok(stored, counted(ring=1.021))
    assert verdicts(stored, counted(book=0.9))["book"] == "better"
    assert ok(stored, counted(book=0.9))


def test_a_contender_that_moved_is_shown_and_fails_nothing(stored):
    told = counted(gate=1.5)
    assert verdicts(stored, told)["gate, plain C"] == "moved, and none of ours"
    assert ok(stored, told)


def test_what_is_no_longer_counted_fails_and_what_is_new_does_not(stored):
    fewer = counted()
    gone = fewer["works"].pop(0)
    assert (verdicts(stored, fewer)["ring"], ok(stored, fewer)) == ("GONE", False)
    more = counted()
    more["works"].append(gone | {"work": "ring, observed"})
    assert (verdicts(stored, more)["ring, observed"], ok(stored, more)) == ("new", True)


def test_another_compiler_widens_the_tolerance_of_its_own_side_and_says_so(stored):
    told = counted(VERSIONS | {"gcc": "14.2.0"}, ring=1.2, book=1.2)
    assert verdicts(stored, told) == {"ring": "same", "book": "REGRESSION", "gate, plain C": "same"}
    assert check.remarks(stored, told) == ["gcc 12.2.0 made the stored counts, 14.2.0 these: compared within 25%"]


def test_stored_counts_that_cannot_be_read_name_the_mend(tmp_path):
    (tmp_path / "stored.json").write_text("[]")
    for name in ("missing.json", "stored.json"):
        with pytest.raises(ConfigurationError, match="--guard --write"):
            check.load(tmp_path / name)


def test_the_stored_counts_of_the_repository_have_every_side():
    document = check.load()
    assert set(document["instructions"]) == set(check.COMPILERS)
    assert all(value > 0 for side in document["instructions"].values() for value in side.values())


@pytest.mark.parametrize(("told", "code"), [(counted(), 0), (counted(book=1.1), 1)])
def test_the_command_fails_for_a_regression(monkeypatch, capsys, stored, told, code):
    monkeypatch.setattr(check, "count", lambda report: told)
    monkeypatch.setattr(check, "load", lambda: stored)
    assert main(["bench", "--guard"]) == code
    assert ("REGRESSION" in capsys.readouterr().out) == bool(code)


def test_the_guard_stands_alone(capsys):
    for words in (["--guard", "--suite", "ring"], ["--write"]):
        assert main(["bench", *words]) == UsageError.exit_code
    assert "--guard" in capsys.readouterr().err


def test_a_dump_without_a_count_is_no_count(tmp_path):
    dump = tmp_path / "callgrind.out.1"
    dump.write_text("events: Ir\nsummary: 4711\n\ntotals: 4711\n")
    assert counting.instructions(dump) == 4711
    dump.write_text("events: Ir\n")
    with pytest.raises(Exception, match="no count"):
        counting.instructions(dump)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/include/valgrind/callgrind.h").exists(), reason="valgrind is not installed")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_works_in_c_compute_what_they_must(tmp_path):
    loaded = library.load(library.build(tmp_path))
    made = works.native_works(loaded, tmp_path)
    rows = np.zeros(len(made), counting.ROW)
    for row, work in zip(rows, made, strict=True):
        row["function"], row["state"], row["times"] = work.function, work.first, work.times
    loaded.count_all(rows.ctypes.data, len(rows))
    assert rows["result"].tolist() == [work.expected for work in made]
