"""Generates readers ④: a schema's model to Python source of numba kernels, one `read_NAME` per message.

    read_NAME(address, size, block_length, version, root, ROWS, ROWS_max, …) -> int64

`address` is the first byte of the root block and `size` what the message may take from there; block length and version
are the message header's. Rows go to `root` and to the array of each group, depth first, ROWS_max rows at most (layouts:
rows.py). Returns the bytes consumed, or -(enum feed_reason): MESSAGE_LENGTH, the root block leaves the message;
GROUP_OVERRUN, a group or variable data does; EVENTS_FULL, a group has more entries than there are rows.

Hard rule: the text has one check per root block and one per group, and no load without one before it. A version that
has every field this schema knows takes a loop without any question; an older one takes the loop that asks per field.
"""

import re

from gateway.protocols.sbe import emit
from gateway.protocols.sbe.emit import Lines, at, indent
from gateway.protocols.sbe.model import Data, Message, Schema
from gateway.protocols.sbe.rows import WORD_BYTES, Block, Inner, Place, Slot, layout_of, runs

VERSION = 1  # of the generated text: counts up with every change of it


def refuse(reason: int) -> str:
    """The statement with which a kernel refuses a message."""
    return f"return {-reason}"


def identifier(name: str) -> str:
    """A name of the schema as part of a Python name."""
    return re.sub(r"\W", "_", name)


def reader_name(message: Message) -> str:
    """Name of a message's reader in the generated module."""
    return f"read_{identifier(message.name)}"


def arguments(root: Block) -> Lines:
    """Names of the arrays of rows of a message's groups, in the order of the kernel's arguments."""
    return [f"rows_{identifier(block.path)}" for block in root.blocks()]


def reader(message: Message, big_endian: bool) -> str:
    """Source of one reader."""
    root = layout_of(message)
    arrays = arguments(root)
    parameters = ["address", "size", "block_length", "version", "root"]
    parameters += [name for array in arrays for name in (array, f"{array}_max")]
    first = message.groups[0].dimension.size if _begins_with_group(message) else 0
    body = [*emit.check_root(message.fields, "block_length", "size", refuse, first), "end = address + size"]
    body += [f"{array}_used = 0" for array in arrays]
    body += _block(root, "root", "address", big_endian)
    if root.acting is not None:
        body += _words(root.acting, "root", ["version"])
    inside = _inside(root, "root", big_endian, bool(first))
    body += ["cursor = address + block_length", *inside, "return cursor - address"]
    head = f"def {reader_name(message)}({', '.join(parameters)}):"
    return "\n".join([head, *indent([f'"""Template {message.id}."""', *body])]) + "\n"


def _begins_with_group(message: Message) -> bool:
    """Whether a group's dimension stands behind the root block in every version."""
    return bool(message.groups) and not message.groups[0].since


def _inside(block: Block, row: str, big_endian: bool, checked: bool = False) -> Lines:
    """Groups and variable data behind a block, into their rows and into the words of `row`."""
    lines: Lines = []
    for index, inner in enumerate(block.inner):
        group = _group(inner, row, big_endian, checked and index == 0)
        lines += _absent_when_old(inner.group.since, group, inner.place, row)
    for item, place in block.data:
        lines += _absent_when_old(item.since, _data(item, place, row, big_endian), place, row)
    return lines


def _absent_when_old(since: int, lines: Lines, place: Place, row: str) -> Lines:
    if not since:
        return lines
    zero = _words(place, row, ["0"] * len(place.names))
    return [*emit.since_guard(since, lines), "else:", *indent(zero)]


def _group(inner: Inner, row: str, big_endian: bool, checked: bool) -> Lines:
    block, group = inner.block, inner.group
    array, entry = f"rows_{identifier(block.path)}", f"at_{identifier(block.path)}"
    target = f"row_{identifier(block.path)}"
    room = f"{array}_max - {array}_used"
    before = [
        *_words(inner.place, row, [f"{array}_used", f"{entry}_count"]),
        f"{target} = {array} + {array}_used * {block.size}",
        f"{array}_used += {entry}_count",
    ]
    if block.inner or block.data:

        def nested(address: str, length: str) -> Lines:
            lines = _block(block, target, address, big_endian)
            return [*lines, *_inside(block, target, big_endian), f"{target} += {block.size}"]

        return emit.walk_group(group, entry, big_endian, nested, refuse, before, room, checked)
    dimension = emit.walk_dimension(group, entry, big_endian, refuse, room, checked)
    return [*dimension, *before, *_flat_entries(block, entry, target, big_endian)]


