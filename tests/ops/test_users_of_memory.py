"""Shared memory whose processes are users of their own: who may write what, tried by children that are other users."""

import ctypes
import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from grp import getgrgid

import pytest

from gateway import pipeline
from gateway.errors import AttachError, ConfigurationError
from gateway.instance import Instance
from gateway.ops import rescue
from gateway.ops.privileges import share
from gateway.ops.process import CONFIGURATION_FILE, HEARTBEATS, POPULATED, PROBLEM_FILE
from tests.corridor_bench import unique_name

OWNER, OTHER = 61_001, 61_002  # no users of a host; numbers are enough for the kernel
GROUP, STRANGERS = 65_534, 61_003
TABLES = {table.name for table in (*pipeline.RINGS, *pipeline.REGIONS)}


def as_user(user, group, attempt):
    """What `attempt` returns in a child that is another user; the text of an error it raises; "signal N" where it dies."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(reader)
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            try:
                said = attempt()
            except (OSError, AttachError) as problem:
                said = str(problem)
            os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else json.loads(text)


@pytest.fixture
def shared(as_root):
    """An instance of OWNER's that the processes of GROUP may join."""
    instance = Instance.create(unique_name("users"))
    try:
        for name in (CONFIGURATION_FILE, PROBLEM_FILE):
            (instance.folder / name).touch(mode=0o600)
        for path in [instance.folder, *instance.folder.iterdir()]:
            os.chown(path, OWNER, OWNER)
        share(instance.folder, getgrgid(GROUP).gr_name, readable=(CONFIGURATION_FILE,), writable=(PROBLEM_FILE,))
        yield instance
    finally:
        instance.close(remove=True)


def opened(folder, flags):
    """Names in the folder that this process can open so."""
    names = set()
    for path in sorted(folder.iterdir()):
        with suppress(PermissionError):
            os.close(os.open(path, flags))
            names.add(path.name)
    return sorted(names)


def test_another_user_writes_what_is_its_own_reads_the_tables_and_nothing_else(shared):
    written = as_user(OTHER, GROUP, lambda: opened(shared.folder, os.O_RDWR))
    assert written == sorted({*pipeline.group_writable(), PROBLEM_FILE})
    assert not {"gate", "orders", "holdings", "windows", "executions", "recent", "post_trade"} & set(written)
    read = as_user(OTHER, GROUP, lambda: opened(shared.folder, os.O_RDONLY))
    assert set(read) == TABLES | {CONFIGURATION_FILE, PROBLEM_FILE}  # the lock is control's
    assert set(as_user(OWNER, OWNER, lambda: opened(shared.folder, os.O_RDWR))) == {*read, "lock"}


def test_nobody_outside_the_group_reads_a_byte(shared):
    assert "Permission denied" in as_user(OTHER, STRANGERS, lambda: opened(shared.folder, os.O_RDONLY))
    assert "Permission denied" in as_user(OTHER, STRANGERS, lambda: bool(Instance.attach(shared.name, writable=())))


@pytest.mark.parametrize("stage", ["io", "session", "link"])
def test_a_stage_of_another_user_attaches_with_what_the_table_gives_it_and_not_with_more(shared, stage):
    limits = shared.regions["gate"].view("gate_account")[0]
    limits["limits_version"] = 42

    def attach(writable):
        instance = Instance.attach(shared.name, writable=writable)
        instance.control[0]["epoch"] += 1
        return int(instance.regions["gate"].view("gate_account")[0]["limits_version"])

    assert as_user(OTHER, GROUP, lambda: attach(pipeline.writable_by(stage))) == 42
    assert shared.control[0]["epoch"] == 1
    assert "gate: Permission denied" in as_user(OTHER, GROUP, lambda: attach({"gate", *pipeline.writable_by(stage)}))


def test_a_write_past_the_view_of_a_gate_mapped_read_only_ends_who_tries(shared):
    def write():
        faulthandler.disable()  # its end is wanted
        gate = Instance.attach(shared.name, writable=()).address("gate")
        ctypes.memset(gate, 0, 8)
        return "written"

    assert as_user(OTHER, GROUP, write) == f"signal {signal.SIGSEGV.value}"


def test_no_file_of_control_is_replaced_removed_or_added_by_another_user(shared):
    def add():
        (shared.folder / "keep_positions").touch()
        return "added"

    def remove():
        (shared.folder / "gate").unlink()
        return "removed"

    def replace():
        (shared.folder / "control").rename(shared.folder / "gate")
        return "replaced"

    for attempt in (add, remove, replace):
        assert "Permission denied" in as_user(OTHER, GROUP, attempt), attempt.__name__
    (shared.folder / PROBLEM_FILE).write_text("")
    assert as_user(OTHER, GROUP, lambda: (shared.folder / PROBLEM_FILE).write_text("no port")) == 7


def test_without_a_group_all_of_it_is_one_users():
    instance = Instance.create(unique_name("alone"))
    try:
        assert instance.folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in instance.folder.iterdir()} == {0o600}
    finally:
        instance.close(remove=True)


def test_a_group_that_does_not_exist_is_one_line_with_the_mend(tmp_path):
    with pytest.raises(ConfigurationError, match="groupadd --system nosuchgroup"):
        share(tmp_path, "nosuchgroup", (), ())


def test_a_group_that_one_is_no_member_of_is_named(shared):
    def give():
        try:
            share(shared.folder, "root", (CONFIGURATION_FILE,), (PROBLEM_FILE,))
        except ConfigurationError as problem:
            return str(problem)
        return "given"

    assert "is no member of it" in as_user(OWNER, GROUP, give)


def test_each_stage_may_write_the_rings_it_touches_and_what_it_faults_in():
    for stage in (*pipeline.STAGES, pipeline.SESSION, pipeline.LINK):
        writable = pipeline.writable_by(stage.name)
        assert writable >= {*stage.reads, *stage.writes, *POPULATED[stage.name], "control"}
    assert {process.name for process in pipeline.PROCESSES} == {*HEARTBEATS, "control", "external"}
    for ring in pipeline.RINGS:
        assert pipeline.writers_of(ring.name), f"{ring.name} has no producer"
    assert not {"gate", "orders", "post_trade"} & (
        pipeline.writable_by("io", "session", "link", "external") | pipeline.group_writable()
    )


def test_a_process_of_another_user_is_ended_with_the_capability_and_not_without(as_root, tmp_path):
    words = ["gateway.ops.process", str(tmp_path)]
    asleep = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words])
    while rescue.is_foreign(asleep.pid, tmp_path):  # it becomes what it is
        time.sleep(0.01)
    try:
        assert as_user(OTHER, GROUP, lambda: rescue._end(asleep.pid, tmp_path)) is False and asleep.poll() is None
        assert rescue._end(asleep.pid, tmp_path) and asleep.wait(10) == -signal.SIGKILL
        assert rescue._end(asleep.pid, tmp_path) and rescue._end(0, tmp_path), "one that is gone, and one that never ran"
    finally:
        asleep.kill()
        asleep.wait()
