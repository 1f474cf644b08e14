"""An order's whole life as one dict, from the journal, its context, and what control wrote by itself: `gateway order`.

Prices and quantities are whole numbers as they travelled; `price_exponent` says what a price counts. Stamps of a decision
are nanoseconds since its frame was received. Hard rule: what the journal does not know is null, never a guess; without a
disciplined clock the time of an event is UNPROVEN.
"""

from datetime import UTC, datetime
from typing import Any

from gateway import layout
from gateway.core.order_frames import client_order_id
from gateway.ops.control_life import ControlLines, OrderLines, decision_of
from gateway.ops.order_lines import reason_names, report_name
from gateway.ops.order_search import DECISION, Found, JournalIndex
from gateway.sections import PRICE_EXPONENT

SECOND_NS, MICROSECOND_NS = 1_000_000_000, 1_000
INTENTS = layout.names("intent_kind", "INTENT_")
SIDES = layout.names("event_side", "SIDE_")
LIVES = layout.names("time_in_force", "TIME_")
OPENING = {layout.value("INTENT_NEW"), layout.value("INTENT_REPLACE")}
REFUSALS = layout.names("refusal_reason", "REFUSAL_")
OWN_STATES = {"UNKNOWN": "unknown", "WORKING": "working"}
REJECTED = ord("J")  # its reason is a number, the others' a letter
STRATEGY_SHIFT = 32  # the strategy's row stands above the reference
CONTROL_ROW = layout.value("GATE_STRATEGIES") - 1
PROVEN, UNPROVEN = "PROVEN", "UNPROVEN"
UNHEARD: dict[str, Any] = dict.fromkeys(
    ("signal", "instrument", "replaces", "replaced_by")
)  # of an order the journal does not know


class Context:
    """The lines of journal.jsonl, asked by record number."""

    def __init__(self, rows: list[dict[str, Any]]):
        self._rows = rows

    def latest(self, kind: str, record: int, **fields: Any) -> dict[str, Any]:
        """The last line of `kind` that holds at `record`; empty: there is none."""
        for row in reversed(self._rows):
            if row["kind"] == kind and row["record"] <= record and all(row.get(key) == fields[key] for key in fields):
                return row
        return {}


def life_of(
    index: JournalIndex, rows: list[dict[str, Any]], found: Found, control: ControlLines | None = None
) -> dict[str, Any]:
    """Everything about what an id was found to mean."""
    context, control = Context(rows), control or ControlLines(index, rows, [])
    orders, refused = {}, []
    for reference in found.references:
        lines = control.of(found.run, reference, index.story(found.run, reference))
        orders[reference] = order_of(index, context, control, found.run, reference, lines)
        if lines.refused:  # of the same reference, and it never left
            other = OrderLines(lines.refused, None, [], [])
            refused.append(order_of(index, context, control, found.run, reference, other))
    _link(orders)
    told = [*orders.values(), *refused]
    return {"meaning": found.meaning, "run": found.run, "runs": list(found.runs), "orders": told}


def _link(orders: dict[int, dict[str, Any]]) -> None:
    """Says in an order by which other it was replaced, where the venue agreed to it."""
    for reference, order in orders.items():
        old = orders.get(order["replaces"] or 0)
        if old is not None and any(event["event"] == "report" and event["type"] == "U" for event in order["events"]):
            old["replaced_by"] = reference
            if old["state"] in ("sent", "working", "partly filled"):
                old["state"] = "replaced"


def order_of(
    index: JournalIndex, context: Context, control: ControlLines, run: int, reference: int, lines: OrderLines
) -> dict[str, Any]:
    """One order: its terms, where it stands, the fields of an order record, and every event."""
    numbers = lines.numbers
    events = [event_of(context, number, index.records[number]) for number in numbers]
    _insert(context, index, control, lines, events)
    last = numbers[-1] if numbers else index.span(run)[0] if run < len(index.starts) else -1
    about = context.latest("run", last)
    terms = _terms(context, _opening(index, numbers), last, about) if numbers else dict(UNHEARD)
    if lines.sent is not None:
        terms |= _terms_sent(lines.sent)
    head = {"reference": reference, "client_order_id": _client_order_id(about, reference, terms["strategy_row"])}
    stand = standing(events)
    return head | terms | stand | {"record": record_fields(about, terms, events[0]), "events": events}


