"""`gateway bench latency`: tick to order over a port of this host, timed by the venue's side alone."""

import argparse
from pathlib import Path
from typing import Any

from gateway.cli.output import print_json, print_note, print_table, progress, tell_left_overs, to_json
from gateway.cli.termination import leave_in_order
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError

HELP = "tick to order over a port, on one machine or two: percentiles above the echo of the same port, and every stage"
RATE_MIN, RATE_MAX = 1_000, 50_000
SECONDS_MAX = 600.0
WARM_UP_MAX = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "--port",
        default="pair",
        metavar="SPEC",
        help="a wire that is made for the run: pair, memif, af_packet, tap; or a port's name (af_packet:eth1) with"
        " --venue-port or --role (default: %(default)s)",
    )
    parser.add_argument("--venue-port", metavar="SPEC", help="the port that --port is cabled to, on this machine")
    parser.add_argument("--role", choices=("venue", "gateway", "echo"), help="this machine's part of two")
    parser.add_argument("--rate", type=int, default=20_000, metavar="N", help="frames a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="time measured (default: %(default)s)")
    parser.add_argument("--warmup", type=float, default=0.2, metavar="S", help="time not measured before (default: 0.2)")
    parser.add_argument(
        "--cpus", metavar="A,B", help="CPU of the appliance, and of the venue's side (default: the last two)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures of every run, machine facts and commit to FILE; - is stdout"
    )
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw percentiles and the stages as SVG into DIR")
    parser.add_argument("--histogram", type=Path, metavar="FILE", help="write the HDR log of every run to FILE")


def run(arguments: argparse.Namespace) -> int:
    """Measures, or answers; exit code 1 when orders were missing."""
    from gateway.ops.bench import latency_record, plots

    check(arguments)
    latency_record.library()
    if arguments.plots:
        plots.library()
    leave_in_order()
    tell_left_overs()
    cpus = cpus_of(arguments.cpus)
    if arguments.role in ("gateway", "echo"):
        return answer(arguments, cpus)
    told, lines = measure(arguments, cpus)
    if arguments.json == "-":
        print_json(told)
    else:
        show(told, lines)
        if arguments.json:
            Path(arguments.json).write_text(to_json(told, indent=1) + "\n", encoding="utf-8")
    if arguments.plots:
        for path in plots.draw(told, arguments.plots):
            print_note(f"drawn: {path}")
    return EXIT_DONE if told["ok"] else EXIT_CHECK_FAILED


def check(arguments: argparse.Namespace) -> None:
    """Refuses (UsageError) words that cannot be meant, before anything is made."""
    bounds = ("rate", RATE_MIN, RATE_MAX), ("seconds", 0.1, SECONDS_MAX), ("warmup", 0.0, WARM_UP_MAX)
    for option, least, most in bounds:
        if not least <= getattr(arguments, option) <= most:
            raise UsageError(f"--{option} {getattr(arguments, option)}: give {least:,} to {most:,}")
    folders = [("plots", arguments.plots)] + [
        (option, Path(file).absolute().parent)
        for option, file in (("json", arguments.json), ("histogram", arguments.histogram))
        if file and file != "-"
    ]
    for option, folder in folders:
        if folder is not None and not folder.is_dir():
            raise UsageError(f"--{option}: the folder {folder} does not exist; make it first")
    if arguments.role and arguments.venue_port:
        raise UsageError("--role is for two machines, --venue-port for one; leave one of them out")


def cpus_of(text: str | None) -> tuple[int, int] | None:
    """The CPUs of `A,B`; None: not said."""
    if text is None:
        return None
    words = text.split(",")
    if len(words) != 2 or not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"--cpus {text}: write two numbers, e.g. --cpus 3,2")
    return int(words[0]), int(words[1])


def measure(arguments: argparse.Namespace, cpus: tuple[int, int] | None) -> tuple[dict[str, Any], list[str]]:
    """The whole run as one JSON object, and the lines below its tables."""
    from gateway.ops.bench import latency, machine, report

    facts, before = machine.facts(), machine.cpu_seconds()
    asked = latency.Asked(arguments.port, arguments.venue_port, arguments.role, arguments.rate, arguments.seconds)
    with progress("latency", total=1.0) as update:
        result, measured = latency.run(asked, arguments.warmup, cpus, update)
    if arguments.histogram:
        measured.write_log(arguments.histogram)
    told = report.to_data([result], facts, machine.noise(before), quick=False)
    return told | {"latency": measured.to_data()}, report.lines(result)


def show(told: dict[str, Any], lines: list[str]) -> None:
    """Two tables and what there is to say."""
    latency = told["latency"]
    print(f"\n{latency['title']}")
    columns = ("over", "answered by", "orders", "missing", *latency["shares"])
    rows = [
        (row["over"], row["by"], f"{row['orders']:,}", row["missing"])
        + tuple(f"{row['ns'][share] / 1000:,.2f}" for share in latency["shares"])
        for row in latency["rows"]
    ]
    print_table(columns, rows, columns[2:])
    for budget in latency["budgets"]:
        print(f"\nStages of {budget['orders']:,} orders over {budget['over']}, the middle half of them (ns)")
        print_table(("stage", "ns"), [(name, f"{ns:,.0f}") for name, ns in budget["stages"].items()], ("ns",))
        print(budget["note"])
    print()
    for line in lines:
        print(line)
    noise = told["noise"]
    print_note(
        f"CPUs were {noise['busy_share']:.0%} busy (this run included), {noise['steal_share']:.1%} of the time stolen"
    )


def answer(arguments: argparse.Namespace, cpus: tuple[int, int] | None) -> int:
    """The answering side of two machines, until the venue's side is done or Ctrl-C."""
    from gateway.ops.bench import latency

    try:
        with progress("waiting for the venue's side; runs answered") as update:
            budgets = latency.answer(arguments.port, arguments.role == "gateway", cpus, update, print_note)
    except KeyboardInterrupt:
        return EXIT_DONE  # the usual way to end it before the venue's side does
    for budget in budgets:
        print(f"\nStages of {budget['orders']:,} orders, the middle half of them, without wire and ports (ns)")
        print_table(("stage", "ns"), [(name, f"{ns:,.0f}") for name, ns in budget["stages"].items()], ("ns",))
        print(budget["note"])
    return EXIT_DONE
