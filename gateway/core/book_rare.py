"""The events of books ⑤ that come seldom, or only from some feeds: levels, orders set anew, prints, states, definitions,
gaps, snapshots and sequences.

Hard rule: as in book.py, whose second half this is.
"""

from gateway.core.book_changes import is_price, set_order
from gateway.core.book_channels import bind_book, channel_now, heal_channel, mark_book, mark_channel
from gateway.core.book_levels import apply_levels
from gateway.core.book_orders import NO_ROW, find_order
from gateway.core.book_rows import BOOK, book_of, doubt, fault, name_book, set_tick
from gateway.core.book_sequences import begin_sequence
from gateway.core.book_sessions import begin_snapshot, clear_book, end_snapshot
from gateway.core.book_top import set_trading, settle_top, top_of
from gateway.core.book_touch import BOUND, SKIPPING, pass_over, touch_book
from gateway.core.checksum import check_book
from gateway.core.counters import count_reason
from gateway.core.kernel import inner, leaf
from gateway.core.memory import load_i64, load_u8, load_u16, load_u32, store_i64
from gateway.layout import offsets, value

STORE = offsets("book_store")
ORDER = offsets("book_order")
EVENT = offsets("event")
CORE = offsets("core_counters")

NONE, SYSTEM, INFORMATION = value("EVENT_NONE"), value("EVENT_SYSTEM"), value("EVENT_INFORMATION")
TRADE, STATUS, INSTRUMENT = value("EVENT_TRADE"), value("EVENT_STATUS"), value("EVENT_INSTRUMENT")
GAP, RECOVERED, CHECKSUM = value("EVENT_GAP"), value("EVENT_RECOVERED"), value("EVENT_CHECKSUM")
CLEAR, SET, LEVEL = value("EVENT_CLEAR"), value("EVENT_SET"), value("EVENT_LEVEL")
OVERLAY, SEQUENCE = value("EVENT_LEVEL_OVERLAY"), value("EVENT_INSTRUMENT_SEQUENCE")
SNAPSHOT_BEGIN, SNAPSHOT_END = value("EVENT_SNAPSHOT_BEGIN"), value("EVENT_SNAPSHOT_END")
assert OVERLAY - LEVEL == 3, "the events of levels stand together"
NON_PRINTABLE, LOST = value("EVENT_NON_PRINTABLE"), value("EVENT_LOST")
ONE_INSTRUMENT = value("EVENT_ONE_INSTRUMENT")
VALID = value("BOOK_VALID")
FIELD, UNKNOWN = value("FEED_MESSAGE_FIELD"), value("FEED_ORDER_UNKNOWN")
MISMATCH = value("FEED_INSTRUMENT_MISMATCH")
TRADING_LAST = value("TRADING_CLOSED")


@inner
def apply_rare(store, event, kind, counters):
    """Whatever is no event of one order; 1 when the top of its book changed."""
    if kind in (NONE, SYSTEM, INFORMATION):
        return 0
    flags = load_u8(event + EVENT.flags)
    store_i64(store + STORE.time_ns, load_i64(event + EVENT.time_receive_ns))
    if kind == RECOVERED:
        heal_channel(store, channel_now(store), counters)
        return 0
    if kind == GAP and flags & ONE_INSTRUMENT == 0:
        mark_channel(store, channel_now(store), flags & LOST)
        return 0
    if load_u32(event + EVENT.instrument) >= load_i64(store + STORE.instruments):
        return count_reason(counters, FIELD)
    book = touch_book(store, event, counters)
    if kind == CHECKSUM:
        return check_book(store, book, event, counters)
    if kind == GAP:
        mark_book(store, book, flags & LOST)
        return 0
    if moves(kind):
        changed = move(store, book, event, kind, counters)
        store_i64(counters + CORE.live_orders, load_i64(store + STORE.orders_live))
        return changed
    return inform(book, event, kind, counters)


@leaf
def moves(kind):
    """Whether an event of this kind moves its book, or says what of it is news."""
    return kind in (CLEAR, SET, TRADE, SEQUENCE, SNAPSHOT_BEGIN, SNAPSHOT_END) or LEVEL <= kind <= OVERLAY


@inner
def move(store, book, event, kind, counters):
    """Binds the book to its channel, and passes over what was applied before."""
    if load_u32(book + BOOK.flags) & BOUND == 0:
        bind_book(store, book)
    if kind == SEQUENCE:
        return begin_sequence(store, book, event, counters)
    if kind == SNAPSHOT_END:
        return end_snapshot(store, book, counters)
    judges_itself = kind == SNAPSHOT_BEGIN or (LEVEL <= kind <= OVERLAY and load_i64(event + EVENT.other_id) != 0)
    if load_u32(book + BOOK.flags) & SKIPPING and not judges_itself:
        return pass_over(event)
    if kind == TRADE:
        return inform(book, event, kind, counters)
    changed = rebuild(store, book, event, kind, counters)
    if changed != 0:
        settle_top(book, counters)
    return changed


@inner
def rebuild(store, book, event, kind, counters):
    """The events of levels, orders set anew, and what empties a book."""
    if kind == CLEAR:
        return clear_book(store, book)
    if kind == SNAPSHOT_BEGIN:
        return begin_snapshot(store, book, event)
    if kind != SET:
        return apply_levels(store, book, event, kind, counters)
    row = named_row(store, book, event, counters)
    if row == NO_ROW:
        return 0
    top = top_of(book, load_u8(row + ORDER.side))
    price, quantity = load_i64(top), load_i64(top + 8)
    set_order(store, book, event, row, counters)
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
def print_price(book, event, counters):
    """The last price, unless the venue says that the print does not count (ITCH 5.0, Printable)."""
    price = load_i64(event + EVENT.price)
    if load_u8(event + EVENT.flags) & NON_PRINTABLE != 0:
        return
    if is_price(price):
        store_i64(book + BOOK.last_price, price)
    else:
        count_reason(counters, FIELD)


@inner
def inform(book, event, kind, counters):
    """What moves neither order nor level: trades, trading states, definitions."""
    quantity = load_i64(event + EVENT.quantity)
    if kind == TRADE:
        if quantity > 0:
            print_price(book, event, counters)
    elif kind == STATUS:
        if quantity < 0 or quantity > TRADING_LAST:
            quantity = count_reason(counters, FIELD)
        set_trading(book, quantity, counters)
        name_book(book, load_i64(event + EVENT.order_id))
    elif kind == INSTRUMENT:
        name_book(book, load_i64(event + EVENT.order_id))
        tick = load_i64(event + EVENT.price)
        if tick != 0 and set_tick(book, tick) == 0:
            count_reason(counters, FIELD)
    return 0