def _opening(index: JournalIndex, numbers: list[int]) -> Any:
    """The record that says most of what the order is: its decision, else one behind its adoption, else the first."""
    rows = [index.records[number] for number in numbers]
    opening = next((row for row in rows if row["kind"] == DECISION and int(row["intent"]["kind"]) in OPENING), None)
    return opening if opening is not None else next((row for row in rows if row["intent"]["instrument"]), rows[0])


def _last_of(index: JournalIndex, run: int) -> int:
    """The last record of a run, to ask the clock by; -1: it has none, and nothing is known of its clock."""
    first, end = index.span(run) if run < len(index.starts) else (0, 0)
    return end - 1 if end > first else -1


def _insert(
    context: Context, index: JournalIndex, control: ControlLines, lines: OrderLines, events: list[dict[str, Any]]
) -> None:
    """Puts what control wrote among the journal's events: the sending first, the rest by its time."""
    for line in ([lines.sent] if lines.sent is not None else []) + lines.others:
        said = decision_of(line)
        number = _last_of(index, control.run_of(line))
        event = {"sequence": None, **_times(context, number, line["time_ns"]), **said}
        after = (place for place, other in enumerate(events) if other["time_ns"] > line["time_ns"])
        events.insert(0 if line is lines.sent else next(after, len(events)), event)


def _client_order_id(run: dict[str, Any], reference: int, strategy: int) -> str | None:
    if "site" not in run or "epoch" not in run:
        return None
    return client_order_id(run["site"], run["epoch"], reference | strategy << STRATEGY_SHIFT)


def _terms(context: Context, row: Any, record: int, run: dict[str, Any]) -> dict[str, Any]:
    intent = row["intent"]
    instrument, strategy = int(intent["instrument"]), int(intent["strategy"])
    signal, replaces = int(intent["signal_id"]), int(intent["order_reference"])
    return {
        "signal": signal or None,
        "instrument": instrument,
        "symbol": context.latest("instrument", record, instrument=instrument).get("symbol"),
        "strategy": run.get("strategies", {}).get(str(strategy), "control" if strategy == CONTROL_ROW else None),
        "strategy_row": strategy,
        "side": SIDES.get(int(intent["side"]), "").lower() or None,
        "quantity": int(intent["quantity"]),
        "price": int(intent["price"]),
        "price_exponent": run.get("price_exponent"),
        "time_in_force": LIVES.get(int(intent["time_in_force"]), str(int(intent["time_in_force"]))).lower(),
        "replaces": replaces or None,
        "replaced_by": None,
    }


def _terms_sent(line: dict[str, Any]) -> dict[str, Any]:
    """What control's own line says of the order it sent."""
    names = ("client_order_id", "symbol", "side", "quantity", "price", "time_in_force")
    return {name: line.get(name) for name in names} | {
        "strategy": "control",
        "strategy_row": CONTROL_ROW,
        "price_exponent": PRICE_EXPONENT,
    }


