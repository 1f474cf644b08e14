"""The exception path without a kernel: whose frame it is, what the bound per turn drops, what io does around it.

The TAP is a pair port here: what the kernel would receive, the test receives.
"""

import random
import struct
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest

from gateway import layout
from gateway.config import load
from gateway.native import ffi, lib
from gateway.ops.appliance import feed_of
from gateway.ops.exception import derived_mac, lines_of, ours_of
from gateway.port import open_port
from gateway.protocols import udp
from gateway.sections import endpoint
from gateway.venues.definition_file import FOLDER
from tests import naive_exception
from tests.fuzz.guarded import Guarded
from tests.stage_bench import io_bench, unique_name

SEED = 20261121
GROUP, OTHER_GROUP, OURS = "239.192.1.1", "239.192.9.9", "10.77.0.1"
FOLLOWED = {(int(IPv4Address(GROUP)), 31001), (int(IPv4Address(OURS)), 41001)}
MARKET = udp.frame(b"market data" * 4, destination=GROUP, destination_port=31001)
ARP = bytes.fromhex("ffffffffffff 020000000001 0806 0001080006040001 020000000001 0a000001 000000000000 0a000002")
ARP += bytes(18)  # to the least size of a frame
TIME = layout.value("FRAME_TIME")


def ethernet(kind, payload, tags=()):
    words = b"".join(struct.pack(">HH", *tag) for tag in tags)
    return bytes(12) + words + struct.pack(">H", kind) + payload


def ip_packet(protocol, payload, destination=GROUP, fragment=0, options=0, version=4):
    header_bytes = 20 + 4 * options
    head = struct.pack(
        ">BBHHHBBH", version << 4 | header_bytes // 4, 0, header_bytes + len(payload), 0, fragment, 16, protocol, 0
    )
    return head + IPv4Address("10.0.0.1").packed + IPv4Address(destination).packed + bytes(4 * options) + payload


def headers():
    """A frame of every kind of header that a NIC may bring, by what it is."""
    datagram = struct.pack(">HHHH", 5000, 31001, 20, 0) + bytes(12)
    rows = {
        "followed": MARKET,
        "followed, options": ethernet(0x0800, ip_packet(17, datagram, options=3)),
        "report": udp.frame(b"r" * 30, destination=OURS, destination_port=41001),
        "other port": udp.frame(b"m" * 30, destination=GROUP, destination_port=31002),
        "other group": udp.frame(b"m" * 30, destination=OTHER_GROUP, destination_port=31001),
        "other UDP": udp.frame(b"dns" * 9, destination=OURS, destination_port=53),
        "fragment, multicast": ethernet(0x0800, ip_packet(17, datagram, fragment=0x2000)),
        "last fragment, multicast": ethernet(0x0800, ip_packet(17, datagram, fragment=5)),
        "fragment, ours": ethernet(0x0800, ip_packet(17, datagram, OURS, fragment=0x2000)),
        "ARP": ARP,
        "IGMP": ethernet(0x0800, ip_packet(2, bytes(8), "224.0.0.22", options=1)),
        "ICMP": ethernet(0x0800, ip_packet(1, bytes(40), OURS)),
        "TCP": ethernet(0x0800, ip_packet(6, datagram, GROUP)),
        "IPv6": ethernet(0x86DD, b"\x60" + bytes(60)),
        "version 6 in IPv4": ethernet(0x0800, ip_packet(17, datagram, version=6)),
        "802.3": ethernet(60, bytes(60)),
        "LLDP": ethernet(0x88CC, bytes(50)),
    }
    tagged = {"802.1Q": (0x8100,), "802.1ad": (0x88A8, 0x8100), "three tags": (0x8100, 0x8100, 0x8100)}
    for name, kinds in tagged.items():
        tags = b"".join(struct.pack(">HH", kind, 7) for kind in kinds)
        rows |= {f"{what}, {name}": MARKET[:12] + tags + rows[what][12:] for what in ("followed", "ARP", "other port")}
    return rows


