"""Nasdaq OUCH 5.0 ④⑧: the order entry protocol, one table per direction, and the exact, slow codec made from them.

The same letter means different messages in the two directions: `INBOUND` goes to the venue, `OUTBOUND` comes from it.
Hard rule: this table is the only place that knows the layout; kernels freeze `offsets_of("EnterOrder")`.

    message   [ type ][ fixed fields … ][ appendage length: 2 ][ option ][ option ] …
    option    [ length: 1, counts tag and value ][ tag: 1 ][ value … ]

Numbers are in network order, prices have four implied decimals. Section numbers are those of the specification.
"""

from collections import namedtuple
from collections.abc import Iterator
from functools import cache
from typing import Any

from gateway.protocols.message import (
    ALPHA,
    CHARACTER,
    INTEGER,
    PRICE4,
    SIGNED_PRICE4,
    TIMESTAMP,
    Message,
    Refused,
    decode_fields,
    decode_value,
    encode_fields,
    encode_value,
    make_message,
)

INBOUND = "inbound"
OUTBOUND = "outbound"

# Is the appendage length part of the message? Optional: the message may end right behind its fixed fields.
NEVER, OPTIONAL, ALWAYS = "never", "optional", "always"

_REFERENCE = ("user_ref_num", 4, INTEGER)
_ORIGINAL = ("orig_user_ref_num", 4, INTEGER)
_TIME = ("timestamp", 8, TIMESTAMP)
_SIDE = ("side", 1, CHARACTER)
_QUANTITY = ("quantity", 4, INTEGER)
_SYMBOL = ("symbol", 8, ALPHA)
_PRICE = ("price", 8, PRICE4)
_LIFE = ("time_in_force", 1, CHARACTER)
_DISPLAY = ("display", 1, CHARACTER)
_CAPACITY = ("capacity", 1, CHARACTER)
_SWEEP = ("inter_market_sweep_eligibility", 1, CHARACTER)
_CROSS = ("cross_type", 1, CHARACTER)
_CLIENT = ("cl_ord_id", 14, ALPHA)
_FIRM = ("firm", 4, ALPHA)
_ORDER = ("order_reference_number", 8, INTEGER)
_STATE = ("order_state", 1, CHARACTER)
_REASON = ("reason", 1, CHARACTER)
_LIQUIDITY = ("liquidity_flag", 1, CHARACTER)
_MATCH = ("match_number", 8, INTEGER)

_ENTERED = [_SIDE, _QUANTITY, _SYMBOL, _PRICE, _LIFE, _DISPLAY]
_TERMS = [_CAPACITY, _SWEEP, _CROSS]

# (type, name, section, appendage, fields)
_INBOUND: list[tuple[str, str, str, str, list[tuple[str, int, str]]]] = [
    ("O", "Enter Order", "2.1", ALWAYS, [_REFERENCE, *_ENTERED, *_TERMS, _CLIENT]),
    (
        *("U", "Replace Order", "2.2", ALWAYS),
        [_ORIGINAL, _REFERENCE, _QUANTITY, _PRICE, _LIFE, _DISPLAY, _SWEEP, _CLIENT],
    ),
    ("X", "Cancel Order", "2.3", OPTIONAL, [_REFERENCE, _QUANTITY]),
    ("M", "Modify Order", "2.4", OPTIONAL, [_REFERENCE, _SIDE, _QUANTITY]),
    ("C", "Mass Cancel", "2.5", ALWAYS, [_REFERENCE, _FIRM, _SYMBOL]),
    ("D", "Disable Order Entry", "2.6", OPTIONAL, [_REFERENCE, _FIRM]),
    ("E", "Enable Order Entry", "2.7", OPTIONAL, [_REFERENCE, _FIRM]),
    ("Q", "Account Query", "2.8", OPTIONAL, []),
]
_OUTBOUND: list[tuple[str, str, str, str, list[tuple[str, int, str]]]] = [
    ("S", "System Event", "3.1", NEVER, [_TIME, ("event_code", 1, CHARACTER)]),
    ("A", "Order Accepted", "3.2", ALWAYS, [_TIME, _REFERENCE, *_ENTERED, _ORDER, *_TERMS, _STATE, _CLIENT]),
    (
        *("U", "Order Replaced", "3.3", ALWAYS),
        [_TIME, _ORIGINAL, _REFERENCE, *_ENTERED, _ORDER, *_TERMS, _STATE, _CLIENT],
    ),
    ("C", "Order Canceled", "3.4", OPTIONAL, [_TIME, _REFERENCE, _QUANTITY, _REASON]),
    (
        *("D", "AIQ Canceled", "3.5", OPTIONAL),
        [
            *[_TIME, _REFERENCE, ("decrement_shares", 4, INTEGER), _REASON],
            ("quantity_prevented_from_trading", 4, INTEGER),
            *[("execution_price", 8, PRICE4), _LIQUIDITY, ("aiq_strategy", 1, CHARACTER)],
        ],
    ),
    ("E", "Order Executed", "3.6", ALWAYS, [_TIME, _REFERENCE, _QUANTITY, _PRICE, _LIQUIDITY, _MATCH]),
    ("B", "Broken Trade", "3.7", OPTIONAL, [_TIME, _REFERENCE, _MATCH, _REASON, _CLIENT]),
    ("J", "Rejected", "3.8", OPTIONAL, [_TIME, _REFERENCE, ("reason", 2, INTEGER), _CLIENT]),
    ("P", "Cancel Pending", "3.9", OPTIONAL, [_TIME, _REFERENCE]),
    ("I", "Cancel Reject", "3.10", OPTIONAL, [_TIME, _REFERENCE]),
    ("T", "Order Priority Update", "3.11", OPTIONAL, [_TIME, _REFERENCE, _PRICE, _DISPLAY, _ORDER]),
    ("M", "Order Modified", "3.12", OPTIONAL, [_TIME, _REFERENCE, _SIDE, _QUANTITY]),
    ("R", "Order Restated", "3.13", ALWAYS, [_TIME, _REFERENCE, _REASON]),
    ("X", "Mass Cancel Response", "3.14", OPTIONAL, [_TIME, _REFERENCE, _FIRM, _SYMBOL]),
    ("G", "Disable Order Entry Response", "3.15", OPTIONAL, [_TIME, _REFERENCE, _FIRM]),
    ("K", "Enable Order Entry Response", "3.16", OPTIONAL, [_TIME, _REFERENCE, _FIRM]),
    ("Q", "Account Query Response", "3.17", OPTIONAL, [_TIME, ("next_user_ref_num", 4, INTEGER)]),
]

