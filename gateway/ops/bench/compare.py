"""What moved between two runs of the benchmark, and by how much against their noise.

    change     median now / median then
    drift      the same of everybody else in the suite, by metric: what the machine did to all of them
    moved      change / drift, beyond what the rounds of both runs scatter

Hard rule: nothing is called faster or slower within the noise, on another machine's figures, or where a result was wrong.
"""

import math
import statistics
from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = ("suite", "contender", "metric", "then", "now", "change", "drift", "moved", "noise", "verdict")
NUMERIC = ("then", "now", "change", "drift", "moved", "noise")
NOISE_MIN = 0.02  # what throughput by thread-CPU time scatters on a machine with other work
ONE_ROUND = 0.5  # the error of a single sample, as a share of it: its scatter is not known
DEVIATIONS = 3.0  # standard errors that a change has to exceed
QUARTILES_TO_DEVIATION, MEDIAN_ERROR = 1.349, 1.253  # of a normal distribution
SAME_MACHINE = ("cpu", "cpu_count")
NOT_THE_WORK = {"rounds", "repeats", "ticks_per_second"}  # settings that may differ
RATES = ("/s",)  # of units of which more is better

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Change:
    """One metric of one contender in both runs; shares, 1.0 is no change."""

    key: Key
    unit: str
    ours: bool
    then: float
    now: float
    drift: float | None  # None: nobody else did the same work
    noise: float
    counts: bool  # both results were right

    @property
    def moved(self) -> float:
        """What is left of the change without the drift."""
        return self.now / self.then / (self.drift or 1.0)

    @property
    def verdict(self) -> str:
        """faster, slower, same; of others only that they are there: they are the measure."""
        if not self.counts:
            return "wrong result"
        if not self.ours:
            return "peer"
        if abs(math.log(self.moved)) <= math.log1p(self.noise):
            return "same"
        return "faster" if (self.moved < 1) != self.unit.endswith(RATES) else "slower"

    def to_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"moved": self.moved, "verdict": self.verdict}


def compare(then: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Every figure that both runs have, in the order of the later one."""
    alike = _alike(then, now)
    before, after = _rows(then, alike), _rows(now, alike)
    both = [key for key in after if key in before]
    drifts = {place: _drift(place, both, before, after) for place in {(suite, metric) for suite, _, metric in both}}
    return [_change(key, before[key], after[key], drifts[key[0], key[2]]) for key in both]


def remarks(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What a reader has to know before he believes the table."""
    machines = then["machine"], now["machine"]
    told = [
        f"another machine: {name} {machines[0].get(name)} then, {machines[1].get(name)} now"
        for name in SAME_MACHINE
        if machines[0].get(name) != machines[1].get(name)
    ]
    told += [f"{name}: other settings, not compared" for name in sorted(_names(now) & _names(then) - _alike(then, now))]
    missing = sorted(_names(then) - _names(now))
    if missing:
        told.append(f"only in the earlier run: {', '.join(missing)}")
    commits = [str(machine.get("commit", "?"))[:10] for machine in machines]
    return [*told, f"commit {commits[0]} then, {commits[1]} now"]


def table_rows(changes: list[Change]) -> list[tuple[str, ...]]:
    """The rows of COLUMNS."""
    return [
        (
            *change.key[:2],
            f"{change.key[2]} ({change.unit})",
            f"{change.then:,.2f}",
            f"{change.now:,.2f}",
            f"{change.now / change.then:.3f}",
            f"{change.drift:.3f}" if change.drift else "–",
            f"{change.moved:.3f}",
            f"±{change.noise:.1%}",
            change.verdict,
        )
        for change in changes
    ]


def _names(document: dict[str, Any]) -> set[str]:
    return {suite["suite"] for suite in document["suites"]}


def _alike(then: dict[str, Any], now: dict[str, Any]) -> set[str]:
    """Suites that did the same work in both: a setting that only one of them knows says nothing."""
    before, after = ({suite["suite"]: suite.get("settings", {}) for suite in one["suites"]} for one in (then, now))
    return {
        name
        for name in before.keys() & after.keys()
        if all(before[name][key] == after[name][key] for key in before[name].keys() & after[name].keys() - NOT_THE_WORK)
    }


def _rows(document: dict[str, Any], suites: set[str]) -> dict[Key, dict[str, Any]]:
    return {
        (suite["suite"], row["contender"], row["metric"]): row
        for suite in document["suites"]
        if suite["suite"] in suites
        for row in suite["rows"]
        if row["samples"] and statistics.median(row["samples"]) > 0
    }


def _drift(
    place: tuple[str, str], both: list[Key], before: dict[Key, Any], after: dict[Key, Any]
) -> tuple[float | None, float]:
    """How much the others of a suite changed in a metric, and the error of that; our own code is in none of them."""
    pairs = [
        (before[key]["samples"], after[key]["samples"])
        for key in both
        if (key[0], key[2]) == place and not after[key]["ours"] and before[key]["correct"] and after[key]["correct"]
    ]
    if not pairs:
        return None, 0.0
    shares = [statistics.median(now) / statistics.median(then) for then, now in pairs]
    return statistics.median(shares), math.hypot(*(_error(samples) for pair in pairs for samples in pair)) / len(pairs)


def _change(key: Key, before: dict[str, Any], after: dict[str, Any], drift: tuple[float | None, float]) -> Change:
    errors = [_error(before["samples"]), _error(after["samples"])] + [drift[1]] * after["ours"]
    noise = DEVIATIONS * math.hypot(*errors)
    return Change(
        key=key,
        unit=after["unit"],
        ours=after["ours"],
        then=statistics.median(before["samples"]),
        now=statistics.median(after["samples"]),
        drift=drift[0] if after["ours"] else None,
        noise=max(NOISE_MIN, noise),
        counts=bool(before["correct"] and after["correct"]),
    )


def _error(samples: list[float]) -> float:
    """Standard error of the median, as a share of it, by the quartiles; one round alone says little."""
    if len(samples) < 2:
        return ONE_ROUND
    quartiles = statistics.quantiles(samples, n=4, method="inclusive")
    deviation = (quartiles[2] - quartiles[0]) / QUARTILES_TO_DEVIATION
    return MEDIAN_ERROR * deviation / math.sqrt(len(samples)) / quartiles[1]
