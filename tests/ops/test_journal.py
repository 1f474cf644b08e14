"""The journal: every record once and whole, across runs, torn ends and other builds."""

import os

import numpy as np
import pytest

from gateway import layout, limits
from gateway.config import load
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.errors import GatewayError
from gateway.instance import Instance, handle_address
from gateway.ops.journal import HEADER_BYTES, Journal, read
from gateway.ops.journal_context import read_context
from tests.corridor_bench import unique_name

RECORD_BYTES = limits.JOURNAL_SLOT_BYTES


@pytest.fixture
def instance():
    made = Instance.create(unique_name("journal"))
    yield made
    made.close(remove=True)


def put(instance, first, count, instrument=0):
    """Records with references from `first` on; how many found room."""
    writer, stored = instance.writer("core_journal"), 0
    for reference in range(first, first + count):
        slot = np.zeros(1, dtype=layout.dtype("journal_slot"))
        slot["kind"], slot["reference"], slot["time_ns"] = 1, reference, reference * 10
        slot["intent"]["instrument"] = instrument
        stored += ring.put(handle_address(writer), address_of(slot), RECORD_BYTES, address_of(slot), 0)
    return stored


def references(path):
    return read(path)["reference"].tolist()


def test_every_record_is_written_once_and_can_be_read_back(instance, tmp_path):
    journal = Journal(instance, tmp_path / "deep" / "folder")
    put(instance, 1, 10_000)
    assert journal.drain(0) == 10_000 and journal.drain(0) == 0
    put(instance, 10_001, 5)
    assert journal.drain(0) == 5 and journal.records == 10_005
    journal.close()
    journal.close()
    assert not journal.is_open and references(journal.path) == list(range(1, 10_006))
    assert journal.path.stat().st_mode & 0o077 == 0


def test_a_full_ring_takes_no_more_until_it_is_drained(instance, tmp_path):
    journal = Journal(instance, tmp_path)
    assert put(instance, 1, limits.JOURNAL_RING_DEPTH + 1) == limits.JOURNAL_RING_DEPTH
    assert journal.drain(0) == limits.JOURNAL_RING_DEPTH
    assert put(instance, 1, 1) == 1
    journal.close()


def test_a_second_run_goes_on_behind_the_first(instance, tmp_path):
    for first in (1, 4):
        journal = Journal(instance, tmp_path)
        put(instance, first, 3)
        journal.drain(0)
        journal.close()
    assert references(tmp_path / "journal.bin") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("torn_bytes", [1, 64, RECORD_BYTES - 1])
def test_a_torn_last_record_is_left_out_and_the_next_run_writes_over_it(instance, tmp_path, torn_bytes):
    journal = Journal(instance, tmp_path)
    put(instance, 1, 3)
    journal.drain(0)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b"\xff" * torn_bytes)
    assert references(journal.path) == [1, 2, 3]
    journal = Journal(instance, tmp_path)
    put(instance, 4, 1)
    journal.drain(0)
    journal.close()
    assert references(journal.path) == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"x", bytes(HEADER_BYTES + RECORD_BYTES)], ids=["short", "another build's"])
def test_a_file_of_another_build_is_put_aside_and_kept(instance, tmp_path, content):
    path = tmp_path / "journal.bin"
    for number in (1, 2):
        path.write_bytes(content)
        Journal(instance, tmp_path).close()
        assert references(path) == [] and (tmp_path / f"journal-{number}.bin").read_bytes() == content


@pytest.mark.parametrize("content", [None, b"", b"x" * 10, bytes(500)], ids=["absent", "empty", "short", "zeros"])
def test_what_is_no_journal_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "journal.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GatewayError, match=r"journal\.bin"):
        read(path)


def test_a_folder_that_cannot_be_made_is_one_line_with_the_mend(instance, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match=r"choose another \[journal\] folder"):
        Journal(instance, tmp_path / "file" / "below")


def test_a_disk_that_is_full_stops_with_the_records_still_in_the_ring(instance, tmp_path, monkeypatch):
    journal = Journal(instance, tmp_path)
    put(instance, 1, 2)

    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.ops.journal._write_all", full)
    with pytest.raises(GatewayError, match="No space left on device"):
        journal.drain(0)
    header = instance.rings["core_journal"].view("ring_header")[0]
    assert header["cursor"] == 0 and header["claimed"] == 2, "not acknowledged: core's ring keeps them"
    journal.close()


