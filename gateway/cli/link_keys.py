"""`gateway link-keys`: makes and shows the keys of the regional link, and revokes what others have seen."""

import argparse
from pathlib import Path
from typing import Any

from gateway import clock
from gateway.cli.output import print_json, print_note
from gateway.errors import EXIT_DONE, UsageError

HELP = "make the sealed root or a node's static key, show its public half, try the key service, revoke a secret"
ACTIONS = ("root", "static", "show", "try", "revoke")
PERIODS = "a number since 1970, now, or +1, -1 …"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        metavar="ACTION",
        help="root: make a sealed root (FILE); static: make a node's key pair (FILE); show: its public key (FILE); "
        "try: fetch this hour's secret (SERVICE); revoke: replace a secret (SERVICE)",
    )
    parser.add_argument("target", metavar="FILE|SERVICE", help="a file, or a key service: unix:PATH, tls:…, vault:https://…")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="root: else GATEWAY_KEYD_PASSPHRASE is read")
    period = parser.add_mutually_exclusive_group()
    period.add_argument("--hour", metavar="N", help=f"revoke: which hourly secret: {PERIODS}")
    period.add_argument("--day", metavar="N", help=f"revoke: which daily secret: {PERIODS}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when it is done; errors say what is wrong."""
    action = arguments.action
    if (arguments.hour or arguments.day) and action != "revoke":
        raise UsageError("--hour and --day belong to revoke")
    if arguments.passphrase_file and action != "root":
        raise UsageError("--passphrase-file belongs to root")
    done = {"root": _root, "static": _static, "show": _show, "try": _try, "revoke": _revoke}[action](arguments)
    note = done.pop("note", "")
    if arguments.json:
        print_json(done)
    elif "public_key" in done:
        print(done["public_key"])
    if note:
        print_note(f"gateway link-keys: {note}")
    return EXIT_DONE


def _root(arguments: argparse.Namespace) -> dict[str, Any]:
    from gateway.link.keys.keyd_revocations import path_of
    from gateway.link.keys.keyd_vault import KeydVault
    from gateway.link.keys.sealed_root import passphrase_of

    path = Path(arguments.target).expanduser()
    KeydVault.create(path, passphrase_of(arguments.passphrase_file))
    files = [str(path), str(path_of(path))]
    return {"files": files, "note": f"made {files[0]} and {files[1]}; back up both, and the passphrase elsewhere"}


def _static(arguments: argparse.Namespace) -> dict[str, Any]:
    from gateway.link.keys import static_key

    path = Path(arguments.target).expanduser()
    public = static_key.format_public(static_key.create(path))
    note = f"made {path}; the peers pin the public key: [link.peers.NAME] public_key"
    return {"file": str(path), "public_key": public, "note": note}


def _show(arguments: argparse.Namespace) -> dict[str, Any]:
    from gateway.link.keys import static_key

    path = Path(arguments.target).expanduser()
    public = static_key.public_of(static_key.read_private(path))
    return {"file": str(path), "public_key": static_key.format_public(public)}


def _try(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a gateway does at its start, once; the secret is thrown away."""
    from gateway.link.keys.held_secret import zero
    from gateway.link.keys.key_address import open_key_service
    from gateway.link.keys.key_service import HOURLY, Wrapped, period_of

    service = open_key_service(arguments.target)
    hour, began_ns = period_of(HOURLY, clock.utc_ns()), clock.monotonic_ns()
    wrapped = service.wrapped(HOURLY, hour)
    zero(service.unwrap(wrapped))
    took_ms = (clock.monotonic_ns() - began_ns) / 1e6
    generation = Wrapped.unpack(wrapped).generation
    note = f"{arguments.target} gave the secret of hour {hour}, generation {generation}, in {took_ms:.1f} ms"
    return {"service": arguments.target, "hour": hour, "generation": generation, "milliseconds": took_ms, "note": note}


def _revoke(arguments: argparse.Namespace) -> dict[str, Any]:
    from gateway.link.keys.key_address import open_key_service
    from gateway.link.keys.key_service import DAILY, HOURLY, period_of

    if not (arguments.hour or arguments.day):
        raise UsageError("revoke needs --hour N or --day N")
    name = HOURLY if arguments.hour else DAILY
    period = _period(arguments.hour or arguments.day, period_of(name, clock.utc_ns()))
    generation = open_key_service(arguments.target).revoke(name, period)
    note = f"{name} secret {period} is revoked; generation {generation} holds, every keyring has it within seconds"
    return {"name": name, "period": period, "generation": generation, "note": note}


def _period(text: str, now: int) -> int:
    """`now`, `+1`, `-1` or a number."""
    digits = text[1:] if text[:1] in "+-" else text
    if text == "now":
        return now
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10):
        raise UsageError(f"{text!r}: write {PERIODS}")
    return now + int(text) if text[0] in "+-" else int(text)
