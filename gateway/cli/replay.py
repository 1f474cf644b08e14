"""`gateway replay FILE`: a recording through the whole corridor, and what came of it."""

import argparse
import os
from pathlib import Path
from typing import Any

from gateway import kernel_cache
from gateway.cli.decode import add_feed_options
from gateway.cli.output import print_json, progress, waiting
from gateway.config import Configuration, load
from gateway.errors import EXIT_DONE
from gateway.ops.replay import Replay
from gateway.ops.summary import summary
from gateway.venues.definition_file import is_file

HELP = "send a recording through the whole corridor and summarise frames, gaps, books and orders"
SEQUENCE_REASONS = ("duplicate", "late")
BOOK_REASONS = (
    "order_unknown",
    "order_duplicate",
    "quantity_excess",
    "orders_full",
    "levels_full",
    "instrument_mismatch",
)
NOT_MALFORMED = ("not_ours", *SEQUENCE_REASONS, *BOOK_REASONS)


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_recording_options(parser)
    parser.add_argument("--out", metavar="FILE", help="write the order frames to this pcapng file")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """What `replay` and `book` have in common."""
    parser.add_argument("file", type=Path, metavar="FILE", help="pcap, pcapng, or a file of length-prefixed messages")
    add_feed_options(parser)
    parser.add_argument("--config", metavar="CONFIG", help="configuration with strategy and limits; without: no strategy")
    parser.add_argument("--strategy", metavar="FILE", help="instead of strategy.file of the configuration")


def configuration_of(arguments: argparse.Namespace) -> Configuration:
    """The configuration of a replay: any destination is the feed, its own instance, no state on disk."""
    lines_written = arguments.config is not None
    from_file = is_file(arguments.feed)
    overrides: dict[str, Any] = {
        "instance.name": f"replay-{os.getpid()}",
        "feed.name": None if from_file else arguments.feed,
        "feed.definition": str(Path(arguments.feed).resolve()) if from_file else None,
        "feed.schema_file": str(arguments.schema) if arguments.schema else None,
        "feed.any_destination": None if lines_written else True,
        "feed.unsequenced": True,
        "strategy.file": arguments.strategy,
    }
    configuration = load(arguments.config, overrides)
    if configuration.strategy.file:
        configuration.require_limits()
    return configuration


def run(arguments: argparse.Namespace) -> int:
    """Replays and prints; exit code 0 also when the recording holds faults: they are counted."""
    with open_replay(arguments) as replay:
        with progress(f"replaying {arguments.file.name}") as update:
            replay.run(lambda frames: update(frames, f"replaying {arguments.file.name}: {frames:,} frames"))
        result = report(replay)
    if arguments.json:
        print_json(result)
    else:
        print_report(result)
    return EXIT_DONE


def open_replay(arguments: argparse.Namespace, burst: int | None = None) -> Replay:
    """The replay, its kernels compiled."""
    out = getattr(arguments, "out", None)
    options: dict[str, Any] = {"out": out} if burst is None else {"out": out, "burst": burst}
    if not kernel_cache.is_cold():
        return Replay(arguments.file, configuration_of(arguments), **options)
    with waiting("compiling kernels, once"):
        return Replay(arguments.file, configuration_of(arguments), **options)


def report(replay: Replay) -> dict[str, Any]:
    """The summary of a replay, in the words of its user."""
    whole = summary(replay.instance)
    io, core = whole["io"], whole["core"]
    reasons = whole["feed_reasons"]
    return {
        "frames": io["frames_received"],
        "frames_per_second": round(io["frames_received"] / replay.seconds),
        "packets": core["packets"],
        "heartbeats": core["heartbeats"],
        "messages": core["messages"],
        "messages_by_type": message_names(whole["messages"], replay.type_names),
        "sequence_gaps": core["gaps"],
        "messages_lost": core["gap_messages"],
        "duplicates": reasons.get("duplicate", 0),
        "late": reasons.get("late", 0),
        "not_ours": reasons.get("not_ours", 0),
        "malformed": {name: count for name, count in reasons.items() if name not in NOT_MALFORMED},
        "book_contradictions": {name: reasons[name] for name in BOOK_REASONS if name in reasons},
        "truncated": io["drop_truncated"],
        "oversized": io["drop_oversized"],
        "capture_errors": io["receive_errors"],
        "books": len(replay.books(0)),
        "books_crossed": core["crossed"],
        "live_orders": core["live_orders"],
        "orders": core["orders_sent"],
        "cancels": core["cancels_sent"],
        "decisions": whole["decisions"],
        "rejects": whole["rejects"],
        "strategy_faults": core["strategy_faults"],
        "channels": replay.channels(),
    }


def message_names(counts: dict[str, int], names: dict[int, str]) -> dict[str, int]:
    """Counts by the names of a schema's templates; a feed of lettered types keeps its letters."""
    return {names.get(ord(key), key): count for key, count in counts.items()} if names else counts


def print_report(result: dict[str, Any]) -> None:
    """One line a fact, for a person."""
    for name, value in result.items():
        if name == "channels":
            print_channels(value)
            continue
        text = ", ".join(f"{key} {count:,}" for key, count in value.items()) if isinstance(value, dict) else f"{value:,}"
        print(f"{name.replace('_', ' '):20} {text or 'none'}")


def print_channels(channels: list[dict[str, Any]]) -> None:
    """One line a channel that has more than its summary to tell."""
    for channel in channels:
        lines = "; ".join(
            f"{name} {line['destination']}: first {line['first']:,}, second {line['second']:,}, missed {line['missed']:,}"
            for name, line in channel["lines"].items()
        )
        gaps = f"gaps {channel['gaps']:,}, lost {channel['lost_messages']:,}, books stale {channel['books_stale']:,}"
        print(f"channel {channel['channel']} ({channel['role']})  {lines}; {gaps}")
