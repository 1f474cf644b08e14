"""LZ4 unpacking against the reference library, and on damage: bounded, counted, never outside its memory."""

import random

import lz4.block
import lz4.frame
import numpy as np
import pytest

from gateway.core.memory import address_of
from gateway.protocols.lz4 import unpack
from tests.fuzz.guarded import Guarded

ROOM = 4096


@pytest.fixture(scope="module")
def memory() -> tuple[Guarded, Guarded]:
    return Guarded(1 << 14), Guarded(ROOM)


def texts(draw: random.Random) -> bytes:
    """Data that compresses more or less."""
    words = [draw.randbytes(draw.randint(1, 9)) for _ in range(draw.randint(1, 12))]
    return b"".join(draw.choice(words) for _ in range(draw.randint(0, 300)))[:ROOM]


def unpacked(memory: tuple[Guarded, Guarded], packed: bytes, room: int) -> bytes | None:
    """What the kernel makes of it in `room` bytes that end at an untouchable page; None for damage."""
    source, target = memory
    place = target.put(bytes(room))
    size = unpack(source.put(packed), len(packed), place, room)
    if size < 0:
        return None
    view = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * max(size, 1)).from_address(place))
    assert address_of(view) == place
    return bytes(view[:size])


@pytest.mark.parametrize("seed", range(40))
def test_what_the_library_packs_is_unpacked_byte_for_byte(seed: int, memory: tuple[Guarded, Guarded]):
    data = texts(random.Random(seed))
    assert unpacked(memory, lz4.block.compress(data, store_size=False), len(data)) == data
    for linked in (False, True):
        frame = lz4.frame.compress(
            data, block_linked=linked, content_checksum=True, block_checksum=linked, store_size=linked
        )
        assert unpacked(memory, frame, len(data)) == data


@pytest.mark.parametrize("seed", range(20))
def test_damage_never_leaves_the_memory_and_what_the_library_refuses_is_refused(seed: int, memory: tuple[Guarded, Guarded]):
    draw = random.Random(seed)
    for number in range(300):
        packed = bytearray(lz4.block.compress(texts(draw), store_size=False))
        for _ in range(draw.randint(1, 3)):
            packed[draw.randrange(len(packed))] = draw.randrange(256)
        data = bytes(packed[: draw.randint(0, len(packed))]) if draw.random() < 0.3 else bytes(packed)
        try:
            theirs = lz4.block.decompress(data, uncompressed_size=ROOM) if data else None
        except lz4.block.LZ4BlockError:
            theirs = None
        ours = unpacked(memory, data, ROOM)
        if ours is not None and theirs is not None:
            assert ours == theirs, f"seed {seed}, number {number}"
        # the library also keeps a distance from the end that the format asks of compressors; we only read
        assert theirs is None or ours is not None, f"seed {seed}, number {number}: {data.hex()}"


def test_what_does_not_fit_is_refused(memory: tuple[Guarded, Guarded]):
    packed = lz4.block.compress(b"a" * 1000, store_size=False)
    assert unpacked(memory, packed, 999) is None
    assert unpacked(memory, packed, 1000) == b"a" * 1000
