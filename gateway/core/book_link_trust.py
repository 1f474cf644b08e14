"""What the books ⑤ of another region are worth when its records break off, and when they go on.

    lose         the order is broken: stale for good, until a scan has settled them
    fall_silent  the source is not heard, wake: it is heard again, and nothing was lost

Hard rule: every book is marked before strategies hear of it, and each by the one event that they know from other feeds.
"""

from gateway.core.book_channels import after_gap, channel_at, set_trust
from gateway.core.book_link_scan import BOOK_CHANNELS, CHANNEL, LIVE, MIRROR, QUIET
from gateway.core.book_rows import BOOK, listed_book
from gateway.core.counters import add_to
from gateway.core.events import on_event
from gateway.core.kernel import inner
from gateway.core.link_out import EVENT, EVENT_BYTES, STORE
from gateway.core.link_tap import break_order
from gateway.core.memory import load_i64, load_u32, store_i64, store_u8, store_u32
from gateway.layout import offsets, value

CORE = offsets("core")
WAITING, SILENT = value("MIRROR_WAITING"), value("MIRROR_SILENT")
GAP, RECOVERED, GAP_LOST = value("EVENT_GAP"), value("EVENT_RECOVERED"), value("EVENT_LOST")


@inner
def blank_event(core, kind, instrument, flags):
    """Core's own event, with nothing else in it but the time."""
    event = load_i64(core + CORE.events)
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(event + offset, 0)
    store_u32(event + EVENT.instrument, instrument)
    store_u8(event + EVENT.kind, kind)
    store_u8(event + EVENT.flags, flags)
    store_i64(event + EVENT.time_receive_ns, load_i64(core + CORE.now_ns))
    return event


@inner
def announce(core, kind, instrument, flags):
    """Strategies hear of something that was done to the books already."""
    on_event(core, blank_event(core, kind, instrument, flags))


@inner
def lose(core, mirror):
    """The order is broken: every book, and each that may come, is stale until a scan has settled it."""
    store = load_i64(mirror + MIRROR.store)
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        set_trust(store, book, after_gap(load_u32(book + BOOK.flags), 1))
    for channel in range(BOOK_CHANNELS):
        row = channel_at(store, channel) + CHANNEL.flags_new
        store_u32(row, after_gap(load_u32(row), 1))
    was = load_u32(mirror + MIRROR.state)
    store_u32(mirror + MIRROR.state, WAITING)
    store_i64(mirror + MIRROR.sequence, 0)  # the next scan may be another source's
    break_order(load_i64(core + CORE.tap))
    if was != WAITING:
        add_to(mirror + MIRROR.lost, 1)
        announce(core, GAP, 0, GAP_LOST)


@inner
def fall_silent(core, mirror):
    """The source is not heard: its books are stale, and what they were is remembered."""
    if load_u32(mirror + MIRROR.state) != LIVE:
        return
    store = load_i64(mirror + MIRROR.store)
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        flags = load_u32(book + BOOK.flags)
        store_u32(load_i64(mirror + MIRROR.flags) + load_u32(book + BOOK.instrument) * 4, flags)
        set_trust(store, book, after_gap(flags, 0))
    store_u32(mirror + MIRROR.state, SILENT)
    break_order(load_i64(core + CORE.tap))
    announce(core, GAP, 0, 0)


@inner
def wake(core, mirror):
    """It is heard again and nothing was lost: the books are what they were."""
    if load_u32(mirror + MIRROR.state) != SILENT:
        return
    store = load_i64(mirror + MIRROR.store)
    for position in range(load_i64(store + STORE.used)):
        book = listed_book(store, position)
        kept = load_u32(load_i64(mirror + MIRROR.flags) + load_u32(book + BOOK.instrument) * 4)
        set_trust(store, book, (kept & ~QUIET) | (load_u32(book + BOOK.flags) & QUIET))
    store_u32(mirror + MIRROR.state, LIVE)
    announce(core, RECOVERED, 0, 0)
