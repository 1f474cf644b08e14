"""Generates a feed's decoder ④: definition and schema to the source of one kernel, packet in, struct event rows out.

    decode(decoder) ─ header, length, compression ─ frame by frame ─ message_N(state, …) ─ row_N_M(state, …) ─ write_event

The text follows the wire alone: every length is compared before what it bounds is read, and a message whose groups leave it
becomes one EVENT_GAP. Hard rule: what decode finds, gateway/venues/packets.py and the interpreter find too.
"""

from gateway.layout import value as enumerator
from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import INDENT, Lines, indent
from gateway.protocols.sbe.model import Data, Group, Message, Schema
from gateway.venues.definition import Definition
from gateway.venues.normaliser_packet import packet_text
from gateway.venues.normaliser_rows import row_function
from gateway.venues.plan import Plan, PlannedRow

VERSION = 1  # of the generated text: counts up with every change of it
MESSAGE_LENGTH = enumerator("FEED_MESSAGE_LENGTH")
GROUP_OVERRUN = enumerator("FEED_GROUP_OVERRUN")
IMPORTS = """\
from gateway.core.counters import add_to, count_reason
from gateway.core.decimals import REFUSED, units_from_double, units_from_text
from gateway.core.instruments import (
    SYMBOL_BYTES,
    define,
    price_exponent_of,
    quantity_exponent_of,
)
from gateway.core.kernel import kernel, leaf
from gateway.protocols.lz4 import unpack
from gateway.venues.normalising import (
    ABSENT,
    EVENTS_MAX,
    STATE,
    SUSPENDED,
    double_of_single,
    is_news,
    judge_price,
    other_encoding,
    plain_units,
    row_of_number,
    row_of_text,
    scaled,
    refuse_event,
    text_bytes,
    text_word,
    unsigned_units,
    write_event,
    write_gap,
    write_sequence,
)
"""


def source(definition: Definition, schema: Schema) -> str:
    """The text of a feed's decoder module. Raises ConfigurationError for a mapping that the schema does not carry."""
    plan = Plan(definition, schema)
    tables: dict[str, str] = {}
    functions = [message_text(plan, message, plan.rows.get(message.id, []), tables) for message in templates(plan)]
    looked_up = [f"@leaf\ndef {name}(code):\n{INDENT}{WHAT}\n{text}" for text, name in tables.items()]
    numba = "from numba import cfunc, types\n"
    title = f'"""Generated from feed {definition.name} and schema {schema.id}, version {schema.version}."""'
    parts = [
        f"{title}\n\n{numba}{emit.IMPORTS}{IMPORTS}",
        *looked_up,
        *functions,
        dispatch_text(plan),
        packet_text(definition, schema),
    ]
    return "\n\n\n".join(parts) + "\n\n\nentry = cfunc(types.int64(types.int64), cache=True)(decode)\n"


WHAT = '"""What a wire value means."""'


def templates(plan: Plan) -> list[Message]:
    """The templates that need a function: with framing those of the mapping, without it all, for where they end."""
    if plan.definition.framing is not None:
        return [message for message in plan.schema.messages.values() if message.id in plan.rows]
    return list(plan.schema.messages.values())


def dispatch_text(plan: Plan) -> str:
    """The function that calls the message's own: 0, SUSPENDED, -reason, or UNMAPPED for one that is only news of itself."""
    lines: Lines = ['"""The function of a template."""']
    for message in templates(plan):
        call = f"message_{message.id & 0xFFFFFFFF}(state, packet, header, block, block_bytes, version, end)"
        lines += [f"if template == {message.id}:", f"{INDENT}return {call}"]
    rest = [message.id for message in plan.schema.messages.values() if message.id not in {m.id for m in templates(plan)}]
    for first, last in _ranges(rest):
        lines += [f"if {first} <= template <= {last}:", f"{INDENT}return {UNMAPPED}"]
    lines.append(f"return {-enumerator('FEED_MESSAGE_UNKNOWN')}")
    head = "@kernel\ndef dispatch(state, template, packet, header, block, block_bytes, version, end):"
    return "\n".join([head, *indent(lines)])


