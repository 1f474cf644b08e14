"""Who says what is open and what is held while a kill works: the venue's own account, or our table where there is none.

    drop copy ─► VenueAccount     independent of core, of the order session, of our memory
    own table ─► rows of orders, positions of the gate: true as long as core lives and hears the venue

Hard rule: what is not `current` proves nothing. An order is over once the venue has spoken of it and none of it works.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from gateway import layout
from gateway.config import Configuration
from gateway.core.orders import LIVE_STATES, open_orders
from gateway.errors import GatewayError
from gateway.instance import Instance
from gateway.ops.drop_copy import DropCopy, drop_copy_of
from gateway.ops.rescue import is_silent
from gateway.protocols.ouch50_account import BUY, SELL

SIDES = {layout.value("SIDE_BUY"): BUY, layout.value("SIDE_SELL"): SELL}


class OpenOrder(NamedTuple):
    """An order that may still fill."""

    reference: int
    symbol: str
    side: str
    quantity: int


class Truth(Protocol):
    """One of the two; `name` is for people, `complete`: it is the venue's own, what it does not show is not there."""

    name: str
    complete: bool

    @property
    def current(self) -> bool:
        """Whether what it says holds now, as far as anybody here can know."""

    def refresh(self) -> None:
        """Listens; returns at once."""

    def open_orders(self) -> list[OpenOrder]:
        """What may still fill, oldest first."""

    def positions(self) -> dict[str, int]:
        """What is held, without zeros."""

    def is_over(self, reference: int) -> bool:
        """Whether nothing of this order can fill any more."""

    def is_known(self, reference: int) -> bool:
        """Whether the venue has spoken of it, or can never take it any more."""

    def was_rejected(self, reference: int) -> bool:
        """Whether the venue refused it."""

    def reference_max(self) -> int:
        """The highest reference the venue has used up, as far as it is known."""


class VenueTruth:
    """The venue's own account, read over its drop copy."""

    name: str = "the venue's drop copy"
    complete: bool = True

    def __init__(self, drop_copy: DropCopy, now_ns: Callable[[], int]):
        self.drop_copy, self._now_ns = drop_copy, now_ns

    @property
    def current(self) -> bool:
        """Connected, and read up to what the venue had said when we logged in."""
        return self.drop_copy.current

    def refresh(self) -> None:
        """Connects again by itself; never blocks."""
        self.drop_copy.poll(self._now_ns())

    def open_orders(self) -> list[OpenOrder]:
        """The venue's list."""
        rows = sorted(self.drop_copy.account.open_orders.values(), key=lambda row: row.reference)
        return [OpenOrder(row.reference, row.symbol, row.side, row.open) for row in rows]

    def positions(self) -> dict[str, int]:
        """What was carried over, and everything executed since."""
        return dict(self.drop_copy.account.positions)

    def is_known(self, reference: int) -> bool:
        """Taken, refused, or out of reach behind a higher reference."""
        account = self.drop_copy.account
        return account.knows(reference) or account.is_past(reference)

    def is_over(self, reference: int) -> bool:
        """Known, and nothing of it open."""
        return self.is_known(reference) and reference not in self.drop_copy.account.open_orders

    def was_rejected(self, reference: int) -> bool:
        """Refused by the venue."""
        return reference in self.drop_copy.account.rejected

    def reference_max(self) -> int:
        """Of the account."""
        return self.drop_copy.account.reference_max


class TableTruth:
    """Our own table of orders and the gate's positions, as core keeps them."""

    name: str = "our own table, as confirmed by reports"
    complete: bool = False

    def __init__(self, instance: Instance):
        self.instance = instance
        self._orders, self._gate, self._books = (instance.rows(name) for name in ("orders", "gate", "books"))

    @property
    def current(self) -> bool:
        """Core lives, and hears the venue."""
        return core_is_alive(self.instance) and self._hears()

    def _hears(self) -> bool:
        session = self.instance.control[0]["heartbeats"][layout.value("PROCESS_SESSION")]
        over_tcp = session["state"] != layout.value("PROCESS_ABSENT")
        return not over_tcp or bool(self.instance.control[0]["session_connection"])

    def refresh(self) -> None:
        """It is shared memory."""

    def _symbol(self, instrument: int) -> str:
        return self._books["symbol"][instrument].decode("ascii", "replace").rstrip() or f"row {instrument}"

    def open_orders(self) -> list[OpenOrder]:
        """Rows that may still fill."""
        return [
            OpenOrder(int(row["reference"]), self._symbol(int(row["instrument"])), SIDES[int(row["side"])], int(row["open"]))
            for row in open_orders(self._orders)
        ]

    def positions(self) -> dict[str, int]:
        """Of the gate."""
        held = self._gate["position"].copy()
        return {self._symbol(row): int(held[row]) for row in np.flatnonzero(held).tolist()}

    def is_known(self, reference: int) -> bool:
        """Core has heard of it."""
        row = self._orders[reference % len(self._orders)]
        return int(row["reference"]) == reference and int(row["venue_order_id"]) != 0

    def is_over(self, reference: int) -> bool:
        """Heard of, and over."""
        row = self._orders[reference % len(self._orders)]
        return self.is_known(reference) and int(row["state"]) not in LIVE_STATES

    def was_rejected(self, reference: int) -> bool:
        """Core keeps no row of an order that it hears rejected and did not send."""
        return False

    def reference_max(self) -> int:
        """What core has handed out."""
        return int(self.instance.regions["orders"].view("order_table")[0]["next_reference"]) - 1


def core_is_alive(instance: Instance) -> bool:
    """Whether the loop that runs core shows signs of life; a stopped process does not, and confirms nothing."""
    core = instance.control[0]["heartbeats"][layout.value("PROCESS_CORE")]
    apart = core["state"] != layout.value("PROCESS_ABSENT")
    return not is_silent(instance, "PROCESS_CORE" if apart else "PROCESS_IO")


def venue_truth(configuration: Configuration, now_ns: Callable[[], int]) -> tuple[VenueTruth | None, str]:
    """The venue's account where it can be asked, and why it cannot otherwise."""
    try:
        drop_copy = drop_copy_of(configuration)
    except GatewayError as problem:  # no password here: the kill goes on without
        return None, str(problem)
    if drop_copy is None:
        return None, "no drop copy is configured (orders.drop_copy)"
    return VenueTruth(drop_copy, now_ns), ""
