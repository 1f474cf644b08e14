"""Source text of SBE kernels ④: load a field, ask whether it is there, walk a group, pass over variable data.

The one truth about the wire for everything generated: readers here, normalisers of feed definitions elsewhere. Every
function returns an expression or a list of lines without indentation of their own (`indent` adds it). In the text
`end` is the first address behind the message and `cursor` how far it has been walked; IMPORTS are the names it needs.
What a message lacks is told by its version alone: a block shorter than the fields of that version is refused, as
interpreter.py has it. `refuse` gives the statement that leaves with an enum feed_reason, as `return -37`.
Hard rule: a walk checks a whole block before anything loads from it; a load is emitted only behind such a check.
"""

import math
import struct
from collections.abc import Callable

from gateway.layout import value
from gateway.protocols.sbe.leaves import Leaf, leaves
from gateway.protocols.sbe.model import CONSTANT, PRIMITIVES, Composite, Data, Field, Group, Type, block_end

IMPORTS = """\
from gateway.core.memory import (
    copy_bytes,
    float32_of_bits,
    float64_of_bits,
    load_be16,
    load_be32,
    load_be64,
    load_be_i16,
    load_be_i32,
    load_i8,
    load_i16,
    load_i32,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    store_be16,
    store_be32,
    store_be64,
    store_i64,
    store_u8,
    store_u16,
    store_u32,
)
"""
INDENT = "    "
MESSAGE_LENGTH, GROUP_OVERRUN = value("FEED_MESSAGE_LENGTH"), value("FEED_GROUP_OVERRUN")
ROWS_FULL = value("FEED_EVENTS_FULL")
Lines = list[str]
Refuse = Callable[[int], str]


def indent(lines: Lines, depth: int = 1) -> Lines:
    """The same lines, `depth` levels further in."""
    return [INDENT * depth + line if line else line for line in lines]


def at(address: str, offset: int) -> str:
    """Text of an address `offset` bytes on."""
    return f"{address} + {offset}" if offset else address


def load_number(primitive: str, address: str, big_endian: bool) -> str:
    """Expression of one number: int64 (uint64: the same 64 bits), float64 for floats."""
    width, kind = PRIMITIVES[primitive]
    if kind == "float":
        bits = load_number("uint32" if width == 4 else "int64", address, big_endian)
        return f"float{8 * width}_of_bits({bits})"
    if width == 8:
        return f"load_be64({address})" if big_endian else f"load_i64({address})"
    if width == 1:
        return f"load_i8({address})" if kind == "int" else f"load_u8({address})"
    if big_endian:
        return f"load_be_i{8 * width}({address})" if kind == "int" else f"load_be{8 * width}({address})"
    return f"load_{'i' if kind == 'int' else 'u'}{8 * width}({address})"


def store_number(width: int, address: str, value: str, big_endian: bool) -> str:
    """Statement that stores the low `width` bytes of an int64 expression."""
    if width == 1:
        return f"store_u8({address}, {value})"
    if big_endian:
        return f"store_be{8 * width}({address}, {value})"
    return f"store_{'i' if width == 8 else 'u'}{8 * width}({address}, {value})"


def copy(target: str, source: str, size: int) -> str:
    """Statement that moves `size` bytes: one word where that is enough."""
    if size not in (1, 2, 4, 8):
        return f"copy_bytes({target}, {source}, {size})"
    return store_number(size, target, load_number(f"uint{8 * size}", source, False), False)


def load(leaf: Leaf, block: str, big_endian: bool, element: int = 0) -> str:
    """Expression of a leaf's number (of one element, for arrays) in the block at address `block`."""
    return load_number(leaf.primitive, at(block, leaf.offset + element * leaf.width), big_endian)


def present(leaf: Leaf, version: str = "version") -> str:
    """Condition under which a message of this version has the leaf; "True" where every version has."""
    return f"{version} >= {leaf.since}" if leaf.since else "True"


def all_present(all_leaves: list[Leaf], version: str = "version") -> str:
    """Condition under which it has every one of these leaves: to be asked once, in front of a loop."""
    since = max((leaf.since for leaf in all_leaves), default=0)
    return f"{version} >= {since}" if since else "True"


def block_least(fields: tuple[Field, ...], version: str = "version") -> str:
    """Expression of the bytes that a block of these fields has at least, by the acting version."""
    text = str(block_end(fields, 0))
    for since in sorted({field.since for field in fields if field.since}):
        end = block_end(fields, since)
        text = f"({end} if {version} >= {since} else {text})"
    return text


