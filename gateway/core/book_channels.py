"""Which books ⑤ a gap concerns: the channels of a store, their lists of books, what gaps and healing do to flags.

    FRESH         the next gap of the channel must mark it
    RECOVERABLE   marked, but valid before: a filled gap heals it
    NONE          stale for good: further gaps have nothing to say about it

Every book in use stands in the list that its flags say, so a gap walks what became fresh since the last one and a storm
of gaps walks nothing. Hard rule: whoever changes VALID, STALE, RECOVERABLE or SNAPSHOT of a row does it by `set_trust`.
"""

from gateway.core.book_rows import BOOK, book_of
from gateway.core.counters import add_to
from gateway.core.histograms import add_value
from gateway.core.kernel import inner, kernel, leaf
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
CHANNEL = offsets("book_channel")
CORE = offsets("core_counters")
CHANNEL_BYTES = size("book_channel")
CHANNEL_LAST = value("BOOK_CHANNELS") - 1
VALID, STALE, FAULT = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_FAULT")
RECOVERABLE, SNAPSHOT = value("BOOK_RECOVERABLE"), value("BOOK_SNAPSHOT")
BOUND, KNOWN = value("BOOK_BOUND"), value("BOOK_KNOWN")
TRUST = VALID | STALE | RECOVERABLE
LIST_NONE, FRESH = value("BOOK_LIST_NONE"), value("BOOK_LIST_FRESH")
LIST_RECOVERABLE = value("BOOK_LIST_RECOVERABLE")


@leaf
def channel_now(store):
    """The channel of the events that come now."""
    return min(load_u32(store + STORE.channel), CHANNEL_LAST)


@leaf
def channel_at(store, channel):
    """Address of a channel's row."""
    return store + STORE.channels + channel * CHANNEL_BYTES


@leaf
def head_of(store, book, which):
    """Address of the head of a list of the book's channel."""
    row = channel_at(store, load_u32(book + BOOK.channel))
    return row + CHANNEL.fresh if which == FRESH else row + CHANNEL.recoverable


@leaf
def list_of(flags):
    """The list that a row with these flags belongs to."""
    if flags & RECOVERABLE:
        return LIST_RECOVERABLE
    return LIST_NONE if flags & (STALE | SNAPSHOT) == STALE else FRESH


@leaf
def after_gap(flags, lost):
    """Flags of a row once messages are missing; a snapshot that was coming in is worth nothing now."""
    recoverable = RECOVERABLE if flags & (VALID | RECOVERABLE) != 0 and lost == 0 else 0
    return (flags & ~(VALID | RECOVERABLE | SNAPSHOT)) | STALE | recoverable


@leaf
def healed(flags):
    """Flags of a row once nothing is missing any more."""
    return (flags | VALID) & ~(STALE | RECOVERABLE | SNAPSHOT)


@kernel
def set_trust(store, book, flags):
    """Writes the flags of a row and moves it to the list they say."""
    if (load_u32(book + BOOK.flags) ^ flags) & STALE:
        note_health(store, book, flags & STALE)
    store_u32(book + BOOK.flags, flags)
    wanted = list_of(flags)
    if load_u32(book + BOOK.list) != wanted:
        leave_list(store, book)
        enter_list(store, book, wanted)


@inner
def note_health(store, book, stale):
    """A book became stale, or is so no longer: how long it was is worth knowing."""
    now_ns, since_ns = load_i64(store + STORE.time_ns), load_i64(book + BOOK.stale_since_ns)
    store_i64(book + BOOK.stale_since_ns, now_ns if stale != 0 else 0)
    times = load_i64(store + STORE.stale_times)
    if stale == 0 and since_ns != 0 and times != 0:
        add_value(times, now_ns - since_ns)


@inner
def leave_list(store, book):
    """Takes a row out of the list it stands in."""
    which = load_u32(book + BOOK.list)
    if which == LIST_NONE:
        return
    following, previous = load_u32(book + BOOK.next), load_u32(book + BOOK.previous)
    if previous == 0:
        store_u32(head_of(store, book, which), following)
    else:
        store_u32(book_of(store, previous - 1) + BOOK.next, following)
    if following != 0:
        store_u32(book_of(store, following - 1) + BOOK.previous, previous)
    store_u32(book + BOOK.list, LIST_NONE)


@inner
def enter_list(store, book, which):
    """Puts a row that stands in no list at the head of one."""
    if which == LIST_NONE:
        return
    head = head_of(store, book, which)
    first, own = load_u32(head), load_u32(book + BOOK.instrument) + 1
    if first != 0:
        store_u32(book_of(store, first - 1) + BOOK.previous, own)
    store_u32(book + BOOK.next, first)
    store_u32(book + BOOK.previous, 0)
    store_u32(book + BOOK.list, which)
    store_u32(head, own)


@kernel
def mark_channel(store, channel, lost):
    """A gap of a channel: its books, and those still to come, are stale. `lost` 1: nothing will fill it."""
    row = channel_at(store, channel)
    store_u32(row + CHANNEL.flags_new, after_gap(load_u32(row + CHANNEL.flags_new), lost))
    mark_list(store, row + CHANNEL.fresh, lost)
    if lost != 0:
        mark_list(store, row + CHANNEL.recoverable, lost)


@inner
def mark_list(store, head, lost):
    """Marks and moves every row of a list."""
    for _ in range(load_i64(store + STORE.used)):
        first = load_u32(head)
        if first == 0:
            break
        book = book_of(store, first - 1)
        set_trust(store, book, after_gap(load_u32(book + BOOK.flags), lost))


@kernel
def mark_book(store, book, lost):
    """A gap of one instrument."""
    set_trust(store, book, after_gap(load_u32(book + BOOK.flags), lost))


@kernel
def heal_channel(store, channel, counters):
    """What the gap of a channel lost has come after all: its recoverable books are valid again."""
    row = channel_at(store, channel)
    flags_new = load_u32(row + CHANNEL.flags_new)
    if flags_new & RECOVERABLE:
        store_u32(row + CHANNEL.flags_new, healed(flags_new))
    for _ in range(load_i64(store + STORE.used)):
        first = load_u32(row + CHANNEL.recoverable)
        if first == 0:
            break
        heal_book(store, book_of(store, first - 1), counters)


@kernel
def heal_book(store, book, counters):
    """A stale book is valid again."""
    set_trust(store, book, healed(load_u32(book + BOOK.flags)))
    add_to(counters + CORE.healed, 1)


@inner
def bind_book(store, book):
    """The first event that moves a book says whose gaps concern it, and how far that channel is trusted."""
    leave_list(store, book)
    channel = channel_now(store)
    store_u32(book + BOOK.channel, channel)
    trust = load_u32(channel_at(store, channel) + CHANNEL.flags_new) & TRUST
    flags = (load_u32(book + BOOK.flags) & ~TRUST) | trust | BOUND
    if (load_u32(book + BOOK.flags) ^ flags) & STALE:
        note_health(store, book, flags & STALE)
    store_u32(book + BOOK.flags, flags)
    enter_list(store, book, list_of(flags))


@inner
def follow_channel(store, book):
    """News of a bound book come by another channel than before: from now on the gaps of that one concern it."""
    channel = channel_now(store)
    if load_u32(book + BOOK.channel) == channel:
        return
    flags, which = load_u32(book + BOOK.flags), load_u32(book + BOOK.list)
    leave_list(store, book)
    store_u32(book + BOOK.channel, channel)
    enter_list(store, book, which)
    if load_u32(channel_at(store, channel) + CHANNEL.flags_new) & STALE:
        set_trust(store, book, after_gap(flags, 0))
