"""The capture port against recorded exchange data, against its naive twin, and against damage."""

import random
import re
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import PortError
from gateway.port import open_port
from tests import naive_capture as naive
from tests.naive_capture import Recorded

TIME_NS = 1_692_711_000_123_456_789
FRAMES = [
    Recorded(bytes(range(60)), TIME_NS, 60),
    Recorded(b"\x01" * 61, TIME_NS + 1_000, 61),
    Recorded(b"\x02" * 96, TIME_NS + 2_500_000_001, 1514),  # cut by a snap length
    Recorded(b"", TIME_NS + 3_000_000_000, 0),
]


def read_port(path):
    with open_port(f"pcap:{path}") as port:
        frames = [Recorded(frame.data, frame.time_ns, frame.size_wire) for frame in port]
        statistics = port.statistics()
        assert statistics["frames_received"] == len(frames)
        assert port.receive() is None, "the end stays the end"
        assert port.time_ns == (frames[-1].time_ns if frames else 0)
    return frames, statistics["receive_errors"]


def read_bytes(tmp_path, data):
    path = tmp_path / "capture.pcap"
    path.write_bytes(data)
    return read_port(path)


def outcome(reader, *arguments):
    """Frames and errors, or the word refused: what the port and the twin have to agree on."""
    try:
        return reader(*arguments)
    except (naive.Refused, PortError):
        return "refused"


