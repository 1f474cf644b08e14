"""A disk that takes its time: the link's loop goes on, nobody is suspected, and nothing counts before the disk has it."""

import functools
import json
import os
import random
import threading
import time
from pathlib import Path

import pytest

from gateway.link import client_session
from gateway.link.client_session import ClientSession
from gateway.link.peers.event import Suspect
from gateway.link.peers.peer_settings import PeerSettings
from gateway.link.rights.access_files import AccessFiles, AccessPaths
from gateway.link.rights.counter_file import ProcessCounter
from gateway.link.rights.durable_floors import DurableFloors
from gateway.link.rights.grants import Denied, Grant
from gateway.link.rights.mark_writer import MarkWriter
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_keys import DAY_NS, DerivedKeys, day_of
from gateway.link.rights.token_source import Issuer, TokenSource
from tests.link import access_desk as desk
from tests.link.stream_core import NaiveCore
from tests.link.stream_gateway import CLIENT, SOURCE, Gateway

SYNC_SECONDS = 1.2  # of each fsync, and a mark needs two
SUSPECT_NS = 400_000_000  # a busy machine may stall for longer than 50 ms; this disk takes three times as long
SECONDS = 60.0
ADDRESSES = f'version = 1\n[peers.{CLIENT}]\nallow = ["127.0.0.0/8"]\n'.encode()
ROLES = f"""version = 1
[roles.risk]
bit = 0
streams = ["all"]
[principals.risk]
roles = ["risk"]
nodes = [{CLIENT}]
""".encode()


class Disk:
    """Every sync of the process; it can be stopped, slow, and full."""

    def __init__(self, monkeypatch):
        self.free, self.fails, self.seconds, self.syncs = threading.Event(), False, 0.0, 0
        self.free.set()
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, functools.partial(self._sync, getattr(os, name)))

    def _sync(self, right, file):
        self.syncs += 1
        time.sleep(self.seconds)
        assert self.free.wait(SECONDS)
        if self.fails:
            raise OSError(28, "No space left on device")
        right(file)


@pytest.fixture
def disk(monkeypatch):
    made = Disk(monkeypatch)
    yield made
    made.free.set()
    made.seconds = 0.0


def until(holds, what=""):
    deadline = time.monotonic() + SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.002)
    return found


# ---- marks ---------------------------------------------------------------------------------------------------------


def marks_in(path: Path) -> dict:
    return json.loads(path.read_bytes())


