"""SIZE and STRATEGY ⑦: each strategy's own result against its highest of the rolling window, as a share of equity.

    struct gate_holding of every instrument traded ─► result_of ─► fall ─► sizes halved ─► halted

Hard rule: a row that core is just changing is not believed: what nobody holds has to be as it was when looked at before.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gateway.control_sections import PostTrade
from gateway.core.memory import FRACTION_ONE
from gateway.ops.breach import STRATEGY, Breach, money, reaches
from gateway.ops.rolling_high import RollingHigh

SECOND_NS = 1_000_000_000


class StrategyWatch:
    """High-water marks of every strategy, by name."""

    def __init__(self, settings: PostTrade, names: Iterable[str]):
        self.settings = settings
        self.highs = {name: RollingHigh(settings.drawdown_s * SECOND_NS) for name in names}

    def look(self, now_ns: int, results: dict[str, int], equity: int) -> list[Breach]:
        """One sample of every strategy's result in units of the account's currency; what fires with it."""
        found = []
        for name, result in results.items():
            fall = self.highs[name].push(now_ns, result) - result
            for control, ppm in (("SIZE", self.settings.size_ppm), ("STRATEGY", self.settings.strategy_ppm)):
                if fall > 0 and reaches(fall, equity, ppm):
                    why = (
                        f"its result is {money(fall)} below its highest of {self.settings.drawdown_s} s, {money(result)} now"
                    )
                    found.append(Breach(control, STRATEGY, name, why))
        return found

    def resume(self, name: str) -> None:
        """A human said that it goes on: falls are measured from here."""
        if name in self.highs:
            self.highs[name].clear()

    def state(self) -> dict[str, Any]:
        """What outlives the process."""
        return {name: high.rows() for name, high in self.highs.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on with the marks of an earlier run. Raises ValueError or TypeError."""
        for name, rows in state.items():
            if name in self.highs:
                self.highs[name].restore(rows)


def results_of(
    rows: np.ndarray, holdings: np.ndarray, rates: np.ndarray, traded: np.ndarray
) -> tuple[list[int], list[tuple[int, int]]]:
    """Result of every strategy row in units of the account's currency, rounded down; and what is held by nobody.

    rows      struct gate_row;  holdings  struct gate_holding, (strategies, instruments);  rates  struct gate_rate
    traded    numbers of the instruments that were ever traded
    The second list has (position, cash) of each of them that no strategy has: it is the same from one reading to the next,
    unless core was just changing a row.
    """
    positions, cash = holdings["position"][:, traded], holdings["cash"][:, traded]
    whole = rows["position"][traded] - positions.sum(axis=0), rows["cash"][traded] - cash.sum(axis=0)
    marks = rows["mark"][traded].tolist()
    fractions = rates["fraction"][rows["currency"][traded] % len(rates)].tolist()
    results = [0] * len(holdings)
    for strategy, index in np.argwhere(positions | cash).tolist():
        own, own_cash = int(positions[strategy, index]), int(cash[strategy, index])
        results[strategy] += (own_cash + own * marks[index]) * fractions[index] // FRACTION_ONE
    return results, list(zip(*(part.tolist() for part in whole), strict=True))