FAST = {
    "followed",
    "followed, options",
    "report",
    "fragment, multicast",
    "last fragment, multicast",
    "followed, 802.1Q",
    "followed, 802.1ad",
}


def classifier(any_multicast=False):
    path = ffi.new("struct exception *")
    path.any_multicast = any_multicast
    for address, port in FOLLOWED:
        assert lib.exception_follow(path, address, port) == 0
    return path


def is_fast(path, frame, memory=Guarded(4096)):  # noqa: B008 - one guarded page for all: a read behind a frame ends the test
    return bool(lib.exception_is_fast(path, ffi.cast("uint8_t *", memory.put(bytes(frame))), len(frame)))


def test_core_gets_what_it_follows_and_the_kernel_everything_else():
    path, rows = classifier(), headers()
    assert {name for name, frame in rows.items() if is_fast(path, frame)} == FAST


def test_without_a_list_any_multicast_datagram_is_cores():
    path, rows = classifier(any_multicast=True), headers()
    more = {"other port", "other group", "other port, 802.1Q", "other port, 802.1ad"}
    assert {name for name, frame in rows.items() if is_fast(path, frame)} == FAST | more


@pytest.mark.parametrize("any_multicast", [False, True])
def test_the_classifier_agrees_with_its_naive_twin_on_every_truncation(any_multicast):
    path = classifier(any_multicast)
    for name, frame in headers().items():
        for size in range(len(frame) + 1):
            cut = frame[:size]
            assert is_fast(path, cut) == naive_exception.is_fast(cut, FOLLOWED, any_multicast), (name, size)


@pytest.mark.parametrize("any_multicast", [False, True])
def test_the_classifier_agrees_with_its_naive_twin_on_mutated_and_random_frames(any_multicast):
    path, rows = classifier(any_multicast), list(headers().values())
    fast = 0
    for number in range(20_000):
        draw = random.Random(f"{SEED} {number}")
        frame = bytearray(draw.choice(rows) if number % 8 else draw.randbytes(draw.randrange(120)))
        for _ in range(draw.randrange(4)):
            if frame:
                frame[draw.randrange(min(len(frame), 60))] = draw.choice(
                    (0, 1, 4, 5, 8, 17, 0x45, 0x81, draw.randrange(256))
                )
        frame = frame[: draw.randrange(len(frame) + 1)] if draw.random() < 0.3 else frame
        wanted = naive_exception.is_fast(bytes(frame), FOLLOWED, any_multicast)
        assert is_fast(path, frame) == wanted, f"seed {SEED} {number}: {bytes(frame).hex()}"
        fast += wanted
    assert 2_000 < fast < 18_000


def test_every_destination_of_a_full_table_is_found_and_one_more_is_refused():
    path, draw = ffi.new("struct exception *"), random.Random(SEED)
    rows = {(draw.getrandbits(32) | 1, draw.randrange(1, 65536)) for _ in range(lib.EXCEPTION_DESTINATIONS_MAX)}
    for address, port in rows:
        assert lib.exception_follow(path, address, port) == 0 == lib.exception_follow(path, address, port)
    assert lib.exception_follow(path, 1, 1) == (0 if (1, 1) in rows else -1)
    for address, port in rows:
        frame = udp.frame(b"x", destination=str(IPv4Address(address)), destination_port=port)
        assert is_fast(path, frame), (address, port)


@contextmanager
def bench_with_exception():
    """An io stage with an exception path whose TAP is a pair: (bench, the kernel's end of it, the path)."""
    with io_bench() as bench:
        path, name, error = classifier(), unique_name("kernel"), ffi.new("char[]", lib.PORT_ERROR_BYTES)
        clock = ffi.cast("struct clock_calibration *", bench.instance.clock_address)
        assert lib.port_open(ffi.addressof(path, "tap"), f"pair:{name}".encode(), clock, error) == 0
        counters = bench.instance.address("counters") + layout.offsets("counters").io
        path.notes = ffi.addressof(bench.io.io, "notes")
        lib.exception_prepare(path, clock, ffi.cast("struct io_counters *", counters))
        try:
            with open_port(f"pair:{name},side=b") as kernel:
                bench.io.io.exception = path
                yield bench, kernel, path
        finally:
            bench.io.io.exception = ffi.NULL
            lib.port_close(ffi.addressof(path, "tap"))


