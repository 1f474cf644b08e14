"""Packing and its neighbours: batches that fill a frame, rows that a ring takes, the orders that the benchmarks send."""

import numpy as np
import pytest

from gateway import limits
from gateway.errors import CapabilityError
from gateway.layout import value
from gateway.link.compression import codec
from gateway.link.streams import batch as batches
from gateway.link.streams import records
from gateway.link.streams.packing import Packing
from gateway.ops.bench.order_records import seeded
from gateway.ops.bench.order_slots import order_slots, scanned, told
from tests.order_desk import Ring


def live(count, noise=None):
    """Rows of a ring; with `noise` nothing of them can be foreseen."""
    rows = records.rows(count)
    rows["kind"], rows["sequence"] = records.EVENT, np.arange(1, count + 1)
    if noise is not None:
        rows["event"]["order_id"] = noise.integers(0, 1 << 63, count)
        rows["event"]["price"] = noise.integers(0, 1 << 62, count)
        rows["event"]["time_venue_ns"] = noise.integers(0, 1 << 62, count)
        rows["count"] = noise.integers(0, 1 << 63, count)
    return rows


def unpacked(entries):
    return np.concatenate(
        [batches.decode(codec.unpack(one.schema, one.body, one.raw_bytes), one.scan).rows for one in entries]
    )


def test_batches_grow_until_they_fill_a_frame_and_give_every_row_back():
    packing, rows = Packing(codec.pack), live(20_000)
    first, second = packing.entries(rows[:10_000]), packing.entries(rows[10_000:])
    assert {one.end - one.first for one in first[:-1]} == {limits.LINK_BATCH_RECORDS}
    assert {one.end - one.first for one in second[:-1]} == {limits.LINK_BATCH_RECORDS_MOST}
    assert np.array_equal(unpacked(first + second), rows)


def test_batches_that_hardly_shrink_become_small_enough_to_be_packed_once():
    calls = []

    def pack(schema, raw):
        calls.append(len(raw))
        return codec.pack(schema, raw)

    packing, rows = Packing(pack), live(6_000, np.random.default_rng(3))
    found = packing.entries(rows[:2_000])
    begun = len(calls)
    found += packing.entries(rows[2_000:])
    assert all(len(one.body) <= limits.LINK_BATCH_BODY_BYTES for one in found)
    assert len(calls) - begun == len(found) - sum(one.first <= 2_000 for one in found), "a body that fits is packed once"
    assert np.array_equal(unpacked(found), rows)


def test_a_few_live_rows_do_not_decide_how_large_bulk_is_cut():
    packing, noise = Packing(codec.pack), np.random.default_rng(4)
    packing.entries(live(5, noise))
    rows = live(3_000)
    rows["sequence"] += 5
    assert packing.entries(rows)[0].end == 6 + limits.LINK_BATCH_RECORDS


def test_rows_go_into_a_ring_until_it_is_full_and_the_rest_is_offered_again():
    depth = 16
    ring, rows = Ring(depth, records.SLOT_BYTES), live(20)
    writer, out = records.RecordWriter(ring.writer), records.RecordReader(ring.reader, 64)
    taken = writer.put(rows)
    assert 0 < taken <= depth
    found = out.take()
    out.acknowledge()
    assert writer.put(rows[taken:]) == len(rows) - taken
    found = np.concatenate((found, out.take()))
    assert found["source_sequence"].tolist() == rows["sequence"].tolist() == found["sequence"].tolist()


def test_slots_say_what_the_order_records_say():
    orders = seeded(2_000, 7)
    rows = told(orders)
    assert len(rows) == len(orders.rows) and rows["sequence"].tolist() == list(range(1, 2_001))
    assert np.array_equal(rows["event"]["order_id"], orders.rows["order_id"])
    assert np.array_equal(rows["event"]["price"], orders.rows["price"])
    assert (rows["event"]["side"][orders.rows["action"] == ord("C")] == value("SIDE_NONE")).all()
    assert np.array_equal(unpacked(Packing(codec.pack).entries(rows)), rows)


def test_a_scan_tells_every_order_once():
    rows = told(seeded(2_000, 7))
    scan = scanned(rows, 3_002)
    assert scan["kind"][0] == records.SCAN_BEGIN and scan["kind"][-1] == records.SCAN_END
    assert len(set(scan["event"]["order_id"][1:-1].tolist())) == 3_000
    assert records.is_scan(scan).all()
    assert np.array_equal(unpacked(Packing(codec.pack).entries(scan)), scan)


def test_a_folder_without_the_days_is_said(tmp_path):
    with pytest.raises(CapabilityError, match="databento"):
        order_slots(tmp_path)
