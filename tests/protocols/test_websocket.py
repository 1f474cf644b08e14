"""JSON of crypto venues against plain Python: every line of the recordings, and lines that were damaged."""

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.naive_json import Refused
from tests.naive_venues import CONTROL, TWINS, UNKNOWN, Message
from tests.websocket_desk import Desk, expected_rows, messages_of, told_rows

RECORDINGS = {
    "binance_usdm": "binance-ws-json/usdm__btcusdt_20240808.gz",
    "coinbase": "cryptofeed-ws-json/COINBASE.ws.28.0.gz",
    "okx": "cryptofeed-ws-json/OKX.ws.1.0.gz",
    "deribit_json": "cryptofeed-ws-json/DERIBIT.ws.1.0.gz",
    "kraken": "cryptofeed-ws-json/KRAKEN.ws.50.0.gz",
}
STEP = {"binance_usdm": 60, "coinbase": 4, "kraken": 3}  # every so many lines: the long test takes them all


def twin_of(name: str) -> Any:
    return TWINS[name.split("_")[0]]


def judge(name: str, data: bytes) -> Message | str | None:
    """What the twin says: a message, CONTROL, UNKNOWN, or None: refused."""
    try:
        said = twin_of(name)(data)
        if isinstance(said, Message):
            expected_rows(said)
        return said
    except (Refused, LookupError, TypeError, ValueError, AttributeError):
        return None


def agree(desk: Desk, name: str, data: bytes) -> bool:
    """Compares one message with the twin; whether it was taken."""
    before = desk.reasons(), desk.total("heartbeats"), desk.total("messages")
    events = desk.say(data)
    said = judge(name, data)
    if said is None:
        assert sum(desk.reasons().values()) == sum(before[0].values()) + 1, data
        assert not len(events) or [int(kind) for kind in events["kind"]] == [11], data
        return False
    if said == CONTROL:
        assert desk.total("heartbeats") == before[1] + 1 and not len(events), data
        return True
    if said == UNKNOWN:
        assert desk.reasons().get("MESSAGE_UNKNOWN", 0) == before[0].get("MESSAGE_UNKNOWN", 0) + 1, data
        return True
    assert isinstance(said, Message)
    assert desk.total("messages") == before[2] + 1, (data, desk.reasons())
    assert told_rows(events) == expected_rows(said), data
    if said.symbol is not None and len(events):
        assert desk.symbol(int(events[-1]["instrument"])) == said.symbol, data
    compare_frame(events, said, data)
    return True


def compare_frame(events: np.ndarray, said: Message, data: bytes) -> None:
    """What stands around the rows: ids, snapshot marks, checksum, times."""
    kinds = events["kind"].tolist()
    assert (17 in kinds) == (18 in kinds) == (said.kind == "s"), data
    if said.kind == "s":
        assert int(events[kinds.index(17)]["other_id"]) == said.ids[1], data
    if said.kind == "d" and said.ids[1]:
        row = events[kinds.index(20)]
        assert (int(row["price"]), int(row["other_id"]), int(row["order_id"])) == said.ids, data
    assert (21 in kinds) == (said.checksum is not None and bool(said.rows)), data
    if 21 in kinds:
        assert int(events[-1]["quantity"]) == said.checksum, data
    if said.time_ns >= 0:
        assert set(events["time_venue_ns"].tolist()) <= {said.time_ns, *(row[4] for row in said.rows)}, data
    assert set(events["sequence"].tolist()) <= {said.sequence}, data


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_line_of_a_recording_says_what_the_kept_library_reads(name: str, shared_data: Path) -> None:
    desk = Desk(name)
    lines = [data for _, data in messages_of(shared_data / RECORDINGS[name]) if data]
    for data in lines[:200] + lines[200 :: STEP.get(name, 1)]:
        assert agree(desk, name, data), data
    assert not desk.reasons()


