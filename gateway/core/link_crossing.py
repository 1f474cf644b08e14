"""Live records of the regional link while a scan runs: which of them the scan will bring again.

    row of the order, or level, before and after the event      scanned ◄── cursor ──► not yet
        both scanned, or it was in one place only: the record without a flag
        neither scanned, or nothing moved:         the record UNSCANNED
        it crossed the cursor:                     its scanned half JOINING, then the record UNSCANNED

Scanned are the rows in front of the cursor; of a side of levels, those from the best through the last one told. Hard rule:
called right before and right behind the event's application, with nothing in between.
"""

from gateway.core.book_changes import is_price
from gateway.core.book_depth import level_at_position
from gateway.core.book_orders import NO_ROW, ORDER, ORDER_BYTES, find_order
from gateway.core.book_rows import book_of, has_levels
from gateway.core.book_sequences import SEQUENCE_MAX
from gateway.core.kernel import inner, leaf
from gateway.core.levels import price_of, side_of
from gateway.core.link_out import BOOK, EVENT, STORE, TAP, tell_event
from gateway.core.memory import (
    copy_bytes,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    shift_right,
    store_i64,
    store_u8,
    store_u32,
)
from gateway.layout import size, value

EVENT_BYTES = size("event")
ADD, EXECUTE, DELETE = value("EVENT_ADD"), value("EVENT_EXECUTE"), value("EVENT_DELETE")
REPLACE, SET = value("EVENT_REPLACE"), value("EVENT_SET")
LEVEL, OVERLAY, SNAPSHOT_BEGIN = value("EVENT_LEVEL"), value("EVENT_LEVEL_OVERLAY"), value("EVENT_SNAPSHOT_BEGIN")
ORDERS, LEVELS = value("SCAN_ORDERS"), value("SCAN_LEVELS")
BIDS, ASKS = value("TOLD_BIDS"), value("TOLD_ASKS")
UNSCANNED, JOINING, RECORD = value("LINK_UNSCANNED"), value("LINK_JOINING"), value("LINK_EVENT")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
BOOK_OF_LEVELS, OF_SNAPSHOT = value("BOOK_LEVELS"), value("EVENT_OF_SNAPSHOT")


@inner
def look_before(tap, event):
    """Where the order, or the level, that an event names stands now."""
    store, kind = load_i64(tap + TAP.store), load_u8(event + EVENT.kind)
    store_i64(tap + TAP.row, 0)
    store_u32(tap + TAP.arrivals_before, load_u32(store + STORE.arrivals))
    if EXECUTE <= kind <= REPLACE or kind == SET:
        store_i64(tap + TAP.row, find_order(store, load_i64(event + EVENT.order_id)))
    elif kind == OVERLAY and is_side(tap, event):
        number = load_u8(event + EVENT.side)
        side = side_of(book_of(store, load_u32(event + EVENT.instrument)), number)
        index = level_at_position(store, side, number, shift_right(load_i64(event + EVENT.order_id), 32))
        store_i64(tap + TAP.row, index)
        if index != 0:
            store_i64(tap + TAP.price_before, price_of(store, index))


@leaf
def is_side(tap, event):
    """Whether an event names a side of a book that there is."""
    known = load_u32(event + EVENT.instrument) < load_i64(tap + TAP.instruments)
    return known and BUY <= load_u8(event + EVENT.side) <= SELL


@inner
def tell_while_scanning(tap, event, flags):
    """The record of an event that was applied just now."""
    store, kind = load_i64(tap + TAP.store), load_u8(event + EVENT.kind)
    if kind in (REPLACE, SET):
        tell_moved(tap, store, event, kind, flags)
        return
    if kind == OVERLAY:
        tell_overlaid(tap, store, event, flags)
        return
    if kind == ADD:
        flags |= order_flag(tap, joined_row(tap, store, load_i64(event + EVENT.order_id)))
    elif EXECUTE <= kind <= DELETE:
        flags |= order_flag(tap, load_i64(tap + TAP.row))
    elif LEVEL <= kind < OVERLAY:
        flags |= level_flag(tap, store, event, load_i64(event + EVENT.price), kind == LEVEL)
    elif kind == SNAPSHOT_BEGIN and load_u32(event + EVENT.instrument) < load_i64(tap + TAP.instruments):
        book = book_of(store, load_u32(event + EVENT.instrument))
        if has_levels(book):  # its next part: nothing was emptied
            flags |= UNSCANNED
    tell_before(tap, event, flags)


