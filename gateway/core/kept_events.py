"""The ring of events that wait for a snapshot of their instrument: beside recovery.py, between ④ and ⑤.

One ring for all instruments, a list per instrument through it. Hard rule: when the ring is full the oldest event goes, and
the row of its instrument says from then on that it is no longer covered: a snapshot must be newer than what was dropped.
"""

from gateway.core.counters import count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import copy_bytes, load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

HEALING = offsets("healing")
ROW = offsets("heal_row")
KEPT = offsets("kept_event")
EVENT = offsets("event")
EVENT_BYTES, ROW_BYTES, KEPT_BYTES = size("event"), size("heal_row"), size("kept_event")
FULL = value("FEED_EVENTS_FULL")


@leaf
def row_at(healing, instrument):
    """Address of an instrument's struct heal_row."""
    return load_i64(healing + HEALING.rows) + instrument * ROW_BYTES


@leaf
def kept_at(healing, slot):
    """Address of a struct kept_event."""
    return load_i64(healing + HEALING.kept) + slot * KEPT_BYTES


@kernel
def keep(healing, row, event, counters):
    """Copies an event to the end of its instrument's list."""
    count = load_i64(healing + HEALING.kept_count)
    slot = count & (load_i64(healing + HEALING.kept_max) - 1)
    target = kept_at(healing, slot)
    if count >= load_i64(healing + HEALING.kept_max):
        drop(healing, target, counters)
    copy_bytes(target, event, EVENT_BYTES)
    store_u32(target + KEPT.next, 0)
    store_u32(target + KEPT.serial, load_u32(row + ROW.serial))
    if load_u32(row + ROW.head) == 0:
        store_u32(row + ROW.head, slot + 1)
    else:
        store_u32(kept_at(healing, load_u32(row + ROW.tail) - 1) + KEPT.next, slot + 1)
    store_u32(row + ROW.tail, slot + 1)
    store_i64(healing + HEALING.kept_count, count + 1)


@kernel
def drop(healing, kept, counters):
    """The oldest event leaves the ring: it is the first of its instrument's list, or nobody's any more."""
    row = row_at(healing, load_u32(kept + EVENT.instrument))
    if load_u32(kept + KEPT.serial) != load_u32(row + ROW.serial):
        return
    count_reason(counters, FULL)
    store_u32(row + ROW.head, load_u32(kept + KEPT.next))
    store_i64(row + ROW.covered, max(load_i64(row + ROW.covered), load_i64(kept + EVENT.sequence)))


@leaf
def drop_list(row):
    """Nothing of this instrument is kept any more."""
    store_u32(row + ROW.head, 0)
    store_u32(row + ROW.serial, load_u32(row + ROW.serial) + 1)
