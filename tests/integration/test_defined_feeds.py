"""Recorded CME and Deribit packets through the corridor by their definitions: lines merge, books are right or stale."""

import json
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway import layout
from gateway.cli.main import main
from gateway.config import load
from gateway.core import book_reader
from gateway.ops.replay import Replay
from gateway.protocols.sbe.interpreter import decode_body
from gateway.protocols.sbe.schema import load_schema
from gateway.venues.definition_file import FOLDER, load_definition
from gateway.venues.packets import PacketReader
from tests import naive_capture
from tests.cli.test_decode import capture
from tests.protocols.sbe_frames import payloads

CME = ("cme-mdp3-sbe/Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap", "schemas/Cme.Futures.Mdp3.Sbe.v1.6.xml")
CME9 = ("cme-mdp3-sbe/Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap", "schemas/Cme.Futures.Mdp3.Sbe.v1.9.xml")
DERIBIT = ("deribit-multicast-sbe/sample_capture_v1_6.pcapng", "deribit-multicast-sbe/deribit_multicast.xml")
TOP = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
TICKER = ("bestBidPrice", "bestBidAmount", "bestAskPrice", "bestAskAmount")
VALID, STALE, FAULT = (layout.value(f"BOOK_{name}") for name in ("VALID", "STALE", "FAULT"))


