"""Batches of fixed records, packed for the wire and unpacked within bounds. docs/protocols/link-compression.md

    records -> pack -> frame (flag COMPRESSED) -> unpack -> records

Hard rule: what comes from the wire allocates nothing before its length and `raw_bytes` were checked, and is refused with a
reason word; what was packed comes back byte for byte.
"""

from typing import Any

import lz4.block

from gateway import limits

RAW, LZ4 = 0, 1  # the first byte of a body: what was done
SCHEMA_NONE, SCHEMA_LINK, SCHEMA_EXECUTIONS, SCHEMA_QUOTES = 0, 1, 2, 3


def pack(schema: int, records: Any) -> bytes:
    """The body of a frame: one byte says what was done, the rest is it. `records` is any contiguous buffer.

    A body is never longer than its records and that byte. Raises ValueError for more than CODEC_RAW_BYTES_MAX.
    """
    data = memoryview(records).cast("B")
    if len(data) > limits.CODEC_RAW_BYTES_MAX:
        raise ValueError("SIZE")
    block = lz4.block.compress(data, store_size=False)
    floor = -(-len(data) // limits.CODEC_EXPANSION_MAX)
    if floor <= len(block) + 1 <= len(data):
        return bytes((LZ4,)) + block
    return bytes((RAW,)) + bytes(data)


def unpack(schema: int, body: Any, raw_bytes: int) -> bytes:
    """The records of a body that `pack` made; exactly `raw_bytes` of them. Raises ValueError(reason) for anything else."""
    data = memoryview(body).cast("B")
    if not len(data):
        raise ValueError("EMPTY")
    if not 0 <= raw_bytes <= min(limits.CODEC_RAW_BYTES_MAX, limits.CODEC_EXPANSION_MAX * len(data)):
        raise ValueError("SIZE")
    if data[0] == RAW:
        if len(data) != raw_bytes + 1:
            raise ValueError("LENGTH")
        return bytes(data[1:])
    if data[0] != LZ4:
        raise ValueError("METHOD")
    try:
        found = lz4.block.decompress(data[1:], uncompressed_size=raw_bytes)
    except lz4.block.LZ4BlockError as problem:
        raise ValueError("BLOCK") from problem
    if len(found) != raw_bytes:
        raise ValueError("LENGTH")
    return found
