"""Two regions for tests of the link's records: a source whose books are told, and a core that builds the same ones.

    Source: store ─ tap ─ core_link ─ take() ══ rows ══ give() ─ link_core ─ take_link ─ store: Mirror

The wire between them is the test's: it may cut, hold back, repeat.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.core import book_reader
from gateway.core.admission import make_admission
from gateway.core.book_link_scan import make_mirror
from gateway.core.book_store import OwnedStore
from gateway.core.link_tap import make_tap
from gateway.core.memory import address_of
from gateway.core.strategy_file import load_strategy
from gateway.link.streams.join import Join
from gateway.link.streams.records import SLOT, RecordReader, RecordWriter
from gateway.native import address, ffi
from tests.book_twins import event_rows
from tests.link_kernels import apply_told, begin_run, break_records, say_news, scan_part, take_records
from tests.order_desk import Desk, Ring

STATES = layout.names("link_mirror_state", "MIRROR_")
QUIET_BOOK = layout.value("BOOK_QUIET")
BOOK_FIELDS = ["bid_price", "bid_quantity", "ask_price", "ask_quantity", "last_price", "instrument", "trading", "orders"]
BOOK_FIELDS += ["symbol", "sequence", "snapshot_sequence", "channel", "depth"]
EAR = Path(__file__).parent / "link_ear.py"


class Source:
    """Books whose every change is told, as core's are."""

    def __init__(self, instruments: int = 9, ring_depth: int = 1 << 13, linked: bool = True, **store: int):
        self.store = OwnedStore(instruments, **{"nodes": 1 << 12, "orders": 1 << 12} | store)
        self.counters = np.zeros(1, layout.dtype("core_counters"))
        self.listings = np.zeros(instruments, layout.dtype("instrument"))
        self.ring = Ring(ring_depth, limits.LINK_SLOT_BYTES)
        self.wanted, self.now = np.zeros(1, np.uint64), np.zeros(1, np.int64)
        self.tap, self._keep = make_tap(
            int(address(self.ring.writer)),
            wanted=address_of(self.wanted),
            store=self.store.address,
            instruments=instruments,
            now=address_of(self.now),
            listings=address_of(self.listings),
        )
        self._tap = address_of(self.tap) if linked else 0
        self._reader = RecordReader(self.ring.reader, 4096)

    def apply(self, event: dict[str, int], channel: int | None = None, quiet: int = 0) -> None:
        """One event, on its channel."""
        if channel is not None:
            self.store.handle["channel"] = channel
        row = event_rows([event])
        self.now[0] += 1
        apply_told(self._tap, self.store.address, address_of(row), address_of(self.counters), quiet)

    def news(self, event: dict[str, int]) -> None:
        say_news(self._tap, address_of(event_rows([event])))

    def begin_session(self, first: int, channel: int) -> None:
        self.store.handle["channel"] = channel
        begin_run(self._tap, self.store.address, first)

    def break_order(self) -> None:
        break_records(self._tap)

    def ask(self) -> None:
        """What a link does for who comes late."""
        self.wanted[0] += 1

    def turn(self, worked: int = 0) -> int:
        """A turn of core: a part of the scan, if one is asked for."""
        return int(scan_part(self._tap, worked))

    def scan(self) -> None:
        """Turns until nothing is asked for any more."""
        while self.turn():
            pass

    @property
    def phase(self) -> int:
        return int(self.tap["phase"][0])

    def take(self) -> np.ndarray:
        """What core_link holds, given back to it."""
        found = []
        while len(batch := self._reader.take()):
            found.append(batch)
            self._reader.acknowledge()
        return np.concatenate(found) if found else np.zeros(0, SLOT)


@cache
def _ear() -> Any:
    return load_strategy(EAR, {})