SCRAPS = [b"\\", b'"', b"\\u0062", b"\\ud83d", b"\xc3\xa9", b"\xff", b"{", b"[", b"]", b"}", b"null", b"true", b"-", b"0"]
SCRAPS += [b".", b"e5", b"1e400", b"E+3", b" ", b"\t", b"\x01", b",", b":", b"9" * 40, b"0" * 30, b'""', b"[]", b"{}"]


def damaged(rng: random.Random, data: bytes) -> bytes:
    """A line with up to three wounds."""
    line = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, wound = rng.randrange(len(line) + 1), rng.randrange(6)
        if wound == 0:
            line[at:at] = rng.choice(SCRAPS)
        elif wound == 1:
            del line[at : at + rng.randint(1, 6)]
        elif wound == 2 and at < len(line):
            line[at] = rng.randrange(256)
        elif wound == 3:
            line[at : at + 1] = rng.choice(SCRAPS)
        elif wound == 4:
            del line[at:]
        else:
            fields = [match.span() for match in re.finditer(rb'"[\w.-]+"|-?\d+(?:\.\d+)?', bytes(line))]
            if len(fields) > 1:
                (a, b), (c, d) = sorted(rng.sample(fields, 2))
                line[a:d] = line[c:d] + line[b:c] + line[a:b]
    return bytes(line)


# Where decoder and twin may differ: numbers that a double cannot hold are no JSON for orjson, and nothing to us where nobody
# looks at them.
BEYOND_DOUBLE = re.compile(rb"[eE]\+?\d{3}")


def is_json(data: bytes) -> bool:
    """What the kept library says."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def withstand(desk: Desk, name: str, data: bytes) -> bool:
    """A damaged line: what is taken is what the twin reads, and what is called malformed is no JSON. Whether it was taken.

    A field of another kind refuses a message here even where the twin, which looks at fewer of them, does not mind.
    """
    before, known = desk.reasons(), is_json(data)
    events = desk.say(data)
    after = desk.reasons()
    malformed = after.get("JSON_MALFORMED", 0) - before.get("JSON_MALFORMED", 0)
    assert known or after != before, f"taken, but no JSON: {data!r}"
    assert not malformed or not known, f"called malformed, but is JSON: {data!r}"
    rows = told_rows(events)
    if after != before:
        assert not rows and [int(kind) for kind in events["kind"]] in ([], [11]), data
        return False
    said = judge(name, data)
    if len(events) == 0:
        return True
    assert isinstance(said, Message), (said, data)
    assert rows == expected_rows(said), data
    compare_frame(events, said, data)
    return True


def fuzz(name: str, shared_data: Path, seed: int, count: int) -> None:
    desk, rng = Desk(name), random.Random(seed)
    lines = [data for _, data in messages_of(shared_data / RECORDINGS[name])[:3000] if 0 < len(data) < 1200]
    taken = 0
    for _ in range(count):
        data = damaged(rng, rng.choice(lines))
        if not data or BEYOND_DOUBLE.search(data):
            continue
        try:
            taken += withstand(desk, name, data)
        except AssertionError as problem:
            raise AssertionError(f"seed {seed}: {problem}") from problem
        desk = fresh(desk, name)
    assert count > taken > count // 20


def fresh(desk: Desk, name: str) -> Desk:
    """Another desk once damaged symbols have taken too many rows."""
    return desk if int(desk.instruments.handle["used"][0]) < 900 else Desk(name)


@pytest.mark.parametrize("name", RECORDINGS)
def test_damaged_lines_are_taken_or_refused_as_the_kept_library_would(name: str, shared_data: Path) -> None:
    fuzz(name, shared_data, seed=20261121, count=2000)


@pytest.mark.long
@pytest.mark.parametrize("name", RECORDINGS)
def test_many_damaged_lines_are_taken_or_refused_as_the_kept_library_would(name: str, shared_data: Path) -> None:
    fuzz(name, shared_data, seed=random.randrange(1 << 32), count=200_000)
