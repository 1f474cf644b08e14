"""Nasdaq TotalView-ITCH 5.0 ④: the one table of its messages, and the exact, slow codec made from it.

The kernel of the corridor, `decode_packet`, stands in itch50_decode.py and reads the row table made from this one.
Hard rule: a layout fact stands here once; lengths, offsets, names and kernel rows are derived.

Numbers are in network order; prices have four implied decimals, the circuit breaker levels eight. Section numbers and
names are the specification's. BX TotalView-ITCH 5.0 has the same layouts.
"""

from collections import namedtuple
from collections.abc import Mapping
from functools import cache
from typing import Any

from gateway.protocols.message import (
    ALPHA,
    CHARACTER,
    INTEGER,
    PRICE4,
    PRICE8,
    TIMESTAMP,
    Message,
    Refused,
    decode_fields,
    encode_fields,
    make_message,
)

_HEADER = [("stock_locate", 2, INTEGER), ("tracking_number", 2, INTEGER), ("timestamp", 6, TIMESTAMP)]
# The one message whose locate has another name in the specification (section 1.2.3).
_HEADER_REG_SHO = [("locate_code", 2, INTEGER), *_HEADER[1:]]
_STOCK = ("stock", 8, ALPHA)
_ORDER = ("order_reference_number", 8, INTEGER)
_SIDE = ("buy_sell_indicator", 1, CHARACTER)
_SHARES = ("shares", 4, INTEGER)
_PRICE = ("price", 4, PRICE4)
_MATCH = ("match_number", 8, INTEGER)
_CROSS = ("cross_type", 1, CHARACTER)
_ADD = [_ORDER, _SIDE, _SHARES, _STOCK, _PRICE]

_TABLE: list[tuple[str, str, str, list[tuple[str, int, str]]]] = [
    ("S", "System Event", "1.1", [*_HEADER, ("event_code", 1, CHARACTER)]),
    (
        *("R", "Stock Directory", "1.2.1"),
        [
            *[*_HEADER, _STOCK, ("market_category", 1, CHARACTER), ("financial_status_indicator", 1, CHARACTER)],
            *[("round_lot_size", 4, INTEGER), ("round_lots_only", 1, CHARACTER)],
            *[("issue_classification", 1, CHARACTER), ("issue_sub_type", 2, ALPHA), ("authenticity", 1, CHARACTER)],
            *[("short_sale_threshold_indicator", 1, CHARACTER), ("ipo_flag", 1, CHARACTER)],
            *[("luld_reference_price_tier", 1, CHARACTER), ("etp_flag", 1, CHARACTER)],
            *[("etp_leverage_factor", 4, INTEGER), ("inverse_indicator", 1, CHARACTER)],
        ],
    ),
    (
        *("H", "Stock Trading Action", "1.2.2"),
        [*_HEADER, _STOCK, ("trading_state", 1, CHARACTER), ("reserved", 1, CHARACTER), ("reason", 4, ALPHA)],
    ),
    (
        *("Y", "Reg SHO Short Sale Price Test Restricted Indicator", "1.2.3"),
        [*_HEADER_REG_SHO, _STOCK, ("reg_sho_action", 1, CHARACTER)],
    ),
    (
        *("L", "Market Participant Position", "1.2.4"),
        [
            *[*_HEADER, ("mpid", 4, ALPHA), _STOCK, ("primary_market_maker", 1, CHARACTER)],
            *[("market_maker_mode", 1, CHARACTER), ("market_participant_state", 1, CHARACTER)],
        ],
    ),
    (
        *("V", "MWCB Decline Level", "1.2.5.1"),
        [*_HEADER, ("level_1", 8, PRICE8), ("level_2", 8, PRICE8), ("level_3", 8, PRICE8)],
    ),
    ("W", "MWCB Status", "1.2.5.2", [*_HEADER, ("breached_level", 1, CHARACTER)]),
    (
        *("K", "Quoting Period Update", "1.2.6"),
        [
            *[*_HEADER, _STOCK, ("ipo_quotation_release_time", 4, INTEGER)],
            *[("ipo_quotation_release_qualifier", 1, CHARACTER), ("ipo_price", 4, PRICE4)],
        ],
    ),
    (
        *("J", "LULD Auction Collar", "1.2.7"),
        [
            *[*_HEADER, _STOCK, ("auction_collar_reference_price", 4, PRICE4)],
            *[("upper_auction_collar_price", 4, PRICE4), ("lower_auction_collar_price", 4, PRICE4)],
            ("auction_collar_extension", 4, INTEGER),
        ],
    ),
    (
        *("h", "Operational Halt", "1.2.8"),
        [*_HEADER, _STOCK, ("market_code", 1, CHARACTER), ("operational_halt_action", 1, CHARACTER)],
    ),
    ("A", "Add Order - No MPID Attribution", "1.3.1", [*_HEADER, *_ADD]),
    ("F", "Add Order with MPID Attribution", "1.3.2", [*_HEADER, *_ADD, ("attribution", 4, ALPHA)]),
    ("E", "Order Executed", "1.4.1", [*_HEADER, _ORDER, ("executed_shares", 4, INTEGER), _MATCH]),
    (
        *("C", "Order Executed With Price", "1.4.2"),
        [
            *[*_HEADER, _ORDER, ("executed_shares", 4, INTEGER), _MATCH],
            *[("printable", 1, CHARACTER), ("execution_price", 4, PRICE4)],
        ],
    ),
    ("X", "Order Cancel", "1.4.3", [*_HEADER, _ORDER, ("canceled_shares", 4, INTEGER)]),
    ("D", "Order Delete", "1.4.4", [*_HEADER, _ORDER]),
    (
        *("U", "Order Replace", "1.4.5"),
        [
            *[*_HEADER, ("original_order_reference_number", 8, INTEGER)],
            *[("new_order_reference_number", 8, INTEGER), _SHARES, _PRICE],
        ],
    ),
    ("P", "Trade (Non-Cross)", "1.5.1", [*_HEADER, *_ADD, _MATCH]),
    (
        *("Q", "Cross Trade", "1.5.2"),
        [*_HEADER, ("cross_shares", 8, INTEGER), _STOCK, ("cross_price", 4, PRICE4), _MATCH, _CROSS],
    ),
    ("B", "Broken Trade / Order Execution", "1.5.3", [*_HEADER, _MATCH]),
    (
        *("I", "Net Order Imbalance Indicator (NOII)", "1.6"),
        [
            *[*_HEADER, ("paired_shares", 8, INTEGER), ("imbalance_shares", 8, INTEGER)],
            *[("imbalance_direction", 1, CHARACTER), _STOCK, ("far_price", 4, PRICE4), ("near_price", 4, PRICE4)],
            *[("current_reference_price", 4, PRICE4), _CROSS, ("price_variation_indicator", 1, CHARACTER)],
        ],
    ),
    ("N", "Retail Price Improvement Indicator (RPII)", "1.7", [*_HEADER, _STOCK, ("interest_flag", 1, CHARACTER)]),
    (
        *("O", "Direct Listing with Capital Raise Price Discovery", "1.8"),
        [
            *[*_HEADER, _STOCK, ("open_eligibility_status", 1, CHARACTER), ("minimum_allowable_price", 4, PRICE4)],
            *[("maximum_allowable_price", 4, PRICE4), ("near_execution_price", 4, PRICE4)],
            *[("near_execution_time", 8, INTEGER), ("lower_price_range_collar", 4, PRICE4)],
            ("upper_price_range_collar", 4, PRICE4),
        ],
    ),
]

