"""`gateway book FILE`: the books that a recording leaves behind, or on the way."""

import argparse
from typing import Any

from gateway.cli.output import print_json, progress
from gateway.cli.replay import add_recording_options, open_replay
from gateway.core.decimals import text_of
from gateway.errors import EXIT_DONE
from gateway.ops.replay import Replay

HELP = "print the order books at the end of a recording, or every N messages"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_recording_options(parser)
    parser.add_argument("--levels", type=positive, default=10, metavar="N", help="price levels a side (default: 10)")
    parser.add_argument("--every", type=positive, metavar="N", help="also after every N messages, at the end of the frame")
    parser.add_argument("--symbol", help="only this instrument: its symbol, or the number the venue gives it")
    parser.add_argument("--json", action="store_true", help="JSON: one object, or one a line with --every")


def positive(text: str) -> int:
    """A whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Replays and prints the books; prices are exact decimals."""
    with open_replay(arguments, burst=1 if arguments.every else None) as replay:
        if arguments.every:
            print_on_the_way(replay, arguments)
        else:
            with progress(f"replaying {arguments.file.name}") as update:
                replay.run(lambda frames: update(frames, f"replaying {arguments.file.name}: {frames:,} frames"))
        show(replay, arguments)
    return EXIT_DONE


def print_on_the_way(replay: Replay, arguments: argparse.Namespace) -> None:
    """Prints at the end of each frame that completes another N messages."""
    next_at = arguments.every
    for messages in replay.steps():
        if messages >= next_at:
            show(replay, arguments)
            next_at = messages - messages % arguments.every + arguments.every


def show(replay: Replay, arguments: argparse.Namespace) -> None:
    """The books as they are now."""
    messages = int(replay.instance.counters[0]["core"]["messages"])
    books = [
        book
        for book in replay.books(arguments.levels)
        if arguments.symbol in (None, book["symbol"], str(book["instrument"]))
    ]
    for book in books:
        for side in ("bids", "asks"):
            book[side] = [[price_text(book, row[0]), quantity_of(book, row[1]), row[2]] for row in book[side]]
        del book["price_exponent"], book["quantity_exponent"]
    if arguments.json:
        print_json({"messages": messages, "instruments": books})
    else:
        print_text(messages, books)


def price_text(book: dict[str, Any], price: int) -> str:
    """A price as exact decimal text."""
    return text_of(price, book["price_exponent"])


def quantity_of(book: dict[str, Any], quantity: int) -> int | str:
    """A quantity: a whole number where the feed counts whole ones, else exact decimal text."""
    return text_of(quantity, book["quantity_exponent"]) if book["quantity_exponent"] else quantity


def print_text(messages: int, books: list[dict[str, Any]]) -> None:
    """Two columns a book, best level first."""
    print(f"after {messages:,} messages: {len(books)} books")
    for book in books:
        layer = f"  layer {book['layer']}" if book.get("layer") else ""
        print(f"\n{book['symbol'] or book['instrument']}{layer}  {' '.join(book['flags'])}")
        for index in range(max(len(book["bids"]), len(book["asks"]))):
            bid = book["bids"][index] if index < len(book["bids"]) else ("", "", "")
            ask = book["asks"][index] if index < len(book["asks"]) else ("", "", "")
            print(f"{bid[2]:>6} {bid[1]:>10} {bid[0]:>14} │ {ask[0]:<14} {ask[1]:<10} {ask[2]:<6}")
