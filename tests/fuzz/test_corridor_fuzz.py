"""Damaged days through the whole corridor, each in a process of its own: nothing crashes, everything is accounted for."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.limits import FRAME_BYTES_MAX
from gateway.protocols import udp
from tests.corridor_bench import Feed, configuration, count_of, pcap_of, replay
from tests.fuzz.corridor_run import account
from tests.naive_corridor import NaiveCorridor

SECONDS = 120
CHOICE = {"feed__any_destination": True}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(1, 7)], ids=str)
def test_a_damaged_day_gives_the_books_and_the_counts_of_its_naive_twin(seeds: range, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.corridor_run", str(tmp_path), *map(str, seeds)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    print(outcome.stdout)
    assert outcome.returncode == 0, f"{outcome.stdout[-200:]} {outcome.stderr[-2000:]}"


@pytest.mark.long
@pytest.mark.parametrize("seeds", [range(100, 200)], ids=str)
def test_a_hundred_damaged_days(seeds: range, tmp_path: Path) -> None:
    test_a_damaged_day_gives_the_books_and_the_counts_of_its_naive_twin(seeds, tmp_path)


def small_feed() -> Feed:
    feed = Feed()
    feed.packet(*feed.listing())
    feed.packet(feed.add(1, "B", 100, 1_000_000), feed.add(2, "S", 100, 1_000_100))
    return feed


def run(tmp_path: Path, frames: list[tuple[int, bytes]], cut: int = 1 << 18) -> dict:
    path = tmp_path / "feed.pcap"
    path.write_bytes(pcap_of(frames, cut))
    result = replay(path, configuration(**CHOICE))
    account(result)
    return result


def twin_of(frames: list[tuple[int, bytes]]) -> NaiveCorridor:
    twin = NaiveCorridor(unsequenced=False)
    for time_ns, frame in frames:
        twin.frame(frame, time_ns)
    twin.end(frames[-1][0])
    return twin


def test_a_frame_cut_at_every_byte_is_counted_and_never_read_beyond(tmp_path: Path) -> None:
    feed = small_feed()
    time_ns, whole = feed.frames.pop()
    feed.frames += [(time_ns + size, whole[:size]) for size in range(len(whole) + 1)]
    result = run(tmp_path, feed.frames)
    twin = twin_of(feed.frames)
    assert count_of(result, "frame_short") == len(whole)
    assert result["feed_reasons"] == twin.all_reasons()
    assert result["books"] == twin.all_books() and len(result["books"][1]["bids"]) == 1


@pytest.mark.slow
def test_a_payload_cut_at_every_byte_loses_its_messages_and_says_so(tmp_path: Path) -> None:
    for size in range(20, 100, 7):
        feed = small_feed()
        time_ns, whole = feed.frames.pop()
        feed.frames.append((time_ns, udp.frame(whole[42 : 42 + size], destination="239.192.1.1", destination_port=31001)))
        result, twin = run(tmp_path, feed.frames), twin_of(feed.frames)
        assert count_of(result, "block_overrun") == (1 if size < 96 else 0)
        assert result["feed_reasons"] == twin.all_reasons() and result["books"] == twin.all_books()


def test_a_frame_the_capture_cut_is_dropped_by_io(tmp_path: Path) -> None:
    feed = small_feed()
    result = run(tmp_path, feed.frames, cut=100)
    assert result["io"]["drop_truncated"] == 2 and result["core"]["frames"] == 0


def test_a_frame_longer_than_a_slot_is_dropped_by_io_and_one_that_just_fits_is_read(tmp_path: Path) -> None:
    feed = small_feed()
    (first_ns, first), (time_ns, whole) = feed.frames
    longest = whole + bytes(FRAME_BYTES_MAX - len(whole))
    frames = [(first_ns, first), (time_ns, longest + b"\0"), (time_ns, longest)]
    result = run(tmp_path, frames)
    assert result["io"]["drop_oversized"] == 1 and result["core"]["messages"] == 4
    assert result["books"][1]["bids"] == [(1_000_000, 100, 1)]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("wrong IP checksum", "ip_checksum"),
        ("wrong UDP checksum", "udp_checksum"),
        ("first fragment", "fragment"),
        ("later fragment", "fragment"),
        ("three tags", "not_ipv4"),
        ("IPv6", "not_ipv4"),
        ("TCP", "not_udp"),
        ("UDP longer than IP", "udp_length"),
        ("IP longer than the frame", "frame_short"),
    ],
)
def test_a_frame_that_is_not_believed_moves_nothing_and_is_counted(what: str, reason: str, tmp_path: Path) -> None:
    feed = small_feed()
    time_ns, whole = feed.frames.pop()
    feed.frames += [(time_ns, spoiled(whole, what)), (time_ns, whole)]
    result = run(tmp_path, feed.frames)
    assert result["feed_reasons"] == {reason: 1}
    assert result["books"][1]["bids"] == [(1_000_000, 100, 1)], "the good frame behind it is read"


def spoiled(frame: bytes, what: str) -> bytes:
    rows = bytearray(frame)
    if what == "wrong IP checksum":
        rows[24] ^= 1
        return bytes(rows)
    if what == "wrong UDP checksum":
        rows[41] ^= 1
        return bytes(rows)
    if what == "three tags":
        return frame[:12] + bytes.fromhex("88a80001 81000002 81000003") + frame[12:]
    if what == "IPv6":
        return frame[:12] + b"\x86\xdd" + frame[14:]
    changes = {
        "first fragment": (20, b"\x20\x00"),
        "later fragment": (20, b"\x00\x10"),
        "TCP": (23, b"\x06"),
        "UDP longer than IP": (38, b"\xff\xff"),
        "IP longer than the frame": (16, b"\xff\xff"),
    }
    at, word = changes[what]
    rows[at : at + len(word)] = word
    rows[24:26] = b"\0\0"
    rows[24:26] = udp.checksum(bytes(rows[14:34])).to_bytes(2, "big")
    return bytes(rows)


@pytest.mark.parametrize("tags", [b"\x81\x00\x00\x05", b"\x88\xa8\x00\x05\x81\x00\x00\x06"], ids=["802.1Q", "QinQ"])
def test_tags_and_padding_change_nothing(tags: bytes, tmp_path: Path) -> None:
    feed = small_feed()
    feed.frames = [(time_ns, frame[:12] + tags + frame[12:] + b"\xee" * 30) for time_ns, frame in feed.frames]
    result = run(tmp_path, feed.frames)
    assert result["feed_reasons"] == {} and result["books"][1]["bids"] == [(1_000_000, 100, 1)]
