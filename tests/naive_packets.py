"""The naive twin of decode_packet: a MoldUDP64 packet to events, field by field from the specification's text, slowly.

It shares no table with the package: lengths and offsets are written down here a second time, from the specification.
"""

from typing import Any

EVENTS_MAX = 512

LENGTHS = {
    "S": 12,
    "R": 39,
    "H": 25,
    "Y": 20,
    "L": 26,
    "V": 35,
    "W": 12,
    "K": 28,
    "J": 35,
    "h": 21,
    "A": 36,
    "F": 40,
    "E": 31,
    "C": 36,
    "X": 23,
    "D": 19,
    "U": 35,
    "P": 44,
    "Q": 40,
    "B": 19,
    "I": 50,
    "N": 20,
    "O": 48,
}
STATES = {"T": 1, "H": 2, "P": 3, "Q": 4}
SIDES = {"B": 1, "S": 2}
FIELDS = ["sequence", "time_venue_ns", "order_id", "other_id", "price", "quantity", "instrument"]
FIELDS += ["kind", "side", "flags", "message_type", "time_receive_ns"]


def _number(message: bytes, offset: int, size: int) -> int:
    return int.from_bytes(message[offset : offset + size], "big")


def _symbol(message: bytes, offset: int) -> int:
    return int.from_bytes(message[offset : offset + 8], "little")


def _fields(message: bytes) -> dict[str, Any] | None:
    """What the body says; None when a field is outside its domain."""
    kind = chr(message[0])
    order = _number(message, 11, 8)
    if kind in "AF":
        if chr(message[19]) not in SIDES:
            return None
        quantity, price = _number(message, 20, 4), _number(message, 32, 4)
        side = SIDES[chr(message[19])]
        return {
            "kind": 1,
            "order_id": order,
            "other_id": _symbol(message, 24),
            "quantity": quantity,
            "price": price,
            "side": side,
        }
    if kind == "E":
        return {"kind": 2, "order_id": order, "quantity": _number(message, 19, 4), "other_id": _number(message, 23, 8)}
    if kind == "C":
        flags = 1 | (2 if chr(message[31]) == "N" else 0)
        body = {"kind": 2, "order_id": order, "quantity": _number(message, 19, 4), "other_id": _number(message, 23, 8)}
        return dict(**body, flags=flags, price=_number(message, 32, 4))
    if kind == "X":
        return {"kind": 3, "order_id": order, "quantity": _number(message, 19, 4)}
    if kind == "D":
        return {"kind": 4, "order_id": order}
    if kind == "U":
        ids = {"order_id": order, "other_id": _number(message, 19, 8)}
        return dict(kind=5, **ids, quantity=_number(message, 27, 4), price=_number(message, 31, 4))
    if kind == "P":
        if chr(message[19]) not in SIDES:
            return None
        body = {"kind": 6, "order_id": order, "other_id": _number(message, 36, 8), "side": SIDES[chr(message[19])]}
        return dict(**body, quantity=_number(message, 20, 4), price=_number(message, 32, 4))
    if kind == "Q":
        if _number(message, 11, 8) >= 1 << 63:
            return None
        body = {"kind": 6, "other_id": _number(message, 31, 8), "price": _number(message, 27, 4)}
        return dict(**body, quantity=_number(message, 11, 8))
    if kind == "H":
        return {"kind": 7, "order_id": _symbol(message, 11), "quantity": STATES.get(chr(message[19]), 0)}
    if kind == "R":
        return {"kind": 8, "order_id": _symbol(message, 11), "quantity": _number(message, 21, 4), "price": 100}
    if kind == "S":
        return {"kind": 9, "quantity": message[11]}
    return {"kind": 10, "other_id": order} if kind == "B" else {"kind": 10}


def _gap(quantity: int, kind: int = 0) -> dict[str, Any]:
    return {"kind": 11, "quantity": quantity, "message_type": kind}


def _event(message: bytes, snapshot: bool) -> tuple[dict[str, Any], int]:
    """(event, reason) of one whole block."""
    if not message:
        return _gap(1), 14
    kind = chr(message[0])
    if snapshot:
        return _event_of_snapshot(message, kind)
    if kind not in LENGTHS:
        return {"kind": 10, "message_type": message[0]}, 15
    if len(message) != LENGTHS[kind]:
        return _gap(1, message[0]), 14
    fields = _fields(message)
    if fields is None:
        return _gap(1, message[0]), 16
    header = {"instrument": _number(message, 1, 2), "time_venue_ns": _number(message, 5, 6), "message_type": message[0]}
    return {**header, **fields}, 0


def _event_of_snapshot(message: bytes, kind: str) -> tuple[dict[str, Any], int]:
    """The same on the simulated venue's snapshot channel: fewer messages, two of its own, and a flag on all."""
    if kind not in "gGRHAF":
        return {"kind": 10, "message_type": message[0]}, 15
    if kind not in "gG":
        event, reason = _event(message, False)
        return (event, reason) if reason else ({**event, "flags": 4}, 0)
    if len(message) != (27 if kind == "g" else 19):
        return _gap(1, message[0]), 14
    sequence = _number(message, 19 if kind == "g" else 11, 8)
    if sequence >= 1 << 63:
        return _gap(1, message[0]), 16
    header = {"instrument": _number(message, 1, 2), "time_venue_ns": _number(message, 5, 6), "message_type": message[0]}
    return {**header, "kind": 17 if kind == "g" else 18, "quantity": sequence, "flags": 4}, 0


def decode_packet(
    payload: bytes, skip: int, time_receive_ns: int, snapshot: bool = False
) -> tuple[list[tuple[int, ...]], dict[str, Any]]:
    """(events as tuples in FIELDS order, {"messages", "by_type", "reasons"})."""
    counts: dict[str, Any] = {"messages": 0, "by_type": {}, "reasons": {}}
    events: list[dict[str, Any]] = []

    def refuse(reason: int) -> None:
        counts["reasons"][reason] = counts["reasons"].get(reason, 0) + 1

    def finish() -> tuple[list[tuple[int, ...]], dict[str, Any]]:
        rows = [{**event, "time_receive_ns": time_receive_ns} for event in events]
        return [tuple(row.get(name, 0) for name in FIELDS) for row in rows], counts

    if len(payload) < 20:
        refuse(10)
        return finish()
    sequence, count = _number(payload, 10, 8), _number(payload, 18, 2)
    count = 0 if count == 0xFFFF else count
    blocks: list[bytes] = []
    offset = 20
    while len(blocks) < count:
        length = _number(payload, offset, 2)
        if len(payload) - offset < 2 or offset + 2 + length > len(payload):
            break
        blocks.append(payload[offset + 2 : offset + 2 + length])
        offset += 2 + length
    whole = len(blocks) if count - skip <= EVENTS_MAX else min(len(blocks), skip + EVENTS_MAX - 1)
    for number in range(skip, whole):
        event, reason = _event(blocks[number], snapshot)
        events.append({"sequence": sequence + number, **event})
        if reason:
            refuse(reason)
        else:
            counts["messages"] += 1
            counts["by_type"][blocks[number][0]] = counts["by_type"].get(blocks[number][0], 0) + 1
    if whole < count and skip < count:
        refuse(12)
        first = max(skip, whole)
        events.append({"sequence": sequence + first, **_gap(count - first)})
    elif len(blocks) < count:
        refuse(12)
    elif offset != len(payload):
        refuse(13)
    return finish()
