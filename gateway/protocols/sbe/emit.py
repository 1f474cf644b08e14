"""Source text of SBE kernels ④: load a field, ask whether it is there, walk a group, pass over variable data.

The one truth about the wire for everything generated: readers here, normalisers of feed definitions elsewhere. Every
function returns an expression or a list of lines without indentation of their own (`indent` adds it). In the text
`end` is the first address behind the message and `cursor` how far it has been walked; IMPORTS are the names it needs.
Hard rule: a walk checks a whole block before anything loads from it; a load is emitted only behind such a check.
"""

import math
import struct
from collections.abc import Callable

from gateway.protocols.sbe.leaves import Leaf, leaves
from gateway.protocols.sbe.model import CONSTANT, PRIMITIVES, Composite, Data, Field, Group

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
Lines = list[str]


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


def present(leaf: Leaf, block_bytes: str, version: str) -> str:
    """Condition under which a block of the wire's length and version has the leaf at all."""
    newer = [f"{version} >= {leaf.since}"] if leaf.since else []
    return " and ".join([*newer, f"{block_bytes} >= {leaf.end}"])


def all_present(all_leaves: list[Leaf], block_bytes: str, version: str) -> str:
    """Condition under which a block has every one of these leaves: to be asked once, in front of a loop."""
    if not all_leaves:
        return "True"
    since = max(leaf.since for leaf in all_leaves)
    newer = [f"{version} >= {since}"] if since else []
    return " and ".join([*newer, f"{block_bytes} >= {max(leaf.end for leaf in all_leaves)}"])


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


def dimension(group: Group) -> tuple[Leaf, Leaf]:
    """Leaves blockLength and numInGroup of a group's dimension composite."""
    found = {leaf.name: leaf for leaf in leaves(group.dimension.members)}
    return found["blockLength"], found["numInGroup"]


def walk_group(
    group: Group, name: str, big_endian: bool, body: Callable[[str, str], Lines], refuse: str, before: Lines | None = None
) -> Lines:
    """Lines that read a group's dimension at `cursor` and run over its entries, leaving `cursor` behind it.

    `name` is an identifier of its own for each group walked at the same time: the text has variables NAME (the entry's
    address), NAME_bytes (block length on the wire) and NAME_count. `body(entry, bytes)` gives the lines for one entry,
    which find the entry's block checked; for a group with groups or data of its own it also has to walk these (see
    walk_inner). `before` stands between the dimension and the entries. `refuse` is the statement for a group that leaves
    the message (`return -FEED_GROUP_OVERRUN`). The version check of the group is the caller's: `since_guard`.
    """
    head = walk_dimension(group, name, big_endian, refuse) + (before or [])
    inner = body(name, f"{name}_bytes")
    flat = not (group.groups or group.data)
    step = [f"{name} = cursor", f"cursor += {name}_bytes"]
    if not flat:
        step = [f"if {name}_bytes > end - cursor:", INDENT + refuse, *step]
    return [*head, f"for _ in range({name}_count):", *indent(step + inner)]


def walk_dimension(group: Group, name: str, big_endian: bool, refuse: str) -> Lines:
    """Lines that read NAME_bytes and NAME_count at `cursor`, move it behind the dimension and check what can be checked
    for all entries at once: that they fit, each with its block and the least that its groups and data take.
    """
    length, count = dimension(group)
    lines = [
        f"if end - cursor < {group.dimension.size}:",
        INDENT + refuse,
        f"{name}_bytes = {load(length, 'cursor', big_endian)}",
        f"{name}_count = {load(count, 'cursor', big_endian)}",
        f"cursor += {group.dimension.size}",
    ]
    if length.width == 8 or length.kind == "int" or count.width == 8 or count.kind == "int":
        lines += [f"if {name}_bytes < 0 or {name}_count < 0:", INDENT + refuse]
    # an entry takes a byte or more, else a count alone could keep us busy; and the product below cannot overflow then
    lines += [f"if {name}_count > end - cursor:", INDENT + refuse]
    if length.width + count.width >= 8:
        lines += [f"if {name}_count != 0 and {name}_bytes > end - cursor:", INDENT + refuse]
    return [*lines, f"if {name}_bytes * {name}_count > end - cursor:", INDENT + refuse]


def since_guard(since: int, lines: Lines) -> Lines:
    """The lines, only for messages of version `since` and later."""
    return [f"if version >= {since}:", *indent(lines)] if since else lines


def walk_data(data: Data, name: str, big_endian: bool, refuse: str) -> Lines:
    """Lines that read variable data at `cursor`: NAME is the address of its bytes, NAME_bytes how many there are."""
    prefix = data.data.offset
    length = load_number(data.length.type.primitive, at("cursor", data.length.offset), big_endian)  # type: ignore[union-attr]
    return [
        f"if end - cursor < {prefix}:",
        INDENT + refuse,
        f"{name}_bytes = {length}",
        f"{name} = cursor + {prefix}",
        f"if {name}_bytes < 0 or {name}_bytes > end - {name}:",
        INDENT + refuse,
        f"cursor = {name} + {name}_bytes",
    ]


def pass_inner(groups: tuple[Group, ...], data: tuple[Data, ...], name: str, big_endian: bool, refuse: str) -> Lines:
    """Lines that pass over groups and variable data, as a message or an entry has them, without looking at any field."""
    lines: Lines = []
    for index, group in enumerate(groups):
        lines += since_guard(group.since, pass_group(group, f"{name}_{index}", big_endian, refuse))
    for index, item in enumerate(data):
        lines += since_guard(item.since, walk_data(item, f"{name}_data_{index}", big_endian, refuse))
    return lines


def pass_group(group: Group, name: str, big_endian: bool, refuse: str) -> Lines:
    """Lines that pass over one group, as walk_group with nothing to do."""
    if not (group.groups or group.data):
        return [*walk_dimension(group, name, big_endian, refuse), f"cursor += {name}_bytes * {name}_count"]

    def inner(entry: str, entry_bytes: str) -> Lines:
        return pass_inner(group.groups, group.data, name, big_endian, refuse)

    return walk_group(group, name, big_endian, inner, refuse)
