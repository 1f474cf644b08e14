"""What control sends by itself stands on disk before it is handed over, with its reason; a full disk stops nothing."""

import json
import os
from pathlib import Path

import pytest

from gateway.core.order_packets import OrderPackets
from gateway.instance import Instance
from gateway.ops import control_orders as orders_module
from gateway.ops import control_record
from gateway.ops.control_orders import DAY, IMMEDIATE, control_orders
from gateway.ops.control_record import RECORD_FILE, Cause, read
from gateway.ops.kill_report import KillReport
from gateway.ops.kill_watch import said
from tests.stage_bench import unique_name

PACKETS = OrderPackets(epoch=1, site="A")
KILL = Cause("kill COMMAND", "gateway kill", 77)


@pytest.fixture
def instance():
    made = Instance.create(unique_name("gateway"))
    try:
        yield made
    finally:
        made.close(remove=True)


@pytest.fixture
def full_disk(tmp_path):
    """A state folder whose file of control's orders takes nothing: every write to it ends with ENOSPC."""
    (tmp_path / RECORD_FILE).symlink_to("/dev/full")
    return tmp_path


def test_an_order_stands_in_the_file_with_its_inputs_before_the_ring_has_it(instance, tmp_path, monkeypatch):
    seen, put = [], orders_module.ring.put

    def handed_over(*words):
        seen.append(read(tmp_path)[-1])
        return put(*words)

    monkeypatch.setattr(orders_module.ring, "put", handed_over)
    inputs = {"step": 2, "through_ppm": 1000, "price_source": "book", "position": -300, "believed": "the venue's drop copy"}
    with control_orders(instance, PACKETS, tmp_path, KILL) as ring:
        reference = ring.reduce("B", 300, "AAPL", 1_001_000, IMMEDIATE, inputs=inputs)
        assert ring.cancel(12) and ring.mass_cancel("AAPL") == reference + 1
        assert int(instance.control[0]["reference_used"]) == reference + 1  # core goes on behind it
        assert ring.waiting() == 3
    order, cancel, mass_cancel = seen
    terms = {"kind": "order", "side": "buy", "symbol": "AAPL", "quantity": 300, "price": 1_001_000, "time_in_force": "ioc"}
    why = {"because": "kill COMMAND", "by": "gateway kill", "latched_ns": 77, "reference": reference}
    assert {**order, **inputs, **terms, **why} == order
    assert order["client_order_id"] == PACKETS.client_order_id(reference, 7)
    assert order["run"] == instance.control[0]["clock"]["ns_base"] and order["time_ns"] > order["run"]
    assert (cancel["kind"], cancel["reference"]) == ("cancel", 12)
    assert (mass_cancel["kind"], mass_cancel["symbol"]) == ("mass_cancel", "AAPL")
    assert (tmp_path / RECORD_FILE).stat().st_mode & 0o077 == 0


def test_a_full_disk_stops_no_order_and_is_counted_and_the_lines_stand_in_memory(instance, full_disk):
    with control_orders(instance, PACKETS, full_disk, KILL) as ring:
        references = [ring.reduce("S", 10, "AAPL", 999_900, DAY), ring.reduce("S", 10, "MSFT", 999_900, DAY)]
        assert 0 not in references and ring.waiting() == 2
    record = ring.record
    assert record.unwritten == 2 and "No space left" in record.problem
    assert [line["reference"] for line in record.orders] == references
    assert [line["reference"] for line in read(full_disk, instance.folder)] == references


def test_a_folder_that_is_not_there_to_be_written_stops_no_order_either(instance, tmp_path):
    (tmp_path / "state").write_text("a file in its place")
    with control_orders(instance, PACKETS, tmp_path / "state", KILL) as ring:
        assert ring.reduce("S", 10, "AAPL", 999_900, DAY) and ring.waiting() == 1
    assert ring.record.unwritten == 1 and ring.record.problem


def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_no_line_that_hides_the_next(instance, tmp_path, monkeypatch):
    write, left = os.write, [20]

    def until_full(file, data):
        if Path(f"/proc/self/fd/{file}").readlink() != tmp_path / RECORD_FILE:
            return write(file, data)
        size = min(len(data), left[0]) if left else len(data)
        left.clear()
        return write(file, data[:size])

    monkeypatch.setattr(control_record.os, "write", until_full)
    with control_orders(instance, PACKETS, tmp_path, KILL) as ring:
        first, second = (ring.reduce("S", 10, "AAPL", 999_900, DAY) for _ in range(2))
    assert ring.record.unwritten == 1
    assert [line["reference"] for line in read(tmp_path)] == [second]
    assert [line["reference"] for line in read(tmp_path, instance.folder)] == [first, second]


def test_a_line_that_a_crash_has_torn_does_not_hide_the_next_one(instance, tmp_path):
    (tmp_path / RECORD_FILE).write_bytes(b'{"kind": "order", "refer')
    with control_orders(instance, PACKETS, tmp_path, KILL) as ring:
        reference = ring.reduce("S", 10, "AAPL", 999_900, DAY)
    assert [line["reference"] for line in read(tmp_path)] == [reference]


def test_a_full_ring_takes_no_order_uses_up_no_reference_and_nothing_is_written(instance, tmp_path):
    with control_orders(instance, PACKETS, tmp_path, KILL) as ring:
        while ring.cancel(1):
            pass
        written = len(read(tmp_path))
        assert ring.reduce("S", 10, "AAPL", 999_900, DAY) == 0 and ring.mass_cancel() == 0 and not ring.cancel(2)
        assert len(read(tmp_path)) == written == ring.waiting()
        assert not (instance.folder / orders_module.REFERENCE_FILE).exists()


def test_what_the_ring_refuses_after_all_is_said(instance, tmp_path, monkeypatch):
    monkeypatch.setattr(orders_module.ring, "put", lambda *words: 0)
    with control_orders(instance, PACKETS, tmp_path, KILL) as ring:
        assert ring.reduce("S", 10, "AAPL", 999_900, DAY) == 0
    order, unsent = read(tmp_path)
    assert (order["kind"], unsent["kind"]) == ("order", "unsent") and unsent["reference"] == order["reference"]


def test_what_is_no_line_of_ours_is_passed_over(tmp_path):
    whole = {"kind": "order", "reference": 5, "time_ns": 3, "run": 1}
    rows = [
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"kind": "order", "reference": "5", "time_ns": 1, "run": 1}',
        json.dumps(whole).encode(),
    ]
    (tmp_path / RECORD_FILE).write_bytes(b"\n".join(rows))
    assert read(tmp_path, tmp_path / "absent") == [whole]


def test_the_lines_of_a_kill_say_what_was_not_written_down():
    report = KillReport(reason="COMMAND", confirmed=True, records_unwritten=3, record_problem="state: No space left")
    assert "3 lines of control_orders.jsonl NOT WRITTEN (state: No space left)" in said(report)[-1]
