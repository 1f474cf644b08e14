"""Counted instructions beside the stored ones: what each work took for one unit then and takes now; more is a regression.

    stored.json     instructions by side and work, and the versions of what compiled them; changed by `--guard --write` only,
                    so that a change of it is a change somebody reviews

Hard rule: a count says what was executed, not how long it took. It finds that a kernel has more to do, on any machine,
however busy; it does not see a cache miss or a mispredicted branch. Those are what the suites measure.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway.errors import CapabilityError, ConfigurationError
from gateway.ops.bench.guard import counting, library

STORED = Path(__file__).with_name("stored.json")
TOLERANCE, TOLERANCE_OTHER = 0.02, 0.25  # share of the stored count; the second one where another compiler made the code
COMPILERS = {"C": ("gcc",), "control": ("gcc",), "numba": ("python", "numba", "llvmlite")}
CONTROL = "control"  # a contender of the suites: what moves here was moved by the compiler, or by who changed the contender
COLUMNS = ("work", "side", "unit", "stored", "now", "change", "verdict")
NUMERIC = ("stored", "now", "change")
DECIMALS = 3


@dataclass(frozen=True)
class Line:
    """One work; instructions for one unit. `stored` None: not stored yet; `now` None: stored, and not counted any more."""

    work: str
    side: str
    unit: str
    stored: float | None
    now: float | None
    tolerance: float

    @property
    def change(self) -> float:
        """Share of the stored count by which it grew."""
        return self.now / self.stored - 1 if self.now is not None and self.stored else 0.0

    @property
    def failed(self) -> bool:
        """Whether the command fails for it."""
        return self.side != CONTROL and (self.now is None or self.change > self.tolerance)

    @property
    def verdict(self) -> str:
        """same, REGRESSION, better, new, GONE; of a control whether it moved."""
        if self.now is None:
            return "GONE: no longer counted"
        if self.stored is None:
            return "new: store it with --guard --write"
        if abs(self.change) <= self.tolerance:
            return "same"
        if self.side == CONTROL:
            return "moved, and none of ours"
        return "REGRESSION" if self.change > 0 else "better: store it with --guard --write"


def versions() -> dict[str, str]:
    """What compiles and what counts. Raises CapabilityError where one of them is missing."""
    try:
        told = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise CapabilityError("the guard counts under valgrind: apt-get install valgrind") from None
    packages = {name: metadata.version(name) for name in ("numba", "llvmlite")}
    python = ".".join(map(str, sys.version_info[:2]))
    return {"gcc": library.compiler_version(), "python": python, **packages, "valgrind": told.removeprefix("valgrind-")}


def count(report: Callable[[float, str], None]) -> dict[str, Any]:
    """{versions, works}: every work counted, in memory and files that are gone afterwards."""
    present = versions()
    with tempfile.TemporaryDirectory(prefix="gateway-guard-") as folder:
        report(0.0, "gcc")
        built = library.build(Path(folder))
        return {"versions": present, "works": counting.count(built, Path(folder), report)}


def load(path: Path = STORED) -> dict[str, Any]:
    """The stored values. Raises ConfigurationError where the file is missing or is something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(document[key], dict) for key in ("versions", "instructions")):
            raise TypeError("it has other parts")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ConfigurationError(f"{path}: no stored counts ({problem}); make them: gateway bench --guard --write") from None
    return dict(document)


def store(told: dict[str, Any], path: Path = STORED) -> None:
    """Writes the counts of `count` as the ones to compare with."""
    sides: dict[str, dict[str, float]] = {}
    for row in told["works"]:
        sides.setdefault(row["side"], {})[row["work"]] = round(row["instructions"], DECIMALS)
    text = json.dumps({"versions": told["versions"], "instructions": sides}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def compare(stored: dict[str, Any], told: dict[str, Any]) -> list[Line]:
    """A line for each work counted, then one for each that only the stored values have."""
    kept, lines = stored["instructions"], []
    for row in told["works"]:
        side, work = row["side"], row["work"]
        tolerance = _tolerance(side, stored["versions"], told["versions"])
        lines.append(Line(work, side, row["unit"], kept.get(side, {}).get(work), row["instructions"], tolerance))
    counted = {(row["side"], row["work"]) for row in told["works"]}
    gone = [(side, work) for side, works in kept.items() for work in works if (side, work) not in counted]
    return lines + [Line(work, side, "", kept[side][work], None, TOLERANCE) for side, work in gone]


def _tolerance(side: str, then: dict[str, str], now: dict[str, str]) -> float:
    return TOLERANCE if all(then.get(name) == now.get(name) for name in COMPILERS[side]) else TOLERANCE_OTHER


def remarks(stored: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """What a reader has to know beside the table."""
    then, now = stored["versions"], told["versions"]
    named = sorted({name for names in COMPILERS.values() for name in names})
    compilers = [name for name in named if then.get(name) != now.get(name)]
    return [
        f"{name} {then.get(name)} made the stored counts, {now.get(name)} these: compared within {TOLERANCE_OTHER:.0%}"
        for name in compilers
    ]


def table_rows(lines: list[Line]) -> list[tuple[str, ...]]:
    """The rows of COLUMNS."""
    return [
        (
            *(line.work, line.side, line.unit),
            *(f"{count:,.2f}" if count is not None else "–" for count in (line.stored, line.now)),
            f"{line.change:+.2%}" if line.stored and line.now is not None else "–",
            line.verdict,
        )
        for line in lines
    ]


def to_data(told: dict[str, Any], lines: list[Line]) -> dict[str, Any]:
    """For JSON."""
    rows = [asdict(line) | {"change": line.change, "verdict": line.verdict} for line in lines]
    return {"ok": not any(line.failed for line in lines), "versions": told["versions"], "instructions": rows}
