"""The numba side of the guard: each loop is int64 work(int64 state, int64 times), like those in counts.c.

`state` is the address of eight words, each an address or a number of `works.py`. Hard rule: what is counted here is called
as the corridor calls it; the loops add a few instructions of their own and nothing that depends on an address.
"""

from typing import Any

from numba import cfunc, types

from gateway.core.book import apply_events, begin_session, prefetch_ahead, prefetch_events
from gateway.core.gate import decide_new
from gateway.core.kernel import leaf
from gateway.core.link_tap import apply_and_tell
from gateway.core.memory import call_strategy, load_i64, store_i64, store_u32
from gateway.core.ring import SLOT, acknowledge, advance, claim, peek, publish
from gateway.core.strategy import INTENTS
from gateway.layout import offsets, size
from gateway.protocols.itch50_decode import decode_packet
from gateway.protocols.udp import parse_frame

SIGNATURE = types.int64(types.int64, types.int64)
EVENT_BYTES, INTENT_BYTES = size("event"), size("intent")
EVENT = offsets("event")
BATCH = 256  # events applied at a time
RECORD_WORDS, SLOT_HEADER_BYTES = 6, 16


def decode(state, times):
    """(table, data, offsets, sizes, packets, events, counters): every packet, `times` times; messages."""
    table, data, places, sizes = load_i64(state), load_i64(state + 8), load_i64(state + 16), load_i64(state + 24)
    packets, events, counters = load_i64(state + 32), load_i64(state + 40), load_i64(state + 48)
    total = 0
    for _ in range(times):
        for index in range(packets):
            payload = data + load_i64(places + 8 * index)
            total += decode_packet(table, payload, load_i64(sizes + 8 * index), 0, 1, events, counters)
    return total


def book(state, times):
    """(store, events, counters): `times` batches of the events, each once; tops that changed."""
    store, events, counters = load_i64(state), load_i64(state + 8), load_i64(state + 16)
    changed = 0
    for turn in range(times):
        changed += apply_events(store, events + turn * BATCH * EVENT_BYTES, BATCH, counters)
    return changed


def told(state, times):
    """(store, events, counters, tap): as core applies them, one by one; tap not 0: the link is told."""
    tap, changed = load_i64(state + 24), 0
    for turn in range(times):
        changed += apply_batch(state, turn, 0) if tap == 0 else apply_batch(state, turn, tap)
    return changed


@leaf
def apply_batch(state, turn, tap):
    """One batch, as events.work_through does it."""
    store, counters, changed = load_i64(state), load_i64(state + 16), 0
    events = load_i64(state + 8) + turn * BATCH * EVENT_BYTES
    prefetch_events(store, events, BATCH)
    for index in range(BATCH):
        prefetch_ahead(store, events, index, BATCH)
        changed += apply_and_tell(tap, store, events + index * EVENT_BYTES, counters, 0)
    return changed


def morning(state, times):
    """The same behind the beginning of a session: the first batches of a day."""
    store, events, counters = load_i64(state), load_i64(state + 8), load_i64(state + 16)
    begin_session(store, 1)
    for turn in range(times):
        apply_events(store, events + turn * BATCH * EVENT_BYTES, BATCH, counters)
    return times


def gate(state, times):
    """(path, intents, count, now): every intent, `times` times; the sum of the masks times their place."""
    path, intents, count, now_ns = load_i64(state), load_i64(state + 8), load_i64(state + 16), load_i64(state + 24)
    total = 0
    for _ in range(times):
        for index in range(count):
            total += decide_new(path, intents + index * INTENT_BYTES, 1, now_ns) * (index + 1)
    return total


def ring(state, times):
    """(writer, reader): one record through; the sum of its last words."""
    writer, reader = load_i64(state), load_i64(state + 8)
    total = 0
    for turn in range(times):
        slot = claim(writer)
        if slot == 0:
            return -1
        store_u32(slot + SLOT.size, RECORD_WORDS * 8)
        for word in range(RECORD_WORDS):
            store_i64(slot + SLOT_HEADER_BYTES + 8 * word, turn + word)
        publish(writer, slot)
        slot = peek(reader)
        total += load_i64(slot + SLOT_HEADER_BYTES + 8 * (RECORD_WORDS - 1))
        advance(reader)
        acknowledge(reader)
    return total


def frame(state, times):
    """(frame, size, datagram): a frame is checked and its datagram found, checksum included; reasons that were found."""
    bytes_at, size_bytes, datagram = load_i64(state), load_i64(state + 8), load_i64(state + 16)
    refused = 0
    for _ in range(times):
        refused += parse_frame(bytes_at, size_bytes, 0, datagram)
    return refused


def strategy(state, times):
    """(function, state, event, book, intents): one call each, which intends one order; intents."""
    function, own, event, top = load_i64(state), load_i64(state + 8), load_i64(state + 16), load_i64(state + 24)
    intents = load_i64(state + 32)
    total = 0
    for turn in range(times):
        store_i64(intents + INTENTS.time_ns, load_i64(intents + INTENTS.time_ns) + 1 + turn)
        store_u32(intents + INTENTS.count, 0)
        call_strategy(function, own, event, top, intents)
        total += load_i64(intents) & 0xFFFFFFFF
    return total


def compiled(work: Any) -> Any:
    """The C function of a loop; its machine code is kept on the disk. Keep it alive while its address is in use."""
    return cfunc(SIGNATURE, cache=True)(work)
