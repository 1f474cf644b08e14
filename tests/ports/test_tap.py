"""The TAP port: what the kernel sends into the interface, and what it hears from it."""

import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.errors import CapabilityError, PortError
from gateway.port import open_port
from tests.ports.conftest import ip


@pytest.fixture
def name(namespace):
    return f"gwt{os.getpid()}"


def quiet(name):
    Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")


def raw_socket(name):
    channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    channel.bind((name, 0))
    channel.settimeout(2)
    return channel


def frames_of(port, marker, count, seconds=2.0):
    """The frames that carry our marker: the kernel may say things of its own on a fresh interface."""
    rows, deadline = [], time.monotonic() + seconds
    while len(rows) < count and time.monotonic() < deadline:
        rows += [row for row in port.receive() if marker in row.data]
    return rows


def hear(kernel):
    """The next frame of ours that came in, past what the kernel itself sends."""
    while True:
        data, address = kernel.recvfrom(4096)
        if b"MARK" in data and address[2] != socket.PACKET_OUTGOING:
            return data


def frame(index, size=100):
    return bytes.fromhex("ffffffffffff02000000000188b5") + b"MARK" + index.to_bytes(4, "big") + bytes(size - 22)


def test_frames_go_both_ways_between_the_port_and_the_kernel(name):
    with open_port(f"tap:{name}") as port, raw_socket(name) as kernel:
        sent = [frame(index, 60 + 7 * index) for index in range(200)]
        for data in sent:
            kernel.send(data)
        rows = frames_of(port, b"MARK", 200)
        assert [row.data for row in rows] == sent
        assert all((row.time_ns, row.size_wire) == (0, len(row.data)) for row in rows)
        heard = []
        for data in sent:
            assert port.transmit([data]) == 1
            heard.append(hear(kernel))
        assert heard == sent
        assert port.statistics()["frames_transmitted"] == 200


def test_a_tagged_frame_keeps_its_tag(name):
    with open_port(f"tap:{name}") as port, raw_socket(name) as kernel:
        tagged = frame(0)[:12] + struct.pack("!HH", 0x8100, 42) + frame(0)[12:]
        kernel.send(tagged)
        assert [row.data for row in frames_of(port, b"MARK", 1)] == [tagged]


def test_a_frame_longer_than_a_buffer_is_cut_and_the_next_is_whole(name):
    with open_port(f"tap:{name}") as port:
        ip("link", "set", name, "mtu", "9000")
        with raw_socket(name) as kernel:
            kernel.send(frame(1, 9000))
            kernel.send(frame(2))
            long, short = frames_of(port, b"MARK", 2)
    assert (len(long.data), long.size_wire) == (4096, 9000)
    assert short.data == frame(2)


def test_the_interface_is_up_while_the_port_is_open_and_gone_after(name):
    with open_port(f"tap:{name}"):
        shown = subprocess.run(["ip", "-br", "link", "show", name], capture_output=True, text=True, check=True).stdout
        assert "UP" in shown
    assert subprocess.run(["ip", "link", "show", name], capture_output=True).returncode != 0


def test_an_interface_taken_down_counts_one_error_and_comes_back(name):
    with open_port(f"tap:{name}") as port:
        quiet(name)
        ip("link", "set", name, "down")
        for _ in range(50):
            assert port.receive() is not None
        assert port.transmit([frame(0)]) == 0
        assert port.statistics()["receive_errors"] <= 1
        ip("link", "set", name, "up")
        with raw_socket(name) as kernel:
            kernel.send(frame(3))
            assert [row.data for row in frames_of(port, b"MARK", 1)] == [frame(3)]


def test_a_removed_interface_is_the_end_of_input(name):
    with open_port(f"tap:{name}") as port:
        ip("link", "del", name)
        assert port.receive() is None
        assert port.transmit([frame(0)]) == 0
        assert port.statistics()["receive_errors"] == 1


def test_a_second_owner_is_refused(name):
    with open_port(f"tap:{name}"), pytest.raises(PortError, match="in use by another process"):
        open_port(f"tap:{name}")


def test_a_name_of_another_kind_of_interface_is_refused(namespace):
    with pytest.raises(PortError, match="no TAP interface"):
        open_port("tap:lo")


@pytest.mark.parametrize("argument", ["", "a_name_that_is_far_too_long", "with space", "gw%d", "a/b", ".."])
def test_an_impossible_name_is_refused(argument):
    with pytest.raises(PortError, match="1 to 15 characters"):
        open_port(f"tap:{argument}")


def test_what_the_kernel_drops_for_us_is_counted(as_root):
    """In the host's namespace, because /sys shows only that one."""
    name = f"gwt{os.getpid()}"
    with open_port(f"tap:{name}") as port, raw_socket(name) as kernel:
        for index in range(3000):  # the interface queues 1,000 by default
            try:
                kernel.send(frame(index))
            except OSError:
                break
        time.sleep(0.05)
        rows = frames_of(port, b"MARK", 3000, seconds=0.3)
        assert 0 < len(rows) < 3000
        assert port.statistics()["receive_dropped"] > 0


def test_without_privilege_it_says_what_is_missing(as_root):
    program = "from gateway.port import open_port\nopen_port('tap:gwdenied')"
    answer = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert f"{CapabilityError.__name__}: port tap:gwdenied: not permitted" in answer.stderr
