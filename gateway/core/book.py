"""Order-by-order books ⑤ of every instrument: normalised events in, tops, levels and live orders out.

    prefetch_events(store, events, count)              once per batch of events: brings near what the first ones touch
    for each event:
        prefetch_ahead(store, events, index, count)    the same for later ones
        apply_event(store, event, counters)            moves the book, and completes the event for the strategy

Hard rule: a contradiction of the feed is counted by its reason, flags the book and never corrupts it; every loop is
bounded by the layout (native/layout/book.h), not by the feed.
"""

from gateway.core.book_changes import place, remove
from gateway.core.book_orders import NO_ROW, find_order
from gateway.core.book_prefetch import prefetch_ahead, prefetch_events
from gateway.core.book_rows import book_of, doubt, fault, mark_all, name_book, touch_book
from gateway.core.book_sessions import begin_session, clear_book
from gateway.core.book_top import settle_top, top_of
from gateway.core.counters import count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, load_u16, load_u32, store_i64, store_u8, store_u32
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
ORDER = offsets("book_order")
EVENT = offsets("event")
CORE = offsets("core_counters")
EVENT_BYTES = size("event")

NONE, ADD, EXECUTE = value("EVENT_NONE"), value("EVENT_ADD"), value("EVENT_EXECUTE")
REDUCE, DELETE, REPLACE = value("EVENT_REDUCE"), value("EVENT_DELETE"), value("EVENT_REPLACE")
TRADE, STATUS, INSTRUMENT = value("EVENT_TRADE"), value("EVENT_STATUS"), value("EVENT_INSTRUMENT")
SYSTEM, INFORMATION = value("EVENT_SYSTEM"), value("EVENT_INFORMATION")
GAP, CLEAR = value("EVENT_GAP"), value("EVENT_CLEAR")
PRICED, NON_PRINTABLE = value("EVENT_PRICED"), value("EVENT_NON_PRINTABLE")
VALID, STALE, NAMED = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_NAMED")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_ORDER_UNKNOWN")
WORD = 1 << 32  # prices of a book are 32 bits wide
TRADING_LAST = value("TRADING_QUOTE_ONLY")
EXCESS, MISMATCH = value("FEED_QUANTITY_EXCESS"), value("FEED_INSTRUMENT_MISMATCH")

__all__ = ["apply_event", "apply_events", "begin_session", "mark_all", "prefetch_ahead", "prefetch_events"]


@kernel
def apply_events(store, events, count, counters):
    """Prefetches and applies `count` struct event rows; returns how often a top changed."""
    prefetch_events(store, events, count)
    changed = 0
    for index in range(count):
        prefetch_ahead(store, events, index, count)
        changed += apply_event(store, events + index * EVENT_BYTES, counters)
    return changed


@kernel
def apply_event(store, event, counters):
    """Applies one struct event and fills in what the strategy wants to see: 1 when the top of its book changed.

    EXECUTE, REDUCE and DELETE get side and price of the order (a PRICED price stays), DELETE also what was left of it,
    REPLACE the side. A refused event keeps its fields. Reasons count in `counters` (struct core_counters).
    """
    kind = load_u8(event + EVENT.kind)
    if kind == GAP:
        mark_all(store, STALE, VALID)
        return 0
    if kind in (NONE, SYSTEM, INFORMATION):
        return 0
    if load_u32(event + EVENT.instrument) >= load_i64(store + STORE.instruments):
        count_reason(counters, FIELD)
        return 0
    book = touch_book(store, event, counters)
    if kind == ADD:
        changed = add(store, book, event, counters)
    elif kind == REPLACE:
        changed = replace(store, book, event, counters)
    elif kind in (DELETE, EXECUTE, REDUCE):
        changed = take(store, book, event, kind, counters)
    else:
        changed = inform(store, book, event, kind, counters)
    if changed != 0:
        settle_top(book, counters)
    store_i64(counters + CORE.live_orders, load_i64(store + STORE.orders_live))
    return changed


