"""The processes of an appliance as a service manager starts them; here the test is that manager, socket and all."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway import clock, layout
from gateway.errors import CapabilityError
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops import joined, kill_file, rescue
from gateway.ops.joined import ENDED, ControlAbsent, Joined, require_network, wait_for_control, was_just_given_up
from gateway.ops.notification import Notification, without_notification
from gateway.ops.process import problem_path
from gateway.ops.rescue import is_foreign
from tests.corridor_bench import configuration, unique_name
from tests.integration.appliance import EAGER, START_SECONDS, Appliance
from tests.session_desk import Venue

WATCHDOG_US = 2_000_000
NAMES = ("io", "core", "control")
SECRETS = {"session": {"GATEWAY_ORDERS_PASSWORD": "secret"}}


class Unit:
    """One started process and the socket through which it talks to its manager."""

    def __init__(self, folder, name, path):
        self.name, address = name, folder / f"{name}.notify"
        address.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(address))
        self.words: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "run", str(path), "--process", name],
            env={**os.environ, **SECRETS.get(name, {}), "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": str(WATCHDOG_US)},
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("ab"),
            start_new_session=True,
        )

    def heard(self):
        """Every word so far."""
        try:
            while data := self.socket.recv(4096):
                self.words += [(time.monotonic(), word) for word in data.decode().split("\n")]
        except BlockingIOError:
            return [word for _, word in self.words]

    def fed_since(self, moment):
        self.heard()
        return any(when > moment and word == "WATCHDOG=1" for when, word in self.words)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.socket.close()


class Units(Appliance):
    """The appliance as its units, io first, as a service manager may well do it."""

    names = NAMES

    def start(self):
        self.units = {name: Unit(self.folder, name, self.path) for name in self.names}
        self.process = self.units["control"].process
        try:
            self.wait_for(lambda: "READY=1" in self.units["control"].heard(), START_SECONDS)
            self.instance = self.wait_for(self._attached, 5)
        except BaseException:
            self.end_units()
            shutil.rmtree(f"/dev/shm/gateway-{self.name}", ignore_errors=True)
            raise

    def restart(self, name):
        self.units[name].close()
        self.units[name] = Unit(self.folder, name, self.path)

    def end_units(self):
        for unit in self.units.values():
            unit.close()

    def leave(self):
        """Stops control, as a manager does first; exit codes of all."""
        self.process.send_signal(signal.SIGTERM)
        return {name: unit.process.wait(30) for name, unit in self.units.items()}

    def close(self):
        self.peer.close()
        self.end_units()
        self.instance.close(remove=True)
        for side in "ab":
            Path(f"/dev/shm/gateway-pair-{self.name}.{side}").unlink(missing_ok=True)


class UnitsWithSession(Units):
    """Orders over TCP: a unit more, and a venue that a thread turns."""

    names = ("session", *NAMES)

    def __init__(self, folder):
        self.venue, self._ended = Venue(), threading.Event()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()
        address = f"127.0.0.1:{self.venue.listener.getsockname()[1]}"
        words = f'carriage = "soupbintcp"\nusername = "us"\naddress = "{address}"\nretry_first_ms = 1\nretry_last_ms = 50'
        try:
            super().__init__(folder, strategy=EAGER, more=f"\n[orders]\n{words}\n")
        except BaseException:
            self._end_venue()
            raise

    def _turn(self):
        while not self._ended.is_set():
            self.venue.turn()
            time.sleep(0.001)

    def _end_venue(self):
        self._ended.set()
        self._thread.join()
        self.venue.close()

    @property
    def session(self):
        return self.instance.regions["session"].view("session_state")[0]

    def is_up(self):
        return int(self.session["phase"]) == layout.value("SESSION_UP")

    def close(self):
        super().close()
        self._end_venue()


@pytest.fixture
def units(tmp_path):
    made = Units(tmp_path)
    yield made
    made.close()


@pytest.fixture
def units_with_session(tmp_path):
    made = UnitsWithSession(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_three_units_make_one_appliance_that_outlives_its_io_and_ends_in_order(units):
    assert all("READY=1" in unit.heard() for unit in units.units.values())
    assert {units.pid(f"PROCESS_{name.upper()}") for name in NAMES} == {
        unit.process.pid for unit in units.units.values()
    }  # what the manager started is what runs: no process in between
    began = time.monotonic()
    units.wait_for(lambda: all(unit.fed_since(began) for unit in units.units.values()), 10)
    assert f"WATCHDOG_USEC={WATCHDOG_US}" in units.units["core"].heard()  # patience ends with the compiler
    core, before = units.pid("PROCESS_CORE"), units.pid("PROCESS_IO")
    units.units["io"].process.kill()
    units.wait_for(lambda: "process io ended" in units.log, 10)
    units.restart("io")
    units.wait_for(lambda: units.pid("PROCESS_IO") not in (0, before), 60)
    assert units.pid("PROCESS_CORE") == core and units.latch == 0
    assert units.leave() == {"io": 0, "core": 0, "control": 0}, units.log
    assert not units.instance.folder.exists()


@pytest.mark.slow
def test_the_session_is_a_unit_that_is_watched_comes_back_and_ends_in_order(units_with_session):
    units = units_with_session
    unit, before = units.units["session"], units.pid("PROCESS_SESSION")
    assert before == unit.process.pid and "READY=1" in unit.heard()
    units.wait_for(units.is_up, 30)
    began = time.monotonic()
    units.wait_for(lambda: unit.fed_since(began), 10)
    unit.process.send_signal(signal.SIGSTOP)  # a hung one is silent to its watchdog, which ends it
    unit.heard()
    stopped = time.monotonic()
    time.sleep(WATCHDOG_US / 1e6)
    assert not unit.fed_since(stopped)
    unit.process.kill()
    units.wait_for(lambda: "process session ended" in units.log, 10)
    units.restart("session")
    units.wait_for(lambda: units.pid("PROCESS_SESSION") not in (0, before) and units.is_up(), 60)
    assert int(units.session["connections"]) == 2 and units.latch == 0
    core = Path(f"/proc/{units.pid('PROCESS_CORE')}/environ").read_bytes()
    assert b"GATEWAY_ORDERS_PASSWORD" not in core
    assert units.leave() == dict.fromkeys(units.names, 0), units.log


@pytest.mark.slow
def test_where_orders_travel_by_the_port_the_unit_of_the_session_leaves_in_order(tmp_path):
    (tmp_path / "a.toml").write_text("")
    unit = Unit(tmp_path, "session", tmp_path / "a.toml")
    try:
        assert unit.process.wait(60) == 0
        heard = unit.heard()  # before it ended, and not undone by STOPPING=1: else systemd takes the start for a failed one
        assert "READY=1" in heard and "STOPPING=1" not in heard
    finally:
        unit.close()


def test_a_control_without_a_network_says_which_key_needs_one(monkeypatch, tmp_path):
    chosen = configuration(
        orders__carriage="soupbintcp", orders__username="us", orders__drop_copy="127.0.0.1:4", kill__http=""
    )
    require_network(chosen)

    def refused(*words):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refused)
    require_network(configuration())
    with pytest.raises(CapabilityError, match="orders.drop_copy: control has no network here.*gateway_control_network"):
        require_network(chosen)


@pytest.mark.slow
def test_a_core_that_hangs_is_silent_to_its_watchdog_and_killed_it_leaves_the_latch_and_io(units):
    core = units.units["core"]
    core.process.send_signal(signal.SIGSTOP)
    units.wait_for(lambda: units.latch == lib.KILL_CORE_STALE, 30)
    core.heard()  # what came before
    stopped = time.monotonic()
    time.sleep(1.5 * WATCHDOG_US / 1e6)
    assert not core.fed_since(stopped) and units.units["io"].fed_since(stopped)
    core.process.send_signal(signal.SIGABRT)  # what systemd's watchdog does; the kernel delivers it when it continues
    core.process.send_signal(signal.SIGCONT)
    units.wait_for(lambda: "kill CORE_STALE: 0 cancels sent, nothing is open" in units.log, 10)
    units.wait_for(lambda: "process core ended" in units.log, 10)
    assert kill_file.reason(units.folder / "state").startswith("CORE_STALE")
    assert units.units["io"].process.poll() is None
    units.process.kill()
    units.process.wait()
    time.sleep(0.6)  # its last sign of life grows old
    with pytest.raises(ControlAbsent):  # the memory of a dead control is not joined
        wait_for_control(configuration(instance__name=units.name), "core", seconds=0.2)


def test_without_control_a_stage_says_that_it_waits_and_where_to_look(monkeypatch, capfd):
    monkeypatch.setattr(joined, "PATIENCE_SECONDS", 0.05)
    chosen = configuration(instance__name=unique_name("absent"))
    with pytest.raises(ControlAbsent, match="journalctl -u gateway-control@") as caught:
        wait_for_control(chosen, "link", seconds=0.2)
    assert caught.value.exit_code == 1
    said = capfd.readouterr().err.splitlines()
    assert said == [f"gateway link: waits up to 0 s for the control of {chosen.instance.name}: gateway run CONFIG"]


def test_io_that_waits_for_core_under_a_control_that_lives_says_nothing_of_control(monkeypatch, capfd):
    monkeypatch.setattr(joined, "PATIENCE_SECONDS", 0.05)
    chosen = configuration(instance__name=unique_name("compiling"))
    made = Instance.create(chosen.instance.name)
    try:
        beat = made.control[0]["heartbeats"][layout.value("PROCESS_CONTROL")]
        beat["state"], beat["time_ns"] = layout.value("PROCESS_RUNNING"), clock.now_ns(made.clock_address) + 10**12
        stop = threading.Timer(0.5, lambda: made.control[0].__setitem__("stop", 1))
        stop.start()
        with pytest.raises(ControlAbsent):
            wait_for_control(chosen, "io", seconds=0.2)
        stop.join()
    finally:
        made.close(remove=True)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_one_process_for_both_stages_is_refused_by_name(tmp_path):
    (tmp_path / "a.toml").write_text("[placement]\ntogether = true\n")
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "run", "--process", "io", str(tmp_path / "a.toml")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "placement.together" in done.stderr) == (3, True), done.stderr


def test_a_joined_process_is_known_by_its_row_and_ends_with_its_handle(tmp_path):
    class Where:
        folder = tmp_path

    (tmp_path / "problem").write_text("of another time")
    beat = {"pid": 17, "state": layout.value("PROCESS_STOPPED")}
    joined = Joined(Where, beat, "io")
    assert joined.poll() is None and not (tmp_path / "problem").read_text()  # 17 is the one before
    words = ["gateway.ops.process", str(tmp_path)]
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words])
    while is_foreign(child.pid, tmp_path):  # a stage writes its row itself, long after it has become one
        time.sleep(0.01)
    beat.update(pid=child.pid, state=layout.value("PROCESS_RUNNING"))
    assert joined.poll() is None and joined.pid == child.pid
    with pytest.raises(subprocess.TimeoutExpired):
        joined.wait(0.05)
    joined.kill()
    assert joined.wait(10) == ENDED
    child.wait()
    beat["pid"] = child.pid + 0
    (tmp_path / "problem").write_text("the port is made of cheese")
    fresh = Joined(Where, beat, "io")
    (tmp_path / "problem").write_text("the port is made of cheese")
    assert fresh.poll() == ENDED


def test_the_unit_of_a_link_that_the_configuration_does_not_want_leaves_at_once_and_in_order(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(f'[instance]\nname = "{unique_name("alone")}"\n[port]\nname = "pair:none"\n')
    unit = Unit(tmp_path, "link", path)
    try:
        assert unit.process.wait(60) == 0
        heard = unit.heard()
        assert "READY=1" in heard and any("link.enabled is false" in word for word in heard), heard
    finally:
        unit.close()


def test_a_link_says_its_trouble_where_no_other_stage_is_taken_for_it(tmp_path):
    class Where:
        folder = tmp_path

    beat = {"pid": 0, "state": 0}
    io, link = Joined(Where, beat, "io"), Joined(Where, beat, "link")
    problem_path(tmp_path, "link").write_text("no key")
    assert io.poll() is None and link.poll() == ENDED


def test_a_link_that_was_given_up_stays_down_for_its_manager_and_starts_for_a_person():
    instance = Instance.create(unique_name("given"))
    try:
        beat = instance.control[0]["heartbeats"][layout.value("PROCESS_LINK")]
        beat["time_ns"] = now_ns = clock.now_ns(instance.clock_address)
        assert not was_just_given_up(instance)
        beat["state"] = layout.value("PROCESS_GIVEN_UP")
        assert was_just_given_up(instance)
        beat["time_ns"] = now_ns - 11_000_000_000
        assert not was_just_given_up(instance)
    finally:
        instance.close(remove=True)


def test_a_number_in_the_row_that_is_no_stage_of_ours_is_never_signalled(tmp_path):
    class Where:
        folder = tmp_path

    beat = {"pid": 0, "state": layout.value("PROCESS_RUNNING")}
    joined = Joined(Where, beat, "io")
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        beat["pid"] = stranger.pid  # by an io that went wrong: control may signal every process of this host
        assert joined.poll() == ENDED
        joined.kill()
        assert rescue._end(stranger.pid, tmp_path), "as good as gone"
        time.sleep(0.1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_nobody_but_the_started_process_speaks_to_the_manager(tmp_path, monkeypatch):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        monkeypatch.setenv("WATCHDOG_PID", "1")
        assert Notification().interval_ns == 0  # it watches another one
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notification = Notification()
        assert notification.interval_ns == 100_000_000
        notification.say("READY=1", "STATUS=x")
        assert manager.recv(100) == b"READY=1\nSTATUS=x"
        notification.feed()
        notification.feed()  # not due
        notification.say("LAST=1")
        assert [manager.recv(100), manager.recv(100)] == [b"WATCHDOG=1", b"LAST=1"]
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(without_notification())
    notification.say("READY=1")  # the manager is gone: nothing happens
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nowhere"))
    assert Notification().file == -1
