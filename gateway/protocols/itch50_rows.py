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

# One row of the table, in bytes. `length` of an unknown type is one that no 16-bit length word can hold.
ROW_BYTES = 64
ROW_LENGTH, ROW_ORDER, ROW_OTHER, ROW_PRICE, ROW_QUANTITY = 0, 4, 5, 6, 7
ROW_ORDER_MASK, ROW_OTHER_MASK, ROW_TEXT_MASK, ROW_PRICE_MASK, ROW_QUANTITY_MASK = 8, 16, 24, 32, 40
ROW_TEMPLATE = 48  # kind, flags and type where the event's word has them
ROW_SIDE, ROW_SPECIAL, ROW_SIDE_MASK = 56, 57, 56  # the mask is the sign of the word
SPECIAL_BIT = 1 << 8
LENGTH_UNKNOWN = 1 << 16
SHIFT_KIND, SHIFT_SIDE, SHIFT_FLAGS, SHIFT_TYPE = (
    8 * (field - EVENT.instrument) for field in (EVENT.kind, EVENT.side, EVENT.flags, EVENT.message_type)
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
MAPPINGS: dict[str, Mapping] = {
    "A": Mapping(ADD, _ORDER, "stock", "price", "shares"),
    "F": Mapping(ADD, _ORDER, "stock", "price", "shares"),
    "E": Mapping(EXECUTE, _ORDER, "match_number", "", "executed_shares"),
    "C": Mapping(EXECUTE, _ORDER, "match_number", "execution_price", "executed_shares", PRICED, special=True),
    "X": Mapping(REDUCE, _ORDER, "", "", "canceled_shares"),
    "D": Mapping(DELETE, _ORDER),
    "U": Mapping(REPLACE, "original_order_reference_number", "new_order_reference_number", "price", "shares"),
    "P": Mapping(TRADE, _ORDER, "match_number", "price", "shares"),
    "Q": Mapping(TRADE, "", "match_number", "cross_price", "cross_shares"),
    "H": Mapping(STATUS, "", "", "", "trading_state", special=True),
    "R": Mapping(INSTRUMENT, "", "", "", "round_lot_size", special=True),
    "S": Mapping(SYSTEM, "", "", "", "event_code"),
    "B": Mapping(INFORMATION, "", "match_number"),
    "g": Mapping(BEGIN, quantity="sequence_number"),
    "G": Mapping(END, quantity="sequence_number"),
}


def _place(message: Message, name: str) -> tuple[int, int]:
    """(offset, mask) of the eight bytes that end where the field ends."""
    for field in message.fields:
        if field.name == name:
            return field.offset + field.size - 8, -1 if field.size == 8 else (1 << 8 * field.size) - 1
    return 0, 0


def _row(message: Message, flags: int) -> np.ndarray:
    mapping = MAPPINGS.get(message.type, Mapping(INFORMATION))
    row = np.zeros(ROW_BYTES, np.uint8)
    row[ROW_LENGTH : ROW_LENGTH + 4].view("<u4")[0] = message.size
    masks = {}
    for place, name in (
        (ROW_ORDER, mapping.order),
        (ROW_OTHER, mapping.other),
        (ROW_PRICE, mapping.price),
        (ROW_QUANTITY, mapping.quantity),
    ):
        row[place], masks[place] = _place(message, name)
    text = mapping.other == "stock"
    words = row.view("<i8")
    words[ROW_ORDER_MASK // 8] = masks[ROW_ORDER]
    words[(ROW_TEXT_MASK if text else ROW_OTHER_MASK) // 8] = masks[ROW_OTHER]
    words[ROW_PRICE_MASK // 8] = masks[ROW_PRICE]
    words[ROW_QUANTITY_MASK // 8] = masks[ROW_QUANTITY]
    template = mapping.kind << SHIFT_KIND | (mapping.flags | flags) << SHIFT_FLAGS | ord(message.type) << SHIFT_TYPE
    words[ROW_TEMPLATE // 8] = template
    for field in message.fields:
        if field.name == "buy_sell_indicator":
            words[ROW_SIDE_MASK // 8] = -(1 << 63)
            row[ROW_SIDE] = field.offset
    row[ROW_SPECIAL] = mapping.special
    return row


def make_table(snapshot: bool = False) -> np.ndarray:
    """The rows of all 256 type bytes, int64 (2048,), cache-line aligned: pass its address to decode_packet.

    `snapshot`: the table of a snapshot channel. It knows the begin, the end and what stands between them, flags every
    event EVENT_OF_SNAPSHOT, and takes a message that changes an order for unknown.
    """
    raw = np.zeros(256 * ROW_BYTES + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    table = raw[begin : begin + 256 * ROW_BYTES].reshape(256, ROW_BYTES)
    table[:, ROW_LENGTH : ROW_LENGTH + 4].view("<u4")[:] = LENGTH_UNKNOWN
    for message in (SNAPSHOT_MESSAGES if snapshot else MESSAGES).values():
        table[ord(message.type)] = _row(message, OF_SNAPSHOT if snapshot else 0)
    return table.reshape(-1).view(np.int64)
