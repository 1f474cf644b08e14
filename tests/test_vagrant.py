"""The Vagrant testbed: the cable between QEMU and a port, the definitions, and one run of all of it."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.port import open_port
from vagrant.testbed import echo_cases

ROOT = Path(__file__).resolve().parent.parent
VAGRANT = ROOT / "vagrant"
LENGTH = struct.Struct(">I")


def run(*words: str | Path, seconds: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the scripts, from a folder that is not the clone's."""
    surroundings = {**os.environ, **environment}
    command = [str(word) for word in words]
    return subprocess.run(
        command, cwd="/", capture_output=True, text=True, timeout=seconds, env=surroundings, stdin=subprocess.DEVNULL
    )


@contextmanager
def cable(end: str, pair: str) -> Iterator["subprocess.Popen[str]"]:
    """A running wire.py; it is ended, whatever happens."""
    process = subprocess.Popen(
        [sys.executable, str(VAGRANT / "wire.py"), end, f"pair:{pair}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().strip() == "wire: ready"
        yield process
    finally:
        process.kill()
        process.wait(10)
        for side in "ab":
            Path(f"/dev/shm/gateway-pair-{pair}.{side}").unlink(missing_ok=True)


@pytest.fixture
def qemu() -> Iterator[socket.socket]:
    """A socket that listens where QEMU would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


def name_of(server: socket.socket) -> str:
    """The guest's end of a cable to this listener."""
    return f"qemu:127.0.0.1:{server.getsockname()[1]}"


def numbered(count: int) -> list[bytes]:
    """Frames of many sizes, each told from the others."""
    return [number.to_bytes(4, "big") * (16 + number % 480) for number in range(1, count + 1)]


def read_frames(stream: socket.socket, count: int) -> list[bytes]:
    """Frames as QEMU reads them."""
    stream.settimeout(20)
    data, frames = b"", []
    while len(frames) < count:
        data += stream.recv(1 << 16)
        while len(data) >= 4 and len(data) >= 4 + LENGTH.unpack_from(data)[0]:
            size = LENGTH.unpack_from(data)[0]
            frames.append(data[4 : 4 + size])
            data = data[4 + size :]
    return frames


def receive(port, count: int, seconds: float = 20) -> list[bytes]:
    """Frames that come out of a port, at most `count`."""
    frames: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(frames) < count and time.monotonic() < deadline:
        frames += [frame.data for frame in port.receive()]
    return frames


def test_the_cable_carries_every_frame_both_ways_in_order(qemu: socket.socket):
    pair, frames = f"wire-{os.getpid()}", numbered(3000)
    with cable(name_of(qemu), pair) as process, open_port(f"pair:{pair},side=b") as port:
        stream = qemu.accept()[0]
        with stream:
            stream.sendall(b"".join(LENGTH.pack(len(frame)) + frame for frame in frames))
            assert receive(port, len(frames)) == frames
            assert port.transmit(frames) == len(frames)
            assert read_frames(stream, len(frames)) == frames
            process.send_signal(signal.SIGTERM)
            account = json.loads(process.communicate(timeout=20)[0])
    whole = {"copied": len(frames), "dropped": 0, "oversized": 0}
    assert account == {"to_guest": whole, "to_host": whole}


@pytest.mark.slow
def test_the_cable_finds_a_guest_that_went_and_came_back(qemu: socket.socket):
    pair = f"wire-{os.getpid()}"
    with cable(name_of(qemu), pair), open_port(f"pair:{pair},side=b") as port:
        for frame in numbered(3):
            stream = qemu.accept()[0]
            with stream:
                stream.sendall(LENGTH.pack(100) + b"a frame that is torn")  # its rest goes with the connection
                stream.shutdown(socket.SHUT_RDWR)
            stream = qemu.accept()[0]
            with stream:
                stream.sendall(LENGTH.pack(len(frame)) + frame)
                assert receive(port, 1) == [frame]


@pytest.mark.parametrize("length", [0, 1 << 20, 0xFFFFFFFF])
def test_a_length_that_no_frame_has_ends_the_connection_and_nothing_else(qemu: socket.socket, length: int):
    pair, (frame,) = f"wire-{os.getpid()}", numbered(1)
    with cable(name_of(qemu), pair) as process, open_port(f"pair:{pair},side=b") as port:
        stream = qemu.accept()[0]
        with stream:
            stream.settimeout(20)
            stream.sendall(LENGTH.pack(length) + bytes(64))
            assert stream.recv(1) == b""
        stream = qemu.accept()[0]
        with stream:
            stream.sendall(LENGTH.pack(len(frame)) + frame)
            assert receive(port, 1) == [frame]
        assert process.poll() is None


def test_a_frame_longer_than_a_port_carries_is_dropped_and_counted(qemu: socket.socket):
    pair, (frame,) = f"wire-{os.getpid()}", numbered(1)
    with cable(name_of(qemu), pair) as process, open_port(f"pair:{pair},side=b") as port:
        stream = qemu.accept()[0]
        with stream:
            stream.sendall(LENGTH.pack(9000) + bytes(9000) + LENGTH.pack(len(frame)) + frame)
            assert receive(port, 1) == [frame]
            process.send_signal(signal.SIGTERM)
            account = json.loads(process.communicate(timeout=20)[0])
    assert account["to_host"] == {"copied": 1, "dropped": 0, "oversized": 1}


def test_a_cable_to_a_place_that_is_none_is_refused_in_one_line():
    for words, code in ((["qemu:47110", "pair:x"], 2), (["nothing:x", "pair:x"], 3), (["pair:x"], 2)):
        done = run(sys.executable, VAGRANT / "wire.py", *words, PYTHONPATH=str(ROOT))
        assert done.returncode == code, done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("lie", "verdict"), [("", True), ('account["received"] -= 1', False)])
def test_the_proof_believes_an_echo_only_when_both_sides_counted_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lie: str, verdict: bool
):
    from vagrant import prove

    # No guest: `ssh` starts the guest's agent here, at the guest's end of a pair, and the echo may tell a lie.
    machine = f"test-{os.getpid()}"
    pair = f"pair:vagrant-{machine}"
    (tmp_path / "job").mkdir()
    (tmp_path / "job/environment.json").write_text(json.dumps({"PYTHONPATH": str(ROOT)}))
    for source in (VAGRANT / "testbed/guest").glob("*.py"):
        text = source.read_text().replace("/run/", f"{tmp_path}/")
        said = f'account["set_up"] = {{"driver": "net_virtio"}}\n    {lie}\n    print(json.dumps(account)'
        (tmp_path / "job" / source.name).write_text(text.replace("print(json.dumps(account)", said))
    for name, text in (("vagrant", "echo Host guest"), ("ssh", f"exec {sys.executable} -u {tmp_path}/job/agent.py")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(prove, "FRAMES", 200)
    monkeypatch.setattr(prove, "PORT", pair)
    monkeypatch.setattr(echo_cases, "ECHO", (sys.executable, f"{tmp_path}/job/echo.py"))
    try:
        with prove.visit(machine, tmp_path / "job") as guest:
            assert prove.prove_echo(machine, guest).ok is verdict
    finally:
        for side in "ab":
            Path(f"/dev/shm/gateway-pair-vagrant-{machine}.{side}").unlink(missing_ok=True)
    assert ("NOT EQUAL" in capsys.readouterr().out) is not verdict


def test_what_the_host_started_in_a_guest_ends_when_the_host_hangs_up(tmp_path: Path):
    (tmp_path / "job").mkdir()
    (tmp_path / "job/environment.json").write_text("{}")
    agent = tmp_path / "agent.py"
    agent.write_text((VAGRANT / "testbed/guest/agent.py").read_text().replace("/run/", f"{tmp_path}/"))
    request = json.dumps({"do": "start", "name": "sleeper", "words": ["sleep", "60"]}) + "\n"
    done = subprocess.run([sys.executable, agent], input=request, capture_output=True, text=True, timeout=30)
    started = json.loads(done.stdout.splitlines()[1])["pid"]
    assert done.returncode == 1
    assert not Path(f"/proc/{started}").exists()


def test_scripts_refuse_words_they_do_not_know():
    assert run(VAGRANT / "run", "nothing").returncode == 2
    assert run(VAGRANT / "host").returncode == 2
    assert run(VAGRANT / "host", "sideways", "virtio").returncode == 2


def test_where_the_box_is_can_be_asked_without_building_it(tmp_path: Path):
    done = run(VAGRANT / "box", "--where", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0
    assert Path(done.stdout.strip()).name == "gateway.box"
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "gateway" / "testbed")
    assert list(tmp_path.rglob("*.box")) == []


def need(*commands: str) -> None:
    """Skips, with the reason, where a command is missing."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: scripts/setup vagrant")


def test_the_definitions_are_valid_and_name_both_machines(tmp_path: Path):
    need("vagrant")
    surroundings = {"VAGRANT_CWD": str(VAGRANT), "VAGRANT_HOME": str(tmp_path), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    surroundings["VAGRANT_DOTFILE_PATH"] = str(tmp_path / "state")
    done = run("vagrant", "validate", **surroundings)
    if "provider 'libvirt' could not be found" in done.stdout + done.stderr:
        pytest.skip("vagrant has no libvirt: apt-get install vagrant-libvirt")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_definitions_and_the_guests_disk_agree_on_its_place_and_its_processor():
    need("ruby")
    from vagrant.testbed import guest_tree

    code = "module Vagrant; def self.configure(_); end; end; load ARGV[0]; puts TREE, PROCESSOR, MACHINES.keys"
    done = run("ruby", "-e", code, VAGRANT / "Vagrantfile")
    tree, name, features, *machines = done.stdout.split()
    assert Path(tree) == guest_tree.place().folder
    assert {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features} == guest_tree.PROCESSOR
    assert machines == ["virtio", "vhost-user"]


@pytest.mark.long
@pytest.mark.root
@pytest.mark.parametrize("machine", ["virtio", "vhost-user"])
def test_vagrant_up_brings_a_guest_whose_counts_agree_and_destroy_leaves_nothing(machine: str, as_root: None):
    if shutil.which("vagrant") is None and shutil.which("apt-get") is None:
        pytest.skip("vagrant is not installed, and there is no apt-get to install it")
    interfaces = sorted(path.name for path in Path("/sys/class/net").iterdir())
    done = run(VAGRANT / "run", machine, seconds=3000, GATEWAY_PYTHON=sys.executable)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert ": equal" in said
    assert "ok: everything agrees" in said
    assert sorted(path.name for path in Path("/sys/class/net").iterdir()) == interfaces
    assert list(Path("/var/tmp").glob("gateway-vagrant.*")) == []
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not [line for line in lines if b"gateway-vagrant." in line]
