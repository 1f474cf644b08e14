"""The ITCH kernel on a snapshot channel: its own table, against the naive twin; the feed's table knows nothing of it."""

import random

import numpy as np
import pytest

from gateway.core.memory import address_of
from gateway.layout import dtype, value
from gateway.protocols import itch50, moldudp64
from gateway.protocols.itch50_decode import EVENTS_MAX, decode_packet, make_table
from tests.naive_packets import FIELDS
from tests.naive_packets import decode_packet as naive_decode_packet

SEED = 50505
TIME_NS = 1_700_000_000_000_000_000
TABLES = {False: make_table(), True: make_table(snapshot=True)}
KINDS = sorted({*itch50.LENGTHS, "g", "G"})
BEGIN, END, OF_SNAPSHOT = value("EVENT_SNAPSHOT_BEGIN"), value("EVENT_SNAPSHOT_END"), value("EVENT_OF_SNAPSHOT")


def kernel(payload: bytes, skip: int = 0, snapshot: bool = True) -> tuple[list[tuple[int, ...]], dict]:
    """The kernel's events and counts in the naive twin's form."""
    data = np.frombuffer(payload, np.uint8).copy()
    events, counters = np.zeros(EVENTS_MAX, dtype("event")), np.zeros(1, dtype("core_counters"))
    where = address_of(data), len(payload), skip, TIME_NS, address_of(events), address_of(counters)
    written = decode_packet(address_of(TABLES[snapshot]), *where)
    rows = [tuple(int(event[name]) for name in FIELDS) for event in events[:written]]
    reasons = {i: int(n) for i, n in enumerate(counters["reasons"][0]) if n}
    by_type = {i: int(n) for i, n in enumerate(counters["messages_by_type"][0]) if n}
    return rows, {"messages": int(counters["messages"][0]), "by_type": by_type, "reasons": reasons}


def message(randomness: random.Random, kind: str) -> bytes:
    size = itch50.SNAPSHOT_MESSAGES[kind].size if kind in "gG" else itch50.LENGTHS[kind]
    body = bytearray(randomness.randbytes(size))
    body[0] = ord(kind)
    if kind in "AFP":
        body[19] = ord(randomness.choice("BS"))
    return bytes(body)


def test_any_packet_of_a_snapshot_channel_equals_the_naive_twin():
    randomness = random.Random(SEED)
    for number in range(3000):
        messages = [message(randomness, randomness.choice(KINDS)) for _ in range(randomness.randrange(30))]
        packet = bytearray(moldudp64.encode("SNP", randomness.randrange(1 << 40), messages))
        for _ in range(randomness.choice([0, 0, 1, 2, 8])):
            packet[randomness.randrange(len(packet))] = randomness.randrange(256)
        if randomness.random() < 0.2:
            del packet[randomness.randrange(20, len(packet) + 1) :]
        skip = randomness.choice([0, 0, 1, 5])
        wanted = naive_decode_packet(bytes(packet), skip, TIME_NS, snapshot=True)
        assert kernel(bytes(packet), skip) == wanted, (SEED, number)


def test_a_snapshot_becomes_begin_definition_status_orders_and_end():
    header = {"stock_locate": 7, "timestamp": 9}
    order = {"order_reference_number": 11, "buy_sell_indicator": "S", "shares": 300, "stock": "SIM0006", "price": "10.0100"}
    messages = [
        itch50.encode("g", **header, stock="SIM0006", sequence_number=12345678901),
        itch50.encode("R", **header, stock="SIM0006", round_lot_size=100),
        itch50.encode("H", **header, stock="SIM0006", trading_state="T"),
        itch50.encode("A", **header, **order),
        itch50.encode("G", **header, sequence_number=12345678901),
    ]
    events = [dict(zip(FIELDS, row, strict=True)) for row in kernel(moldudp64.encode("SNP", 100, messages))[0]]
    kinds = [BEGIN, *(value(f"EVENT_{name}") for name in ("INSTRUMENT", "STATUS", "ADD")), END]
    assert [event["kind"] for event in events] == kinds
    assert {event["instrument"] for event in events} == {7} and {event["flags"] for event in events} == {OF_SNAPSHOT}
    assert events[0]["quantity"] == events[-1]["quantity"] == 12345678901
    assert (events[3]["order_id"], events[3]["quantity"], events[3]["price"]) == (11, 300, 100100)


@pytest.mark.parametrize("kind", "gG")
def test_on_the_feed_itself_a_snapshots_own_messages_stay_unknown(kind):
    packet = moldudp64.encode("SIM", 5, [itch50.encode(kind, stock_locate=3)])
    events, counts = kernel(packet, snapshot=False)
    assert (events, counts) == naive_decode_packet(packet, 0, TIME_NS)
    assert counts["reasons"] == {value("FEED_MESSAGE_UNKNOWN"): 1} and events[0][7] == value("EVENT_INFORMATION")
    with pytest.raises(ValueError, match="no message type"):
        itch50.decode(itch50.encode(kind))


@pytest.mark.parametrize("kind", "ECXDUPQS")
def test_on_a_snapshot_channel_nothing_may_change_an_order(kind):
    packet = moldudp64.encode("SNP", 5, [message(random.Random(SEED), kind)])
    events, counts = kernel(packet)
    assert counts["reasons"] == {value("FEED_MESSAGE_UNKNOWN"): 1} and events[0][7] == value("EVENT_INFORMATION")


def test_a_feed_sequence_that_fits_no_event_is_a_gap():
    for kind in "gG":
        packet = moldudp64.encode("SNP", 1, [itch50.encode(kind, sequence_number=1 << 63)])
        events, counts = kernel(packet)
        assert events[0][7] == value("EVENT_GAP") and counts["reasons"] == {value("FEED_MESSAGE_FIELD"): 1}


def test_the_exact_codec_reads_a_snapshots_messages_from_its_own_table():
    for name, terms in (("g", {"stock": "SIM0001"}), ("G", {})):
        fields = {"stock_locate": 2, "tracking_number": 0, "timestamp": 3, **terms, "sequence_number": 99}
        read = itch50.decode(itch50.encode(name, **fields), itch50.SNAPSHOT_MESSAGES)
        assert {key: read[key] for key in fields} == fields
    with pytest.raises(ValueError, match="no message type"):
        itch50.decode(itch50.encode("D"), itch50.SNAPSHOT_MESSAGES)
