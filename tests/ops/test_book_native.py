"""The books in C and C++ of the suite `book`, fed by hand, and the recorded ES orders beside their twin."""

import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gateway.errors import CapabilityError
from gateway.layout import value
from gateway.ops.bench.book_native import NAMES, NativeBooks
from gateway.ops.bench.es_orders import recorded_days

MIDDLE, STEP, SYMBOL = 1_000_000, 100, 3


def message(letter: str, order_id: int, body: bytes = b"") -> bytes:
    head = letter.encode() + struct.pack(">HHHI", SYMBOL, 0, 0, 0) + struct.pack(">Q", order_id)
    return struct.pack(">H", len(head + body)) + head + body


def add(order_id: int, side: str, shares: int, place: int) -> bytes:
    price = MIDDLE + (place if side == "S" else -place) * STEP
    return message("A", order_id, side.encode() + struct.pack(">I", shares) + b"NAME    " + struct.pack(">I", price))


@pytest.fixture
def flow():
    """Two bids at one level, an ask that was replaced, and what an execution and a reduction left."""
    levels, counts = np.zeros((5, 2, 8), np.int32), np.zeros((5, 2, 8), np.int32)
    levels[SYMBOL, 0, 2], counts[SYMBOL, 0, 2] = 100 + 70, 2
    levels[SYMBOL, 1, 5], counts[SYMBOL, 1, 5] = 30, 1
    prices = np.full(5, MIDDLE), np.full(5, STEP)
    return SimpleNamespace(middles=prices[0], steps=prices[1], levels=levels, counts=counts)


def packet() -> np.ndarray:
    messages = [add(1, "B", 100, 2), add(2, "B", 200, 2), add(3, "S", 50, 1), add(4, "B", 10, 1)]
    messages.append(message("E", 2, struct.pack(">IQ", 120, 7)))
    messages.append(message("X", 2, struct.pack(">I", 10)))
    messages.append(message("U", 3, struct.pack(">QII", 9, 30, MIDDLE + 5 * STEP)))
    messages.append(message("D", 4))
    return np.frombuffer(bytes(18) + struct.pack(">H", len(messages)) + b"".join(messages), np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_book_by_hand_equals_the_twin_and_a_level_that_differs_is_seen(name, flow):
    try:
        books = NativeBooks(name)
    except CapabilityError as problem:
        pytest.skip(str(problem))
    data = packet()
    assert books.feed(data, np.zeros(1, np.int64), np.array([len(data)]), 1) > 0
    assert books.messages == 8
    assert books.differences(flow) == (0, 2)
    flow.levels[SYMBOL, 0, 2] += 1
    flow.counts[SYMBOL, 1, 5] = 0
    assert books.differences(flow) == (2, 1)
    books.close()


def test_a_recorded_day_tells_each_record_that_moves_a_book(shared_data):
    first, second = recorded_days(shared_data, 4)
    assert (len(first.events), len(second.events)) == (8_725, 62_421)
    assert [len(day.checkpoints) for day in (first, second)] == [4, 4]
    last, bids, asks = second.checkpoints[-1]
    assert last == len(second.events)
    assert max(bids) < min(asks)
    kinds = set(second.events["kind"].tolist())
    assert kinds == {value(f"EVENT_{name}") for name in ("ADD", "REDUCE", "SET", "TRADE")}


def test_without_a_recording_the_reason_is_told(tmp_path: Path):
    for folder in (None, tmp_path):
        with pytest.raises(CapabilityError, match="databento-dbn"):
            recorded_days(folder, 4)
