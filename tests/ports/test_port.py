"""The Python door to ports: what holds for every kind."""

import os
from pathlib import Path

import pytest

from gateway.errors import EXIT_CAPABILITY, CapabilityError, PortError
from gateway.port import open_port, port_kinds
from tests import naive_capture as naive
from tests.naive_capture import Recorded


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "in.pcap"
    path.write_bytes(naive.pcap([Recorded(index.to_bytes(60, "big"), index, 60) for index in range(200)]))
    return path


def test_a_burst_is_as_long_as_asked_and_never_longer_than_sixty_four(capture):
    with open_port(f"pcap:{capture}") as port:
        assert [len(port.receive(limit)) for limit in (1, 7, 1000, 0)] == [1, 7, 64, 0]
        assert len(list(port)) == 200 - 72
        assert port.receive() is None


def test_a_closed_port_says_so_and_closing_twice_does_nothing(capture):
    port = open_port(f"pcap:{capture}")
    assert port.patient
    port.close()
    port.close()
    for use in (port.receive, port.statistics, lambda: port.transmit([b"x"]), lambda: port.patient):
        with pytest.raises(PortError, match="is closed; open it again"):
            use()


def test_frames_outlive_their_port(capture):
    with open_port(f"pcap:{capture}") as port:
        frames = list(port)
    assert [frame.data for frame in frames] == [index.to_bytes(60, "big") for index in range(200)]


def test_a_file_name_may_hold_any_byte(tmp_path):
    path = tmp_path / os.fsdecode(b"n\xffme \xc3\xa9.pcap")
    path.write_bytes(naive.pcap([Recorded(b"x", 1, 1)]))
    with open_port(f"pcap:{path}") as port:
        assert len(list(port)) == 1


def test_a_port_leaves_nothing_open(capture, tmp_path):
    def resources():
        return len(list(Path("/proc/self/fd").iterdir())), Path("/proc/self/maps").read_text().count(str(tmp_path))

    before = resources()
    for name in ("pcap:{}", "pcap:{},out={}.pcapng", "binaryfile:{}", "pcap:{},out=/nowhere/x", "tap:lo", "af_packet:no"):
        for _ in range(50):
            try:
                open_port(name.format(capture, capture)).close()
            except (PortError, CapabilityError):
                continue
    assert resources() == before


def test_a_refusal_for_lack_of_something_carries_the_exit_code_for_it():
    assert set(port_kinds()) >= {"pcap", "pair", "binaryfile", "af_packet", "tap"}
    with pytest.raises(CapabilityError) as refusal:
        open_port("af_packet:gwabsent0")
    assert refusal.value.exit_code == EXIT_CAPABILITY