@leaf
def add(store, book, event, counters):
    """A new order at the end of its level's queue."""
    side = load_u8(event + EVENT.side)
    if load_u32(book + BOOK.flags) & NAMED == 0:
        name_book(book, load_i64(event + EVENT.other_id))
    return place(store, book, event, load_i64(event + EVENT.order_id), side, counters)


@leaf
def take(store, book, event, kind, counters):
    """An execution, a reduction or a deletion: quantity leaves an order, which goes when nothing is left."""
    row = named_row(store, book, event, counters)
    if row == NO_ROW:
        return 0
    left, quantity = load_u32(row + ORDER.quantity), load_i64(event + EVENT.quantity)
    if kind == DELETE:
        quantity = left
        store_i64(event + EVENT.quantity, left)
    elif quantity <= 0:
        return fault(book, counters, FIELD)
    elif quantity > left:
        quantity = left
        fault(book, counters, EXCESS)
    enrich(event, row, kind)
    if kind == EXECUTE:
        print_price(book, event, counters)
    return remove(store, book, row, quantity, left)


@kernel
def replace(store, book, event, counters):
    """The old order leaves, a new one of its side joins the end of a queue. If that is refused, the old is gone yet."""
    row = named_row(store, book, event, counters)
    if row == NO_ROW:
        return 0
    side, left = load_u8(row + ORDER.side), load_u32(row + ORDER.quantity)
    top = top_of(book, side)
    price, quantity = load_i64(top), load_i64(top + 8)
    store_u8(event + EVENT.side, side)
    remove(store, book, row, left, left)
    place(store, book, event, load_i64(event + EVENT.other_id), side, counters)
    return 1 if price != load_i64(top) or quantity != load_i64(top + 8) else 0


@leaf
def named_row(store, book, event, counters):
    """Row of the order an event names, or 0 with the reason counted."""
    row = find_order(store, load_i64(event + EVENT.order_id))
    if row == NO_ROW:
        # Normal in a feed that was joined late or has a gap: only a complete book is contradicted by it.
        if load_u32(book + BOOK.flags) & VALID:
            return fault(book, counters, UNKNOWN)
        count_reason(counters, UNKNOWN)
        return NO_ROW
    if load_u16(row + ORDER.instrument) != load_u32(event + EVENT.instrument):
        doubt(book_of(store, load_u16(row + ORDER.instrument)))
        return fault(book, counters, MISMATCH)
    return row


@leaf
def enrich(event, row, kind):
    """Side and price of the order, for the strategy."""
    store_u8(event + EVENT.side, load_u8(row + ORDER.side))
    if kind != EXECUTE or load_u8(event + EVENT.flags) & PRICED == 0:
        store_i64(event + EVENT.price, load_u32(row + ORDER.price))


@leaf
def print_price(book, event, counters):
    """The last price, unless the venue says that the print does not count (ITCH 5.0, Printable)."""
    price = load_i64(event + EVENT.price)
    if load_u8(event + EVENT.flags) & NON_PRINTABLE != 0:
        return
    if price < 0 or price >= WORD:
        count_reason(counters, FIELD)
    else:
        store_i64(book + BOOK.last_price, price)


@kernel
def inform(store, book, event, kind, counters):
    """What moves no order: trades, trading states, definitions; and CLEAR, which moves all."""
    quantity = load_i64(event + EVENT.quantity)
    if kind == TRADE:
        if quantity > 0:
            print_price(book, event, counters)
    elif kind == STATUS:
        if quantity < 0 or quantity > TRADING_LAST:
            quantity = count_reason(counters, FIELD)
        store_u32(book + BOOK.trading, quantity)
        name_book(book, load_i64(event + EVENT.order_id))
    elif kind == INSTRUMENT:
        name_book(book, load_i64(event + EVENT.order_id))
    elif kind == CLEAR:
        return clear_book(store, book)
    return 0
