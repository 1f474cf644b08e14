"""Rows ④: what a generated reader writes and a generated encoder reads, native-endian, one layout per block of a message.

A message is one root row, and per group (nested ones too) an array of entry rows in the order of the wire. Every number
has its own width at its natural alignment, in schema order; the mantissa of a decimal is 64 bits wide. Behind the leaves:

    GROUP.first, GROUP.count      entries [first, first + count) of that group's array
    DATA.offset, DATA.length      variable data, counted from the first byte of the root block
    @version                      of the root row only: the version that the message was read with

Numbers are the wire's: null is the null value, enums and sets are integers, a decimal is its mantissa. Whether a message
had a field at all follows from its version. Hard rule: readers, encoders and dictionaries take
offsets from here and nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.protocols.sbe.leaves import Leaf, leaves
from gateway.protocols.sbe.model import Data, Field, Group, Message

WORD_BYTES = 4  # of positions and lengths
CODES = {"char": "u", "int": "i", "uint": "u", "float": "f"}


@dataclass(frozen=True)
class Slot:
    """Where a leaf stands in its row, and the numpy format it has there."""

    leaf: Leaf
    offset: int
    size: int
    format: str | tuple[str, tuple[int]]


@dataclass(frozen=True)
class Place:
    """Where a row keeps the words of a group or of variable data: a name each, 32 bits, one after another."""

    offset: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Inner:
    """A group of a block: the model's group, the layout of its entries, where the block's row tells of it."""

    group: Group
    block: "Block"
    place: Place


@dataclass(frozen=True)
class Block:
    """The row layout of a message's root or of a group's entries. `path` joins the names of nested groups by "_"."""

    path: str
    fields: tuple[Field, ...]
    slots: tuple[Slot, ...]
    inner: tuple[Inner, ...]
    data: tuple[tuple[Data, Place], ...]
    acting: Place | None  # of the root: version
    size: int

    @cached_property
    def leaves(self) -> list[Leaf]:
        """The leaves of the block."""
        return [slot.leaf for slot in self.slots]

    @cached_property
    def dtype(self) -> np.dtype:
        """The numpy structured dtype of a row."""
        columns = [(slot.leaf.name, slot.format, slot.offset) for slot in self.slots]
        for place in self._places():
            columns += [(name, "u4", place.offset + WORD_BYTES * index) for index, name in enumerate(place.names)]
        names, formats, offsets = zip(*columns, strict=True) if columns else ((), (), ())
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": self.size})

    def _places(self) -> Iterator[Place]:
        yield from (inner.place for inner in self.inner)
        yield from (place for _, place in self.data)
        if self.acting is not None:
            yield self.acting

    def blocks(self) -> Iterator["Block"]:
        """The layouts of all groups below, a group before the groups inside it: the order of a kernel's arguments."""
        for inner in self.inner:
            yield inner.block
            yield from inner.block.blocks()


def layout_of(message: Message) -> Block:
    """The root layout of a message, its groups' layouts inside."""
    return _block("", message.fields, message.groups, message.data, root=True)


def runs(block: Block, big_endian: bool) -> Iterator[list[Slot]]:
    """The slots of a block, in runs that can be moved as one piece: plain bytes, side by side in row and wire."""
    run: list[Slot] = []
    for slot in block.slots:
        if run and not _continues(run[-1], slot, big_endian):
            yield run
            run = []
        run.append(slot)
    if run:
        yield run


def _continues(last: Slot, slot: Slot, big_endian: bool) -> bool:
    plain = all(one.size == one.leaf.size and (one.leaf.width == 1 or not big_endian) for one in (last, slot))
    return plain and last.leaf.end == slot.leaf.offset and last.offset + last.size == slot.offset


def _block(path: str, fields: tuple[Field, ...], groups: tuple[Group, ...], data: tuple[Data, ...], root: bool) -> Block:
    slots, end = _slots(fields)
    inner, behind = [], []
    end = _aligned(end, WORD_BYTES)
    for group in groups:
        below = f"{path}_{group.name}" if path else group.name
        place = Place(end, (f"{group.name}.first", f"{group.name}.count"))
        inner.append(Inner(group, _block(below, group.fields, group.groups, group.data, root=False), place))
        end += WORD_BYTES * len(place.names)
    for item in data:
        behind.append((item, Place(end, (f"{item.name}.offset", f"{item.name}.length"))))
        end += WORD_BYTES * 2
    acting = Place(end, ("@version",)) if root else None
    end += WORD_BYTES if root else 0
    return Block(path, fields, slots, tuple(inner), tuple(behind), acting, max(_aligned(end, 8), 8))


def _slots(fields: tuple[Field, ...]) -> tuple[tuple[Slot, ...], int]:
    slots, end = [], 0
    for leaf in leaves(fields):
        width = 8 if leaf.mantissa else leaf.width
        begin = _aligned(end, width)
        slots.append(Slot(leaf, begin, width * leaf.length, _format(leaf, width)))
        end = begin + width * leaf.length
    return tuple(slots), end


def _format(leaf: Leaf, width: int) -> str | tuple[str, tuple[int]]:
    if leaf.kind == "char" and leaf.length > 1:
        return f"S{leaf.length}"
    code = "i" if leaf.mantissa and leaf.width < 8 else CODES[leaf.kind]
    return f"{code}{width}" if leaf.length == 1 else (f"{code}{width}", (leaf.length,))


def _aligned(offset: int, width: int) -> int:
    return -(-offset // width) * width
