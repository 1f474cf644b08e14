"""`gateway demo`: a simulated venue, the appliance, a live view, and a summary that checks itself."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway import kernel_cache
from gateway.cli.output import print_json, print_note, progress, tell_left_overs, waiting
from gateway.cli.termination import leave_in_order
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError
from gateway.instance import Instance
from gateway.ops.demo import STRATEGY, Demo, DemoOptions, appliance_books, appliance_positions, open_references
from gateway.ops.reconciliation import Reconciliation, compare_orders, reconcile
from gateway.ops.screen import Screen
from gateway.ops.summary import summary
from gateway.ops.wiring import KINDS, wire

HELP = "trade against a simulated venue on a software port, with a live view and a checked summary"
FRAMES_PER_SECOND = 4
BOOKS = 8  # shown in the live view
MILLION = 1_000_000
CUTS_MAX = 1_000


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    defaults = DemoOptions()
    kinds = ", ".join(KINDS)
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="how long the venue trades (20)")
    parser.add_argument("--port", default="pair", metavar="KIND[:NAME]", help=f"what joins the two: {kinds} (pair)")
    parser.add_argument("--strategy", type=Path, default=STRATEGY, metavar="FILE", help="strategy file (imbalance taker)")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of the venue's order flow (1)")
    parser.add_argument("--symbols", type=int, default=defaults.symbols, help="instruments (32)")
    parser.add_argument("--rate", type=int, default=defaults.rate, help="market messages per second (20000)")
    parser.add_argument("--faults", default=defaults.faults, metavar="KEY=PPM,…", help="what goes wrong on the lines, ppm")
    parser.add_argument("--loss", type=int, default=0, metavar="PPM", help="packets lost on both lines, ppm: they heal (0)")
    parser.add_argument(
        "--snapshots",
        type=int,
        default=defaults.snapshots,
        metavar="N",
        help="symbols a second on the snapshot channel (100)",
    )
    parser.add_argument(
        "--placement",
        choices=("auto", "together", "apart"),
        default="auto",
        help="io and core in one loop, or in a process each (auto: together below four CPUs)",
    )
    parser.add_argument(
        "--orders",
        choices=("udp", "soupbintcp"),
        default=defaults.orders,
        help="how orders travel: in datagrams of the port, or by a session over TCP on the loopback interface (udp)",
    )
    parser.add_argument("--cut", type=int, default=0, metavar="N", help="cut that session's connection N times (0)")
    parser.add_argument("--keep-orders", action="store_true", help="the venue keeps open orders when it is cut")
    parser.add_argument(
        "--every-control", action="store_true", help="then make every control fire, before and after the trade, and count"
    )
    parser.add_argument("--json", action="store_true", help="the last line of the output is one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo; exit code 1 when the check at the end fails."""
    if not 0 < arguments.seconds <= 86_400:
        raise UsageError("--seconds: use a time above 0, a day at most")
    if not 0 <= arguments.loss <= MILLION:
        raise UsageError("--loss: packets per million, 0 to 1,000,000")
    if arguments.orders == "udp" and (arguments.cut or arguments.keep_orders):
        raise UsageError("--cut and --keep-orders speak of a connection; add --orders soupbintcp")
    if not 0 <= arguments.cut <= CUTS_MAX:
        raise UsageError(f"--cut: 0 to {CUTS_MAX:,} times")
    together = arguments.placement == "together" or (arguments.placement == "auto" and (os.cpu_count() or 1) < 4)
    options = DemoOptions(
        seconds=arguments.seconds,
        seed=arguments.seed,
        symbols=arguments.symbols,
        rate=arguments.rate,
        faults=arguments.faults,
        loss=arguments.loss,
        snapshots=arguments.snapshots,
        strategy=arguments.strategy,
        together=together,
        orders=arguments.orders,
        cut=arguments.cut,
        keep_orders=arguments.keep_orders,
    )
    leave_in_order()
    tell_left_overs()
    with wire(arguments.port) as wiring, tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
        demo = Demo(wiring, options, Path(folder))
        try:
            result, check = trade(demo, view=not arguments.json and sys.stdout.isatty())
        finally:
            demo.close()
    if arguments.every_control:
        drill(result)
    if arguments.json:
        print_json(result)
    else:
        print_summary(result, check)
    return EXIT_DONE if result["ok"] else EXIT_CHECK_FAILED


def drill(result: dict[str, Any]) -> None:
    """Adds what every control counted when it was made to fire; one that did not is a problem of the whole."""
    from gateway.ops.control_drill import fire_every_control, missing

    with waiting("making every control fire"):
        fired = fire_every_control(f"drill-{os.getpid()}")
    result["every_control"] = fired
    result["problems"] += [f"the control {name} did not fire" for name in missing(fired)]
    result["ok"] = result["ok"] and not missing(fired)


def trade(demo: Demo, view: bool) -> tuple[dict[str, Any], Reconciliation]:
    """The demo from start to check."""
    text = "compiling kernels, once" if kernel_cache.is_cold() else "starting the appliance"
    demo.compile_venue()
    with progress(text) as advance:
        for _ in demo.start_appliance():
            advance(0)
    assert demo.instance is not None
    print_note(f"appliance {demo.instance_name} on {demo.wiring.appliance}; gateway top --instance {demo.instance_name}")
    demo.start_venue()
    with live_view(demo.instance, view, demo.options.seconds) as show:
        for _ in demo.flowing():
            show()
    venue = demo.stop_venue()
    demo.take_the_rest()
    whole = summary(demo.instance)
    books, positions = appliance_books(demo.instance), appliance_positions(demo.instance)
    references = open_references(demo.instance)
    demo.stop_appliance()
    check = reconcile(books, positions, whole, venue)
    compare_orders(check, references, whole, venue)
    return report(demo, whole, venue, check), check


