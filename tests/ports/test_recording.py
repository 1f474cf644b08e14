"""Recorded WebSocket sessions as a port: lines of every kind, parts, connections, and what is none of them."""

import gzip
from pathlib import Path

import pytest

from gateway import limits
from gateway.errors import PortError
from gateway.layout import value
from gateway.ops.recordings import Recording
from gateway.port import open_port

MESSAGE, MORE = value("FRAME_MESSAGE"), value("FRAME_MORE")
PART_BYTES = value("FRAME_PART_BYTES")


def frames_of(path: Path) -> tuple[list[tuple[int, bytes, int]], dict[str, int]]:
    with open_port(f"recording:{path}") as port:
        frames = [(frame.time_ns, frame.data, frame.flags) for frame in port]
        return frames, port.statistics()


def test_both_ways_of_writing_a_line_are_read_and_what_was_sent_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "session"
    path.write_bytes(
        b"wss://venue <-> 1600000000.5\nwss://venue <- 1600000001.0: {}\n1600000002.25: [1]\n"
        b"1600000003000000007 [2]\r\n\n[3]\n"
    )
    frames, statistics = frames_of(path)
    assert frames == [
        (1_600_000_000_500_000_000, b"", MESSAGE),
        (1_600_000_002_250_000_000, b"[1]", MESSAGE),
        (1_600_000_003_000_000_007, b"[2]", MESSAGE),
    ]
    assert statistics["frames_transmitted"] == 1 and statistics["receive_errors"] == 1


def test_a_long_message_comes_in_parts_that_fill_their_slots(tmp_path: Path) -> None:
    assert PART_BYTES == limits.FRAME_BYTES_MAX
    body = bytes(range(32, 127)) * 50
    for size_bytes in (PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 4000):
        path = tmp_path / "session"
        path.write_bytes(b"1.5: " + body[:size_bytes])
        frames, _ = frames_of(path)
        assert b"".join(data for _, data, _ in frames) == body[:size_bytes]
        assert [flags & MORE for _, _, flags in frames] == [MORE] * (len(frames) - 1) + [0]
        assert len(frames) == -(-size_bytes // PART_BYTES)


@pytest.mark.parametrize(
    "line", [b"99999999999: x", b"12345678901234567890 x", b"1.5:x", b"1.5: ", b"wss://", b"ws x", b": x", b"1"]
)
def test_a_line_of_no_known_kind_is_counted(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "session"
    path.write_bytes(line + b"\n1.0: [1]\n")
    frames, statistics = frames_of(path)
    assert [data for _, data, _ in frames] == [b"[1]"] and statistics["receive_errors"] == 1


def test_a_compressed_recording_is_unpacked_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.gz"
    path.write_bytes(gzip.compress(b"1.0: [1]\n") + gzip.compress(b"2.0: [2]\n"))
    recording = Recording(path)
    assert recording.is_session()
    assert [data for _, data, _ in frames_of(recording.path)[0]] == [b"[1]", b"[2]"]
    recording.close()
    monkeypatch.setattr(limits, "RECORDING_BYTES_MAX", 10)
    with pytest.raises(PortError, match="unpacks to more"):
        Recording(path)
    path.write_bytes(path.read_bytes()[:12] + b"damage")
    with pytest.raises(PortError, match="damaged gzip"):
        Recording(path)
