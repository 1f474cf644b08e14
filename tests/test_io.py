"""The io stage: frames reach the ring or are counted; no new order leaves against the latch, the epoch or its age."""

import time

import numpy as np
import pytest

from gateway import layout, limits
from gateway.native import ffi, lib
from tests.stage_bench import io_bench

TIME, REFUSED = layout.value("FRAME_TIME"), layout.value("FRAME_ORDER_REFUSED")


def frames_of(records):
    return [payload for flags, payload, _ in records if flags == 0]


def refusals_of(records):
    rows = [
        np.frombuffer(payload, dtype=layout.dtype("order_refusal"))[0] for flags, payload, _ in records if flags & REFUSED
    ]
    return [(int(row["reference"]), int(row["reason"])) for row in rows]


def test_frames_reach_the_ring_in_order_and_whole():
    with io_bench() as bench:
        sent = [bytes([index % 256]) * (60 + index) for index in range(300)]
        assert bench.peer.transmit(sent) == 300
        bench.turns(20)
        assert frames_of(bench.records()) == sent
        assert bench.counters["frames_received"] == bench.counters["frames_published"] == 300


def test_a_full_ring_drops_the_newest_frame_and_counts_it():
    with io_bench() as bench:
        extra = 100
        for index in range(limits.FRAME_RING_DEPTH + extra):
            assert bench.peer.transmit([index.to_bytes(4, "big") * 16]) == 1
            if index % 64 == 0:
                bench.turns(4)
        bench.turns(20)
        received = frames_of(bench.records(limits.FRAME_RING_DEPTH))
        assert [int.from_bytes(frame[:4], "big") for frame in received] == list(range(len(received)))
        assert bench.counters["drop_ring_full"] >= extra
        assert bench.counters["drop_ring_full"] + bench.counters["frames_published"] == limits.FRAME_RING_DEPTH + extra


def test_an_order_leaves_by_the_port():
    with io_bench() as bench:
        bench.order(b"n" * 90)
        bench.turns()
        assert bench.received() == [b"n" * 90]
        assert bench.counters["orders_transmitted"] == 1
        assert bench.instance.counters[0]["spans"][layout.value("SPAN_TICK_TO_ORDER")]["count"] == 1


def test_after_the_latch_no_new_order_leaves_and_cancels_do():
    with io_bench() as bench:
        control = ffi.cast("struct control_block *", bench.instance.address("control"))
        assert lib.control_kill(control, lib.KILL_COMMAND) == lib.KILL_COMMAND
        bench.order(b"n" * 90, reference=11)
        bench.order(b"c" * 70, kind="ORDER_SLOT_CANCEL")
        bench.order(b"r" * 70, kind="ORDER_SLOT_REDUCE", to="control_io")
        bench.turns()
        assert sorted(bench.received()) == [b"c" * 70, b"r" * 70]
        assert bench.counters["orders_blocked_kill"] == 1 and bench.counters["cancels_transmitted"] == 2
        assert refusals_of(bench.records()) == [(11, lib.REFUSAL_KILL)]


def test_the_first_reason_of_the_latch_stays():
    with io_bench() as bench:
        control = ffi.cast("struct control_block *", bench.instance.address("control"))
        lib.control_kill(control, lib.KILL_SIGNAL)
        assert lib.control_kill(control, lib.KILL_COMMAND) == lib.KILL_SIGNAL


def test_an_order_of_another_epoch_does_not_leave():
    with io_bench() as bench:
        bench.order(b"n" * 90, epoch=2, reference=5)
        bench.order(b"n" * 90, epoch=0, reference=6)
        bench.turns()
        assert bench.received() == [] and bench.counters["orders_blocked_epoch"] == 2
        assert refusals_of(bench.records()) == [(5, lib.REFUSAL_EPOCH), (6, lib.REFUSAL_EPOCH)]


def test_an_expired_lease_blocks_and_a_running_one_does_not():
    with io_bench() as bench:
        bench.instance.control[0]["lease_expires_ns"] = bench.now_ns() + 10**12
        bench.order(b"a" * 90)
        bench.turns()
        bench.instance.control[0]["lease_expires_ns"] = bench.now_ns() - 1
        bench.order(b"b" * 90)
        bench.turns()
        assert bench.received() == [b"a" * 90] and bench.counters["orders_blocked_epoch"] == 1


def test_an_order_whose_cause_is_too_old_does_not_leave():
    with io_bench(order_age_max_ns=1_000_000_000) as bench:
        bench.order(b"o" * 90, time_ns=bench.now_ns() - 1_500_000_000, reference=3)
        bench.order(b"y" * 90)
        bench.turns()
        assert bench.received() == [b"y" * 90] and bench.counters["orders_blocked_late"] == 1
        assert refusals_of(bench.records()) == [(3, lib.REFUSAL_LATE)]


@pytest.mark.parametrize("size", [193, 2**31, 2**32 - 1])
def test_an_order_that_claims_more_bytes_than_its_slot_is_refused(size):
    with io_bench() as bench:
        bench.order(b"n" * 90)
        slots = bench.instance.rings["core_io"].address + layout.size("ring_header")
        ffi.cast("struct order_slot *", slots).size = size
        bench.turns()
        assert bench.received() == [] and bench.counters["orders_failed"] == 1


def test_a_quiet_port_tells_the_time():
    import time

    with io_bench() as bench:
        for _ in range(5):
            bench.turns(2)
            time.sleep(0.003)
        times = [time_ns for flags, _, time_ns in bench.records() if flags & TIME]
        assert len(times) >= 3 and times == sorted(times)


def test_time_records_leave_half_of_the_ring_to_frames():
    with io_bench() as bench:
        bench.io.io.time_interval_ticks = 1
        bench.turns(3 * limits.FRAME_RING_DEPTH)
        header = bench.instance.rings["io_core"].view("ring_header")[0]
        assert header["claimed"] <= limits.FRAME_RING_DEPTH // 2 + 1
        sent = [bytes(64)] * (limits.FRAME_RING_DEPTH // 4)
        assert bench.peer.transmit(sent) == len(sent)
        bench.turns(64)
        assert bench.counters["drop_ring_full"] == 0 and bench.counters["frames_published"] == len(sent)


def fill_port(bench, kind):
    """Until nobody has read so much that the port takes no more; a frame of the ring waits then."""
    taken = -1
    while taken != bench.counters["frames_transmitted"]:
        taken = int(bench.counters["frames_transmitted"])
        for _ in range(32):
            assert bench.order(b"f" * 60, kind)
        bench.turns(4)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "waits_again"), [("ORDER_SLOT_OTHER", False), ("ORDER_SLOT_CANCEL", True)])
def test_a_port_that_nobody_reads_holds_up_the_first_frame_and_after_it_only_cancels(kind, waits_again):
    with io_bench() as bench:
        fill_port(bench, kind)
        assert bench.counters["cancels_failed"] == 0, "it is waited for"
        waiting = 4
        for _ in range(waiting):
            bench.order(b"x" * 60, kind)
        time.sleep(lib.IO_TRANSMIT_NS / 1e9 + 0.05)
        bench.turns(100)
        failed = int(bench.counters["cancels_failed"])
        assert failed == 1 if waits_again else failed > waiting
        taken = 0
        while frames := bench.received():
            taken += len(frames)
            bench.turns(100)
        assert taken == bench.counters["frames_transmitted"] and bench.counters["cancels_failed"] == failed
        assert bench.order(b"y" * 60, kind)
        bench.turns()
        assert bench.received() == [b"y" * 60]
