"""`gateway enable`: a strategy that REPEAT disabled trades again when a human says so, with the code where one is set up."""

import time
from pathlib import Path

import pyotp
import pytest

from gateway.cli.main import main
from gateway.config import load
from gateway.ops import disabled, second_factor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The configuration of an appliance two of whose strategies are disabled."""
    file = tmp_path / "gateway.toml"
    file.write_text(f'[instance]\nname = "enable"\nstate = "{tmp_path}/state"\n')
    (tmp_path / "state").mkdir()
    disabled.path_in(tmp_path / "state").write_text("main\nother\n")
    return file


def names(path: Path) -> set[str]:
    return disabled.names(load(str(path)).state_folder)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


def test_without_a_second_factor_a_strategy_is_enabled_by_its_name(path, capsys):
    assert main(["enable", str(path), "main"]) == 0
    assert "from the next start on" in one_line(capsys) and names(path) == {"other"}
    assert main(["enable", str(path), "main"]) == 1
    assert "is not disabled" in one_line(capsys)


def test_a_code_that_nobody_set_up_is_refused_and_nothing_is_enabled(path, capsys):
    assert main(["enable", str(path), "main", "--code", "123456"]) == 2
    assert "gateway totp" in one_line(capsys) and names(path) == {"main", "other"}


def test_with_a_second_factor_nothing_is_enabled_without_its_code(path, capsys):
    secret, _ = second_factor.make(load(str(path)))
    right = pyotp.TOTP(secret).now()
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for words, code in (([], 2), (["--code", "12"], 2), (["--code", wrong], 5)):
        assert main(["enable", str(path), "main", *words]) == code
        assert "code" in one_line(capsys) and names(path) == {"main", "other"}


def test_a_code_enables_one_strategy_once_and_is_not_used_up_for_one_that_is_not_disabled(path, capsys):
    secret, _ = second_factor.make(load(str(path)))
    code = pyotp.TOTP(secret).at(time.time())
    assert main(["enable", str(path), "nobody", "--code", code]) == 1
    assert main(["enable", str(path), "main", "--code", code]) == 0 and names(path) == {"other"}
    capsys.readouterr()
    assert main(["enable", str(path), "other", "--code", code]) == 5
    assert "used already" in one_line(capsys) and names(path) == {"other"}


def test_a_secret_that_the_configuration_names_and_nobody_made_lets_nobody_in(path, capsys):
    path.write_text(path.read_text() + f'[second_factor]\nsecret_file = "{path.parent}/absent"\n')
    assert main(["enable", str(path), "main", "--code", "123456"]) == 5
    assert "no secret" in one_line(capsys) and names(path) == {"main", "other"}


def test_a_list_that_cannot_be_read_disables_everybody_until_the_code_is_given(path, capsys):
    secret, _ = second_factor.make(load(str(path)))
    disabled.path_in(load(str(path)).state_folder).write_bytes(b"\xff\xfe")
    assert main(["enable", str(path), "main"]) == 2
    assert main(["enable", str(path), "main", "--code", pyotp.TOTP(secret).now()]) == 0 and names(path) == set()
