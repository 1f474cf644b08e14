"""`gateway kill` where there is nothing to kill, and clearing the latch. The kill itself: tests/integration/test_kill.py."""

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops import kill_file
from tests.corridor_bench import unique_name


@pytest.fixture
def settings(tmp_path: Path) -> tuple[str, Path, Path]:
    """Name, configuration file and state folder of an appliance that does not run."""
    name, path = unique_name("kill"), tmp_path / "gateway.toml"
    path.write_text(f'[instance]\nname = "{name}"\nstate = "{tmp_path}/state"\n')
    return name, path, tmp_path / "state"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


def test_without_an_instance_it_says_what_runs(capsys, settings):
    assert main(["kill", "--instance", settings[0]]) == 5
    line = one_line(capsys)
    assert "no instance" in line and settings[0] in line and "gateway run" in line


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "x" * 41])
def test_a_name_that_leaves_its_folder_is_refused(name, capsys):
    assert main(["kill", "--instance", name or "-"]) == 5
    assert "instance name" in one_line(capsys)


def test_an_instance_without_its_configuration_is_latched_all_the_same(capsys, settings):
    instance = Instance.create(settings[0])
    try:
        assert main(["kill", "--instance", settings[0]]) == 5
        assert "the latch is set" in one_line(capsys)
        assert instance.control[0]["kill_latch"] == lib.KILL_COMMAND
    finally:
        instance.close(remove=True)


def test_clear_clears_and_says_what_it_was(capsys, settings):
    name, path, state = settings
    kill_file.set_latch(state, "COMMAND")
    assert main(["kill", "--clear", "--config", str(path)]) == 0
    assert "it was set by: COMMAND" in one_line(capsys) and kill_file.reason(state) is None
    assert main(["kill", "--clear", "--config", str(path)]) == 0
    assert "the latch was clear" in one_line(capsys)


def test_a_running_appliance_is_never_cleared(capsys, settings):
    name, path, state = settings
    kill_file.set_latch(state, "COMMAND")
    instance = Instance.create(name)
    try:
        assert main(["kill", "--clear", "--config", str(path)]) == 2
        assert "stop it first" in one_line(capsys) and kill_file.reason(state)
    finally:
        instance.close(remove=True)


def test_what_a_killed_control_left_behind_does_not_keep_the_latch(capsys, settings):
    name, path, state = settings
    kill_file.set_latch(state, "COMMAND")
    instance = Instance.create(name)
    instance.close()  # the lock is gone, the folder is not
    try:
        assert main(["kill", "--clear", "--config", str(path)]) == 0
        assert kill_file.reason(state) is None
    finally:
        instance.close(remove=True)


def test_an_instance_in_another_folder_is_found_by_its_configuration(capsys, settings, tmp_path):
    name, path, state = settings
    path.write_text(path.read_text() + f'folder = "{tmp_path}"\n')
    instance = Instance.create(name, tmp_path)
    document = {"instance": {"name": name, "folder": str(tmp_path), "state": str(state)}}
    (instance.folder / "configuration.json").write_text(json.dumps(document))
    try:
        assert main(["kill", "--clear", "--config", str(path)]) == 2
        assert main(["kill", "--config", str(path / "absent")]) == 3
        capsys.readouterr()
        beats = instance.control[0]["heartbeats"]
        beats["state"][:] = 0  # nobody runs: nothing is open, nothing confirms
        code = main(["kill", "--config", str(path), "--json"])
        assert instance.control[0]["kill_latch"] == lib.KILL_COMMAND and kill_file.reason(state).startswith("COMMAND")
        assert code in (0, 1) and json.loads(capsys.readouterr().out)["reason"] == "COMMAND"
    finally:
        instance.close(remove=True)
