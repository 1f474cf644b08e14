"""The one-word scripts: what they do when nothing changed, what they clean, and what they never touch."""

import mmap
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("bench", "check", "clean", "demo", "setup", "test", "testbed")


def run(script: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script from a folder that is not the clone's."""
    surroundings = {**os.environ, **environment}
    return subprocess.run(
        [str(script), *words],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        env=surroundings,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Scripts and what they look at, in a folder that is no clone of ours."""
    for folder in ("scripts", ".ci"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "ring.c").write_text("int ring;\n")
    for name in ("setup.py", "pyproject.toml", "cffi_build.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "gateway").mkdir()
    return tmp_path


def test_every_script_is_one_word_runs_anywhere_and_parses():
    names = sorted(path.name for path in (ROOT / "scripts").iterdir())
    assert names == sorted(VERBS)
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]:
        assert os.access(path, os.X_OK), path
        assert subprocess.run(["bash", "-n", path], timeout=20).returncode == 0


def test_continuous_integration_calls_the_same_scripts():
    text = (ROOT / ".ci" / "run").read_text()
    assert "scripts/setup check test vagrant" in text, "once, with all of them: each new word installs anew"
    assert "scripts/check" in text
    assert "scripts/test " in text
    assert "scripts/testbed " in text


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), ["-m", "not slow and not long"]),
        (("--all",), []),
        (("--all", "--durations=25"), ["--durations=25"]),
        (("-m", "long"), ["-m", "long"]),
        (("tests/link", "-k", "two words"), ["tests/link", "-k", "two words"]),
    ],
)
def test_the_tests_are_those_of_under_ten_minutes_all_or_what_is_named(clone: Path, words: tuple, asked: list):
    (clone / "scripts" / "setup").write_text("#!/bin/sh\n")
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    done = run(clone / "scripts" / "test", *words)
    assert done.stdout.splitlines() == ["-m", "pytest", "-q", *asked] and done.returncode == 0


def test_continuous_integration_runs_all_and_fails_when_one_does(clone: Path):
    for verb, code in (("setup", 0), ("check", 1), ("test", 0), ("bench", 0), ("testbed", 0)):
        (clone / "scripts" / verb).write_text(f"#!/bin/sh\necho ran {verb} $1\nexit {code}\n")
    done = run(clone / ".ci" / "run")
    assert done.stdout.splitlines() == [
        "ran setup check",
        "ran check",
        "ran test --all",
        "ran bench --guard",
        "ran testbed vfio",
    ]
    assert done.returncode == 1
    (clone / "scripts" / "check").write_text("#!/bin/sh\n")
    assert run(clone / ".ci" / "run").returncode == 0
    for verb in ("testbed", "bench", "setup"):
        (clone / "scripts" / verb).write_text("#!/bin/sh\nexit 5\n")
        assert run(clone / ".ci" / "run").returncode == 1
        (clone / "scripts" / verb).write_text("#!/bin/sh\n")


TRIES = """#!/bin/sh
echo ran test $*
mkdir -p .pytest_cache/v/cache
case "$*" in *--last-failed*) exit SECOND ;; esac
echo 'FAILED' >.pytest_cache/v/cache/lastfailed
exit FIRST
"""


@pytest.mark.parametrize(
    ("first", "failed", "second", "code"),
    [
        (1, '{"a": true}', 0, 0),
        (1, '{"a": true, "b": true, "c": true}', 0, 0),
        (1, '{"a": true}', 1, 1),
        (1, '{"a": true}', 5, 1),  # nothing was run
        (1, '{"a": true, "b": true, "c": true, "d": true}', None, 1),
        (1, "{}", None, 1),  # pytest never came so far
        (2, '{"a": true}', None, 1),  # tests that could not be collected
        (124, '{"a": true}', None, 1),  # not all were run
        (0, "{}", None, 0),
    ],
)
def test_continuous_integration_gives_a_few_failed_tests_a_second_try(clone: Path, first, failed, second, code):
    for verb in ("setup", "check", "bench", "testbed"):
        (clone / "scripts" / verb).write_text("#!/bin/sh\n")
    text = TRIES.replace("FIRST", str(first)).replace("FAILED", failed).replace("SECOND", str(second))
    (clone / "scripts" / "test").write_text(text)
    done = run(clone / ".ci" / "run")
    again = ["once more, by themselves:", "ran test --all --last-failed --last-failed-no-failures=none"]
    assert done.stdout.splitlines() == ["ran test --all --durations=25", *(again if second is not None else [])]
    assert done.returncode == code


def test_what_failed_in_an_earlier_run_stands_for_nothing_in_continuous_integration(clone: Path):
    for verb, code in (("setup", 0), ("check", 0), ("test", 1), ("bench", 0), ("testbed", 0)):
        (clone / "scripts" / verb).write_text(f"#!/bin/sh\necho ran {verb}\nexit {code}\n")
    stale = clone / ".pytest_cache" / "v" / "cache" / "lastfailed"
    stale.parent.mkdir(parents=True)
    stale.write_text('{"a": true}')
    done = run(clone / ".ci" / "run")
    assert done.stdout.splitlines().count("ran test") == 1 and done.returncode == 1


def test_continuous_integration_says_what_was_skipped_where_the_host_cannot(clone: Path):
    for verb, code in (("setup", 0), ("check", 0), ("test", 0), ("bench", 4), ("testbed", 4)):
        (clone / "scripts" / verb).write_text(f"#!/bin/sh\nexit {code}\n")
    done = run(clone / ".ci" / "run")
    assert done.returncode == 0
    guard, testbed = done.stdout.splitlines()
    assert guard.startswith("skipped: scripts/bench --guard") and testbed.startswith("skipped: scripts/testbed")


def test_setup_refuses_in_one_line_a_machine_without_a_recent_python(clone: Path):
    tools = clone / "tools"
    tools.mkdir()
    for name in (
        "bash",
        "env",
        "dirname",
        "mkdir",
        "flock",
        "cat",
        "sed",
        "sort",
        "tr",
        "sha256sum",
        "find",
        "xargs",
        "grep",
    ):
        (tools / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    text = (clone / "scripts" / "setup").read_text().replace(" /usr/bin/python3;", ";")
    (clone / "scripts" / "setup").write_text(text)
    done = run(clone / "scripts" / "setup", PATH=str(tools))
    assert done.returncode == 4
    assert done.stderr.startswith("setup: needs python3, version 3.11 or later")
    assert done.stdout == ""


def test_clean_removes_what_building_left_and_keeps_the_sources(clone: Path):
    for name in (
        "build/x",
        "x.egg-info/y",
        "gateway/_native.c",
        "gateway/_native.abi3.so",
        "gateway/__pycache__/z.pyc",
    ):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("")
    (clone / ".venv").mkdir()
    (clone / "gateway" / "_native.pyi").write_text("")
    assert run(clone / "scripts" / "clean").returncode == 0
    left = sorted(str(path.relative_to(clone)) for path in clone.rglob("*") if "scripts" not in path.parts)
    assert left == [
        ".ci",
        ".ci/run",
        ".venv",
        "cffi_build.py",
        "gateway",
        "gateway/_native.pyi",
        "native",
        "native/ring.c",
    ] + [
        "pyproject.toml",
        "setup.py",
    ]
    assert run(clone / "scripts" / "clean", "--all").returncode == 0
    assert not (clone / ".venv").exists()


def test_clean_refuses_a_word_it_does_not_know(clone: Path):
    done = run(clone / "scripts" / "clean", "--everything")
    assert done.returncode == 2
    assert done.stderr == "scripts/clean: unknown word --everything; write nothing or --all\n"


def test_clean_removes_shared_memory_that_nobody_maps_and_keeps_what_lives(clone: Path):
    live, stale = (Path(f"/dev/shm/gateway-test-{os.getpid()}-{word}") for word in ("live", "stale"))
    text = (clone / "scripts" / "clean").read_text()
    assert "/dev/shm/gateway-*" in text
    # only these two: the machine may run instances of other people
    (clone / "scripts" / "clean").write_text(text.replace("/dev/shm/gateway-*", f"/dev/shm/gateway-test-{os.getpid()}-*"))
    try:
        for folder in (live, stale):
            folder.mkdir()
            (folder / "control").write_bytes(bytes(4096))
        with (live / "control").open("r+b") as file, mmap.mmap(file.fileno(), 4096):
            done = run(clone / "scripts" / "clean")
        assert done.returncode == 0
        assert (live.exists(), stale.exists()) == (True, False)
        assert sorted(done.stdout.splitlines()) == [f"in use: {live}", f"removed: {stale}"]
    finally:
        shutil.rmtree(live, ignore_errors=True)
        shutil.rmtree(stale, ignore_errors=True)
