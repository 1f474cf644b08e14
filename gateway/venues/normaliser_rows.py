"""Source text of one row of a mapping ④: from the fields of a message, or of an entry of its group, to one event.

Part of the normaliser generator (normaliser.py); the values are normaliser_values.py's. Hard rule: what the event needs and
the message does not have, or has beyond its bounds, makes EVENT_GAP of that instrument, and is counted.
"""

import re

from gateway.layout import value as enumerator
from gateway.protocols.sbe.emit import INDENT, Lines, indent
from gateway.venues.definition import MapRow
from gateway.venues.normaliser_units import AmountText
from gateway.venues.normaliser_values import KINDS, REQUEUED, WORDS, ZEROED
from gateway.venues.plan import Plan, PlannedRow

LEVELS = ("level", "levels_from", "levels_through", "level_overlay")
PRICED = ("add", "replace", "level", "level_overlay", "trade")
COUNTED = ("add", "execute", "reduce", "replace", "set", "trade", "level", "level_overlay")
NAMELESS = ("system", "information", "clear")  # events that may concern no instrument
OF_SNAPSHOT, FLAG_REQUEUED = enumerator("EVENT_OF_SNAPSHOT"), enumerator("EVENT_REQUEUED")
PRICE_KEPT = -(1 << 63)  # EVENT_SET: the order keeps its price
FLAG_PRICED, LOST = enumerator("EVENT_PRICED"), enumerator("EVENT_LOST")


def row_function(plan: Plan, planned: PlannedRow, name: str, tables: dict[str, str], known: list[str]) -> tuple[str, str]:
    """(source, call) of a row: a function of what it reads of `known`. It returns 0, or SUSPENDED."""
    text = AmountText(plan, planned, tables)
    _body(text, planned.row)
    body = "\n".join(text.lines)
    needs = [argument for argument in known if re.search(rf"\b{argument}\b", body)]
    head = f"def {name}({', '.join(['state', *needs])}):"
    title = f'"""map[{planned.number}] on {planned.message.name}{"." + planned.row.group if planned.row.group else ""}."""'
    source = "\n".join(["@kernel", head, *indent([title, *text.lines])])
    return source, f"{name}({', '.join(['state', *needs])})"


def _body(text: AmountText, row: MapRow) -> None:
    for name, condition in row.when.items():
        test = text.condition(name, condition)
        text.say(f"if not ({test}):", f"{INDENT}return 0")
    kind = text.code("event", row.event, WORDS["event"])
    constant = row.event.constant is not None
    if not constant:
        text.say(f"if {kind} == ABSENT:", f"{INDENT}return 0")
    kinds = _kinds(row)
    side = "0" if row.side is None else text.code("side", row.side, WORDS["side"])
    if row.side is not None and row.side.constant is None:
        text.say(f"if {side} == ABSENT:", f"{INDENT}return 0")
    text.say("instruments = load_i64(state + STATE.instruments)")
    _instrument(text, row, kinds)
    time = text.plain("time", row.time)
    order_id, other_id, price, quantity = _numbers(text, row, kinds, kind, time)
    flags = f"{OF_SNAPSHOT if row.snapshot else 0}"
    if row.requeued or any(KINDS[name] & REQUEUED for name in kinds):
        flags += f" | ({FLAG_REQUEUED} if ({kind}) & {REQUEUED} or {row.requeued} else 0)"
    if "execute" in kinds and row.price is not None:
        flags += f" | ({FLAG_PRICED} if ({kind}) & 0xFF == {KINDS['execute']} and not price_null else 0)"
    numbers = f"{price}, {quantity}, {order_id}, {other_id}, {time}"
    text.say(f"return write_event(state, row, ({kind}) & 0xFF, {side}, {flags}, {numbers})")


def _kinds(row: MapRow) -> list[str]:
    """Every event a row may become."""
    words = [row.event.constant, row.event.default, *(row.event.values or {}).values()]
    return [str(word) for word in words if word is not None]


