"""The rows of the ITCH kernel ④: for each message type, which bytes of the message are which field of the event.

Made once at start from the table of itch50.py, read by itch50_decode.py. Hard rule: the table is memory whose address the
kernel is given, so that nothing of it is frozen into compiled code.
"""

from dataclasses import dataclass

import numpy as np

from gateway.layout import offsets, value
from gateway.protocols.itch50 import MESSAGES, SNAPSHOT_MESSAGES
from gateway.protocols.message import Message

EVENT = offsets("event")

ADD, EXECUTE, REDUCE = value("EVENT_ADD"), value("EVENT_EXECUTE"), value("EVENT_REDUCE")
DELETE, REPLACE, TRADE = value("EVENT_DELETE"), value("EVENT_REPLACE"), value("EVENT_TRADE")
STATUS, INSTRUMENT, SYSTEM = value("EVENT_STATUS"), value("EVENT_INSTRUMENT"), value("EVENT_SYSTEM")
INFORMATION, PRICED = value("EVENT_INFORMATION"), value("EVENT_PRICED")
BEGIN, END, OF_SNAPSHOT = value("EVENT_SNAPSHOT_BEGIN"), value("EVENT_SNAPSHOT_END"), value("EVENT_OF_SNAPSHOT")

# One row of the table, in bytes. The head, from its low bits up: the length word as it stands on the wire, one bit above it
# for a type that is none, where the side letter is, and what makes a message leave the common path.
ROW_BYTES = 256
ROW_HEAD, ROW_LOADED = 0, 8  # ROW_LOADED: one bit for each byte of the message
ROW_ORDER, ROW_OTHER, ROW_PRICE, ROW_QUANTITY = 16, 17, 18, 19
ROW_ORDER_MASK, ROW_OTHER_MASK, ROW_TEXT_MASK, ROW_PRICE_MASK, ROW_QUANTITY_MASK = 24, 32, 40, 48, 56
ROW_PICK, ROW_MASK, ROW_TEMPLATE = 64, 128, 192  # of each byte of the event: byte of the message, bits of it, what is added
HEAD_LENGTH = (1 << 17) - 1  # with the bit above it, which no 16-bit length word has
TYPE_UNKNOWN = 1 << 16
SHIFT_SIDE_PLACE, SHIFT_EXCEPTION = 24, 32
SIDED, SPECIAL = 1, 2  # exceptions: the letter must be a side; always
LETTERS = 256 * ROW_BYTES  # behind the rows: 0 for each letter that is a side, else SIDED
SHIFT_KIND, SHIFT_SIDE, SHIFT_TYPE = (
    8 * (field - EVENT.instrument) for field in (EVENT.kind, EVENT.side, EVENT.message_type)
)


@dataclass(frozen=True)
class Mapping:
    """How one message type becomes an event: the names of the fields that feed it."""

    kind: int
    order: str = ""
    other: str = ""
    price: str = ""
    quantity: str = ""
    flags: int = 0
    special: bool = False


_ORDER = "order_reference_number"
TEXT = "stock"  # the one field of an event that stays as on the wire
SIDE_BUY_LETTER, SIDE_SELL_LETTER = ord("B"), ord("S")
MAPPINGS: dict[str, Mapping] = {
    "A": Mapping(ADD, _ORDER, "stock", "price", "shares"),
    "F": Mapping(ADD, _ORDER, "stock", "price", "shares"),
    "E": Mapping(EXECUTE, _ORDER, "match_number", "", "executed_shares"),
    "C": Mapping(EXECUTE, _ORDER, "match_number", "execution_price", "executed_shares", PRICED, special=True),
    "X": Mapping(REDUCE, _ORDER, "", "", "canceled_shares"),
    "D": Mapping(DELETE, _ORDER),
    "U": Mapping(REPLACE, "original_order_reference_number", "new_order_reference_number", "price", "shares"),
    "P": Mapping(TRADE, _ORDER, "match_number", "price", "shares"),
    "Q": Mapping(TRADE, "", "match_number", "cross_price", "cross_shares", special=True),
    "H": Mapping(STATUS, "", "", "", "trading_state", special=True),
    "R": Mapping(INSTRUMENT, "", "", "", "round_lot_size", special=True),
    "S": Mapping(SYSTEM, "", "", "", "event_code"),
    "B": Mapping(INFORMATION, "", "match_number"),
    "g": Mapping(BEGIN, quantity="sequence_number", special=True),
    "G": Mapping(END, quantity="sequence_number", special=True),
}


