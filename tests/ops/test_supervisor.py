"""Control over stand-ins for its stages: what it starts, does about a death, and leaves behind."""

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from gateway.errors import CapabilityError, ConfigurationError, GatewayError
from gateway.instance import is_held
from gateway.layout import value
from gateway.link.streams.records import LOST, RecordReader
from gateway.native import lib
from gateway.ops import kill_file, supervisor
from gateway.ops.dead_run import end_left_over
from gateway.ops.process import PROBLEM_FILE
from gateway.ops.supervisor import Supervisor, end_process
from tests.corridor_bench import configuration

RUNNING = value("PROCESS_RUNNING")
# Stands for a stage: says it runs, lives until the stop word or its end.
STAGE = """
import os, sys, time  # gateway.ops.process
from gateway.instance import Instance
from gateway import layout
from pathlib import Path
folder, name, seconds, code, said = Path(sys.argv[1]), *sys.argv[2:6]
instance = Instance.attach(folder.name.removeprefix("gateway-"), folder.parent)
beat = instance.control[0]["heartbeats"][layout.value("PROCESS_" + {"io,core": "io"}.get(name, name).upper())]
if said:
    (folder / ("problem_link" if name == "link" else "problem")).write_text(said)
    sys.exit(int(code))
beat["state"], beat["pid"] = layout.value("PROCESS_RUNNING"), os.getpid()
end = time.monotonic() + float(seconds)
while time.monotonic() < end and not instance.control[0]["stop"]:
    time.sleep(0.01)
sys.exit(int(code))
"""


KEY = "A" * 43 + "="
LINKED = {"link__enabled": True, "link__node": 1, "link__key_file": "/none", "link__key_service": "unix:/none"}
LINKED |= {"link__roles_file": "/none", "link__addresses_file": "/none", "link__signer": KEY, "feed__name": "link"}


def stand_in(instance, name, row):
    return subprocess.Popen([sys.executable, "-c", STAGE, str(instance.folder), name, *map(str, row)])


@pytest.fixture
def control(tmp_path, monkeypatch):
    """A supervisor whose stages are stand-ins: `plan` says per stage (seconds, exit code, problem)."""
    made = []
    plan = {"io": (60, 0, ""), "core": (60, 0, ""), "io,core": (60, 0, "")}

    def spawn(self, name):
        row = [str(part) for part in plan[name]]
        self.children[name] = stand_in(self.instance, name, row)

    def make(**settings):
        made.append(Supervisor(configuration(instance__state=str(tmp_path / "state"), **settings)))
        return made[-1]

    monkeypatch.setattr(Supervisor, "_spawn", spawn)
    make.plan = plan
    yield make
    for row in made:
        row.stop()
        row.close()


def tick_until(control, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        control.tick()
        time.sleep(0.01)
    assert what()


@pytest.mark.parametrize(("together", "names"), [(False, ["core", "io"]), (True, ["io,core"])])
def test_it_starts_core_before_io_and_ends_them_in_order(control, together, names):
    running = control(placement__together=together)
    running.start()
    assert list(running.children) == names and running.alive()
    assert is_held(running.instance.name)
    running.stop()
    assert not running.alive() and running.instance.control[0]["stop"] == 1
    folder = running.instance.folder
    running.close()
    assert not folder.exists() and not is_held(folder.name.removeprefix("gateway-"))


def test_a_core_that_dies_sets_the_latch_in_memory_and_on_disk(control):
    control.plan["core"] = (0.3, 7, "")
    running = control()
    running.start()
    tick_until(running, lambda: running.instance.control[0]["kill_latch"])
    assert running.instance.control[0]["kill_latch"] == lib.KILL_CORE_DIED
    assert kill_file.reason(running.state).startswith("CORE_DIED") and list(running.children) == ["io"]


@pytest.mark.slow
def test_an_io_that_dies_is_started_again_and_given_up_after_five_times(control, monkeypatch, capfd):
    control.plan["io"] = (0.05, 7, "")
    running = control()
    running.start()
    with pytest.raises(GatewayError, match="io ended 6 times"):
        tick_until(running, lambda: False, seconds=60)
    assert running.restarts == {"io": supervisor.RESTARTS_MAX + 1} and running.instance.control[0]["kill_latch"] == 0
    assert capfd.readouterr().err.count("process io ended (exit code 7)") == 6


@pytest.mark.slow
def test_a_link_that_dies_six_times_is_given_up_in_one_line_while_the_others_go_on(control, capfd):
    control.plan["link"] = (0.05, 7, "")
    running = control(**LINKED)
    beat = running.instance.control[0]["heartbeats"][value("PROCESS_LINK")]
    running.start()
    others = {name: running.children[name].pid for name in ("core", "io")}
    tick_until(running, lambda: beat["state"] == value("PROCESS_GIVEN_UP"), seconds=60)
    for _ in range(5):
        running.tick()
    said = capfd.readouterr().err.splitlines()
    assert sum("process link ended (exit code 7)" in line for line in said) == 6
    (given_up,) = [line for line in said if "given up" in line]
    assert "6 times" in given_up and "the region goes on alone" in given_up and "then: gateway link CONFIG" in given_up
    assert {name: child.pid for name, child in running.children.items() if child.poll() is None} == others
    assert running.instance.control[0]["kill_latch"] == 0
    lost = RecordReader(running.instance.reader("link_core"), 64).take()
    assert lost["kind"].tolist() == [LOST] * 6 and not lost["source_sequence"].any(), "its books are stale at once"


def test_a_link_that_hangs_is_ended_and_started_again(control, capfd):
    control.plan["link"] = (60, 0, "")  # it says once that it runs, and then nothing
    running = control(**LINKED, watch__link_hung_ms=1000)
    running.start()
    beat = running.instance.control[0]["heartbeats"][value("PROCESS_LINK")]
    tick_until(running, lambda: beat["state"] == RUNNING)
    first = running.children["link"]
    tick_until(running, lambda: running.restarts.get("link") == 1)
    assert first.poll() == -signal.SIGKILL and running.children["link"].pid != first.pid
    said = capfd.readouterr().err
    assert said.count("link: no sign of life for 1 s") == 1 and "process link ended (signal SIGKILL)" in said
    assert running.instance.control[0]["kill_latch"] == 0


def test_a_link_that_gives_signs_of_life_or_that_control_did_not_listen_to_is_left_alone(control, monkeypatch):
    running = control(**LINKED, watch__link_hung_ms=1000)
    beat, watch, now = running.instance.control[0]["heartbeats"][value("PROCESS_LINK")], running.link_watch, [10**9]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])

    child = SimpleNamespace(kill=lambda: ended.append(now[0]))
    ended = []

    def hangs_after(passed_ns):
        now[0] += passed_ns
        before = len(ended)
        watch.end_hung(child)
        return len(ended) > before

    assert not any(hangs_after(100_000_000) for _ in range(50)), "it does not run yet"
    beat["state"] = RUNNING
    for turn in range(50):
        beat["time_ns"] = 1 + turn // 8
        assert not hangs_after(100_000_000)
    beat["time_ns"] = 100
    assert not hangs_after(3600 * 10**9)
    assert [hangs_after(3600 * 10**9) for _ in range(10)] == [False] * 9 + [True], "an hour asleep counts as one turn"
    assert not hangs_after(100_000_000)


