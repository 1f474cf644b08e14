"""The capture port as a writer, and its pace."""

import resource
import signal
import time

import pytest

from gateway.errors import PortError
from gateway.port import open_port
from tests import naive_capture as naive
from tests.naive_capture import Recorded


def test_transmitted_frames_are_read_back_by_an_independent_reader(tmp_path):
    scapy = pytest.importorskip("scapy.utils", reason="scapy is not installed")
    path = tmp_path / "out.pcapng"
    sent = [bytes([size % 251]) * size for size in (60, 61, 62, 63, 1514, 9000)] * 40
    before_ns = time.time_ns()
    with open_port(f"pcap:,out={path}") as port:
        assert port.receive() is None, "nothing will ever come out of a pure writer"
        assert port.transmit(sent) == len(sent)
        assert port.statistics()["frames_transmitted"] == len(sent)
    frames, errors = naive.read(path.read_bytes())
    assert (errors, [frame.data for frame in frames]) == (0, sent)
    assert all(before_ns - 10**9 < frame.time_ns < time.time_ns() + 10**9 for frame in frames)
    with scapy.RawPcapNgReader(str(path)) as reader:
        assert [bytes(data) for data, _ in reader] == sent
    assert path.read_bytes().count(b"\x02\x00\x04\x00\x02\x00\x00\x00") >= len(sent), "every frame says outbound"


def test_a_copy_of_a_capture_carries_the_capture_s_time(tmp_path):
    source, copy = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    source.write_bytes(naive.pcap([Recorded(b"a" * 60, 1_692_711_000_000_000_017, 60)]))
    with open_port(f"pcap:{source},out={copy}") as port:
        port.receive()
        port.transmit([b"answer"])
    assert naive.read(copy.read_bytes()) == ([Recorded(b"answer", 1_692_711_000_000_000_017, 6)], 0)


def test_the_input_is_never_overwritten(tmp_path):
    source, link = tmp_path / "in.pcap", tmp_path / "link.pcap"
    source.write_bytes(naive.pcap([Recorded(b"a" * 60, 1, 60)]))
    link.symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(PortError, match="same file"):
        open_port(f"pcap:{source},out={link}")
    assert source.read_bytes() == before


def test_an_output_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    with pytest.raises(PortError, match="No such file or directory"):
        open_port(f"pcap:,out={tmp_path}/absent/out.pcapng")


def test_a_full_disk_refuses_the_burst_and_leaves_the_file_whole(tmp_path):
    path = tmp_path / "out.pcapng"
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
        with open_port(f"pcap:,out={path}") as port:
            taken = sum(port.transmit([b"x" * 1000] * 3) for _ in range(10))
            assert port.statistics()["transmit_refused"] == 30 - taken
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert taken == 9
    assert naive.read(path.read_bytes())[0] == [
        Recorded(b"x" * 1000, frame.time_ns, 1000) for frame in naive.read(path.read_bytes())[0]
    ]
    frames, errors = naive.read(path.read_bytes())
    assert (len(frames), errors) == (taken, 0)


@pytest.mark.parametrize(("speed", "seconds"), [("recorded", 0.2), ("4", 0.05), ("max", 0.0)])
def test_frames_come_at_the_recorded_gaps_divided_by_the_factor(tmp_path, speed, seconds):
    path = tmp_path / "in.pcap"
    gaps_ns = [0, 50_000_000, 50_000_000, 100_000_000, 200_000_000]  # two frames at the same time
    path.write_bytes(naive.pcap([Recorded(b"a" * 60, 10**18 + gap, 60) for gap in gaps_ns]))
    with open_port(f"pcap:{path},speed={speed}") as port:
        start, times, early = time.monotonic(), [], 0
        while (frames := port.receive()) is not None:
            times += [time.monotonic() - start] * len(frames)
            early += not frames
    assert len(times) == len(gaps_ns)
    assert (early > 0) == (speed != "max"), "before its time a frame is not there yet"
    assert seconds - 0.002 <= times[-1] < seconds + 1.0
    if seconds:
        factor = 0.2 / seconds
        assert all(when >= gap / 1e9 / factor - 0.002 for when, gap in zip(times, gaps_ns, strict=True))


def test_a_clock_that_runs_backwards_in_the_capture_does_not_stop_it(tmp_path):
    path = tmp_path / "in.pcap"
    path.write_bytes(naive.pcap([Recorded(b"a" * 60, stamp * 10**9, 60) for stamp in (50, 40, 50)]))
    with open_port(f"pcap:{path},speed=recorded") as port:
        assert len(list(port)) == 3
