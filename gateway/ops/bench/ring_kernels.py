"""The numba side of the ring benchmark: hop_ring and burst_ring of contenders/ring_hop.c over gateway/core/ring.py.

Hard rule: the same work as there: 48 bytes written and checked per record, a pause after an empty look, one look at the
deadline per LOOKS of these.
"""

from numba import njit

from gateway.core.memory import load_i64, pause, store_i64, store_u32, ticks
from gateway.core.ring import READER, SLOT, acknowledge, advance, claim, peek, publish, warm

WORDS, LOOKS, BATCH = 6, 4096, 16
SLOT_BYTES = 16


@njit(inline="always")
def _send(writer, number):
    slot = claim(writer)
    if slot == 0:
        return 0
    store_u32(slot + SLOT.size, WORDS * 8)
    for index in range(WORDS):
        store_i64(slot + SLOT_BYTES + 8 * index, number + index)
    publish(writer, slot)
    return 1


@njit(inline="always")
def _wrong(slot, number):
    wrong = 0
    for index in range(WORDS):
        wrong |= load_i64(slot + SLOT_BYTES + 8 * index) ^ (number + index)
    return wrong


@njit(inline="always")
def _late(looks, deadline_ticks):
    pause()
    return looks % LOOKS == 0 and ticks() > deadline_ticks


@njit(cache=True)
def hop_ring(out, into, side, rounds, samples, deadline_ticks):
    """Round trips done, or -1 - that when a payload was wrong."""
    wrong, spins = 0, 0
    for done in range(rounds):
        begin = ticks()
        if side == 0:
            _send(out, done)
            warm(out, WORDS * 8)
        slot = 0
        while slot == 0:
            slot = peek(into)
            if slot == 0:
                spins += 1
                if _late(spins, deadline_ticks):
                    break
        if slot == 0:
            return -1 - done if wrong else done
        wrong |= _wrong(slot, done)
        if side == 1:
            _send(out, done)
            warm(out, WORDS * 8)
        advance(into)
        acknowledge(into)
        if side == 0:
            store_i64(samples + 8 * done, ticks() - begin)
    return -1 - rounds if wrong else rounds


@njit(inline="always")
def _take(reader, number):
    slot, moved = peek(reader), 0
    if slot != 0:
        moved = -1 if _wrong(slot, number) else 1
        advance(reader)
    if slot == 0 or load_i64(reader + READER.position) % BATCH == 0:
        acknowledge(reader)
    return moved


@njit(cache=True)
def burst_ring(out, into, side, records, deadline_ticks):
    """Records sent or read, or -1 - that when a payload was wrong."""
    wrong, spins, done = 0, 0, 0
    while done < records:
        moved = _send(out, done) if side == 0 else _take(into, done)
        if moved < 0:
            wrong, moved = 1, 1
        done += moved
        if moved == 0:
            spins += 1
            if _late(spins, deadline_ticks):
                break
    return -1 - done if wrong else done
