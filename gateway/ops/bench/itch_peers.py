"""The readers of ITCH 5.0 that PyPI has, beside the decoder: itchcpp (C++), itchfeed and meatpy (Python).

They make an object of every message, from the length-prefixed blocks of the exchange's daily files; packets they do not
know. What their objects say is compared with the reference rows, field by field, before they are timed.
Hard rule: nothing of an object is read while the clock runs, so what is shown is the least that they cost.
"""

import importlib
import importlib.util
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from gateway.errors import CapabilityError
from gateway.layout import value
from gateway.ops.bench.itch_reference import STATES
from gateway.ops.bench.itch_stream import Stream, blocks_of
from gateway.ops.bench.suite import Contender, Reading, Result

ITCHCPP, ITCHFEED, MEATPY = "itchcpp", "itchfeed", "meatpy"
PURE_PYTHON = "ITCH_NO_CPP"  # itchfeed hands its work to itchcpp where that is installed, unless this is set

# Column of struct event ← attribute of itchcpp's and itchfeed's objects, by message type; ours are compared in all.
ALL = {"message_type": "message_type", "instrument": "stock_locate", "time_venue_ns": "timestamp"}
_ORDER, _MATCH, _PRICE = {"order_id": "order_reference_number"}, {"other_id": "match_number"}, {"price": "price"}
_TERMS = _ORDER | {"side": "buy_sell_indicator", "quantity": "shares"} | _PRICE
COMPARED = {
    "A": _TERMS | {"other_id": "stock"},
    "F": _TERMS | {"other_id": "stock"},
    "E": _ORDER | {"quantity": "executed_shares"} | _MATCH,
    "C": _ORDER | {"quantity": "executed_shares", "price": "execution_price", "flags": "printable"} | _MATCH,
    "X": _ORDER | {"quantity": "cancelled_shares"},
    "D": _ORDER,
    "U": _ORDER | {"other_id": "new_order_reference_number", "quantity": "shares"} | _PRICE,
    "P": _TERMS | _MATCH,
    "Q": {"quantity": "shares", "price": "cross_price"} | _MATCH,
    "B": _MATCH,
    "R": {"order_id": "stock", "quantity": "round_lot_size"},
    "H": {"order_id": "stock", "quantity": "trading_state"},
    "S": {"quantity": "event_code"},
}
MEATPY_NAMES = {
    "message_type": "type",
    "order_reference_number": "order_ref",
    "buy_sell_indicator": "bsindicator",
    "executed_shares": "shares",
    "match_number": "match",
    "cancelled_shares": "canceled_shares",
    "new_order_reference_number": "new_ref",
    "round_lot_size": "lotsize",
    "trading_state": "state",
    "event_code": "code",
}
LETTERS = {
    "side": {b"B": value("SIDE_BUY"), b"S": value("SIDE_SELL")},
    "flags": {b"Y": value("EVENT_PRICED"), b"N": value("EVENT_PRICED") | value("EVENT_NON_PRINTABLE")},
    "state": {letter.encode(): value(name) for letter, name in STATES.items()},
}


def add_peers(contenders: list[Contender], result: Result, stream: Stream, metric: str, passes: int, sound: str) -> None:
    """Every reader that is installed, as a contender over `stream`; its checksum is `sound` when its objects are right."""
    blocks = blocks_of(stream)
    for name, (make, note) in READERS.items():
        if importlib.util.find_spec("itch" if name == ITCHFEED else name) is None:
            result.skipped[name] = f"not installed: pip install {name}, or 'bypass-gateway[peers]'"
            continue
        try:
            reader = make(blocks)
        except CapabilityError as problem:
            result.skipped[name] = str(problem)
            continue
        contenders.append(_contender(name, note, reader, stream, metric, passes, sound))


def _contender(name: str, note: str, reader: Any, stream: Stream, metric: str, passes: int, sound: str) -> Contender:
    messages = len(stream.events)
    differs = difference(name, reader, stream.events)
    checksum = differs or sound

    def run_round() -> Reading:
        begin = time.thread_time_ns()
        counts = {_exhaust(reader()) for _ in range(passes)}
        spent = time.thread_time_ns() - begin
        return Reading({metric: spent / (passes * messages)}, checksum if counts == {messages} else "count differs")

    return Contender(name, False, run_round, f"{note}; {differs}" if differs else note)


def _exhaust(objects: Iterator[Any]) -> int:
    """How many there were, at the least cost that Python has for it."""
    last = deque(enumerate(objects, 1), maxlen=1)
    return int(last[0][0]) if last else 0


def difference(name: str, reader: Any, events: np.ndarray) -> str:
    """The first field in which an object differs from its row, or nothing."""
    names = MEATPY_NAMES if name == MEATPY else {}
    number = -1
    for number, (found, row) in enumerate(zip(reader(), events.tolist(), strict=False)):
        event = dict(zip(events.dtype.names or (), row, strict=True))
        letter = chr(event["message_type"])
        for column, attribute in (ALL | COMPARED.get(letter, {})).items():
            attribute = names.get(attribute, attribute)
            if (name, letter, attribute) == (MEATPY, "U", "order_ref"):
                attribute = "original_ref"
            given = _as_event(column, attribute, getattr(found, attribute))
            if given != event[column]:
                return f"message {number + 1}, type {letter}: {attribute} is {given}, not {event[column]}"
    return "" if number + 1 == len(events) else f"it ends after {number + 1} of {len(events)} messages"


def _as_event(column: str, attribute: str, given: Any) -> Any:
    """A value as struct event has it: letters are codes, a symbol is its eight letters as they lie in memory."""
    if isinstance(given, int):
        return given
    if column in LETTERS:
        return LETTERS[column].get(given, given)
    if attribute in ("trading_state", "state"):
        return LETTERS["state"].get(given, value("TRADING_UNKNOWN"))
    return int.from_bytes(given, "little")


def _itchcpp(blocks: bytes) -> Any:
    parser = importlib.import_module("itchcpp.parser").MessageParser()
    return lambda: parser.parse_stream(blocks)


def _itchfeed(blocks: bytes) -> Any:
    before = os.environ.get(PURE_PYTHON)
    os.environ[PURE_PYTHON] = "1"
    try:
        module = importlib.import_module("itch.parser")
    finally:
        if before is None:
            del os.environ[PURE_PYTHON]
        else:
            os.environ[PURE_PYTHON] = before
    if importlib.import_module("itch").USING_CPP_BACKEND:
        raise CapabilityError("it was imported before with itchcpp behind it; run the suite in a process of its own")
    parser = module.MessageParser()
    return lambda: parser.parse_stream(blocks)


def _meatpy(blocks: bytes) -> Any:
    reader = importlib.import_module("meatpy.itch50").ITCH50MessageReader()
    file = os.fdopen(os.memfd_create("gateway-bench-itch", os.MFD_CLOEXEC), "wb")  # open as long as it is read
    file.write(blocks)
    file.flush()
    return lambda: reader.read_file(f"/proc/self/fd/{file.fileno()}")


READERS = {
    ITCHCPP: (_itchcpp, "C++ behind Python objects, parse_stream over length-prefixed bytes; no field is read"),
    ITCHFEED: (_itchfeed, "pure Python (ITCH_NO_CPP), parse_stream over length-prefixed bytes; no field is read"),
    MEATPY: (_meatpy, "pure Python, read_file over a file in memory, in pieces of 4 KiB; no field is read"),
}