# Appendix A: tag → (name, value size, kind). 8 and 19 to 21 are not assigned.
OPTIONS: dict[int, tuple[str, int, str]] = {
    1: ("secondary_ord_ref_num", 8, INTEGER),
    2: ("firm", 4, ALPHA),
    3: ("min_qty", 4, INTEGER),
    4: ("customer_type", 1, CHARACTER),
    5: ("max_floor", 4, INTEGER),
    6: ("price_type", 1, CHARACTER),
    7: ("peg_offset", 4, SIGNED_PRICE4),
    9: ("discretion_price", 8, PRICE4),
    10: ("discretion_price_type", 1, CHARACTER),
    11: ("discretion_peg_offset", 4, SIGNED_PRICE4),
    12: ("post_only", 1, CHARACTER),
    13: ("random_reserves", 4, INTEGER),
    14: ("route", 4, ALPHA),
    15: ("expire_time", 4, INTEGER),
    16: ("trade_now", 1, CHARACTER),
    17: ("handle_inst", 1, CHARACTER),
    18: ("bbo_weight_indicator", 1, CHARACTER),
    22: ("display_quantity", 4, INTEGER),
    23: ("display_price", 8, PRICE4),
    24: ("group_id", 2, INTEGER),
    25: ("shares_located", 1, CHARACTER),
    26: ("locate_broker", 4, ALPHA),
    27: ("side", 1, CHARACTER),
    28: ("user_ref_idx", 1, INTEGER),
    29: ("aiq_strategy", 1, CHARACTER),
    30: ("aiq_group_id", 2, ALPHA),
}
ABOUT = ("message", "message_type", "appendage_length")  # in a decoded dict, but no field to encode
OPTION_TAGS = {name: tag for tag, (name, _, _) in OPTIONS.items()}

_MESSAGES = {
    direction: [(make_message(type_, name, section, fields), rule) for type_, name, section, rule, fields in rows]
    for direction, rows in ((INBOUND, _INBOUND), (OUTBOUND, _OUTBOUND))
}
MESSAGES: dict[str, dict[str, Message]] = {
    direction: {message.type: message for message, _ in rows} for direction, rows in _MESSAGES.items()
}
BY_KEY: dict[str, Message] = {message.key: message for rows in _MESSAGES.values() for message, _ in rows}
APPENDAGE: dict[str, str] = {message.key: rule for rows in _MESSAGES.values() for message, rule in rows}


def _message(name: str) -> Message:
    try:
        return BY_KEY[name.replace(" ", "")]
    except KeyError as problem:
        raise Refused("message_unknown", f"OUCH 5.0 has no message {name!r}") from problem


