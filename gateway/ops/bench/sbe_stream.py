"""Packets of CME MDP 3.0 for the suite `sbe`: a recorded capture where there is one, else a seeded stream like it.

Hard rule: the seeded stream comes from the generated encoders and is described by a schema typed here, so that the suite
runs on any machine; what it measures is compared with readers that know neither.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.ops.bench.recorded import payloads_of
from gateway.protocols.sbe import modules
from gateway.protocols.sbe.generator_encoders import writer_name
from gateway.protocols.sbe.model import Schema
from gateway.protocols.sbe.row_values import empty_rows
from gateway.protocols.sbe.schema import load_schema, parse_schema

CAPTURE = "cme-mdp3-sbe/Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap"
CAPTURE_SCHEMA = "schemas/Cme.Futures.Mdp3.Sbe.v1.6.xml"
PACKET_HEADER_BYTES = 12
SIZE_BYTES = 2  # in front of each message; it counts itself
# Share of messages by template, and share of books by their number of entries: the capture's own.
TEMPLATES = {32: 0.932, 35: 0.030, 42: 0.019, 37: 0.019}
ENTRIES = {0: 0.35, 1: 0.48, 2: 0.08, 3: 0.02, 5: 0.03, 9: 0.02, 14: 0.015, 20: 0.005}
SCHEMA = """<messageSchema package="mktdata" id="1" version="6" byteOrder="littleEndian"><types>
<composite name="messageHeader">
<type name="blockLength" primitiveType="uint16"/><type name="templateId" primitiveType="uint16"/>
<type name="schemaId" primitiveType="uint16"/><type name="version" primitiveType="uint16"/></composite>
<composite name="groupSize">
<type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint8"/></composite>
<composite name="groupSize8Byte">
<type name="blockLength" primitiveType="uint16"/><type name="numInGroup" offset="7" primitiveType="uint8"/></composite>
<composite name="price"><type name="mantissa" primitiveType="int64"/>
<type name="exponent" presence="constant" primitiveType="int8">-7</type></composite></types>{messages}</messageSchema>"""
BLOCKS = {
    32: (32, "price:price size:int32 security:int32 number:uint32 orders:int32 level:uint8 action:uint8 kind:uint8"),
    35: (24, "price:price security:int32 number:uint32 flag:uint8 action:uint8 kind:uint8"),
    37: (16, "size:int32 security:int32 number:uint32 action:uint8"),
    42: (32, "price:price size:int32 security:int32 number:uint32 orders:int32 side:uint8 action:uint8"),
}
GROUP = '<group name="entries" id="100" blockLength="{size}" dimensionType="groupSize">{fields}</group>'
ORDERS = '<group name="orders" id="101" blockLength="16" dimensionType="groupSize8Byte">{fields}</group>'


@dataclass(frozen=True)
class Stream:
    """Packets back to back in `data`; packet i is data[offsets[i] : offsets[i] + sizes[i]], UDP payload only."""

    data: np.ndarray
    offsets: np.ndarray  # int64
    sizes: np.ndarray  # int64
    schema: Schema
    source: str
    schema_file: Path | None  # of a recorded stream


def recorded(folder: Path) -> Stream | None:
    """Both lines of the capture below a folder of recorded data; None where the folder has no capture or no schema."""
    capture, xml = folder / CAPTURE, folder / CAPTURE_SCHEMA
    if not (capture.is_file() and xml.is_file()):
        return None
    return _joined(payloads_of(capture), load_schema(xml), capture.name, xml)


def synthetic(packets: int, seed: int) -> Stream:
    """Packets with one to four messages, as busy as the capture's; the same for the same seed."""
    schema = parse_schema(SCHEMA.format(messages=_messages()), "the benchmark's schema")
    choose = np.random.default_rng(seed)
    templates = choose.choice(list(TEMPLATES), packets * 2, p=_shares(TEMPLATES))
    counts = choose.choice(list(ENTRIES), packets * 2, p=_shares(ENTRIES))
    blocks = [_message(schema, int(template), int(count), choose) for template, count in zip(templates, counts, strict=True)]
    payloads, first = [], 0
    for number, messages in enumerate(choose.choice([1, 2, 3, 4], packets, p=[0.05, 0.86, 0.08, 0.01])):
        header = np.array([number], "<u4").tobytes() + np.array([number * 1000], "<u8").tobytes()
        payloads.append(header + b"".join(blocks[first : first + messages]))
        first = (first + messages) % (len(blocks) - 4)
    return _joined(payloads, schema, f"seed {seed}", None)


def _shares(parts: dict[int, float]) -> np.ndarray:
    shares = np.array(list(parts.values()))
    return shares / shares.sum()


def _messages() -> str:
    texts = []
    for template, (block_length, fields) in BLOCKS.items():
        group = GROUP.format(size=block_length, fields=_fields(fields))
        orders = ORDERS.format(fields=_fields("order:uint64 last:int32")) if template == 42 else ""
        root = _fields("time:uint64 indicator:uint8")
        texts.append(f'<message name="M{template}" id="{template}" blockLength="11">{root}{group}{orders}</message>')
    return "".join(texts)


def _fields(text: str) -> str:
    parts = [part.split(":") for part in text.split()]
    return "".join(f'<field name="{name}" id="{index}" type="{kind}"/>' for index, (name, kind) in enumerate(parts, 1))


def _message(schema: Schema, template: int, count: int, choose: np.random.Generator) -> bytes:
    """A message of random values behind its length."""
    message = schema.messages[template]
    root, groups = empty_rows(message, count)
    root[0]["time"] = choose.integers(1 << 62)
    for name, rows in groups.items():
        root[0][f"{name}.count"] = count
        rows.view(np.uint8)[:] = choose.integers(0, 256, rows.nbytes, np.uint8)
    out = np.zeros(4096, np.uint8)
    name = writer_name(message)
    writer = modules.compile_kernels(modules.writers(schema), [name])[name]
    arrays = [rows.ctypes.data for rows in groups.values()]
    size = writer(out.ctypes.data, len(out), root.ctypes.data, *arrays, 0)
    return np.array([size + SIZE_BYTES], "<u2").tobytes() + out[:size].tobytes()


def _joined(payloads: list[bytes], schema: Schema, source: str, schema_file: Path | None) -> Stream:
    sizes = np.array([len(payload) for payload in payloads], np.int64)
    data = np.frombuffer(b"".join(payloads), np.uint8)
    return Stream(data, np.cumsum(sizes) - sizes, sizes, schema, source, schema_file)
