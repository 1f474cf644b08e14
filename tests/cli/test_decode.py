"""`gateway decode` on captures made here: what it prints, what it counts, how it ends."""

import json
import struct
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.protocols import itch50, moldudp64, ouch50, soupbintcp, udp

ADD = itch50.encode("A", stock_locate=3, order_reference_number=1, buy_sell_indicator="B", shares=5, stock="Z", price="1.5")
ENTER = ouch50.encode("EnterOrder", user_ref_num=1, side="B", quantity=10, symbol="Z", price="2.25", firm="LIME")
EXECUTED = ouch50.encode("OrderExecuted", timestamp=5, user_ref_num=1, quantity=10, price="2.25", match_number=9)


def capture(path: Path, frames: list[bytes]) -> Path:
    """A pcap file of these frames."""
    records = [struct.pack("<IIII", index, 0, len(frame), len(frame)) + frame for index, frame in enumerate(frames)]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    return path


def tcp(payload: bytes, sequence: int, ports: tuple[int, int] = (1, 2), syn: bool = False) -> bytes:
    """An Ethernet frame around a TCP segment."""
    frame = bytearray(udp.frame(bytes(12) + payload))
    frame[23] = 6
    frame[24:26] = b"\0\0"
    frame[34:54] = struct.pack(">HHIIBBHHH", *ports, sequence, 0, 0x50, 2 if syn else 16, 0, 0, 0)
    return bytes(frame)


def decode(path: Path, feed: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]], str]:
    """(exit code, printed objects, stderr)."""
    code = main(["decode", str(path), "--feed", feed])
    output = capsys.readouterr()
    return code, [json.loads(line) for line in output.out.splitlines()], output.err


def test_a_message_has_frame_sequence_name_and_exact_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path / "a.pcap", [udp.frame(moldudp64.encode("S", 41, [ADD, itch50.encode("D")]))])
    code, printed, errors = decode(path, "itch50", capsys)
    assert code == 0
    assert list(printed[0])[:3] == ["frame", "sequence", "message"]
    assert [(message["frame"], message["sequence"]) for message in printed] == [(1, 41), (1, 42)]
    assert printed[0]["message"] == "Add Order - No MPID Attribution"
    assert printed[0]["stock"] == "Z"
    assert printed[0]["price"] == "1.5000"
    assert Decimal(printed[0]["price"]) == Decimal("1.5")
    assert errors == "gateway decode: 1 frames, 2 messages\n"


def test_what_carries_no_message_is_counted_by_reason_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = udp.frame(moldudp64.encode("S", 1, [ADD, b"?", ADD[:-1]]))
    frames = [
        good,
        good[:-1],  # shorter than its IP length
        udp.frame(moldudp64.encode("S", 4)),
        udp.frame(moldudp64.encode_end_of_session("S", 4)),
        udp.frame(moldudp64.encode("S", 4, [ADD, ADD])[:-1]),
        udp.frame(b"short"),
        good[:12] + b"\x08\x06" + good[14:],
        tcp(b"", 1),
    ]
    code, printed, errors = decode(capture(tmp_path / "a.pcap", frames), "itch50", capsys)
    assert code == 0
    assert [(message["frame"], message["sequence"]) for message in printed] == [(1, 1), (5, 4)]
    assert errors == (
        "gateway decode: 8 frames, 2 messages; passed over: block_overrun 1, end_of_session 1, frame_short 1, "
        "heartbeat 1, message_length 1, message_unknown 1, not_ipv4 1, not_udp 1, packet_short 1\n"
    )


def test_ouch_on_udp_is_told_apart_by_its_framing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [udp.frame(ENTER), udp.frame(moldudp64.encode("R", 8, [EXECUTED]))]
    code, printed, _ = decode(capture(tmp_path / "a.pcap", frames), "ouch50", capsys)
    assert code == 0
    assert [(message["message"], message["sequence"]) for message in printed] == [
        ("Enter Order", None),
        ("Order Executed", 8),
    ]
    assert printed[0]["firm"] == "LIME"


def test_ouch_on_tcp_is_put_together_from_its_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    login = soupbintcp.encode("LoginAccepted", session="S", sequence_number=100)
    reports = login + b"".join(soupbintcp.encode("SequencedData", EXECUTED) for _ in range(3)) + soupbintcp.encode("H")
    orders = soupbintcp.encode("UnsequencedData", ENTER) * 2
    frames = [tcp(b"", 999, (1, 2), syn=True)]
    frames += [tcp(reports[at : at + 20], 1000 + at, (1, 2)) for at in range(0, len(reports), 20)]
    frames[3], frames[4] = frames[4], frames[3]  # recorded out of order
    frames += [tcp(orders[at : at + 33], 7 + at, (2, 1)) for at in range(0, len(orders), 33)] + [tcp(orders[:20], 7, (2, 1))]
    code, printed, errors = decode(capture(tmp_path / "a.pcap", frames), "ouch50", capsys)
    assert code == 0
    assert [(message["message"], message["sequence"]) for message in printed] == [
        *[("Order Executed", number) for number in (100, 101, 102)],
        *[("Enter Order", None)] * 2,
    ]
    assert errors.endswith("passed over: heartbeat 1, login_accepted 1, no_payload 1\n")


def test_a_torn_capture_gives_what_is_whole_and_ends_in_a_one_line_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = capture(tmp_path / "a.pcap", [udp.frame(moldudp64.encode("S", 1, [ADD]))] * 3)
    path.write_bytes(path.read_bytes()[:-10])
    code, printed, errors = decode(path, "itch50", capsys)
    assert (code, len(printed)) == (5, 2)
    assert "damaged behind frame 2" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"", b"\xa1\xb2", b"\0\0\0"])
def test_a_file_that_is_no_recording_is_a_one_line_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "a.pcap"
    if content is not None:
        path.write_bytes(content)
    code, printed, errors = decode(path, "itch50", capsys)
    assert (code, printed) == (5, [])
    assert errors.startswith("gateway decode: ")
    assert errors.count("\n") == 1


def test_an_unknown_feed_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["decode", str(tmp_path / "a.pcap"), "--feed", "morse"])
    assert left.value.code == 2
    assert "itch50" in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    frame = udp.frame(moldudp64.encode("S", 1, [ADD] * 30))
    path = capture(tmp_path / "a.pcap", [frame] * 2000)
    command = [sys.executable, "-m", "gateway.cli.main", "decode", str(path), "--feed", "itch50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"frame": 1')
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert b"Traceback" not in process.stderr.read()
