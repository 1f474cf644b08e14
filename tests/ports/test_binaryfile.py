"""BinaryFILE recordings as a port."""

from collections import Counter

import pytest

from gateway.errors import PortError
from gateway.port import open_port


def record(message):
    return len(message).to_bytes(2, "big") + message


def message(index, size=36):
    stamp = (34_200_000_000_000 + index).to_bytes(6, "big")
    return b"A" + index.to_bytes(4, "big") + stamp + bytes(size - 11)


def read(tmp_path, data):
    path = tmp_path / "day.itch"
    path.write_bytes(data)
    with open_port(f"binaryfile:{path}") as port:
        return list(port), port.statistics()["receive_errors"]


def test_the_recorded_day_gives_its_thousand_messages(shared_data):
    with open_port(f"binaryfile:{shared_data}/nasdaq-itch50-binaryfile/sample.itch") as port:
        frames = list(port)
        assert port.statistics()["receive_errors"] == 0
    assert Counter(chr(frame.data[64]) for frame in frames) == {"S": 1, "R": 993, "H": 3, "Y": 3}
    assert all(0 < frame.time_ns < 86_400 * 10**9 for frame in frames)


def test_each_message_becomes_one_correct_datagram_of_the_group(tmp_path):
    scapy = pytest.importorskip("scapy.all", reason="scapy is not installed")
    frames, errors = read(tmp_path, b"".join(record(message(index, 20 + index)) for index in range(200)))
    assert (len(frames), errors) == (200, 0)
    for index, frame in enumerate(frames):
        parsed = scapy.Ether(frame.data)
        checksum = parsed[scapy.IP].chksum
        del parsed[scapy.IP].chksum
        assert scapy.Ether(bytes(parsed))[scapy.IP].chksum == checksum
        assert (parsed.dst, parsed[scapy.IP].dst) == ("01:00:5e:36:0c:6f", "233.54.12.111")
        assert (parsed[scapy.UDP].dport, parsed[scapy.UDP].chksum) == (26477, 0)
        assert parsed[scapy.UDP].len == parsed[scapy.IP].len - 20 == len(frame.data) - 34
        payload = bytes(parsed[scapy.UDP].payload)
        assert payload[:10] == b"BINARYFILE"
        assert int.from_bytes(payload[10:18], "big") == index + 1
        assert payload[18:20] == b"\0\1"
        assert payload[20:] == record(message(index, 20 + index))
        assert (frame.time_ns, frame.size_wire) == (34_200_000_000_000 + index, len(frame.data))


def test_a_file_torn_at_any_byte_delivers_all_before_it(tmp_path):
    data = b"".join(record(message(index)) for index in range(3))
    for size in range(1, len(data) + 1):
        frames, errors = read(tmp_path, data[:size])
        assert len(frames) == size // 38, size
        assert errors == (0 if size % 38 == 0 else 1), size


def test_length_zero_ends_the_session_and_bytes_behind_it_are_an_error(tmp_path):
    assert [len(part) if isinstance(part, list) else part for part in read(tmp_path, record(message(0)) + b"\0\0")] == [
        1,
        0,
    ]
    frames, errors = read(tmp_path, record(message(0)) + b"\0\0" + record(message(1)))
    assert (len(frames), errors) == (1, 1)


def test_a_length_that_no_packet_could_carry_ends_the_file(tmp_path):
    frames, errors = read(tmp_path, record(message(0)) + record(bytes(1451)) + record(message(1)))
    assert (len(frames), errors) == (1, 1)
    frames, errors = read(tmp_path, record(bytes(1450)))
    assert (len(frames[0].data), errors) == (1514, 0)


def test_a_message_too_short_for_a_time_keeps_the_one_before(tmp_path):
    frames, _ = read(tmp_path, record(message(7)) + record(b"short"))
    assert [frame.time_ns for frame in frames] == [34_200_000_000_007] * 2


@pytest.mark.parametrize(("data", "mend"), [(b"", "empty"), (b"\x1f\x8b\x08", "unpack")])
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, data, mend):
    with pytest.raises(PortError, match=mend):
        read(tmp_path, data)


def test_a_missing_file_and_an_unknown_key_are_refused(tmp_path):
    with pytest.raises(PortError, match="no such file"):
        open_port(f"binaryfile:{tmp_path}/absent")
    with pytest.raises(PortError, match="speed is not an option; known: none"):
        open_port("binaryfile:x,speed=max")


def test_nothing_can_be_transmitted_into_a_recording(tmp_path):
    path = tmp_path / "day.itch"
    path.write_bytes(record(message(0)))
    with open_port(f"binaryfile:{path}") as port:
        assert port.transmit([b"frame"]) == 0
        assert port.statistics()["transmit_refused"] == 1
