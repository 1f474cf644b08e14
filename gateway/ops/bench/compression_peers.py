"""Who packs records in the suite `compression`, ours and the kept libraries: all bytes in, all bytes back, timed apart.

A packer takes pieces of records and gives their packed forms; its opposite takes these. Pieces are independent of each other
unless the packer says that it keeps a stream. Hard rule: each is used as its documentation shows for speed, on one thread.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lz4.block
import numpy as np

from gateway.core.kernel import cached
from gateway.core.memory import address_of
from gateway.errors import CapabilityError
from gateway.link.compression import codec
from gateway.link.compression.column_packing import pack_columns
from gateway.link.compression.column_plan import SLACK_BYTES
from gateway.link.compression.column_unpacking import unpack_columns
from gateway.link.compression.schemas import MBO, SCHEMA_MBO

RECORD_BYTES = MBO.itemsize
ZSTD_LEVEL = 3
Pack = Callable[[Any], list[bytes]]
Unpack = Callable[[list[bytes], Any], Any]  # packed pieces, and what `prepare` made


@dataclass(frozen=True)
class Packer:
    """Both directions. What `prepare` makes of the pieces and what `joined` makes of the result is nobody's time."""

    pack: Pack
    unpack: Unpack
    note: str = ""
    prepare: Callable[[list[bytes]], Any] = lambda pieces: pieces
    joined: Callable[[Any], bytes] = b"".join


