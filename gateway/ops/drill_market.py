"""A market of our own making for drills: the real core over an instance of its own, fed and asked by the real rings.

    directory, orders, a gap ─► io_core ─► core ─► book ─► gate ⑦ ─► core_journal ─► journal file ─► controls after the trade
    intents of a strategy outside ─► external_core ──────────┘ ▲
    reports of the venue ─► io_core ───────────────────────────┘

Hard rule: nothing leaves: nobody reads core_io, and the instance is removed at the end. Time is the drill's own.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.config import Configuration, load
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.instance import Instance, handle_address
from gateway.ops.appliance import CoreStage
from gateway.ops.journal import Journal
from gateway.ops.limit_block import prepare_account
from gateway.protocols import itch50, moldudp64, ouch50, udp
from gateway.sections import host_and_port
from gateway.stages import Placement, run_loop

AAPL = 1  # the venue's number of it
CENTRE = 1_000_000  # 100.00
SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
DAY_NS = 86_400 * SECOND_NS
TURNS = 8
LIMITS: dict[str, Any] = {
    "risk.instruments": ["AAPL"],
    "risk.quantity_max": 1000,
    "risk.value_max": 100_000,
    "risk.position_max": 500,
    "risk.collar_ppm": 50_000,
    "risk.stale_ms": 1000,
    "risk.rate_per_second": 1000,
    "risk.rate_burst": 100,
    "risk.day_messages_max": 1000,
    "risk.capital": 100_000,
    "risk.gross_max": 60_000,
    "risk.net_max": 60_000,
    "risk.signal_ppm": 1_000_000,
    "external.enabled": True,
    "external.instruments": ["*"],
}


class DrillMarket:
    """One instrument, AAPL, at 99.98 to 100.02, and one strategy outside, `external`."""

    def __init__(self, name: str, folder: Path):
        """`folder` takes state and journal. The first use of a build compiles core's kernels."""
        self.settings: Configuration = load(None, {**LIMITS, "instance.name": name, "instance.state": str(folder)})
        self.instance = Instance.create(name)
        try:
            prepare_account(self.instance, self.settings)
            self.core = CoreStage(self.instance, self.settings)
            self.journal = Journal(self.instance, folder, self.settings)
        except BaseException:
            self.instance.close(remove=True)
            raise
        self.now_ns = time.time_ns()
        self.account: Any = self.instance.regions["gate"].view("gate_account")[0]
        self.control: Any = self.instance.control[0]
        self.signal = 0
        self._frames, self._intents = self.instance.writer("io_core"), self.instance.writer("external_core")
        self._feed_sequence = self._report_sequence = 1
        self.match = 0

    def close(self) -> None:
        """Removes everything."""
        self.journal.close()
        self.instance.close(remove=True)

    # ---- what core hears -----------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Core works off what waits, and the journal what core wrote."""
        run_loop(self.instance, [self.core.stage()], Placement("PROCESS_CORE", idle="spin", turns_max=TURNS))
        self.journal.drain(self.now_ns)

    def pass_time(self, passed_ns: int) -> None:
        """Time goes on, and core hears of it."""
        self.now_ns += passed_ns
        self._put(b"", layout.value("FRAME_TIME"))

    def feed(self, *messages: bytes, skipped: int = 0) -> None:
        """One packet of line A; `skipped` messages before it are lost for good."""
        self._feed_sequence += skipped
        payload = moldudp64.encode("DRILL", self._feed_sequence, messages)
        self._feed_sequence += len(messages)
        address, port = host_and_port(self.settings.feed.line_a)
        self._put(udp.frame(payload, source="10.77.0.2", destination=address, source_port=31000, destination_port=port))

    def report(self, name: str, **fields: Any) -> None:
        """One message of the order session, by its name in OUCH 5.0."""
        message = ouch50.encode(name, timestamp=self.now_ns % DAY_NS, **fields)
        payload = moldudp64.encode("DRILLREP", self._report_sequence, [message])
        self._report_sequence += 1
        source, source_port = host_and_port(self.settings.session.venue_address)
        address, port = host_and_port(self.settings.session.our_address)
        frame = udp.frame(payload, source=source, destination=address, source_port=source_port, destination_port=port)
        self._put(frame)

    def _put(self, frame: bytes, flags: int = 0) -> None:
        header, data = np.zeros(1, dtype=layout.dtype("frame_slot")), np.frombuffer(frame or b"\0", dtype=np.uint8)
        header["size"], header["flags"], header["time_receive_ns"] = len(frame), flags, self.now_ns
        header_bytes = layout.size("frame_slot")
        ring.put(handle_address(self._frames), address_of(header), header_bytes, address_of(data), len(frame))
        self.turn()

    # ---- what is in it -------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The directory, and an order on each side."""
        self.feed(self._message("R", stock="AAPL", round_lot_size=100), self._message("H", stock="AAPL", trading_state="T"))
        self.quote()

    def quote(self) -> None:
        """A fresh order on each side: the book is new again."""
        self.now_ns += MILLISECOND_NS
        first = self._feed_sequence
        sides = (("B", CENTRE - 200), ("S", CENTRE + 200))
        self.feed(*(self._add(first + number, side, price) for number, (side, price) in enumerate(sides)))

    def _message(self, name: str, **fields: Any) -> bytes:
        return itch50.encode(name, stock_locate=AAPL, timestamp=self.now_ns % DAY_NS, **fields)

    def _add(self, order: int, side: str, price: int) -> bytes:
        words = {"order_reference_number": order, "buy_sell_indicator": side, "shares": 500}
        return self._message("A", **words, stock="AAPL", price=price)

    # ---- what we do ----------------------------------------------------------------------------------------------

    def order(self, side: str = "buy", quantity: int = 100, price: int = CENTRE + 200, **fields: Any) -> int:
        """One order of the strategy outside; returns the reference it got, refused or not."""
        self.signal += 1
        intent = np.zeros(1, dtype=layout.dtype("intent"))
        words = {"kind": layout.value("INTENT_NEW"), "side": layout.value(f"SIDE_{side.upper()}"), "instrument": AAPL}
        words |= {"time_in_force": layout.value("TIME_IOC"), "quantity": quantity, "price": price, "signal_id": self.signal}
        for name, number in (words | fields).items():
            intent[name] = number
        slot = np.zeros(1, dtype=layout.dtype("intent_slot"))
        slot["size"], slot["time_ns"] = layout.size("intent"), self.now_ns
        reference = int(self.instance.regions["orders"].view("order_table")[0]["next_reference"])
        record, slot_bytes = (address_of(intent), layout.size("intent")), layout.size("intent_slot")
        ring.put(handle_address(self._intents), address_of(slot), slot_bytes, *record)
        self.turn()
        return reference

    def fill(self, reference: int, quantity: int, price: int) -> None:
        """The venue says that an order of ours was filled."""
        self.match += 1
        terms = {"quantity": quantity, "price": price, "match_number": self.match}
        self.report("OrderExecuted", user_ref_num=reference, **terms)

    def rejects(self, control: str) -> int:
        """How often a control has refused."""
        return int(self.account["rejects"][layout.value(f"GATE_{control}")])


@contextmanager
def poked(record: Any, field: str, number: int) -> Iterator[None]:
    """Another number in a word of shared memory, for a while."""
    before = int(record[field])
    record[field] = number
    try:
        yield
    finally:
        record[field] = before
