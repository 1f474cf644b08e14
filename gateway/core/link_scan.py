"""The scan of the regional link: every book told as it is, a little in each turn, while core goes on.

    IDLE ─ asked ─► BOOKS ─► ORDERS ─► LEVELS ─► CHANNELS ─► SETTLING ─► IDLE
     ▲                │ the ring is full, or a run begins       │
     └────────────────┴── given up: begins anew ────────────────┘

Hard rule: one turn looks at a bounded number of rows and writes no record unless half the ring is free: live records, which
come in between, find room that no scan took.
"""

from gateway import limits
from gateway.core import ring
from gateway.core.book_depth import best_level, next_level
from gateway.core.book_orders import ORDER, row_at
from gateway.core.book_rows import listed_book
from gateway.core.counters import add_to
from gateway.core.kernel import inner, kernel
from gateway.core.levels import LEVEL, level_at, price_of, side_of
from gateway.core.link_out import (
    BOOK,
    BUY,
    EVENT,
    EVENT_BYTES,
    IDLE,
    SELL,
    STORE,
    TAP,
    WRITER,
    tell_book,
    tell_event,
    tell_listing,
    tell_lost,
    tell_words,
)
from gateway.core.memory import (
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    relaxed,
    store_i64,
    store_u8,
    store_u32,
)
from gateway.layout import offsets, size, value

CHANNEL, CHANNEL_BYTES = offsets("book_channel"), size("book_channel")
BOOK_CHANNELS = value("BOOK_CHANNELS")
BOOKS, ORDERS, LEVELS = value("SCAN_BOOKS"), value("SCAN_ORDERS"), value("SCAN_LEVELS")
CHANNELS, SETTLING = value("SCAN_CHANNELS"), value("SCAN_SETTLING")
BEGIN, END = value("LINK_SCAN_BEGIN"), value("LINK_SCAN_END")
BOOK_KIND, ORDER_KIND, LEVEL_KIND = value("LINK_BOOK"), value("LINK_ORDER"), value("LINK_LEVEL")
CHANNEL_KIND, SETTLED = value("LINK_CHANNEL"), value("LINK_SETTLED")
ADD, LEVEL_SET, OF_SNAPSHOT = value("EVENT_ADD"), value("EVENT_LEVEL"), value("EVENT_OF_SNAPSHOT")
BOOK_OF_LEVELS = value("BOOK_LEVELS")
BIDS, ASKS, ALL = value("TOLD_BIDS"), value("TOLD_ASKS"), value("TOLD_ALL")
ROWS, ROWS_BUSY = limits.LINK_SCAN_ROWS, limits.LINK_SCAN_ROWS_BUSY


@kernel
def scan_turn(tap, worked):
    """A part of the scan that runs, or the begin of one that is asked for; smaller in a busy turn. Rows looked at."""
    if load_i64(tap + TAP.lost) != 0:
        return tell_lost(tap)
    phase = load_u32(tap + TAP.phase)
    if phase == IDLE and relaxed(load_i64(tap + TAP.wanted)) == load_i64(tap + TAP.answered):
        return 0
    writer = tap + TAP.out
    if ring.room_now(writer) < load_i64(writer + WRITER.depth) >> 1:
        return 0
    return scan_some(tap, phase, ROWS if worked == 0 else ROWS_BUSY)


@inner
def scan_some(tap, phase, rows):
    """One phase's next rows."""
    store = load_i64(tap + TAP.store)
    if phase == IDLE:
        begin_scan(tap, store)
        return 1
    if phase == BOOKS:
        return scan_books(tap, store, rows)
    if phase == ORDERS:
        return scan_orders(tap, store, rows)
    if phase == LEVELS:
        return scan_levels(tap, store, rows)
    if phase == CHANNELS:
        return scan_channels(tap, store, rows)
    return settle_books(tap, store, rows)


@inner
def begin_scan(tap, store):
    """Nothing is told yet."""
    told = load_i64(tap + TAP.told)
    for offset in range(0, load_i64(tap + TAP.instruments), 8):
        store_i64(told + offset, 0)
    store_i64(tap + TAP.asked, relaxed(load_i64(tap + TAP.wanted)))
    store_i64(tap + TAP.used, load_i64(store + STORE.used))
    store_u32(tap + TAP.scan, load_u32(tap + TAP.scan) + 1)
    enter(tap, BOOKS)
    tell_words(tap, BEGIN, load_i64(store + STORE.used), load_i64(store + STORE.tick), load_u32(store + STORE.depth))


@inner
def enter(tap, phase):
    """The next phase, from its first row on."""
    store_u32(tap + TAP.phase, phase)
    store_i64(tap + TAP.cursor, 0)
    store_u32(tap + TAP.side, 0)


@inner
def scan_books(tap, store, rows):
    """Which books there are."""
    first, used = load_i64(tap + TAP.cursor), load_i64(store + STORE.used)
    last = min(first + rows, used)
    for position in range(first, last):
        book = listed_book(store, position)
        tell_listing(tap, load_u32(book + BOOK.instrument), 0)
        tell_book(tap, book, BOOK_KIND, 0)
    store_i64(tap + TAP.cursor, last)
    if last == used:
        enter(tap, ORDERS)
    return last - first + 1


