"""Every recorded capture through `gateway replay` and `gateway book`: what went in is what comes out, counted."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.layout import value
from gateway.ops.replay import Replay
from gateway.port import open_port
from gateway.protocols import itch50, moldudp64
from gateway.protocols.headers import carried_by
from tests.corridor_bench import Feed, configuration, replay
from tests.naive import NaiveBooks
from tests.naive_packets import FIELDS, decode_packet
from tests.protocols import golden
from tests.protocols.test_golden import ITCH_FOLDERS

LETTERS = {message.name: message.type for message in itch50.MESSAGES.values()}
MULTIPLE = "Nasdaq.Equities.TotalView.Itch.v5.0__Multiple.Packets.pcap"
LOST = 4_244_620  # messages between the two packets of that capture
STALE, VALID = value("BOOK_STALE"), value("BOOK_VALID")


def capture_settings():
    return configuration(feed__any_destination=True, feed__unsequenced=True)


def golden_types(frames):
    """Type letter → messages, as the independent decoder names them."""
    return Counter(LETTERS[golden.MESSAGES[name]] for frame in frames for name in golden.message_names(frame))


def naive_levels(capture):
    """Both sides of every book that the capture's messages leave, by the slow twins."""
    books = NaiveBooks()
    with open_port(f"pcap:{capture}") as port:
        for frame in port:
            events, _ = decode_packet(carried_by(frame.data).payload, 0, frame.time_ns)
            for event in events:
                books.apply(dict(zip(FIELDS, event, strict=True)))
    return {key: (book.levels(1), book.levels(2)) for key, book in books.books.items()}


@pytest.mark.slow
@pytest.mark.parametrize("folder", ITCH_FOLDERS)
def test_every_capture_gives_the_golden_messages_and_the_naive_books(folder, shared_data):
    captures = sorted((shared_data / folder).glob("*.pcap"))
    assert len(captures) >= 3
    for capture in captures:
        frames = golden.frames(shared_data / "golden/nasdaq" / ITCH_FOLDERS[folder] / f"{capture.stem.split('__')[1]}.json")
        result = replay(capture, capture_settings())
        types = golden_types(frames)
        assert result["io"]["frames_received"] == result["core"]["frames"] == result["core"]["packets"] == len(frames)
        assert result["messages"] == dict(types), capture
        assert result["core"]["messages"] == types.total()
        assert set(result["feed_reasons"]) <= {"order_unknown"}, "a day joined in its middle names orders we never saw"
        gaps = (1, LOST) if capture.name == MULTIPLE else (0, 0)
        assert (result["core"]["gaps"], result["core"]["gap_messages"]) == gaps
        ours = {key: (book["bids"], book["asks"]) for key, book in result["books"].items()}
        assert ours == naive_levels(capture), capture


def test_the_first_thousand_messages_of_a_day_list_every_instrument(shared_data):
    path = shared_data / "nasdaq-itch50-binaryfile" / "sample.itch"
    result = replay(path, capture_settings())
    assert result["messages"] == {"S": 1, "R": 993, "H": 3, "Y": 3}
    assert result["core"]["messages"] == result["io"]["frames_received"] == 1000
    assert result["core"]["gaps"] == 0 and result["feed_reasons"] == {}
    assert result["core"]["instruments"] == len(result["books"]) == 993
    symbols, data, offset = [], path.read_bytes(), 0
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 2], "big")
        message = itch50.decode(data[offset + 2 : offset + 2 + length])
        if message["message"] == "Stock Directory":
            symbols.append((message["stock_locate"], message["stock"]))
        offset += 2 + length
    assert sorted((key, book["symbol"]) for key, book in result["books"].items()) == sorted(symbols)
    assert all(book["flags"] & (VALID | STALE) == VALID for book in result["books"].values()), "followed from message 1"


def command(*words):
    return subprocess.run([sys.executable, "-m", "gateway.cli.main", *words], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_command_reports_the_gap_of_the_recorded_capture(shared_data):
    capture = shared_data / "nasdaq-itch50-moldudp64" / MULTIPLE
    outcome = command("replay", str(capture), "--feed", "itch50", "--json")
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout)
    expected = {"frames": 2, "packets": 2, "messages": 39, "sequence_gaps": 1, "messages_lost": LOST}
    assert {name: result[name] for name in expected} == expected
    assert result["malformed"] == {} and result["duplicates"] == 0 and result["orders"] == 0
    assert result["messages_by_type"] == {"A": 36, "D": 1, "F": 2}


