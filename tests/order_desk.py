"""A desk for tests: the memory a gate, an order table and a strategy need, small enough to read back after every step."""

from typing import Any

import numpy as np
from numba import njit

from gateway import kernel_cache, layout, limits
from gateway.core import ring
from gateway.core.adoption import make_adoption
from gateway.core.gate import decide_cancel, decide_new
from gateway.core.limit_units import ALWAYS_NS, multiple, rate_words
from gateway.core.marks import look_at, sweep_marks
from gateway.core.memory import FRACTION_ONE, address_of
from gateway.core.order_frames import OrderFrames
from gateway.core.order_path import OrderPath, make_order_path
from gateway.core.portfolio import settle_equity, settle_row
from gateway.core.reports import apply_refusal, apply_report
from gateway.core.submit import submit_intents
from gateway.native import address, ffi, lib, text
from gateway.protocols import ouch50

ENDPOINTS: dict[str, Any] = {
    "our_mac": bytes.fromhex("02000a4d0001"),
    "venue_mac": bytes.fromhex("02000a4d0002"),
    "our_address": (0x0A4D0001, 41001),
    "venue_address": (0x0A4D0002, 41002),
}
NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
EPOCH = 7
SYMBOLS = [b"NONE    ", b"AAPL    ", b"MSFT    ", b"ZVZZT   "]
LIMITS = {
    "flags": layout.value("INSTRUMENT_PERMITTED") | layout.value("INSTRUMENT_LIMITS_SET"),
    "tick": 100,
    "lot": 1,
    "quantity_max": 1000,
    "value_max": 10_000_000_000,
    "position_max": 5000,
    "collar_ppm": 50_000,
    "stale_ns": SECOND_NS,
    "window_ppm": 1_000_000,
    "window_price": 1_000_100,
    "window_ns": NOW_NS,
    "last_age_ns": SECOND_NS,
    "last_price": 1_000_100,
    "last_price_ns": NOW_NS,
    "permits": 0b11,
    "margin_fraction": FRACTION_ONE,
}
BOOK = {
    "bid_price": 1_000_000,
    "bid_quantity": 300,
    "ask_price": 1_000_200,
    "ask_quantity": 200,
    "time_ns": NOW_NS,
    "last_price": 1_000_100,
    "flags": layout.value("BOOK_VALID"),
    "trading": layout.value("TRADING_OPEN"),
}
RATE = {"rate_per_second": 1000, "rate_burst": 100, "reserve_percent": 20}
WEALTH = 1 << 45  # of the account, and its caps: beyond what most tests reach
ACCOUNT = {
    **RATE,
    "day_messages_max": 1_000_000_000,
    "gross_max": WEALTH,
    "net_max": WEALTH,
    "hours_open_ns": ALWAYS_NS[0],
    "hours_close_ns": ALWAYS_NS[1],
    "dup_ns": SECOND_NS,
    "rate_age_ns": SECOND_NS,
    "window_ns": 300 * SECOND_NS,
    "value_fraction": FRACTION_ONE,
    "group_fraction": FRACTION_ONE,
    "capital": WEALTH,
}
STRATEGY = {"flags": 1, "position_max": 10**12, "repeat_max": 1024, "repeat_ns": 1}
REASONS = layout.names("gate_reason", "GATE_")
BITS = {name: 1 << number for number, name in REASONS.items() if name != "REASONS"}
SLOT_BYTES = layout.size("order_slot")
RECENT_LINES = 256


kernel_cache.prepare()


@njit(cache=True)
def _drain(reader, limit):
    """Takes up to `limit` records off a ring and gives their slots back; returns how many."""
    taken = 0
    while taken < limit and ring.peek(reader) != 0:
        ring.advance(reader)
        taken += 1
    ring.acknowledge(reader)
    return taken


@njit(cache=True)
def _peek(reader):
    return ring.peek(reader)


@njit(cache=True)
def _decide(path, intent, reference, now_ns, cancel):
    return decide_cancel(path, intent, now_ns) if cancel else decide_new(path, intent, reference, now_ns)


@njit(cache=True)
def _submit(path, intents, now_ns, ticks_receive, ticks_decode):
    return submit_intents(path, intents, now_ns, ticks_receive, ticks_decode)


