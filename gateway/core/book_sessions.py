"""What empties books ⑤: a CLEAR of one instrument, a new session of the feed for all.

Hard rule: orders leave one by one, as if each were deleted, so that the pools and counts come out exact. Rare and slow:
both walk the whole order table.
"""

from gateway.core.book_changes import remove
from gateway.core.book_rows import book_of, forget_marks, listed_book
from gateway.core.kernel import kernel
from gateway.core.memory import load_i64, load_u16, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
ORDER = offsets("book_order")
ORDER_BYTES = size("book_order")
VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")
KNOWN = value("BOOK_KNOWN")


@kernel
def clear_book(store, book):
    """Removes every order of a book; empty, it is known and trusted again. 1 when it had any."""
    changed = 1 if load_u32(book + BOOK.orders) != 0 else 0
    row, instrument = load_i64(store + STORE.orders), load_u32(book + BOOK.instrument)
    for _ in range(load_i64(store + STORE.mask) + 1):
        if load_u32(book + BOOK.orders) == 0:
            break
        left = load_u32(row + ORDER.quantity)
        if left != 0 and load_u16(row + ORDER.instrument) == instrument:
            remove(store, book, row, left, left)
        row += ORDER_BYTES
    flags = load_u32(book + BOOK.flags)
    store_u32(book + BOOK.flags, (flags | VALID) & ~(STALE | FAULT))
    forget_marks(store)
    return changed


@kernel
def begin_session(store, first_sequence):
    """A session of the feed begins: nothing of the last one holds. Books are valid when we see message 1."""
    row = load_i64(store + STORE.orders)
    for _ in range(load_i64(store + STORE.mask) + 1):
        if load_i64(store + STORE.orders_live) == 0:
            break
        left = load_u32(row + ORDER.quantity)
        if left != 0:
            remove(store, book_of(store, load_u16(row + ORDER.instrument)), row, left, left)
        row += ORDER_BYTES
    flags = VALID if first_sequence == 1 else 0
    for position in range(load_i64(store + STORE.used)):
        renew_book(listed_book(store, position), flags)
    store_u32(store + STORE.flags_new, flags)
    forget_marks(store)


@kernel
def renew_book(book, flags):
    """An empty row for a new session; venues number their instruments anew each day, so its name goes too."""
    store_u32(book + BOOK.flags, flags | KNOWN)
    store_u32(book + BOOK.trading, 0)
    store_i64(book + BOOK.last_price, 0)
    store_i64(book + BOOK.time_ns, 0)
    store_i64(book + BOOK.symbol, 0)