@inner
def tell_before(tap, event, flags):
    """The record of an event, or of half of one, with the arrivals in front of it."""
    tell_event(tap, event, RECORD, flags, load_u32(tap + TAP.arrivals_before), 0)


@leaf
def joined_row(tap, store, order_id):
    """Row of the order that the event brought into a queue; 0: it was refused."""
    if load_u32(store + STORE.arrivals) == load_u32(tap + TAP.arrivals_before):
        return NO_ROW
    return find_order(store, order_id)


@leaf
def order_flag(tap, row):
    """UNSCANNED for a row that the scan has yet to reach, and for none."""
    phase = load_u32(tap + TAP.phase)
    if row == NO_ROW or phase < ORDERS:
        return UNSCANNED
    index = (row - load_i64(load_i64(tap + TAP.store) + STORE.orders)) // ORDER_BYTES
    return UNSCANNED if phase == ORDERS and index >= load_i64(tap + TAP.cursor) else 0


@inner
def tell_moved(tap, store, event, kind, flags):
    """An order that may stand in another row now, and may be another one."""
    order_id, row = load_i64(event + EVENT.order_id), load_i64(tap + TAP.row)
    before, same = order_flag(tap, row), find_order(store, order_id)
    refused = same != NO_ROW and load_u16(same + ORDER.instrument) != load_u32(event + EVENT.instrument)
    after = before
    if row != NO_ROW and not refused:
        if kind == REPLACE:
            after = order_flag(tap, joined_row(tap, store, load_i64(event + EVENT.other_id)))
        elif same != NO_ROW:
            after = order_flag(tap, same)
    if before != after:
        half = copy_event(tap, event)
        store_u8(half + EVENT.kind, DELETE if before == 0 else ADD)
        if before != 0:
            store_i64(half + EVENT.order_id, load_i64(event + EVENT.other_id) if kind == REPLACE else order_id)
        store_i64(half + EVENT.other_id, 0)
        tell_before(tap, half, flags | JOINING)
    tell_before(tap, event, flags | before | after)


@leaf
def copy_event(tap, event):
    """The event once more, to be told in part."""
    half = tap + TAP.event
    copy_bytes(half, event, EVENT_BYTES)
    return half


@leaf
def level_flag(tap, store, event, price, at_price):
    """UNSCANNED for what the scan of levels has yet to reach; what names no price concerns the scanned ones too."""
    phase = load_u32(tap + TAP.phase)
    if phase < LEVELS or not is_side(tap, event):
        return UNSCANNED
    instrument, number = load_u32(event + EVENT.instrument), load_u8(event + EVENT.side)
    if load_u32(book_of(store, instrument) + BOOK.flags) & BOOK_OF_LEVELS == 0 or not is_sequence(event):
        return UNSCANNED  # refused: the book holds orders, or the event says what cannot be
    told = load_u8(load_i64(tap + TAP.told) + instrument)
    now = BIDS if number == BUY else ASKS
    if phase > LEVELS or told > now:
        return 0
    if told < now:
        return UNSCANNED
    if not at_price:
        return 0
    last = load_i64(tap + TAP.price)
    better = price >= last if number == BUY else price <= last
    return 0 if load_u32(tap + TAP.begun) != 0 and better else UNSCANNED


@leaf
def is_sequence(event):
    """Whether the sequence that a level event carries itself is one."""
    of_snapshot = load_u8(event + EVENT.flags) & OF_SNAPSHOT != 0
    return of_snapshot or 0 <= load_i64(event + EVENT.other_id) <= SEQUENCE_MAX


@inner
def tell_overlaid(tap, store, event, flags):
    """A level that has another price now."""
    if load_i64(tap + TAP.row) == 0:
        tell_before(tap, event, flags | UNSCANNED)  # there was none: nothing moved
        return
    before = level_flag(tap, store, event, load_i64(tap + TAP.price_before), True)
    after = before
    if is_price(load_i64(event + EVENT.price)) and load_i64(event + EVENT.quantity) > 0:
        after = level_flag(tap, store, event, load_i64(event + EVENT.price), True)
    if before != after:
        half = copy_event(tap, event)
        store_u8(half + EVENT.kind, LEVEL)
        store_i64(half + EVENT.order_id, load_u32(event + EVENT.order_id))  # how many orders, no position
        store_i64(half + EVENT.other_id, 0)
        if before == 0:
            store_i64(half + EVENT.price, load_i64(tap + TAP.price_before))
            store_i64(half + EVENT.quantity, 0)
        tell_before(tap, half, flags | JOINING)
    tell_before(tap, event, flags | before | after)
