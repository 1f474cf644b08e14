"""The journal of access: one chained line each, a flood in one line a second, bounded, and what a disk does to it."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.rights import journal_file
from gateway.link.rights.journal import ENDED, GRANTED, REFUSED, Attempt, Journal
from gateway.link.rights.journal_file import JournalFile
from tests.link import access_desk as desk

ROOT = Path(__file__).resolve().parents[2]
SECOND = desk.SECOND_NS
REFUSAL = Attempt("connect", REFUSED, "ADDRESS", address="203.0.113.1")
GRANT = Attempt("open", GRANTED, "", 2, "192.0.2.20", "desk-7", "snapshots", True)


def counted(lines: list[bytes]) -> int:
    """Attempts that lines stand for."""
    return sum(json.loads(line).get("count", 1) for line in lines)


def test_a_line_says_when_who_from_where_for_what_and_why() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    assert journal.record(GRANT, 1_767_605_400_123_456_789)
    line = json.loads(sink.lines[0])
    assert len(line.pop("chain")) == 64
    assert line == {
        "time": "2026-01-05T09:30:00.123456Z",
        "event": "open",
        "outcome": "granted",
        "peer": 2,
        "address": "192.0.2.20",
        "principal": "desk-7",
        "stream": "snapshots",
        "proven": True,
    }


def test_of_one_address_the_first_five_of_a_second_are_written_and_the_others_counted() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    for number in range(100):
        assert journal.record(REFUSAL._replace(reason="ADDRESS" if number % 2 else "GEOFENCE"), desk.NOW + number)
    assert len(sink.lines) == limits.ACCESS_LINES_PER_SOURCE
    journal.tick(desk.NOW + SECOND)
    flood = json.loads(sink.lines[-1])
    assert (flood["event"], flood["count"], flood["addresses"]) == ("flood", 95, 1)
    assert flood["reasons"] == {"ADDRESS": 48, "GEOFENCE": 47} and counted(sink.lines) == 100
    journal.record(REFUSAL, desk.NOW + SECOND)
    assert json.loads(sink.lines[-1])["event"] == "connect", "a new second begins in full"


@pytest.mark.slow
def test_a_flood_from_100_000_addresses_is_bounded_and_nobody_is_lost() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    journal.record(REFUSAL, desk.NOW)
    tracemalloc.start()
    for number in range(100_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        journal.record(REFUSAL._replace(address=address), desk.NOW + number * 30_000)  # three seconds
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    journal.close()
    assert held < 2 << 20, f"{held} bytes"
    assert len(sink.lines) <= 4 * (limits.ACCESS_LINES_PER_SECOND + 1)
    assert counted(sink.lines) == 100_001
    floods = [json.loads(line) for line in sink.lines if b'"flood"' in line]
    assert all(flood["addresses"] <= limits.ACCESS_SOURCES_MAX and flood["from_other_addresses"] > 0 for flood in floods)


def test_a_grant_is_written_in_full_in_the_middle_of_a_flood() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    for number in range(5_000):
        journal.record(REFUSAL._replace(address=f"10.0.{number >> 8}.{number & 255}"), desk.NOW)
    assert journal.record(GRANT, desk.NOW) and b'"granted"' in sink.lines[-1]
    assert journal.record(Attempt("end", ENDED, "EXPIRED"), desk.NOW) and b'"ended"' in sink.lines[-1]


def test_every_line_is_synced_within_a_second() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    journal.record(REFUSAL, desk.NOW)
    journal.tick(desk.NOW + SECOND - 1)
    assert sink.synced == 0
    journal.tick(desk.NOW + SECOND)
    assert sink.synced == 1
    journal.record(REFUSAL, desk.NOW + SECOND)
    journal.tick(desk.NOW - 3600 * SECOND)
    assert sink.synced == 2, "also when the clock steps back"


def test_a_clock_that_steps_back_loses_no_count() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    for number in range(300):
        journal.record(REFUSAL, desk.NOW - number * SECOND // 10)
    journal.close()
    assert counted(sink.lines) == 300


def test_a_disk_that_takes_nothing_grants_nothing_and_counts() -> None:
    sink = desk.Lines()
    journal = Journal(sink)
    sink.failing = True
    assert not journal.record(GRANT, desk.NOW)
    for _ in range(20):
        journal.record(REFUSAL, desk.NOW)
    journal.tick(desk.NOW + SECOND)
    assert journal.unwritten == 21 and journal.problem == "No space left on device"
    sink.failing = False
    assert journal.record(GRANT, desk.NOW + SECOND)


def test_text_of_a_stranger_cannot_end_a_line_or_forge_one(tmp_path: Path) -> None:
    file = JournalFile(tmp_path)
    journal = Journal(file)
    evil = '7", "chain": "' + "0" * 64 + '"}\n{"event": "open", "outcome": "granted"'
    journal.record(REFUSAL._replace(address=evil * 50, principal=evil, stream="\x00\u2028"), desk.NOW)
    journal.record(GRANT, desk.NOW)
    journal.close()
    file.close()
    lines = (tmp_path / "access.jsonl").read_bytes().splitlines()
    assert len(lines) == 2 and len(json.loads(lines[0])["address"]) <= limits.ADDRESS_TEXT_MAX
    assert journal_file.check([tmp_path / "access.jsonl"])[:3] == (2, 0, "")


# On disk


def written(folder: Path, count: int, bytes_max: int = 1 << 20) -> None:
    """That many lines by one process."""
    file = JournalFile(folder, bytes_max)
    journal = Journal(file)
    for number in range(count):
        assert journal.record(GRANT._replace(peer=number), desk.NOW + number)
    journal.close()
    file.close()


def test_the_chain_goes_on_across_restarts_and_files(tmp_path: Path) -> None:
    for _ in range(4):
        written(tmp_path, 25, 4_000)
    files = journal_file.files_of(tmp_path / "access.jsonl")
    found = journal_file.check(files)
    assert len(files) > 3 and (found.lines, found.torn, found.broken_at) == (100, 0, "")
    assert max(path.stat().st_size for path in files) < 8_400
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_a_crash_between_two_files_does_not_break_the_chain(tmp_path: Path) -> None:
    written(tmp_path, 5)
    (tmp_path / "access.jsonl").rename(tmp_path / "access-1.jsonl")
    written(tmp_path, 5)
    assert journal_file.check(journal_file.files_of(tmp_path / "access.jsonl"))[:3] == (10, 0, "")


@pytest.mark.parametrize("tamper", ["change", "remove", "swap", "add", "bare", "head"])
def test_a_line_that_is_changed_added_or_taken_out_is_found(tmp_path: Path, tamper: str) -> None:
    written(tmp_path, 9)
    path = tmp_path / "access.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if tamper == "change":
        lines[4] = lines[4].replace(b'"peer": 4', b'"peer": 5')
    elif tamper == "remove":
        del lines[4]
    elif tamper == "swap":
        lines[4], lines[5] = lines[5], lines[4]
    elif tamper == "add":
        lines.insert(4, lines[3])
    elif tamper == "bare":  # no chain, and no line that a crash has cut either
        lines.insert(4, lines[3].partition(b', "chain"')[0] + b"}\n")
    else:
        del lines[0]
    path.write_bytes(b"".join(lines))
    place = 1 if tamper == "head" else 5
    assert journal_file.check([path]).broken_at == f"{path}:{place}"


def test_a_line_that_a_crash_has_torn_is_ended_and_stays_out_of_the_chain(tmp_path: Path) -> None:
    written(tmp_path, 3)
    path = tmp_path / "access.jsonl"
    for cut in (1, 40, 120):
        path.write_bytes(path.read_bytes()[:-cut])
        written(tmp_path, 2)
    found = journal_file.check([path])
    assert found.broken_at == "" and found.torn == 2 and found.lines == 3 + 3 * 2 - 2


def test_a_line_that_the_disk_took_in_part_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = JournalFile(tmp_path)
    journal = Journal(file)
    journal.record(GRANT, desk.NOW)
    right = os.write
    with monkeypatch.context() as patch:
        patch.setattr(journal_file.os, "write", lambda handle, data: right(handle, data[:30]))
        assert not journal.record(GRANT, desk.NOW)
    assert journal.record(GRANT, desk.NOW) and journal.unwritten == 1
    file.close()
    assert journal_file.check([tmp_path / "access.jsonl"])[:3] == (2, 1, "")


def test_a_sync_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = JournalFile(tmp_path)
    journal = Journal(file)
    tried = []

    def fails(handle: int) -> None:
        tried.append(handle)
        raise OSError(errno.EIO, "Input/output error")

    journal.record(GRANT, desk.NOW)
    with monkeypatch.context() as patch:
        patch.setattr(journal_file.os, "fdatasync", fails)
        for second in range(6):
            journal.tick(desk.NOW + second * SECOND)
            file.wait()
    assert len(tried) == 3 and journal.problem == "Input/output error"
    for second in (6, 7, 8):
        journal.tick(desk.NOW + second * SECOND)
        file.wait()
    assert file.sync(), "and once it works, the disk has it"
    file.close()


def test_nobody_waits_for_a_slow_disk_and_nothing_of_the_order_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = JournalFile(tmp_path, 4_000)
    journal = Journal(file)
    free, right = threading.Event(), os.fdatasync

    def slow(handle: int) -> None:
        assert free.wait(30)
        right(handle)

    monkeypatch.setattr(journal_file.os, "fdatasync", slow)
    for number in range(20):  # past the size of one file, which cannot give way before the disk has it
        assert journal.record(GRANT._replace(peer=number), desk.NOW + number * SECOND)
    assert not file.sync() and len(journal_file.files_of(file.path)) == 1
    free.set()
    file.wait()
    while not file.sync():
        file.wait()
    assert journal.record(GRANT, desk.NOW + 20 * SECOND) and len(journal_file.files_of(file.path)) == 2
    journal.close()
    found = journal_file.check(journal_file.files_of(file.path))
    assert (found.lines, found.broken_at) == (21, "")


def test_a_file_that_grows_faster_than_the_disk_takes_it_stays_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = os.fdatasync
    monkeypatch.setattr(journal_file.os, "fdatasync", lambda handle: (time.sleep(0.02), right(handle)))
    written(tmp_path, 100, 4_000)
    files = journal_file.files_of(tmp_path / "access.jsonl")
    assert len(files) > 1 and max(path.stat().st_size for path in files) < 8_400
    assert journal_file.check(files)[:3] == (100, 0, "")


def test_a_process_that_is_killed_loses_no_line(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from gateway.link.rights.journal import *\nfrom gateway.link.rights.journal_file import *\n"
        "journal = Journal(JournalFile(Path(sys.argv[1])))\n"
        "[journal.record(Attempt('connect', REFUSED, 'ADDRESS', address=str(n)), n * 10**9) for n in range(40)]\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, timeout=60).returncode == -9
    assert journal_file.check([tmp_path / "access.jsonl"])[:3] == (40, 0, "")


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "access.jsonl").mkdir()
    with pytest.raises(GatewayError, match="nobody is let in without a journal"):
        JournalFile(tmp_path)
