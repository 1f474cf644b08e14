"""The structured log: one line for people, the same as JSON, files that give way, and failures that stop nobody."""

import io
import json
import stat

import pytest

from gateway.config import load
from gateway.ops.log import Log, LogFile, open_log


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def configuration(tmp_path, **keys):
    return load(None, {"instance.state": str(tmp_path), "instance.name": "quiet", **keys})


def test_a_line_for_people_is_the_same_line_in_the_file_with_its_ids(tmp_path, capsys):
    log = open_log(configuration(tmp_path), "control")
    log.warning("process_ended", "process io ended (signal SIGKILL)", ended="io")
    log.bind(signal=7).info("fill", reference=12)
    log.close()
    assert capsys.readouterr().err == "gateway run: process io ended (signal SIGKILL)\n"
    path = tmp_path / "log" / "control.jsonl"
    ended, fill = lines(path)
    assert {**ended, "time": ""} == {
        "time": "",
        "level": "warning",
        "event": "process_ended",
        "ended": "io",
        "text": "process io ended (signal SIGKILL)",
        "instance": "quiet",
        "process": "control",
    }
    assert (fill["event"], fill["reference"], fill["signal"], "text" in fill) == ("fill", 12, 7, False)
    assert ended["time"].endswith("Z") and len(ended["time"]) == len("2026-01-05T09:30:00.123456Z")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_full_file_gives_way_and_as_many_are_kept_as_were_asked_for(tmp_path, kept):
    log = Log("run", LogFile(tmp_path / "control.jsonl", 2000, kept))
    for number in range(200):
        log.info("turn", number=number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + kept and all(path.stat().st_size <= 2000 for path in files)
    numbers = sorted(line["number"] for path in files for line in lines(path))
    assert numbers == list(range(200 - len(numbers), 200)), "the newest lines, none twice, none torn"


def test_a_disk_that_takes_nothing_is_said_once_and_the_rest_is_counted(tmp_path):
    out = io.StringIO()
    log = Log("run", LogFile(tmp_path / "control.jsonl", 2000, 1), out)
    (tmp_path / "control.jsonl").unlink()
    (tmp_path / "control.jsonl").symlink_to("/dev/full")
    log.close()  # the next line opens the file again, and finds a device that is full
    for number in range(3):
        log.warning("turn", f"turn {number}")
    said = out.getvalue().splitlines()
    assert [line for line in said if "turn" in line] == [f"gateway run: turn {number}" for number in range(3)]
    assert len(said) == 4 and "No space left on device; it goes on without" in said[1] and log.lost == 3


def test_a_folder_that_cannot_be_made_leaves_the_line_for_people(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    log = open_log(configuration(tmp_path / "file"), "control")
    log.error("stop", "stopped")
    first, second = capsys.readouterr().err.splitlines()
    assert "log" in first and "goes on without" in first and second == "gateway run: stopped"


def test_what_json_does_not_know_is_written_as_text(tmp_path):
    log = Log("run", LogFile(tmp_path / "x.jsonl", 2000, 1))
    log.info("odd", place=tmp_path, name="Zürich", data={1})
    log.close()
    (line,) = lines(tmp_path / "x.jsonl")
    assert (line["place"], line["name"], line["data"]) == (str(tmp_path), "Zürich", "{1}")