def _flat_entries(block: Block, entry: str, target: str, big_endian: bool) -> Lines:
    """Entries without groups: the question whether every field is there is asked once, in front of them."""
    step = [f"cursor += {entry}_bytes", f"{target} += {block.size}"]
    whole = emit.all_present(block.leaves)
    loop = f"for _ in range({entry}_count):"
    straight = [loop, *indent([*_straight(block, target, "cursor", big_endian), *step])]
    if whole == "True":
        return straight
    asking = [loop, *indent([*_asking(block, target, "cursor", big_endian), *step])]
    return [f"if {whole}:", *indent(straight), "else:", *indent(asking)]


def _block(block: Block, row: str, address: str, big_endian: bool) -> Lines:
    """One block into its row: straight when the version has every field, else field by field."""
    whole = emit.all_present(block.leaves)
    straight = _straight(block, row, address, big_endian)
    if whole == "True":
        return straight
    return [f"if {whole}:", *indent(straight), "else:", *indent(_asking(block, row, address, big_endian))]


def _straight(block: Block, row: str, address: str, big_endian: bool) -> Lines:
    """Every leaf to its slot, neighbours together where row and wire agree."""
    lines: Lines = []
    for run in runs(block, big_endian):
        if len(run) == 1:
            lines += _copy_slot(run[0], row, address, big_endian)
        else:
            size = sum(slot.size for slot in run)
            lines.append(emit.copy(at(row, run[0].offset), at(address, run[0].leaf.offset), size))
    return lines


def _copy_slot(slot: Slot, row: str, address: str, big_endian: bool) -> Lines:
    """One leaf: a number is loaded and stored, text and arrays of the same byte order are copied."""
    leaf = slot.leaf
    if leaf.length > 1 and (leaf.width == 1 or not big_endian):
        return [emit.copy(at(row, slot.offset), at(address, leaf.offset), slot.size)]
    width = slot.size // leaf.length
    return [
        emit.store_number(width, at(row, slot.offset + index * width), _bits(leaf, address, index, big_endian), False)
        for index in range(leaf.length)
    ]


def _bits(leaf: emit.Leaf, address: str, index: int, big_endian: bool) -> str:
    """The loaded pattern: floats move as integers."""
    primitive = f"uint{8 * leaf.width}" if leaf.kind == "float" else leaf.primitive
    return emit.load_number(primitive, at(address, leaf.offset + index * leaf.width), big_endian)


def _asking(block: Block, row: str, address: str, big_endian: bool) -> Lines:
    """Leaf by leaf, with the null value for one that the version does not have."""
    lines: Lines = []
    for slot in block.slots:
        move = _copy_slot(slot, row, address, big_endian)
        condition = emit.present(slot.leaf)
        if condition != "True":
            move = [f"if {condition}:", *indent(move), "else:", *indent(_fill(slot, row))]
        lines += move
    return lines


def _fill(slot: Slot, row: str) -> Lines:
    width = slot.size // slot.leaf.length
    filler = str(emit.filler(slot.leaf))
    return [
        emit.store_number(width, at(row, slot.offset + index * width), filler, False) for index in range(slot.leaf.length)
    ]


def _data(item: Data, place: Place, row: str, big_endian: bool) -> Lines:
    name = f"data_{identifier(item.name)}"
    walk = emit.walk_data(item, name, big_endian, refuse)
    return [*walk, *_words(place, row, [f"{name} - address", f"{name}_bytes"])]


def _words(place: Place, row: str, values: Lines) -> Lines:
    return [
        emit.store_number(WORD_BYTES, at(row, place.offset + WORD_BYTES * index), value, False)
        for index, value in enumerate(values)
    ]


def readers(schema: Schema) -> dict[int, str]:
    """Source of every reader, by template id."""
    return {message.id: reader(message, schema.big_endian) for message in schema.messages.values()}
