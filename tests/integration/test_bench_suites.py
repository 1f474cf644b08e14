"""The suites themselves, small: they run, their gate holds, and it can fail."""

import os
from dataclasses import replace

import pytest

from gateway.errors import CapabilityError
from gateway.link.compression import codec
from gateway.ops.bench import compression_peers, port_sides
from gateway.ops.bench.suite import Plan, run_suite
from gateway.ops.bench.suites import book, compression, decode, ports, sbe, wire

PLAN = Plan(quick=True, report=lambda share, what: None)


@pytest.fixture(autouse=True)
def contenders_in_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def small_stream(make):
    return lambda messages, seed: make(min(messages, 20_000), seed)


@pytest.mark.slow
def test_decode_agrees_with_the_generator_and_with_the_c_switch(monkeypatch):
    monkeypatch.setattr(decode, "make_stream", small_stream(decode.make_stream))
    result = run_suite("decode", PLAN)
    assert result.ok, result.failures
    assert {decode.OURS, decode.SWITCH}.isdisjoint(result.skipped)
    right = {row.contender for row in result.rows if row.correct}
    assert right == {row.contender for row in result.rows} and right >= {decode.OURS, decode.SWITCH}


def test_one_wrong_bit_in_one_event_fails_the_decode_suite(monkeypatch):
    def bent(messages, seed, make=decode.make_stream):
        stream = make(20_000, seed)
        events = stream.events.copy()
        events["price"][12_345] ^= 1
        return replace(stream, events=events)

    monkeypatch.setattr(decode, "make_stream", bent)
    result = run_suite("decode", PLAN)
    assert not result.ok
    assert result.failures
    assert not result.targets


@pytest.mark.slow
def test_the_books_of_the_flow_equal_its_dense_twin_at_every_checkpoint():
    result = book.run(PLAN, messages=30_000, symbols=40, live_target=3_000)
    assert result.ok, result.failures
    assert {len(row.samples) for row in result.rows if row.metric != book.METRIC_ONE} == {50, 100}
    assert all(row.correct for row in result.rows)
    assert "databento-dbn" in result.skipped[book.book_es.METRIC]
    assert result.settings["levels_compared"] > 100_000


@pytest.mark.slow
def test_one_share_too_many_in_the_twin_fails_the_book_suite(monkeypatch):
    def bent(flow, *arguments, write=book.write_batch):
        packets = write(flow, *arguments)
        standing = tuple(position[0] for position in flow.counts.nonzero())
        flow.levels[standing] += 1
        return packets

    monkeypatch.setattr(book, "write_batch", bent)
    result = book.run(PLAN, messages=10_000, symbols=40, live_target=1_000)
    assert not result.ok
    assert "differ" in result.failures[0]


def test_a_machine_without_gcc_skips_the_switch_with_the_reason(monkeypatch):
    monkeypatch.setattr(decode, "make_stream", small_stream(decode.make_stream))
    monkeypatch.setenv("PATH", "/nonexistent")
    result = run_suite("decode", PLAN)
    assert result.ok
    assert "gcc" in result.skipped[decode.SWITCH]


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a hop needs two CPUs")
def test_every_ring_contender_moves_every_record_whole():
    result = run_suite("ring", PLAN)
    assert result.ok, result.failures
    assert all(row.correct for row in result.rows)


@pytest.mark.slow
def test_sbe_on_a_seeded_stream_agrees_with_the_reference_and_with_the_c_reader(monkeypatch):
    monkeypatch.setattr(sbe, "PACKETS", 500)
    result = run_suite("sbe", PLAN)
    assert result.ok, result.failures
    assert {row.contender for row in result.rows if row.correct} == {sbe.OURS, sbe.OWN_C}
    assert sbe.SBEDECODER in result.skipped
    assert result.settings["entries"] > 500


@pytest.mark.slow
def test_sbe_on_the_recorded_capture_agrees_with_the_reference(monkeypatch, shared_data):
    monkeypatch.setattr(sbe, "PASSES", 2)
    monkeypatch.setattr(sbe, "_sbedecoder", unwanted)
    result = run_suite("sbe", replace(PLAN, data=shared_data))
    assert result.ok, result.failures
    assert result.settings["packets"] == 10_000
    assert result.settings["entries"] == 31_462