@contextmanager
def live_view(instance: Instance, view: bool, seconds: float) -> Iterator[Callable[[], None]]:
    """The live screen on a terminal; elsewhere a progress line every two seconds."""
    began = time.monotonic()
    if not view:
        with progress("trading", seconds) as update:

            def step() -> None:
                update(min(time.monotonic() - began, seconds))
                time.sleep(1 / FRAMES_PER_SECOND)

            yield step
        return
    from rich.live import Live

    screen = Screen(instance, BOOKS)
    with Live(get_renderable=screen.render, screen=True, auto_refresh=False) as live:

        def draw() -> None:
            live.refresh()
            time.sleep(1 / FRAMES_PER_SECOND)

        yield draw


def report(demo: Demo, whole: dict[str, Any], venue: dict[str, Any], check: Reconciliation) -> dict[str, Any]:
    """The summary, in the words of its user."""
    io, core = whole["io"], whole["core"]
    return {
        "ok": check.ok,
        "port": demo.wiring.appliance,
        "seconds": demo.options.seconds,
        "frames_received": io["frames_received"],
        "frames_lost": check.frames_lost,
        "messages_decoded": core["messages"],
        "duplicates": whole["feed_reasons"].get("duplicate", 0),
        "reordered": core["reordered"],
        "feed_reasons": whole["feed_reasons"],
        "gaps": core["gaps"],
        "gap_messages": core["gap_messages"],
        "gap_messages_on_purpose": venue["lost_messages"],
        "venue_messages": venue["feed_messages"],
        "losses_on_both_lines": venue["lost_ranges"],
        "requests": venue["requests_received"],
        "requests_answered": venue["requests_answered"],
        "books_healed": core["healed"],
        "stale_ms": stale_ms(whole["stale_ns"]),
        "orders": demo.options.orders,
        "order_session": whole["order_session"],
        "orders_sent": whole["orders_transmitted"],
        "orders_lost": core["orders_lost"],
        "orders_rejected": whole["decisions"] - whole["accepted"] - whole["cancels"],
        "rejects": whole["rejects"],
        "rejects_by_control": whole["rejects_by_control"],
        "portfolio": whole["portfolio"],
        "max_drawdown": whole["post_trade"]["max_drawdown"],
        "post_trade": whole["post_trade"],
        "venue_orders_received": venue["orders_received"],
        "venue_orders_rejected": venue["orders_rejected"],
        "cancels_sent": whole["cancels_transmitted"],
        "fills": core["fills"],
        "order_errors": check.order_errors,
        "books_compared": check.books_compared,
        "books_wrong": check.books_wrong,
        "books_stale": check.books_stale,
        "position_errors": check.position_errors,
        "unknown_orders": core["unknown_orders"],
        "reconciliations": whole["reconciliation"]["reconciliations"],
        "reconciliation": whole["reconciliation"],
        "kill_latch": whole["kill_latch"],
        "tick_to_order_ns": {name: whole["tick_to_order_ns"][name] for name in ("p50", "p99", "p999", "max", "count")},
        "problems": check.problems,
    }


def stale_ms(stale_ns: dict[str, int]) -> dict[str, float]:
    """How long books that healed had been stale: p50 and longest in milliseconds, and how many times."""
    return {"p50": stale_ns["p50"] / 1e6, "max": stale_ns["max"] / 1e6, "count": stale_ns["count"]}


def print_summary(result: dict[str, Any], check: Reconciliation) -> None:
    """The same for a person."""
    latency, stale = result["tick_to_order_ns"], result["stale_ms"]
    rejects = ", ".join(f"{name} {count:,}" for name, count in result["rejects"].items()) or "none"
    print(f"port       {result['port']}, {result['seconds']:g} s")
    print(f"feed       {result['frames_received']:,} frames, {result['frames_lost']:,} lost on the way")
    print(f"           {result['messages_decoded']:,} messages, {result['duplicates']:,} duplicate packets (line B)")
    print(f"           {result['gaps']:,} gaps of {result['gap_messages']:,} messages, {result['requests']:,} requests")
    if stale["count"]:
        print(
            f"           {result['books_healed']:,} times a book healed, stale for "
            f"p50 {stale['p50']:.1f} ms, max {stale['max']:.1f} ms"
        )
    print(f"orders     {result['orders_sent']:,} sent, {result['fills']:,} fills")
    print(f"           {result['orders_rejected']:,} refused by the gate")
    print(f"           refused for: {rejects}")
    if session := result["order_session"]:
        print(
            f"session    {session['connections']} connections, {session['reports']:,} reports, "
            f"{session['reports_replayed']:,} of them replayed, {session['orders_lost']} orders lost on the way"
        )
    print(f"books      {result['books_compared']} compared with the venue's, {result['books_wrong']} wrong")
    if result["books_stale"]:
        print(f"           {result['books_stale']} stale since a gap: not compared, not traded")
    print(f"orders     {result['order_errors']} differ from the venue's, of those open and filled")
    print(f"positions  {result['position_errors']} differ from the venue's")
    print(
        f"latency    tick to order p50 {latency['p50'] / 1000:.1f} µs, p99 {latency['p99'] / 1000:.1f} µs, "
        f"p99.9 {latency['p999'] / 1000:.1f} µs, max {latency['max'] / 1000:.0f} µs over {latency['count']:,} orders"
    )
    if result["kill_latch"]:
        print(f"kill       the latch was set: {result['kill_latch']}")
    for kind, counts in result.get("every_control", {}).items():
        print(f"controls   {kind}: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    print("check      ok: everything agrees" if result["ok"] else "check      FAILED")
    for problem in result["problems"][:10]:
        print(f"           {problem}")
