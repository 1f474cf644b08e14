"""`gateway kill` where there is nothing to kill, and clearing the latch. The kill itself: tests/integration/test_kill.py."""

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops import kill_file, kill_report
from gateway.ops.kill_report import KillReport, Residual
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


def reported(state: Path, **fields: object) -> None:
    """The state folder as a kill leaves it."""
    kill_file.set_latch(state, "COMMAND")
    kill_report.save(state, KillReport(reason="COMMAND", confirmed=True, **fields))  # type: ignore[arg-type]


def test_clear_clears_after_a_clean_kill_and_says_what_it_was(capsys, settings):
    name, path, state = settings
    reported(state)
    assert main(["kill", "--clear", "--config", str(path)]) == 0
    assert "it was set by: COMMAND" in one_line(capsys) and kill_file.reason(state) is None
    assert main(["kill", "--clear", "--config", str(path)]) == 0
    assert "the latch was clear" in one_line(capsys)
    events = [json.loads(line)["event"] for line in (state / kill_report.LOG_FILE).read_text().splitlines()]
    assert events == ["kill", "clear"] and kill_report.last(state) is None


def test_what_is_unresolved_is_named_and_cleared_by_force_only_and_written_down(capsys, settings):
    name, path, state = settings
    reported(state, residuals=[Residual("SIM0001", -300, "the time was over")])
    assert main(["kill", "--clear", "--config", str(path)]) == 1
    said = capsys.readouterr().err
    assert "unresolved: position SIM0001 -300: the time was over" in said and "--force" in said
    assert kill_file.reason(state)
    assert main(["kill", "--clear", "--force", "--config", str(path)]) == 0
    last = json.loads((state / kill_report.LOG_FILE).read_text().splitlines()[-1])
    assert last["forced"] and "SIM0001" in last["unresolved"][0] and kill_file.reason(state) is None


def test_a_latch_without_a_report_and_without_a_drop_copy_is_unresolved(capsys, settings):
    name, path, state = settings
    kill_file.set_latch(state, "CORE_DIED")
    assert main(["kill", "--clear", "--config", str(path)]) == 1
    assert "nobody here knows what is open" in capsys.readouterr().err


def test_where_a_second_factor_is_set_up_clearing_needs_it(capsys, settings):
    import pyotp

    name, path, state = settings
    reported(state)
    assert main(["totp", str(path), "--new"]) == 0
    secret = (state / "second_factor").read_text().strip()
    capsys.readouterr()
    assert main(["kill", "--clear", "--config", str(path)]) == 2
    assert "--code" in one_line(capsys) and kill_file.reason(state)
    assert main(["kill", "--clear", "--config", str(path), "--code", "000000"]) == 5
    assert "wrong code" in one_line(capsys) and kill_file.reason(state)
    assert main(["kill", "--clear", "--config", str(path), "--code", pyotp.TOTP(secret).now()]) == 0
    assert kill_file.reason(state) is None


@pytest.mark.parametrize("words", [["--code", "123456"], ["--force"]])
def test_words_of_clear_are_refused_without_it(words, capsys, settings):
    assert main(["kill", *words]) == 2 and "--clear" in one_line(capsys)


def test_where_nothing_runs_the_configuration_says_whose_latch_is_set_on_disk(capsys, settings):
    name, path, state = settings
    assert main(["kill", "--config", str(path)]) == 5
    assert "the latch on disk is set, so none starts" in one_line(capsys)
    assert kill_file.reason(state).startswith("COMMAND")


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
    reported(state)
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