def published(bench):
    return [payload for flags, payload, _ in bench.records() if not flags & TIME]


def counts(bench):
    return {name: int(bench.counters[f"exception_{name}"]) for name in ("in", "out", "throttled", "failed")}


def test_a_mixed_burst_parts_into_cores_frames_and_the_kernels():
    with bench_with_exception() as (bench, kernel, _):
        market = [udp.frame(bytes([n]) * 40, destination=GROUP, destination_port=31001) for n in range(10)]
        for frame in market:
            assert bench.peer.transmit([frame, ARP]) == 2
        bench.turns(1)
        assert published(bench) == market
        assert [frame.data for frame in kernel.receive()] == [ARP] * 10
        assert counts(bench) == {"in": 10, "out": 0, "throttled": 0, "failed": 0}
        assert bench.counters["frames_received"] == 20 and bench.counters["frames_published"] == 10


def test_what_the_kernel_sends_leaves_by_the_port():
    with bench_with_exception() as (bench, kernel, _):
        sent = [bytes([n]) * 70 for n in range(40)]
        assert kernel.transmit(sent) == 40
        bench.turns(1)
        assert bench.received() == sent[: lib.EXCEPTION_FRAMES_PER_TURN]
        bench.turns(8)
        assert bench.received() == sent[lib.EXCEPTION_FRAMES_PER_TURN :]
        assert counts(bench) == {"in": 0, "out": 40, "throttled": 0, "failed": 0}
        assert bench.counters["frames_transmitted"] == 0  # those are orders and requests


def test_a_flood_is_dropped_beyond_the_bound_of_a_turn_and_no_market_frame_with_it():
    with bench_with_exception() as (bench, kernel, _):
        burst = [ARP] * 40 + [MARKET] + [ARP] * 23
        assert bench.peer.transmit(burst) == 64
        bench.turns(1)
        assert published(bench) == [MARKET]
        assert len(kernel.receive()) == lib.EXCEPTION_FRAMES_PER_TURN
        assert counts(bench) == {"in": 16, "out": 0, "throttled": 47, "failed": 0}


def test_the_port_gets_every_burst_back_even_when_all_of_it_is_the_kernels():
    with bench_with_exception() as (bench, kernel, _):
        for _ in range(300):  # more than twice what the pair holds
            assert bench.peer.transmit([ARP] * 64) == 64
            bench.turns(1)
            kernel.receive()
        assert bench.counters["frames_received"] == 300 * 64


def test_a_lasting_flood_costs_no_more_than_the_bound_of_a_second():
    with bench_with_exception() as (bench, kernel, path):
        path.inward.ticks_frame = 1 << 50  # nothing comes back within this test
        path.inward.ticks_paid = -lib.EXCEPTION_FRAMES_AHEAD << 50
        for _ in range(64):
            assert bench.peer.transmit([ARP] * 32) == 32
            bench.turns(1)
            kernel.receive()
        ahead = lib.EXCEPTION_FRAMES_AHEAD
        assert counts(bench) == {"in": ahead, "out": 0, "throttled": 64 * 32 - ahead, "failed": 0}


def test_a_kernel_that_takes_nothing_costs_frames_and_nothing_else():
    with bench_with_exception() as (bench, kernel, path):
        path.ended = 1
        assert bench.peer.transmit([ARP, MARKET, ARP]) == 3
        bench.turns(2)
        assert published(bench) == [MARKET] and kernel.receive() == []
        assert counts(bench) == {"in": 0, "out": 0, "throttled": 0, "failed": 2}