def _place(message: Message, name: str) -> tuple[int, int]:
    """(offset, mask) of the eight bytes that end where the field ends."""
    for field in message.fields:
        if field.name == name:
            return field.offset + field.size - 8, -1 if field.size == 8 else (1 << 8 * field.size) - 1
    return 0, 0


def _fill_words(row: np.ndarray, message: Message, mapping: Mapping) -> None:
    """Where the event's four numbers are, for the path that loads one after another."""
    masks = {}
    for place, name in (
        (ROW_ORDER, mapping.order),
        (ROW_OTHER, mapping.other),
        (ROW_PRICE, mapping.price),
        (ROW_QUANTITY, mapping.quantity),
    ):
        row[place], masks[place] = _place(message, name)
    words = row.view("<i8")
    words[ROW_ORDER_MASK // 8] = masks[ROW_ORDER]
    words[(ROW_TEXT_MASK if mapping.other == TEXT else ROW_OTHER_MASK) // 8] = masks[ROW_OTHER]
    words[ROW_PRICE_MASK // 8] = masks[ROW_PRICE]
    words[ROW_QUANTITY_MASK // 8] = masks[ROW_QUANTITY]


def _fill_bytes(row: np.ndarray, message: Message, mapping: Mapping) -> None:
    """The same byte by byte, for the path that moves all at once; numbers turn round, text does not."""
    sources = {mapping.order: EVENT.order_id, mapping.other: EVENT.other_id, mapping.price: EVENT.price}
    sources |= {mapping.quantity: EVENT.quantity, "timestamp": EVENT.time_venue_ns}
    sources |= {"stock_locate": EVENT.instrument, "locate_code": EVENT.instrument}
    for field in message.fields:
        target = sources.get(field.name)
        if target is None:
            continue
        places = np.arange(field.offset, field.offset + field.size)
        row[ROW_PICK + target : ROW_PICK + target + field.size] = places if field.name == TEXT else places[::-1]
        row[ROW_MASK + target : ROW_MASK + target + field.size] = 0xFF


def _row(message: Message, flags: int) -> np.ndarray:
    mapping = MAPPINGS.get(message.type, Mapping(INFORMATION))
    row = np.zeros(ROW_BYTES, np.uint8)
    _fill_words(row, message, mapping)
    _fill_bytes(row, message, mapping)
    for target, number in (
        (EVENT.kind, mapping.kind),
        (EVENT.flags, mapping.flags | flags),
        (EVENT.message_type, ord(message.type)),
    ):
        row[ROW_TEMPLATE + target] = number
    exception, place = SPECIAL if mapping.special else 0, 0
    for field in message.fields:
        if field.name == "buy_sell_indicator":
            exception, place = exception | SIDED, field.offset
            # 'B' is even and 'S' is odd: the lowest bit and 1
            row[ROW_PICK + EVENT.side], row[ROW_MASK + EVENT.side], row[ROW_TEMPLATE + EVENT.side] = place, 1, 1
    words = row.view("<i8")
    length = int.from_bytes(message.size.to_bytes(2, "big"), "little")
    words[ROW_HEAD // 8] = length | place << SHIFT_SIDE_PLACE | exception << SHIFT_EXCEPTION
    words[ROW_LOADED // 8] = (1 << message.size) - 1
    return row


def make_table(snapshot: bool = False) -> np.ndarray:
    """The rows of all 256 type bytes and the side letters, int64 (8224,), on a cache line; decode_packet takes its address.

    `snapshot`: the table of a snapshot channel. It knows the begin, the end and what stands between them, flags every
    event EVENT_OF_SNAPSHOT, and takes a message that changes an order for unknown.
    """
    raw = np.zeros(LETTERS + 256 + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    whole = raw[begin : begin + LETTERS + 256]
    table = whole[:LETTERS].reshape(256, ROW_BYTES)
    table.view("<i8")[:, ROW_HEAD // 8] = TYPE_UNKNOWN
    for message in (SNAPSHOT_MESSAGES if snapshot else MESSAGES).values():
        table[ord(message.type)] = _row(message, OF_SNAPSHOT if snapshot else 0)
    letters = whole[LETTERS:]
    letters[:] = SIDED
    letters[[SIDE_BUY_LETTER, SIDE_SELL_LETTER]] = 0
    return whole.view(np.int64)
