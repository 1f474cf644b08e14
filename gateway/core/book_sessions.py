"""What empties books ⑤: a CLEAR of one instrument, a snapshot of it, a new session of a channel.

Hard rule: orders leave one by one, as if each were deleted, so that the pools and counts come out exact. Clearing a book
of orders walks the order table until its last order is found; a book of levels gives its leaves back and walks nothing.
"""

from gateway.core.book_changes import remove_order
from gateway.core.book_channels import CHANNEL, channel_at, channel_now, heal_book, healed, set_trust
from gateway.core.book_depth import best_level
from gateway.core.book_rows import BOOK, book_of, has_levels, listed_book, set_tick
from gateway.core.book_sequences import SEQUENCE_MAX
from gateway.core.book_top import PRICE, QUANTITY, top_of
from gateway.core.counters import count_reason
from gateway.core.kernel import kernel
from gateway.core.levels import DIGIT_BITS, LEAF, LEVEL, SIDE, drop_leaf, level_at, side_of
from gateway.core.memory import load_i64, load_u16, load_u32, store_i64, store_u32, trailing_zeros
from gateway.core.nodes import leaf_at
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
ORDER = offsets("book_order")
EVENT = offsets("event")
ORDER_BYTES = size("book_order")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")
KNOWN, LEVELS = value("BOOK_KNOWN"), value("BOOK_LEVELS")
RECOVERABLE, SNAPSHOT = value("BOOK_RECOVERABLE"), value("BOOK_SNAPSHOT")
SKIPPING = value("BOOK_SKIPPING")
USELESS = value("FEED_SNAPSHOT_USELESS")


@kernel
def clear_book(store, book):
    """Removes everything from a book; empty, it is trusted again, unless a snapshot is coming in. 1: it had any."""
    changed = empty_book(store, book)
    flags = load_u32(book + BOOK.flags)
    if flags & SNAPSHOT == 0:
        set_trust(store, book, healed(flags) & ~FAULT)
    return changed


@kernel
def begin_snapshot(store, book, event):
    """Empties a book, which is stale until its snapshot is complete. 1 when it had any level.

    A snapshot of several messages begins with each of them: the same sequence of the instrument again is its next part.
    """
    sequence = load_i64(event + EVENT.other_id)
    running = load_u32(book + BOOK.flags) & SNAPSHOT != 0
    if running and sequence > 0 and sequence == load_i64(book + BOOK.snapshot_sequence):
        return 0
    changed = empty_book(store, book)
    store_i64(book + BOOK.snapshot_sequence, sequence if 0 <= sequence <= SEQUENCE_MAX else 0)
    flags = load_u32(book + BOOK.flags) & ~(VALID | RECOVERABLE | SKIPPING | FAULT)
    set_trust(store, book, flags | STALE | SNAPSHOT)
    return changed


@kernel
def end_snapshot(store, book, counters):
    """The book is what the venue says: valid, at the snapshot's sequence. Refused when it did not begin, or a gap cut it."""
    if load_u32(book + BOOK.flags) & SNAPSHOT == 0:
        return count_reason(counters, USELESS)
    store_i64(book + BOOK.sequence, load_i64(book + BOOK.snapshot_sequence))
    heal_book(store, book, counters)
    return 0


@kernel
def empty_book(store, book):
    """Orders and levels leave, a tick learnt meanwhile takes effect. 1 when there were any."""
    changed = 1 if has_levels(book) else 0
    row, instrument = load_i64(store + STORE.orders), load_u32(book + BOOK.instrument)
    for _ in range(load_i64(store + STORE.mask) + 1):
        if load_u32(book + BOOK.orders) == 0:
            break
        left = load_u32(row + ORDER.quantity)
        if left != 0 and load_u16(row + ORDER.instrument) == instrument:
            remove_order(store, book, row, left, left)
        row += ORDER_BYTES
    empty_levels(store, book)
    return changed


@kernel
def empty_levels(store, book):
    """Gives back every leaf of a book that holds no orders; it may be of either kind from here."""
    for number in range(BUY, SELL + 1):
        side, top = side_of(book, number), top_of(book, number)
        for _ in range(load_i64(store + STORE.nodes_max)):
            index = best_level(store, side, number)
            if index == 0:
                break
            clean_leaf(store, index >> DIGIT_BITS)
            drop_leaf(store, side, index >> DIGIT_BITS)
        store_u32(side + SIDE.levels, 0)
        store_i64(top + PRICE, 0)
        store_i64(top + QUANTITY, 0)
    store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) & ~LEVELS)
    set_tick(book, load_i64(book + BOOK.tick_next))


@kernel
def clean_leaf(store, leaf):
    """Zeroes the levels of a leaf."""
    address = leaf_at(store, leaf)
    occupied = load_i64(address + LEAF.occupied)
    for _ in range(64):
        if occupied == 0:
            break
        digit = trailing_zeros(occupied)
        level = level_at(store, (leaf << DIGIT_BITS) | digit)
        store_i64(level + LEVEL.quantity, 0)
        store_i64(level + LEVEL.orders, 0)
        occupied &= ~(1 << digit)
    store_i64(address + LEAF.occupied, 0)


@kernel
def begin_session(store, first_sequence):
    """A session of store.channel begins: nothing of its last one holds. Books are valid when we see message 1."""
    channel = channel_now(store)
    remove_orders(store, channel)
    flags = VALID if first_sequence == 1 else 0
    store_u32(channel_at(store, channel) + CHANNEL.flags_new, flags)
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        if load_u32(book + BOOK.channel) == channel:
            renew_book(store, book, flags | KNOWN)


@kernel
def remove_orders(store, channel):
    """Removes the orders of every book of a channel, in one walk of the order table that ends with the last of them."""
    left_over = 0
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        if load_u32(book + BOOK.channel) == channel:
            left_over += load_u32(book + BOOK.orders)
    row = load_i64(store + STORE.orders)
    for _ in range(load_i64(store + STORE.mask) + 1):
        if left_over == 0:
            break
        left = load_u32(row + ORDER.quantity)
        if left != 0:
            book = book_of(store, load_u16(row + ORDER.instrument))
            if load_u32(book + BOOK.channel) == channel:
                remove_order(store, book, row, left, left)
                left_over -= 1
        row += ORDER_BYTES


@kernel
def renew_book(store, book, flags):
    """An empty row for a new session; venues number their instruments anew each day, so its name and tick go too."""
    empty_levels(store, book)
    set_trust(store, book, flags)
    set_tick(book, load_i64(store + STORE.tick))
    store_u32(book + BOOK.depth, load_u32(store + STORE.depth))
    store_u32(book + BOOK.trading, 0)
    store_i64(book + BOOK.last_price, 0)
    store_i64(book + BOOK.time_ns, 0)
    store_i64(book + BOOK.symbol, 0)
    store_i64(book + BOOK.sequence, 0)
    store_i64(book + BOOK.snapshot_sequence, 0)
