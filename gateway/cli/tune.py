"""`gateway tune --dry-run | --apply | --undo`: huge pages, interrupt affinity and governor, every change listed."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gateway.cli.output import print_json, print_note, print_table
from gateway.errors import EXIT_CAPABILITY, EXIT_DONE, UsageError
from gateway.ops.host import Host
from gateway.ops.tuning import Change, Tuning, parse_processors, plan, scales

HELP = "set huge pages, interrupt affinity and governor for low latency; list every change, and take it back"
STATE = Path("/var/lib/gateway")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--dry-run", action="store_true", help="list what --apply would change")
    action.add_argument("--apply", action="store_true", help="change it, and remember what was")
    action.add_argument("--undo", action="store_true", help="write back what was before --apply")
    parser.add_argument("--huge-pages", type=int, metavar="COUNT", help="at least so many huge pages of the default size")
    parser.add_argument("--quiet", default="", metavar="CPUS", help="processors that no interrupt may use, as 2,4-5")
    parser.add_argument("--governor", default="", metavar="NAME", help="frequency governor, for example performance")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Plans, applies or undoes; exit code 4 when the kernel refused a change."""
    tuning = Tuning(Host(), STATE)
    if arguments.undo:
        return show(tuning.undo(), "undone", arguments.json)
    if arguments.huge_pages is not None and arguments.huge_pages < 0:
        raise UsageError(f"--huge-pages {arguments.huge_pages}: give a count from 0")
    if arguments.huge_pages is None and not arguments.quiet and not arguments.governor:
        raise UsageError("nothing to tune; give --huge-pages COUNT, --quiet CPUS or --governor NAME")
    changes = plan(Host(), arguments.huge_pages, parse_processors(arguments.quiet), arguments.governor)
    if arguments.governor and not scales(Host()):
        print_note("gateway tune: this kernel scales no frequency (a virtual machine's host does): no governor to set")
    if arguments.apply:
        return show(tuning.apply(changes), "applied", arguments.json)
    return show([(change, "") for change in changes], "planned", arguments.json)


def show(outcomes: list[tuple[Change, str]], verb: str, as_json: bool) -> int:
    """Prints the changes."""
    failed = [change for change, problem in outcomes if problem]
    if as_json:
        rows = [{**asdict(change), "problem": problem} for change, problem in outcomes]
        print_json({"state": verb, "ok": not failed, "changes": rows}, indent=2)
    elif not outcomes:
        print("nothing to change")
    else:
        cells = [(f"/{change.path}", change.before, change.after, problem or verb) for change, problem in outcomes]
        print_table(("file", "before", "after", "outcome"), cells)
    return EXIT_CAPABILITY if failed else EXIT_DONE