@njit(cache=True)
def _settle_equity(account):
    settle_equity(account)


@njit(cache=True)
def _settle_row(path, row):
    settle_row(path, row)


@njit(cache=True)
def _look_at(path, account, instrument, now_ns):
    return look_at(path, account, instrument, now_ns)


@njit(cache=True)
def _sweep(path, used, now_ns):
    return sweep_marks(path, used, now_ns)


@njit(cache=True)
def _report(path, message, message_bytes, now_ns):
    return apply_report(path, message, message_bytes, now_ns)


@njit(cache=True)
def _refuse(path, refusal, now_ns):
    return apply_refusal(path, refusal, now_ns)


class Ring:
    """A ring in private memory with its writer and its reliable reader."""

    def __init__(self, depth: int, slot_bytes: int):
        size_bytes = layout.size("ring_header") + depth * slot_bytes
        self.memory = np.zeros(size_bytes + 64, dtype=np.uint8)
        base = ffi.cast("void *", address_of(self.memory) + (-address_of(self.memory) % 64))
        self.writer, self.reader = ffi.new("struct ring_writer *"), ffi.new("struct ring_reader *")
        assert text(lib.ring_format(base, size_bytes, depth, slot_bytes, 1)) == ""
        assert text(lib.ring_attach_writer(base, size_bytes, self.writer)) == ""
        assert text(lib.ring_attach_reader(base, size_bytes, 1, self.reader)) == ""
        self.depth = depth

    def take(self) -> bytes | None:
        """The bytes of the next record's slot, or None."""
        slot = _peek(address(self.reader))
        if slot == 0:
            return None
        record = bytes(ffi.buffer(ffi.cast("char *", slot), self.reader.slot_bytes))
        _drain(address(self.reader), 1)
        return record

    def take_all(self) -> list[bytes]:
        """Every record that waits."""
        records = []
        while (record := self.take()) is not None:
            records.append(record)
        return records

    @property
    def reader_address(self) -> int:
        """Address of the struct ring_reader."""
        return int(address(self.reader))

    def put(self, record: np.ndarray) -> None:
        """One record of a whole slot."""
        nothing = np.zeros(1, dtype=np.uint8)
        assert ring.put(address(self.writer), address_of(record), record.nbytes, address_of(nothing), 0) == 1

    def drain(self, limit: int = 1 << 30) -> int:
        """Drops up to `limit` records."""
        return int(_drain(address(self.reader), limit))


