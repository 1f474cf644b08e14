"""The command itself: exit codes, one-line errors, quiet ends, and that a verb costs only its own imports."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cli import main as command
from gateway.errors import (
    EXIT_CAPABILITY,
    EXIT_CONFIGURATION,
    EXIT_DONE,
    EXIT_FAULT,
    EXIT_USAGE,
    CapabilityError,
    ConfigurationError,
    GatewayError,
    UsageError,
)

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch):
    """Puts a function in the place of `gateway kill`'s run."""

    def put(function):
        module = SimpleNamespace(configure=lambda parser: None, run=function)
        monkeypatch.setattr(command, "import_verb", lambda name: module)

    return put


def leaves_with(problem: BaseException):
    """A run that raises."""

    def run(arguments):
        raise problem

    return run


def gateway(*words: str, **more) -> subprocess.CompletedProcess:
    """Runs the command as its own process."""
    line = [sys.executable, "-m", "gateway.cli.main", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, **more)


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (UsageError("no such feed"), EXIT_USAGE, "gateway kill: no such feed\n"),
        (ConfigurationError("bad key"), EXIT_CONFIGURATION, "gateway kill: bad key\n"),
        (CapabilityError("needs root"), EXIT_CAPABILITY, "gateway kill: needs root\n"),
        (GatewayError("two\nlines"), EXIT_FAULT, "gateway kill: two lines\n"),
        (OSError(28, "No space left"), EXIT_FAULT, "gateway kill: OSError: [Errno 28] No space left\n"),
        (
            ValueError("odd"),
            EXIT_FAULT,
            "gateway kill: unexpected ValueError: odd; GATEWAY_TRACEBACK=1 shows where\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_error_is_one_line_and_its_exit_code(verb, capsys, problem, code, line):
    verb(leaves_with(problem))
    assert command.main(["kill"]) == code
    captured = capsys.readouterr()
    assert captured.err == line
    assert captured.out == ""


def test_the_exit_code_of_a_verb_is_the_exit_code_of_the_command(verb):
    for code in (EXIT_DONE, 1):
        verb(lambda arguments, code=code: code)
        assert command.main(["kill"]) == code


def test_a_traceback_is_shown_when_asked_for(verb, monkeypatch):
    monkeypatch.setenv("GATEWAY_TRACEBACK", "1")
    verb(leaves_with(ValueError("odd")))
    with pytest.raises(ValueError, match="odd"):
        command.main(["kill"])


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ([], "gateway: the following arguments are required: VERB; see gateway --help"),
        (["tpo"], "gateway: argument VERB: invalid choice: 'tpo'"),
        (["show-config", "--yaml"], "gateway: unrecognized arguments: --yaml; see gateway"),
        (["show-config", "--js"], "gateway: unrecognized arguments: --js; see gateway"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(capsys, words, start):
    with pytest.raises(SystemExit) as left:
        command.main(words)
    assert left.value.code == EXIT_USAGE
    captured = capsys.readouterr()
    assert captured.err.startswith(start)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_every_verb_of_the_list_has_its_file_and_its_help():
    for name in command.VERBS:
        assert command.verb_file(name).exists(), name
        assert command.help_of(name), f"{name} has no HELP"


def test_the_help_lists_every_verb_and_imports_none():
    code = (
        "import sys; from gateway.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name in ('numba', 'numpy', 'pydantic', 'rich', 'cffi')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in command.VERBS:
        assert f"\n    {name}" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_configuration_error_leaves_with_3_from_a_real_process():
    done = gateway("show-config", "absent.toml")
    assert done.returncode == EXIT_CONFIGURATION
    assert done.stderr.startswith("gateway show-config: absent.toml: no such file")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_reader_that_goes_away_ends_the_command_quietly():
    line = [sys.executable, "-m", "gateway.cli.main", "show-config", "--markdown"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(line, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 128 + signal.SIGPIPE


def test_the_version_is_printed():
    done = gateway("--version")
    assert (done.returncode, done.stdout) == (EXIT_DONE, "gateway 0.1.0\n")
