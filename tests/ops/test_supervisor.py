"""Control over stand-ins for its stages: what it starts, does about a death, and leaves behind."""

import subprocess
import sys
import time

import pytest

from gateway.errors import CapabilityError, ConfigurationError, GatewayError
from gateway.instance import is_held
from gateway.layout import value
from gateway.native import lib
from gateway.ops import kill_file, supervisor
from gateway.ops.dead_run import end_left_over
from gateway.ops.process import PROBLEM_FILE
from gateway.ops.supervisor import Supervisor, end_process
from tests.corridor_bench import configuration

RUNNING = value("PROCESS_RUNNING")
# Stands for a stage: says it runs, lives until the stop word or its end.
STAGE = """
import sys, time
from gateway.instance import Instance
from gateway import layout
from pathlib import Path
folder, name, seconds, code, said = Path(sys.argv[1]), *sys.argv[2:6]
instance = Instance.attach(folder.name.removeprefix("gateway-"), folder.parent)
beat = instance.control[0]["heartbeats"][layout.value("PROCESS_IO" if name.startswith("io") else "PROCESS_CORE")]
if said:
    (folder / "problem").write_text(said)
    sys.exit(int(code))
beat["state"] = layout.value("PROCESS_RUNNING")
end = time.monotonic() + float(seconds)
while time.monotonic() < end and not instance.control[0]["stop"]:
    time.sleep(0.01)
sys.exit(int(code))
"""


@pytest.fixture
def control(tmp_path, monkeypatch):
    """A supervisor whose stages are stand-ins: `plan` says per stage (seconds, exit code, problem)."""
    made = []
    plan = {"io": (60, 0, ""), "core": (60, 0, ""), "io,core": (60, 0, "")}

    def spawn(self, name):
        row = [str(part) for part in plan[name]]
        command = [sys.executable, "-c", STAGE, str(self.instance.folder), name, *row]
        self.children[name] = subprocess.Popen(command)

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


def test_an_io_that_dies_is_started_again_and_given_up_after_five_times(control, monkeypatch, capfd):
    control.plan["io"] = (0.05, 7, "")
    running = control()
    running.start()
    with pytest.raises(GatewayError, match="io ended 6 times"):
        tick_until(running, lambda: False, seconds=60)
    assert running.restarts == {"io": supervisor.RESTARTS_MAX + 1} and running.instance.control[0]["kill_latch"] == 0
    assert capfd.readouterr().err.count("process io ended (exit code 7)") == 6


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
