"""Writes records of the regional link into core_link ⑤→: what happened to the books, in the order it happened.

Below link_tap.py (live records) and link_scan.py (those of scans). Hard rule: it never waits. What finds no room is counted,
ends the scan that runs, and is told of by LINK_LOST in front of the next record, once a quarter of the ring is free again.
"""

from gateway.core import ring
from gateway.core.counters import add_to
from gateway.core.kernel import inner, leaf
from gateway.core.levels import SIDE, side_of
from gateway.core.memory import copy_bytes, load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

TAP = offsets("link_tap")
SLOT = offsets("link_slot")
BOOK_RECORD = offsets("link_book")
LISTING_RECORD = offsets("link_listing")
STORE = offsets("book_store")
BOOK = offsets("book")
LISTING = offsets("instrument")
EVENT = offsets("event")
WRITER = offsets("ring_writer")
EVENT_BYTES, LISTING_BYTES, SYMBOL_BYTES = size("event"), size("instrument"), value("INSTRUMENT_SYMBOL_BYTES")
SIZE_WORD = size("link_slot") - 64  # bytes behind the first line
LOST, LISTING_KIND = value("LINK_LOST"), value("LINK_LISTING")
IDLE, IN_USE = value("SCAN_IDLE"), value("LISTING_IN_USE")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")


@leaf
def arrivals_now(tap):
    """Orders that took a place in a queue, up to here."""
    return load_u32(load_i64(tap + TAP.store) + STORE.arrivals)


@leaf
def write_head(tap, slot, kind, flags, arrivals):
    """The first 32 bytes of a claimed slot but its sequence word, which publishing writes."""
    store = load_i64(tap + TAP.store)
    store_i64(slot + SLOT.size, SIZE_WORD | kind << 32 | flags << 48)
    store_u32(slot + SLOT.channel, load_u32(store + STORE.channel))
    store_u32(slot + SLOT.arrivals, arrivals)
    store_i64(slot + SLOT.source_sequence, 0)


@leaf
def begin_record(tap, kind, flags, arrivals):
    """The slot of the next record, its head written; 0: there is no room, and that is counted."""
    if load_i64(tap + TAP.lost) != 0 and tell_lost(tap) == 0:
        return miss(tap)
    slot = ring.claim(tap + TAP.out)
    if slot == 0:
        return miss(tap)
    write_head(tap, slot, kind, flags, arrivals)
    return slot


@inner
def miss(tap):
    """A record found no room: a scan that runs has a hole now and begins anew later. Returns 0."""
    ring.shed(tap + TAP.out)
    add_to(tap + TAP.lost, 1)
    give_up(tap)
    return 0


@inner
def give_up(tap):
    """Ends the scan that runs; it is still wanted, so that another begins."""
    if load_u32(tap + TAP.phase) != IDLE:
        store_u32(tap + TAP.phase, IDLE)
        add_to(tap + TAP.given_up, 1)


@inner
def tell_lost(tap):
    """LINK_LOST, once there is room for more than it; 1: it was told."""
    writer = tap + TAP.out
    if ring.room_now(writer) < load_i64(writer + WRITER.depth) >> 2:
        return 0
    slot = ring.claim(writer)
    write_head(tap, slot, LOST, 0, 0)
    write_words(tap, slot, load_i64(tap + TAP.lost), 0, 0)
    store_i64(tap + TAP.lost, 0)
    ring.publish(writer, slot)
    return 1


@leaf
def write_line(tap, slot, count, priority, scan):
    """The rest of the first line."""
    store_i64(slot + SLOT.time_ns, load_i64(load_i64(tap + TAP.now)))
    store_i64(slot + SLOT.count, count)
    store_u32(slot + SLOT.priority, priority)
    store_u32(slot + SLOT.scan, scan)
    store_i64(slot + SLOT.reserved, 0)


@leaf
def write_words(tap, slot, count, price, quantity):
    """A record without an event: its first line, and in the empty event what it has to say in numbers."""
    write_line(tap, slot, count, 0, load_u32(tap + TAP.scan))
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(slot + SLOT.event + offset, 0)
    store_i64(slot + SLOT.event + EVENT.price, price)
    store_i64(slot + SLOT.event + EVENT.quantity, quantity)