def check_block(fields: tuple[Field, ...], block_bytes: str, refuse: Refuse) -> Lines:
    """Lines that refuse a block shorter than the fields of the acting version."""
    least = block_least(fields)
    return [] if least == "0" else [f"if {block_bytes} < {least}:", INDENT + refuse(MESSAGE_LENGTH)]


def check_root(fields: tuple[Field, ...], block_bytes: str, size: str, refuse: Refuse, behind: int = 0) -> Lines:
    """Lines that refuse a root block that leaves the message, or is shorter than the fields of the acting version; and one
    that has not `behind` bytes behind it, which are a group's dimension. One question for a sound message.
    """
    least = block_least(fields)
    short = f"{block_bytes} > {size}" + (f" or {block_bytes} < {least}" if least != "0" else "")
    if not behind and least == "0":
        return [f"if {short}:", INDENT + refuse(MESSAGE_LENGTH)]
    terms = [f"({size} - {block_bytes} - {behind})" if behind else f"({size} - {block_bytes})"]
    if least != "0":
        terms.append(f"({block_bytes} - {least})")
    lines = [f"if ({' | '.join(terms)}) < 0:"]
    if not behind:
        return [*lines, INDENT + refuse(MESSAGE_LENGTH)]
    reasons = [f"if {short}:", INDENT + refuse(MESSAGE_LENGTH), "else:", INDENT + refuse(GROUP_OVERRUN)]
    return [*lines, *indent(reasons)]


def is_null(leaf: Leaf, value: str) -> str:
    """Condition under which a loaded value says null; "False" for a leaf without null value."""
    if leaf.null is None:
        return "False"
    if leaf.kind == "float":
        return f"{value} != {value}" if math.isnan(leaf.null) else f"{value} == {float(leaf.null)!r}"
    return f"{value} == {signed(int(leaf.null))}"


def signed(value: int) -> int:
    """A number as the loads give it: int64, for a uint64 the same 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def filler(leaf: Leaf) -> int:
    """What takes the place of a leaf that is not there, as the int64 of a load (of a float: its bits)."""
    if leaf.kind != "float":
        return signed(int(leaf.filler))
    single = leaf.width == 4
    return int(struct.unpack("<i" if single else "<q", struct.pack("<f" if single else "<d", leaf.filler))[0])


def find_leaf(fields: tuple[Field, ...], name: str) -> Leaf | None:
    """The leaf of this name: a field, a decimal field (its mantissa), or FIELD.MEMBER of a composite."""
    return next((leaf for leaf in leaves(fields) if leaf.name == name), None)


def find_constant(fields: tuple[Field, ...], name: str) -> int | float | str | None:
    """The value of a constant field, or of a constant member FIELD.MEMBER (as PRICE.exponent); None: there is none."""
    head, _, rest = name.partition(".")
    field = next((field for field in fields if field.name == head), None)
    if field is None:
        return None
    if rest and isinstance(field.type, Composite):
        return find_constant(field.type.members, rest)
    return field.constant if field.presence == CONSTANT and not rest else None


def count_leaves(group: Group) -> dict[str, Leaf]:
    """The leaves blockLength and numInGroup of a group's dimension, those that are not constant."""
    return {leaf.name: leaf for leaf in leaves(group.dimension.members) if leaf.name in ("blockLength", "numInGroup")}


def walk_group(
    group: Group,
    name: str,
    big_endian: bool,
    body: Callable[[str, str], Lines],
    refuse: Refuse,
    before: Lines | None = None,
    room: str = "",
    checked: bool = False,
) -> Lines:
    """Lines that read a group's dimension at `cursor` and run over its entries, leaving `cursor` behind it.

    `name` is an identifier of its own for each group walked at the same time: the text has variables NAME (the entry's
    address), NAME_bytes (block length on the wire) and NAME_count. `body(entry, bytes)` gives the lines for one entry,
    which find the entry's block checked; for a group with groups or data of its own it also has to walk these (see
    pass_inner). `before` stands between the dimension and the entries; `room` and `checked` are as in walk_dimension. The
    version check of the group is the caller's: `since_guard`.
    """
    head = walk_dimension(group, name, big_endian, refuse, room, checked) + (before or [])
    step = [f"{name} = cursor", f"cursor += {name}_bytes"]
    if group.groups or group.data:
        step = [f"if {name}_bytes > end - cursor:", INDENT + refuse(GROUP_OVERRUN), *step]
    return [*head, f"for _ in range({name}_count):", *indent(step + body(name, f"{name}_bytes"))]