def _library(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise CapabilityError(f"{name} is not installed: pip install 'bypass-gateway[test]'")
    return importlib.import_module(name)


def ours() -> Packer:
    """As the link calls it: Python, one call a piece."""
    return Packer(
        lambda pieces: [codec.pack(SCHEMA_MBO, piece) for piece in pieces],
        lambda packed, given: [
            codec.unpack(SCHEMA_MBO, body, len(piece)) for body, piece in zip(packed, given, strict=True)
        ],
        "columns; one Python call a piece",
    )


@cached
def _pack_all(plan, records, counts, pieces, work, target, sizes, room):
    """Every piece behind the other; returns where the last ends."""
    done = 0
    for index in range(pieces):
        sizes[index] = pack_columns(plan, records, counts[index], work, target + done, room)
        records += counts[index] * RECORD_BYTES
        done += sizes[index]
    return done


@cached
def _unpack_all(plan, records, counts, pieces, work, source, sizes, room):
    """The opposite; returns how many were refused."""
    refused = 0
    for index in range(pieces):
        refused += unpack_columns(plan, records, counts[index], work, room, source, sizes[index]) != 0
        records += counts[index] * RECORD_BYTES
        source += sizes[index]
    return refused


class _Prepared:
    """Pieces that lie side by side, with room for both directions."""

    def __init__(self, data: np.ndarray, counts: np.ndarray, packed: np.ndarray, sizes: np.ndarray):
        self.data, self.counts, self.packed, self.sizes = data, counts, packed, sizes
        self.back, self.room = np.zeros(len(data), np.uint8), np.zeros(len(data) + SLACK_BYTES, np.uint8)


def kernels() -> Packer:
    """The column kernels of the same codec, called from a kernel: what a piece costs without Python."""
    plan, work = codec.plan_address(SCHEMA_MBO), codec.work_address()

    def prepare(pieces: list[bytes]) -> _Prepared:
        data, counts = np.frombuffer(b"".join(pieces), np.uint8), np.array([len(piece) for piece in pieces]) // RECORD_BYTES
        return _Prepared(data, counts, np.zeros(2 * len(data) + SLACK_BYTES, np.uint8), np.zeros(len(pieces), np.int64))

    def pack(given: _Prepared) -> list[bytes]:
        target, room = address_of(given.packed), len(given.data)
        fixed = (plan, address_of(given.data), given.counts, len(given.counts), work)
        return [given.packed[: _pack_all(*fixed, target, given.sizes, room)].tobytes()]

    def unpack(packed: list[bytes], given: _Prepared) -> np.ndarray:
        data, back = np.frombuffer(packed[0], np.uint8), given.back
        fixed = (plan, address_of(back), given.counts, len(given.counts), work)
        refused = _unpack_all(*fixed, address_of(data), given.sizes, address_of(given.room))
        return back if refused == 0 else back[:0]

    return Packer(pack, unpack, "the same columns, called from a kernel", prepare, lambda back: back.tobytes())


def lz4_block() -> Packer:
    """LZ4, one block a piece."""
    pack, unpack = lz4.block.compress, lz4.block.decompress
    return Packer(
        lambda pieces: [pack(piece, store_size=False) for piece in pieces],
        lambda packed, given: [
            unpack(body, uncompressed_size=len(piece)) for body, piece in zip(packed, given, strict=True)
        ],
        "one block a piece",
    )


def zstd() -> Packer:
    """Zstandard, every piece a frame of its own."""
    library = _library("zstandard")
    packer, unpacker = library.ZstdCompressor(level=ZSTD_LEVEL), library.ZstdDecompressor()
    return Packer(
        lambda pieces: [packer.compress(piece) for piece in pieces],
        lambda packed, given: [unpacker.decompress(body) for body in packed],
        f"level {ZSTD_LEVEL}, a frame a piece",
    )


def zstd_stream() -> Packer:
    """Zstandard, one stream that is flushed behind every piece: what was seen before helps, and is needed to read on."""
    library = _library("zstandard")
    packer, unpacker = library.ZstdCompressor(level=ZSTD_LEVEL), library.ZstdDecompressor()

    def pack(pieces: list[bytes]) -> list[bytes]:
        stream = packer.compressobj()
        return [stream.compress(piece) + stream.flush(library.COMPRESSOBJ_FLUSH_BLOCK) for piece in pieces]

    def unpack(packed: list[bytes], given: list[bytes]) -> list[bytes]:
        stream = unpacker.decompressobj()
        return [stream.decompress(body) for body in packed]

    return Packer(pack, unpack, f"level {ZSTD_LEVEL}, one stream, flushed")


def blosc2() -> Packer:
    """Blosc2: bytes shuffled by their place in a record, then LZ4."""
    library = _library("blosc2")
    library.set_nthreads(1)
    options = {"typesize": RECORD_BYTES, "codec": library.Codec.LZ4, "filter": library.Filter.SHUFFLE}
    return Packer(
        lambda pieces: [library.compress(piece, **options) for piece in pieces],
        lambda packed, given: [library.decompress(body) for body in packed],
        "shuffle, LZ4, one thread",
    )


def pcodec() -> Packer:
    """Pcodec: every column an array of numbers; bytes go as numbers of two bytes, which is the least it takes."""
    standalone = importlib.import_module(f"{_library('pcodec').__name__}.standalone")
    settings = _library("pcodec").ChunkConfig()
    names = MBO.names or ()
    kinds = {name: MBO[name] if MBO[name].itemsize > 1 else np.dtype("<u2") for name in names}

    def pack_one(piece: bytes) -> bytes:
        rows = np.frombuffer(piece, MBO)
        columns = [standalone.simple_compress(rows[name].astype(kinds[name]), settings) for name in names]
        return b"".join(len(column).to_bytes(4, "little") + column for column in columns)

    def unpack_one(body: bytes, size: int) -> bytes:
        rows, at = np.zeros(size // RECORD_BYTES, MBO), 0
        for name in names:
            length = int.from_bytes(body[at : at + 4], "little")
            rows[name] = standalone.simple_decompress(body[at + 4 : at + 4 + length])
            at += 4 + length
        return rows.tobytes()

    return Packer(
        lambda pieces: [pack_one(piece) for piece in pieces],
        lambda packed, given: [unpack_one(body, len(piece)) for body, piece in zip(packed, given, strict=True)],
        "every column by itself, their lengths in front",
    )


OURS, KERNELS = "gateway", "gateway, kernels alone"
PACKERS: dict[str, Callable[[], Packer]] = {
    OURS: ours,
    KERNELS: kernels,
    "lz4": lz4_block,
    "zstd": zstd,
    "zstd stream": zstd_stream,
    "blosc2": blosc2,
    "pcodec": pcodec,
}
