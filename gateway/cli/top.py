"""`gateway top`: the live view of a running instance, or one JSON object a look."""

import argparse
import sys
import time
from pathlib import Path

from gateway.cli.output import print_json, print_note
from gateway.errors import EXIT_DONE, UsageError
from gateway.instance import FOLDER, Instance
from gateway.ops.snapshot import rates, take

HELP = "watch a running instance: rates, books, orders, rejects, rings, latency, heartbeats"
INTERVAL_SECONDS_MIN = 0.05


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    parser.add_argument("--instance", default="gateway", metavar="NAME", help="which instance (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where its folder is (default: %(default)s)")
    parser.add_argument("--books", type=int, default=10, metavar="N", help="how many books (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=0.5, metavar="SECONDS", help="between two looks")
    parser.add_argument("--once", action="store_true", help="one look, then leave")
    parser.add_argument("--json", action="store_true", help="print one JSON object a look")


def run(arguments: argparse.Namespace) -> int:
    """Shows the instance until it ends or the user leaves."""
    if arguments.interval < INTERVAL_SECONDS_MIN:
        raise UsageError(f"--interval {arguments.interval}: at least {INTERVAL_SECONDS_MIN} seconds")
    if arguments.books < 0:
        raise UsageError(f"--books {arguments.books}: 0 or more")
    instance = Instance.attach(arguments.instance, arguments.folder, writable=())
    try:
        if arguments.json:
            print_looks(instance, arguments)
        elif arguments.once or not sys.stdout.isatty():
            print_picture(instance, arguments.books)
        else:
            show(instance, arguments)
    except KeyboardInterrupt:
        return EXIT_DONE  # the usual way to leave
    return EXIT_DONE


def print_looks(instance: Instance, arguments: argparse.Namespace) -> None:
    """One JSON object a line; from the second on with rates."""
    now = take(instance, arguments.books)
    print_json(now)
    while not arguments.once and instance.folder.is_dir():
        sys.stdout.flush()
        time.sleep(arguments.interval)
        before, now = now, take(instance, arguments.books)
        print_json({**now, "rates": rates(now, before)})


def print_picture(instance: Instance, books: int) -> None:
    """One picture, with the rates of a fifth of a second."""
    from rich.console import Console

    from gateway.cli.output import WIDTH
    from gateway.ops.screen import draw

    before = take(instance, 0)
    time.sleep(0.2)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(draw(take(instance, books), before))


def show(instance: Instance, arguments: argparse.Namespace) -> None:
    """The live view, until the instance's folder is gone."""
    from rich.live import Live

    from gateway.ops.screen import Screen

    screen = Screen(instance, arguments.books)
    with Live(get_renderable=screen.render, screen=True, auto_refresh=False) as live:
        while instance.folder.is_dir():
            live.refresh()
            time.sleep(arguments.interval)
    print_note(f"instance {instance.name} ended")
