"""Publish and poll on a shared ring ③, the numba twin of native/ring.h. The contract stands in native/layout/ring.h.

Hard rule: `writer` and `reader` are addresses of the process-local handles; only `acquire`, `relaxed` and `release`
touch the shared words.

    producer   slot = claim(writer);  if slot: fill it;  publish(writer, slot)  …  warm(writer, size_bytes)
    reader     slot = peek(reader);   if slot: use it;   advance(reader);  …  acknowledge(reader)
"""

from numba import njit

from gateway.core.kernel import leaf
from gateway.core.memory import acquire, copy_bytes, fence_release, load_i64, relaxed, release, store_i64
from gateway.layout import offsets, value

HEADER = offsets("ring_header")
SLOT = offsets("ring_slot")
WRITER = offsets("ring_writer")
READER = offsets("ring_reader")
WARM_BYTES_MAX = value("RING_WARM_BYTES_MAX")


@leaf
def _slot_at(handle, position):
    # writer and reader handles begin alike: slots, header, mask, slot_bytes
    slots = load_i64(handle + WRITER.slots)
    mask = load_i64(handle + WRITER.mask)
    return slots + (position & mask) * load_i64(handle + WRITER.slot_bytes)


@leaf
def _room(writer, header, position):
    """Slots the producer may still fill before it meets the reliable reader."""
    depth = load_i64(writer + WRITER.depth)
    room = depth - (position - load_i64(writer + WRITER.cursor_cached))
    if room <= 0:
        if relaxed(header + HEADER.reliable) != 0:
            cursor = acquire(header + HEADER.cursor)
        else:
            cursor = position
        store_i64(writer + WRITER.cursor_cached, cursor)
        room = depth - (position - cursor)
    return room


@leaf
def room(writer):
    """Slots that may be filled now, 0 or less when full; the reader's cursor is looked at only when the copy says so."""
    return _room(writer, load_i64(writer + WRITER.header), load_i64(writer + WRITER.position))


@leaf
def room_now(writer):
    """The same with the reader's cursor looked at: for who leaves room to others."""
    store_i64(writer + WRITER.cursor_cached, acquire(load_i64(writer + WRITER.header) + HEADER.cursor))
    return load_i64(writer + WRITER.depth) - (load_i64(writer + WRITER.position) - load_i64(writer + WRITER.cursor_cached))


@leaf
def claim(writer):
    """Address of the slot to fill, or 0 when the reliable reader has not freed one."""
    header = load_i64(writer + WRITER.header)
    position = load_i64(writer + WRITER.position)
    if _room(writer, header, position) <= 0:
        return 0
    release(header + HEADER.claimed, position + 1)
    fence_release()  # observers must see the claim before any new payload byte
    return _slot_at(writer, position)


@leaf
def next_slot(writer):
    """Address of the slot that claim will give, should there be room; to prefetch."""
    return _slot_at(writer, load_i64(writer + WRITER.position))


@leaf
def publish(writer, slot):
    """Makes the claimed slot visible."""
    position = load_i64(writer + WRITER.position) + 1
    store_i64(writer + WRITER.position, position)
    release(slot + SLOT.sequence, position)


@leaf
def warm(writer, size_bytes):
    """For a producer that has nothing more for now: takes the lines of a next record of that size (native/ring.h)."""
    position, depth = load_i64(writer + WRITER.position), load_i64(writer + WRITER.depth)
    if position - load_i64(writer + WRITER.cursor_cached) >= depth:
        return
    slot, offset = _slot_at(writer, position), 0
    end = min(64 + size_bytes, load_i64(writer + WRITER.slot_bytes), WARM_BYTES_MAX)
    while offset < end:
        release(slot + offset, relaxed(slot + offset))
        offset += 64


@leaf
def shed(writer):
    """Counts a record that found no room."""
    count = load_i64(writer + WRITER.shed) + 1
    store_i64(writer + WRITER.shed, count)
    release(load_i64(writer + WRITER.header) + HEADER.shed, count)


@leaf
def peek(reader):
    """Address of the next record, or 0. Only the reliable reader may use it in place."""
    position = load_i64(reader + READER.position)
    slot = _slot_at(reader, position)
    if acquire(slot + SLOT.sequence) == position + 1:
        return slot
    return 0


@leaf
def advance(reader):
    """Steps behind the record last peeked; its slot stays ours until acknowledge."""
    store_i64(reader + READER.position, load_i64(reader + READER.position) + 1)


@leaf
def acknowledge(reader):
    """Gives every slot before our position back to the producer."""
    release(load_i64(reader + READER.header) + HEADER.cursor, load_i64(reader + READER.position))


@njit(cache=True)
def drain(reader, target, limit):
    """Copies up to `limit` whole slots to `target` and steps behind them; the caller acknowledges once they are safe.

    For readers outside the corridor (journal, tests): returns the number of slots copied.
    """
    copied = 0
    slot_bytes = load_i64(reader + READER.slot_bytes)
    slot = peek(reader)
    while slot != 0 and copied < limit:
        copy_bytes(target + copied * slot_bytes, slot, slot_bytes)
        advance(reader)
        copied += 1
        slot = peek(reader)
    return copied


@njit(cache=True)
def acknowledge_drained(reader):
    """`acknowledge` for callers in Python."""
    acknowledge(reader)


@njit(cache=True)
def put(writer, header, header_bytes, payload, payload_bytes):
    """Publishes one record made elsewhere: `header` (a record struct, its sequence word ignored), then the payload.

    For producers outside the corridor (control): returns 1, or 0 while the ring is full.
    """
    slot = claim(writer)
    if slot == 0:
        return 0
    copy_bytes(slot + 8, header + 8, header_bytes - 8)  # the sequence word is publish's to write
    copy_bytes(slot + header_bytes, payload, payload_bytes)
    publish(writer, slot)
    return 1


@njit(cache=True)
def put_many(writer, records, record_bytes, count):
    """Publishes records that lie side by side, their sequence words ignored, until the ring is full; returns how many."""
    for index in range(count):
        slot = claim(writer)
        if slot == 0:
            return index
        copy_bytes(slot + 8, records + index * record_bytes + 8, record_bytes - 8)
        publish(writer, slot)
    return count
