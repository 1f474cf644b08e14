"""`gateway kill`: sets the latch of a running appliance, cancels what is open, reports what is left."""

import argparse
import json
import shutil
from pathlib import Path

from gateway.cli.output import print_json, print_note
from gateway.config import Configuration, load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, AttachError, UsageError
from gateway.instance import FOLDER, Instance, folder_of, is_held
from gateway.ops import kill, kill_file
from gateway.ops.appliance import order_frames
from gateway.ops.dead_run import end_left_over, rescue_journal
from gateway.ops.process import CONFIGURATION_FILE

HELP = "set the kill latch: no new order leaves, everything open is cancelled"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--instance", metavar="NAME", help="which appliance (default: gateway)")
    parser.add_argument("--config", metavar="FILE", help="the configuration it was started with: name and folders are there")
    parser.add_argument("--clear", action="store_true", help="clear the latch of an appliance that does not run")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when nothing is left open, 1 when something is."""
    if arguments.clear:
        return clear(arguments)
    chosen = load(arguments.config) if arguments.config else None
    name, folder = arguments.instance or "gateway", FOLDER
    if chosen is not None:
        name, folder = arguments.instance or chosen.instance.name, Path(chosen.instance.folder)
    instance = Instance.attach(name, folder, writable=("control", "control_io", "control_session"))
    kill.latch(instance, "KILL_COMMAND")  # before anything that can fail
    configuration = stored_configuration(instance)
    report = kill.kill(instance, configuration.state_folder, order_frames(configuration))
    if arguments.json:
        print_json(report.as_json())
    else:
        print_report(report)
    return EXIT_DONE if report.confirmed and not report.file_problem else EXIT_CHECK_FAILED


def stored_configuration(instance: Instance) -> Configuration:
    """The configuration the instance was started with."""
    path = instance.folder / CONFIGURATION_FILE
    try:
        return Configuration(**json.loads(path.read_text()))
    except (OSError, ValueError) as problem:
        raise AttachError(f"{path}: {problem}; the latch is set, but nothing was cancelled") from problem


def print_report(report: kill.KillReport) -> None:
    """The report for a person, residual orders by name."""
    print(f"latch     {report.reason}, set in {report.latch_took_ns / 1000:.0f} µs")
    if report.file_problem:
        print(f"file      NOT WRITTEN ({report.file_problem}): the latch does not outlive this appliance")
    print(f"open      {report.open_before} orders at the latch")
    print(f"cancels   {report.cancels_sent} handed to io or the order session, {report.cancels_unsent} could not be")
    if report.io_replaced:
        print("sender    was silent (io, or the order session): it was ended, and a fresh one sent the cancels")
    if report.cancels_waiting:
        print(f"WAITING   {report.cancels_waiting} cancels that nobody took: cancel them at the venue now")
    if report.confirmed:
        print("residual  none: every order is closed")
        return
    why = "core is silent, so nothing confirms them here" if not report.core_alive else "the venue has not confirmed them"
    names = " ".join(str(reference) for reference in report.still_open[:20])
    print(f"residual  {len(report.still_open)} orders; {why}: {names}; check them at the venue")


def clear(arguments: argparse.Namespace) -> int:
    """Clears the latch on disk and what a run without control left behind; only while the appliance does not run."""
    configuration = load(arguments.config, {"instance.name": arguments.instance})
    name, parent = configuration.instance.name, Path(configuration.instance.folder)
    if is_held(name, parent):
        raise UsageError("the latch of a running appliance is never cleared; stop it first")
    end_left_over(folder_of(name, parent))
    rescue_journal(folder_of(name, parent), configuration.journal_folder)
    shutil.rmtree(folder_of(name, parent), ignore_errors=True)  # its memory carries the latch too
    why = kill_file.reason(configuration.state_folder)
    kill_file.clear(configuration.state_folder)
    print_note(f"cleared; it was set by: {why}" if why else "the latch was clear")
    return EXIT_DONE