class Desk:
    """Everything behind one struct order_path, open for trading in instruments 1 to 3 unless a test closes it."""

    def __init__(self, orders_rows: int = 64, fills_rows: int = 1 << 12, instruments: int = 4, firm: str = ""):
        self.account_bytes = layout.size("gate_account")
        self.gate = np.zeros(self.account_bytes + instruments * layout.size("gate_row"), dtype=np.uint8)
        self.account = self.gate[: self.account_bytes].view(layout.dtype("gate_account"))
        self.rows = self.gate[self.account_bytes :].view(layout.dtype("gate_row"))
        self.books = np.zeros(instruments, dtype=layout.dtype("book"))
        self.books["listed"] = np.arange(1, instruments + 1)
        self.control = np.zeros(1, dtype=layout.dtype("control_block"))
        self.table_bytes = np.zeros(layout.size("order_table") + orders_rows * layout.size("order"), dtype=np.uint8)
        self.table = self.table_bytes[: layout.size("order_table")].view(layout.dtype("order_table"))
        self.orders = self.table_bytes[layout.size("order_table") :].view(layout.dtype("order"))
        self.fills = np.zeros(fills_rows, dtype=layout.dtype("fill"))
        strategies = layout.value("GATE_STRATEGIES")
        self.holdings = np.zeros((strategies, instruments), dtype=layout.dtype("gate_holding"))
        self.books_used = np.array([instruments], dtype=np.uint64)
        self.windows = np.zeros(instruments, dtype=layout.dtype("gate_window"))
        self.recent = np.zeros(RECENT_LINES, dtype=layout.dtype("gate_recent"))
        self.executions = np.zeros(strategies, dtype=layout.dtype("gate_executions"))
        self.rate, self.signal = dict.fromkeys(RATE, 0), 0
        self.counters = np.zeros(1, dtype=layout.dtype("core_counters"))
        self.core_io, self.journal = Ring(16, limits.ORDER_SLOT_BYTES), Ring(32, limits.JOURNAL_SLOT_BYTES)
        self.frames = OrderFrames(**ENDPOINTS, epoch=EPOCH, site="A", firm=firm)
        self.adoption, self.keep_adoption = make_adoption(
            books_used=address_of(self.books_used), unknown_ns=0, cancel_found=False
        )
        self.attach()

    def attach(self) -> None:
        """A new core over the memory as it is."""
        self.path: OrderPath = make_order_path(
            gate=address_of(self.gate),
            books=address_of(self.books),
            control=address_of(self.control),
            orders=address_of(self.table_bytes),
            fills=address_of(self.fills),
            core_io=address(self.core_io.writer),
            journal=address(self.journal.writer),
            counters=address_of(self.counters),
            frames=self.frames.address,
            epoch=EPOCH,
            instruments=len(self.rows),
            orders_rows=len(self.orders),
            fills_rows=len(self.fills),
            holdings=address_of(self.holdings),
            windows=address_of(self.windows),
            recent=address_of(self.recent),
            recent_lines=len(self.recent),
            executions=address_of(self.executions),
            adoption=address_of(self.adoption),
        )
        self.intents = self.path.intents

    def open(self) -> "Desk":
        """Limits, books and control words of a market that trades."""
        self.control["epoch"] = EPOCH
        self.account["rates"]["fraction"][0, 0] = FRACTION_ONE
        self.account["groups"]["value_max"] = WEALTH
        self.set_account(**ACCOUNT)
        self.set_strategy(0, **STRATEGY)
        self.settle()
        for instrument in range(1, len(self.rows)):
            self.set_limits(instrument, **LIMITS)
            self.books["instrument"][instrument] = instrument
            self.set_book(instrument, **BOOK, symbol=SYMBOLS[instrument % len(SYMBOLS)])
        return self

    def set_account(self, **fields: int) -> None:
        """Fields of struct gate_account; those of the rate as people write them."""
        self.rate.update({name: number for name, number in fields.items() if name in RATE})
        plain = {name: number for name, number in fields.items() if name not in RATE}
        for name, number in {**rate_words(*self.rate.values()), **plain}.items():
            self.account[name] = number

    def set_strategy(self, number: int, **fields: int) -> None:
        """Fields of one struct gate_strategy."""
        for name, value in fields.items():
            self.account["strategies"][name][0, number] = value

    def set_group(self, number: int, **fields: int) -> None:
        """Fields of one struct gate_group."""
        for name, value in fields.items():
            self.account["groups"][name][0, number] = value

    def settle(self) -> None:
        """Works out what depends on equity."""
        _settle_equity(address_of(self.gate))

    def settle_rows(self) -> None:
        """Works out anew what every row may cost, as the sweep does after a change of limits."""
        for instrument in range(len(self.rows)):
            _settle_row(self.path.address, address_of(self.rows[instrument : instrument + 1]))

    def look_at(self, instrument: int, now_ns: int = NOW_NS) -> int:
        """The sweep comes by one instrument."""
        return int(_look_at(self.path.address, address_of(self.gate), instrument, now_ns))

    def sweep(self, used: int, now_ns: int = NOW_NS) -> int:
        """One turn of the sweep."""
        return int(_sweep(self.path.address, used, now_ns))

    def set_limits(self, instrument: int, **fields: int) -> None:
        """Fields of one struct gate_row; a tick or lot brings what tells its multiples."""
        for name, number in fields.items():
            self.rows[name][instrument] = number
            if name in ("tick", "lot"):
                self.rows[f"{name}_multiple"][instrument] = multiple(number)

    def set_book(self, instrument: int, **fields: Any) -> None:
        """Fields of one struct book."""
        for name, number in fields.items():
            self.books[name][instrument] = number

    def intend(self, kind: str = "NEW", **fields: int) -> None:
        """Appends an intent; fields of struct intent, a small buy of instrument 1 at the ask unless said otherwise."""
        self.signal += 1
        terms = {"side": 1, "time_in_force": 3, "instrument": 1, "price": 1_000_200, "quantity": 100}
        given = {**terms, "signal_id": self.signal, **fields}
        if kind in ("CANCEL", "MASS_CANCEL"):
            given = {"instrument": 1, **fields}
        rows, index = self.intents["rows"][0], int(self.intents["count"][0])
        rows[index] = np.zeros((), dtype=rows.dtype)
        rows["kind"][index] = layout.value(f"INTENT_{kind}")
        for name, number in given.items():
            rows[name][index] = number
        self.intents["count"] += 1

    def intent_address(self, index: int) -> int:
        """Address of one row of struct intents."""
        return self.path.intents_address + layout.offsets("intents").rows + index * layout.size("intent")

    def submit(self, now_ns: int = NOW_NS) -> int:
        """submit_intents; returns the messages published."""
        return int(_submit(self.path.address, self.path.intents_address, now_ns, 11, 22))

    def ask(self, kind: str = "NEW", now_ns: int = NOW_NS, **fields: int) -> set[str]:
        """The names of the reasons against one intent, decided alone: nothing is sent, but what passes is charged."""
        self.intend(kind, **fields)
        self.intents["count"] -= 1
        intent = self.intent_address(int(self.intents["count"][0]))
        cancel = kind in ("CANCEL", "MASS_CANCEL")
        return reasons_of(_decide(self.path.address, intent, int(self.table["next_reference"][0]), now_ns, cancel))

    def send(self, kind: str = "NEW", now_ns: int = NOW_NS, **fields: int) -> set[str]:
        """One intent through everything; the reasons against it, by the counters."""
        before = self.account["rejects"].copy()
        self.intend(kind, **fields)
        self.submit(now_ns)
        changed = np.flatnonzero(self.account["rejects"][0] - before[0])
        return {REASONS[int(number)] for number in changed}

    def report(self, name: str, now_ns: int = NOW_NS, **fields: Any) -> int:
        """One outbound message by its name ("OrderExecuted")."""
        return self.report_bytes(ouch50.encode(name, **fields), now_ns)

    def report_bytes(self, message: bytes, now_ns: int = NOW_NS) -> int:
        """One outbound message as bytes, at the very end of its memory."""
        data = np.frombuffer(message or b"\0", dtype=np.uint8)
        return int(_report(self.path.address, address_of(data), len(message), now_ns))

    def refuse(self, reference: int, reason: str = "REFUSAL_PORT") -> int:
        """io says that it did not transmit."""
        refusal = np.zeros(1, dtype=layout.dtype("order_refusal"))
        refusal["reference"], refusal["reason"] = reference, layout.value(reason)
        return int(_refuse(self.path.address, address_of(refusal), NOW_NS))

    def order(self, reference: int) -> np.void:
        """The row a reference maps to."""
        return self.orders[reference % len(self.orders)]

    def state(self, reference: int) -> str:
        """The name of an order's state."""
        return layout.names("order_state", "ORDER_")[int(self.order(reference)["state"])]

    def sent(self) -> list[tuple[np.void, bytes]]:
        """(order_slot, frame) of everything in core_io, taken off."""
        pairs = []
        for record in self.core_io.take_all():
            slot = np.frombuffer(record[:SLOT_BYTES], dtype=layout.dtype("order_slot"))[0]
            pairs.append((slot, record[SLOT_BYTES : SLOT_BYTES + int(slot["size"])]))
        return pairs

    def records(self) -> list[np.void]:
        """Every struct journal_slot in core_journal, taken off."""
        return [np.frombuffer(record, dtype=layout.dtype("journal_slot"))[0] for record in self.journal.take_all()]

    def feed_reason(self, name: str) -> int:
        """A counter of enum feed_reason."""
        return int(self.counters["reasons"][0][layout.value(f"FEED_{name}")])


def reasons_of(mask: int) -> set[str]:
    """The names in a reason mask."""
    return {name for name, bit in BITS.items() if mask & bit}
