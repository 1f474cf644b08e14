"""Books ⑤ of another region: the records of link_core, live and of scans, on the way that a decoder's events take.

    link_core ─ copy ─ in order? ─┬─ WAITING    everything is passed over until a SCAN_BEGIN
                                  ├─ SCANNING   scans fill the books; live records that are scanned move them, no news yet
                                  ├─ LIVE       apply, quality, strategy, gate: as in events.py
                                  └─ SILENT     the source is not heard: stale, until LINK_UP or its next record

            SCAN_BEGIN            SCAN_END             LINK_DOWN
    WAITING ──────────► SCANNING ──────────► LIVE ────────────► SILENT
       ▲                 │    ▲               │  ◄────────────    │
       │                 │    └─ SCAN_BEGIN ──┤   LINK_UP, or     │
       └─ LOST, a RUN ◄──┘                    │   a record        │
       └─ LOST ◄──────────────────────────────┴───────────────────┘

Hard rule: a record is copied before it is looked at, and applied once, in the source's order; what breaks it makes every
book stale before anything else is read.
"""

from gateway.core import ring
from gateway.core.book import prefetch_ahead, prefetch_events
from gateway.core.book_link_events import on_mirrored_run, on_opened, on_record_event
from gateway.core.book_link_scan import (
    MIRROR,
    NAMED,
    SCANNING,
    TAKEN,
    begin_mirror,
    define_channel,
    define_listing,
    define_mirrored,
    end_mirror,
    fill_mirrored,
    refuse,
    settle_mirrored,
)
from gateway.core.book_link_trust import SILENT, WAITING, announce, blank_event, fall_silent, lose, wake
from gateway.core.book_rows import BOOK
from gateway.core.counters import add_to
from gateway.core.events import name_instrument
from gateway.core.kernel import inner, kernel
from gateway.core.levels import SIDE, side_of
from gateway.core.link_out import BUY, EVENT, EVENT_BYTES, SLOT, STORE
from gateway.core.link_tap import break_order
from gateway.core.memory import copy_bytes, load_i64, load_u16, load_u32, store_i64, store_u8, store_u32, ticks
from gateway.layout import offsets, size, value

CORE = offsets("core")
SLOT_BYTES = size("link_slot")
RECORD, RUN, LOST, DOWN, UP = (value(f"LINK_{name}") for name in ("EVENT", "RUN", "LOST", "DOWN", "UP"))
SCAN_BEGIN, SCAN_END = value("LINK_SCAN_BEGIN"), value("LINK_SCAN_END")
LISTING_KIND, BOOK_KIND, SETTLED = value("LINK_LISTING"), value("LINK_BOOK"), value("LINK_SETTLED")
ORDER_KIND, LEVEL_KIND, CHANNEL_KIND = value("LINK_ORDER"), value("LINK_LEVEL"), value("LINK_CHANNEL")
OUTSIDE_SCAN, JOINING = value("LINK_LIVE"), value("LINK_JOINING")
INSTRUMENT, SNAPSHOT_END, NONE = value("EVENT_INSTRUMENT"), value("EVENT_SNAPSHOT_END"), value("EVENT_NONE")


@kernel
def take_link(core):
    """Up to TAKEN records of link_core, worked through to the end. Returns how many there were."""
    mirror, reader = load_i64(core + CORE.mirror), core + CORE.link
    slots, events, count = load_i64(mirror + MIRROR.slots), load_i64(mirror + MIRROR.events), 0
    slot = ring.peek(reader)
    while slot != 0 and count < TAKEN:
        copy, event = slots + count * SLOT_BYTES, events + count * EVENT_BYTES
        copy_bytes(copy, slot, SLOT_BYTES)
        copy_bytes(event, copy + SLOT.event, EVENT_BYTES)
        if load_u16(copy + SLOT.kind) not in (RECORD, ORDER_KIND, LEVEL_KIND):
            store_u8(event + EVENT.kind, NONE)  # what stands there is none
        ring.advance(reader)
        count += 1
        slot = ring.peek(reader)
    if count == 0:
        return 0
    store_i64(core + CORE.ticks_receive, ticks())
    store_i64(core + CORE.ticks_decode, load_i64(core + CORE.ticks_receive))
    prefetch_events(load_i64(mirror + MIRROR.store), events, count)
    for index in range(count):
        prefetch_ahead(load_i64(mirror + MIRROR.store), events, index, count)
        take_record(core, mirror, slots + index * SLOT_BYTES, events + index * EVENT_BYTES)
    ring.acknowledge(reader)
    return count


