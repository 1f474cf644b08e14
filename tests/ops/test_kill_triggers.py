"""What sets the kill latch from outside: the HTTP trigger, a device, the file; and control's watch over all of them."""

import errno
import http.client
import os
import pty
import struct
import time
from pathlib import Path

import pytest

from gateway.errors import CapabilityError, ConfigurationError
from gateway.instance import Instance
from gateway.layout import value
from gateway.native import lib
from gateway.ops import kill, kill_file, kill_report
from gateway.ops.kill_device import EVENT, KillDevice
from gateway.ops.kill_http import KillServer, read_token
from gateway.ops.kill_latch import ask_to_keep_positions
from gateway.ops.kill_watch import KillWatch
from tests.corridor_bench import configuration

TOKEN = "correct-horse-battery"
KEY_DOWN, KEY_UP, MOVED = (1, 1), (1, 0), (2, 5)


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> str:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def ask(port, method="POST", path="/kill", token=TOKEN, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    given = {"Authorization": f"Bearer {token}"} if token is not None else {}
    connection.request(method, path, headers={**given, **dict(headers)})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


@pytest.fixture
def server(tmp_path):
    pulled, said = [], []
    server = None

    def pull():
        pulled.append(1)
        return {"latch": "HTTP"}

    for port in range(42100, 42200):
        try:
            server = KillServer(f"127.0.0.1:{port}", token_file(tmp_path), pull, said.append)
            break
        except CapabilityError:
            continue
    server.pulled, server.said = pulled, said
    yield server
    server.close()


def test_a_post_with_the_token_pulls_the_trigger_and_says_so(server):
    status, body = ask(server.port)
    assert status == 200 and b"HTTP" in body and server.pulled == [1]


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "Bearer " + TOKEN])
def test_without_the_right_token_nothing_happens_and_it_is_said(server, token):
    status, _ = ask(server.port, token=token)
    assert status == 401 and server.pulled == [] and server.refused == 1
    assert len(server.said) == 1 and server.said[0].startswith("KILL TRIGGER refused a request of 127.0.0.1")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_a_post_pulls_it(server, method):
    status, _ = ask(server.port, method)
    assert status == 405 and server.pulled == []


def test_another_path_is_not_there(server):
    assert ask(server.port, path="/other")[0] == 404 and server.pulled == []


def test_a_port_that_is_taken_is_named(server, tmp_path):
    with pytest.raises(CapabilityError, match="choose another port"):
        KillServer(f"127.0.0.1:{server.port}", token_file(tmp_path), dict, print)


@pytest.mark.parametrize(
    ("text", "mode", "says"), [(TOKEN, 0o640, "chmod 600"), ("short", 0o600, "no token"), ("", 0o600, "no token")]
)
def test_a_token_that_others_may_read_or_guess_is_refused(tmp_path, text, mode, says):
    with pytest.raises(ConfigurationError, match=says):
        read_token(token_file(tmp_path, text, mode))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(str(tmp_path / "absent"))


@pytest.mark.parametrize("address", ["0.0.0.0:42000", "10.0.0.1:42000"])
def test_the_http_trigger_listens_on_loopback_only(address, tmp_path):
    with pytest.raises(ConfigurationError, match="loopback"):
        configuration(kill__http=address, kill__token_file=token_file(tmp_path))
    with pytest.raises(ConfigurationError, match="token_file"):
        configuration(kill__http="127.0.0.1:29000")


def test_a_key_on_a_terminal_line_is_a_press_without_a_line_end():
    master, slave = pty.openpty()
    try:
        device = KillDevice(os.ttyname(slave), print)
        assert not device.pressed()
        os.write(master, b" ")
        assert until(device.pressed) and not device.pressed()
        device.close()
    finally:
        os.close(master)
        os.close(slave)


def test_a_byte_in_a_fifo_is_a_press_and_a_writer_that_leaves_is_none(tmp_path):
    path = tmp_path / "button"
    os.mkfifo(path)
    device = KillDevice(str(path), print)
    for _ in range(2):
        with path.open("wb", buffering=0):
            pass
        assert not device.pressed()
    with path.open("wb", buffering=0) as button:
        button.write(b"k")
    assert until(device.pressed)
    device.close()


def test_a_device_that_is_lost_is_said_and_found_again():
    said = []
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    device = KillDevice(path, said.append)
    os.close(slave)
    os.close(master)
    assert not device.pressed() and not device.pressed()
    assert len(said) == 1 and f"KILL DEVICE {path} is lost" in said[0]
    device.close()


