"""The journal: every record once and whole, across runs, torn ends and other builds."""

import numpy as np
import pytest

from gateway import layout, limits
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.errors import GatewayError
from gateway.instance import Instance, handle_address
from gateway.ops.journal import HEADER_BYTES, Journal, read
from tests.corridor_bench import unique_name

RECORD_BYTES = limits.JOURNAL_SLOT_BYTES


@pytest.fixture
def instance():
    made = Instance.create(unique_name("journal"))
    yield made
    made.close(remove=True)


def put(instance, first, count):
    """Records with references from `first` on; how many found room."""
    writer, stored = instance.writer("core_journal"), 0
    for reference in range(first, first + count):
        slot = np.zeros(1, dtype=layout.dtype("journal_slot"))
        slot["kind"], slot["reference"], slot["time_ns"] = 1, reference, reference * 10
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
