"""The benchmark's own honesty: its reference, its gate, its rounds, its exit code."""

import argparse

import numpy as np
import pytest

from gateway.cli import bench
from gateway.errors import CapabilityError
from gateway.layout import value
from gateway.ops.bench import nautilus, report, rounds
from gateway.ops.bench.itch_day import MOLD_HEADER_BYTES, PACKET_BYTES_MAX
from gateway.ops.bench.itch_stream import make_stream
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Row, Target
from gateway.protocols import itch50

PLAN = Plan(quick=True, report=lambda share, what: None)


def test_the_stream_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = make_stream(3000, 1), make_stream(3000, 1), make_stream(3000, 2)
    assert (first.data == again.data).all()
    assert (first.events == again.events).all()
    assert len(first.data) != len(other.data) or (first.data != other.data).any()


def test_the_stream_is_what_the_codec_reads():
    """The reference types the layouts a second time; the table-made codec must read them the same."""
    stream = make_stream(4000, 7)
    number, first = 0, int(stream.events["sequence"][0])
    for offset, size in zip(stream.offsets, stream.sizes, strict=True):
        packet = stream.data[offset : offset + size].tobytes()
        assert size <= PACKET_BYTES_MAX
        assert int.from_bytes(packet[10:18], "big") == number + first
        at = MOLD_HEADER_BYTES
        for _ in range(int.from_bytes(packet[18:20], "big")):
            length = int.from_bytes(packet[at : at + 2], "big")
            check_message(packet[at + 2 : at + 2 + length], stream.events[number])
            at += 2 + length
            number += 1
        assert at == size
    assert number == len(stream.events)


def check_message(message: bytes, event: np.void) -> None:
    fields = itch50.decode(message)
    assert chr(event["message_type"]) == message[:1].decode()
    assert fields["stock_locate"] == event["instrument"]
    assert int.from_bytes(message[5:11], "big") == event["time_venue_ns"]
    for name, column in (("order_reference_number", "order_id"), ("match_number", "other_id"), ("shares", "quantity")):
        if name in fields:
            assert fields[name] == event[column]
    if event["kind"] == value("EVENT_ADD"):
        assert int(event["other_id"]).to_bytes(8, "little").decode().rstrip() == fields["stock"]


def contender(name: str, ours: bool, checksums: list[int]) -> Contender:
    answers = iter(checksums)
    return Contender(name, ours, lambda: Reading({"work": 1.0}, next(answers)))


def test_a_contender_that_differs_in_one_round_does_not_count():
    sound, faulty = contender("sound", True, [5] * 4), contender("faulty", False, [5, 5, 6, 5])
    rows = rounds.interleave([sound, faulty], 3, {"work": "ns"}, 5, PLAN)
    assert [row.correct for row in rows] == [True, False]
    assert rounds.find(rows, "faulty", "work") is None
    assert Result("suite", "title", rows).ok


def test_the_run_fails_when_ours_differs():
    rows = rounds.interleave([contender("ours", True, [5, 6, 5, 5])], 3, {"work": "ns"}, 5, PLAN)
    result = Result("suite", "title", rows)
    assert not result.ok
    assert "DIFFERS" in report.table_rows(result)[0][-1]


def test_the_warm_up_round_is_judged_and_not_measured():
    rows = rounds.interleave([contender("ours", True, [6, 5, 5, 5])], 3, {"work": "ns"}, 5, PLAN)
    assert (len(rows[0].samples), rows[0].correct) == (3, False)


def test_every_contender_goes_first_in_turn():
    order: list[str] = []

    def make(name: str) -> Contender:
        return Contender(name, False, lambda: (order.append(name), Reading({"work": 1.0}, 0))[1])

    rounds.interleave([make("a"), make("b"), make("c")], 3, {"work": "ns"}, 0, PLAN)
    assert {order[3 * index] for index in range(1, 4)} == {"a", "b", "c"}


def test_a_ratio_is_taken_round_by_round():
    slow_machine_in_the_middle = ([1.0, 10.0, 1.0], [2.0, 20.0, 2.0])
    own, other = (
        Row(name, "work", "ns", True, True, samples) for name, samples in zip("ab", slow_machine_in_the_middle, strict=True)
    )
    assert rounds.times(own, other) == 0.5


@pytest.mark.parametrize(("failures", "code"), [([], 0), (["it differs"], 1)])
def test_the_exit_code_is_the_gate_and_not_the_target(monkeypatch, capsys, failures, code):
    result = Result("decode", "title", failures=failures, targets=[Target("too slow", 9.0, 8.0, "ns")])
    monkeypatch.setattr("gateway.ops.bench.suite.run_suite", lambda name, plan: result)
    parser = argparse.ArgumentParser()
    bench.configure(parser)
    assert bench.run(parser.parse_args(["--suite", "decode", "--quick"])) == code
    assert "MISSED" in capsys.readouterr().out


class Engine:
    """Stands for a risk engine that lets the first `room` orders of a round pass."""

    def __init__(self, room: int):
        self.room, self.passed = room, []

    def execute(self, command: object) -> None:
        if len(self.passed) < self.room:
            self.passed.append(command)


def test_a_peer_that_refuses_orders_of_the_round_is_not_timed(monkeypatch):
    for room, counts in ((10, True), (9, False)):
        engine, commands = Engine(room), list(range(10))
        monkeypatch.setattr(nautilus, "_engine", lambda count, made=engine, orders=commands: (made, orders, made.passed))
        if counts:
            assert [len(row.samples) for row in nautilus.nautilus(PLAN)] == [nautilus.ROUNDS]
        else:
            with pytest.raises(CapabilityError, match="9 of 10 orders"):
                nautilus.nautilus(PLAN)
