"""The numba side of the ring benchmark: hop_ring and burst_ring of contenders/ring_hop.c over gateway/core/ring.py.

Hard rule: the same work as there: 48 bytes written and checked per record, one look at the deadline per LOOKS spins.
"""

from numba import njit

from gateway.core.memory import load_i64, store_i64, store_u32, ticks
from gateway.core.ring import SLOT, acknowledge, advance, claim, peek, publish

WORDS, LOOKS, BATCH = 6, 4096, 16
SLOT_BYTES = 16


@njit(inline="always")
def _send(writer, number):
    slot = claim(writer)
    if slot == 0:
        return False
    store_u32(slot + SLOT.size, WORDS * 8)
    for index in range(WORDS):
        store_i64(slot + SLOT_BYTES + 8 * index, number + index)
    publish(writer, slot)
    return True


@njit(inline="always")
def _wrong(slot, number):
    wrong = 0
    for index in range(WORDS):
        wrong |= load_i64(slot + SLOT_BYTES + 8 * index) ^ (number + index)
    return wrong


@njit(cache=True)
def hop_ring(out, into, side, rounds, samples, deadline_ticks):
    """Round trips done, or -1 - that when a payload was wrong."""
    wrong, spins = 0, 0
    for done in range(rounds):
        begin = ticks()
        if side == 0:
            _send(out, done)
        slot = 0
        while slot == 0:
            slot = peek(into)
            spins += 1
            if spins % LOOKS == 0 and ticks() > deadline_ticks:
                break
        if slot == 0:
            return -1 - done if wrong else done
        wrong |= _wrong(slot, done)
        advance(into)
        acknowledge(into)
        if side == 1:
            _send(out, done)
        else:
            store_i64(samples + 8 * done, ticks() - begin)
    return -1 - rounds if wrong else rounds


@njit(cache=True)
def burst_ring(out, into, side, records, deadline_ticks):
    """Records sent or read, or -1 - that when a payload was wrong."""
    wrong, spins, done = 0, 0, 0
    while done < records:
        spins += 1
        if spins % LOOKS == 0 and ticks() > deadline_ticks:
            break
        if side == 0:
            if _send(out, done):
                done += 1
            continue
        slot = peek(into)
        if slot != 0:
            wrong |= _wrong(slot, done)
            done += 1
            advance(into)
        if slot == 0 or done % BATCH == 0:
            acknowledge(into)
    return -1 - done if wrong else done
