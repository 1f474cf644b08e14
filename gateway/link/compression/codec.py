"""Batches of fixed records, packed for the wire and unpacked within bounds. docs/protocols/link-compression.md

    records ─ pack ─► body ─ frame (flag COMPRESSED) ─► body ─ unpack ─► records

The first byte of a body says what was done: nothing, columns (column_packing.py), one LZ4 block, or both.
Hard rule: what comes from the wire allocates nothing before its length and `raw_bytes` were looked at, and is refused with a
reason word; what was packed comes back byte for byte.
"""

import threading
from typing import Any

import lz4.block
import numpy as np

from gateway.core.memory import address_of
from gateway.limits import CODEC_EXPANSION_MAX, CODEC_RAW_BYTES_MAX
from gateway.link.compression import column_plan
from gateway.link.compression.column_codes import CONSTANTS
from gateway.link.compression.column_packing import pack_columns
from gateway.link.compression.column_schema import Schema, plan_of
from gateway.link.compression.column_unpacking import REASONS, unpack_columns
from gateway.link.compression.schemas import SCHEMAS
from gateway.native import ffi

RAW, COLUMNS, LZ4 = 0, 1, 2  # bits of the first byte
ADDRESS, BYTES = ffi.typeof("intptr_t"), ffi.typeof("unsigned char[]")
LENGTH_BYTES = 4  # of the columns in an LZ4 block
SMALLEST_BLOCK = 4096  # bytes: shorter columns are not offered to LZ4 as well


class _Work(threading.local):
    """Working memory of one thread: the kernels', a body's, a batch's."""

    def __init__(self) -> None:
        words = np.zeros(column_plan.WORK_BYTES // 8 + 1, np.int64)
        words.view(np.uint8)[: len(CONSTANTS)] = CONSTANTS
        room = CODEC_RAW_BYTES_MAX + column_plan.SLACK_BYTES
        self.body, self.records = np.zeros(room, np.uint8), np.zeros(CODEC_RAW_BYTES_MAX + 8, np.uint8)
        self.words, self.kept = address_of(words), words
        self.body_address, self.records_address = address_of(self.body), address_of(self.records)
        self.body_buffer = ffi.buffer(ffi.cast("char *", self.body_address), room)
        self.records_buffer = ffi.buffer(ffi.cast("char *", self.records_address), len(self.records))


_work = _Work()
_plans: dict[int, tuple[int, int, np.ndarray]] = {}  # number → (record bytes, address of the plan, plan)


def register(schema: Schema) -> None:
    """Makes a schema known under its number. Raises ValueError where the number is another schema's."""
    plan = plan_of(schema)
    known = _plans.get(schema.number)
    if known is not None and not np.array_equal(known[2], plan):
        raise ValueError(f"schema {schema.number} is there already; give {schema.name} another number")
    _plans.setdefault(schema.number, (schema.record_bytes, address_of(plan), plan))


for _schema in SCHEMAS:
    register(_schema)


def plan_address(schema: int) -> int:
    """Where a schema's plan lies, for kernels that call the column kernels themselves."""
    return _plans[schema][1]


def work_address() -> int:
    """Where this thread's working memory lies, for the same."""
    return _work.words


def pack(schema: int, records: Any) -> bytes:
    """The body of a frame: a byte that says what was done, and the rest. `records` is any contiguous buffer.

    Never longer than the records and that byte. A schema that is not known, or a length that is no whole number of its
    records, goes without columns. Raises ValueError("SIZE") for more than CODEC_RAW_BYTES_MAX.
    """
    data = ffi.from_buffer(BYTES, records)
    size = len(data)
    if size > CODEC_RAW_BYTES_MAX:
        raise ValueError("SIZE")
    plan = _plans.get(schema)
    if plan is None or size == 0 or size % plan[0]:
        return _pack_block(RAW, bytes(ffi.buffer(data)), size)
    work, address = _work, int(ffi.cast(ADDRESS, data))
    packed = pack_columns(plan[1], address, size // plan[0], work.words, work.body_address + 1, size - 1)
    if packed < 0:
        return _pack_block(RAW, bytes(ffi.buffer(data)), size)
    if packed > SMALLEST_BLOCK:
        return _pack_block(COLUMNS, work.body_buffer[1 : packed + 1], size)
    least = -(-size // CODEC_EXPANSION_MAX)
    if packed + 1 < least:
        work.body[packed + 1 : least] = 0
        packed = least - 1
    work.body[0] = COLUMNS
    return work.body_buffer[: packed + 1]


def _pack_block(done: int, content: bytes, size: int) -> bytes:
    """`content` as one LZ4 block where that is shorter, else as it is."""
    block = lz4.block.compress(content, store_size=False) if content else b""
    length = len(content).to_bytes(LENGTH_BYTES, "little") if done & COLUMNS else b""
    if -(-size // CODEC_EXPANSION_MAX) <= len(length) + len(block) + 1 <= len(content):
        return bytes((done | LZ4,)) + length + block
    return bytes((done,)) + content + bytes(max(-(-size // CODEC_EXPANSION_MAX) - 1 - len(content), 0))


def unpack(schema: int, body: Any, raw_bytes: int) -> bytes:
    """The records of a body that `pack` made: exactly `raw_bytes`. Raises ValueError(reason) for anything else.

    Reasons: EMPTY, SIZE (raw_bytes beyond a bound), METHOD, SCHEMA, LENGTH, BLOCK, TRUNCATED, REFERENCE, VALUE.
    """
    data = ffi.from_buffer(BYTES, body)
    size = len(data)
    if size == 0:
        raise ValueError("EMPTY")
    if not 0 <= raw_bytes <= CODEC_RAW_BYTES_MAX or raw_bytes > CODEC_EXPANSION_MAX * size:
        raise ValueError("SIZE")
    done = data[0]
    if done == COLUMNS:
        return _unpack_columns(schema, int(ffi.cast(ADDRESS, data)) + 1, size - 1, raw_bytes)
    content = bytes(ffi.buffer(data))[1:]
    if done == RAW:
        if len(content) != raw_bytes:
            raise ValueError("LENGTH")
        return content
    if done == LZ4:
        return _unpack_block(content, raw_bytes)
    if done != COLUMNS | LZ4:
        raise ValueError("METHOD")
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if len(content) <= LENGTH_BYTES or length > raw_bytes:
        raise ValueError("LENGTH")
    columns = _unpack_block(content[LENGTH_BYTES:], length)
    return _unpack_columns(schema, int(ffi.cast(ADDRESS, ffi.from_buffer(BYTES, columns))), length, raw_bytes)


def _unpack_block(block: bytes, length: int) -> bytes:
    try:
        found = lz4.block.decompress(block, uncompressed_size=length) if length else b""
    except (lz4.block.LZ4BlockError, ValueError) as problem:
        raise ValueError("BLOCK") from problem
    if len(found) != length or (length == 0 and block):
        raise ValueError("LENGTH")
    return found


def _unpack_columns(schema: int, source: int, size: int, raw_bytes: int) -> bytes:
    plan = _plans.get(schema)
    if plan is None:
        raise ValueError("SCHEMA")
    if raw_bytes == 0 or raw_bytes % plan[0] or size > raw_bytes:
        raise ValueError("LENGTH")
    work = _work
    count = raw_bytes // plan[0]
    problem = unpack_columns(plan[1], work.records_address, count, work.words, work.body_address, source, size)
    if problem:
        raise ValueError(REASONS[problem])
    return work.records_buffer[:raw_bytes]
