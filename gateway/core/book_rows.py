"""The row of a book ⑤ apart from its levels: first use, name, flags, counts, and marks over every book.

Hard rule: a row is listed the moment an event first names it, so that a mark over all books reaches all of them.
"""

from gateway.core.counters import count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
EVENT = offsets("event")
CORE = offsets("core_counters")
BOOK_BYTES = size("book")

KNOWN, NAMED = value("BOOK_KNOWN"), value("BOOK_NAMED")
VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")


@leaf
def book_of(store, instrument):
    """Address of an instrument's row."""
    return load_i64(store + STORE.books) + instrument * BOOK_BYTES


@leaf
def touch_book(store, event, counters):
    """The row an event names, stamped with its time."""
    book = book_of(store, load_u32(event + EVENT.instrument))
    if load_u32(book + BOOK.flags) & KNOWN == 0:
        open_book(store, book, load_u32(event + EVENT.instrument), counters)
    store_i64(book + BOOK.time_ns, load_i64(event + EVENT.time_receive_ns))
    return book


@kernel
def open_book(store, book, instrument, counters):
    """First use of a row."""
    used = load_i64(store + STORE.used)
    store_u32(book_of(store, used) + BOOK.listed, instrument + 1)
    store_i64(store + STORE.used, used + 1)
    store_u32(book + BOOK.instrument, instrument)
    store_u32(book + BOOK.flags, load_u32(store + STORE.flags_new) | KNOWN)
    store_i64(counters + CORE.instruments, used + 1)


@kernel
def name_book(book, symbol):
    """Sets the symbol, eight characters in one word; 0 says nothing."""
    if symbol != 0:
        store_i64(book + BOOK.symbol, symbol)
        store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) | NAMED)


@kernel
def fault(book, counters, reason):
    """Counts a contradiction and marks the book untrusted. Returns 0: no order, nothing changed."""
    doubt(book)
    return count_reason(counters, reason)


@kernel
def doubt(book):
    """Marks a book untrusted until it is rebuilt."""
    store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) | FAULT)


@leaf
def count_live(store, book, step):
    """One live order more or less, of the book and of all."""
    store_i64(store + STORE.orders_live, load_i64(store + STORE.orders_live) + step)
    store_u32(book + BOOK.orders, load_u32(book + BOOK.orders) + step)


@kernel
def mark_all(store, flags_set, flags_cleared):
    """Sets and clears flags of every book in use, and of those still to come.

    Walks the books in use, at most once until one of them differs again: a storm of gaps costs one walk.
    """
    same = flags_set == load_u32(store + STORE.marked_set) and flags_cleared == load_u32(store + STORE.marked_cleared)
    if same and (flags_set | flags_cleared) & ~(VALID | STALE) == 0:
        return
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        store_u32(book + BOOK.flags, (load_u32(book + BOOK.flags) | flags_set) & ~flags_cleared)
    store_u32(store + STORE.flags_new, (load_u32(store + STORE.flags_new) | flags_set) & ~flags_cleared)
    store_u32(store + STORE.marked_set, flags_set)
    store_u32(store + STORE.marked_cleared, flags_cleared)


@leaf
def listed_book(store, position):
    """Address of the row that came into use as number `position`."""
    return book_of(store, load_u32(book_of(store, position) + BOOK.listed) - 1)


@kernel
def forget_marks(store):
    """One book got flags of its own: the next mark walks again."""
    store_u32(store + STORE.marked_set, 0)
    store_u32(store + STORE.marked_cleared, 0)
