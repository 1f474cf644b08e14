"""Books ⑤ of another region, built from a scan of its books: what a scan's records do here (native/layout/link.h).

    SCAN_BEGIN: nothing is known ─► BOOK, ORDER, LEVEL: they fill, STALE ─► SETTLED: whole, and worth what the source says

Hard rule: a book is stale until it is settled, whatever a record says; what no source could have made is counted and changes
nothing.
"""

from typing import Any

import numpy as np

from gateway import limits
from gateway.core.book import apply_event
from gateway.core.book_changes import remove_order
from gateway.core.book_channels import after_gap, channel_at, enter_list, leave_list, list_of, note_health, set_trust
from gateway.core.book_orders import ORDER, ORDER_BYTES
from gateway.core.book_rows import BOOK, book_of, listed_book, name_book, set_tick
from gateway.core.book_sessions import renew_book
from gateway.core.book_touch import open_book
from gateway.core.counters import add_to
from gateway.core.kernel import inner, kernel, leaf
from gateway.core.levels import SIDE, side_of
from gateway.core.link_out import BOOK_RECORD, BUY, EVENT, LISTING, LISTING_BYTES, LISTING_RECORD, SELL, SLOT, STORE
from gateway.core.memory import (
    address_of,
    copy_bytes,
    load_i64,
    load_u16,
    load_u32,
    store_i64,
    store_u8,
    store_u32,
)
from gateway.layout import dtype, offsets, value

MIRROR = offsets("link_mirror")
CHANNEL = offsets("book_channel")
COUNTERS = offsets("core_counters")
BOOK_CHANNELS, SYMBOL_BYTES = value("BOOK_CHANNELS"), value("INSTRUMENT_SYMBOL_BYTES")
EXPONENT_LAST, TRADING_LAST = value("INSTRUMENT_EXPONENT_LAST"), value("TRADING_CLOSED")
KNOWN, NAMED, BOUND = value("BOOK_KNOWN"), value("BOOK_NAMED"), value("BOOK_BOUND")
VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")
CROSSED, LEVELS, SNAPSHOT = value("BOOK_CROSSED"), value("BOOK_LEVELS"), value("BOOK_SNAPSHOT")
RECOVERABLE, SKIPPING, QUIET = value("BOOK_RECOVERABLE"), value("BOOK_SKIPPING"), value("BOOK_QUIET")
TOLD = VALID | STALE | FAULT | KNOWN | NAMED | RECOVERABLE | SKIPPING | SNAPSHOT | BOUND  # what the source knows best
SCANNING, LIVE = value("MIRROR_SCANNING"), value("MIRROR_LIVE")
TAKEN = limits.LINK_TAKEN_PER_TURN
TICK_MAX = limits.TICK_MAX


def make_mirror(
    *, store: int, instruments: int, listings: int, counters: int, taken: int = TAKEN
) -> tuple[np.ndarray, list[Any]]:
    """A struct link_mirror (array of one) that waits for a scan, and what must be kept alive with it.

    `store` is the address of the struct book_store over `instruments` rows, `listings` of struct instrument 0 of as many,
    `counters` of struct core_counters.
    """
    mirror = np.zeros(1, dtype("link_mirror"))
    settled, flags = np.zeros(instruments, np.uint8), np.zeros(instruments, np.uint32)
    events, slots = np.zeros(taken, dtype("event")), np.zeros(taken, dtype("link_slot"))
    mirror["settled"], mirror["flags"] = address_of(settled), address_of(flags)
    mirror["events"], mirror["slots"] = address_of(events), address_of(slots)
    mirror["store"], mirror["instruments"], mirror["listings"] = store, instruments, listings
    mirror["counters"] = counters
    return mirror, [settled, flags, events, slots]


@leaf
def refuse(mirror):
    """A record that no source could have made."""
    add_to(mirror + MIRROR.refused, 1)


@kernel
def begin_mirror(mirror, slot):
    """SCAN_BEGIN: the books are empty and stale; one long walk of the order table, if there are any orders."""
    store = load_i64(mirror + MIRROR.store)
    tick, depth = load_i64(slot + SLOT.event + EVENT.price), load_i64(slot + SLOT.event + EVENT.quantity)
    if tick < 1 or tick > TICK_MAX or depth < 0 or depth >= 1 << 32:
        refuse(mirror)
        return
    store_i64(store + STORE.tick, tick)
    store_u32(store + STORE.depth, depth)
    remove_every_order(store)
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        renew_book(store, book, KNOWN | STALE | (load_u32(book + BOOK.flags) & QUIET))
        store_u8(load_i64(mirror + MIRROR.settled) + load_u32(book + BOOK.instrument), 0)
    for channel in range(BOOK_CHANNELS):
        store_u32(channel_at(store, channel) + CHANNEL.flags_new, 0)
    store_u32(mirror + MIRROR.state, SCANNING)
    store_u32(mirror + MIRROR.scan, load_u32(slot + SLOT.scan))
    store_i64(mirror + MIRROR.whole, 0)


