"""BALANCE and ORDERS ⑦: what the comparison of our account with the venue's found, and that it goes on being made.

    order_reconciliation.py ── two looks, a second apart, at equal knowledge ──► compared ──► positions: BALANCE
                                                                                 └──────────► open orders: ORDERS
    no comparison for silence_s while the order session is up ─────────────────────────────► BALANCE

Hard rule: zero tolerance; nothing is rounded, nothing is corrected, a human decides.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.control_sections import PostTrade
from gateway.ops.breach import ACCOUNT, Breach

SECOND_NS = 1_000_000_000
SHOWN = 5  # differences that a line names
ORDER = "order "  # what the name of an open order begins with; everything else is a balance


class Comparison(Protocol):
    """What gateway/ops/order_reconciliation.py offers."""

    observers: list[Callable[[dict[str, str]], None]]

    def ask(self) -> None:
        """The next comparison is due now."""


class BalanceWatch:
    """What the last comparison found; `comparisons` that were made in this run."""

    def __init__(self, settings: PostTrade, comparison: Comparison):
        self.settings, self.comparison = settings, comparison
        self.comparisons = 0
        self._found: dict[str, str] = {}
        self._since_ns = self._counted = 0
        comparison.observers.append(self.compared)

    def compared(self, believed: Mapping[str, str]) -> None:
        """A comparison is over: {"position AAPL": "ours 5, venue's 4", "order 7": …}, empty where all agrees."""
        self.comparisons += 1
        self._found = dict(believed)

    def look(self, now_ns: int, comparable: bool) -> list[Breach]:
        """What fires now. Not `comparable`: no order session, so nothing new leaves and nothing can be compared."""
        if self.comparisons != self._counted or not comparable or self._since_ns == 0:
            self._counted, self._since_ns = self.comparisons, now_ns
        orders = [f"{name} {text}" for name, text in self._found.items() if name.startswith(ORDER)]
        others = [f"{name} {text}" for name, text in self._found.items() if not name.startswith(ORDER)]
        self._found = {}
        found = []
        for control, texts in (("BALANCE", others), ("ORDERS", orders)):
            if texts:
                why = f"{len(texts)} differ from the venue's: {'; '.join(texts[:SHOWN])}"
                found.append(Breach(control, ACCOUNT, "", why))
        if now_ns - self._since_ns >= self.settings.silence_s * SECOND_NS:
            why = f"the venue's account could not be compared for {self.settings.silence_s} s"
            found.append(Breach("BALANCE", ACCOUNT, "", why))
        return found

    def resume(self) -> None:
        """A human said that trading goes on: compared anew at once."""
        self._since_ns = 0
        self.comparison.ask()