@kernel
def take_record(core, mirror, slot, event):
    """One record: in its order, or what breaks it."""
    kind, sequence = load_u16(slot + SLOT.kind), load_i64(slot + SLOT.source_sequence)
    if kind in (DOWN, UP):
        if kind == DOWN:
            fall_silent(core, mirror)
        else:
            wake(core, mirror)
        return
    if sequence > 0 and sequence <= load_i64(mirror + MIRROR.sequence):
        add_to(mirror + MIRROR.passed, 1)  # the link was started again and says it twice
        return
    if load_u32(mirror + MIRROR.state) == SILENT:
        wake(core, mirror)
    if kind == LOST or sequence <= 0:
        lose(core, mirror)
    elif kind == SCAN_BEGIN:
        lose(core, mirror)
        store_i64(mirror + MIRROR.sequence, sequence)
        begin_mirror(mirror, slot)
    elif load_u32(mirror + MIRROR.state) == WAITING:
        add_to(mirror + MIRROR.passed, 1)
    else:
        store_i64(mirror + MIRROR.sequence, sequence)
        follow_record(core, mirror, slot, event, kind)


@inner
def follow_record(core, mirror, slot, event, kind):
    """A record in its order, by what is known so far."""
    store, state = load_i64(mirror + MIRROR.store), load_u32(mirror + MIRROR.state)
    flags = load_u16(slot + SLOT.flags)
    store_u32(store + STORE.channel, load_u32(slot + SLOT.channel))
    store_u32(store + STORE.arrivals, load_u32(slot + SLOT.arrivals))
    if kind == RECORD:
        on_record_event(core, mirror, event, flags, state)
    elif kind == RUN:
        on_mirrored_run(core, mirror, slot, state)
    elif kind in (LISTING_KIND, BOOK_KIND) and flags & OUTSIDE_SCAN:
        on_opened(mirror, slot, kind, state)
    elif state == SCANNING:
        on_scanned(core, mirror, slot, event, kind)
    else:
        add_to(mirror + MIRROR.passed, 1)


@inner
def on_scanned(core, mirror, slot, event, kind):
    """A record of the scan that is followed."""
    add_to(mirror + MIRROR.scanned, 1)
    if kind == LISTING_KIND:
        define_listing(mirror, slot)
    elif kind == BOOK_KIND:
        admit_book(core, define_mirrored(mirror, slot))
    elif kind == ORDER_KIND:
        fill_mirrored(mirror, slot, event, load_u32(slot + SLOT.priority))
    elif kind == LEVEL_KIND:
        fill_mirrored(mirror, slot, event, -1)
    elif kind == CHANNEL_KIND:
        define_channel(mirror, slot)
    elif kind == SETTLED:
        book = settle_mirrored(mirror, slot)
        admit_book(core, book)
        if book != 0:
            announce(core, SNAPSHOT_END, load_u32(book + BOOK.instrument), 0)
    elif kind == SCAN_END:
        if end_mirror(mirror, slot) == 0:
            lose(core, mirror)
        break_order(load_i64(core + CORE.tap))
    else:
        refuse(mirror)


@inner
def admit_book(core, book):
    """A named book has its limits and what is carried over, as if the directory had named it here."""
    if book == 0 or load_u32(book + BOOK.flags) & NAMED == 0:
        return
    event = blank_event(core, INSTRUMENT, load_u32(book + BOOK.instrument), 0)
    store_i64(event + EVENT.order_id, load_i64(book + BOOK.symbol))
    store_i64(event + EVENT.price, load_i64(side_of(book, BUY) + SIDE.tick))
    name_instrument(core, event)
