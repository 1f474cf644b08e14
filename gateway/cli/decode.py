"""`gateway decode FILE --feed NAME`: every message of a recording as one JSON object a line.

    {"frame": 1, "sequence": 14764496, "message": "Order Delete", "stock_locate": 2737, …}
    {"frame": 3, "sequence": 5616, "channel": "224.0.32.64:15340", "message": …, "template": 32, …}

`frame` counts the frames of the file from 1. Prices are exact decimal text ("87.3900"), never floating point; text has
lost its padding. Names of fields are the schema's own. Hard rule: stdout carries messages only; what was passed over is
counted by reason on stderr.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from gateway.cli.decoded_feed import Feed
from gateway.cli.decoded_nasdaq import Itch50, Ouch50
from gateway.cli.output import print_note, progress
from gateway.errors import EXIT_DONE, GatewayError
from gateway.ops.replay import port_of
from gateway.ops.session_lines import session_lines
from gateway.port import Port, open_port

HELP = "print every message of a recording as JSON Lines"
HAND_WRITTEN: dict[str, type[Feed]] = {"itch50": Itch50, "ouch50": Ouch50}


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="pcap, pcapng, or a file of length-prefixed messages")
    add_feed_options(parser)
    parser.add_argument("--json", action="store_true", help="accepted everywhere data is printed; here it is the only form")


def add_feed_options(parser: argparse.ArgumentParser) -> None:
    """What every verb that reads a recording is told of its feed."""
    words = {"metavar": "NAME|FILE.toml", "help": "feed of the recording, or the file that defines it"}
    parser.add_argument("--feed", required=True, type=feed_name, **words)
    parser.add_argument("--schema", type=Path, metavar="XML", help="the venue's SBE schema, for feeds that have one")


def feed_name(text: str) -> str:
    """A shipped feed's name, or the path of a definition."""
    from gateway.venues.definition_file import is_file, shipped, suggest
    from gateway.venues.websocket import VENUES

    known = sorted({*HAND_WRITTEN, *shipped(), *VENUES})
    if is_file(text) or text in known:
        return text
    raise argparse.ArgumentTypeError(f"no feed {text!r}; {suggest(text, known)}, or give the path of a .toml file")


def feed_of(arguments: argparse.Namespace) -> Feed:
    """The feed that --feed and --schema name."""
    if arguments.feed in HAND_WRITTEN:
        return HAND_WRITTEN[arguments.feed]()
    from gateway.cli.decoded_sbe import open_feed

    return open_feed(arguments.feed, arguments.schema)


def run(arguments: argparse.Namespace) -> int:
    """Decodes the file; exit code 5 when the file is not readable to its end, after printing what could be read."""
    from gateway.venues.websocket import VENUES

    if arguments.feed in VENUES:
        return print_session(arguments.file)
    feed = feed_of(arguments)
    with open_port(port_of(arguments.file)) as port:
        frames = print_messages(port, feed, arguments.file.name)
        damaged = port.statistics()["receive_errors"]
    feed.finish()
    text = summary(frames, feed)
    if damaged:
        raise GatewayError(f"{arguments.file}: damaged behind frame {frames}, the rest cannot be read ({text})")
    print_note(f"gateway decode: {text}")
    return EXIT_DONE


def print_session(path: Path) -> int:
    """Prints each message of a recorded WebSocket session, its body as the venue wrote it."""
    number = 0
    with progress(f"decoding {path.name}, messages") as update:
        for number, line in enumerate(session_lines(path), start=1):
            sys.stdout.write(line + "\n")
            update(number)
    print_note(f"gateway decode: {number:,} messages")
    return EXIT_DONE


def print_messages(port: Port, feed: Feed, name: str) -> int:
    """Prints every message; returns the frames read."""
    number = 0
    with progress(f"decoding {name}, frames") as update:
        while (burst := port.receive()) is not None:
            lines = []
            for frame in burst:
                number += 1
                for sequence, message in feed.decode_frame(frame):
                    lines.append(json_line({"frame": number, "sequence": sequence, **message}))
            sys.stdout.write("".join(lines))
            update(number)
    return number


TO_JSON = json.JSONEncoder(allow_nan=False).encode


def json_line(message: dict[str, Any]) -> str:
    """One message and a line end; a number that is none (NaN, infinity) has no JSON but null."""
    try:
        return TO_JSON(message) + "\n"
    except ValueError:
        return TO_JSON(_finite(message)) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary(frames: int, feed: Feed) -> str:
    """One line: how much was decoded, and what was passed over, by reason."""
    passed_over = ", ".join(f"{reason} {count:,}" for reason, count in sorted(feed.passed_over.items()))
    return f"{frames:,} frames, {feed.messages:,} messages" + (f"; passed over: {passed_over}" if passed_over else "")