def record_fields(run: dict[str, Any], terms: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """What order-record rules ask for: who, for whom, by which algorithm, in what capacity, how long, when, which number."""
    written = run.get("records", {})
    return {
        "firm": written.get("firm") or None,
        "client": written.get("client") or None,
        "decision_maker": written.get("decision_maker") or None,
        "execution_algorithm": written.get("execution_algorithm") or terms["strategy"],
        "capacity": run.get("capacity"),
        "validity": terms["time_in_force"],
        "utc": first["utc"],
        "utc_state": first["utc_state"],
        "sequence": first["sequence"],
    }


def event_of(context: Context, number: int, row: Any) -> dict[str, Any]:
    """One record. `sequence` is its place in the journal, from 1."""
    head = {"sequence": number + 1, **_times(context, number, int(row["time_ns"]))}
    market = {name: int(row[name]) for name in ("bid", "ask", "position")}
    return head | (_decision(context, number, row) if row["kind"] == DECISION else _report(row)) | market


def _times(context: Context, number: int, time_ns: int) -> dict[str, Any]:
    """When, by the instance's clock; what is known of that clock's offset to UTC, and how sure that is."""
    state = context.latest("clock", number)
    offset_ns, error_us = state.get("offset_ns"), state.get("error_us")
    moment_ns = time_ns - (offset_ns or 0)
    stamp = datetime.fromtimestamp(moment_ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "time_ns": time_ns,
        "utc": f"{stamp}.{moment_ns % SECOND_NS // MICROSECOND_NS:06d}Z",
        "utc_offset_ns": offset_ns,
        "utc_error_us": error_us,
        "utc_state": PROVEN if state.get("disciplined") else UNPROVEN,
    }


def _decision(context: Context, number: int, row: Any) -> dict[str, Any]:
    intent, refused_by = row["intent"], reason_names(int(row["reasons"]))
    return {
        "event": "decision",
        "intent": INTENTS.get(int(intent["kind"]), "NONE").lower(),
        "passed": not refused_by,
        "refused_by": refused_by,
        "signal": int(intent["signal_id"]) or None,
        "quantity": int(intent["quantity"]),
        "price": int(intent["price"]),
        "limits_version": int(row["match"]),
        "control": None,
        "stamps_ns": stamps(context.latest("run", number), row),
    }


def stamps(run: dict[str, Any], row: Any) -> dict[str, int | None]:
    """Since the frame that caused it was received: when it was decoded, when the order was ready or refused."""
    multiplier = run.get("clock", {}).get("multiplier")
    receive = int(row["ticks_receive"])

    def since(name: str) -> int | None:
        ticks = int(row[name])
        return (ticks - receive) * multiplier >> 32 if multiplier and receive and ticks else None

    return {"receive": since("ticks_receive"), "decode": since("ticks_decode"), "order": since("ticks_order")}


def _report(row: Any) -> dict[str, Any]:
    kind, flags = int(row["reasons"]), int(row["flags"])
    reason = None if not flags else flags if kind == REJECTED else chr(flags)
    facts = {name: int(row[name]) or None for name in ("price", "quantity", "match", "venue_order_id", "time_venue_ns")}
    own = REFUSALS.get(kind)
    head = {"event": "report", "report": report_name(kind), "type": None if own else chr(kind), "refusal": own}
    return head | {"reason": reason} | facts


def standing(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Where the order stands by its events: state, what filled and for how much, the venue's own id."""
    state, venue_order_id = "unheard of", None
    fills: dict[int, tuple[int, int]] = {}
    quantity, opening = 0, 0
    for event in events:
        if event["event"] == "decision":
            if event["intent"] in ("new", "replace"):
                quantity = opening = event["quantity"]
                state = "sent" if event["passed"] else "refused"
            continue
        kind, amount = event["type"], event["quantity"] or 0
        venue_order_id = event["venue_order_id"] or venue_order_id
        if kind in ("A", "U"):
            quantity, state = amount, "working"
        elif kind == "E" and event["match"] is not None:
            fills[event["match"]] = (amount, event["price"] or 0)
        elif kind == "B":
            fills.pop(event["match"], None)
        elif kind in ("C", "D"):
            quantity -= amount
            state = "cancelled" if quantity <= sum(size for size, _ in fills.values()) else state
        elif kind == "M":
            quantity = amount
        elif kind == "J":
            state = "rejected"
        elif kind is None:
            state = OWN_STATES.get(event["refusal"], "not sent")
    filled = sum(size for size, _ in fills.values())
    if filled and state in ("sent", "working", "unknown", "unheard of"):
        state = "filled" if filled >= (quantity or opening) > 0 else "partly filled"
    notional = sum(size * price for size, price in fills.values())
    average = notional / filled if filled else None
    return {"venue_order_id": venue_order_id, "state": state, "filled": filled, "average_price": average}
