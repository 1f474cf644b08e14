"""The schemas of the link, by their numbers: slots, executions and quotes of native/layout/link.h, the bare event, and MBO.

    1 link_slot without its sequence   2 link_execution   3 link_quote   4 event   5 order records of DBN, 56 bytes

Hard rule: a layout is that of gateway.layout, so a change of a struct changes its schema; both sides then are of one build,
and say so (streams/record_layouts.py).
"""

import numpy as np

from gateway.layout import dtype, names, size, value
from gateway.link.compression import column_plan as plan
from gateway.link.compression.column_schema import Schema, Step

SCHEMA_LINK, SCHEMA_EXECUTIONS, SCHEMA_QUOTES, SCHEMA_EVENT, SCHEMA_MBO = 1, 2, 3, 4, 5
SEQUENCE_BYTES = 8  # of a link_slot: the batch says the first, the others follow
ORDER_KINDS = {
    "ADD": plan.CREATES,
    "EXECUTE": plan.REFERS,
    "REDUCE": plan.REFERS,
    "DELETE": plan.REFERS,
    "SET": plan.REFERS,
    "REPLACE": plan.RENAMES,
}
KINDS_FIRST = ("ADD", "DELETE", "LEVEL", "REDUCE", "SET", "EXECUTE", "TRADE")
NAMES = ((0, 1, 0), (0, 1, 0), (1, 2, 7), (0, 4, 1))  # default codes: (signed, code, floor)
PRICE = (1, 2, 0)


def _event_steps(prefix: str) -> list[Step]:
    """How a struct event is coded; `prefix` is its place in an outer struct."""
    return [
        Step(f"{prefix}kind", plan.RANK, ranks=[value(f"EVENT_{name}") for name in KINDS_FIRST]),
        Step(f"{prefix}sequence", grouped=True, default=(0, 3, 0)),
        Step(f"{prefix}time_venue_ns", grouped=True, scaled=True),
        Step(f"{prefix}time_receive_ns", grouped=True, scaled=True, beside=f"{prefix}time_venue_ns", default=(1, 1, 16)),
        Step(f"{prefix}instrument", default=(1, 1, 1)),
        Step(f"{prefix}other_id", prediction=plan.KIND, default=PRICE),
        Step(f"{prefix}order_id", plan.IDENTITY, defaults=NAMES),
        Step(f"{prefix}side", plan.RANK, plan.ORDER, absent=True, ranks=(1, 2, 0)),
        Step(f"{prefix}price", plan.DELTA, plan.ORDER, scaled=True, absent=True, default=PRICE),
        Step(f"{prefix}quantity", plan.PLAIN, scaled=True, absent=True, default=(0, 3, 0)),
        Step(f"{prefix}message_type", plan.RANK, plan.KIND, default=(0, 2, 0)),
        Step(f"{prefix}flags", plan.RANK, plan.KIND),
    ]


def _event_parts(prefix: str) -> dict:
    """What a schema with an event in it says beside its steps."""
    numbers = {text: number for number, text in names("event_kind", "EVENT_").items()}
    classes = {numbers[name]: meaning for name, meaning in ORDER_KINDS.items()}
    return {
        "kind": f"{prefix}kind",
        "classes": classes,
        "rename": f"{prefix}other_id",
        "symbol": f"{prefix}instrument",
        "side": f"{prefix}side",
    }


def _without_sequence(struct: str) -> np.dtype:
    """The layout of a struct behind its first word."""
    whole = dtype(struct)
    places = dict(whole.fields or {})
    kept = [name for name in whole.names or () if name != "sequence"]
    return np.dtype(
        {
            "names": kept,
            "formats": [places[name][0] for name in kept],
            "offsets": [places[name][1] - SEQUENCE_BYTES for name in kept],
            "itemsize": size(struct) - SEQUENCE_BYTES,
        }
    )


def _slot() -> Schema:
    own = [
        Step("size", first=1),
        Step("source_sequence", plan.PLAIN),
        Step("arrivals"),
        Step("time_ns", grouped=True, beside="event.time_receive_ns"),
    ]
    return Schema(
        SCHEMA_LINK, "link_slot", _without_sequence("link_slot"), [*_event_steps("event."), *own], **_event_parts("event.")
    )


def _execution() -> Schema:
    steps = [
        Step("sequence", step=1),
        Step("time_ns", scaled=True, default=(0, 2, 16)),
        Step("time_venue_ns", scaled=True, beside="time_ns", default=(1, 1, 14)),
        Step("price", scaled=True, default=PRICE),
        Step("quantity", plan.PLAIN, scaled=True),
        Step("side", plan.RANK, ranks=(1, 2, 0)),
    ]
    return Schema(SCHEMA_EXECUTIONS, "link_execution", dtype("link_execution"), steps)


def _quote() -> Schema:
    prices = [
        Step("bid_price", scaled=True),
        *(Step(name, beside="bid_price", scaled=True) for name in ("ask_price", "last_price")),
    ]
    sizes = [Step(name, plan.PLAIN, scaled=True) for name in ("bid_quantity", "ask_quantity")]
    return Schema(
        SCHEMA_QUOTES, "link_quote", dtype("link_quote"), [Step("time_ns", scaled=True, default=(0, 2, 16)), *prices, *sizes]
    )


MBO = np.dtype(
    "u1,u1,<u2,<u4,<u8,<u8,<i8,<u4,u1,u1,u1,u1,<u8,<i4,<u4",
)
MBO.names = (
    *("length", "rtype", "publisher", "instrument", "ts_event", "order_id", "price", "size"),
    *("flags", "channel", "action", "side", "ts_recv", "ts_in_delta", "sequence"),
)


def _mbo() -> Schema:
    """Order by order as Databento records it: a schema of somebody else's record, and what M32 is measured on."""
    steps = [
        Step("action", plan.RANK, ranks=b"ACMTFR"),
        *(Step(name, first=first) for name, first in (("length", 14), ("rtype", 160), ("publisher", 1), ("channel", 0))),
        Step("instrument"),
        Step("ts_event", grouped=True, scaled=True, default=(0, 2, 16)),
        Step("ts_recv", grouped=True, beside="ts_event", default=(1, 1, 14)),
        Step("ts_in_delta", grouped=True, default=(1, 3, 11)),
        Step("sequence", grouped=True, step=1),
        Step("order_id", plan.IDENTITY, defaults=((0, 1, 0), (0, 1, 0), (1, 5, 3), (0, 1, 0))),
        Step("side", plan.RANK, plan.ORDER, ranks=b"BAN", default=(0, 0, 1)),
        Step("price", plan.DELTA, plan.ORDER, scaled=True, default=(1, 1, 0)),
        Step("size", plan.PLAIN, first=1),
        Step("flags", plan.RANK, plan.FOLLOW, first=130, ranks=(130, 0, 40, 128), default=(0, 0, 1)),
    ]
    classes = dict.fromkeys(b"CMTF", plan.REFERS) | {ord("A"): plan.CREATES}
    return Schema(SCHEMA_MBO, "mbo", MBO, steps, kind="action", classes=classes, symbol="instrument", side="side")


SCHEMAS = (
    _slot(),
    _execution(),
    _quote(),
    Schema(SCHEMA_EVENT, "event", dtype("event"), _event_steps(""), **_event_parts("")),
    _mbo(),
)
