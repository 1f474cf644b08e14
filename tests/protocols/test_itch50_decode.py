"""decode_packet against its naive twin: every type, every kind of damage, any packet."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from gateway.core.memory import address_of
from gateway.layout import dtype, value
from gateway.protocols import itch50, moldudp64
from gateway.protocols.itch50_decode import EVENTS_MAX, decode_packet, make_table
from tests.naive_packets import FIELDS
from tests.naive_packets import decode_packet as naive_decode_packet

SEED = 20261121
TABLE = make_table()
TIME_NS = 1_700_000_000_000_000_000


def kernel(payload: bytes, skip: int = 0) -> tuple[list[tuple[int, ...]], dict]:
    """The kernel's events and counts in the naive twin's form; also that nothing behind the events was written."""
    data = np.frombuffer(payload or b"\0", np.uint8).copy()
    events = np.zeros(EVENTS_MAX + 1, dtype("event"))
    events["sequence"] = 0xDEAD
    counters = np.zeros(1, dtype("core_counters"))
    where = address_of(events), address_of(counters)
    written = decode_packet(address_of(TABLE), address_of(data), len(payload), skip, TIME_NS, *where)
    assert 0 <= written <= EVENTS_MAX
    assert (events["sequence"][written:] == 0xDEAD).all()
    rows = [tuple(int(event[name]) for name in FIELDS) for event in events[:written]]
    reasons = {i: int(n) for i, n in enumerate(counters["reasons"][0]) if n}
    by_type = {i: int(n) for i, n in enumerate(counters["messages_by_type"][0]) if n}
    return rows, {"messages": int(counters["messages"][0]), "by_type": by_type, "reasons": reasons}


def message(randomness: random.Random, kind: str) -> bytes:
    """Random field bytes behind a type byte; sides are real."""
    body = bytearray(randomness.randbytes(itch50.LENGTHS[kind]))
    body[0] = ord(kind)
    if kind in "AFP":
        body[19] = ord(randomness.choice("BS"))
    if kind == "H":
        body[19] = ord(randomness.choice("HPQT?"))
    if kind == "C":
        body[31] = ord(randomness.choice("YN"))
    return bytes(body)


def packets(randomness: random.Random, count: int) -> Iterator[bytes]:
    """Random packets, some of them damaged."""
    kinds = list(itch50.LENGTHS)
    for _ in range(count):
        messages = [message(randomness, randomness.choice(kinds)) for _ in range(randomness.randrange(30))]
        packet = bytearray(moldudp64.encode("SESSION", randomness.randrange(1 << 40), messages))
        for _ in range(randomness.choice([0, 0, 1, 2, 8])):
            packet[randomness.randrange(len(packet))] = randomness.randrange(256)
        if randomness.random() < 0.2:
            del packet[randomness.randrange(len(packet)) :]
        if randomness.random() < 0.1:
            packet += randomness.randbytes(randomness.randrange(1, 40))
        yield bytes(packet)


@pytest.mark.parametrize("kind", sorted(itch50.LENGTHS))
def test_every_message_type_becomes_the_event_of_the_naive_twin(kind: str) -> None:
    randomness = random.Random(f"{SEED} {kind}")
    for _ in range(50):
        packet = moldudp64.encode("S", 7, [message(randomness, kind)])
        assert kernel(packet) == naive_decode_packet(packet, 0, TIME_NS)


def test_any_packet_and_any_skip_equal_the_naive_twin() -> None:
    randomness = random.Random(SEED)
    for packet in packets(randomness, 3000):
        skip = randomness.choice([0, 0, 0, 1, 5, 29, 100])
        assert kernel(packet, skip) == naive_decode_packet(packet, skip, TIME_NS), (SEED, packet.hex(), skip)


def test_a_packet_of_more_blocks_than_events_ends_in_one_gap() -> None:
    packet = moldudp64.encode("S", 100, [b""] * 900)
    events, counts = kernel(packet)
    assert len(events) == EVENTS_MAX
    assert events[-1][0] == 100 + EVENTS_MAX - 1
    assert events[-1][5] == 900 - (EVENTS_MAX - 1)
    assert counts["reasons"] == {value("FEED_MESSAGE_LENGTH"): EVENTS_MAX - 1, value("FEED_BLOCK_OVERRUN"): 1}
    assert (events, counts) == naive_decode_packet(packet, 0, TIME_NS)


def test_heartbeats_and_the_end_of_a_session_carry_no_events() -> None:
    for packet in (moldudp64.encode("S", 9), moldudp64.encode_end_of_session("S", 9)):
        assert kernel(packet) == ([], {"messages": 0, "by_type": {}, "reasons": {}})


def test_a_side_that_is_neither_buy_nor_sell_is_a_gap_of_one() -> None:
    for kind in "AFP":
        for side in range(256):
            body = bytearray(itch50.encode(kind, stock="AAPL", shares=1))
            body[19] = side
            packet = moldudp64.encode("S", 1, [bytes(body)])
            assert kernel(packet) == naive_decode_packet(packet, 0, TIME_NS)
            assert (kernel(packet)[0][0][7] == value("EVENT_GAP")) == (chr(side) not in "BS")


def test_the_same_packet_twice_adds_to_the_counters() -> None:
    packet = moldudp64.encode("S", 1, [itch50.encode("D"), itch50.encode("D"), b"?", b"D"])
    data = np.frombuffer(packet, np.uint8).copy()
    events = np.zeros(EVENTS_MAX, dtype("event"))
    counters = np.zeros(1, dtype("core_counters"))
    for _ in range(2):
        where = address_of(events), address_of(counters)
        assert decode_packet(address_of(TABLE), address_of(data), len(packet), 0, TIME_NS, *where) == 4
    assert counters["messages"][0] == 4
    assert counters["messages_by_type"][0][ord("D")] == 4
    assert counters["reasons"][0][value("FEED_MESSAGE_UNKNOWN")] == 2
    assert counters["reasons"][0][value("FEED_MESSAGE_LENGTH")] == 2