def unwanted(stream, rows):
    raise CapabilityError("left out of the test: it takes seconds")


def test_one_wrong_bit_in_one_row_fails_the_sbe_suite(monkeypatch):
    def bent(stream, make=sbe.reference_rows):
        rows = make(stream)
        entries = rows[32][1].copy()
        entries["size"][77] ^= 1
        return {**rows, 32: [rows[32][0], entries]}

    monkeypatch.setattr(sbe, "PACKETS", 500)
    monkeypatch.setattr(sbe, "reference_rows", bent)
    result = run_suite("sbe", PLAN)
    assert not result.ok
    assert result.failures
    assert not result.targets


@pytest.mark.slow
def test_every_port_echoes_every_frame_and_what_is_not_here_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr(ports, "QUICK", (1, 50, 2000))
    monkeypatch.setattr(ports, "LOADS", 2)
    result = run_suite("ports", PLAN)
    if "suite" in result.skipped:
        pytest.skip(result.skipped["suite"])
    assert result.ok, result.failures
    measured = {row.contender for row in result.rows if row.metric == "rtt p50" and row.correct}
    assert measured | set(result.skipped) == {wire.name for wire in port_sides.WIRES}
    assert {"pair", "UDP busy-poll", "UDP blocking"} <= measured
    assert all(reason for reason in result.skipped.values())


@pytest.mark.slow
def test_one_wrong_bit_in_an_echo_fails_the_ports_suite(monkeypatch):
    def bent(self, near, far, together=port_sides.Bench.together):
        if near["do"] == "ask":
            told, other = together(self, near, far)
            return told | {"done": -1 - told["done"]}, other
        return together(self, near, far)

    monkeypatch.setattr(ports, "QUICK", (1, 50, 2000))
    monkeypatch.setattr(ports, "LOADS", 1)
    monkeypatch.setattr(port_sides.Bench, "together", bent)
    result = run_suite("ports", PLAN)
    if "suite" in result.skipped:
        pytest.skip(result.skipped["suite"])
    assert not result.ok and not result.targets


@pytest.mark.slow
def test_compression_of_a_seeded_stream_gives_every_byte_back_and_a_bent_one_fails(monkeypatch):
    monkeypatch.setattr(compression, "SEEDED_RECORDS", 600)
    result = run_suite("compression", PLAN)
    assert result.ok, result.failures
    assert {row.contender for row in result.rows} | set(result.skipped) == set(compression.PACKERS)
    assert all(row.correct for row in result.rows)
    assert not result.targets and "seeded" in result.notes[0]
    bent = replace(compression_peers.ours(), joined=lambda back: b"".join(back)[:-1] + b"?")
    monkeypatch.setitem(compression.PACKERS, compression.OURS, lambda: bent)
    result = run_suite("compression", PLAN)
    assert not result.ok and result.failures


def test_compression_of_recorded_order_data_reaches_its_ratios(monkeypatch, shared_data):
    monkeypatch.setattr(compression, "PACKERS", {name: compression.PACKERS[name] for name in (compression.OURS, "lz4")})
    result = run_suite("compression", replace(PLAN, data=shared_data))
    assert result.ok, result.failures
    assert result.settings["recorded"]
    assert all(target.met for target in result.targets if target.unit == "B")


@pytest.mark.slow
def test_the_link_takes_far_fewer_bytes_than_json_and_a_bent_frame_fails_the_wire_suite(monkeypatch, shared_data):
    monkeypatch.setattr(wire, "QUICK_MESSAGES", 300)
    plan = replace(PLAN, data=shared_data)
    result = run_suite("wire", plan)
    assert result.ok, result.failures
    assert {"binance", "cme"} <= result.settings.keys()
    assert len(result.targets) == 8 and all(target.met for target in result.targets)
    monkeypatch.setattr(codec, "unpack", lambda schema, body, raw_bytes: bytes(raw_bytes))
    assert not run_suite("wire", plan).ok


def test_the_wire_suite_without_recordings_is_skipped_with_the_reason():
    result = run_suite("wire", PLAN)
    assert "--data" in result.skipped["suite"] and not result.rows
