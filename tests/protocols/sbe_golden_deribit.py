"""What an independent decoder printed for the Deribit captures: a tree of text, compared line by line, both ways.

Apart from any framing, as sbe_golden.py: it takes Printed rows. Every line below a message must be claimed by a field.
"""

import re
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path
from time import strptime
from typing import Any, NamedTuple

from gateway.protocols.sbe.model import Enum, Field, Group, Message, Schema
from tests.protocols.sbe_golden import Printed, read_text, wire_text

HEADER = {
    "Root Block Length": "blockLength",
    "Schema Id": "schemaId",
    "Version": "version",
    "Num Groups": "numGroups",
    "Num Vars": "numVarDataFields",
}
# golden label → our field, where it is not the field's name with its words apart
LABELS = {
    "Change ID": "changeId",
    "Currency Pair": "indexName",
    "Instrument Kind": "kind",
    "Minimum Trade Amount": "minTradeAmount",
    "Previous Change ID": "prevChangeId",
    "RFQ Side": "side",
    "RFQ State": "state",
    "Trade Direction": "direction",
    "Trade Sequence": "tradeSeq",
    "Implied Volatility": "iv",
    "Funding 8h": "funding8h",
    "Is Last Part": "isLast",
}
LABELS_SNAPSHOT = {"Is Last Part": "isLastInBook"}
TIMES = {
    "Timestamp": "timestampMs",
    "Creation Timestamp": "creationTimestampMs",
    "Expiration Timestamp": "expirationTimestampMs",
}
GROUP = {"Group Block Length", "Num In Group", "Group Num Groups", "Group Num Vars"}
CHANGES = {"new": "created", "change": "changed", "delete": "deleted"}
LINE = re.compile(r"(?:(new|change|delete) )?(?:(bid|ask) -|above) price : (\S+) (?:amount|tick_size) : (\S+)")


class Frame(NamedTuple):
    number: int
    header: dict[str, int]  # Packet Length, Channel Id, Channel Sequence
    messages: list[list[str]]  # lines below each message's name, stripped


def frames(path: Path) -> Iterator[Frame]:
    """The golden frames of a capture."""
    for part in re.split(r"^#frame ", read_text(path), flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines() if line.strip()]
        messages: list[list[str]] = []
        for line in lines[2:]:
            if line.startswith("    ") and line[4] != " ":
                messages.append([])
            else:
                messages[-1].append(line.strip())
        header = {name: int(text) for name, text in (line.split(": ") for line in messages[0])}
        yield Frame(int(lines[0]), header, messages[1:])


def same(field: Field, value: Any, text: str) -> bool:
    """Whether a printed value is what a golden text says."""
    if text in ("-nan", "nan"):
        return value is None
    if isinstance(field.type, Enum):
        return wire_text(field, value) == re.sub(r".*\((\d+)\)$", r"\1", text)
    if isinstance(value, float):
        return value == float(text)
    return wire_text(field, value) == text


def milliseconds(text: str) -> int:
    """Unix milliseconds of "Jun 15, 2023 19:42:29.956000000 UTC"."""
    whole, _, fraction = text.removesuffix(" UTC").partition(".")
    return timegm(strptime(whole, "%b %d, %Y %H:%M:%S")) * 1000 + int(fraction) // 10**6


def compare(schema: Schema, lines: list[str], message: Printed) -> int:
    """Asserts that a golden message and ours agree in every line and every value; returns the values compared."""
    template = schema.messages[message.template]
    left = _flat(template, message)
    rest = [line for line in lines if ":" in line or LINE.fullmatch(line)]
    for line in rest:
        if LINE.fullmatch(line):
            _compare_line(line, left)
        else:
            label, _, text = line.partition(":")
            _compare_leaf(template, label, text.strip(), left)
    assert not left, f"{template.name}: the golden output lacks {left}"
    return len(rest)


def _flat(template: Message, message: Printed) -> list[tuple[str, Field | None, Any]]:
    """(name, field, value) of the header and of every field in the order of the wire, groups' counts included."""
    row: list[tuple[str, Field | None, Any]] = [(name, None, message.header[name]) for name in HEADER.values()]
    row.insert(1, ("templateId", None, message.template))
    return row + _flat_block(template, message.values)


def _flat_block(block: Message | Group, values: Any) -> list[tuple[str, Field | None, Any]]:
    row: list[tuple[str, Field | None, Any]] = [(field.name, field, values[field.name]) for field in block.fields]
    for group in block.groups:
        counts = (group.block_length, len(values[group.name]), 0, 0)
        row += [(name, None, count) for name, count in zip(sorted(GROUP, key=_group_order), counts, strict=True)]
        for entry in values[group.name]:
            row += _flat_block(group, entry)
    return row + [(data.name, None, values[data.name]) for data in block.data]


def _group_order(label: str) -> int:
    return ("Group Block Length", "Num In Group", "Group Num Groups", "Group Num Vars").index(label)


def _compare_leaf(template: Message, label: str, text: str, left: list[tuple[str, Field | None, Any]]) -> None:
    """One line `label: text` against the next value of ours."""
    name, field, value = left.pop(0)
    if label == "Type":
        assert (name, f"({value})") == ("templateId", text.split()[-1]), text
        return
    known = LABELS_SNAPSHOT if template.name == "snapshot" else {}
    expected = known.get(label) or {**HEADER, **LABELS, **TIMES}.get(label) or _words_together(label)
    assert name in (expected, label), f"{template.name}: golden {label!r} met our {name!r}"
    if label in TIMES:
        assert value == milliseconds(text), f"{template.name}.{name}: {value} is not {text}"
    elif field is None:
        assert str(value) == text, f"{template.name}.{name}: {value} is not {text}"
    else:
        assert same(field, value, text), f"{template.name}.{name}: {value} is not {text}"


def _words_together(label: str) -> str:
    """ "Best Bid Price" → "bestBidPrice"."""
    words = label.split()
    return words[0].lower() + "".join(word.capitalize() for word in words[1:])


def _compare_line(line: str, left: list[tuple[str, Field | None, Any]]) -> None:
    """One price level in a line: change, side, price, amount."""
    found = LINE.fullmatch(line)
    assert found
    change, side, *numbers = found.groups()
    if side:
        assert left.pop(0)[2] == side, line
    if change:
        assert left.pop(0)[2] == CHANGES[change], line
    for text in numbers:
        name, field, value = left.pop(0)
        assert field is not None and same(field, value, text), f"{name}: {value} is not {text}"
