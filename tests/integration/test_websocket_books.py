"""Recorded WebSocket sessions to books: continuity, checksums, and the venue's own best bid and offer."""

import json
from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core import book_reader
from gateway.core.book import apply_events
from gateway.core.book_store import OwnedStore
from gateway.core.memory import address_of
from gateway.layout import value
from gateway.venues.websocket import VENUES
from tests.protocols.test_websocket import RECORDINGS
from tests.websocket_desk import Desk, messages_of

BUY, SELL = book_reader.BUY, book_reader.SELL
VALID = value("BOOK_VALID")
SPOILT = value("BOOK_STALE") | value("BOOK_FAULT")
UNIT = 100_000_000


class Books:
    """A desk whose events go to books, message by message."""

    def __init__(self, name: str):
        self.desk = Desk(name)
        self.store = OwnedStore(instruments=64, nodes=1 << 15, orders=512)
        self.store.handle["depth"] = VENUES[name].depth

    def apply(self, events: np.ndarray) -> None:
        rows = np.ascontiguousarray(events)
        apply_events(self.store.address, address_of(rows), len(rows), address_of(self.desk.counters))

    def say(self, data: bytes) -> None:
        self.apply(self.desk.say(data))

    def flags(self) -> list[int]:
        used = int(self.desk.instruments.handle["used"][0])
        return [int(row["flags"]) for row in book_reader.books(self.store.handle)[:used]]

    def best(self, row: int = 0) -> tuple[int, int, int, int]:
        book: Any = book_reader.books(self.store.handle)[row]
        return tuple(int(book[name]) for name in ("bid_price", "bid_quantity", "ask_price", "ask_quantity"))  # type: ignore[return-value]


def refusals(books: Books) -> dict[str, int]:
    """Everything counted but the removal of levels that the venue never showed."""
    return {name: count for name, count in books.desk.reasons().items() if name != "LEVEL_UNKNOWN"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coinbase", "kraken", "okx", "deribit_json"])
def test_recorded_books_hold_checksum_and_sequence_to_the_end(name: str, shared_data: Path) -> None:
    books, checksums = Books(name), 0
    for _, data in messages_of(shared_data / RECORDINGS[name]):
        events = books.desk.say(data)
        checksums += int((events["kind"] == value("EVENT_CHECKSUM")).sum())
        books.apply(events)
    assert refusals(books) == {}
    assert all(flags & VALID and not flags & SPOILT for flags in books.flags())
    assert checksums == {"kraken": 4269, "okx": 290}.get(name, 0)


@pytest.mark.parametrize("name", ["kraken", "okx"])
def test_lost_updates_are_found_by_the_checksum(name: str, shared_data: Path) -> None:
    books = Books(name)
    messages = [data for _, data in messages_of(shared_data / RECORDINGS[name])]
    middle = len(messages) // 2
    for data in messages[:middle] + messages[middle + 40 :]:
        books.say(data)
    assert refusals(books).get("BOOK_CHECKSUM", 0) >= 1
    assert any(flags & SPOILT for flags in books.flags())


def test_a_lost_update_is_found_by_the_change_id(shared_data: Path) -> None:
    books = Books("deribit_json")
    messages = [data for _, data in messages_of(shared_data / RECORDINGS["deribit_json"])]
    lost = next(index for index, data in enumerate(messages) if b'"change"' in data)
    for index, data in enumerate(messages):
        if index != lost:
            books.say(data)
    assert refusals(books) == {"INSTRUMENT_GAP": 1}


def test_a_new_connection_makes_every_book_stale(shared_data: Path) -> None:
    books = Books("kraken")
    for _, data in messages_of(shared_data / RECORDINGS["kraken"]):
        books.say(data)
    books.say(b"")
    assert all(flags & SPOILT for flags in books.flags())


@pytest.mark.slow
def test_binance_continuity_holds_and_the_best_prices_are_the_venues_own(shared_data: Path) -> None:
    """The snapshot came after updates it does not have: those are kept and applied behind it, as the venue's rule says."""
    books, waiting, healed = Books("binance_usdm"), [], False
    tickers, bests = {}, []
    for _, data in messages_of(shared_data / RECORDINGS["binance_usdm"]):
        if b'"depthUpdate"' in data[:80]:
            events = books.desk.say(data)
            if not healed:
                waiting.append(events)
                continue
            books.apply(events)
            bests.append((int(events[-1]["sequence"]), books.best()))
        elif data.startswith(b'{"lastUpdateId"'):
            books.say(data)
            healed = True
            for events in waiting:
                books.apply(events)
        elif b'"bookTicker"' in data[:80]:
            body = json.loads(data)["data"]
            tickers[body["u"]] = tuple(round(float(body[key]) * UNIT) for key in "bBaA")
        else:
            books.say(data)
    assert refusals(books) == {} and books.flags()[0] & VALID and not books.flags()[0] & SPOILT
    matching = [(best, tickers[sequence]) for sequence, best in bests if sequence in tickers]
    assert len(bests) > 6000 and len(matching) > 600
    assert all(best == ticker for best, ticker in matching)
    # every change of the best prices has its ticker: the last one up to an update's id says the same, until the next id
    numbers = sorted(tickers)
    earlier = [bisect_right(numbers, sequence) for sequence, _ in bests]
    followed = [(best, tickers[numbers[at - 1]]) for (_, best), at in zip(bests, earlier, strict=True) if at]
    assert sum(best == ticker for best, ticker in followed) > 0.99 * len(followed)
