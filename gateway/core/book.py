"""Books ⑤ of every instrument, of orders or of levels: normalised events in, tops, levels and live orders out.

    prefetch_events(store, events, count)              once per batch of events: brings near what the first ones touch
    for each event:
        prefetch_ahead(store, events, index, count)    the same for later ones
        apply_event(store, event, counters)            moves the book, and completes the event for the strategy

The corridor sets `store.channel` before it applies the events of a channel. Here stand the events of orders, nearly all
there are; the others are in book_rare.py. Hard rule: a contradiction of the feed is counted by its reason, flags the book
and never corrupts it; every loop is bounded by the layout (native/layout/book.h), not by the feed.
"""

from gateway.core.book_changes import place, place_order, remove, remove_order
from gateway.core.book_orders import NO_ROW
from gateway.core.book_prefetch import prefetch_ahead, prefetch_events
from gateway.core.book_rare import apply_rare, named_row, print_price
from gateway.core.book_rows import fault, name_book
from gateway.core.book_sessions import begin_session
from gateway.core.book_top import settle_top, top_of
from gateway.core.book_touch import ready_book
from gateway.core.counters import count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, load_u32, store_i64, store_u8
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
ORDER = offsets("book_order")
EVENT = offsets("event")
CORE = offsets("core_counters")
EVENT_BYTES = size("event")

NONE, ADD, EXECUTE = value("EVENT_NONE"), value("EVENT_ADD"), value("EVENT_EXECUTE")
REDUCE, DELETE, REPLACE = value("EVENT_REDUCE"), value("EVENT_DELETE"), value("EVENT_REPLACE")
PRICED, NAMED = value("EVENT_PRICED"), value("BOOK_NAMED")
FIELD, EXCESS = value("FEED_MESSAGE_FIELD"), value("FEED_QUANTITY_EXCESS")
assert {ADD, EXECUTE, REDUCE, DELETE, REPLACE} == {*range(ADD, REPLACE + 1)}

__all__ = ["apply_event", "apply_events", "apply_inline", "begin_session", "prefetch_ahead", "prefetch_events"]


@kernel
def apply_events(store, events, count, counters):
    """Prefetches and applies `count` struct event rows; returns how often a top changed."""
    prefetch_events(store, events, count)
    changed = 0
    for index in range(count):
        prefetch_ahead(store, events, index, count)
        changed += apply_inline(store, events + index * EVENT_BYTES, counters)
    return changed


@kernel
def apply_event(store, event, counters):
    """Applies one struct event: `apply_inline` behind a call."""
    return apply_inline(store, event, counters)


@leaf
def apply_inline(store, event, counters):
    """Applies one struct event and fills in what the strategy wants to see: 1 when the top of its book changed.

    EXECUTE, REDUCE and DELETE get side and price of the order (a PRICED price stays), DELETE also what was left of it,
    REPLACE and SET the side. A refused event keeps its fields; one that was applied before becomes EVENT_INFORMATION.
    Reasons count in `counters` (struct core_counters).
    """
    kind = load_u8(event + EVENT.kind)
    if kind < ADD or kind > REPLACE:
        return apply_rare(store, event, kind, counters)
    if load_u32(event + EVENT.instrument) >= load_i64(store + STORE.instruments):
        return count_reason(counters, FIELD)
    book = ready_book(store, event, counters)
    if book == 0:
        return 0
    if kind == ADD:
        changed = add(store, book, event, counters)
    elif kind == REPLACE:
        changed = replace(store, book, event, counters)
    else:
        changed = take(store, book, event, kind, counters)
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
    remove_order(store, book, row, left, left)
    place_order(store, book, event, load_i64(event + EVENT.other_id), side, counters)
    return 1 if price != load_i64(top) or quantity != load_i64(top + 8) else 0


@leaf
def enrich(event, row, kind):
    """Side and price of the order, for the strategy."""
    store_u8(event + EVENT.side, load_u8(row + ORDER.side))
    if kind != EXECUTE or load_u8(event + EVENT.flags) & PRICED == 0:
        store_i64(event + EVENT.price, load_i64(row + ORDER.price))