def _instrument(text: AmountText, row: MapRow, kinds: list[str]) -> None:
    """`row` becomes the instrument's row; -1 leaves the mapping with the reason counted."""
    if row.instrument is None:
        if any(kind not in NAMELESS for kind in kinds):
            raise text.fail("instrument", f"an event {kinds[0]!r} needs one; write instrument = FIELD")
        text.say("row = 0")
        if "clear" in kinds:
            # of every book of the channel: nothing is believed until it is told anew
            text.say(f"return write_event(state, 0, {enumerator('EVENT_GAP')}, 0, {LOST}, 0, 0, 0, 0, 0)")
        return
    layer = text.plain("layer", row.layer)
    found = text.text("instrument", row.instrument)
    if found is not None:
        look_up = f"row_of_text(state, {found[0]}, {found[1]}, LAYER)"
    else:
        identifier = text.needed("instrument", row.instrument)
        look_up = f"row_of_number(state, {identifier}, LAYER)"
    text.say(f"row = {look_up.replace('LAYER', layer)}", "if row < 0:", f"{INDENT}return 0")
    text.say(f"layer = {layer}")
    text.look_up = look_up


def _numbers(text: AmountText, row: MapRow, kinds: list[str], kind: str, time: str) -> tuple[str, str, str, str]:
    """Expressions of order_id, other_id, price and quantity, by what the events of this row mean by them."""
    only = kinds[0] if len(set(kinds)) == 1 else ""
    if only == "instrument":
        return _definition(text, row)
    if only == "status":
        if row.state is None:
            raise text.fail("state", "an event 'status' needs it; write state = { field = …, values = { … } }")
        state = text.code("state", row.state, WORDS["state"])
        text.say(f"if {state} == ABSENT:", f"{INDENT}return 0")
        return "0", "0", "0", state
    if only == "snapshot_begin":
        return (
            "0",
            text.plain("instrument_sequence", row.instrument_sequence),
            "0",
            text.plain("stream_sequence", row.stream_sequence, -1),
        )
    if only == "checksum":
        return "0", "0", "0", text.plain("checksum", row.checksum)
    sequence = text.plain("instrument_sequence", row.instrument_sequence)
    if only == "instrument_sequence":
        previous = text.plain("previous_sequence", row.previous_sequence, -1)
        text.say(f"if {sequence} == 0:", f"{INDENT}return 0")
        if row.previous_sequence is None:
            previous = f"{sequence} - 1"
        return previous, sequence, text.plain("first_sequence", row.first_sequence), "0"
    return _moves(text, row, kinds, kind, sequence, time)


def _moves(
    text: AmountText, row: MapRow, kinds: list[str], kind: str, sequence: str, time: str
) -> tuple[str, str, str, str]:
    """Orders, levels, prints: price and quantity, their doubt, and the sequence of the instrument in front."""
    levels = [name for name in kinds if KINDS[name] & 0xFF in {KINDS[level] for level in LEVELS}]
    text.say(f"kind = ({kind}) & 0xFF")
    price, quantity = _amount(text, row, "price", PRICED), _amount(text, row, "quantity", COUNTED)
    if "level_delete" in kinds and quantity.startswith("v"):
        text.say(f"if ({kind}) & {ZEROED}:", f"{INDENT}{quantity}, {quantity}_status, {quantity}_null = 0, 0, False")
    for name, needed in ((price, PRICED), (quantity, COUNTED)):
        if name.startswith("v"):
            wanted = " or ".join(f"kind == {KINDS[word]}" for word in needed)
            text.say(
                f"if {name}_status == REFUSED or ({name}_null and ({wanted})):", f"{INDENT}return refuse_event(state, row)"
            )
    if price.startswith("v"):
        text.say(f"if kind == {KINDS['set']} and {price}_null:", f"{INDENT}{price} = {PRICE_KEPT}")
        text.say(f"if not {price}_null:", f"{INDENT}judge_price(state, row, {price}, {price}_status)")
    is_level = " or ".join(f"kind == {KINDS[word]}" for word in LEVELS)
    order_id = text.plain("order_id", row.order_id)
    other_id = text.plain("match", row.match) if row.new_order_id is None else text.plain("new_order_id", row.new_order_id)
    if levels:
        orders, position = text.plain("orders", row.orders), text.plain("position", row.position)
        text.say(f"order_id, other_id = {order_id}, {other_id}", f"if {is_level}:")
        text.say(f"{INDENT}order_id = ({orders} & 0xFFFFFFFF) | (({position} & 0x7FFFFFFF) << 32)", f"{INDENT}other_id = 0")
        order_id, other_id = "order_id", "other_id"
    if row.instrument_sequence is not None:
        _sequence_in_front(text, row, sequence, is_level if levels else "False", time, other_id)
    return order_id, other_id, price, quantity


