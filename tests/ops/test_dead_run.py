"""What a dead run left: the records in its ring reach the journal before its memory is removed, or nothing is removed."""

import os

import pytest

from gateway import layout
from gateway.config import load
from gateway.errors import GatewayError
from gateway.instance import Instance, folder_of
from gateway.ops import journal as journals
from gateway.ops.dead_run import rescue_journal
from gateway.ops.journal import Journal
from gateway.ops.process import CONFIGURATION_FILE
from gateway.ops.supervisor import Supervisor
from tests.corridor_bench import unique_name
from tests.ops.test_journal import put, references


@pytest.fixture
def dead(tmp_path):
    """A run of name and folder whose control is gone: its memory lies there, its lock is free."""
    made = Instance.create(unique_name("dead"), tmp_path)
    os.close(made._lock)
    made._lock = None
    return made


def choice(dead, tmp_path, **keys):
    return load(
        None, {"instance.name": dead.name, "instance.folder": str(tmp_path), "instance.state": str(tmp_path / "s"), **keys}
    )


def test_records_of_a_dead_run_go_into_its_own_journal_behind_what_it_wrote(dead, tmp_path):
    own = choice(dead, tmp_path, **{"journal.folder": str(tmp_path / "own")})
    (dead.folder / CONFIGURATION_FILE).write_text(own.model_dump_json(by_alias=True))
    put(dead, 1, 5)
    journal = Journal(dead, tmp_path / "own", own)
    journal.drain(0)
    put(dead, 6, 5000)
    assert rescue_journal(dead.folder, tmp_path / "other") == 5000
    assert references(tmp_path / "own" / "journal.bin") == list(range(1, 5006))
    assert not (tmp_path / "other").exists()
    assert rescue_journal(dead.folder, tmp_path / "other") == 0, "once"


def test_the_next_start_rescues_before_it_removes(dead, tmp_path, capsys):
    put(dead, 1, 300)
    supervisor = Supervisor(choice(dead, tmp_path))
    try:
        assert supervisor.instance.rings["core_journal"].view("ring_header")[0]["claimed"] == 0
        assert references(tmp_path / "s" / "journal.bin") == list(range(1, 301))
    finally:
        supervisor.stop()
        supervisor.close()
    assert "300 records of the dead run went into its journal" in capsys.readouterr().err


def test_a_start_that_cannot_write_them_is_refused_and_removes_nothing(dead, tmp_path, monkeypatch):
    put(dead, 1, 3)

    def full(file, records):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journals, "_write_all", full)
    with pytest.raises(GatewayError, match="No space left on device"):
        Supervisor(choice(dead, tmp_path))
    monkeypatch.undo()
    assert rescue_journal(dead.folder, tmp_path / "s") == 3
    assert references(tmp_path / "s" / "journal.bin") == [1, 2, 3]


def test_memory_of_another_build_is_copied_beside_the_journal(dead, tmp_path):
    put(dead, 1, 3)
    dead.regions["gate"].view("region_header")[0]["layout_hash"] += 1
    assert rescue_journal(dead.folder, tmp_path / "s") == 0
    (copy,) = (tmp_path / "s").iterdir()
    assert copy.name == "core_journal-1.ring" and copy.read_bytes() == (dead.folder / "core_journal").read_bytes()


def test_a_folder_without_a_run_or_without_records_leaves_no_trace(dead, tmp_path):
    assert rescue_journal(folder_of("nobody", tmp_path), tmp_path / "s") == 0
    assert rescue_journal(dead.folder, tmp_path / "s") == 0
    dead.regions["gate"].view("region_header")[0]["layout_hash"] += 1
    assert rescue_journal(dead.folder, tmp_path / "s") == 0
    (dead.folder / "core_journal").write_bytes(b"")
    assert rescue_journal(dead.folder, tmp_path / "s") == 0
    assert not (tmp_path / "s").exists() and layout.size("journal_slot") == 192
