"""`gateway link CONFIG`: the regional link of a running appliance, or a look at it."""

import argparse
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.cli.output import print_json, print_table
from gateway.config import Configuration, load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, AttachError, GatewayError
from gateway.link.rights.access_files import FOLDER
from gateway.ops.joined import join

HELP = "run the regional link beside a running appliance, or show how it is (--status, --quotes)"
OLD_SECONDS = 3.0
GIVEN_UP = "the link ended too often and is given up; mend what log/link.jsonl says, then: gateway link CONFIG"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="CONFIG", help="configuration file of the appliance")
    look = parser.add_mutually_exclusive_group()
    look.add_argument(
        "--status", action="store_true", help="show the link that runs; exit code 1 when it does not, or is down"
    )
    look.add_argument("--quotes", action="store_true", help="show the mirrored quotes with their age")
    look.add_argument("--executions", metavar="PEER", help="print what this peer has executed, a line of JSON each")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Runs the process until control or a signal ends it; or looks once."""
    configuration = load(arguments.file)
    if arguments.status:
        return show_status(configuration, arguments.json)
    if arguments.quotes:
        return show_quotes(configuration, arguments.json)
    if arguments.executions:
        return show_executions(configuration, arguments.executions)
    return join(configuration, "link")


def show_status(configuration: Configuration, as_json: bool) -> int:
    """What the process wrote last."""
    given_up = is_given_up(configuration)
    path = configuration.link_state_folder / FOLDER / "status.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        if given_up:
            raise GatewayError(GIVEN_UP) from None
        raise GatewayError(
            f"no link has run here ({path}); start it with: gateway run CONFIG, link.enabled = true"
        ) from None
    age_seconds = time.time() - document["time_ns"] / 1e9
    document["running"] = age_seconds < OLD_SECONDS and not given_up
    document["given_up"] = given_up
    up = [name for name, peer in document["peers"].items() if peer["state"] == "up"]
    if as_json:
        print_json(document)
    else:
        print(
            f"link       node {document['node']}, {'running' if document['running'] else f'silent for {age_seconds:.0f} s'}"
        )
        if given_up:
            print(f"           {GIVEN_UP}")
        print(f"sessions   {document['sessions']} begun, {document['losses']} lost, {document['alarms']} alarms")
        if document["last_alarm"]:
            print(f"           last alarm: {document['last_alarm']}")
        print(f"records    {document['records_sent']:,} sent, {document['executions_sent']:,} executions sent")
        if document["keys"]["problem"]:
            print(f"keys       {document['keys']['problem']}")
        if not document["keys"]["risk_allowed"]:
            print("keys       none is valid: new risk is denied (KEYS)")
        for name, peer in document["peers"].items():
            print(f"{name:<10} {peer['state']}{', suspected' if peer['suspected'] else ''}{_far(peer)}{_mirrored(peer)}")
    return EXIT_DONE if document["running"] and up else EXIT_CHECK_FAILED


def _far(peer: dict[str, Any]) -> str:
    """How far away it is."""
    far_us = peer.get("round_trip_us")  # not in a file of an older build
    return f", round trip {far_us / 1000:.2f} ms" if far_us else ""


def is_given_up(configuration: Configuration) -> bool:
    """Whether control has said so, of an appliance that runs."""
    from gateway import layout
    from gateway.instance import Instance

    with suppress(AttachError):
        instance = Instance.attach(configuration.instance.name, Path(configuration.instance.folder), writable=())
        state = instance.control[0]["heartbeats"][layout.value("PROCESS_LINK")]["state"]
        return int(state) == layout.value("PROCESS_GIVEN_UP")
    return False


def _mirrored(peer: dict[str, Any]) -> str:
    """What is taken over from it, in words."""
    words = []
    if mirrored := peer.get("mirrored"):
        words.append(f"{mirrored['records']:,} records mirrored, {mirrored['phase']}")
    if executions := peer.get("executions"):
        words.append(f"{executions['received']:,} executions")
    return "".join(f"; {word}" for word in words)


def show_quotes(configuration: Configuration, as_json: bool) -> int:
    """Every mirrored book's best prices; exit code 1 when one of them is stale."""
    from gateway import clock
    from gateway.instance import Instance
    from gateway.link.quotes import QuoteCache

    instance = Instance.attach(configuration.instance.name, Path(configuration.instance.folder), writable=())
    cache = QuoteCache(instance, configuration.link.staleness_ms * 1_000_000)
    quotes = cache.all(clock.now_ns(instance.clock_address))
    if as_json:
        print_json([quote._asdict() for quote in quotes])
    else:
        columns = ("symbol", "bid", "quantity", "ask", "quantity ", "age ms", "")
        rows = [
            (one.symbol, one.bid_price, one.bid_quantity, one.ask_price, one.ask_quantity, f"{one.age_ns / 1e6:.1f}")
            + ("STALE" if one.stale else "",)
            for one in quotes
        ]
        print_table(columns, rows, numeric=columns[1:6])
    return EXIT_CHECK_FAILED if any(quote.stale for quote in quotes) else EXIT_DONE


def show_executions(configuration: Configuration, peer: str) -> int:
    """The file, as it stands."""
    path = configuration.link_state_folder / FOLDER / f"executions-{peer}.jsonl"
    if not path.exists():
        known = ", ".join(configuration.link.peers) or "none"
        raise GatewayError(f"{path}: no such file; peers of this configuration: {known}")
    print(path.read_text(), end="")
    return EXIT_DONE