def _sequence_in_front(text: AmountText, row: MapRow, sequence: str, is_level: str, time: str, other_id: str) -> None:
    """Levels of layer 0 carry their instrument's sequence themselves; before anything else it is an event of its own."""
    lines: Lines
    if is_level != "False":
        text.say(f"if layer == 0 and ({is_level}):", f"{INDENT}{other_id} = {sequence}")
        lines = [f"elif {sequence} != 0:"]
    else:
        lines = [f"if {sequence} != 0:"]
    first = text.look_up.replace("LAYER", "0")
    lines += [
        f"{INDENT}first_row = row if layer == 0 else {first}",
        f"{INDENT}if first_row >= 0 and write_sequence(state, first_row, {sequence}, 0, 0, {time}) != 0:",
        f"{INDENT * 2}return SUSPENDED",
        f"{INDENT}if kind == {KINDS['instrument_sequence']}:",
        f"{INDENT * 2}return 0",
    ]
    text.say(*lines)


def _amount(text: AmountText, row: MapRow, key: str, needed: tuple[str, ...]) -> str:
    """Variable of the price or the quantity; "0" where the mapping names none."""
    source = getattr(row, key)
    kinds_of_set = set(_kinds(row)) <= {"set", "set_requeued"}
    if source is None:
        kinds = [kind for kind in _kinds(row) if kind in needed and not (key == "price" and kind == "trade")]
        if kinds:
            raise text.fail(key, f"an event {kinds[0]!r} needs it; write {key} = FIELD")
        if key == "price":
            text.say("price_null = True")
            return str(PRICE_KEPT) if kinds_of_set else "0"
        return "0"
    name = text.units(key, source, f"{key}_exponent_of(instruments, row)")
    if key == "price":
        text.say(f"price_null = {name}_null")
    return name


def _definition(text: AmountText, row: MapRow) -> tuple[str, str, str, str]:
    """A definition goes to the table of instruments at once; its event says tick and lot."""
    exponents = {}
    for key in ("price_exponent", "quantity_exponent"):
        source = getattr(row, key)
        kept = f"{key}_of(instruments, row)"
        exponents[key] = kept
        if source is not None:
            if source.constant is not None:
                text.say(f"{key} = {text.plain(key, source)}")
            else:
                code = text.whole(key, source)
                text.say(f"{key} = {kept} if {code}_null else {code}")
            exponents[key] = key
    amounts = []
    for key, exponent in (("tick", "price_exponent"), ("lot", "quantity_exponent")):
        source = getattr(row, key)
        if source is None:
            amounts.append("0")
            continue
        name = text.units(key, source, exponents[exponent])
        text.say(f"if {name}_status == REFUSED or {name}_null:", f"{INDENT}{name} = 0")
        amounts.append(name)
    symbol = ("0", "0")
    if row.symbol is not None:
        found = text.text("symbol", row.symbol)
        if found is None:
            raise text.fail("symbol", "that field is no text")
        symbol = found
    tick, lot = amounts
    symbol_bytes = f"min({symbol[1]}, SYMBOL_BYTES)"
    call = f"define(instruments, row, {tick}, {lot}, {exponents['price_exponent']}, {exponents['quantity_exponent']}"
    text.say(f"if is_news(state) and {call}, {symbol[0]}, {symbol_bytes}) == 0:", f"{INDENT}return refuse_event(state, row)")
    return f"text_word({symbol[0]}, {symbol[1]})", "0", tick, lot