class Mirror:
    """A core that follows link_core, with a strategy that writes down what it hears."""

    def __init__(self, instruments: int = 9, tap: int = 0, **store: int):
        self.store = OwnedStore(instruments, **{"nodes": 1 << 12, "orders": 1 << 12} | store)
        self.desk = Desk(instruments=instruments)
        self.counters = np.zeros(1, layout.dtype("core_counters"))
        self.listings = np.zeros(instruments, layout.dtype("instrument"))
        self.ring = Ring(1 << 13, limits.LINK_SLOT_BYTES)
        self.writer, self.join = RecordWriter(self.ring.writer), Join()
        self.mirror, self._keep = make_mirror(
            store=self.store.address,
            instruments=instruments,
            listings=address_of(self.listings),
            counters=address_of(self.counters),
        )
        self.admission, keep = make_admission(["*"], [], {"flags": 0})
        self.event = np.zeros(1, layout.dtype("event"))
        self.ear = _ear()
        self.state = np.zeros_like(self.ear.state)
        self.core = np.zeros(1, layout.dtype("core"))
        self.core["link"].view(np.uint8)[:] = np.frombuffer(
            ffi.buffer(self.ring.reader, layout.size("ring_reader")), np.uint8
        )
        for name, where in (
            ("mirror", address_of(self.mirror)),
            ("tap", tap),
            ("store", self.store.address),
            ("books", int(self.store.handle["books"][0])),
            ("events", address_of(self.event)),
            ("counters", address_of(self.counters)),
            ("path", self.desk.path.address),
            ("intents", self.desk.path.intents_address),
            ("gate_rows", address_of(self.desk.rows)),
            ("admission", address_of(self.admission)),
            ("strategy", self.ear.address),
            ("strategy_state", address_of(self.state)),
        ):
            self.core[name] = where
        self._keep += keep

    def give(self, rows: np.ndarray, whole: bool = False) -> None:
        """Records arrive, and core works through them; `whole`: those too that a reader of streams leaves out."""
        rows = rows if whole else self.join.take(rows)
        while len(rows):
            rows = rows[self.writer.put(rows) :]
            self.work()

    def work(self) -> None:
        while take_records(address_of(self.core)):
            pass

    @property
    def phase(self) -> str:
        return STATES[int(self.mirror["state"][0])]

    def count(self, name: str) -> int:
        """A counter of struct link_mirror."""
        return int(self.mirror[name][0])

    @property
    def settled(self) -> np.ndarray:
        """Whether each instrument's book is whole."""
        return self._keep[0] != 0

    def heard(self) -> list[tuple[int, int, int]]:
        """(kind, instrument, flags of its book) of every event that the strategy heard since the last call."""
        count = int(self.state["count"][0])
        found = list(zip(*(self.state[name][0][:count].tolist() for name in ("kinds", "instruments", "flags")), strict=True))
        self.state["count"] = 0
        return found


def orders_of(store: OwnedStore) -> dict[int, tuple[int, ...]]:
    """instrument, side, price, quantity, priority by order id."""
    rows = book_reader.orders(store.handle)
    live = rows[rows["quantity"] != 0]
    columns = (live[name].tolist() for name in ("order_id", "instrument", "side", "price", "quantity", "priority"))
    return {row[0]: row[1:] for row in zip(*columns, strict=True)}


def differences(source: OwnedStore, mirror: OwnedStore, instruments: list[int] | None = None) -> list[str]:
    """Where two stores say something else, in words; `instruments`: only about these."""
    found = []
    ours, theirs = book_reader.books(source.handle), book_reader.books(mirror.handle)
    used = [number for number, _ in book_reader.instruments(source.handle)]
    for number in used if instruments is None else instruments:
        for name in BOOK_FIELDS:
            if ours[name][number] != theirs[name][number]:
                found.append(f"{number}.{name}: {ours[name][number]} there, {theirs[name][number]} here")
        if (int(ours["flags"][number]) ^ int(theirs["flags"][number])) & ~QUIET_BOOK:
            found.append(f"{number}.flags: {ours['flags'][number]:#x} there, {theirs['flags'][number]:#x} here")
        for side in (book_reader.BUY, book_reader.SELL):
            there, here = (book_reader.levels(store.handle, number, side) for store in (source, mirror))
            if there != here:
                found.append(f"{number}.levels {side}: {there} there, {here} here")
    there, here = orders_of(source), orders_of(mirror)
    for order_id in there.keys() | here.keys():
        row = there.get(order_id), here.get(order_id)
        if row[0] != row[1] and (instruments is None or (row[0] or row[1])[0] in instruments):
            found.append(f"order {order_id}: {row[0]} there, {row[1]} here")
    if instruments is None:
        for name in ("arrivals", "orders_live", "tick", "depth"):
            if source.handle[name][0] != mirror.handle[name][0]:
                found.append(f"{name}: {source.handle[name][0]} there, {mirror.handle[name][0]} here")
        new = [store.handle["channels"][0]["flags_new"] for store in (source, mirror)]
        if not np.array_equal(*new):
            found.append(f"flags of new books: {new[0][:4]} there, {new[1][:4]} here")
    return found
