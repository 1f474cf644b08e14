"""Results for programs (one JSON object with every sample) and for people (one table per suite)."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.errors import UsageError
from gateway.ops.bench.rounds import median, spread
from gateway.ops.bench.suite import Result, Row

COLUMNS = ("contender", "metric", "median", "quartiles", "minimum", "rounds", "result")
NUMERIC = ("median", "quartiles", "minimum", "rounds")


def to_data(results: list[Result], machine: dict[str, Any], noise: dict[str, float], quick: bool) -> dict[str, Any]:
    """The JSON object: machine facts, then every suite with rows, samples, targets and what was skipped."""
    return {
        "ok": all(result.ok for result in results),
        "quick": quick,
        "machine": machine,
        "noise": noise,
        "suites": [{**asdict(result), "ok": result.ok} | _figures(result) for result in results],
    }


def load(path: Path) -> dict[str, Any]:
    """What `gateway bench --json` has written. Raises UsageError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document["suites"], list) or not isinstance(document["machine"], dict):
            raise TypeError("it has other parts")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(f"{path}: no result of gateway bench --json ({problem}); make one, or name another file") from None
    return dict(document)


def _figures(result: Result) -> dict[str, Any]:
    rows = [asdict(row) | {"median": median(row), "quartiles": spread(row)} for row in result.rows]
    return {"rows": rows, "targets": [asdict(target) | {"met": target.met} for target in result.targets]}


def table_rows(result: Result) -> list[tuple[str, ...]]:
    """The rows of COLUMNS; a contender whose checksum differs says so."""
    return [_table_row(row) for row in result.rows]


def _table_row(row: Row) -> tuple[str, ...]:
    low, high = spread(row)
    return (
        *(row.contender, f"{row.metric} ({row.unit})", f"{median(row):,.2f}", f"{low:,.2f} – {high:,.2f}"),
        *(f"{min(row.samples):,.2f}", str(len(row.samples)), "same" if row.correct else "DIFFERS: does not count"),
    )


def lines(result: Result) -> list[str]:
    """What follows the table: targets, skips, notes, failures."""
    told = [
        f"{'met   ' if target.met else 'MISSED'}  {target.what}: {short(target.value)} {target.unit}"
        f" (at most {short(target.limit)} {target.unit})"
        for target in result.targets
    ]
    told += [f"skipped {name}: {reason}" for name, reason in result.skipped.items()]
    told += [f"note    {note}" for note in result.notes]
    told += [f"took    {result.seconds:.1f} s"]
    return told + [f"FAILED  {failure}" for failure in result.failures]


def short(value: float) -> str:
    """Two decimals, or as many as a small ratio needs."""
    return f"{value:,.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"
