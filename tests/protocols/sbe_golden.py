"""What an independent decoder printed for the SBE captures, compared with decoded messages, both ways.

Apart from any framing: it takes Printed rows, whoever made them (the interpreter, or `gateway decode`). A golden value that
no rule here claims fails, and so does a value of ours that the golden output lacks.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from gateway.protocols.sbe.model import Composite, Enum, Field, Group, Message, Schema, Set


class Printed(NamedTuple):
    template: int
    header: Mapping[str, Any]  # blockLength, schemaId, version …: those that are printed
    values: Mapping[str, Any]


def read_text(path: Path) -> str:
    """A golden file's text, unpacked."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def wire_text(field: Field, value: Any) -> str:
    """A printed value as the independent decoder has it: the wire's number, null too; text and decimals as they are."""
    kind = field.type
    if isinstance(kind, Set):
        return str(sum(1 << bit for bit, name in kind.choices if name in value))
    if value is None:
        assert field.null is not None, f"{field.name} is null, though it cannot be"
        return str(field.null)
    if isinstance(kind, Enum):
        wire = {name: number for number, name in kind.values}.get(value, value)
        return chr(wire) if kind.primitive == "char" else str(wire)
    return str(value)


def same(ours: str, theirs: str) -> bool:
    """Equal text or equal numbers."""
    if ours == theirs:
        return True
    try:
        return Decimal(ours) == Decimal(theirs)
    except ArithmeticError:
        return False


# CME ------------------------------------------------------------------------------------------------------------------

# columns of the frame, which the caller gives; the others are one for every field of every message
CME_FRAME = ("frame.number", "frame.time_epoch", "udp.dstport")
# by schema version: fields whose optional type has a column of its own, which some golden files leave out
CME_OPTIONAL = {
    6: {"MDEntryPx", "MDEntrySize"},
    9: {"MDEntryPx", "MDEntrySize", "NumberOfOrders", "OrderID", "MDDisplayQty"},
}


def cme_rows(path: Path) -> list[dict[str, str]]:
    """One row for each frame of the capture, column names without their prefix."""
    rows = csv.DictReader(read_text(path).splitlines())
    return [{name if name in CME_FRAME else name.rsplit(".", 1)[1]: text for name, text in row.items()} for row in rows]


def cme_column(field: Field, version: int) -> str:
    """The golden column of a field: named after it, apart where the type is another."""
    if field.name in CME_OPTIONAL[version] and field.presence == "optional":
        return f"{field.name.lower()}optional"
    if field.name == "MDEntryType":
        return field.type.name.lower()
    return field.name.lower()


def cme_frame(schema: Schema, messages: list[Printed], columns: set[str]) -> dict[str, list[str]]:
    """What each golden column must hold for these messages, in the order of the wire."""
    found: dict[str, list[str]] = {column: [] for column in columns}
    for message in messages:
        template = schema.messages[message.template]
        found["templateid"].append(str(message.template))
        found["blocklength"].append(str(message.header["blockLength"]))
        _cme_block(schema.version, template, message.values, found)
    return found


def _cme_block(version: int, block: Message | Group, values: Mapping[str, Any], found: dict[str, list[str]]) -> None:
    for field in block.fields:
        column = cme_column(field, version)
        if field.presence != "constant" and column in found:
            found[column] += _cme_text(field, values[field.name])
    for group in block.groups:
        found["blocklength"].append(str(group.block_length))
        found["numingroup"].append(str(len(values[group.name])))
        for entry in values[group.name]:
            _cme_block(version, group, entry, found)


def _cme_text(field: Field, value: Any) -> list[str]:
    """CME's decoder prints sets in words; an empty set and a null decimal not at all."""
    if isinstance(field.type, Set):
        return ["|".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) for name in value)] if value else []
    if isinstance(field.type, Composite) and value is None:
        return []
    return [wire_text(field, value)]


def compare_cme(schema: Schema, row: Mapping[str, str], messages: list[Printed], extra: Mapping[str, str]) -> int:
    """Asserts that a golden row and the messages of its frame agree; `extra` has the columns of frame and packet. Returns
    the values compared."""
    columns = set(row) - set(extra)
    found = cme_frame(schema, messages, columns)
    for name, text in extra.items():
        assert row[name] == text, f"{name}: {row[name]} is not {text}"
    count = len(extra)
    for name in columns:
        theirs = row[name].split(";") if row[name] else []
        ours = found[name]
        assert len(ours) == len(theirs), f"frame {row['frame.number']} {name}: {ours} is not {theirs}"
        for one, other in zip(ours, theirs, strict=True):
            assert same(one, other), f"frame {row['frame.number']} {name}: {one!r} is not {other!r} in {ours}, {theirs}"
        count += len(ours)
    return count


# Euronext Optiq -------------------------------------------------------------------------------------------------------

# golden leaf → our field, where it is more than a matter of case
OPTIQ_FIELDS = {"quantityoptional": "quantity", "blocklengthshort": "blocklength"}


def optiq_packets(path: Path) -> list[tuple[dict[str, str], list[list[tuple[str, str]]]]]:
    """(leaves of the packet header, leaves of each message) of every golden frame; names without their prefix."""
    packets = []
    for frame in json.loads(read_text(path)):
        body = next(value for name, value in frame.items() if name != "frame")
        tree = {name.rsplit(".", 1)[-1]: value for name, value in body.items()}
        header = dict(_leaves(tree["marketdatapacketheader_tree"]))
        packets.append((header, [list(_leaves(row)) for row in tree["optiqmessage_tree"]]))
    return packets


def _leaves(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(last word of the name, text) of every leaf that is no heading of a subtree."""
    for name, value in node.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                yield from _leaves(part)
            elif f"{name}_tree" not in node:
                yield name.rsplit(".", 1)[-1], part


def compare_optiq(schema: Schema, theirs: list[tuple[str, str]], message: Printed) -> int:
    """Asserts that a golden message and ours agree leaf by leaf; returns the leaves compared."""
    template = schema.messages[message.template]
    ours = [(name.lower(), str(message.header[name])) for name in ("blockLength", "templateId", "schemaId", "version")]
    ours += _optiq_block(template, message.values)
    named = [(OPTIQ_FIELDS.get(name, name), text) for name, text in theirs if name != "frame"]
    assert named == ours
    return len(named)


def _optiq_block(block: Message | Group, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    row = [(field.name.lower(), wire_text(field, values[field.name])) for field in block.fields]
    for group in block.groups:
        entries = values[group.name]
        row += [("blocklength", str(group.block_length)), ("numingroup", str(len(entries)))]
        for index, entry in enumerate(entries, 1):
            row += [(f"{block.name}sGroupIndex".lower(), str(index)), *_optiq_block(group, entry)]
    return row
