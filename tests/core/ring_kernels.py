"""The numba side of the ring's tests: the steps of tests/native/ring_driver.c, word for word.

Each step is a C function int64(int64 context). The record's format stands in ring_driver.c.
"""

from numba import cfunc, njit

from gateway.core.memory import load_i64, load_u8, load_u16, load_u32, store_i64, store_u8, store_u16, store_u32
from gateway.core.ring import READER, SLOT, WRITER, acknowledge, advance, claim, peek, publish, shed, warm

HANDLE, LEDGER, LIFE = 0, 8, 16
LEDGER_TORN, LEDGER_REACHED, LEDGER_DELIVERED = 8, 16, 64
SLOT_BYTES = 16
STEP = "int64(int64)"


@njit
def _value_of(position, life, index):
    return position * -7046029254386353131 + life * -4417276706812531889 + index * 1609587929392839161


@njit
def _fill(slot, words, position, life):
    payload = slot + SLOT_BYTES
    total = position + life
    store_u32(slot + SLOT.size, words * 8)
    store_u16(slot + SLOT.kind, position)
    store_u16(slot + SLOT.flags, life)
    store_i64(payload, position)
    store_i64(payload + 8, life)
    for index in range(2, words - 1):
        value = _value_of(position, life, index)
        store_i64(payload + 8 * index, value)
        total += value
    store_i64(payload + 8 * (words - 1), total)


@njit
def _whole(slot, words, position):
    payload = slot + SLOT_BYTES
    life = load_i64(payload + 8)
    total = position + life
    good = load_i64(payload) == position and load_u32(slot + SLOT.size) == words * 8
    good = good and load_u16(slot + SLOT.kind) == position & 0xFFFF and load_u16(slot + SLOT.flags) == life & 0xFFFF
    for index in range(2, words - 1):
        value = load_i64(payload + 8 * index)
        good = good and value == _value_of(position, life, index)
        total += value
    return good and load_i64(payload + 8 * (words - 1)) == total


@njit
def _words_of(handle):
    return (load_i64(handle + WRITER.slot_bytes) - SLOT_BYTES) // 8


@cfunc(STEP)
def publish_record(context):
    """1 published, 0 no room."""
    writer = load_i64(context + HANDLE)
    slot = claim(writer)
    if slot == 0:
        return 0
    _fill(slot, _words_of(writer), load_i64(writer + WRITER.position), load_i64(context + LIFE))
    publish(writer, slot)
    warm(writer, _words_of(writer) * 8)
    return 1


@cfunc(STEP)
def shed_record(context):
    """Counts one refused record."""
    shed(load_i64(context + HANDLE))
    return 1


@njit
def _take(context):
    reader = load_i64(context + HANDLE)
    slot = peek(reader)
    if slot == 0:
        return 0
    position = load_i64(reader + READER.position)
    good = _whole(slot, _words_of(reader), position)
    advance(reader)
    return position + 1 if good else -1


@cfunc(STEP)
def take_record(context):
    """The position read plus one, 0 nothing new, -1 torn."""
    return _take(context)


@cfunc(STEP)
def acknowledge_records(context):
    """Gives everything read back to the producer."""
    acknowledge(load_i64(context + HANDLE))
    return 1


@cfunc(STEP)
def deliver_record(context):
    """Reads one record into the ledger and gives batches of eight back."""
    ledger = load_i64(context + LEDGER)
    taken = _take(context)
    if taken > 0:
        mark = ledger + LEDGER_DELIVERED + taken - 1
        store_u8(mark, load_u8(mark) + 1)
        store_i64(ledger + LEDGER_REACHED, taken)
    if taken < 0:
        store_i64(ledger + LEDGER_TORN, load_i64(ledger + LEDGER_TORN) + 1)
    if taken == 0 or taken % 8 == 0:
        acknowledge(load_i64(context + HANDLE))
    return taken
