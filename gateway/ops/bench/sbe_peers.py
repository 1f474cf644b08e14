"""What the suite `sbe` is compared with besides C: rows made by plain numpy, and sbedecoder of PyPI.

Hard rule: the reference knows the schema's model and nothing of emitters or kernels.
"""

import hashlib
import importlib.util
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gateway.errors import CapabilityError
from gateway.ops.bench.sbe_kernel import TEMPLATES
from gateway.ops.bench.sbe_stream import PACKET_HEADER_BYTES, SIZE_BYTES, Stream
from gateway.protocols.sbe.leaves import leaves
from gateway.protocols.sbe.model import Field, Message
from gateway.protocols.sbe.rows import Block, layout_of

# sbedecoder's names of what is compared, and ours in the capture's schema
COMPARED = {"security_id": "SecurityID", "rpt_seq": "RptSeq", "md_entry_px": "MDEntryPx", "md_entry_size": "MDEntrySize"}
PRICE_UNITS = 10**7


def messages_of(stream: Stream) -> Iterator[tuple[int, int, int, bytes]]:
    """(template, block length, version, body) of every message that the suite reads."""
    data = stream.data.tobytes()
    head = stream.schema.header.size
    for begin, size in zip(stream.offsets.tolist(), stream.sizes.tolist(), strict=True):
        at = begin + PACKET_HEADER_BYTES
        while at < begin + size:
            length, block_length, template, _, version = struct.unpack_from("<HHHHH", data, at)
            if template in TEMPLATES:
                yield template, block_length, version, data[at + SIZE_BYTES + head : at + length]
            at += length


def reference_rows(stream: Stream) -> dict[int, list[np.ndarray]]:
    """By template: root rows, then the rows of each group, as right readers write them."""
    readers = {template: _Reference(stream.schema.messages[template]) for template in TEMPLATES}
    for template, block_length, version, body in messages_of(stream):
        readers[template].read(block_length, version, body)
    return {template: one.rows() for template, one in readers.items()}


class _Reference:
    """The rows of one template, message by message."""

    def __init__(self, message: Message):
        self.message, self.root = message, layout_of(message)
        self.layouts = [self.root, *(inner.block for inner in self.root.inner)]
        self.pieces: list[list[bytes]] = [[] for _ in self.layouts]
        self.wires: dict[tuple[str, int], np.dtype] = {}

    def read(self, block_length: int, version: int, body: bytes) -> None:
        """One message more."""
        row = self.block(self.root, body, 0, block_length, 1)
        row["@version"] = version
        at = block_length
        for index, inner in enumerate(self.root.inner, 1):
            members, head = inner.group.dimension.members, inner.group.dimension.size
            dimension = np.frombuffer(body, self.wire(f"{inner.group.name} ", members, head), 1, at)[0]
            count, size = int(dimension["numInGroup"]), int(dimension["blockLength"])
            row[f"{inner.group.name}.count"] = count
            self.pieces[index].append(self.block(inner.block, body, at + head, size, count).tobytes())
            at += head + size * count
        self.pieces[0].append(row.tobytes())

    def block(self, block: Block, body: bytes, at: int, size: int, count: int) -> np.ndarray:
        """`count` blocks of `size` bytes, field by field."""
        rows = np.zeros(count, block.dtype)
        wire = np.frombuffer(body, self.wire(block.path, block.fields, size), count, at)
        for name in wire.dtype.names or ():
            rows[name] = wire[name]
        return rows

    def wire(self, name: str, fields: tuple[Field, ...], size: int) -> np.dtype:
        """The dtype of a block as it stands in the message."""
        key = (name, size)
        if key not in self.wires:
            found = list(leaves(fields))
            codes = {"char": "u", "int": "i", "uint": "u", "float": "f"}
            columns: dict[str, Any] = {
                "names": [leaf.name for leaf in found],
                "formats": [f"<{codes[leaf.kind]}{leaf.width}" for leaf in found],
                "offsets": [leaf.offset for leaf in found],
            }
            self.wires[key] = np.dtype({**columns, "itemsize": size})  # type: ignore[call-overload]
        return self.wires[key]

    def rows(self) -> list[np.ndarray]:
        """Everything read, one array for each layout."""
        return [
            np.frombuffer(b"".join(pieces), block.dtype) for pieces, block in zip(self.pieces, self.layouts, strict=True)
        ]


def digest(rows: list[np.ndarray]) -> str:
    """One hash over arrays of rows."""
    total = hashlib.blake2b(digest_size=16)
    for array in rows:
        total.update(array.tobytes())
    return total.hexdigest()


class Sbedecoder:
    """The kept package on the recorded capture: every value of every entry of the first group, as its objects give it."""

    def __init__(self, stream: Stream):
        if importlib.util.find_spec("sbedecoder") is None:
            raise CapabilityError("not installed: pip install sbedecoder")
        if stream.schema_file is None:
            raise CapabilityError("it needs the recorded capture and its schema: --data DIR")
        from sbedecoder import MDPMessageFactory, MDPSchema, SBEParser

        schema = MDPSchema()
        schema.parse(str(stream.schema_file))
        self.parser = SBEParser(MDPMessageFactory(schema))
        data = stream.data.tobytes()
        spans = zip(stream.offsets.tolist(), stream.sizes.tolist(), strict=True)
        self.packets = [data[begin : begin + size] for begin, size in spans]

    def decode(self, visit: Callable[[int, Any], None]) -> int:
        """Entries read; `visit` gets the template and each entry, whose values have been read before."""
        total = 0
        for packet in self.packets:
            for message in self.parser.parse(packet, PACKET_HEADER_BYTES):
                template = message.template_id.value
                for group in message.groups[:1] if template in TEMPLATES else ():
                    for entry in group:
                        _ = [field.value for field in entry.fields]
                        visit(template, entry)
                        total += 1
        return total

    def agrees(self, rows: dict[int, list[np.ndarray]]) -> bool:
        """Whether identifiers, sequences, prices and sizes are those of the rows."""
        found: dict[int, list[tuple[Any, ...]]] = {template: [] for template in TEMPLATES}

        def collect(template: int, entry: Any) -> None:
            values = {field.name: field.value for field in entry.fields}
            found[template].append(tuple(values.get(name) for name in COMPARED))

        self.decode(collect)
        return all(found[template] == list(_compared(rows[template][1])) for template in TEMPLATES)

    def spent(self) -> tuple[int, int]:
        """(thread-CPU nanoseconds, entries) of one pass."""
        begin = time.thread_time_ns()
        entries = self.decode(lambda template, entry: None)
        return time.thread_time_ns() - begin, entries


def _compared(rows: np.ndarray) -> Iterator[tuple[Any, ...]]:
    names = rows.dtype.names or ()
    for row in rows:
        values = [row[name].item() if name in names else None for name in COMPARED.values()]
        values[2] = None if values[2] is None or values[2] == (1 << 63) - 1 else values[2] / PRICE_UNITS
        values[3] = None if values[3] == (1 << 31) - 1 else values[3]
        yield tuple(values)