@cache
def offsets_of(name: str) -> Any:
    """Byte offsets of a message ("EnterOrder") as a named tuple that numba freezes: `type`, the fields, and
    `appendage_length` where the message always has one."""
    message = _message(name)
    offsets = {"type": 0, **{field.name: field.offset for field in message.fields}}
    if APPENDAGE[message.key] == ALWAYS:
        offsets["appendage_length"] = message.size
    return namedtuple(message.key, offsets)(**offsets)


@cache
def size_of(name: str) -> int:
    """Bytes of a message without options; the two bytes of an appendage length count where it always stands."""
    message = _message(name)
    return message.size + (2 if APPENDAGE[message.key] == ALWAYS else 0)


@cache
def type_of(name: str) -> int:
    """The type byte of a message, as a number."""
    return ord(_message(name).type)


def decode(data: bytes, direction: str) -> dict[str, Any]:
    """One whole message as a dict: `message`, `message_type`, then every field; options under their own names behind them.

    `direction` is INBOUND or OUTBOUND. Refuses (ValueError) an unknown type, a wrong length, a broken appendage.
    """
    if not data:
        raise Refused("message_length", "an empty message")
    message = MESSAGES[direction].get(chr(data[0]))
    if message is None:
        raise Refused("message_unknown", f"OUCH 5.0 {direction} has no message type {data[:1]!r}")
    appendage = _appendage(message, data)
    decoded = {"message": message.name, "message_type": message.type, **decode_fields(message, data)}
    if appendage is not None:
        decoded["appendage_length"] = len(appendage)
        decoded.update(_decode_options(appendage, decoded))
    return decoded


def _appendage(message: Message, data: bytes) -> bytes | None:
    """The bytes of the options, None where the message ends without an appendage length."""
    rule = APPENDAGE[message.key]
    rest = len(data) - message.size
    if rest == 0 and rule != ALWAYS:
        return None
    if rest < 2 or rule == NEVER:
        raise Refused("message_length", f"{message.name} of {len(data)} bytes")
    if int.from_bytes(data[message.size : message.size + 2], "big") != rest - 2:
        raise Refused("message_length", f"{message.name}: the appendage is {rest - 2} bytes long and says otherwise")
    return data[message.size + 2 :]


def options_in(appendage: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, value) of every option; refuses one that leaves the appendage."""
    offset = 0
    while offset < len(appendage):
        length = appendage[offset]
        if length < 1 or offset + 1 + length > len(appendage):
            raise Refused("message_length", "an option leaves its appendage")
        yield appendage[offset + 1], appendage[offset + 2 : offset + 1 + length]
        offset += 1 + length


def _decode_options(appendage: bytes, fixed: dict[str, Any]) -> dict[str, Any]:
    """Options by name. A tag the specification does not assign is `option_N` with its bytes in hex: venues add some."""
    options: dict[str, Any] = {}
    for tag, value in options_in(appendage):
        name, size, kind = OPTIONS.get(tag, (f"option_{tag}", len(value), None))
        if len(value) != size:
            raise Refused("message_length", f"option {name} of {len(value)} bytes")
        if name in options or name in fixed:
            raise Refused("message_field", f"{name} stands twice")
        options[name] = value.hex() if kind is None else decode_value(kind, value)
    return options


def encode(name: str, **values: Any) -> bytes:
    """One whole message by name ("EnterOrder"); names that are not fixed fields must be options, for the appendage.

    A missing fixed field is 0 or blanks. Prices: decimal text, Decimal, or int in 1/10000. Refuses (ValueError) what
    does not fit. `decode` and `encode` are inverse: what is ABOUT the message is accepted and ignored.
    """
    message = _message(name)
    fixed = {field.name for field in message.fields}
    options = b""
    for key, value in values.items():
        if key in fixed or key in ABOUT:
            continue
        options += _encode_option(message, key, value)
    rule = APPENDAGE[message.key]
    if options and rule == NEVER:
        raise Refused("message_field", f"{message.name} has no options")
    tail = len(options).to_bytes(2, "big") + options if options or rule == ALWAYS else b""
    return encode_fields(message, values) + tail


def _encode_option(message: Message, key: str, value: Any) -> bytes:
    if key.startswith("option_") and key[7:].isdigit():
        tag, data = int(key[7:]), bytes.fromhex(value)
    elif key in OPTION_TAGS:
        tag = OPTION_TAGS[key]
        _, size, kind = OPTIONS[tag]
        data = encode_value(key, kind, size, value)
    else:
        raise Refused("message_field", f"{message.name} has no field or option {key!r}")
    return bytes([1 + len(data), tag]) + data