def walk_dimension(
    group: Group, name: str, big_endian: bool, refuse: Refuse, room: str = "", checked: bool = False
) -> Lines:
    """Lines that read NAME_bytes and NAME_count at `cursor`, move it behind the dimension and check what can be checked
    for all entries at once: that their blocks fit into the message and are long enough for the version's fields, and, with
    `room`, an expression, that there are no more of them. One question for a sound group; the reason is found behind it.
    `checked`: that the dimension itself is inside has been asked before (check_root).
    """
    overrun = refuse(GROUP_OVERRUN)
    size, count, left = f"{name}_bytes", f"{name}_count", f"{name}_left"
    found = count_leaves(group)
    wire = {
        part: load(found[part], "cursor", big_endian) if part in found else str(constant_count(group, part))
        for part in ("blockLength", "numInGroup")
    }
    outside = [f"if end - cursor < {group.dimension.size}:", INDENT + overrun]
    lines = [
        *([] if checked else outside),
        f"{size} = {wire['blockLength']}",
        f"{count} = {wire['numInGroup']}",
        f"cursor += {group.dimension.size}",
        f"{left} = end - cursor",
    ]
    if any(leaf.width == 8 for leaf in found.values()):
        lines += [f"if {size} < 0 or {count} < 0:", INDENT + overrun]
    if "blockLength" in found and found["blockLength"].width >= 4:  # the product below would overflow
        lines += [f"if {count} > {left} or ({count} != 0 and {size} > {left}):", INDENT + overrun]
    return lines + _check_entries(block_least(group.fields), size, count, left, refuse, room)


def _check_entries(least: str, size: str, count: str, left: str, refuse: Refuse, room: str) -> Lines:
    """An entry counts as a byte at least, else a number alone could keep us busy. Each term is negative when it is amiss."""
    terms = [f"({left} - {count})", f"({left} - {size} * {count})"]
    reasons = [(f"{count} > {left} or {size} * {count} > {left}", GROUP_OVERRUN)]
    if least != "0":
        terms.append(f"(({size} - {least}) & -{count})")
        reasons.append((f"{count} != 0 and {size} < {least}", MESSAGE_LENGTH))
    if room:
        terms.append(f"({room} - {count})")
        reasons.append((f"{count} > {room}", ROWS_FULL))
    lines = [f"if ({' | '.join(terms)}) < 0:"]
    for index, (condition, reason) in enumerate(reasons):
        lines += indent([f"{'elif' if index else 'if'} {condition}:", INDENT + refuse(reason)])
    return lines


def constant_count(group: Group, name: str) -> int:
    """A count that the dimension does not carry: its constant, or 0, as the interpreter has it."""
    member = group.dimension.member(name)
    return int(member.constant or 0) if member is not None else 0


def since_guard(since: int, lines: Lines) -> Lines:
    """The lines, only for messages of version `since` and later."""
    return [f"if version >= {since}:", *indent(lines)] if since and lines else lines


def walk_data(data: Data, name: str, big_endian: bool, refuse: Refuse) -> Lines:
    """Lines that read variable data at `cursor`: NAME is the address of its bytes, NAME_bytes how many there are."""
    prefix, kind = data.composite.size, data.length.type
    assert isinstance(kind, Type)
    return [
        f"if end - cursor < {prefix}:",
        INDENT + refuse(GROUP_OVERRUN),
        f"{name}_bytes = {load_number(kind.primitive, at('cursor', data.length.offset), big_endian)}",
        f"{name} = cursor + {prefix}",
        f"if {name}_bytes < 0 or {name}_bytes > end - {name}:",
        INDENT + refuse(GROUP_OVERRUN),
        f"cursor = {name} + {name}_bytes",
    ]


def pass_inner(groups: tuple[Group, ...], data: tuple[Data, ...], name: str, big_endian: bool, refuse: Refuse) -> Lines:
    """Lines that pass over groups and variable data, as a message or an entry has them, without looking at any field."""
    lines: Lines = []
    for index, group in enumerate(groups):
        lines += since_guard(group.since, pass_group(group, f"{name}_{index}", big_endian, refuse))
    for index, item in enumerate(data):
        lines += since_guard(item.since, walk_data(item, f"{name}_data_{index}", big_endian, refuse))
    return lines


def pass_group(group: Group, name: str, big_endian: bool, refuse: Refuse) -> Lines:
    """Lines that pass over one group, as walk_group with nothing to do."""
    if not (group.groups or group.data):
        return [*walk_dimension(group, name, big_endian, refuse), f"cursor += {name}_bytes * {name}_count"]

    def inner(entry: str, entry_bytes: str) -> Lines:
        return pass_inner(group.groups, group.data, name, big_endian, refuse)

    return walk_group(group, name, big_endian, inner, refuse)
