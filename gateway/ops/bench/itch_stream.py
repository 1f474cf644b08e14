"""A seeded fragment of an ITCH 5.0 day in MoldUDP64 packets, and the event rows that a right decoder makes of it.

Layouts are typed here a second time on purpose (TotalView-ITCH 5.0, sections 1.3 to 1.6): the reference of a benchmark
must not be made by what it measures. The mix is that of a liquid day: 46 % add, 41 % delete, 6 % replace, 4 % execute.
"""

from dataclasses import dataclass

import numpy as np

from gateway.layout import dtype, value

MOLD_HEADER_BYTES = 20
PACKET_BYTES_MAX = 1400
MESSAGES_PER_PACKET = 12  # mean of a geometric distribution: single updates and bursts
SYMBOLS = 8000
TIME_BASE_NS = 1_700_000_000_000_000_000
START_OF_DAY_NS = 34_200_000_000_000  # 09:30 since midnight

_HEAD = [("type", "u1"), ("locate", ">u2"), ("tracking", ">u2"), ("time_high", ">u2"), ("time_low", ">u4")]
_ADD = [*_HEAD, ("order", ">u8"), ("side", "u1"), ("shares", ">u4"), ("stock", "S8"), ("price", ">u4")]
_EXECUTE = [*_HEAD, ("order", ">u8"), ("shares", ">u4"), ("match", ">u8")]
LAYOUTS = {
    "A": np.dtype(_ADD),
    "F": np.dtype([*_ADD, ("attribution", "S4")]),
    "E": np.dtype(_EXECUTE),
    "C": np.dtype([*_EXECUTE, ("printable", "u1"), ("price", ">u4")]),
    "X": np.dtype([*_HEAD, ("order", ">u8"), ("shares", ">u4")]),
    "D": np.dtype([*_HEAD, ("order", ">u8")]),
    "U": np.dtype([*_HEAD, ("order", ">u8"), ("new_order", ">u8"), ("shares", ">u4"), ("price", ">u4")]),
    "P": np.dtype([*_ADD, ("match", ">u8")]),
    "I": np.dtype([*_HEAD, ("rest", "S39")]),
}
MIX = {"A": 0.46, "D": 0.41, "U": 0.06, "E": 0.04, "X": 0.015, "F": 0.007, "C": 0.003, "P": 0.004, "I": 0.001}
KINDS = {
    "A": "EVENT_ADD",
    "F": "EVENT_ADD",
    "E": "EVENT_EXECUTE",
    "C": "EVENT_EXECUTE",
    "X": "EVENT_REDUCE",
    "D": "EVENT_DELETE",
    "U": "EVENT_REPLACE",
    "P": "EVENT_TRADE",
    "I": "EVENT_INFORMATION",
}


@dataclass(frozen=True)
class Stream:
    """Packets back to back in `data`; packet i is data[offsets[i] : offsets[i] + sizes[i]]."""

    data: np.ndarray
    offsets: np.ndarray  # int64
    sizes: np.ndarray  # int64
    events: np.ndarray  # struct event, one row per message: what a right decoder writes
    messages_by_type: dict[str, int]


def make_stream(messages: int, seed: int) -> Stream:
    """`messages` messages; the same for the same seed."""
    choose = np.random.default_rng(seed)
    letters = np.array(list(MIX))
    types = letters[choose.choice(len(letters), messages, p=list(MIX.values()))]
    lengths = np.array([LAYOUTS[letter].itemsize for letter in letters])[_index_of(letters, types)]
    packet_first = _packets(lengths, choose)
    packet_of = np.searchsorted(packet_first, np.arange(messages), side="right") - 1

    blocks = lengths + 2
    begin = np.cumsum(blocks) - blocks + MOLD_HEADER_BYTES * (packet_of + 1)
    data = np.zeros(int(blocks.sum()) + MOLD_HEADER_BYTES * len(packet_first), np.uint8)
    offsets = begin[packet_first] - MOLD_HEADER_BYTES
    sizes = np.diff(np.append(offsets, len(data)))
    _write_headers(data, offsets, packet_first, messages)
    data[begin], data[begin + 1] = lengths >> 8, lengths & 0xFF

    events = np.zeros(messages, dtype("event"))
    events["sequence"] = np.arange(1, messages + 1)
    events["time_receive_ns"] = TIME_BASE_NS + packet_of
    events["time_venue_ns"] = START_OF_DAY_NS + np.cumsum(choose.integers(0, 5000, messages))
    events["instrument"] = choose.integers(1, SYMBOLS + 1, messages)
    for letter in letters:
        chosen = np.flatnonzero(types == letter)
        rows = _write_type(str(letter), chosen, events, choose)
        _scatter(data, begin[chosen] + 2, rows)
    counts = {str(letter): int((types == letter).sum()) for letter in letters}
    return Stream(data, offsets.astype(np.int64), sizes.astype(np.int64), events, counts)