@leaf
def tell_event(tap, event, kind, flags, arrivals, priority):
    """A record that holds an event."""
    slot = begin_record(tap, kind, flags, arrivals)
    if slot != 0:
        write_line(tap, slot, 0, priority, 0)
        copy_bytes(slot + SLOT.event, event, EVENT_BYTES)
        ring.publish(tap + TAP.out, slot)


@inner
def tell_words(tap, kind, count, price, quantity):
    """A record that holds none."""
    slot = begin_record(tap, kind, 0, arrivals_now(tap))
    if slot != 0:
        write_words(tap, slot, count, price, quantity)
        ring.publish(tap + TAP.out, slot)


@inner
def tell_book(tap, book, kind, flags):
    """A row of a book, as it is."""
    slot = begin_record(tap, kind, flags, arrivals_now(tap))
    if slot == 0:
        return
    bids, asks = side_of(book, BUY), side_of(book, SELL)
    store_u32(slot + BOOK_RECORD.channel, load_u32(book + BOOK.channel))
    store_u32(slot + BOOK_RECORD.instrument, load_u32(book + BOOK.instrument))
    store_u32(slot + BOOK_RECORD.book_flags, load_u32(book + BOOK.flags))
    store_i64(slot + BOOK_RECORD.time_ns, load_i64(book + BOOK.time_ns))
    store_i64(slot + BOOK_RECORD.book_sequence, load_i64(book + BOOK.sequence))
    store_i64(slot + BOOK_RECORD.snapshot_sequence, load_i64(book + BOOK.snapshot_sequence))
    store_i64(slot + BOOK_RECORD.last_price, load_i64(book + BOOK.last_price))
    store_i64(slot + BOOK_RECORD.tick, load_i64(bids + SIDE.tick))
    store_i64(slot + BOOK_RECORD.tick_next, load_i64(book + BOOK.tick_next))
    store_i64(slot + BOOK_RECORD.symbol, load_i64(book + BOOK.symbol))
    store_u32(slot + BOOK_RECORD.trading, load_u32(book + BOOK.trading))
    store_u32(slot + BOOK_RECORD.depth, load_u32(book + BOOK.depth))
    store_u32(slot + BOOK_RECORD.orders, load_u32(book + BOOK.orders))
    store_u32(slot + BOOK_RECORD.bid_levels, load_u32(bids + SIDE.levels))
    store_u32(slot + BOOK_RECORD.ask_levels, load_u32(asks + SIDE.levels))
    store_u32(slot + BOOK_RECORD.reserved, 0)
    store_i64(slot + BOOK_RECORD.stale_since_ns, load_i64(book + BOOK.stale_since_ns))
    ring.publish(tap + TAP.out, slot)


@inner
def tell_listing(tap, instrument, flags):
    """The definition of an instrument, where its feed keeps one."""
    row = load_i64(tap + TAP.listings) + instrument * LISTING_BYTES
    if load_u32(row + LISTING.flags) & IN_USE == 0:
        return
    slot = begin_record(tap, LISTING_KIND, flags, arrivals_now(tap))
    if slot == 0:
        return
    store_u32(slot + LISTING_RECORD.channel, load_u32(row + LISTING.channel))
    store_u32(slot + LISTING_RECORD.instrument, instrument)
    store_u32(slot + LISTING_RECORD.layer, load_u32(row + LISTING.layer))
    store_i64(slot + LISTING_RECORD.identifier, load_i64(row + LISTING.identifier))
    store_i64(slot + LISTING_RECORD.tick, load_i64(row + LISTING.tick))
    store_i64(slot + LISTING_RECORD.lot, load_i64(row + LISTING.lot))
    store_u32(slot + LISTING_RECORD.price_exponent, load_u32(row + LISTING.price_exponent))
    store_u32(slot + LISTING_RECORD.quantity_exponent, load_u32(row + LISTING.quantity_exponent))
    store_u32(slot + LISTING_RECORD.listing_flags, load_u32(row + LISTING.flags))
    store_u32(slot + LISTING_RECORD.symbol_bytes, load_u32(row + LISTING.symbol_bytes))
    copy_bytes(slot + LISTING_RECORD.symbol, row + LISTING.symbol, SYMBOL_BYTES)
    ring.publish(tap + TAP.out, slot)
