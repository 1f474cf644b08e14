"""The readers of PyPI beside the decoder: what they say is compared, and who is wrong is found out."""

from types import SimpleNamespace

import numpy as np
import pytest

from gateway.layout import value
from gateway.ops.bench import itch_peers
from gateway.ops.bench.itch_peers import ALL, COMPARED, add_peers, difference
from gateway.ops.bench.itch_stream import beginning, blocks_of, make_stream, recorded_stream, stream_of
from gateway.ops.bench.recorded import payloads_of
from gateway.ops.bench.suite import Result
from tests.protocols import golden
from tests.protocols.test_golden import ITCH_FOLDERS

# golden leaf → column of struct event, where it says the same of every type
GOLDEN = {
    "stocklocate": "instrument",
    "locatecode": "instrument",
    "timestamp": "time_venue_ns",
    "orderreferencenumber": "order_id",
    "originalorderreferencenumber": "order_id",
    "neworderreferencenumber": "other_id",
    "matchnumber": "other_id",
    "shares": "quantity",
    "executedshares": "quantity",
    "canceledshares": "quantity",
    "crossshares": "quantity",
    "price": "price",
    "executionprice": "price",
    "crossprice": "price",
}


@pytest.fixture(scope="module")
def stream():
    return beginning(make_stream(4000, 3), 2000)


def objects_of(events):
    """What a perfect reader would give, under itchcpp's names."""
    sides = {value("SIDE_BUY"): b"B", value("SIDE_SELL"): b"S"}
    for row in events:
        letter = chr(row["message_type"])
        given = {name: int(row[column]) for column, name in (ALL | COMPARED.get(letter, {})).items()}
        given["message_type"] = letter.encode()
        if "buy_sell_indicator" in given:
            given["buy_sell_indicator"] = sides[given["buy_sell_indicator"]]
        if "printable" in given:
            given["printable"] = b"N" if given["printable"] & value("EVENT_NON_PRINTABLE") else b"Y"
        if "stock" in given:
            given["stock"] = given["stock"].to_bytes(8, "little")
        yield SimpleNamespace(**given)


def test_a_perfect_reader_does_not_differ(stream):
    assert difference("itchcpp", lambda: objects_of(stream.events), stream.events) == ""


@pytest.mark.parametrize(
    ("letter", "column"), [("A", "time_venue_ns"), ("D", "order_id"), ("U", "price"), ("E", "other_id")]
)
def test_a_reader_that_is_wrong_in_one_field_is_found_out(stream, letter, column):
    wrong = stream.events.copy()
    place = int(np.flatnonzero(wrong["message_type"] == ord(letter))[-1])
    wrong[column][place] ^= 1
    told = difference("itchcpp", lambda: objects_of(wrong), stream.events)
    assert told.startswith(f"message {place + 1}, type {letter}: ")


def test_a_reader_that_stops_early_is_found_out(stream):
    told = difference("itchcpp", lambda: objects_of(stream.events[:-1]), stream.events)
    assert told == f"it ends after {len(stream.events) - 1} of {len(stream.events)} messages"


def test_a_wrong_reader_is_shown_and_does_not_count(stream, monkeypatch):
    monkeypatch.setattr(itch_peers, "READERS", {"numpy": (lambda blocks: lambda: objects_of(stream.events[:-1]), "short")})
    contenders = []
    add_peers(contenders, Result("decode", "title"), stream, "decode", 1, "sound")
    assert contenders[0].run().checksum != "sound" and "it ends after" in contenders[0].note


def test_a_reader_that_is_not_installed_is_skipped_with_the_reason(stream, monkeypatch):
    monkeypatch.setattr(itch_peers, "READERS", {"no_such_reader": (lambda blocks: None, "")})
    result = Result("decode", "title")
    add_peers([], result, stream, "decode", 1, "sound")
    assert result.skipped["no_such_reader"].startswith("not installed: pip install")


def test_every_reader_that_is_installed_reads_the_day_and_the_recordings(stream, shared_data):
    recorded = recorded_stream(shared_data)
    assert recorded is not None and len(recorded.events) > 1000
    for here in (stream, recorded):
        contenders = []
        result = Result("decode", "title")
        add_peers(contenders, result, here, "decode", 1, "sound")
        assert {one.name: one.run().checksum for one in contenders} == dict.fromkeys(
            (one.name for one in contenders), "sound"
        )
    if not contenders:
        pytest.skip(f"none is installed: {result.skipped}")


def test_blocks_are_what_the_packets_carry(stream):
    blocks, at, letters = blocks_of(stream), 0, []
    while at < len(blocks):
        letters.append(blocks[at + 2])
        at += 2 + int.from_bytes(blocks[at : at + 2], "big")
    assert letters == stream.events["message_type"].tolist()


@pytest.mark.parametrize("folder", ITCH_FOLDERS)
def test_the_reference_rows_are_the_golden_output(folder, shared_data):
    for capture in sorted((shared_data / folder).glob("*.pcap")):
        frames = golden.frames(shared_data / "golden/nasdaq" / ITCH_FOLDERS[folder] / f"{capture.stem.split('__')[1]}.json")
        printed = [leaf for frame in frames for leaf in golden.leaves(frame)]
        rows = iter(stream_of(payloads_of(capture)).events)
        compared = 0
        for name, text in printed:
            if name == "messagetype":
                row = next(rows)
                assert chr(row["message_type"]) == text
            elif name in GOLDEN:
                expected = float(row[GOLDEN[name]]) / (10_000 if GOLDEN[name] == "price" else 1)
                assert float(text) == expected, (capture.name, name, text)
                compared += 1
        assert compared and next(rows, None) is None
