"""What a session weighs on the wire in other formats: JSON over WebSocket, FIX tag=value, msgpack. One message stays one.

WebSocket   a server's frame: two bytes of header, four from 126 bytes on, ten from 65,536 on (RFC 6455, 5.2); no TLS
JSON        the venue's own text where it speaks JSON; of CME the dialect below, in the manner of the crypto venues
FIX         35=X of FIX 4.4: 268 entries, each 279, 269, 48, then what the event has: 270, 271, 346, 1023, 37, 83
msgpack     [sequence, venue's time, receive time, [[kind, side, flags, type, instrument, price, quantity, id, id] …]]

    {"e":"refresh","E":VENUE NS,"R":RECEIVE NS,"u":SEQUENCE,"l":[[KIND,"B"|"A",INSTRUMENT,"PRICE","QUANTITY",ID,ID] …]}

Hard rule: numbers are written as short as the format allows; nothing is padded to make another format look good.
"""

from collections.abc import Callable
from decimal import Decimal

import msgpack
import numpy as np

from gateway.layout import names, value
from gateway.ops.bench.wire_sessions import Message, Session

SHORT, LONG = 126, 65_536
SIDES = {value("SIDE_BUY"): "B", value("SIDE_SELL"): "A"}
FIX_TYPES = {value("SIDE_BUY"): "0", value("SIDE_SELL"): "1"}
TRADE, LEVEL = value("EVENT_TRADE"), value("EVENT_LEVEL")
KINDS = {number: text.lower() for number, text in names("event_kind", "EVENT_").items()}
ROW = ("kind", "side", "flags", "message_type", "instrument", "price", "quantity", "order_id", "other_id")


def websocket_bytes(payload: int) -> int:
    """A message and its frame's header, as a server sends it."""
    return payload + (2 if payload < SHORT else 4 if payload < LONG else 10)


def _decimal(number: int, exponent: int) -> str:
    text = f"{Decimal(number).scaleb(exponent):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def json_text(message: Message, exponents: tuple[int, int]) -> str:
    """The dialect above, for a venue that does not speak JSON."""
    head, entries = message.events[0], []
    for row in message.events.tolist():
        event = dict(zip(message.events.dtype.names or (), row, strict=True))
        price, quantity = _decimal(event["price"], exponents[0]), _decimal(event["quantity"], exponents[1])
        entry = f'["{KINDS[event["kind"]]}","{SIDES.get(event["side"], "")}",{event["instrument"]},"{price}","{quantity}"'
        entries.append(f"{entry},{event['order_id']},{event['other_id']}]")
    times = f'"E":{head["time_venue_ns"]},"R":{head["time_receive_ns"]},"u":{head["sequence"]}'
    return f'{{"e":"refresh",{times},"l":[{",".join(entries)}]}}'


def fix_text(message: Message, exponents: tuple[int, int], number: int) -> str:
    """A FIX 4.4 market data refresh; the checksum's three digits are there, their value is not worked out."""
    body = ["35=X", "49=GATEWAY", "56=REGION", f"34={number}", f"52={_time(int(message.events[0]['time_receive_ns']))}"]
    body.append(f"268={len(message.events)}")
    for row in message.events.tolist():
        event = dict(zip(message.events.dtype.names or (), row, strict=True))
        body += ["279=1", f"269={'2' if event['kind'] == TRADE else FIX_TYPES.get(event['side'], 'J')}"]
        body += [f"48={event['instrument']}", f"83={event['sequence']}"]
        for tag, name, exponent in ((270, "price", exponents[0]), (271, "quantity", exponents[1])):
            if event[name] or event["kind"] == LEVEL:
                body.append(f"{tag}={_decimal(event[name], exponent)}")
        if event["kind"] == LEVEL and event["order_id"]:
            body += [f"346={event['order_id'] & 0xFFFFFFFF}", f"1023={event['order_id'] >> 32}"]
        elif event["order_id"]:
            body.append(f"37={event['order_id']}")
        if event["other_id"]:
            body.append(f"278={event['other_id']}")
    text = "\x01".join(body) + "\x01"
    return f"8=FIX.4.4\x019={len(text)}\x01{text}10=000\x01"


def _time(time_ns: int) -> str:
    """UTC timestamp of FIX 4.4, with milliseconds: 21 characters."""
    return str(np.datetime64(time_ns // 1_000_000, "ms")).replace("-", "").replace("T", "-")


def msgpack_bytes(message: Message) -> bytes:
    """An array of everything, without names."""
    head = message.events[0]
    rows = [[int(event[name]) for name in ROW] for event in message.events]
    return msgpack.packb([int(head["sequence"]), int(head["time_venue_ns"]), int(head["time_receive_ns"]), rows])


def sizes(session: Session, is_json: bool, report: Callable[[float], None]) -> dict[str, int]:
    """Bytes of a whole session: format → sum."""
    totals = {"JSON over WebSocket": 0, "FIX tag=value": 0, "msgpack": 0}
    for number, message in enumerate(session.messages, 1):
        text = len(message.data) if is_json else len(json_text(message, session.exponents))
        totals["JSON over WebSocket"] += websocket_bytes(text)
        totals["FIX tag=value"] += len(fix_text(message, session.exponents, number))
        totals["msgpack"] += websocket_bytes(len(msgpack_bytes(message)))
        if number % 4096 == 0:
            report(number / len(session.messages))
    return totals
