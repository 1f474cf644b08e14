"""What core does to its books, told to the regional link ⑤→ core_link: wherever an event is applied, through here.

    apply_and_tell(tap, store, event, counters, quiet) ─┬─ tap 0: no link: book.apply_event, one branch more
                                                       └─ applied, then its record, flagged where a scan runs

Hard rule: a record says what was applied, after it was, once; nothing of core waits for the link.
"""

import ctypes
from typing import Any

import numpy as np

from gateway.core.book import apply_event
from gateway.core.book_rows import listed_book
from gateway.core.kernel import inner, kernel, leaf
from gateway.core.link_crossing import copy_event, look_before, tell_while_scanning
from gateway.core.link_out import (
    BOOK,
    EVENT,
    IDLE,
    STORE,
    TAP,
    give_up,
    tell_book,
    tell_event,
    tell_listing,
    tell_lost,
    tell_words,
)
from gateway.core.memory import address_of, load_i64, load_u8, load_u32, store_i64, store_u8
from gateway.layout import dtype, size, value

RECORD, RUN, BOOK_KIND = value("LINK_EVENT"), value("LINK_RUN"), value("LINK_BOOK")
UNSCANNED, QUIET = value("LINK_UNSCANNED"), value("LINK_QUIET")
LIVE, NEWS = value("LINK_LIVE"), value("LINK_NEWS")
INFORMATION, INSTRUMENT = value("EVENT_INFORMATION"), value("EVENT_INSTRUMENT")


def make_tap(
    writer: int, *, wanted: int, store: int, instruments: int, now: int, listings: int = 0
) -> tuple[np.ndarray, list[Any]]:
    """A struct link_tap (array of one) and what must be kept alive with it.

    `writer` is the address of a struct ring_writer of core_link, which is copied; `wanted` that of the word that asks for
    scans, `store` of the struct book_store over `instruments` rows, `now` of core's time, `listings` of struct instrument 0.
    """
    tap, told = np.zeros(1, dtype("link_tap")), np.zeros(instruments + 8, np.uint8)
    none = np.zeros(instruments if listings == 0 else 0, dtype("instrument"))  # a feed that defines nothing
    ctypes.memmove(address_of(tap) + TAP.out, writer, size("ring_writer"))
    tap["wanted"], tap["store"], tap["now"], tap["instruments"] = wanted, store, now, instruments
    tap["told"], tap["listings"] = address_of(told), listings or address_of(none)
    return tap, [told, none]


@leaf
def apply_and_tell(tap, store, event, counters, quiet):
    """book.apply_event, and its record where there is a link; `quiet`: QUIET where strategies are not asked, else 0."""
    if tap == 0:
        return apply_event(store, event, counters)
    return apply_told(tap, store, event, counters, quiet)


@kernel
def apply_told(tap, store, event, counters, quiet):
    """Applies an event and tells of it as it is then; one that was applied before, as it came: its channel counts."""
    before = load_u8(event + EVENT.kind)
    if before == INFORMATION:
        return 0
    scanning, arrivals = load_u32(tap + TAP.phase) != IDLE, load_u32(store + STORE.arrivals)
    if scanning:
        look_before(tap, event)
    changed = apply_event(store, event, counters)
    kind = load_u8(event + EVENT.kind)
    if load_i64(store + STORE.used) != load_i64(tap + TAP.used):
        tell_opened(tap, store)
    if kind == INFORMATION:
        tell_passed(tap, event, before, arrivals)
        return changed
    if kind == INSTRUMENT and load_u32(event + EVENT.instrument) < load_i64(tap + TAP.instruments):
        tell_listing(tap, load_u32(event + EVENT.instrument), LIVE)
    if scanning:
        tell_while_scanning(tap, event, quiet)
    else:
        tell_event(tap, event, RECORD, quiet, arrivals, 0)
    return changed


@inner
def tell_passed(tap, event, kind, arrivals):
    """An event that was applied before: whose gaps concern its book may be another channel's now. SETTLED says so too."""
    copy = copy_event(tap, event)
    store_u8(copy + EVENT.kind, kind)
    tell_event(tap, copy, RECORD, UNSCANNED, arrivals, 0)


@inner
def tell_opened(tap, store):
    """Books came into use: what readers must know in front of the first event of each."""
    for position in range(load_i64(tap + TAP.used), load_i64(store + STORE.used)):
        book = listed_book(store, position)
        tell_listing(tap, load_u32(book + BOOK.instrument), LIVE)
        tell_book(tap, book, BOOK_KIND, LIVE)
    store_i64(tap + TAP.used, load_i64(store + STORE.used))


@kernel
def tell_news(tap, event):
    """An event that was told of without news is news now: its snapshot is complete."""
    if tap != 0:
        tell_event(tap, event, RECORD, NEWS, load_u32(load_i64(tap + TAP.store) + STORE.arrivals), 0)


@kernel
def tell_run(tap, first_sequence):
    """A run of the channel began, book.begin_session was called. A scan would have to know which rows that emptied."""
    if tap != 0:
        give_up(tap)
        tell_words(tap, RUN, first_sequence, 0, 0)


@kernel
def break_order(tap):
    """The books were changed in ways that no record tells of: readers must wait for a scan."""
    if tap != 0:
        give_up(tap)
        store_i64(tap + TAP.lost, load_i64(tap + TAP.lost) + 1)
        tell_lost(tap)
