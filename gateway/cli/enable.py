"""`gateway enable CONFIG STRATEGY [--code DIGITS]`: a human lets a strategy trade again that REPEAT disabled."""

import argparse

from gateway.cli.output import print_note
from gateway.config import load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError
from gateway.ops import disabled, second_factor

HELP = "let a strategy trade again that was disabled by REPEAT; holds from the next start on"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="CONFIG", help="configuration file of the appliance")
    parser.add_argument("strategy", metavar="STRATEGY", help="its name: strategy.name or external.name")
    parser.add_argument("--code", metavar="DIGITS", help="the second factor, where one is set up: the phone's six digits")


def run(arguments: argparse.Namespace) -> int:
    """Takes the name off the list; exit code 1 when it is not on it, and then no code is used up."""
    configuration = load(arguments.file)
    state, name = configuration.state_folder, arguments.strategy
    if not disabled.names(state) & {name, disabled.EVERYBODY}:
        print_note(f"gateway enable: {name} is not disabled")
        return EXIT_CHECK_FAILED
    if second_factor.is_set_up(configuration):
        second_factor.require(configuration, arguments.code)
    elif arguments.code:
        raise UsageError("--code: no second factor is set up here; make one with: gateway totp CONFIG --new")
    disabled.enable(state, name)
    print_note(f"gateway enable: {name} trades again from the next start on")
    return EXIT_DONE
