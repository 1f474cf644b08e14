"""`gateway order ID`: an order's whole life from the journal, while the appliance runs or afterwards."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.cli.output import print_json, print_note
from gateway.config import Configuration, load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE
from gateway.instance import FOLDER, folder_of
from gateway.ops import control_record
from gateway.ops.control_life import ControlLines
from gateway.ops.journal import read
from gateway.ops.journal_context import read_context
from gateway.ops.order_life import life_of
from gateway.ops.order_search import JournalIndex
from gateway.ops.process import CONFIGURATION_FILE

HELP = "an order's whole life from the journal: what it was decided on, each stamp, each report"
NOTHING = np.zeros(0, dtype=layout.dtype("journal_slot"))  # of a run that was killed before it had a journal
JOURNAL_FILE = "journal.bin"
SECOND_NS = 1_000_000_000
WHO = ("firm", "client", "decision_maker", "execution_algorithm", "capacity")


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    identifier = "reference, client order id, venue order id or signal id; venue:N and signal:N say which is meant"
    parser.add_argument("id", metavar="ID", help=identifier)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--config", metavar="FILE", help="the configuration it was started with")
    where.add_argument("--instance", metavar="NAME", help="which appliance, running or not (default: gateway)")
    where.add_argument("--journal", metavar="FILE", help="a journal file, its .jsonl beside it")
    parser.add_argument("--run", type=int, metavar="N", help="which run of the journal (default: the newest with the id)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 when the journal does not know the id."""
    path, folders = sources_of(arguments)
    context, lines = read_context(path), control_record.read(*folders)
    index = JournalIndex(NOTHING if lines and not path.exists() else read(path), context)
    control = ControlLines(index, context, lines)
    found = index.find(arguments.id, arguments.run) or (control.find(arguments.id) if arguments.run is None else None)
    if found is None:
        where = "" if arguments.run is None else f" in run {arguments.run}"
        runs = f"{len(index.starts)} runs, {len(index.records)} records"
        mend = "gateway top shows references, --journal FILE reads another (journal-1.bin is of an earlier build)"
        print_note(f"gateway order: {path} ({runs}) knows no {arguments.id!r}{where}; {mend}")
        return EXIT_CHECK_FAILED
    life = {"id": arguments.id, "journal": str(path), **life_of(index, context, found, control)}
    if arguments.json:
        print_json(life)
    else:
        print_life(life)
    return EXIT_DONE


def sources_of(arguments: argparse.Namespace) -> tuple[Path, list[Path]]:
    """The journal file that the options name, and the folders where control's own record may lie."""
    if arguments.journal:
        path = Path(arguments.journal)
        return path, [path.parent]
    name = arguments.instance or "gateway"
    found = load(arguments.config) if arguments.config else running(name) or load(None, {"instance.name": name})
    memory = folder_of(found.instance.name, Path(found.instance.folder))
    return found.journal_folder / JOURNAL_FILE, [found.state_folder, memory]


def running(name: str) -> Configuration | None:
    """The configuration of an instance whose memory is there."""
    try:
        return Configuration(**json.loads((folder_of(name, FOLDER) / CONFIGURATION_FILE).read_text()))
    except (OSError, ValueError):
        return None


def print_life(life: dict[str, Any]) -> None:
    """For a person: an order after the other, an event a line."""
    if len(life["runs"]) > 1:
        others = " ".join(str(number) for number in life["runs"] if number != life["run"])
        print_note(f"gateway order: this is run {life['run']}; the id stands in others too (--run): {others}")
    for number, order in enumerate(life["orders"]):
        if number:
            print()
        print_order(order)


def print_order(order: dict[str, Any]) -> None:
    """Head, then events."""
    exponent = order["price_exponent"]
    symbol = order["symbol"] or f"instrument {order['instrument']}"
    terms = f"{order['side'] or '?'} {order['quantity']} {symbol} at {price(order['price'], exponent)}"
    average = price(order["average_price"], exponent)
    filled = f", {order['filled']} filled at {average}" if order["filled"] else ""
    print(f"order {order['reference']}   {terms} {order['time_in_force']}   {order['state']}{filled}")
    ids = ("client_order_id", "venue_order_id", "signal", "strategy", "replaces", "replaced_by")
    print("  " + "   ".join(f"{name.replace('_', ' ')} {order[name]}" for name in ids if order[name] is not None))
    record = order["record"]
    known = [f"{name.replace('_', ' ')} {record[name]}" for name in WHO if record[name]]
    print("  " + "   ".join(known))
    print(f"  times {record['utc_state']} against UTC{offset(order['events'][0])}")
    for event in order["events"]:
        words = decided(event, exponent) if event["event"] == "decision" else said(event, exponent)
        print(f"  {event['utc'].replace('T', ' ')[:-1]}   {words}")


def offset(event: dict[str, Any]) -> str:
    """What is known of our clock."""
    if event["utc_offset_ns"] is None:
        return ""
    error = f", the host's own error within {event['utc_error_us']} µs" if event["utc_error_us"] is not None else ""
    return f": our clock minus the host's {event['utc_offset_ns'] / 1000:+.1f} µs, taken out{error}"


def decided(event: dict[str, Any], exponent: int | None) -> str:
    """One decision."""
    outcome = "passed" if event["passed"] else f"REFUSED by {' '.join(event['refused_by'])}"
    market = f"bid {price(event['bid'], exponent)} ask {price(event['ask'], exponent)} position {event['position']}"
    asked = f"{event['intent']} {event['quantity']}" + (f" at {price(event['price'], exponent)}" if event["price"] else "")
    if event["control"]:
        return "   ".join([f"decision: {asked}", *caused(event["control"]), *([market] if event["bid"] else [])])
    stamps = [f"{name} +{ns} ns" for name, ns in event["stamps_ns"].items() if ns]
    return "   ".join([f"decision: {asked}", outcome, market, f"limits {event['limits_version']}", *stamps])


def caused(control: dict[str, Any]) -> list[str]:
    """Why control sent or cancelled by itself, and on what."""
    words = [f"because {control['because']}", f"by {control['by']}"]
    if control["believed"]:
        through = "own touch" if control["through_ppm"] is None else f"{control['through_ppm']} ppm through"
        words += [f"step {control['step']} ({through})", f"prices of the {control['price_source']}"]
        words += [f"position by {control['believed']}", f"open against it {control['open_against']}"]
    return words


def said(event: dict[str, Any], exponent: int | None) -> str:
    """One report."""
    words = [event["report"]]
    words += [f"{event['quantity']}"] if event["quantity"] else []
    words += [f"at {price(event['price'], exponent)}"] if event["price"] else []
    words += [f"{name.replace('_', ' ')} {event[name]}" for name in ("match", "venue_order_id", "reason") if event[name]]
    if event["time_venue_ns"]:
        second, rest_ns = divmod(event["time_venue_ns"], SECOND_NS)
        words += [f"venue {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{rest_ns:09d}"]
    return "   ".join(words)


def price(units: float | None, exponent: int | None) -> str:
    """A price in units of the currency, or as it travelled where nobody says what it counts."""
    if units is None:
        return "?"
    return f"{units * 10.0**exponent:.{-exponent}f}" if exponent is not None and exponent < 0 else f"{units:g}"