# What the simulated venue says around a snapshot, in the manner of GLIMPSE 5.0; no message of TotalView-ITCH.
_SNAPSHOT_TABLE: list[tuple[str, str, str, list[tuple[str, int, str]]]] = [
    ("g", "Snapshot Begin", "simulator", [*_HEADER, _STOCK, ("sequence_number", 8, INTEGER)]),
    ("G", "End of Snapshot", "simulator", [*_HEADER, ("sequence_number", 8, INTEGER)]),
]
SNAPSHOT_STATES = "RHAF"  # the messages of the feed that a snapshot consists of

MESSAGES: dict[str, Message] = {type_: make_message(type_, name, section, fields) for type_, name, section, fields in _TABLE}
BY_NAME: dict[str, Message] = {message.name: message for message in MESSAGES.values()}
SNAPSHOT_MESSAGES: dict[str, Message] = {row[0]: make_message(*row) for row in _SNAPSHOT_TABLE}
SNAPSHOT_MESSAGES |= {type_: MESSAGES[type_] for type_ in SNAPSHOT_STATES}
LENGTHS: dict[str, int] = {type_: message.size for type_, message in MESSAGES.items()}


def _message(name: str) -> Message:
    message = MESSAGES.get(name) or BY_NAME.get(name) or SNAPSHOT_MESSAGES.get(name)
    if message is None:
        raise Refused("message_unknown", f"TotalView-ITCH 5.0 has no message {name!r}")
    return message


@cache
def offsets_of(name: str) -> Any:
    """Byte offsets of a message, named by its type letter or its name, as a named tuple that numba freezes."""
    message = _message(name)
    offsets = {"type": 0, **{field.name: field.offset for field in message.fields}}
    return namedtuple(f"itch_{ord(message.type)}", offsets)(**offsets)


def decode(data: bytes, messages: Mapping[str, Message] = MESSAGES) -> dict[str, Any]:
    """One whole message as a dict: `message` (the specification's name), `message_type`, then every field.

    `messages` is the table of the channel: MESSAGES, or SNAPSHOT_MESSAGES. Refuses (ValueError) an unknown type and a
    length that is not the specification's.
    """
    if not data:
        raise Refused("message_length", "an empty message")
    message = messages.get(chr(data[0]))
    if message is None:
        raise Refused("message_unknown", f"TotalView-ITCH 5.0 has no message type {data[:1]!r}")
    if len(data) != message.size:
        raise Refused("message_length", f"{message.name} of {len(data)} bytes instead of {message.size}")
    return {"message": message.name, "message_type": message.type, **decode_fields(message, data)}


def encode(name: str, **values: Any) -> bytes:
    """One whole message, by its type letter ("A") or its name. Missing fields are 0 or blanks.

    Prices: decimal text, Decimal, or int in wire units. Refuses (ValueError) unknown names and what does not fit. What
    `decode` says about the message itself (`message`, `message_type`) is accepted and ignored.
    """
    message = _message(name)
    unknown = set(values) - {field.name for field in message.fields} - {"message", "message_type"}
    if unknown:
        raise Refused("message_field", f"{message.name} has no field {min(unknown)!r}")
    return encode_fields(message, values)