@inner
def remove_every_order(store):
    """Of all books, one by one, so that pools and counts come out exact."""
    row = load_i64(store + STORE.orders)
    for _ in range(load_i64(store + STORE.mask) + 1):
        if load_i64(store + STORE.orders_live) == 0:
            break
        left = load_u32(row + ORDER.quantity)
        if left != 0:
            remove_order(store, book_of(store, load_u16(row + ORDER.instrument)), row, left, left)
        row += ORDER_BYTES


@kernel
def define_listing(mirror, slot):
    """LISTING: the definition of an instrument, whole."""
    instrument, symbol_bytes = load_u32(slot + LISTING_RECORD.instrument), load_u32(slot + LISTING_RECORD.symbol_bytes)
    price_exponent = load_u32(slot + LISTING_RECORD.price_exponent)
    quantity_exponent = load_u32(slot + LISTING_RECORD.quantity_exponent)
    tick, lot = load_i64(slot + LISTING_RECORD.tick), load_i64(slot + LISTING_RECORD.lot)
    possible = instrument < load_i64(mirror + MIRROR.instruments) and symbol_bytes <= SYMBOL_BYTES
    possible = possible and is_exponent(price_exponent) and is_exponent(quantity_exponent)
    if not possible or tick < 0 or lot < 0:
        refuse(mirror)
        return
    row = load_i64(mirror + MIRROR.listings) + instrument * LISTING_BYTES
    store_i64(row + LISTING.identifier, load_i64(slot + LISTING_RECORD.identifier))
    store_u32(row + LISTING.layer, load_u32(slot + LISTING_RECORD.layer))
    store_i64(row + LISTING.tick, tick)
    store_i64(row + LISTING.lot, lot)
    store_u32(row + LISTING.price_exponent, price_exponent)
    store_u32(row + LISTING.quantity_exponent, quantity_exponent)
    store_u32(row + LISTING.symbol_bytes, symbol_bytes)
    store_u32(row + LISTING.channel, load_u32(slot + LISTING_RECORD.channel))
    copy_bytes(row + LISTING.symbol, slot + LISTING_RECORD.symbol, SYMBOL_BYTES)
    store_u32(row + LISTING.flags, load_u32(slot + LISTING_RECORD.listing_flags))  # last: readers see it complete


@leaf
def is_exponent(word):
    """Whether 32 bits are an exponent of -18 to 18."""
    return ((word + EXPONENT_LAST) & 0xFFFFFFFF) <= 2 * EXPONENT_LAST


@kernel
def open_mirrored(mirror, slot):
    """BOOK: a book is in use from here. Its address; 0: it cannot be."""
    store, instrument = load_i64(mirror + MIRROR.store), load_u32(slot + BOOK_RECORD.instrument)
    if instrument >= load_i64(mirror + MIRROR.instruments):
        refuse(mirror)
        return 0
    book = book_of(store, instrument)
    if load_u32(book + BOOK.flags) & KNOWN == 0:
        store_u32(book + BOOK.depth, load_u32(slot + BOOK_RECORD.depth))
        open_book(store, book, instrument, load_i64(mirror + MIRROR.counters))
        follow_tick(book, slot)
    return book


@inner
def follow_tick(book, slot):
    """The tick of the source's keys, or the one named since: it only says how prices are found."""
    tick, following = load_i64(slot + BOOK_RECORD.tick), load_i64(slot + BOOK_RECORD.tick_next)
    wanted = following if following != 0 else tick
    if load_i64(side_of(book, BUY) + SIDE.tick) != wanted:
        set_tick(book, wanted)


@kernel
def define_mirrored(mirror, slot):
    """BOOK of a scan: what is known of a book before its orders and levels come. Its address; 0: it cannot be."""
    book = open_mirrored(mirror, slot)
    if book != 0:
        flags = load_u32(slot + BOOK_RECORD.book_flags) & (NAMED | BOUND)
        place_on_channel(load_i64(mirror + MIRROR.store), book, slot, flags | KNOWN | STALE)
        write_row(book, slot)
    return book


@inner
def place_on_channel(store, book, slot, flags):
    """The flags of a row, and the channel whose gaps concern it, in the list that both say."""
    was = load_u32(book + BOOK.flags)
    leave_list(store, book)
    store_u32(book + BOOK.channel, min(load_u32(slot + BOOK_RECORD.channel), BOOK_CHANNELS - 1))
    if (was ^ flags) & STALE:
        note_health(store, book, flags & STALE)
    store_u32(book + BOOK.flags, flags | (was & QUIET))
    enter_list(store, book, list_of(flags))