UNMAPPED = 2


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    """Numbers as runs without a hole."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def message_text(plan: Plan, message: Message, rows: list[PlannedRow], tables: dict[str, str]) -> str:
    """A message's function and those of its rows."""
    big = plan.schema.big_endian
    lines: Lines = [f'"""Template {message.id}, {message.name}."""']
    lines += emit.check_block(message.fields, "block_bytes", refuse) if rows else []
    lines += ["if block_bytes < 0 or block_bytes > end - block:", f"{INDENT}return {-MESSAGE_LENGTH}"]
    lines += ["cursor = block + block_bytes", *structure(message.groups, message.data, "g", "d", big)]
    lines.append("store_i64(state + STATE.next, cursor)")
    if not rows:
        lines.append(f"return {UNMAPPED}")
    known = ["packet", "header", "block", "version", "end"]
    known += [f"g{index}_{what}" for index in range(len(message.groups)) for what in ("at", "bytes", "count")]
    known += [f"d{index}{what}" for index in range(len(message.data)) for what in ("", "_bytes")]
    functions: list[str] = []
    index = 0
    while index < len(rows):
        together = [rows[index]]
        while index + len(together) < len(rows) and rows[index + len(together)].groups == rows[index].groups:
            together.append(rows[index + len(together)])
        index += len(together)
        lines += _walk(plan, message, together, functions, tables, known, big)
    if rows:
        lines.append("return 0")
    head = f"@kernel\ndef message_{message.id & 0xFFFFFFFF}(state, packet, header, block, block_bytes, version, end):"
    return "\n\n\n".join([*functions, "\n".join([head, *indent(lines)])])


def _walk(
    plan: Plan,
    message: Message,
    rows: list[PlannedRow],
    functions: list[str],
    tables: dict[str, str],
    known: list[str],
    big: bool,
) -> Lines:
    """The rows of one block, entry by entry where it is a group's, in the order of the file."""

    def calls(names: list[str]) -> Lines:
        lines: Lines = []
        for row in rows:
            text, call = row_function(plan, row, f"row_{message.id & 0xFFFFFFFF}_{row.number}", tables, names)
            functions.append(text)
            lines += [f"if {call} != 0:", f"{INDENT}return SUSPENDED"]
        return lines

    def entries(level: int, groups: tuple[Group, ...], around: Message | Group, prefix: str, names: list[str]) -> Lines:
        if not groups:
            return calls(names)
        group = groups[0]
        name = f"{prefix}{around.groups.index(group)}"
        entry, inner = f"e{level}", f"e{level}_g"
        names = [*names, entry, *[f"{entry}_d{i}{what}" for i in range(len(group.data)) for what in ("", "_bytes")]]
        if not (group.groups or group.data):
            step = [f"{entry} = {name}_at + {name}_index * {name}_bytes"]
            return [f"for {name}_index in range({name}_count):", *indent([*step, *calls(names)])]
        cursor = f"cursor_{level}"
        step = [f"{entry} = {cursor}", f"cursor = {entry} + {name}_bytes"]
        step += structure(group.groups, group.data, inner, f"{entry}_d", big)
        step.append(f"{cursor} = cursor")
        body = [*step, *entries(level + 1, groups[1:], group, inner, names)]
        return [f"{cursor} = {name}_at", f"for {name}_index in range({name}_count):", *indent(body)]

    return entries(1, rows[0].groups, message, "g", known)


def refuse(reason: int) -> str:
    """The statement for a message that is not what its schema says."""
    return f"return {-reason}"


def structure(groups: tuple[Group, ...], data: tuple[Data, ...], prefix: str, data_prefix: str, big: bool) -> Lines:
    """Lines that find every group and data behind a block: PREFIXn_at, _bytes, _count; the cursor stands behind them."""
    lines: Lines = []
    for index, group in enumerate(groups):
        name = f"{prefix}{index}"
        found = [*emit.walk_dimension(group, name, big, refuse), f"{name}_at = cursor"]
        if group.groups or group.data:
            deeper = structure(group.groups, group.data, f"{name}_", f"{name}_d", big)
            step = [f"if {name}_bytes > end - cursor:", INDENT + refuse(GROUP_OVERRUN), f"cursor += {name}_bytes", *deeper]
            found += [f"for {name}_walk in range({name}_count):", *indent(step)]
        else:
            found.append(f"cursor += {name}_bytes * {name}_count")
        zero = [f"{name}_at, {name}_bytes, {name}_count = 0, 0, 0"] if group.since else []
        lines += zero + emit.since_guard(group.since, found)
    for index, item in enumerate(data):
        name = f"{data_prefix}{index}"
        zero = [f"{name}, {name}_bytes = 0, 0"] if item.since else []
        lines += zero + emit.since_guard(item.since, emit.walk_data(item, name, big, refuse))
    return lines
