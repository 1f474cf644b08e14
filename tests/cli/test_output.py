"""What verbs print with: data on stdout, whatever moves on stderr."""

from decimal import Decimal

import numpy as np
import pytest

from gateway.cli import output


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of our own in the place of time."""
    made = Clock()
    monkeypatch.setattr(output, "time", made)
    return made


def test_json_is_one_line_and_knows_numpy_decimals_and_bytes(capsys: pytest.CaptureFixture[str]):
    data = {"count": np.int64(3), "price": Decimal("1.50"), "text": b"AAPL", "rows": np.array([1, 2]), "set": {1}}
    output.print_json(data)
    captured = capsys.readouterr()
    assert captured.out == '{"count": 3, "price": "1.50", "text": "AAPL", "rows": [1, 2], "set": [1]}\n'
    assert captured.err == ""


def test_progress_without_a_terminal_is_silent_for_two_seconds_then_a_line(clock: Clock, capsys):
    with output.progress("replaying", total=200) as update:
        update(10)
        clock.now = 1.9
        update(50)
        assert capsys.readouterr().err == ""
        clock.now = 2.0
        update(60)
        clock.now = 3.9
        update(70)
        assert capsys.readouterr().err == "replaying: 30 %\n"
        clock.now = 4.0
        update(150, "closing")
    captured = capsys.readouterr()
    assert captured.err == "closing: 75 %\n"
    assert captured.out == ""


def test_progress_without_a_total_says_how_many_or_how_long(clock: Clock, capsys):
    with output.progress("compiling") as update:
        clock.now = 2.0
        update(0)
        clock.now = 4.0
        update(12_345)
    assert capsys.readouterr().err == "compiling: 2 s\ncompiling: 12,345\n"


def test_a_table_prints_its_cells_as_they_are(capsys: pytest.CaptureFixture[str]):
    output.print_table(("name", "count"), [("[bold]x[/bold]", 12), ("y", 3)], numeric=("count",))
    assert capsys.readouterr().out.splitlines() == [
        "name            count",
        "[bold]x[/bold]     12",
        "y                   3",
    ]


def test_waiting_without_a_terminal_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]):
    with output.waiting("compiling kernels"):
        pass
    assert capsys.readouterr() == ("", "compiling kernels …\n")
