"""`gateway resume CONFIG WHAT --code DIGITS`: a human lets trade again what a control after the trade has halted."""

import argparse
import time
from pathlib import Path
from typing import Any

from gateway.cli.output import print_json, print_note, print_table
from gateway.config import Configuration, load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, GatewayError, UsageError
from gateway.instance import is_held
from gateway.ops import disabled, post_trade_record, resumption, second_factor
from gateway.ops.halts import CAUSED

HELP = "let trade again what a control after the trade has halted; without WHAT: say what is halted, and why"
TAKEN_SECONDS = 5.0  # a control that runs takes a request within a tenth of a second
POLL_SECONDS = 0.02


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="CONFIG", help="configuration file of the appliance")
    parser.add_argument("what", metavar="WHAT", nargs="?", help="account, strategy=NAME or instrument=SYMBOL")
    parser.add_argument("--code", metavar="DIGITS", help="the second factor: six digits, as the phone shows them now")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when it was resumed, or nothing is halted; 1 when it was not halted, or something is."""
    configuration = load(arguments.file)
    halted = standing(configuration)
    if arguments.what is None:
        if arguments.code:
            raise UsageError("--code without WHAT resumes nothing: account, strategy=NAME or instrument=SYMBOL")
        show(halted, arguments.json)
        return EXIT_CHECK_FAILED if halted else EXIT_DONE
    what = resumption.checked(arguments.what)
    controls = {*halted.get(what, {})}
    if not controls - CAUSED:
        alone = f"halted by {', '.join(sorted(controls))} alone, which ends with its cause" if controls else "not halted"
        print_note(f"gateway resume: {what} is {alone}")
        return EXIT_CHECK_FAILED
    second_factor.require(configuration, arguments.code)
    running = hand_over(configuration, what)
    if arguments.json:
        print_json({"resumed": what, "controls": sorted(controls - CAUSED), "running": running})
    else:
        print_note(f"gateway resume: {what} {'trades again' if running else 'will trade again from the next start on'}")
    return EXIT_DONE


def standing(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """What is halted, by what → control, those that REPEAT disabled included."""
    state = configuration.state_folder
    try:
        record = post_trade_record.read(state) or {"halts": {}}
    except post_trade_record.DamagedRecord as problem:
        record = {"halts": {"account": {"RECORD": {"at": 0, "why": f"the file of halts cannot be believed ({problem})"}}}}
    halted: dict[str, dict[str, Any]] = {what: dict(controls) for what, controls in record["halts"].items()}
    for name in disabled.names(state):
        why = "too many executions" if name != disabled.EVERYBODY else "the list of disabled strategies cannot be read"
        halted.setdefault(f"strategy={name}", {})["REPEAT"] = {"at": 0, "why": why}
    return halted


def hand_over(configuration: Configuration, what: str) -> bool:
    """Leaves the request; True once a running control has taken it, False where none runs: its next start will."""
    path = resumption.ask(configuration.state_folder, what)
    deadline = time.monotonic() + TAKEN_SECONDS
    while is_held(configuration.instance.name, Path(configuration.instance.folder)):
        if not path.exists():
            return True
        if time.monotonic() > deadline:
            raise GatewayError(f"control has not taken {path} for {TAKEN_SECONDS:.0f} s; it does so when it runs again")
        time.sleep(POLL_SECONDS)
    return not path.exists()


def show(halted: dict[str, dict[str, Any]], as_json: bool) -> None:
    """What is halted, and why."""
    if as_json:
        print_json({"halted": halted})
        return
    rows = [(what, control, row["why"]) for what, controls in sorted(halted.items()) for control, row in controls.items()]
    if rows:
        print_table(("WHAT", "control", "why"), rows)
    else:
        print_note("gateway resume: nothing is halted")