def test_observers_see_every_record_once_after_the_file_has_it_and_cannot_change_it(instance, tmp_path):
    journal, seen = Journal(instance, tmp_path), []

    def observe(records):
        assert references(journal.path)[-1] == records["reference"][-1], "the file has what an observer sees"
        seen.extend(records["reference"].tolist())
        with pytest.raises(ValueError, match="read-only"):
            records["reference"] = 0

    journal.observers.append(observe)
    put(instance, 1, 5000)
    journal.drain(0)
    put(instance, 5001, 1)
    journal.drain(0)
    journal.close()
    assert seen == list(range(1, 5002))


def test_what_was_written_but_not_acknowledged_is_in_the_file_once(instance, tmp_path, monkeypatch):
    """kill -9 between the write and the acknowledgement, and in the middle of the write."""
    put(instance, 1, 10)
    monkeypatch.setattr(ring, "acknowledge_drained", lambda reader: None)
    Journal(instance, tmp_path).drain(0)
    monkeypatch.undo()
    with (tmp_path / "journal.bin").open("r+b") as file:
        file.truncate(HEADER_BYTES + 7 * RECORD_BYTES + 50)
    put(instance, 11, 2)
    journal = Journal(instance, tmp_path)
    assert journal.drain(0) == 5
    journal.close()
    assert references(journal.path) == list(range(1, 13))


def test_the_same_place_in_another_run_s_ring_is_another_record(tmp_path):
    for first in (1, 4):
        made = Instance.create(unique_name("journal"))
        put(made, first, 3)
        journal = Journal(made, tmp_path)
        assert journal.drain(0) == 3
        journal.close()
        made.close(remove=True)
    assert references(tmp_path / "journal.bin") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("sync_ms", "syncs"), [(0, 4), (50, 2), (60_000, 1)])
def test_the_disk_is_asked_as_often_as_was_configured_and_only_for_something_new(
    instance, tmp_path, monkeypatch, sync_ms, syncs
):
    journal, asked = Journal(instance, tmp_path, load(None, {"journal.sync_ms": sync_ms})), []
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (asked.append(file), fdatasync(file)))
    start_ns = 1_000_000_000_000
    for turn in range(4):
        put(instance, turn + 1, 1)
        journal.drain(start_ns + turn * 20_000_000)
        journal.drain(start_ns + turn * 20_000_000 + 1_000_000)
    assert len([file for file in asked if file == journal._file]) == syncs
    journal.close()


def test_the_context_names_runs_symbols_and_the_clock_in_front_of_what_needs_them(instance, tmp_path):
    instance.rows("books")["symbol"][13] = b"AAPL    "
    choice = load(None, {"records.decision_maker": "desk 7", "session.site": "Q"})
    journal = Journal(instance, tmp_path, choice)
    put(instance, 1, 3)
    journal.drain(1)
    put(instance, 4, 2, instrument=13)
    journal.drain(2)
    journal.close()
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"record": 5, "kind": "instru')
    Journal(instance, tmp_path, choice).close()
    run, time, symbol, second = read_context(tmp_path / "journal.bin")
    assert (run["kind"], run["record"], run["site"], run["records"]["decision_maker"]) == ("run", 0, "Q", "desk 7")
    assert run["clock"]["multiplier"] == int(instance.control[0]["clock"]["multiplier"])
    assert (time["kind"], time["record"]) == ("clock", 0) and abs(time["offset_ns"]) < 1_000_000_000
    assert (time["error_us"] is None) != time["disciplined"]
    assert symbol == {"record": 3, "kind": "instrument", "instrument": 13, "symbol": "AAPL"}
    assert (second["kind"], second["record"]) == ("run", 5), "the torn line is gone"


def test_a_context_goes_where_its_journal_goes(instance, tmp_path):
    choice = load(None)
    Journal(instance, tmp_path, choice).close()
    (tmp_path / "journal.bin").write_bytes(b"x" * 500)
    Journal(instance, tmp_path, choice).close()
    assert len(read_context(tmp_path / "journal-1.bin")) == len(read_context(tmp_path / "journal.bin")) == 1
    (tmp_path / "journal.bin").unlink()
    Journal(instance, tmp_path, choice).close()
    assert len(read_context(tmp_path / "journal.bin")) == 1, "a context without its journal counts what is gone"
