"""`gateway enable CONFIG STRATEGY`: a human lets a strategy trade again that REPEAT disabled."""

import argparse

from gateway.cli.output import print_note
from gateway.config import load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE
from gateway.ops import disabled

HELP = "let a strategy trade again that was disabled by REPEAT; holds from the next start on"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="CONFIG", help="configuration file of the appliance")
    parser.add_argument("strategy", metavar="STRATEGY", help="its name: strategy.name or external.name")


def run(arguments: argparse.Namespace) -> int:
    """Takes the name off the list; exit code 1 when it is not on it."""
    configuration = load(arguments.file)
    if not disabled.enable(configuration.state_folder, arguments.strategy):
        print_note(f"gateway enable: {arguments.strategy} is not disabled")
        return EXIT_CHECK_FAILED
    print_note(f"gateway enable: {arguments.strategy} trades again from the next start on")
    return EXIT_DONE