def test_the_kill_latch_does_not_stop_the_exception_path():
    with bench_with_exception() as (bench, kernel, _):
        control = ffi.cast("struct control_block *", bench.instance.address("control"))
        lib.control_kill(control, lib.KILL_COMMAND)
        bench.order(b"n" * 90)
        kernel.transmit([b"k" * 60])
        bench.peer.transmit([ARP])
        bench.turns(2)
        assert bench.received() == [b"k" * 60] and [frame.data for frame in kernel.receive()] == [ARP]
        assert bench.counters["orders_blocked_kill"] == 1


def test_while_only_the_kernel_has_traffic_core_still_hears_the_time():
    with bench_with_exception() as (bench, _, path):
        bench.io.io.time_interval_ticks = 1
        for _ in range(20):
            bench.peer.transmit([ARP])
            bench.turns(1)
        assert sum(flags & TIME != 0 for flags, _, _ in bench.records()) >= 19


def test_a_missing_checksum_is_filled_in_and_no_other_byte_changes():
    draw = random.Random(SEED)
    for number in range(300):
        payload = draw.randbytes(draw.randrange(1200))
        whole = udp.frame(payload, destination=OURS, destination_port=53, vlans=(7,) * draw.randrange(3))
        at = len(whole) - len(payload) - 2
        padding = bytes(draw.randrange(9))
        frame = bytearray(whole[:at] + draw.randbytes(2) + whole[at + 2 :] + padding)
        assert lib.checksum_fill(ffi.from_buffer("uint8_t[]", frame, require_writable=True), len(frame)) == 1
        assert bytes(frame) == whole + padding, f"seed {SEED} {number}"


def test_a_frame_without_room_for_a_checksum_is_left_alone():
    memory = Guarded(4096)
    for name, frame in headers().items():
        for size in range(len(frame)):
            at = memory.put(frame[:size])
            filled = lib.checksum_fill(ffi.cast("uint8_t *", at), size)
            assert filled or bytes(ffi.buffer(ffi.cast("uint8_t *", at), size)) == frame[:size], (name, size)
            assert not filled or size >= 42, (name, size)


@pytest.mark.parametrize(("protocol", "least"), [(17, 8), (6, 18)])
def test_a_checksum_is_filled_in_only_where_its_field_is_inside_the_packet(protocol, least):
    memory = Guarded(4096)
    for size in range(30):
        frame = ethernet(0x0800, ip_packet(protocol, bytes(size), OURS))
        filled = lib.checksum_fill(ffi.cast("uint8_t *", memory.put(frame)), len(frame))
        assert filled == (size >= least), size


@pytest.mark.parametrize("any_destination", [False, True])
def test_io_keeps_for_core_what_core_lists(any_destination):
    configuration = load(None, {"feed.any_destination": any_destination})
    listed = {place for lines in feed_of(configuration).channels for place in lines} - set(ours_of(configuration))
    assert set(lines_of(configuration)) == (set() if any_destination else listed) and len(listed) == 2
    with_snapshots = load(None, {"feed.snapshot_line": "239.192.1.3:31003", "feed.any_destination": any_destination})
    assert len(lines_of(with_snapshots)) == (0 if any_destination else 3)


def test_io_keeps_for_core_the_lines_of_a_definition_and_any_group_where_it_lists_none(tmp_path):
    shipped = (FOLDER / "cme_mdp3.toml").read_text()
    path = tmp_path / "listed.toml"
    path.write_text(shipped + '\n[[lines]]\na = "239.1.1.1:15001"\nb = "239.1.2.1:15002"\n')
    assert lines_of(load(None, {"feed.name": "cme_mdp3"})) == []
    configuration = load(None, {"feed.definition": str(path)})
    assert lines_of(configuration) == [endpoint("239.1.1.1:15001"), endpoint("239.1.2.1:15002")]


def test_a_derived_address_is_local_unicast_and_the_instances_own():
    first, second = derived_mac("a"), derived_mac("b")
    assert first != second and first == derived_mac("a")
    assert first.startswith("02:") and len(bytes.fromhex(first.replace(":", ""))) == 6
