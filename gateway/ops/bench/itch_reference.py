"""Event rows of ITCH 5.0 packets, read by numpy from layouts typed here: what every decoder must come to.

Layouts stand here a second time on purpose (TotalView-ITCH 5.0, sections 1.1 to 1.8). All packets are walked side by side,
then all messages of a type are read at once; it serves synthetic and recorded packets alike, as long as they are whole.
Hard rule: the reference of a benchmark must not be made by what it measures; nothing comes from protocols/ or the day.
"""

import numpy as np

from gateway.layout import dtype, value

MOLD_HEADER_BYTES = 20
MOLD_HEADER = np.dtype([("session", "S10"), ("sequence", ">u8"), ("count", ">u2")])
TICK = 100  # an ITCH directory says nothing of ticks; events carry one cent

_HEAD = "type:u1 locate:>u2 tracking:>u2 time_high:>u2 time_low:>u4"
_ADD = f"{_HEAD} order:>u8 side:u1 shares:>u4 stock:<u8 price:>u4"
_EXECUTE = f"{_HEAD} order:>u8 shares:>u4 match:>u8"


def _layout(text: str) -> np.dtype:
    return np.dtype([tuple(field.split(":")) for field in text.split()])


LAYOUTS = {
    "A": _layout(_ADD),
    "F": _layout(f"{_ADD} attribution:S4"),
    "E": _layout(_EXECUTE),
    "C": _layout(f"{_EXECUTE} printable:u1 price:>u4"),
    "X": _layout(f"{_HEAD} order:>u8 shares:>u4"),
    "D": _layout(f"{_HEAD} order:>u8"),
    "U": _layout(f"{_HEAD} order:>u8 new:>u8 shares:>u4 price:>u4"),
    "P": _layout(f"{_ADD} match:>u8"),
    "Q": _layout(f"{_HEAD} shares:>u8 stock:<u8 price:>u4 match:>u8 cross:u1"),
    "B": _layout(f"{_HEAD} match:>u8"),
    "S": _layout(f"{_HEAD} code:u1"),
    "R": _layout(f"{_HEAD} stock:<u8 category:S2 lot:>u4 rest:S14"),
    "H": _layout(f"{_HEAD} stock:<u8 state:u1 reason:S5"),
}
LAYOUTS |= {
    letter: _layout(f"{_HEAD} rest:S{size - 11}")
    for letter, size in zip("YNLVJWKhIO", (20, 20, 26, 35, 35, 12, 28, 21, 50, 48), strict=True)
}
KINDS = dict.fromkeys(LAYOUTS, "EVENT_INFORMATION")
KINDS |= {"A": "EVENT_ADD", "F": "EVENT_ADD", "E": "EVENT_EXECUTE", "C": "EVENT_EXECUTE", "X": "EVENT_REDUCE"}
KINDS |= {"D": "EVENT_DELETE", "U": "EVENT_REPLACE", "P": "EVENT_TRADE", "Q": "EVENT_TRADE"}
KINDS |= {"S": "EVENT_SYSTEM", "R": "EVENT_INSTRUMENT", "H": "EVENT_STATUS"}
# event column ← field of the layout; a later one wins: the match of a trade stands where the stock of an add does
COLUMNS = {"order_id": ("order",), "other_id": ("stock", "new", "match"), "price": ("price",), "quantity": ("shares",)}
COLUMNS_OF_STATE = {"order_id": ("stock",), "other_id": (), "price": (), "quantity": ("lot", "state")}
SIDES = {ord("B"): value("SIDE_BUY"), ord("S"): value("SIDE_SELL")}
STATES = {"T": "TRADING_OPEN", "H": "TRADING_HALTED", "P": "TRADING_PAUSED", "Q": "TRADING_QUOTE_ONLY"}


def reference_events(data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, time_base_ns: int) -> np.ndarray:
    """One row of struct event for each message; packet i was received at `time_base_ns` + i.

    Raises ValueError when the packets are not whole: the reference is for sound streams only.
    """
    headers = _gather(data, offsets, MOLD_HEADER)
    starts, packets, numbers = _walk(data, offsets, sizes, headers["count"].astype(np.int64))
    events = np.zeros(len(starts), dtype("event"))
    events["sequence"] = headers["sequence"][packets] + numbers.astype(np.uint64)
    events["time_receive_ns"] = time_base_ns + packets
    events["message_type"] = data[starts]
    lengths = data[starts - 2].astype(np.int64) << 8 | data[starts - 1]
    for letter, layout in LAYOUTS.items():
        chosen = np.flatnonzero(events["message_type"] == ord(letter))
        if (lengths[chosen] != layout.itemsize).any():
            raise ValueError(f"a message {letter} is not of {layout.itemsize} bytes")
        if len(chosen):
            events[chosen] = _rows(letter, _gather(data, starts[chosen], layout), events[chosen])
    if (events["kind"] == 0).any():
        raise ValueError("a message of a type that TotalView-ITCH 5.0 has not")
    return events


def _walk(
    data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each message starts, its packet, and its number in the packet; a step takes one message of every packet."""
    first = np.cumsum(counts) - counts
    starts, packets, numbers = (np.zeros(int(counts.sum()), np.int64) for _ in range(3))
    at = offsets + MOLD_HEADER_BYTES
    for number in range(int(counts.max(initial=0))):
        active = np.flatnonzero(counts > number)
        begin, place = at[active], first[active] + number
        if (begin + 2 > offsets[active] + sizes[active]).any():
            raise ValueError("a packet ends before its last message")
        starts[place], packets[place], numbers[place] = begin + 2, active, number
        at[active] = begin + 2 + (data[begin].astype(np.int64) << 8 | data[begin + 1])
    if (at != offsets + sizes).any():
        raise ValueError("a packet's blocks do not end where it ends")
    return starts, packets, numbers


def _rows(letter: str, wire: np.ndarray, events: np.ndarray) -> np.ndarray:
    """The rows of one type."""
    names = wire.dtype.names or ()
    events["kind"] = value(KINDS[letter])
    events["instrument"] = wire["locate"]
    events["time_venue_ns"] = wire["time_high"].astype(np.int64) << 32 | wire["time_low"]
    for column, fields in (COLUMNS_OF_STATE if letter in "RH" else COLUMNS).items():
        for name in fields:
            if name in names:
                events[column] = wire[name]
    if "side" in names:
        events["side"] = np.select([wire["side"] == side for side in SIDES], list(SIDES.values()))
    if letter == "C":
        events["flags"] = value("EVENT_PRICED") + (wire["printable"] == ord("N")) * value("EVENT_NON_PRINTABLE")
    if letter == "H":
        known = [wire["state"] == ord(state) for state in STATES]
        events["quantity"] = np.select(known, [value(name) for name in STATES.values()], value("TRADING_UNKNOWN"))
    if letter == "R":
        events["price"] = TICK
    if letter == "S":
        events["quantity"] = wire["code"]
    return events


def _gather(data: np.ndarray, starts: np.ndarray, layout: np.dtype) -> np.ndarray:
    """The bytes at each place as rows, a slice at a time."""
    rows = np.zeros(len(starts), layout)
    raw = rows.view(np.uint8).reshape(len(starts), layout.itemsize)
    for begin in range(0, len(starts), 1 << 16):
        raw[begin : begin + (1 << 16)] = data[starts[begin : begin + (1 << 16), None] + np.arange(layout.itemsize)]
    return rows
