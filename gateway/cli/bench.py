"""`gateway bench`: the benchmark suites, with a correctness gate before any figure."""

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.cli.output import print_json, print_note, print_table, progress, tell_left_overs, to_json
from gateway.cli.termination import leave_in_order
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError
from gateway.ops.bench.suite import SUITES

HELP = "measure decode, SBE, ring and tick to order beside contenders, on this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "--suite",
        action="append",
        choices=SUITES,
        metavar="NAME",
        help=f"one of {', '.join(SUITES)}; repeatable; default: all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: all suites within a minute")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of recorded exchange data; default: $GATEWAY_SHARED_DATA, else seeded streams",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="what moved since the run whose --json FILE is; two files: between them, and nothing is measured",
    )
    parser.add_argument("--json", metavar="FILE", help="write every sample, machine facts and commit to FILE; - is stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the suites; exit code 1 when a correctness gate failed."""
    from gateway.ops.bench import compare, machine, report
    from gateway.ops.bench.suite import Plan, Result, run_suite

    if arguments.json and arguments.json != "-" and not Path(arguments.json).absolute().parent.is_dir():
        raise UsageError(f"--json {arguments.json}: the folder does not exist; make it first")
    files = arguments.compare or []
    if len(files) > 2:
        raise UsageError("--compare takes one file, or two; leave the others out")
    earlier = [compare.load(path) for path in files]
    if len(earlier) == 2:
        print_changes(earlier[0], earlier[1], as_json=arguments.json == "-")
        return EXIT_DONE
    data = recorded_data(arguments.data)
    leave_in_order()
    tell_left_overs()
    facts, before = machine.facts(), machine.cpu_seconds()
    results: list[Result] = []
    suites = arguments.suite or list(SUITES)
    with progress("benchmarks", total=len(suites)) as update:
        for index, name in enumerate(suites):
            plan = Plan(
                arguments.quick,
                lambda share, what, index=index, name=name: update(index + share, f"{name}: {what}"),  # type: ignore[misc]
                data,
            )
            results.append(run_suite(name, plan))
    noise = machine.noise(before)
    if arguments.json != "-":
        print_results(results, noise)
    told = report.to_data(results, facts, noise, arguments.quick)
    if arguments.json == "-":
        print_json(told)
    elif arguments.json:
        Path(arguments.json).write_text(to_json(told, indent=1) + "\n", encoding="utf-8")
    if earlier and arguments.json != "-":
        print_changes(earlier[0], told)
    return EXIT_DONE if told["ok"] else EXIT_CHECK_FAILED


def print_changes(then: dict[str, Any], now: dict[str, Any], as_json: bool = False) -> None:
    """What moved between two results, to stdout."""
    from gateway.ops.bench import compare

    changes, remarks = compare.compare(then, now), compare.remarks(then, now)
    if as_json:
        rows = [asdict(row) | {"moved": row.moved, "verdict": row.verdict} for row in changes]
        print_json({"changes": rows, "remarks": remarks})
        return
    print("\nWhat moved")
    print_table(compare.COLUMNS, compare.table_rows(changes), compare.NUMERIC)
    for line in remarks:
        print(f"note    {line}")


def recorded_data(given: Path | None) -> Path | None:
    """The folder of recorded data: the one given, else the environment's, else none."""
    if given is not None and not given.is_dir():
        raise UsageError(f"--data {given}: the folder does not exist; leave it out for seeded streams")
    named = os.environ.get("GATEWAY_SHARED_DATA")
    return given or (Path(named) if named and Path(named).is_dir() else None)


def print_results(results: list, noise: dict[str, float]) -> None:
    """One table per suite to stdout, targets and remarks below it."""
    from gateway.ops.bench import report

    for result in results:
        print(f"\n{result.title}")
        if result.rows:
            print_table(report.COLUMNS, report.table_rows(result), report.NUMERIC)
        for line in report.lines(result):
            print(line)
    print_note(
        f"\nCPUs were {noise['busy_share']:.0%} busy (this run included), {noise['steal_share']:.1%} of the time"
        " stolen; ratios of one run are what counts"
    )
