"""The packet-socket port over a veth pair in a namespace."""

import socket
import struct
import subprocess
import sys
import time

import pytest

from gateway.errors import CapabilityError, PortError
from gateway.layout import value
from gateway.port import open_port
from tests.ports.conftest import ip

HEADER = bytes.fromhex("0200000000020200000000010800")


def frame(index, size=100):
    return HEADER + index.to_bytes(4, "big") + bytes(size - 18)


def collect(port, count, seconds=2.0):
    """`count` frames, or what came in time."""
    frames, deadline = [], time.monotonic() + seconds
    while len(frames) < count and time.monotonic() < deadline:
        frames += port.receive()
    return frames


def test_frames_cross_in_order_and_whole_with_the_kernel_s_time(veth):
    sent = [frame(index, 60 + index % 1455) for index in range(3000)]
    with open_port(f"af_packet:{veth[0]}") as near, open_port(f"af_packet:{veth[1]}") as far:
        before_ns, got = time.time_ns(), []
        for start in range(0, len(sent), 100):
            assert near.transmit(sent[start : start + 100]) == 100
            got += collect(far, 100)
        assert [row.data for row in got] == sent
        assert all(before_ns <= row.time_ns <= time.time_ns() for row in got)
        assert [row.size_wire for row in got] == [len(data) for data in sent]
        assert near.receive() == [], "a port does not hear itself"
        assert near.statistics()["frames_transmitted"] == far.statistics()["frames_received"] == 3000
        assert far.statistics()["receive_dropped"] == 0


def test_slots_go_back_to_the_kernel_and_the_ring_wraps(veth):
    with open_port(f"af_packet:{veth[0]}") as near, open_port(f"af_packet:{veth[1]},frames=16") as far:
        for index in range(200):
            near.transmit([frame(index), frame(index + 1000)])
            assert [row.data for row in collect(far, 2)] == [frame(index), frame(index + 1000)]
        assert far.statistics()["receive_dropped"] == 0


def test_what_the_ring_cannot_hold_is_counted_as_dropped(veth):
    with open_port(f"af_packet:{veth[0]}") as near, open_port(f"af_packet:{veth[1]},frames=16") as far:
        assert near.transmit([frame(index) for index in range(100)]) == 100
        time.sleep(0.05)
        got = collect(far, 100, seconds=0.2)
        statistics = far.statistics()
        assert [row.data for row in got] == [frame(index) for index in range(len(got))], "the oldest are kept"
        assert len(got) + statistics["receive_dropped"] == 100
        assert statistics["receive_dropped"] >= 84
        assert far.statistics()["receive_dropped"] == statistics["receive_dropped"], "reading twice counts once"


@pytest.mark.parametrize("types", [(0x8100,), (0x88A8,), (0x88A8, 0x8100)])
def test_a_tag_that_the_kernel_strips_is_put_back(veth, types):
    tags = b"".join(struct.pack("!HH", kind, 0x6000 | number) for number, kind in enumerate(types, 5))
    tagged = HEADER[:12] + tags + b"\x08\x00" + bytes(range(60))
    with open_port(f"af_packet:{veth[0]}") as near, open_port(f"af_packet:{veth[1]}") as far:
        near.transmit([tagged, frame(1)])
        rows = collect(far, 2)
    assert [row.data for row in rows] == [tagged, frame(1)]
    assert rows[0].size_wire == len(tagged)


def test_a_datagram_of_the_local_kernel_says_that_its_checksum_is_not_ready(veth):
    ip("addr", "add", "10.9.0.1/24", "dev", veth[0])
    ip("neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", veth[0])
    with open_port(f"af_packet:{veth[1]}") as far, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("10.9.0.1", 0))
        sender.sendto(b"payload of a datagram", ("10.9.0.2", 26477))
        rows = [row for row in collect(far, 3, seconds=0.3) if row.data[12:14] == b"\x08\x00"]
    assert len(rows) == 1
    assert rows[0].data.endswith(b"payload of a datagram")
    assert rows[0].flags == value("FRAME_CHECKSUM_UNREADY")


def test_a_frame_longer_than_a_slot_is_cut_and_says_so(veth):
    for name in veth:
        ip("link", "set", name, "mtu", "9000")
    with open_port(f"af_packet:{veth[0]}") as near, open_port(f"af_packet:{veth[1]}") as far:
        assert near.transmit([frame(1, 9000)]) == 1
        (row,) = collect(far, 1)
    assert row.size_wire == 9000
    assert 3900 < len(row.data) < 4096
    assert frame(1, 9000).startswith(row.data)


def test_a_frame_longer_than_the_interface_allows_is_refused_and_counted(veth):
    with open_port(f"af_packet:{veth[0]}") as near:
        assert near.transmit([frame(0), frame(1, 5000), frame(2)]) == 1
        assert near.statistics()["transmit_refused"] == 2


def test_an_interface_that_goes_down_refuses_frames_and_comes_back(veth):
    with open_port(f"af_packet:{veth[0]}") as near, open_port(f"af_packet:{veth[1]}") as far:
        ip("link", "set", veth[0], "down")
        assert near.transmit([frame(0)]) == 0
        assert far.receive() == []
        ip("link", "set", veth[0], "up")
        deadline = time.monotonic() + 2
        while near.transmit([frame(1)]) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [row.data for row in collect(far, 1)] == [frame(1)]


def test_a_bad_interface_is_refused_in_one_line_with_the_mend(veth):
    with pytest.raises(CapabilityError, match="no such interface; list them"):
        open_port("af_packet:gwabsent0")
    with pytest.raises(PortError, match="1 to 15 characters"):
        open_port("af_packet:a_name_that_is_far_too_long")
    with pytest.raises(PortError, match="1 to 15 characters"):
        open_port("af_packet:")
    with pytest.raises(PortError, match="frames=0 is not a whole number from 16 to 65536"):
        open_port(f"af_packet:{veth[0]},frames=0")
    ip("link", "set", veth[0], "down")
    with pytest.raises(PortError, match=f"down; run: ip link set {veth[0]} up"):
        open_port(f"af_packet:{veth[0]}")


def test_without_privilege_it_says_what_is_missing(as_root):
    program = "from gateway.port import open_port\nopen_port('af_packet:lo')"
    answer = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert answer.returncode == 1
    assert "CapabilityError: port af_packet:lo: not permitted; needs CAP_NET_RAW" in answer.stderr


HOLD = """
import sys, time
from gateway.port import open_port
with open_port(sys.argv[1]):
    print("open", flush=True)
    time.sleep(60)
"""


def test_a_second_port_on_the_interface_is_refused_until_the_first_process_is_gone(veth):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, f"af_packet:{veth[0]}"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(PortError, match=f"port af_packet:{veth[0]}: in use by another port of a gateway"):
            open_port(f"af_packet:{veth[0]}")
        open_port(f"af_packet:{veth[1]}").close()
    finally:
        holder.kill()
        holder.wait(10)
        holder.stdout.close()
    open_port(f"af_packet:{veth[0]}").close()