@pytest.mark.slow
def test_the_book_command_prints_the_books_of_the_recorded_capture(shared_data):
    capture = shared_data / "nasdaq-itch50-moldudp64" / MULTIPLE
    outcome = command("book", str(capture), "--feed", "itch50", "--levels", "50", "--json")
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout)
    with open_port(f"pcap:{capture}") as port:
        blocks = [block for frame in port for block in moldudp64.decode(carried_by(frame.data).payload).messages]
    added = [message for message in map(itch50.decode, blocks) if message["message"].startswith("Add Order")]
    for book in result["instruments"]:
        orders = [row for row in added if row["stock_locate"] == book["instrument"]]
        assert "stale" in book["flags"] and "valid" not in book["flags"]
        for side, letter in (("bids", "B"), ("asks", "S")):
            total = sum(row["shares"] for row in orders if row["buy_sell_indicator"] == letter)
            assert sum(quantity for _, quantity, _ in book[side]) == total
            assert [float(price) for price, _, _ in book[side]] == sorted(
                (float(price) for price, _, _ in book[side]), reverse=side == "bids"
            )
    assert sum(count for book in result["instruments"] for side in ("bids", "asks") for _, _, count in book[side]) == 38


@pytest.fixture
def small(tmp_path):
    """Fourteen messages whose books are worked out by hand below."""
    feed = Feed()
    feed.packet(*feed.listing(1, "TEST"), *feed.listing(2, "OTHER"))
    feed.packet(feed.add(10, "B", 100, 1_000_000), feed.add(11, "B", 50, 1_000_000), feed.add(12, "B", 70, 999_900))
    feed.packet(feed.add(20, "S", 30, 1_000_100), feed.add(21, "S", 40, 1_000_250))
    feed.packet(feed.add(30, "S", 5, 12_345, locate=2, symbol="OTHER"))
    # 10 trades 60 of its 100, 11 goes, 12 becomes 13 at another price, 21 shrinks to 15
    feed.packet(feed.message("E", order_reference_number=10, executed_shares=60, match_number=1))
    feed.packet(
        feed.message("D", order_reference_number=11),
        feed.message("U", original_order_reference_number=12, new_order_reference_number=13, shares=80, price=999_800),
        feed.message("X", order_reference_number=21, canceled_shares=25),
    )
    return feed.write(tmp_path / "small.pcap")


BOOK_TEST = {
    "symbol": "TEST",
    "instrument": 1,
    "flags": ["known", "named", "valid"],
    "bids": [["100.0000", 40, 1], ["99.9800", 80, 1]],
    "asks": [["100.0100", 30, 1], ["100.0250", 15, 1]],
}
BOOK_OTHER = {
    "symbol": "OTHER",
    "instrument": 2,
    "flags": ["known", "named", "valid"],
    "bids": [],
    "asks": [["1.2345", 5, 1]],
}


def books_printed(capsys, *words):
    assert main(["book", *map(str, words), "--feed", "itch50", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row in rows:
        for book in row["instruments"]:
            book["flags"].sort()
    return rows


def test_the_books_of_a_small_file_are_those_worked_out_by_hand(small, capsys):
    (row,) = books_printed(capsys, small)
    assert row == {"messages": 14, "instruments": [BOOK_TEST, BOOK_OTHER]}


def test_levels_and_symbol_narrow_what_is_printed(small, capsys):
    (row,) = books_printed(capsys, small, "--levels", "1", "--symbol", "TEST")
    assert row["instruments"] == [{**BOOK_TEST, "bids": BOOK_TEST["bids"][:1], "asks": BOOK_TEST["asks"][:1]}]


def test_books_on_the_way_come_at_the_end_of_the_frame_that_completes_the_count(small, capsys):
    rows = books_printed(capsys, small, "--every", "5", "--symbol", "TEST")
    assert [row["messages"] for row in rows] == [7, 10, 14]
    before = rows[0]["instruments"][0]
    assert before["bids"] == [["100.0000", 150, 2], ["99.9900", 70, 1]] and before["asks"] == []
    assert rows[-1]["instruments"] == [BOOK_TEST]


def test_the_text_form_shows_the_same_levels(small, capsys):
    assert main(["book", str(small), "--feed", "itch50"]) == 0
    text = capsys.readouterr().out
    assert "after 14 messages: 2 books" in text and "100.0100" in text and "99.9800" in text


def test_the_replay_text_names_every_figure(small, capsys):
    assert main(["replay", str(small), "--feed", "itch50"]) == 0
    lines = {line[:20].rstrip(): line[21:] for line in capsys.readouterr().out.splitlines()}
    assert lines["frames"] == "6" and lines["messages"] == "14" and lines["malformed"] == "none"


def test_steps_tell_the_messages_decoded_after_each_frame(small):
    with Replay(Path(small), capture_settings(), burst=1) as run:
        told = list(run.steps())
    assert told[:6] == [4, 7, 9, 10, 11, 14] and set(told[6:]) <= {14}
