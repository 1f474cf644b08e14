"""`gateway venue`: runs the simulated venue on the other end of any port."""

import argparse
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.output import print_json, print_note, waiting
from gateway.cli.termination import leave_in_order
from gateway.errors import EXIT_DONE, UsageError
from gateway.sections import host_and_port

if TYPE_CHECKING:
    from gateway.venues.simulator.order_settings import OrderSettings

HELP = "run a simulated venue: seeded market, ITCH 5.0 on two lines, re-requests, snapshots, OUCH 5.0 in"
LEFT_OUT = ("instruments", "lost", "open_orders", "arrivals")  # long; the report file has them


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    parser.add_argument("--port", required=True, metavar="KIND:…", help="where frames leave, for example pair:demo,side=b")
    parser.add_argument("--instance", default="venue", metavar="NAME", help="name of its shared folder (venue)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="everything random follows from it (1)")
    parser.add_argument("--symbols", type=int, default=32, metavar="N", help="1 to 4096 (32)")
    parser.add_argument("--rate", type=int, default=20_000, metavar="N", help="messages per second; 0: all it can (20000)")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="N", help="trade so long; 0: until stopped (0)")
    parser.add_argument("--wait", type=float, default=0.0, metavar="N", help="seconds of heartbeats before the start (0)")
    parser.add_argument("--grace", type=float, default=1.0, metavar="N", help="seconds from the close to the end (1)")
    parser.add_argument("--faults", default="", metavar="KEY=PPM,…", help="drop=500,reorder_a=200,drop_both=20,reject=100 …")
    parser.add_argument(
        "--store", type=int, default=1 << 20, metavar="N", help="last messages that can be had again (1048576)"
    )
    parser.add_argument("--requests", type=int, default=1_000, metavar="N", help="re-requests answered per second (1000)")
    parser.add_argument("--snapshots", type=int, default=0, metavar="N", help="symbols a second on the snapshot channel (0)")
    parser.add_argument("--idle", choices=("spin", "yield", "sleep"), default="sleep", help="when there is nothing to do")
    parser.add_argument("--cpu", type=int, default=-1, metavar="N", help="pin to this CPU")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the venue's account as JSON at the end")
    parser.add_argument(
        "--orders",
        metavar="ADDRESS:PORT",
        help="take orders by SoupBinTCP here not in datagrams",
    )
    parser.add_argument("--drop-copy", metavar="ADDRESS:PORT", help="repeat the same reports here, read-only")
    parser.add_argument("--username", default="GWSIM", metavar="NAME", help="who may log in (GWSIM)")
    parser.add_argument("--password", default="simulated", metavar="WORD", help="with which password (simulated)")
    parser.add_argument("--keep-orders", action="store_true", help="do not cancel open orders when a connection is lost")
    parser.add_argument("--session-faults", default="", metavar="KEY=N,…", help="cut=3,duplicate=1,busy=2,delay_ms=20 …")
    parser.add_argument("--json", action="store_true", help="print the account, without books, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Runs the venue until it is stopped; writes and prints its account."""
    from gateway.venues.simulator.settings import FaultPlan, Settings

    settings = Settings(
        seed=arguments.seed,
        symbols=arguments.symbols,
        rate=arguments.rate,
        seconds=arguments.seconds,
        wait_seconds=arguments.wait,
        grace_seconds=arguments.grace,
        faults=FaultPlan.parse(arguments.faults),
        store_messages=arguments.store,
        request_rate=arguments.requests,
        snapshot_rate=arguments.snapshots,
        orders=_order_settings(arguments),
    )
    if arguments.report is not None and not arguments.report.resolve().parent.is_dir():
        raise UsageError(f"--report: there is no folder {arguments.report.resolve().parent}")
    leave_in_order()  # until the loop takes the signals over
    with waiting("preparing the venue's kernels"):
        from gateway.venues.simulator.process import VenueProcess

        process = VenueProcess(arguments.instance, arguments.port, settings, arguments.idle, arguments.cpu)
    try:
        print_note(f"venue {arguments.instance} on {arguments.port}: {settings.symbols} symbols, seed {settings.seed}")
        process.run()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it is leaving; the account must get out whole
        account = process.report()
    finally:
        process.close()
    if arguments.report is not None:
        arguments.report.write_text(json.dumps(account) + "\n", encoding="utf-8")
    _print(account, arguments.json)
    return EXIT_DONE


def _order_settings(arguments: argparse.Namespace) -> "OrderSettings | None":
    """The order gateway over TCP, where one is asked for."""
    from gateway.venues.simulator.order_settings import OrderSettings, SessionFaults

    faults = SessionFaults.parse(arguments.session_faults)
    if not arguments.orders:
        if arguments.drop_copy:
            raise UsageError("--drop-copy repeats the reports of a session; add --orders ADDRESS:PORT")
        return None
    host, port = _where("--orders", arguments.orders)
    copies = _where("--drop-copy", arguments.drop_copy) if arguments.drop_copy else None
    known = (arguments.username, arguments.password)
    return OrderSettings(host, port, *known, not arguments.keep_orders, drop_copy=copies, faults=faults)


def _where(option: str, text: str) -> tuple[str, int]:
    try:
        return host_and_port(text)
    except ValueError as problem:
        raise UsageError(f"{option}: {problem}") from None


def _print(account: dict[str, Any], as_json: bool) -> None:
    short = {name: value for name, value in account.items() if name not in LEFT_OUT}
    if as_json:
        print_json(short)
        return
    print(f"session   {account['session']}, {account['phase']}, next sequence {account['feed_sequence']:,}")
    print(f"feed      {account['feed_messages']:,} messages in {account['feed_packets']:,} packets on each line")
    print(f"lost      {account['lost_messages']:,} messages on both lines, in {account['lost_ranges']:,} ranges")
    print(
        f"requests  {account['requests_received']:,} received, {account['requests_answered']:,} answered with "
        f"{account['reply_messages']:,} messages, {account['requests_expired']:,} out of store, "
        f"{account['requests_limited']:,} above the rate"
    )
    print(f"snapshots {account['snapshots']:,} of one symbol each, in {account['snapshot_packets']:,} packets")
    print(f"market    {account['matches']:,} trades, {account['resting_orders']:,} orders resting")
    print(
        f"client    {account['orders_received']:,} orders, {account['orders_accepted']:,} accepted, "
        f"{account['orders_rejected']:,} rejected, {account['executions']:,} executions, "
        f"{len(account['open_orders']):,} open"
    )