def test_a_mark_stands_when_the_disk_has_it_and_not_before(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "marks.json"
    marks = MarkWriter(DurableFloors(path, 8))
    disk.free.clear()
    assert not marks.raise_to("a", 7) and not marks.raise_to("a", 7) and not marks.raise_to("b", 9)
    assert marks.floor("a") == marks.floor("b") == 0
    disk.free.set()
    until(lambda: marks.raise_to("a", 7))
    assert marks.floor("a") == 7 and marks_in(path)["floors"]["a"] == 7
    assert marks.floor("b") == 0, "whose turn comes next"
    until(lambda: marks.raise_to("b", 9))
    assert marks_in(path)["floors"] == {"a": 7, "b": 9}
    marks.close()


def test_a_mark_that_the_disk_does_not_take_is_told_and_the_next_one_is_written_again(tmp_path: Path, disk: Disk) -> None:
    marks = MarkWriter(DurableFloors(tmp_path / "marks.json", 8))
    disk.fails = True
    with pytest.raises(OSError, match="No space"):
        until(lambda: marks.raise_to("a", 7))
    assert marks.floor("a") == 0
    disk.fails = False
    until(lambda: marks.raise_to("a", 7))
    assert marks.floor("a") == 7
    marks.close()


def test_what_was_kept_beforehand_is_raised_without_the_disk_and_is_not_in_force_before(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "floors.json"
    floors = DurableFloors(path, 3)
    floors.keep("roles", 8)
    floors.keep("addresses", 4)
    assert (floors.floor("roles"), floors.floor("addresses")) == (0, 0) and marks_in(path)["floors"]["roles"] == 8
    before = disk.syncs
    floors.raise_to("roles", 8)
    floors.raise_to("addresses", 4)
    assert disk.syncs == before and (floors.floor("roles"), floors.floor("addresses")) == (8, 4)
    floors.raise_to("roles", 9)
    assert disk.syncs > before, "which nobody had kept"
    floors.close()
    floors = DurableFloors(path, 3)
    assert (floors.floor("roles"), floors.floor("addresses")) == (9, 4)
    floors.close()


def test_a_stream_is_granted_once_the_disk_has_the_mark_and_its_token_counts_once(tmp_path: Path, disk: Disk) -> None:
    house = desk.Gatehouse(tmp_path)
    lines = len(house.journal())
    disk.free.clear()

    def ask(data: bytes) -> Grant | Denied:
        return house.access.open_stream(desk.PEER, desk.ADDRESS, "snapshots", data, desk.SESSION, desk.NOW)

    data = desk.minted()
    assert ask(data) == ask(data) == Denied(Reason.LATER)
    assert len(house.journal()) == lines and not house.access.counters, "nothing has been decided"
    disk.free.set()
    assert isinstance(desk.decided(lambda: ask(data)), Grant)
    floors = marks_in(tmp_path / "state" / "link" / "token_marks.json")["floors"]
    assert floors["desk-7"] >= desk.token().issued_ns
    assert desk.decided(lambda: ask(data)) == Denied(Reason.REPLAYED)
    house.close()


def test_a_new_file_of_roles_is_taken_without_a_wait_and_nobody_falls_between_two_versions(
    tmp_path: Path, disk: Disk
) -> None:
    house = desk.Gatehouse(tmp_path)
    disk.free.clear()
    house.write("roles", desk.ROLES.replace(b"version = 7", b"version = 8"))
    now_ns = desk.NOW + desk.SECOND_NS
    assert house.files is not None and house.files.poll(now_ns) == []
    until(lambda: disk.syncs, "the thread has it")
    assert house.files.poll(now_ns) == [] and house.access.roles is not None and house.access.roles.version == 7
    disk.free.set()
    until(lambda: house.files.poll(now_ns) == [] and house.access.roles.version == 8)
    house.close()


# ---- the loop ------------------------------------------------------------------------------------------------------


class Verified:
    """The desk of a source: real access on real files."""

    def __init__(self, folder: Path, now_ns: int):
        days = dict.fromkeys((day_of(now_ns), day_of(now_ns + DAY_NS // 2)), desk.TOKEN_KEY)
        keys = DerivedKeys(desk.Ring(days))
        self.folder = folder
        self._source = TokenSource(Issuer("risk", 1, 60 * desk.SECOND_NS), keys, ProcessCounter(desk.BOOT))
        for kind, content in (("roles", ROLES), ("addresses", ADDRESSES)):
            self.write(kind, content)
        paths = AccessPaths(folder / "state", folder / "roles.toml", folder / "addresses.toml")
        self.files = AccessFiles(SOURCE, paths, keys, desk.SIGNER_PUBLIC, now_ns - desk.SECOND_NS)
        assert self.files.poll(now_ns) == []

    def write(self, kind: str, content: bytes) -> None:
        (self.folder / f"{kind}.toml").write_bytes(desk.signed(kind, content))

    def tokens(self, stream, method, binding, payload, now_ns):
        return self._source.token(stream, SOURCE, binding, now_ns, method, payload)

    def ended(self, now_ns):
        """As the process looks: files first."""
        assert self.files.poll(now_ns) == []
        return self.files.access.ended(now_ns)

    def __getattr__(self, name):
        return getattr(self.files.access, name)


@pytest.mark.slow
def test_a_disk_that_takes_a_second_for_everything_suspects_nobody(tmp_path: Path, disk: Disk, monkeypatch) -> None:
    monkeypatch.setattr(client_session, "PeerSettings", functools.partial(PeerSettings, suspect_ns=SUSPECT_NS))
    verified = Verified(tmp_path, time.time_ns())
    gateway = Gateway(NaiveCore(random.Random(4), node=SOURCE), desk=verified)
    session, events = ClientSession(gateway.settings()), []
    note = session._note
    session._note = lambda event: (events.append(event), note(event))
    try:
        until(lambda: session.turn(0.001) and session.is_up)
        disk.seconds = SYNC_SECONDS
        began = time.monotonic()
        session.want("market_data", None, False)
        session.want("executions", None, False)
        verified.write("roles", ROLES.replace(b"version = 1", b"version = 2"))
        streams = session.reader.asking.streams
        until(lambda: session.turn(0.001) and all(row.state.value == "open" for row in streams.values()), streams)
        assert time.monotonic() - began > 2 * SYNC_SECONDS, "the disk was slow, and they waited for it"
        until(lambda: session.turn(0.001) and verified.roles.version == 2)
        until(lambda: session.turn(0.001) and verified.files.journal._sync_ns is None, "the journal is on the disk")
        assert disk.syncs >= 7, "two marks or one, a version, the journal"
        assert [event for event in events if isinstance(event, Suspect)] == [] and session.is_up
    finally:
        disk.seconds = 0.0
        session.leave()
        gateway.stop()
        verified.files.close()
