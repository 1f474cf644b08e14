"""From an event to the row of its book ⑤: opened at its first event, bound to a channel at the first that moves it.

Hard rule: on the way of nearly every event this is one compare of the row's flags.
"""

from gateway.core.book_channels import STALE, bind_book, channel_at, channel_now, enter_list, list_of, note_health
from gateway.core.book_rows import BOOK, book_of, set_tick
from gateway.core.kernel import inner, kernel, leaf
from gateway.core.memory import load_i64, load_u32, store_i64, store_u8, store_u32
from gateway.layout import offsets, value

STORE = offsets("book_store")
EVENT = offsets("event")
CHANNEL = offsets("book_channel")
CORE = offsets("core_counters")
KNOWN, BOUND, SKIPPING = value("BOOK_KNOWN"), value("BOOK_BOUND"), value("BOOK_SKIPPING")
READY = KNOWN | BOUND
INFORMATION = value("EVENT_INFORMATION")


@leaf
def touch_book(store, event, counters):
    """The row an event names, stamped with its time."""
    book = book_of(store, load_u32(event + EVENT.instrument))
    if load_u32(book + BOOK.flags) & KNOWN == 0:
        open_book(store, book, load_u32(event + EVENT.instrument), counters)
    store_i64(book + BOOK.time_ns, load_i64(event + EVENT.time_receive_ns))
    return book


@leaf
def ready_book(store, event, counters):
    """The row of an event that moves its book; 0 when the event was applied before, and then it is mere information."""
    book = book_of(store, load_u32(event + EVENT.instrument))
    if load_u32(book + BOOK.flags) & (READY | SKIPPING) != READY and prepare(store, book, event, counters) == 0:
        return 0
    store_i64(book + BOOK.time_ns, load_i64(event + EVENT.time_receive_ns))
    return book


@inner
def prepare(store, book, event, counters):
    """What a row needs before it is moved: 1 when it may be."""
    touch_book(store, event, counters)
    if load_u32(book + BOOK.flags) & BOUND == 0:
        bind_book(store, book)
    if load_u32(book + BOOK.flags) & SKIPPING:
        return pass_over(event)
    return 1


@inner
def pass_over(event):
    """The event was applied before: strategies need not see it again. Returns 0."""
    store_u8(event + EVENT.kind, INFORMATION)
    return 0


@kernel
def open_book(store, book, instrument, counters):
    """First use of a row."""
    used = load_i64(store + STORE.used)
    store_u32(book_of(store, used) + BOOK.listed, instrument + 1)
    store_i64(store + STORE.used, used + 1)
    channel = channel_now(store)
    flags = load_u32(channel_at(store, channel) + CHANNEL.flags_new) | KNOWN
    store_u32(book + BOOK.instrument, instrument)
    store_u32(book + BOOK.flags, flags)
    store_u32(book + BOOK.channel, channel)
    if flags & STALE:
        note_health(store, book, STALE)
    if load_u32(book + BOOK.depth) == 0:  # its instrument's layer may have said so
        store_u32(book + BOOK.depth, load_u32(store + STORE.depth))
    set_tick(book, load_i64(store + STORE.tick))
    enter_list(store, book, list_of(flags))
    store_i64(counters + CORE.instruments, used + 1)