def rounded(frames, unit_ns):
    return [frame._replace(time_ns=frame.time_ns // unit_ns * unit_ns) for frame in frames]


def test_every_recorded_capture_gives_the_packets_its_source_lists(shared_data):
    rows = re.findall(r"^\| (\S+\.pcap(?:ng)?) \| \d+ \| (\d+) \|", (shared_data / "SOURCES.md").read_text(), re.M)
    paths = {path.name: path for path in shared_data.glob("*/*.pcap*")}
    assert len(rows) >= 50
    for name, packets in rows:
        frames, errors = read_port(paths[name])
        assert (len(frames), errors) == (int(packets), 0), name
        assert (frames, errors) == naive.read(paths[name].read_bytes()), name


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_a_classic_capture_reads_in_either_byte_order_and_resolution(tmp_path, order, nanoseconds):
    data = naive.pcap(FRAMES, order, nanoseconds)
    assert read_bytes(tmp_path, data) == (rounded(FRAMES, 1 if nanoseconds else 1000), 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("resolution", [0, 3, 6, 9, 12, 18, 0x80 | 10, 0x80 | 30, 0x80 | 63])
def test_a_block_capture_reads_in_either_byte_order_and_any_resolution(tmp_path, order, resolution):
    base = 0 if resolution > 9 else TIME_NS  # the finer ones have no room for the present
    frames = [frame._replace(time_ns=frame.time_ns - TIME_NS + base) for frame in FRAMES[:2]]
    data = naive.section(order) + naive.interface(order, resolution=resolution)
    data += b"".join(
        naive.packet(order, 0, naive.ticks_of(frame.time_ns, resolution), frame.data, frame.size_wire) for frame in frames
    )
    got, errors = read_bytes(tmp_path, data)
    assert (got, errors) == naive.read(data)
    assert [frame.data for frame in got] == [frame.data for frame in frames]
    if resolution in (9, 12, 18):
        assert [frame.time_ns for frame in got] == [frame.time_ns for frame in frames]


def test_the_default_resolution_is_microseconds_and_the_offset_is_seconds(tmp_path):
    data = naive.section() + naive.interface(offset_seconds=-3600) + naive.packet(ticks=TIME_NS // 1000, data=b"x" * 60)
    frames, errors = read_bytes(tmp_path, data)
    assert frames == [Recorded(b"x" * 60, TIME_NS // 1000 * 1000 - 3600 * 10**9, 60)]
    assert errors == 0


def test_sections_of_both_byte_orders_and_their_interfaces_follow_each_other(tmp_path):
    data = naive.section("<") + naive.interface("<", resolution=9) + naive.interface("<", resolution=6)
    data += naive.packet("<", 0, 1_000, b"a" * 60) + naive.packet("<", 1, 2, b"b" * 61)
    data += naive.block("<", 0x0BAD, b"unknown blocks are stepped over")
    data += naive.section(">") + naive.interface(">", resolution=3)
    data += naive.packet(">", 0, 5, b"c" * 62) + naive.packet_old(">", 0, 6, b"d" * 63)
    data += naive.packet_simple(">", b"e" * 64)
    frames, errors = read_bytes(tmp_path, data)
    assert errors == 0
    assert [(frame.data[:1], frame.time_ns) for frame in frames] == [
        (b"a", 1_000),
        (b"b", 2_000),
        (b"c", 5_000_000),
        (b"d", 6_000_000),
        (b"e", 6_000_000),  # a simple packet has no time: it keeps its predecessor's
    ]


def test_a_simple_packet_is_cut_at_the_snap_length_of_the_first_interface(tmp_path):
    data = naive.section() + naive.interface(snap_bytes=64) + naive.packet_simple(data=b"s" * 64, size_wire=1514)
    assert read_bytes(tmp_path, data) == ([Recorded(b"s" * 64, 0, 1514)], 0)


def test_frames_of_other_link_types_and_unknown_interfaces_are_counted(tmp_path):
    data = naive.section() + naive.interface(link=113) + naive.interface(link=1, resolution=9)
    data += naive.packet(index=0, data=b"cooked") + naive.packet(index=7, data=b"nobody's")
    data += naive.packet(index=1, ticks=7, data=b"ours")
    assert read_bytes(tmp_path, data) == ([Recorded(b"ours", 7, 4)], 2)


def test_a_new_section_forgets_the_interfaces_of_the_one_before(tmp_path):
    data = naive.section() + naive.interface() + naive.interface() + naive.section() + naive.interface(resolution=9)
    data += naive.packet(index=1, data=b"nobody's") + naive.packet(index=0, ticks=3, data=b"ours")
    assert read_bytes(tmp_path, data) == ([Recorded(b"ours", 3, 4)], 1)


def test_a_time_that_no_clock_could_show_keeps_its_predecessor_s(tmp_path):
    data = naive.section() + naive.interface(resolution=9, offset_seconds=-10) + naive.interface(resolution=0)
    data += naive.packet(ticks=60 * 10**9, data=b"a") + naive.packet(ticks=5, data=b"before 1970")
    data += naive.packet(index=1, ticks=2**60, data=b"behind the end of int64")
    frames, errors = read_bytes(tmp_path, data)
    assert [frame.time_ns for frame in frames] == [50 * 10**9] * 3
    assert errors == 0


def test_a_long_stretch_without_frames_ends_no_iteration(tmp_path):
    data = naive.section() + naive.interface(resolution=9)
    data += naive.block("<", 5, bytes(20)) * 5_000 + naive.packet(data=b"z" * 60)
    assert [frame.data for frame in read_bytes(tmp_path, data)[0]] == [b"z" * 60]


@pytest.mark.parametrize(
    ("data", "mend"),
    [
        (b"", "empty"),
        (b"\xa1\xb2", "torn"),
        (naive.pcap([])[:23], "torn"),
        (naive.section()[:27], "torn"),
        (naive.section(major=2), "editcap"),
        (naive.pcap([], link=113), "Ethernet"),
        (struct.pack("<IHH", 0xA1B2C3D4, 3, 0) + bytes(16), "editcap"),
        (b"\x1f\x8b\x08\x00rest", "unpack"),
        (b"not a capture at all, just text", "neither"),
        (b"\x0a\x0d\x0d\x0a" + bytes(24), "byte-order"),
    ],
)
def test_what_is_no_capture_is_refused_in_one_line(tmp_path, data, mend):
    path = tmp_path / "bad.pcap"
    path.write_bytes(data)
    with pytest.raises(PortError, match=mend) as refusal:
        open_port(f"pcap:{path}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("argument", "mend"),
    [
        ("/nowhere/in.pcap", "no such file"),
        ("/tmp", "not a regular file"),
        ("", "name a capture"),
        ("in.pcap,rate=3", "rate is not an option; known: out= speed="),
        ("in.pcap,speed=", "has no value"),
        ("in.pcap,speed=fast", "factor"),
        ("in.pcap,speed=0", "factor"),
        ("in.pcap,speed=nan", "factor"),
        ("x" * 600, "longer than"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line(argument, mend):
    with pytest.raises(PortError, match=mend) as refusal:
        open_port(f"pcap:{argument}")
    assert "\n" not in str(refusal.value)


def test_a_port_kind_that_does_not_exist_names_those_that_do():
    with pytest.raises(PortError, match="no such kind.*pcap.*tap"):
        open_port("carrier_pigeon:1")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_classic_capture_torn_at_any_byte_delivers_all_before_it(tmp_path, order):
    data = naive.pcap(FRAMES, order)
    ends = [24]
    for frame in FRAMES:
        ends.append(ends[-1] + 16 + len(frame.data))
    for size in range(24, len(data) + 1):
        frames, errors = read_bytes(tmp_path, data[:size])
        whole = sum(end <= size for end in ends) - 1
        assert frames == FRAMES[:whole], size
        assert errors == (0 if size in ends else 1), size
    for size in range(24):
        assert outcome(read_bytes, tmp_path, data[:size]) == "refused", size


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_capture_torn_at_any_byte_delivers_all_before_it(tmp_path, order):
    parts = [naive.section(order), naive.interface(order, resolution=9)]
    parts += [naive.packet(order, 0, frame.time_ns, frame.data, frame.size_wire) for frame in FRAMES]
    data, ends = b"".join(parts), [sum(map(len, parts[: count + 1])) for count in range(len(parts))]
    for size in range(ends[0], len(data) + 1):
        frames, errors = read_bytes(tmp_path, data[:size])
        assert frames == FRAMES[: max(0, sum(end <= size for end in ends) - 2)], size
        assert errors == (0 if size in ends else 1), size
    for size in range(ends[0]):
        assert outcome(read_bytes, tmp_path, data[:size]) == "refused", size


def seeds():
    """Captures of every kind, as starting points for damage."""
    blocks = naive.section(">") + naive.interface(">", resolution=9, offset_seconds=5) + naive.interface(">", link=113)
    blocks += naive.packet(">", 0, TIME_NS, b"p" * 33, rows=[(2, b"\0\0\0\1")]) + naive.packet(">", 1, 5, b"q" * 20)
    blocks += naive.packet_simple(">", b"r" * 21) + naive.section("<") + naive.interface("<", snap_bytes=32)
    blocks += naive.packet_old("<", 0, 77, b"t" * 18) + naive.packet_simple("<", b"u" * 32, 99)
    return [naive.pcap(FRAMES, "<"), naive.pcap(FRAMES, ">", nanoseconds=False), blocks]


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_capture_gives_what_its_twin_gives(tmp_path, seed):
    chance = random.Random(seed)
    original = seeds()[seed]
    refused = damaged = 0
    for _ in range(600):
        data = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data[at] = chance.choice([0, 1, 4, 12, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        expected = outcome(naive.read, bytes(data))
        assert outcome(read_bytes, tmp_path, bytes(data)) == expected, f"seed {seed}, file {data.hex()}"
        refused += expected == "refused"
        damaged += expected != "refused" and expected[1] > 0
    assert refused > 5
    assert damaged > 50, "the damage has to be met, or nothing was tested"


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), start=st.sampled_from([b"", naive.section(), naive.pcap([])]))
def test_random_bytes_give_what_the_twin_gives(tmp_path, data, start):
    assert outcome(read_bytes, tmp_path, start + data) == outcome(naive.read, start + data)