def told(
    verb: str, recording: Path, feed: str, schema: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> dict[str, Any]:
    """What `gateway replay` or `book` prints as JSON."""
    assert main([verb, str(recording), "--feed", feed, "--schema", str(schema), "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def books(recording: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> dict[tuple[int, int], Any]:
    """Sides of every CME book by instrument and layer."""
    found = told("book", recording, "cme_mdp3", shared_data / CME[1], capsys, "--levels", "20")["instruments"]
    return {(book["instrument"], book["layer"]): (book["bids"], book["asks"]) for book in found}


def test_two_cme_lines_become_one_stream_without_gaps(shared_data: Path, capsys: pytest.CaptureFixture[str]):
    result = told("replay", shared_data / CME[0], "cme_mdp3", shared_data / CME[1], capsys)
    assert (result["packets"], result["duplicates"], result["sequence_gaps"]) == (10_000, 5_000, 0)
    assert result["messages"] == sum(result["messages_by_type"].values()) == 10_273
    (channel,) = result["channels"]
    lines = channel["lines"]
    assert {name: line["destination"] for name, line in lines.items()} == {
        "a": "224.0.31.64:14340",
        "b": "224.0.32.64:15340",
    }
    assert sum(line["first"] for line in lines.values()) == sum(line["second"] for line in lines.values()) == 5_000
    assert [line["missed"] for line in lines.values()] == [0, 0]
    assert (channel["gaps"], channel["books_stale"]) == (0, 0)


@pytest.mark.slow
def test_nine_cme_channels_of_price_and_order_books_have_no_gap(shared_data: Path, capsys: pytest.CaptureFixture[str]):
    result = told("replay", shared_data / CME9[0], "cme_mdp3", shared_data / CME9[1], capsys)
    assert result["packets"] == 99
    assert result["sequence_gaps"] == 0
    assert len(result["channels"]) == 9
    assert {channel["role"] for channel in result["channels"]} == {"incremental"}


@pytest.mark.parametrize("seed", range(2))
def test_packets_lost_on_one_cme_line_change_no_book(
    seed: int, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    draw = random.Random(seed)
    recorded = naive_capture.read((shared_data / CME[0]).read_bytes())[0]
    port = (14340, 15340)[seed].to_bytes(2, "big")
    # Ethernet, IPv4 without options: the destination port stands at 36. Line A's stream begins unharmed.
    kept = [row for number, row in enumerate(recorded) if number < 2 or row.data[36:38] != port or draw.random() < 0.5]
    assert len(kept) < 8_000
    path = capture(tmp_path / "lossy.pcap", [row.data for row in kept])
    assert books(path, shared_data, capsys) == books(shared_data / CME[0], shared_data, capsys)


@pytest.mark.slow
def test_packets_lost_on_both_cme_lines_leave_no_wrong_book_that_is_trusted(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    recorded = naive_capture.read((shared_data / CME[0]).read_bytes())[0]
    kept = [row.data for number, row in enumerate(recorded) if not 9_000 <= number < 9_900]
    path = capture(tmp_path / "gap.pcap", kept)
    result = told("replay", path, "cme_mdp3", shared_data / CME[1], capsys)
    assert result["sequence_gaps"] == 1
    assert result["messages_lost"] == 450
    whole = books(shared_data / CME[0], shared_data, capsys)
    found = told("book", path, "cme_mdp3", shared_data / CME[1], capsys, "--levels", "20")["instruments"]
    wrong = [book for book in found if (book["bids"], book["asks"]) != whole.get((book["instrument"], book["layer"]))]
    assert wrong, "the lost packets moved books"
    assert [book for book in wrong if "stale" not in book["flags"] or "valid" in book["flags"]] == []


def deribit_lines() -> str:
    """[[lines]] of the recording's channels: increments on port 6100, the snapshots of the same books on 6101."""
    text = ""
    for number in range(22):
        text += f'[[lines]]\nname = "{number}"\na = "239.111.111.{number}:6100"\n'
        text += f'[[lines]]\nname = "s{number}"\nrole = "snapshot"\nof = "{number}"\na = "239.111.111.{number}:6101"\n'
    return text


@pytest.mark.slow
@pytest.mark.parametrize("listed", [False, True], ids=["found", "listed"])
def test_deribit_books_have_the_best_prices_that_its_tickers_state(listed: bool, shared_data: Path, tmp_path: Path):
    """Whenever a book is trusted, top and ticker agree. Trusted is it from its first snapshot on, which for most instruments
    of the recording comes late: of 4,211 tickers some 2,090 have a trusted book. What comes before a snapshot is kept, and a
    snapshot that states no sequence (a book nobody ever changed) heals nothing."""
    settings = {
        "instance.name": f"test-deribit-{listed}".lower(),
        "feed.name": "deribit",
        "feed.any_destination": not listed,
    }
    if listed:
        definition = tmp_path / "deribit.toml"
        definition.write_text((FOLDER / "deribit.toml").read_text() + deribit_lines())
        settings["feed.definition"] = str(definition)
    configuration = load(None, {**settings, "feed.schema_file": str(shared_data / DERIBIT[1])})
    schema = load_schema(shared_data / DERIBIT[1])
    reader = PacketReader(load_definition("deribit"), schema)
    packets = [payload for *_, payload in payloads(shared_data / DERIBIT[0])]
    counts: Counter[tuple[bool, bool]] = Counter()
    with Replay(shared_data / DERIBIT[0], configuration, burst=1) as replay:
        done = 0
        for _ in replay.steps():
            frames = int(replay.instance.counters[0]["core"]["frames"])
            if frames == done:
                continue
            assert frames == done + 1, "one frame a turn"
            tickers = [raw for raw in reader.read(packets[done]).messages if raw.template == 1003]
            done = frames
            for raw in tickers:
                values, _ = decode_body(schema, schema.messages[1003], raw.data[raw.block :], raw.block_length, raw.version)
                trusted, top = state_of(replay, values["instrumentId"])
                counts[trusted, top == [Decimal(repr(values[name])) for name in TICKER]] += 1
        assert done == len(packets)
    assert counts[True, False] == 0
    assert counts[True, True] > 2_050, counts
    assert sum(counts.values()) == 4_211


def state_of(replay: Replay, instrument: int) -> tuple[bool, list[Decimal]]:
    """(the book may be believed, its best bid and ask) of an instrument of Deribit."""
    rows = replay.instance.rows("instruments")
    for row in range(len(rows)):
        if not rows[row]["flags"]:
            break
        if rows[row]["identifier"] == instrument and rows[row]["layer"] == 0:
            book = book_reader.books(replay.core.store)[row]
            flags = int(book["flags"])
            top = [Decimal(int(book[name])).scaleb(-8) for name in TOP]
            return bool(flags & VALID and not flags & (STALE | FAULT)), top
    return False, []
