"""`gateway nic list|which|bind|unbind`: network cards, the DPDK drivers that drive them, and handing them over."""

import argparse
from pathlib import Path

from gateway.cli.output import print_json, print_note, print_table
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError
from gateway.ops.cards import USER_DRIVERS, Card, Cards
from gateway.ops.host import Host
from gateway.ops.pmd import drivers_of, installed, parse_identifier

HELP = "list network cards, say which DPDK driver drives one, hand one to DPDK and back"
STATE = Path("/var/lib/gateway")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    parser.add_argument("action", choices=("list", "which", "bind", "unbind"), help="what to do")
    parser.add_argument("card", nargs="?", default="", metavar="CARD", help="PCI address; for which: VENDOR:DEVICE")
    parser.add_argument("--driver", default="vfio-pci", choices=USER_DRIVERS, help="bind: driver (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="bind: take the card although it is in use")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Does the action; exit code 1 when `which` finds no driver."""
    if arguments.action == "list":
        return show_cards(Cards(Host(), STATE).list(), arguments.json)
    if not arguments.card:
        wanted = "VENDOR:DEVICE" if arguments.action == "which" else "a PCI address"
        raise UsageError(f"gateway nic {arguments.action} needs {wanted}; gateway nic list shows the cards")
    if arguments.action == "which":
        return show_drivers(arguments.card, arguments.json)
    cards = Cards(Host(), STATE)
    if arguments.action == "bind":
        card = cards.bind(arguments.card, arguments.driver, arguments.force)
    else:
        before = cards.find(arguments.card).driver
        card = cards.unbind(arguments.card)
        if card.driver == before:
            print_note(f"gateway nic: {card.pci} was not handed to DPDK: it stays with {before or 'no driver'}")
    return show_cards([card], arguments.json)


def show_cards(cards: list[Card], as_json: bool) -> int:
    """Prints cards, one a row."""
    if as_json:
        print_json([card.row() for card in cards], indent=2)
        return EXIT_DONE
    rows = []
    for card in cards:
        names, drivers = ", ".join(card.interfaces), ", ".join(card.poll_mode_drivers) or "none installed"
        rows.append((card.pci, card.identifier, card.driver or "-", names or "-", card.link, card.node, drivers))
    print_table(("PCI address", "identifier", "bound to", "interfaces", "link", "node", "DPDK driver"), rows)
    for card in cards:
        for text in card.used:
            print(f"{card.pci} is in use: {text}")
    return EXIT_DONE


def show_drivers(text: str, as_json: bool) -> int:
    """Prints the installed drivers of VENDOR:DEVICE."""
    try:
        vendor, device = parse_identifier(text)
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    found = drivers_of(vendor, device)
    if as_json:
        rows = [{"name": driver.name, "file": driver.file, "kernel_modules": driver.kernel_modules} for driver in found]
        print_json({"identifier": text.lower(), "drivers": rows}, indent=2)
    elif not found:
        hint = "" if installed() else "; no DPDK drivers are installed at all: apt-get install dpdk"
        print(f"{text.lower()}: none installed{hint}")
    else:
        cells = [(driver.name, driver.kernel_modules or "-", driver.file) for driver in found]
        print_table(("driver", "bind the card to", "file"), cells)
    return EXIT_DONE if found else EXIT_CHECK_FAILED