def test_of_an_input_device_only_a_key_going_down_is_a_press(tmp_path):
    path = tmp_path / "events"
    os.mkfifo(path)
    device = KillDevice(str(path), print)
    device._is_input = True

    def say(*events):
        data = b"".join(EVENT.pack(0, 0, kind, 30, number) for kind, number in events)
        with path.open("wb", buffering=0) as writer:
            writer.write(data)
        return device.pressed()

    assert EVENT.size == struct.calcsize("qqHHi")
    assert not say(MOVED, KEY_UP) and say(MOVED, KEY_DOWN, KEY_UP)
    with path.open("wb", buffering=0) as writer:
        writer.write(EVENT.pack(0, 0, 1, 30, 1)[:10])
    assert not device.pressed(), "half an event"
    device.close()


def test_a_device_that_is_not_there_keeps_the_appliance_from_starting(tmp_path):
    with pytest.raises(CapabilityError, match=r"kill\.device"):
        KillDevice(str(tmp_path / "absent"), print)


# ---- control's watch -------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path):
    """An instance nobody runs, and the watch over its switch; what was done is in `done`."""
    made = []

    def make(**settings):
        chosen = configuration(instance__state=str(tmp_path / "state"), kill__seconds=6, **settings)
        instance = Instance.create(chosen.instance.name)
        kill_file.prepare(chosen.state_folder)
        said = []
        watch = KillWatch(instance, chosen, said.append)
        watch.said = said
        made.append((instance, watch))
        return watch

    yield make
    for instance, watch in made:
        watch.finish(lambda: None, 0.01)
        watch.close()
        instance.close(remove=True)


def until(what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.01)
    return False


def polled(watch, what):
    def look():
        watch.poll()
        return what()

    return until(look)


def latch_of(watch):
    return int(watch.instance.control[0]["kill_latch"])


def test_a_press_latches_and_the_sequence_runs_once(watched, tmp_path):
    path = tmp_path / "button"
    os.mkfifo(path)
    watch = watched(kill__device=str(path))
    watch.poll()
    assert latch_of(watch) == 0
    with path.open("wb", buffering=0) as button:
        button.write(b"!")
    assert polled(watch, lambda: latch_of(watch) == lib.KILL_DEVICE)
    assert polled(watch, lambda: watch.report is not None)
    assert kill_file.reason(watch.state).startswith("DEVICE")
    report = watch.report
    for _ in range(5):
        watch.poll()
    assert watch.report is report and report.by == "control" and report.reason == "DEVICE"
    assert kill_report.last(watch.state)["latched_ns"] == report.latched_ns


def test_the_http_trigger_of_a_configuration_latches(watched, tmp_path):
    address = f"127.0.0.1:{29300 + os.getpid() % 500}"
    watch = watched(kill__http=address, kill__token_file=token_file(tmp_path))
    status, body = ask(int(address.partition(":")[2]))
    assert status == 200 and latch_of(watch) == lib.KILL_HTTP and b'"HTTP"' in body
    assert polled(watch, lambda: watch.report is not None and watch.report.reason == "HTTP")


@pytest.mark.parametrize("reason", ["KILL_POST_TRADE", "KILL_CORE_STALE", "KILL_CONTROL_STALE", "KILL_SIGNAL"])
def test_whoever_sets_the_latch_the_sequence_follows(watched, reason):
    watch = watched()
    kill.latch(watch.instance, reason)
    assert polled(watch, lambda: watch.report is not None)
    assert value(f"KILL_{watch.report.reason}") == value(reason)


def test_the_file_alone_sets_the_latch_in_memory(watched):
    watch = watched()
    kill_file.set_latch(watch.state, "COMMAND")
    assert polled(watch, lambda: latch_of(watch) == lib.KILL_FILE)


def test_a_latch_that_cannot_be_written_stays_in_memory_and_is_said_aloud(watched, monkeypatch):
    watch = watched()

    def full(path, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(kill_file, "_write", full)
    kill.latch(watch.instance, "KILL_SIGNAL")
    assert polled(watch, lambda: watch.report is not None and len(watch.said) > 2)
    assert latch_of(watch) == lib.KILL_SIGNAL and "No space left" in watch.report.file_problem and not watch.report.clean
    loud = [text for text in watch.said if "KILL LATCH NOT WRITTEN" in text]
    assert len(loud) == 1 and "nothing new leaves" in loud[0]


@pytest.mark.parametrize("keep", [True, False])
def test_a_command_is_finished_by_control_as_it_was_meant(watched, keep):
    watch = watched()
    assert ask_to_keep_positions(watch.instance, keep)
    kill.latch(watch.instance, "KILL_COMMAND")
    assert polled(watch, lambda: watch.report is not None) and watch.report.by == "control"
    assert watch.report.flatten is not keep


@pytest.mark.slow
def test_a_second_kill_waits_for_the_first_and_takes_its_report_over(watched):
    watch = watched()
    first = kill.kill(watch.instance, watch.configuration)
    with kill.only_one(watch.instance, time.monotonic() + 1) as alone:
        assert alone is True
        blocked = kill.kill(watch.instance, configuration(kill__seconds=6))
        assert "another kill is at work" in blocked.problem and not blocked.clean
    assert first.latched_ns == blocked.latched_ns