@inner
def scan_orders(tap, store, rows):
    """Live orders, row by row."""
    first, end = load_i64(tap + TAP.cursor), load_i64(store + STORE.mask) + 1
    last = min(first + rows, end)
    event = empty_event(tap, ADD)
    for index in range(first, last):
        row = row_at(store, index)
        quantity = load_u32(row + ORDER.quantity)
        if quantity == 0:
            continue
        store_i64(event + EVENT.order_id, load_i64(row + ORDER.order_id))
        store_i64(event + EVENT.price, load_i64(row + ORDER.price))
        store_i64(event + EVENT.quantity, quantity)
        store_u32(event + EVENT.instrument, load_u16(row + ORDER.instrument))
        store_u8(event + EVENT.side, load_u8(row + ORDER.side))
        tell_event(tap, event, ORDER_KIND, 0, load_u32(store + STORE.arrivals), load_u32(row + ORDER.priority))
    store_i64(tap + TAP.cursor, last)
    if last == end:
        enter(tap, LEVELS)
    return last - first + 1


@inner
def empty_event(tap, kind):
    """The scratch event with nothing in it but its kind, and the time."""
    event = tap + TAP.event
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(event + offset, 0)
    store_u8(event + EVENT.kind, kind)
    store_u8(event + EVENT.flags, OF_SNAPSHOT)
    store_i64(event + EVENT.time_receive_ns, load_i64(load_i64(tap + TAP.now)))
    return event


@inner
def scan_levels(tap, store, rows):
    """Levels of the books that hold no orders, from the best on; a change behind the last one told does not disturb it."""
    event = empty_event(tap, LEVEL_SET)
    for looked in range(rows):
        if load_i64(tap + TAP.cursor) >= load_i64(store + STORE.used):
            enter(tap, CHANNELS)
            return looked + 1
        book = listed_book(store, load_i64(tap + TAP.cursor))
        number = load_u32(tap + TAP.side)
        if load_u32(book + BOOK.flags) & BOOK_OF_LEVELS == 0:
            begin_side(tap, book, 0, ALL)
        elif number == 0:
            begin_side(tap, book, BUY, BIDS)
        else:
            tell_level(tap, store, book, number, event)
    return rows


@inner
def begin_side(tap, book, number, told):
    """Goes to a side of the book; 0: to the next book."""
    store_u8(load_i64(tap + TAP.told) + load_u32(book + BOOK.instrument), told)
    store_u32(tap + TAP.side, number)
    store_u32(tap + TAP.begun, 0)
    if number == 0:
        add_to(tap + TAP.cursor, 1)


@inner
def tell_level(tap, store, book, number, event):
    """The next level of the side, or the end of it."""
    side = side_of(book, number)
    if load_u32(tap + TAP.begun) != 0:
        index = next_level(store, side, number, load_i64(tap + TAP.price))
    else:
        index = best_level(store, side, number)
    if index == 0:
        begin_side(tap, book, SELL if number == BUY else 0, ASKS if number == BUY else ALL)
        return
    level, price = level_at(store, index), price_of(store, index)
    store_i64(event + EVENT.price, price)
    store_i64(event + EVENT.quantity, load_i64(level + LEVEL.quantity))
    store_i64(event + EVENT.order_id, load_u32(level + LEVEL.orders))
    store_u32(event + EVENT.instrument, load_u32(book + BOOK.instrument))
    store_u8(event + EVENT.side, number)
    tell_event(tap, event, LEVEL_KIND, 0, load_u32(store + STORE.arrivals), 0)
    store_i64(tap + TAP.price, price)
    store_u32(tap + TAP.begun, 1)


@inner
def scan_channels(tap, store, rows):
    """What a book begins with that comes later; a channel that says nothing is not told."""
    first = load_i64(tap + TAP.cursor)
    last = min(first + rows, BOOK_CHANNELS)
    kept = load_u32(store + STORE.channel)
    for channel in range(first, last):
        flags = load_u32(store + STORE.channels + channel * CHANNEL_BYTES + CHANNEL.flags_new)
        if flags != 0:
            store_u32(store + STORE.channel, channel)  # which the record says it is of
            tell_words(tap, CHANNEL_KIND, flags, 0, 0)
    store_u32(store + STORE.channel, kept)
    store_i64(tap + TAP.cursor, last)
    if last == BOOK_CHANNELS:
        enter(tap, SETTLING)
    return last - first + 1


@inner
def settle_books(tap, store, rows):
    """Everything has been told: what each book is worth."""
    first, used = load_i64(tap + TAP.cursor), load_i64(store + STORE.used)
    last = min(first + rows, used)
    for position in range(first, last):
        tell_book(tap, listed_book(store, position), SETTLED, 0)
    store_i64(tap + TAP.cursor, last)
    if last == used:
        tell_words(tap, END, used, 0, 0)
        store_u32(tap + TAP.phase, IDLE)
        store_i64(tap + TAP.answered, load_i64(tap + TAP.asked))
        add_to(tap + TAP.scans, 1)
    return last - first + 1
