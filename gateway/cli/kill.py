"""`gateway kill`: sets the latch of a running appliance, cancels, closes positions, reports; clears the latch; drills."""

import argparse
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import clock
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, AttachError, UsageError
from gateway.instance import FOLDER, Instance, folder_of, is_held
from gateway.ops import kill_file
from gateway.ops.kill_latch import ask_to_keep_positions, attach, latch

if TYPE_CHECKING:  # the latch comes first: what takes a second to import is imported behind it
    from gateway.config import Configuration
    from gateway.ops.kill_report import KillReport

HELP = "set the kill latch: no new order leaves, everything open is cancelled, positions are closed"
LISTED_MAX = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--instance", metavar="NAME", help="which appliance (default: gateway)")
    parser.add_argument("--config", metavar="FILE", help="the configuration it was started with: name and folders are there")
    parser.add_argument("--keep-positions", action="store_true", help="cancel what is open, leave positions as they are")
    parser.add_argument("--clear", action="store_true", help="clear the latch of an appliance that does not run")
    parser.add_argument("--code", metavar="DIGITS", help="with --clear: the second factor, where one is set up")
    parser.add_argument("--force", action="store_true", help="with --clear: although something is unresolved; it is named")
    parser.add_argument("--drill", metavar="CONFIG", help="rehearse it against a simulated venue; stores signed evidence")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when nothing is left open or held, 1 when something is."""
    if (arguments.code or arguments.force) and not arguments.clear:
        raise UsageError("--code and --force belong to --clear")
    if arguments.drill:
        return drill(arguments)
    if arguments.clear:
        return clear(arguments)
    instance, asked_ns = latched(arguments)
    from gateway.cli.output import print_json
    from gateway.ops import kill

    keep, configuration = arguments.keep_positions, stored_configuration(instance)
    report = kill.kill(instance, configuration, keep_positions=keep, since_ns=asked_ns)
    if arguments.json:
        print_json(report.as_json())
    else:
        print_report(report)
    return EXIT_DONE if report.clean else EXIT_CHECK_FAILED


def latched(arguments: argparse.Namespace) -> tuple[Instance, int]:
    """The instance, its latch set, and when that was asked for (instance clock).

    Where none runs and a configuration says which is meant, the latch on disk is set, so that none starts.
    """
    name, folder = named(arguments.config)
    try:
        instance = attach(arguments.instance or name, folder)
    except AttachError as problem:
        if arguments.config is None or arguments.instance:
            raise
        from gateway.config import load

        kill_file.set_latch(load(arguments.config).state_folder, "COMMAND")
        raise AttachError(f"{problem}; the latch on disk is set, so none starts") from None
    said = ask_to_keep_positions(instance, arguments.keep_positions)
    asked_ns = clock.now_ns(instance.clock_address)
    latch(instance, "KILL_COMMAND")
    if not said:
        print("gateway kill: control cannot be told that positions are to be kept", file=sys.stderr)
    return instance, asked_ns


def named(path: str | None) -> tuple[str, Path]:
    """Name and folder of the instance that a configuration describes, without the time to read it whole."""
    table: dict[str, str] = {}
    if path is not None:
        try:
            table = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8")).get("instance", {})
        except (OSError, ValueError):
            from gateway.config import load

            load(path)  # says what is wrong
    name = os.environ.get("GATEWAY__INSTANCE__NAME") or table.get("name") or "gateway"
    return name, Path(os.environ.get("GATEWAY__INSTANCE__FOLDER") or table.get("folder") or FOLDER)


def stored_configuration(instance: Instance) -> "Configuration":
    """The configuration the instance was started with."""
    from gateway.config import Configuration
    from gateway.ops.process import CONFIGURATION_FILE

    path = instance.folder / CONFIGURATION_FILE
    try:
        return Configuration(**json.loads(path.read_text()))
    except (OSError, ValueError) as problem:
        raise AttachError(f"{path}: {problem}; the latch is set, but nothing was cancelled") from problem


def print_report(report: "KillReport") -> None:
    """The report for a person, residual orders and positions by name."""
    print(f"latch     {report.reason}, set in {report.latch_took_ns / 1000:.0f} µs")
    if report.file_problem:
        print(f"file      NOT WRITTEN ({report.file_problem}): the latch does not outlive this appliance")
    if report.problem:
        print(f"STOPPED   {report.problem}")
        return
    print(f"open      {report.open_before} orders at the latch")
    print(f"cancels   {report.cancels_sent} handed to io or the order session, {report.cancels_unsent} could not be")
    if report.io_replaced:
        print("sender    was silent (io, or the order session): it was ended, and a fresh one sent the cancels")
    if report.cancels_waiting:
        print(f"WAITING   {report.cancels_waiting} cancels that nobody took: cancel them at the venue now")
    if report.confirmed:
        print(f"closed    every order, after {report.closed_after_ms} ms, by {report.verified_by}")
    elif not report.core_alive:
        print("core      is silent: our own table confirms nothing")
    if report.drop_copy_problem:
        print(f"venue     its own account cannot be read: {report.drop_copy_problem}")
    _print_positions(report)
    if report.records_unwritten or report.record_problem:
        count, kept = report.records_unwritten, "in memory only, and --json lists the orders"
        print(f"records   {count} of control_orders.jsonl NOT WRITTEN ({report.record_problem}): {kept}")
    lines = report.residual_lines()
    for line in lines[:LISTED_MAX]:
        print(f"RESIDUAL  {line}")
    if len(lines) > LISTED_MAX:
        print(f"RESIDUAL  and {len(lines) - LISTED_MAX} more; --json lists them all")
    done = "nothing is left" if report.clean else "see to what is left, at the venue"
    print(f"report    after {report.took_ms / 1000:.1f} s, by {report.by}: {done}")


def _print_positions(report: "KillReport") -> None:
    if not report.flatten:
        kept = ", ".join(f"{symbol} {held:+d}" for symbol, held in report.positions_after.items()) or "none"
        print(f"positions kept as they are: {kept}")
    elif report.positions_after or not report.positions_verified:
        print(f"positions NOT FLAT, or not known to be; {report.flatten_orders} orders were sent")
    else:
        count, orders = len(report.positions_before), report.flatten_orders
        print(f"positions flat after {report.flat_after_ms} ms: {count} closed by {orders} orders")


def clear(arguments: argparse.Namespace) -> int:
    """Clears the latch on disk and what a run without control left behind; only while the appliance does not run, after a
    clean reconciliation, with the second factor where one is set up."""
    from gateway.cli.output import print_note
    from gateway.config import load
    from gateway.ops import kill_clear, second_factor
    from gateway.ops.dead_run import end_left_over, rescue_journal

    configuration = load(arguments.config, {"instance.name": arguments.instance})
    name, parent = configuration.instance.name, Path(configuration.instance.folder)
    if is_held(name, parent):
        raise UsageError("the latch of a running appliance is never cleared; stop it first")
    lines = kill_clear.unresolved(configuration)
    for line in lines:
        print(f"gateway kill: unresolved: {line}", file=sys.stderr)
    if lines and not arguments.force:
        print_note("gateway kill: nothing is cleared; see to it at the venue, or clear all the same with --force")
        return EXIT_CHECK_FAILED
    if second_factor.is_set_up(configuration):
        second_factor.require(configuration, arguments.code)
    why = kill_clear.clear(configuration, lines, arguments.force)
    end_left_over(folder_of(name, parent))
    rescue_journal(folder_of(name, parent), configuration.journal_folder)
    shutil.rmtree(folder_of(name, parent), ignore_errors=True)  # its memory carries the latch too
    print_note(f"cleared; it was set by: {why}" if why else "the latch was clear")
    return EXIT_DONE


def drill(arguments: argparse.Namespace) -> int:
    """The whole path against a simulated venue; exit code 1 when anything is not as it must be."""
    from gateway.cli.output import print_json, waiting
    from gateway.config import load
    from gateway.ops import kill_drill

    configuration = load(arguments.drill)
    with waiting("drill: a simulated venue, an appliance, load, a kill"):
        result, path = kill_drill.drill(configuration)
    if arguments.json:
        print_json({**result, "evidence": str(path)})
    else:
        for name, good in result["checks"].items():
            print(f"{'ok  ' if good else 'FAIL'}  {name}")
        print(f"evidence  {path}")
    return EXIT_DONE if result["ok"] else EXIT_CHECK_FAILED
