"""`gateway totp CONFIG`: makes the secret of the second factor, or tries a code."""

import argparse

from gateway.cli.output import print_json, print_note
from gateway.config import load
from gateway.errors import EXIT_DONE
from gateway.ops import second_factor

HELP = "the second factor of a human: make its secret, or try a code"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="CONFIG", help="configuration file of the appliance")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--new", action="store_true", help="make a secret and print it, this once, for the phone")
    what.add_argument("--code", metavar="DIGITS", help="try a code; it is spent with that")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when the secret was made, or the code was right; errors say what is wrong."""
    configuration = load(arguments.file)
    path = second_factor.secret_path(configuration)
    if arguments.new:
        secret, address = second_factor.make(configuration)
        if arguments.json:
            print_json({"file": str(path), "secret": secret, "address": address})
        else:
            print(f"secret   {secret}\naddress  {address}")
            print_note(f"gateway totp: written to {path}; type the secret, or show the address, into the phone now")
        return EXIT_DONE
    second_factor.require(configuration, arguments.code)
    if arguments.json:
        print_json({"file": str(path), "ok": True})
    else:
        print_note("gateway totp: right; this code is spent")
    return EXIT_DONE