@inner
def write_row(book, slot):
    """What a row says apart from its flags, its channel and what it holds."""
    if load_u32(slot + BOOK_RECORD.book_flags) & NAMED:
        name_book(book, load_i64(slot + BOOK_RECORD.symbol))
    trading = load_u32(slot + BOOK_RECORD.trading)
    store_u32(book + BOOK.trading, trading if trading <= TRADING_LAST else 0)
    store_u32(book + BOOK.depth, load_u32(slot + BOOK_RECORD.depth))
    store_i64(book + BOOK.time_ns, load_i64(slot + BOOK_RECORD.time_ns))
    store_i64(book + BOOK.last_price, load_i64(slot + BOOK_RECORD.last_price))
    store_i64(book + BOOK.sequence, load_i64(slot + BOOK_RECORD.book_sequence))
    store_i64(book + BOOK.snapshot_sequence, load_i64(slot + BOOK_RECORD.snapshot_sequence))
    follow_tick(book, slot)


@kernel
def fill_mirrored(mirror, slot, event, priority):
    """ORDER, LEVEL: takes its place in its book; `priority` below 0: a level has none."""
    store = load_i64(mirror + MIRROR.store)
    if load_u32(event + EVENT.instrument) >= load_i64(mirror + MIRROR.instruments):
        refuse(mirror)
        return
    if priority >= 0:
        store_u32(store + STORE.arrivals, priority - 1)
    apply_event(store, event, load_i64(mirror + MIRROR.counters))
    strip(store, book_of(store, load_u32(event + EVENT.instrument)))


@kernel
def strip(store, book):
    """A book that is not settled is not trusted, whatever the last event made of it."""
    flags = load_u32(book + BOOK.flags)
    if flags & KNOWN == 0:
        return
    wanted = (flags & ~(VALID | RECOVERABLE | SNAPSHOT | SKIPPING | FAULT)) | STALE
    if flags != wanted:
        set_trust(store, book, wanted)


@kernel
def settle_mirrored(mirror, slot):
    """SETTLED: the book is whole, and worth what the source says; stale where it holds something else. Its address, or 0."""
    book = open_mirrored(mirror, slot)
    if book == 0:
        return 0
    own, bids, asks = load_u32(book + BOOK.flags), side_of(book, BUY), side_of(book, SELL)
    flags = (load_u32(slot + BOOK_RECORD.book_flags) & TOLD) | KNOWN | (own & CROSSED)
    same = load_u32(book + BOOK.orders) == load_u32(slot + BOOK_RECORD.orders)
    same = same and load_u32(bids + SIDE.levels) == load_u32(slot + BOOK_RECORD.bid_levels)
    same = same and load_u32(asks + SIDE.levels) == load_u32(slot + BOOK_RECORD.ask_levels)
    if same:
        flags |= load_u32(slot + BOOK_RECORD.book_flags) & LEVELS
    else:
        flags = after_gap(flags, 1) | FAULT | (own & LEVELS)
        add_to(mirror + MIRROR.mismatches, 1)
        add_to(load_i64(mirror + MIRROR.counters) + COUNTERS.mirror_mismatches, 1)
    place_on_channel(load_i64(mirror + MIRROR.store), book, slot, flags)
    write_row(book, slot)
    if same:  # otherwise since it was seen here
        store_i64(book + BOOK.stale_since_ns, load_i64(slot + BOOK_RECORD.stale_since_ns))
    store_u8(load_i64(mirror + MIRROR.settled) + load_u32(slot + BOOK_RECORD.instrument), 1)
    add_to(mirror + MIRROR.whole, 1)
    return book


@kernel
def define_channel(mirror, slot):
    """CHANNEL: what a book begins with that comes later."""
    store, channel = load_i64(mirror + MIRROR.store), load_u32(slot + SLOT.channel)
    if channel >= BOOK_CHANNELS:
        refuse(mirror)
        return
    store_u32(channel_at(store, channel) + CHANNEL.flags_new, load_i64(slot + SLOT.count) & TOLD)


@kernel
def end_mirror(mirror, slot):
    """SCAN_END: 1, every book is settled, and live records alone say what happens from here."""
    same = load_u32(slot + SLOT.scan) == load_u32(mirror + MIRROR.scan)
    if not same or load_i64(slot + SLOT.count) != load_i64(mirror + MIRROR.whole):
        refuse(mirror)
        return 0
    store_u32(mirror + MIRROR.state, LIVE)
    add_to(mirror + MIRROR.synchronised, 1)
    return 1
