"""Attaching refuses every file that is not the ring it should be, each with its own reason."""

import numpy as np
import pytest

from gateway.layout import offsets, value
from gateway.native import at, ffi, lib, text
from tests.native.ring_driver import HEADER, HEADER_BYTES, ScratchRing, side

REGION = offsets("region_header")


def attach(ring: ScratchRing, size_bytes: int | None = None) -> set[str]:
    """The reasons of both attaches; '' is success."""
    size_bytes = ring.size_bytes if size_bytes is None else size_bytes
    writer, reader = ffi.new("struct ring_writer *"), ffi.new("struct ring_reader *")
    problems = {
        text(lib.ring_attach_writer(ring.base, size_bytes, writer)),
        text(lib.ring_attach_reader(ring.base, size_bytes, 1, reader)),
    }
    if problems != {""}:
        assert bytes(ffi.buffer(writer)) == bytes(64) == bytes(ffi.buffer(reader)), "a refused handle stays empty"
    return problems


@pytest.mark.parametrize(
    ("field", "bits", "reason"),
    [
        ("magic", 64, "magic differs"),
        ("version", 32, "version differs"),
        ("layout_hash", 64, "layout hash differs"),
        ("kind", 32, "kind differs"),
        ("size_bytes", 64, "size differs"),
        ("ready", 64, "not ready"),
    ],
)
def test_a_changed_header_word_is_refused_with_its_reason(field, bits, reason):
    ring = ScratchRing(4)
    words = ring.memory.bytes[getattr(REGION, field) :][: bits // 8].view(f"u{bits // 8}")
    assert attach(ring) == {""}
    for bit in range(bits):
        words[0] ^= words.dtype.type(1 << bit)
        (problem,) = attach(ring)
        assert reason in problem
        words[0] ^= words.dtype.type(1 << bit)
    assert attach(ring) == {""}


def test_a_truncated_file_is_refused_at_every_length():
    ring = ScratchRing(4)
    size_word = ring.memory.bytes[REGION.size_bytes :][:8].view(np.uint64)
    for size_bytes in range(0, ring.size_bytes, 8):
        size_word[0] = size_bytes  # even when its header agrees with the length
        (problem,) = attach(ring, size_bytes)
        assert "shorter" in problem, size_bytes


def test_geometry_that_is_no_ring_is_refused():
    ring = ScratchRing(4)
    depth = ring.memory.bytes[HEADER.depth :][:4].view(np.uint32)
    slot_bytes = ring.memory.bytes[HEADER.slot_bytes :][:4].view(np.uint32)
    for wrong in (0, 1, 3, 5, 1 << 31):
        depth[0] = wrong
        assert "shorter" in "".join(attach(ring)) if wrong == 1 << 31 else "power of two" in "".join(attach(ring))
    depth[0] = 4
    for wrong in (0, 32, 65, 96):
        slot_bytes[0] = wrong
        assert "multiple of 64" in "".join(attach(ring))


@pytest.mark.parametrize(("depth", "slot_bytes", "reason"), [(3, 64, "power"), (4, 63, "64"), (4, 2048, "shorter")])
def test_formatting_refuses_the_same_geometry(depth, slot_bytes, reason):
    memory = np.zeros(HEADER_BYTES + 4 * 64, np.uint8)
    problem = lib.ring_format(at(memory.ctypes.data, "void *"), memory.size, depth, slot_bytes, 1)
    assert reason in text(problem)
    assert not memory.any(), "a refused format writes nothing"


def test_a_reliable_reader_is_refused_where_the_producer_never_waits():
    ring = ScratchRing(4, reliable=False)
    reader = ffi.new("struct ring_reader *")
    assert "observers only" in text(lib.ring_attach_reader(ring.base, ring.size_bytes, 1, reader))
    assert text(lib.ring_attach_reader(ring.base, ring.size_bytes, 0, reader)) == ""


def test_another_kind_of_region_is_refused():
    ring = ScratchRing(4)
    assert text(lib.region_check(ring.base, ring.size_bytes, value("REGION_GATE"))).startswith("region kind differs")


def test_a_producer_resumes_behind_a_published_record_and_on_a_torn_one():
    ring = ScratchRing(4)
    writer = ring.writer(side("c"))
    writer.publish()
    writer.publish()
    assert ring.writer(side("c")).struct.position == 2
    ring.memory.words[HEADER.claimed // 8] = 3  # it died inside its third record
    assert ring.writer(side("c")).struct.position == 2
