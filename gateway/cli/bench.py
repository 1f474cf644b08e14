"""`gateway bench`: the benchmark suites, with a correctness gate before any figure."""

import argparse
import os
from pathlib import Path
from typing import Any

from gateway.cli import bench_guard, bench_latency
from gateway.cli.output import print_json, print_note, print_table, progress, tell_left_overs, to_json
from gateway.cli.termination import leave_in_order
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError
from gateway.ops.bench.suite import SUITES

DAY_MESSAGES, DAY_SEED, DAY_LIVE_ORDERS = 1_000_000, 20260, 100_000
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
    more = parser.add_subparsers(dest="more", metavar="")
    bench_latency.configure(more.add_parser("latency", help=bench_latency.HELP, description=bench_latency.HELP))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: all suites within two minutes")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of recorded exchange data; default: $GATEWAY_SHARED_DATA, else seeded streams",
    )
    parser.add_argument(
        "--day",
        type=Path,
        metavar="FILE",
        help="write the synthetic ITCH day of decode and book to FILE, length-prefixed; nothing is measured",
    )
    parser.add_argument("--json", metavar="FILE", help="write every sample, machine facts and commit to FILE; - is stdout")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="a --json FILE instead of measuring")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="what moved since the run that wrote this --json FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as a page of tables")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw ratios, percentiles and the stages as SVG into DIR")
    parser.add_argument(
        "--guard", action="store_true", help="count instructions instead, and compare them with the stored ones"
    )
    parser.add_argument("--write", action="store_true", help="with --guard: store what was counted, for review")


def run(arguments: argparse.Namespace) -> int:
    """Runs the suites; exit code 1 when a correctness gate failed."""
    if arguments.more == "latency":
        return bench_latency.run(arguments)
    from gateway.ops.bench import compare, markdown, plots, report

    if arguments.day:
        return write_day(arguments.day, arguments.quick)
    files = [("json", arguments.json or "-"), ("markdown", arguments.markdown or "-")]
    folders = [(option, Path(file).absolute().parent) for option, file in files]
    for option, folder in (*folders, ("plots", arguments.plots)):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"--{option}: the folder {folder} does not exist; make it first")
    if arguments.guard or arguments.write:
        return bench_guard.run(arguments)
    if arguments.source and not (arguments.compare or arguments.plots or arguments.markdown):
        raise UsageError("--from measures nothing; say what to do with it: --compare FILE, --plots DIR, --markdown FILE")
    if arguments.plots:
        plots.library()
    earlier = report.load(arguments.compare) if arguments.compare else None
    told = report.load(arguments.source) if arguments.source else measure(arguments)
    changes = compare.compare(earlier, told) if earlier else []
    if arguments.json == "-":
        print_json(told | {"changes": [change.to_data() for change in changes]})
    elif earlier:
        print("\nWhat moved")
        print_table(compare.COLUMNS, compare.table_rows(changes), compare.NUMERIC)
        for line in compare.remarks(earlier, told):
            print(f"note    {line}")
    if arguments.markdown:
        arguments.markdown.write_text(markdown.page(told), encoding="utf-8")
    if arguments.plots:
        for path in plots.draw(told, arguments.plots):
            print_note(f"drawn: {path}")
    return EXIT_DONE if told["ok"] else EXIT_CHECK_FAILED


def write_day(path: Path, quick: bool) -> int:
    """A synthetic day in a file, for whoever reads ITCH 5.0."""
    from gateway.ops.bench import itch_day, itch_day_file

    messages = DAY_MESSAGES // 4 if quick else DAY_MESSAGES
    flow = itch_day_file.write_day(path, messages, DAY_SEED, itch_day.SYMBOLS, DAY_LIVE_ORDERS)
    mix = ", ".join(f"{letter} {count:,}" for letter, count in itch_day.mix_of(flow).items())
    print_note(f"{path}: synthetic, seed {DAY_SEED}, {mix}; gateway replay {path} --feed itch50")
    return EXIT_DONE


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the suites, prints their tables unless stdout is for JSON, and writes the file that was asked for."""
    from gateway.ops.bench import machine, report
    from gateway.ops.bench.suite import Plan, Result, run_suite

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
    told = report.to_data(results, facts, noise, arguments.quick)
    if arguments.json != "-":
        print_results(results, noise)
        if arguments.json:
            Path(arguments.json).write_text(to_json(told, indent=1) + "\n", encoding="utf-8")
    return told


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
