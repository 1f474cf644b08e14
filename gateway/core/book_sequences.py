"""The sequence of one instrument, where a venue numbers messages per instrument: what follows, what repeats, what misses.

    last = 0            not known yet: any sequence is taken, and the channel alone says what the book is worth
    previous = last     follows, and so does what covers last + 1
    sequence <= last    applied before: passed over
    else                a gap of this instrument: the book is stale until a snapshot

Hard rule: a sequence that follows proves that a gap of the channel did not touch this book, and only that heals it early.
"""

from gateway.core.book_channels import SNAPSHOT, after_gap, follow_channel, heal_book, set_trust
from gateway.core.book_rows import BOOK
from gateway.core.book_touch import SKIPPING, pass_over
from gateway.core.counters import count_reason
from gateway.core.kernel import inner
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, value

EVENT = offsets("event")
RECOVERABLE = value("BOOK_RECOVERABLE")
SEQUENCE_MAX = 1 << 62  # beyond it the next one could overflow
FIELD, INSTRUMENT_GAP = value("FEED_MESSAGE_FIELD"), value("FEED_INSTRUMENT_GAP")


@inner
def begin_sequence(store, book, event, counters):
    """EVENT_INSTRUMENT_SEQUENCE: judges what follows it. 0: the top does not change by that."""
    sequence, previous = load_i64(event + EVENT.other_id), load_i64(event + EVENT.order_id)
    covered = load_i64(event + EVENT.price)
    if sequence <= 0 or sequence > SEQUENCE_MAX:
        return count_reason(counters, FIELD)
    news = follow(store, book, sequence, previous, covered if covered > 0 else sequence, counters)
    flags = load_u32(book + BOOK.flags)
    store_u32(book + BOOK.flags, flags & ~SKIPPING if news != 0 else flags | SKIPPING)
    return 0


@inner
def continue_sequence(store, book, event, counters):
    """The sequence that a level event carries itself: 1 when the event is news."""
    sequence = load_i64(event + EVENT.other_id)
    if sequence < 0 or sequence > SEQUENCE_MAX:
        return count_reason(counters, FIELD)
    if follow(store, book, sequence, sequence - 1, sequence, counters) == 0:
        return pass_over(event)
    store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) & ~SKIPPING)
    return 1


@inner
def follow(store, book, sequence, previous, covered, counters):
    """Compares with the last sequence of the book: 1 news, 0 seen."""
    if load_u32(book + BOOK.flags) & SNAPSHOT:
        return 1
    follow_channel(store, book)
    last = load_i64(book + BOOK.sequence)
    flags = load_u32(book + BOOK.flags)
    if (previous == last and last != 0) or covered <= last + 1 <= sequence:
        if flags & RECOVERABLE:
            heal_book(store, book, counters)
    elif sequence <= last:
        return 0
    elif last != 0:
        count_reason(counters, INSTRUMENT_GAP)
        set_trust(store, book, after_gap(flags, 1))
    store_i64(book + BOOK.sequence, sequence)
    return 1
