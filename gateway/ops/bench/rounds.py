"""Interleaved rounds: every contender takes one turn per round, in an order that moves on, so that drift of the machine
meets all of them alike.

Hard rule: what is claimed is a ratio from one such run, taken round by round.
"""

import statistics
from collections.abc import Sequence

import numpy as np

from gateway.ops.bench.suite import Contender, Plan, Row


def interleave(
    contenders: Sequence[Contender], rounds: int, units: dict[str, str], reference: int | str, plan: Plan
) -> list[Row]:
    """Rows of every contender and metric. `units` names the metrics in the order they are shown, with their units.

    One unmeasured round warms caches and code. A contender is correct when every round's checksum is `reference`.
    """
    rows = {
        (contender.name, metric): Row(contender.name, metric, unit, contender.ours, True, [], contender.note)
        for contender in contenders
        for metric, unit in units.items()
    }
    for index in range(-1, rounds):
        for turn in range(len(contenders)):
            contender = contenders[(index + turn) % len(contenders)]
            plan.report((index + 1 + turn / len(contenders)) / (rounds + 1), contender.name)
            reading = contender.run()
            for metric in units:
                row = rows[contender.name, metric]
                row.correct &= reading.checksum == reference
                if index >= 0 and metric in reading.values:
                    row.samples.append(reading.values[metric])
    return [row for row in rows.values() if row.samples]


def median(row: Row) -> float:
    """Median of a row's samples."""
    return statistics.median(row.samples)


def stepped_median(ticks: np.ndarray) -> float:
    """The median of samples of a clock that may move in steps: those of one step lie evenly over it.

    Without that the median moves in steps too; on some virtual machines one is 10 ns, a tenth of a hop there and back.
    """
    low, high = np.percentile(ticks, [5, 95])
    usual = ticks[(ticks >= low) & (ticks <= high)]
    values = np.unique(usual)
    cuts = np.flatnonzero(np.diff(values) > 2)  # of a step that is no whole number, two values may stand side by side
    if not len(cuts) or 4 * len(cuts) < len(values) - 1:
        return float(np.median(ticks))
    steps = np.searchsorted(values[cuts], usual, side="left")
    counts = np.bincount(steps)
    centres = np.bincount(steps, usual) / counts
    upto = np.count_nonzero(ticks < low) + np.cumsum(counts)
    index = int(np.searchsorted(upto, len(ticks) / 2))
    within = (len(ticks) / 2 - (upto[index] - counts[index])) / counts[index]
    return float(centres[index] + np.median(np.diff(centres)) * (within - 0.5))


def spread(row: Row) -> tuple[float, float]:
    """Lower and upper quartile of a row's samples."""
    if len(row.samples) < 2:
        return row.samples[0], row.samples[0]
    quartiles = statistics.quantiles(row.samples, n=4, method="inclusive")
    return quartiles[0], quartiles[2]


def times(row: Row, other: Row) -> float:
    """Median over rounds of row / other: both met the same machine in the same round."""
    return statistics.median(own / theirs for own, theirs in zip(row.samples, other.samples, strict=True))


def find(rows: Sequence[Row], contender: str, metric: str) -> Row | None:
    """The row of a contender in a metric, when it is there and correct."""
    for row in rows:
        if (row.contender, row.metric) == (contender, metric) and row.correct:
            return row
    return None
