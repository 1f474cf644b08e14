"""Generates encoders ④: a schema's model to Python source of numba kernels, one `write_NAME` per message.

    write_NAME(address, capacity, root, ROWS, …, data) -> int64

The inverse of the readers, from the same rows (rows.py): message header, root block, groups, variable data, in the
schema's own version and block lengths. Entries come from [first, first + count) of each group's array; the bytes of variable
data from `data` + its offset. Returns the bytes written, or -(enum feed_reason): EVENTS_FULL, they do not fit into
`capacity`; MESSAGE_FIELD, more entries or bytes than their count can say.

Header and dimension members other than the standard's are known by name (numGroups, numVarDataFields, MESSAGE_LENGTHS), the
rest are zero, and so is padding. Hard rule: one check of the room per block, no store without one before it.
"""

from collections.abc import Iterable

from gateway.layout import value
from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import INDENT, Lines, at, indent
from gateway.protocols.sbe.generator import arguments, identifier
from gateway.protocols.sbe.leaves import Leaf, leaves
from gateway.protocols.sbe.model import MESSAGE_LENGTHS, Composite, Data, Message, Schema, Type
from gateway.protocols.sbe.rows import WORD_BYTES, Block, Inner, Place, Slot, layout_of, runs

FULL, FIELD = value("FEED_EVENTS_FULL"), value("FEED_MESSAGE_FIELD")
NO_ROOM = f"{INDENT}return {-FULL}"
TOO_MANY = f"{INDENT}return {-FIELD}"


def writer_name(message: Message) -> str:
    """Name of a message's encoder in the generated module."""
    return f"write_{identifier(message.name)}"


def writer(schema: Schema, message: Message) -> str:
    """Source of one encoder."""
    root, big_endian = layout_of(message), schema.big_endian
    head = schema.header.size
    known = {
        "blockLength": message.block_length,
        "templateId": message.id,
        "schemaId": schema.id,
        "version": schema.version,
        "numGroups": len(message.groups),
        "numVarDataFields": len(message.data),
    }
    body = [f"if capacity < {head + message.block_length}:", NO_ROOM, "end = address + capacity"]
    body += _composite(schema.header, "address", {name: str(number) for name, number in known.items()}, big_endian)
    body += [f"cursor = address + {head}", *_block(root, "root", message.block_length, big_endian)]
    body += [*_inside(root, "root", big_endian)]
    total = next((leaf for leaf in leaves(schema.header.members) if leaf.name in MESSAGE_LENGTHS), None)
    if total is not None:
        body.append(emit.store_number(total.width, at("address", total.offset), "cursor - address", big_endian))
    parameters = ["address", "capacity", "root", *arguments(root), "data"]
    definition = f"def {writer_name(message)}({', '.join(parameters)}):"
    text = [f'"""Template {message.id}."""', *body, "return cursor - address"]
    return "\n".join([definition, *indent(text)]) + "\n"


def _composite(composite: Composite, address: str, known: dict[str, str], big_endian: bool) -> Lines:
    """A header or dimension: what is known by name, zeros elsewhere."""
    found = list(leaves(composite.members))
    lines = _zeros(found, composite.size, address)
    for leaf in found:
        lines.append(emit.store_number(leaf.width, at(address, leaf.offset), known.get(leaf.name, "0"), big_endian))
    return lines


def _block(block: Block, row: str, size: int, big_endian: bool) -> Lines:
    """One block at `cursor`, which is moved behind it."""
    lines = _zeros(block.leaves, size, "cursor")
    for run in runs(block, big_endian):
        if len(run) == 1:
            lines += _slot(run[0], row, big_endian)
        else:
            total = sum(slot.size for slot in run)
            lines.append(emit.copy(at("cursor", run[0].leaf.offset), at(row, run[0].offset), total))
    return [*lines, f"cursor += {size}"] if size else lines


