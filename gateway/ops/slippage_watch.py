"""SLIPPAGE ⑦: the price of a fill against the best price that its decision saw, from the journal's own records.

    decision (reference ─► side, price of the other side) ─► fill of that reference ─► worse by more than a share: halt

Hard rule: where the other side of the book was empty the order's own price is the reference; a fill whose decision is not
known (it was made in an earlier run) is compared with the order's own price too.
"""

import numpy as np

from gateway import layout, limits
from gateway.control_sections import PostTrade
from gateway.ops.breach import PPM, STRATEGY, Breach

DECISION, REPORT = layout.value("JOURNAL_DECISION"), layout.value("JOURNAL_REPORT")
NEW, REPLACE = layout.value("INTENT_NEW"), layout.value("INTENT_REPLACE")
BUY = layout.value("SIDE_BUY")
EXECUTED = ord("E")  # OUCH 5.0, 3.6
ROWS = limits.ORDERS_MAX


class SlippageWatch:
    """Prices of the last decisions, by reference; `worst_ppm` is the worst fill of this run."""

    def __init__(self, settings: PostTrade, names: dict[int, str]):
        """`names` of the strategies by row."""
        self.settings, self.names = settings, names
        self.worst_ppm = 0
        self._references = np.zeros(ROWS, dtype=np.int64)
        self._prices = np.zeros(ROWS, dtype=np.int64)

    def look(self, records: np.ndarray) -> list[Breach]:
        """A batch of the journal (struct journal_slot), in its order; what fires with it."""
        found = []
        kinds, reasons = records["kind"], records["reasons"]
        asked = (kinds == DECISION) & (reasons == 0) & np.isin(records["intent"]["kind"], (NEW, REPLACE))
        filled = (kinds == REPORT) & (reasons == EXECUTED)
        for index in np.flatnonzero(asked | filled).tolist():
            if asked[index]:
                self._remember(records[index])
            elif breach := self._judge(records[index]):
                found.append(breach)
        return found

    def _remember(self, record: np.void) -> None:
        intent, row = record["intent"], int(record["reference"]) % ROWS
        touch = int(record["ask"] if int(intent["side"]) == BUY else record["bid"])
        self._references[row] = record["reference"]
        self._prices[row] = touch if touch > 0 else intent["price"]

    def _judge(self, record: np.void) -> Breach | None:
        intent, reference, price = record["intent"], int(record["reference"]), int(record["price"])
        if int(intent["quantity"]) == 0:
            return None  # a fill of an order that is not ours: core counts it, and new risk stops there
        row = reference % ROWS
        decided = int(self._prices[row] if self._references[row] == reference else intent["price"])
        worse = price - decided if int(intent["side"]) == BUY else decided - price
        if decided > 0:
            self.worst_ppm = max(self.worst_ppm, worse * PPM // decided)
            if worse * PPM <= self.settings.slippage_ppm * decided:
                return None
        name = self.names.get(int(intent["strategy"]))
        if name is None:
            return None  # control's own orders take what they get
        why = f"order {reference} was decided at {decided} and filled at {price}, prices in 1/10000"
        return Breach("SLIPPAGE", STRATEGY, name, why)
