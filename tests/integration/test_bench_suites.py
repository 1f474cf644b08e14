"""The suites themselves, small: they run, their gate holds, and it can fail."""

import os
from dataclasses import replace

import pytest

from gateway.ops.bench.suite import Plan, run_suite
from gateway.ops.bench.suites import decode

PLAN = Plan(quick=True, report=lambda share, what: None)


@pytest.fixture(autouse=True)
def contenders_in_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def small_stream(make):
    return lambda messages, seed: make(min(messages, 20_000), seed)


def test_decode_agrees_with_the_generator_and_with_the_c_switch(monkeypatch):
    monkeypatch.setattr(decode, "make_stream", small_stream(decode.make_stream))
    result = run_suite("decode", PLAN)
    assert result.ok, result.failures
    assert not result.skipped
    assert {row.contender for row in result.rows if row.correct} == {decode.OURS, decode.SWITCH}


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


def test_a_machine_without_gcc_skips_the_switch_with_the_reason(monkeypatch):
    monkeypatch.setattr(decode, "make_stream", small_stream(decode.make_stream))
    monkeypatch.setenv("PATH", "/nonexistent")
    result = run_suite("decode", PLAN)
    assert result.ok
    assert "gcc" in result.skipped[decode.SWITCH]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a hop needs two CPUs")
def test_every_ring_contender_moves_every_record_whole():
    result = run_suite("ring", PLAN)
    assert result.ok, result.failures
    assert all(row.correct for row in result.rows)
