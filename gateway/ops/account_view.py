"""What the controls after the trade read of core's memory ⑦: equity, results, orders; plain Python numbers.

Hard rule: it only reads. A word is whole by itself; two words that belong together are the reader's own care.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.instance import Instance
from gateway.ops.strategy_watch import results_of

UNKNOWN = layout.value("ORDER_UNKNOWN")
PERMITTED = layout.value("INSTRUMENT_PERMITTED")
Held = list[tuple[int, int]]


class AccountView:
    """Views over one instance's regions, and which instruments are in use."""

    def __init__(self, instance: Instance):
        self._control = instance.control[0]
        self._account = instance.regions["gate"].view("gate_account")[0]
        self.rows = instance.rows("gate")
        self.books = instance.rows("books")
        self.orders = instance.rows("orders")
        self.holdings = instance.rows("holdings").reshape(-1, len(self.rows))
        self.permitted: np.ndarray = np.zeros(0, dtype=np.int64)
        self.traded: np.ndarray = np.zeros(0, dtype=np.int64)
        self._unheld: tuple[list[int], Held] = ([], [])

    def find_instruments(self) -> None:
        """Looks anew which instruments may be traded, and which ever were."""
        self.permitted = np.flatnonzero(self.rows["flags"] & PERMITTED)
        self.traded = np.flatnonzero((self.rows["fills"] != 0) | (self.rows["position"] != 0))

    def session_heard(self) -> bool:
        """Whether core has heard the beginning of the order session's connection that is up."""
        connection = int(self._control["session_connection"])
        return connection != 0 and connection == int(self._account["session_connection"])

    def capital(self) -> int:
        """Equity that the run started with, in units."""
        return int(self._account["capital"])

    def profit(self) -> int:
        """Profit of the run, realised or not, in units of the account's currency."""
        return int(self._account["profit_value"])

    def results(self) -> list[int] | None:
        """Result of each strategy row; None: core was just changing one of them, or this is the first look."""
        results, unheld = results_of(self.rows, self.holdings, self._account["rates"], self.traded)
        looked, self._unheld = self._unheld, (self.traded.tolist(), unheld)
        return results if looked == self._unheld else None

    def repeated(self) -> list[bool]:
        """By strategy row: whether REPEAT has disabled it."""
        return [bool(word) for word in self._account["strategies"]["repeated"]]

    def unknown(self) -> list[int]:
        """References of orders whose fate is being asked."""
        rows: Any = self.orders["state"] == UNKNOWN
        return [int(reference) for reference in self.orders["reference"][rows]]