def _slot(slot: Slot, row: str, big_endian: bool) -> Lines:
    leaf = slot.leaf
    if leaf.length > 1 and (leaf.width == 1 or not big_endian):
        return [emit.copy(at("cursor", leaf.offset), at(row, slot.offset), slot.size)]
    width = slot.size // leaf.length
    lines: Lines = []
    for index in range(leaf.length):
        bits = emit.load_number(f"uint{8 * width}", at(row, slot.offset + index * width), False)
        lines.append(emit.store_number(leaf.width, at("cursor", leaf.offset + index * leaf.width), bits, big_endian))
    return lines


def _zeros(found: Iterable[Leaf], size: int, address: str) -> Lines:
    """Zeros where a block of `size` bytes has no leaf."""
    lines: Lines = []
    end = 0
    for begin, behind in [*sorted((leaf.offset, leaf.end) for leaf in found), (size, size)]:
        while end < begin:
            width = next(width for width in (8, 4, 2, 1) if width <= begin - end)
            lines.append(emit.store_number(width, at(address, end), "0", False))
            end += width
        end = max(end, behind)
    return lines


def _inside(block: Block, row: str, big_endian: bool) -> Lines:
    lines: Lines = []
    for inner in block.inner:
        lines += _group(inner, row, big_endian)
    for item, place in block.data:
        lines += _data(item, place, row, big_endian)
    return lines


def _word(row: str, place: Place, index: int) -> str:
    return emit.load_number("uint32", at(row, place.offset + WORD_BYTES * index), False)


def _group(inner: Inner, row: str, big_endian: bool) -> Lines:
    group, block = inner.group, inner.block
    name = identifier(block.path)
    counter = emit.count_leaves(group).get("numInGroup")
    known = {
        "blockLength": str(group.block_length),
        "numInGroup": f"count_{name}",
        "numGroups": str(len(group.groups)),
        "numVarDataFields": str(len(group.data)),
    }
    lines = [
        f"count_{name} = {_word(row, inner.place, 1)}",
        f"row_{name} = rows_{name} + {_word(row, inner.place, 0)} * {block.size}",
        f"if count_{name} > {_most(counter)}:",
        TOO_MANY,
        f"if end - cursor < {group.dimension.size} + count_{name} * {group.block_length}:",
        NO_ROOM,
        *_composite(group.dimension, "cursor", known, big_endian),
        f"cursor += {group.dimension.size}",
        f"for _ in range(count_{name}):",
    ]
    entry: Lines = []
    if block.inner or block.data:
        entry += [f"if end - cursor < {group.block_length}:", NO_ROOM]
    entry += _block(block, f"row_{name}", group.block_length, big_endian)
    entry += [*_inside(block, f"row_{name}", big_endian), f"row_{name} += {block.size}"]
    return [*lines, *indent(entry)]


def _most(leaf: Leaf | None) -> int:
    """The largest number that a leaf says; rows count to 32 bits."""
    if leaf is None:
        return 0
    bits = 8 * leaf.width - (leaf.kind == "int")
    return min((1 << bits) - 1, (1 << 32) - 1)


def _data(item: Data, place: Place, row: str, big_endian: bool) -> Lines:
    name = f"data_{identifier(item.name)}"
    prefix, kind = item.composite.size, item.length.type
    assert isinstance(kind, Type)
    bits = 8 * kind.size
    return [
        f"{name}_bytes = {_word(row, place, 1)}",
        f"if {name}_bytes > {min((1 << bits) - 1, (1 << 32) - 1)}:",
        TOO_MANY,
        f"if end - cursor < {prefix} + {name}_bytes:",
        NO_ROOM,
        emit.store_number(kind.size, at("cursor", item.length.offset), f"{name}_bytes", big_endian),
        f"copy_bytes({at('cursor', prefix)}, data + {_word(row, place, 0)}, {name}_bytes)",
        f"cursor += {prefix} + {name}_bytes",
    ]


def writers(schema: Schema) -> dict[int, str]:
    """Source of every encoder, by template id."""
    return {message.id: writer(schema, message) for message in schema.messages.values()}
