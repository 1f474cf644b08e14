"""What io saw and sent, recorded from beside the rings: byte for byte, with direction, and good enough to replay."""

import struct
import subprocess

import pytest

from gateway import layout
from gateway.errors import GatewayError
from gateway.native import lib
from gateway.ops.recorder import Recorder, Rotation
from gateway.ops.replay import Replay
from gateway.port import open_port
from gateway.venues.simulator.flow import write_capture
from tests import naive_capture as naive
from tests.corridor_bench import configuration
from tests.exception_bench import step_of
from tests.stage_bench import io_bench
from tests.test_exception import ARP, MARKET, bench_with_exception

EAGER = """
from gateway.core.strategy import IOC, OPEN, buy, trusted


def on_event(state, event, book, orders):
    if trusted(book) and book.trading == OPEN and event.sequence % 7 == 0 and book.ask_quantity > 0:
        buy(orders, book.instrument, 1, book.ask_price, IOC)
"""
BURST = 16
ONE_FILE = Rotation()


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A capture of a seeded day, and a strategy that orders on it."""
    folder = tmp_path_factory.mktemp("recorder")
    write_capture(folder / "day.pcap", seed=11, symbols=4, messages=4000)
    (folder / "eager.py").write_text(EAGER)
    return folder


def frames_of(path):
    with open_port(f"pcap:{path}") as port:
        return [frame.data for frame in port]


def is_waiting(instance):
    """Whether an order of core has not been looked at by io yet."""
    header = instance.rings["core_io"].view("ring_header")[0]
    return int(header["claimed"]) > int(header["cursor"])


def record(day, out, rotation=ONE_FILE, kill=False):
    """Replays the day with a recorder beside it; (what it counted, orders that left). `kill`: once an order waits for io."""
    settings = configuration(day / "eager.py")
    with Replay(day / "day.pcap", settings, burst=BURST, out=str(day / "sent.pcapng")) as run:
        with Recorder(run.instance, out, rotation) as recorder:
            for _ in run.steps():
                if kill and is_waiting(run.instance):
                    run.instance.control[0]["kill_latch"] = 1
                while recorder.poll():
                    pass
            while recorder.poll():
                pass
        return recorder.counted(), frames_of(day / "sent.pcapng")


def blocks(path):
    """(interface, flags, dropped, bytes) of every frame, and the names of the interfaces, read by hand."""
    data, at, frames, names = path.read_bytes(), 0, [], []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            interface, _, _, size = struct.unpack_from("<IIII", data, at + 8)
            options = at + 28 + size + -size % 4
            flags, dropped = struct.unpack_from("<I", data, options + 4)[0], struct.unpack_from("<Q", data, options + 12)[0]
            frames.append((interface, flags, dropped, data[at + 28 : at + 28 + size]))
        if kind == 1:
            code, name_bytes = struct.unpack_from("<HH", data, at + 16)
            names.append(data[at + 20 : at + 20 + name_bytes].decode() if code == 2 else "")
        at += length
    return frames, names


def directions(path):
    """(direction, dropped) of every frame, read by hand."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            size = struct.unpack_from("<I", data, at + 20)[0]
            options = at + 28 + size + -size % 4
            found.append((struct.unpack_from("<I", data, options + 4)[0], struct.unpack_from("<Q", data, options + 12)[0]))
        at += length
    return found


def test_both_directions_are_recorded_byte_for_byte_and_play_back_to_the_same_orders(day, tmp_path):
    out = tmp_path / "both.pcapng"
    counted, sent = record(day, out)
    assert counted["missed_in"] == counted["missed_out"] == counted["orders_refused"] == 0
    frames, errors = naive.read(out.read_bytes())
    marks = directions(out)
    assert errors == 0 and len(sent) > 50 and len(marks) == len(frames)
    received = [frame.data for frame, mark in zip(frames, marks, strict=True) if mark[0] == 1]
    assert received == frames_of(day / "day.pcap")
    assert [frame.data for frame, mark in zip(frames, marks, strict=True) if mark[0] == 2] == sent
    assert {mark[1] for mark in marks} == {0}
    with Replay(out, configuration(day / "eager.py"), out=str(tmp_path / "again.pcapng")) as again:
        again.run(lambda frames: None)
        assert again.instance.counters[0]["io"]["frames_received"] == len(received)
    assert frames_of(tmp_path / "again.pcapng") == sent


def test_an_order_that_io_refused_is_not_in_the_file(day, tmp_path):
    counted, sent = record(day, tmp_path / "kill.pcapng", kill=True)
    assert counted["orders_refused"] > 0
    assert counted["frames_out"] == len(sent)


def test_frames_of_the_exception_path_stand_on_an_interface_of_their_own_and_never_reach_core_again(tmp_path):
    out, reply = tmp_path / "x.pcapng", b"\2" * 6 + ARP[6:]
    with bench_with_exception() as (bench, kernel, path):
        step = step_of(bench.io)
        with Recorder(bench.instance, out, ONE_FILE) as recorder:
            assert bench.peer.transmit([ARP, MARKET, ARP]) == 3
            step()
            assert kernel.transmit([reply]) == 1
            path.ticks_poll = 0
            step()
            while recorder.poll():
                pass
        counted = recorder.counted()
    frames, names = blocks(out)
    assert names == ["", "gateway/exceptions"]
    assert sorted(row[:2] + (row[3],) for row in frames) == sorted([(0, 1, MARKET), (1, 1, ARP), (1, 1, ARP), (1, 2, reply)])
    assert (counted["frames_in"], counted["exceptions_in"], counted["exceptions_out"]) == (1, 2, 1)
    with open_port(f"pcap:{out},direction=in") as port:
        assert [frame.data for frame in port] == [MARKET]
    assert len(frames_of(out)) == 4


