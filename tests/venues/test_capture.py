"""Synthetic captures: readable by the product's own port, bytes as the venue made them."""

from gateway.port import open_port
from gateway.venues.simulator.flow import frames, write_capture


def test_a_synthetic_capture_reads_back_frame_for_frame_with_its_times(tmp_path):
    path = tmp_path / "synthetic.pcapng"
    written = write_capture(path, seed=4, symbols=4, messages=1_500)
    made = list(frames(seed=4, symbols=4, messages=1_500))
    assert written == len(made)
    with open_port(f"pcap:{path}") as port:
        assert [(frame.time_ns, frame.data) for frame in port] == made


def test_a_synthetic_capture_says_so_and_is_the_same_every_time(tmp_path):
    first, second = tmp_path / "first.pcapng", tmp_path / "second.pcapng"
    write_capture(first, seed=4, symbols=4, messages=500)
    write_capture(second, seed=4, symbols=4, messages=500)
    assert first.read_bytes() == second.read_bytes()
    assert b"synthetic: simulated venue, seed 4" in first.read_bytes()
