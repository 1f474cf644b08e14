"""The contract of a benchmark suite, and the list of suites.

A suite is a module in suites/ with

    TITLE: str                     what it measures, one line
    run(plan) -> Result            measures it

Hard rule: the correctness gate comes first. A contender whose checksum is not the reference's is marked and takes no
part in targets; when it is ours, the command fails.
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import kernel_cache

SUITES = (
    *("decode", "book", "sbe", "json", "ring", "gate", "ports", "tick-to-order", "capture", "growth"),
    *("compression", "wire"),
)


@dataclass(frozen=True)
class Plan:
    """How much to measure, and where to say how far it is."""

    quick: bool
    report: Callable[[float, str], None]  # share done (0 … 1), what is running
    data: Path | None = None  # folder of recorded exchange data, for suites that can use it


@dataclass(frozen=True)
class Reading:
    """One round of one contender: metric → value, and what it computed."""

    values: dict[str, float]
    checksum: int | str


@dataclass(frozen=True)
class Contender:
    """Somebody who does the suite's work; `run` does one round of it."""

    name: str
    ours: bool
    run: Callable[[], Reading]
    note: str = ""


@dataclass
class Row:
    """What one contender scored in one metric: every sample, in the order measured."""

    contender: str
    metric: str
    unit: str
    ours: bool
    correct: bool
    samples: list[float]
    note: str = ""


@dataclass
class Target:
    """A figure to reach, at most `limit`: an absolute one, or the ratio to a contender of the same run."""

    what: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the figure was reached."""
        return self.value <= self.limit


@dataclass
class Result:
    """Everything a suite has to say."""

    suite: str
    title: str
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # contender, or "suite" → reason
    settings: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  # correctness: any entry fails the command
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0  # that the suite took, preparing and checking included

    @property
    def ok(self) -> bool:
        """False when a correctness gate failed."""
        return not self.failures and all(row.correct for row in self.rows if row.ours)


def run_suite(name: str, plan: Plan) -> Result:
    """Imports and runs one suite of SUITES."""
    kernel_cache.prepare()
    begin = time.monotonic()
    module = importlib.import_module(f"gateway.ops.bench.suites.{name.replace('-', '_')}")
    result: Result = module.run(plan)
    result.seconds = time.monotonic() - begin
    return result