def test_what_the_exception_path_throttled_is_noted_at_its_next_frame(tmp_path):
    out = tmp_path / "flood.pcapng"
    with bench_with_exception() as (bench, _, path), Recorder(bench.instance, out, ONE_FILE) as recorder:
        step, burst = step_of(bench.io), lib.PORT_BURST_MAX
        path.inward.ticks_paid = 0
        for _ in range(2):  # the first turn drops, the second one's frame tells of it
            assert bench.peer.transmit([ARP] * burst) == burst
            step()
            while recorder.poll():
                pass
        throttled = int(bench.instance.counters[0]["io"]["exception_throttled"])
        counted = recorder.counted()
    assert throttled > 0 and counted["dropped_exceptions"] == throttled
    assert sum(row[2] for row in blocks(out)[0]) == throttled


def test_frames_that_io_dropped_are_noted_at_the_next_one_it_published(tmp_path):
    out = tmp_path / "drops.pcapng"
    with io_bench() as bench, Recorder(bench.instance, out, ONE_FILE) as recorder:
        step = step_of(bench.io)
        header = bench.instance.rings["io_core"].view("ring_header")[0]
        depth = int(header["depth"])
        for _ in range(depth // 64 + 2):  # nobody reads: the ring fills, the rest is dropped
            assert bench.peer.transmit([MARKET] * 64) == 64
            step()
            while recorder.poll():
                pass
        dropped = int(bench.instance.counters[0]["io"]["drop_ring_full"])
        header["cursor"] = header["claimed"]
        assert bench.peer.transmit([MARKET]) == 1
        step()
        while recorder.poll():
            pass
    frames, _ = blocks(out)
    assert dropped > 0 and recorder.counted()["dropped_in"] == dropped
    assert [row[2] for row in frames] == [0] * (len(frames) - 1) + [dropped]


def test_an_order_that_stayed_behind_is_known_by_its_place_whatever_its_reference(tmp_path):
    out = tmp_path / "kept.pcapng"
    with io_bench(order_age_max_ns=0) as bench, Recorder(bench.instance, out, ONE_FILE) as recorder:
        for number, epoch in enumerate((1, 9, 1, 9)):
            assert bench.order(bytes([number]) * 60, epoch=epoch, reference=0)
        step_of(bench.io)()
        while recorder.poll():
            pass
        assert bench.received() == [bytes([0]) * 60, bytes([2]) * 60]
    assert [row[3] for row in blocks(out)[0]] == [bytes([0]) * 60, bytes([2]) * 60]
    assert recorder.counted()["orders_refused"] == 2


def test_a_checksum_that_the_kernel_left_open_is_said_so_and_read_back(tmp_path):
    out = tmp_path / "open.pcapng"
    with io_bench() as bench, Recorder(bench.instance, out, ONE_FILE) as recorder:
        assert bench.peer.transmit([MARKET, MARKET]) == 2
        step_of(bench.io)()
        slots = bench.instance.rings["io_core"]
        second = slots.view("frame_slot", layout.size("ring_header") + int(slots.view("ring_header")[0]["slot_bytes"]))[0]
        second["flags"] |= layout.value("FRAME_CHECKSUM_UNREADY")  # as af_packet: marks it
        while recorder.poll():
            pass
    with open_port(f"pcap:{out}") as port:
        assert [frame.flags for frame in port] == [0, layout.value("FRAME_CHECKSUM_UNREADY")]


def test_a_slow_recorder_says_how_much_it_missed_at_the_frame_behind_the_hole(day, tmp_path):
    write_capture(tmp_path / "long.pcap", seed=12, symbols=4, messages=60_000)
    out = tmp_path / "slow.pcapng"
    with Replay(tmp_path / "long.pcap", configuration()) as run, Recorder(run.instance, out, ONE_FILE) as recorder:
        published = sum(1 for _ in run.steps()) and int(run.instance.counters[0]["io"]["frames_published"])
        assert published > recorder.native.frames.depth
        while recorder.poll():
            pass
        counted = recorder.counted()
    assert counted["missed_in"] > 0
    assert (
        counted["missed_in"] + counted["frames_in"] == published
        or counted["missed_in"] + counted["frames_in"] == published + 1
    )
    dropped = [mark[1] for mark in directions(out)]
    assert dropped[0] == counted["missed_in"] and set(dropped[1:]) == {0}


def test_rotation_by_size_keeps_the_newest_files_and_every_one_is_whole(day, tmp_path):
    counted, sent = record(day, tmp_path / "rotated.pcapng", Rotation(size_bytes=64 << 10))
    files = sorted(tmp_path.glob("rotated.0*.pcapng"))
    assert len(files) == counted["files_written"] > 3
    rows = [naive.read(path.read_bytes()) for path in files]
    assert all(errors == 0 for _, errors in rows)
    assert sum(len(frames) for frames, _ in rows) == counted["frames_in"] + counted["frames_out"]
    record(day, tmp_path / "kept.pcapng", Rotation(size_bytes=64 << 10, files=2))
    assert len(list(tmp_path.glob("kept.0*.pcapng"))) == 2


@pytest.mark.root
def test_a_full_disk_ends_the_recording_in_one_line_and_leaves_a_whole_file(day, tmp_path, as_root):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True, timeout=20)
    try:
        with pytest.raises(GatewayError, match="the disk is full, the file is whole up to here"):
            record(day, folder / "x.pcapng")
        frames, errors = naive.read((folder / "x.pcapng").read_bytes())
        assert errors == 0
    finally:
        subprocess.run(["umount", folder], check=True, timeout=20)