def test_a_link_that_a_person_starts_after_it_was_given_up_is_watched_again(control, capfd):
    control.plan["link"] = (0.0, 7, "")
    running = control(**LINKED)
    beat = running.instance.control[0]["heartbeats"][value("PROCESS_LINK")]
    running.restarts["link"] = supervisor.RESTARTS_MAX
    running.start()
    tick_until(running, lambda: beat["state"] == value("PROCESS_GIVEN_UP"))
    assert "link" not in running.children
    by_hand = stand_in(running.instance, "link", (60, 0, ""))
    try:
        tick_until(running, lambda: "link" in running.children)
        assert running.restarts["link"] == 0 and running.children["link"].pid == by_hand.pid
        by_hand.kill()
        by_hand.wait()
        control.plan["link"] = (60, 0, "")
        tick_until(running, lambda: running.restarts["link"] == 1 and beat["state"] == RUNNING)
    finally:
        by_hand.kill()
        by_hand.wait()


def test_a_link_that_cannot_start_keeps_nothing_from_starting_and_its_reason_is_told(control, capfd):
    control.plan["link"] = (0, 3, "static key: /none: No such file or directory")
    running = control(**LINKED)
    running.start()
    tick_until(running, lambda: running.restarts.get("link", 0) >= 1)
    assert {"core", "io"} <= set(running.children)
    assert "link: static key: /none: No such file or directory" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("code", "kind"), [(3, ConfigurationError), (4, CapabilityError), (5, GatewayError), (1, GatewayError)]
)
def test_a_stage_that_cannot_start_says_why_through_control(control, code, kind):
    control.plan["io"] = (0, code, "the port is made of cheese")
    running = control()
    with pytest.raises(kind, match="made of cheese") as caught:
        running.start()
    assert caught.value.exit_code == kind.exit_code and not running.alive()
    assert (running.instance.folder / PROBLEM_FILE).exists()


def test_a_start_that_is_called_off_starts_no_more(control):
    running = control()
    running.start(waiting=lambda: False)
    assert list(running.children) == ["core"]


def test_the_latch_in_memory_reaches_the_disk(control):
    running = control()
    running.instance.control[0]["kill_latch"] = lib.KILL_SIGNAL
    running.tick()
    assert kill_file.reason(running.state).startswith("SIGNAL")


def test_a_strategy_that_was_halted_is_told_once(control, capfd):
    running = control()
    running.instance.counters[0]["core"]["strategy_faults"] = 1
    for _ in range(3):
        running.tick()
    assert capfd.readouterr().err.count("halted") == 1


def test_with_the_latch_set_on_disk_nothing_is_made(control, tmp_path):
    kill_file.set_latch(tmp_path / "state", "COMMAND")
    with pytest.raises(GatewayError, match="gateway kill --clear"):
        control()


def test_what_fails_while_it_prepares_leaves_no_folder(control, tmp_path):
    (tmp_path / "file").write_text("")
    choice = configuration(instance__state=str(tmp_path / "state"), journal__folder=str(tmp_path / "file" / "x"))
    with pytest.raises(GatewayError, match="journal"):
        Supervisor(choice)
    assert not choice.shared_folder.exists()


def test_left_over_stages_of_this_folder_are_ended_and_no_others(control, tmp_path, capfd):
    sleeper = "import time; time.sleep(60)  # gateway.ops.process"
    here, there = tmp_path / "gateway-here", tmp_path / "gateway-there"
    processes = [
        subprocess.Popen([sys.executable, "-c", sleeper, "gateway.ops.process", str(folder), "io"])
        for folder in (here, there)
    ]
    try:
        time.sleep(0.3)
        end_left_over(here)
        assert processes[0].wait(5) == -9 and processes[1].poll() is None
        assert f"left-over process {processes[0].pid}" in capfd.readouterr().err
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_child_that_ignores_the_request_is_ended_all_the_same():
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"x\n"
    end_process(child, patience_seconds=0.2)
    assert child.returncode == -9
    child.stdout.close()
