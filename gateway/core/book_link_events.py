"""Live records of another region's books ⑤: applied as a decoder's events are, or to a book that a scan is still filling.

Called by book_link.py, in the source's order. Hard rule: strategies hear of settled books only.
"""

from gateway.core.book import apply_event, begin_session
from gateway.core.book_link_scan import LIVE, MIRROR, SCANNING, define_listing, open_mirrored, strip
from gateway.core.book_link_trust import lose
from gateway.core.book_rows import BOOK, book_of
from gateway.core.book_sessions import empty_book
from gateway.core.book_top import settle_top
from gateway.core.book_touch import touch_book
from gateway.core.counters import add_to
from gateway.core.events import EVENT_INFORMATION, name_instrument, on_event
from gateway.core.kernel import inner, leaf
from gateway.core.link_out import EVENT, SLOT
from gateway.core.link_tap import apply_and_tell, tell_news, tell_run
from gateway.core.memory import load_i64, load_u8, load_u32, store_u8, store_u32
from gateway.core.quality import judge
from gateway.layout import offsets, value

CORE = offsets("core")
COUNTERS = offsets("core_counters")
LISTING_KIND = value("LINK_LISTING")
UNSCANNED, NO_NEWS = value("LINK_UNSCANNED"), value("LINK_QUIET")
NEWS, JOINING = value("LINK_NEWS"), value("LINK_JOINING")
ADD, REPLACE, SET = value("EVENT_ADD"), value("EVENT_REPLACE"), value("EVENT_SET")
LEVEL_SET, OVERLAY = value("EVENT_LEVEL"), value("EVENT_LEVEL_OVERLAY")
TRADE, STATUS, INSTRUMENT = value("EVENT_TRADE"), value("EVENT_STATUS"), value("EVENT_INSTRUMENT")
CLEAR, SNAPSHOT_BEGIN = value("EVENT_CLEAR"), value("EVENT_SNAPSHOT_BEGIN")
GAP, RECOVERED = value("EVENT_GAP"), value("EVENT_RECOVERED")
ONE_INSTRUMENT, OF_SNAPSHOT = value("EVENT_ONE_INSTRUMENT"), value("EVENT_OF_SNAPSHOT")


@inner
def on_opened(mirror, slot, kind, state):
    """An instrument has come since the scan began, or is defined anew."""
    if kind == LISTING_KIND:
        define_listing(mirror, slot)
        return
    book = open_mirrored(mirror, slot)
    if book != 0 and state == SCANNING:
        if not is_settled(mirror, load_u32(book + BOOK.instrument)):
            strip(load_i64(mirror + MIRROR.store), book)
    elif book != 0:
        store_u8(load_i64(mirror + MIRROR.settled) + load_u32(book + BOOK.instrument), 1)


@leaf
def is_settled(mirror, instrument):
    """Whether the book of an instrument is what the source's is."""
    if instrument >= load_i64(mirror + MIRROR.instruments):
        return False
    return load_u8(load_i64(mirror + MIRROR.settled) + instrument) != 0


@inner
def on_mirrored_run(core, mirror, slot, state):
    """A run of a channel began at the source; a scan in progress ended with it."""
    if state == SCANNING:
        lose(core, mirror)
        return
    first = load_i64(slot + SLOT.count)
    begin_session(load_i64(mirror + MIRROR.store), first)
    tell_run(load_i64(core + CORE.tap), first)


@inner
def on_record_event(core, mirror, event, flags, state):
    """A live event."""
    kind, known = load_u8(event + EVENT.kind), load_u32(event + EVENT.instrument) < load_i64(mirror + MIRROR.instruments)
    whole_channel = kind == RECOVERED or (kind == GAP and load_u8(event + EVENT.flags) & ONE_INSTRUMENT == 0)
    if whole_channel:
        store_u32(event + EVENT.instrument, 0)
    applies = whole_channel or (known and (state == LIVE or is_settled(mirror, load_u32(event + EVENT.instrument))))
    if applies and flags & JOINING == 0:
        apply_mirrored(core, mirror, event, flags)
    elif known and not applies and flags & (UNSCANNED | NEWS) == 0:
        add_to(mirror + MIRROR.applied, 1)
        build(core, mirror, event, kind)
    else:
        add_to(mirror + MIRROR.passed, 1)  # the source refused it too, or the scan brings it


@inner
def apply_mirrored(core, mirror, event, flags):
    """As events.on_events, for one event; where the source's strategies were not asked, ours are not."""
    tap, counters, quality = load_i64(core + CORE.tap), load_i64(core + CORE.counters), load_i64(core + CORE.quality)
    add_to(mirror + MIRROR.applied, 1)
    if flags & NEWS:
        tell_news(tap, event)
        on_event(core, event)
        return
    add_to(counters + COUNTERS.events, 1)
    changed = apply_and_tell(tap, load_i64(mirror + MIRROR.store), event, counters, flags & NO_NEWS)
    if load_u8(event + EVENT.kind) == INSTRUMENT:
        name_instrument(core, event)
    if flags & NO_NEWS:
        return
    if quality != 0:
        judge(quality, event, changed)
    if load_u8(event + EVENT.kind) != EVENT_INFORMATION:
        on_event(core, event)


@inner
def build(core, mirror, event, kind):
    """A live event of a book that a scan is filling: what moves the scanned part of it; SETTLED brings the rest."""
    store, counters = load_i64(mirror + MIRROR.store), load_i64(mirror + MIRROR.counters)
    book = book_of(store, load_u32(event + EVENT.instrument))
    if kind in (CLEAR, SNAPSHOT_BEGIN):
        empty_book(store, touch_book(store, event, counters))
        settle_top(book, counters)
    elif ADD <= kind <= REPLACE or kind in (SET, TRADE, STATUS):
        apply_event(store, event, counters)
    elif LEVEL_SET <= kind <= OVERLAY:
        store_u8(event + EVENT.flags, load_u8(event + EVENT.flags) | OF_SNAPSHOT)  # the source has judged its sequence
        apply_event(store, event, counters)
    elif kind == INSTRUMENT:
        apply_event(store, event, counters)
        name_instrument(core, event)
    strip(store, book)
