"""Every field of every message of the recorded captures equals what an independent decoder printed for them."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.port import open_port
from gateway.protocols import itch50, moldudp64, ouch50, soupbintcp
from gateway.protocols.headers import carried_by
from tests.protocols import golden

# folder of captures → golden folder
ITCH_FOLDERS = {
    "nasdaq-itch50-moldudp64": "Nasdaq.Equities.TotalView.Itch.v5.0",
    "nasdaq-bx-itch50-moldudp64": "Bx.Equities.TotalView.Itch.v5.0",
    "nasdaq-itch50-messages-reframed": "Nasdaq.Equities.TotalView.Itch.v5.0.20230822",
    "nasdaq-bx-itch50-messages-reframed": "Bx.Equities.TotalView.Itch.v5.0.20230822",
}
OUCH_FOLDER, OUCH_GOLDEN = "nasdaq-ouch50-soupbintcp", "Nasdaq.Nsm.Ouch.v5.0"


def decode_command(capture: Path, feed: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What `gateway decode` prints."""
    assert main(["decode", str(capture), "--feed", feed]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def same(ours: Any, theirs: str) -> bool:
    """Equal values: numbers and prices as exact decimals, text as it stands."""
    if isinstance(ours, int):
        return str(ours) == theirs
    if ours == theirs:
        return True
    try:
        return "." in ours and Decimal(ours) == Decimal(theirs)
    except ArithmeticError:
        return False


def compare(theirs: list[tuple[str, str]], ours: list[tuple[str, Any]], fields: dict[str, str]) -> int:
    """Every golden leaf has its equal on our side and every value of ours is met; returns leaves compared."""
    left = list(ours)
    for name, text in theirs:
        match = next((pair for pair in left if pair[0] == fields[name] and same(pair[1], text)), None)
        assert match, f"golden {name} = {text!r} is not in {left}"
        left.remove(match)
    assert not left, f"not in the golden output: {left}"
    return len(theirs)


def itch_values(data: bytes, printed: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """What a frame holds on our side: the packet's own fields, and each printed message."""
    packet = moldudp64.decode(carried_by(data).payload)
    assert [message["sequence"] for message in printed] == [packet.sequence + i for i in range(len(packet.messages))]
    values: list[tuple[str, Any]] = [("session", packet.session), ("packet_sequence", packet.sequence)]
    values += [("packet_count", packet.count)]
    for index, (block, message) in enumerate(zip(packet.messages, printed, strict=True), start=1):
        values += [("index", index), ("length", len(block))]
        values += [pair for pair in message.items() if pair[0] not in ("frame", "sequence", "message")]
    return values


@pytest.mark.parametrize("folder", ITCH_FOLDERS)
def test_every_field_of_every_itch_message_equals_the_golden_output(
    folder: str, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captures = sorted((shared_data / folder).glob("*.pcap"))
    compared = 0
    for capture in captures:
        printed = decode_command(capture, "itch50", capsys)
        frames = golden.frames(shared_data / "golden/nasdaq" / ITCH_FOLDERS[folder] / f"{capture.stem.split('__')[1]}.json")
        with open_port(f"pcap:{capture}") as port:
            recorded = list(port)
        assert len(recorded) == len(frames)
        for number, (record, frame) in enumerate(zip(recorded, frames, strict=True), start=1):
            messages = [message for message in printed if message["frame"] == number]
            assert [message["message"] for message in messages] == [
                golden.MESSAGES[name] for name in golden.message_names(frame)
            ]
            meta = frame.pop("frame")
            assert (meta["frame.number"], meta["frame.len"]) == (str(number), str(record.size_wire))
            assert meta["frame.time_epoch"].replace(".", "") == str(record.time_ns)
            compared += compare(list(golden.leaves(frame)), itch_values(record.data, messages), golden.ITCH_FIELDS)
    assert len(captures) >= 3
    assert compared > 10 * len(captures)


def ouch_values(data: bytes, printed: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """The session packet's own fields, each printed message, and the elements of its appendage."""
    (packet,), rest = soupbintcp.split(carried_by(data).payload)
    assert rest == b""
    values: list[tuple[str, Any]] = [("packet_length", len(packet)), ("packet_type", chr(packet[0]))]
    for message in printed:
        values += [pair for pair in message.items() if pair[0] not in ("frame", "sequence", "message")]
        if "appendage_length" in message:
            appendage = packet[len(packet) - message["appendage_length"] :]
            for tag, value in ouch50.options_in(appendage):
                values += [("option_tags", tag), ("option_lengths", len(value) + 1)]
    return values


def test_every_field_of_every_ouch_message_equals_the_golden_output(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captures = sorted((shared_data / OUCH_FOLDER).glob("*.pcap"))
    compared = 0
    for capture in captures:
        printed = decode_command(capture, "ouch50", capsys)
        (frame,) = golden.frames(shared_data / "golden/nasdaq" / OUCH_GOLDEN / f"{capture.stem.split('__')[1]}.json")
        with open_port(f"pcap:{capture}") as port:
            (record,) = list(port)
        assert [message["message"] for message in printed] == [golden.MESSAGES[name] for name in golden.message_names(frame)]
        frame.pop("frame")
        compared += compare(list(golden.leaves(frame)), ouch_values(record.data, printed), golden.OUCH_FIELDS)
    assert len(captures) == 6
    assert compared >= 50


def test_the_first_thousand_messages_of_a_day_decode_and_encode_back(shared_data: Path) -> None:
    data = (shared_data / "nasdaq-itch50-binaryfile" / "sample.itch").read_bytes()
    types: Counter[str] = Counter()
    offset = 0
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 2], "big")
        message = data[offset + 2 : offset + 2 + length]
        decoded = itch50.decode(message)
        assert itch50.encode(decoded.pop("message"), **decoded) == message
        types[chr(message[0])] += 1
        offset += 2 + length
    assert types == {"S": 1, "R": 993, "H": 3, "Y": 3}


def test_the_command_prints_a_binaryfile_as_numbered_messages(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = decode_command(shared_data / "nasdaq-itch50-binaryfile" / "sample.itch", "itch50", capsys)
    assert [message["sequence"] for message in printed] == list(range(1, 1001))
    assert [message["frame"] for message in printed] == list(range(1, 1001))
    names = Counter(message["message"] for message in printed)
    assert names == {
        "System Event": 1,
        "Stock Directory": 993,
        "Stock Trading Action": 3,
        "Reg SHO Short Sale Price Test Restricted Indicator": 3,
    }