def _index_of(letters: np.ndarray, types: np.ndarray) -> np.ndarray:
    order = np.argsort(letters)
    return order[np.searchsorted(letters[order], types)]


def _packets(lengths: np.ndarray, choose: np.random.Generator) -> np.ndarray:
    """Index of the first message of each packet."""
    ends = np.cumsum(lengths + 2)
    wanted = choose.geometric(1 / MESSAGES_PER_PACKET, len(lengths))
    room = PACKET_BYTES_MAX - MOLD_HEADER_BYTES
    fits = np.searchsorted(ends, np.concatenate(([0], ends[:-1])) + room, side="right")
    first = [0]
    while first[-1] < len(lengths):
        here = first[-1]
        first.append(min(here + int(wanted[here]), int(fits[here])))
    return np.array(first[:-1])


def _write_headers(data: np.ndarray, offsets: np.ndarray, packet_first: np.ndarray, messages: int) -> None:
    """MoldUDP64 downstream header: session, sequence number of the first message, message count."""
    headers = np.zeros(len(offsets), np.dtype([("session", "S10"), ("sequence", ">u8"), ("count", ">u2")]))
    headers["session"] = b"BENCH00001"
    headers["sequence"] = packet_first + 1
    headers["count"] = np.diff(np.append(packet_first, messages))
    _scatter(data, offsets, headers)


def _write_type(letter: str, chosen: np.ndarray, events: np.ndarray, choose: np.random.Generator) -> np.ndarray:
    """The wire rows of one message type; fills the events that go with them."""
    rows = np.zeros(len(chosen), LAYOUTS[letter])
    out = {name: np.zeros(len(chosen), events.dtype[name]) for name in ("order_id", "other_id", "price", "quantity")}
    _write_head(letter, rows, events[chosen], choose)
    names = rows.dtype.names or ()
    if "order" in names:
        rows["order"] = out["order_id"] = choose.integers(1, 500_000_000, len(chosen))
    if "shares" in names:
        rows["shares"] = out["quantity"] = 100 * choose.geometric(0.3, len(chosen))
    if "price" in names:
        rows["price"] = out["price"] = choose.integers(10_000, 10_000_000, len(chosen))
    if "stock" in names:
        rows["stock"] = np.char.ljust(np.char.add("S", events["instrument"][chosen].astype(str)), 8).astype("S8")
        out["other_id"] = rows["stock"].copy().view("<u8")
    for name in ("match", "new_order"):
        if name in names:
            rows[name] = out["other_id"] = choose.integers(1, 1 << 60, len(chosen))
    if "side" in names:
        buys = choose.random(len(chosen)) < 0.5
        rows["side"] = np.where(buys, ord("B"), ord("S"))
        events["side"][chosen] = np.where(buys, value("SIDE_BUY"), value("SIDE_SELL"))
    if "printable" in names:
        printed = choose.random(len(chosen)) < 0.8
        rows["printable"] = np.where(printed, ord("Y"), ord("N"))
        events["flags"][chosen] = value("EVENT_PRICED") + np.where(printed, 0, value("EVENT_NON_PRINTABLE"))
    for name, column in out.items():
        events[name][chosen] = column
    events["kind"][chosen] = value(KINDS[letter])
    events["message_type"][chosen] = ord(letter)
    return rows


def _write_head(letter: str, rows: np.ndarray, events: np.ndarray, choose: np.random.Generator) -> None:
    rows["type"] = ord(letter)
    rows["locate"] = events["instrument"]
    rows["tracking"] = choose.integers(0, 1 << 16, len(rows))
    rows["time_high"] = events["time_venue_ns"] >> 32
    rows["time_low"] = events["time_venue_ns"] & 0xFFFFFFFF


def _scatter(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> None:
    """Copies packed rows to their places, a slice at a time."""
    width = rows.dtype.itemsize
    raw = rows.view(np.uint8).reshape(len(rows), width)
    for begin in range(0, len(rows), 1 << 16):
        places = offsets[begin : begin + (1 << 16), None] + np.arange(width)
        data[places] = raw[begin : begin + (1 << 16)]
