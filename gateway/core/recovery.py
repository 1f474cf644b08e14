"""Heals stale books from snapshots: between protocol ④ and book ⑤, for feeds that have a source of snapshots.

    verdict = examine_event(healing, feed, event, counters)
        HEAL_PASS: kept or of no use    HEAL_APPLY: to the book    HEAL_DONE: to the book, then replay_kept

From the first snapshot on (or from the start, where a source of snapshots is configured) the events of a book that waits are
kept; a snapshot that reaches as far as the kept ones begin is applied, what was kept
beyond it follows, and the strategy sees one event, the end of the snapshot, with the book valid and of this very moment.
Hard rule: what is not certain to join without a hole is not joined; the book stays stale and waits for the next snapshot.
"""

from typing import Any

import numpy as np

from gateway import limits
from gateway.core.book_channels import CHANNEL as BOOK_CHANNEL
from gateway.core.book_channels import channel_at, channel_now
from gateway.core.book_rows import BOOK, book_of
from gateway.core.counters import count_reason
from gateway.core.kept_events import EVENT, HEALING, KEPT, ROW, drop_list, keep, kept_at, row_at
from gateway.core.kernel import kernel, leaf
from gateway.core.link_tap import QUIET, apply_and_tell
from gateway.core.memory import address_of, load_i64, load_u8, load_u32, store_i64, store_u32
from gateway.layout import dtype, offsets, size, value

FEED = offsets("feed")
CHANNEL = offsets("heal_channel")
CHANNEL_BYTES, FEED_BYTES = size("heal_channel"), size("feed")
PASS, APPLY, DONE = value("HEAL_PASS"), value("HEAL_APPLY"), value("HEAL_DONE")
VALID, RECOVERABLE, FAULT = value("BOOK_VALID"), value("BOOK_RECOVERABLE"), value("BOOK_FAULT")
KNOWN, SNAPSHOT, BOUND = value("BOOK_KNOWN"), value("BOOK_SNAPSHOT"), value("BOOK_BOUND")
TRUSTED = VALID | RECOVERABLE
BEGIN, END, CLEAR = value("EVENT_SNAPSHOT_BEGIN"), value("EVENT_SNAPSHOT_END"), value("EVENT_CLEAR")
STATUS, OF_SNAPSHOT = value("EVENT_STATUS"), value("EVENT_OF_SNAPSHOT")
SNAPSHOTS = value("CHANNEL_SNAPSHOT")
USELESS, FIELD = value("FEED_SNAPSHOT_USELESS"), value("FEED_MESSAGE_FIELD")
MOVING: tuple[str, ...] = (
    "ADD",
    "EXECUTE",
    "REDUCE",
    "DELETE",
    "REPLACE",
    "CLEAR",
    "LEVEL",
    "LEVELS_FROM",
    "LEVELS_THROUGH",
)
MOVING += ("LEVEL_OVERLAY", "SET", "INSTRUMENT_SEQUENCE", "CHECKSUM", "STATUS")
MOVES = sum(1 << value(f"EVENT_{name}") for name in MOVING)  # bit per kind whose order to a snapshot matters


def make_healing(
    store: int, instruments: int, kept: int = limits.KEPT_EVENTS_MAX, eager: bool = True
) -> tuple[np.ndarray, list[Any]]:
    """A struct healing (array of one) over the struct book_store at `store`, and what it points into.

    `eager`: a source of snapshots is configured, so events of waiting books are kept from the start.
    """
    rows, channels = np.zeros(instruments, dtype("heal_row")), np.zeros(limits.CHANNELS_MAX, dtype("heal_channel"))
    ring, healing = np.zeros(kept, dtype("kept_event")), np.zeros(1, dtype("healing"))
    healing["rows"], healing["channels"], healing["kept"] = address_of(rows), address_of(channels), address_of(ring)
    healing["kept_max"], healing["instruments"], healing["store"] = kept, instruments, store
    healing["eager"] = eager
    return healing, [rows, channels, ring]


@leaf
def channel_row(healing, channel):
    """Address of a channel's struct heal_channel."""
    return load_i64(healing + HEALING.channels) + channel * CHANNEL_BYTES


@kernel
def begin_run(healing, channel, first_sequence):
    """A channel's run begins: nothing kept before belongs to it. From 1 on its books are valid without a snapshot."""
    row = channel_row(healing, channel)
    store_u32(row + CHANNEL.generation, load_u32(row + CHANNEL.generation) + 1)
    store_u32(row + CHANNEL.complete, 1 if first_sequence == 1 else 0)
    store_i64(row + CHANNEL.covered, first_sequence - 1)
    store_i64(row + CHANNEL.applied, 0)


@kernel
def note_lost(healing, channel, first_sequence, count):
    """Messages of a channel are lost for good: a snapshot must reach beyond them."""
    row = channel_row(healing, channel)
    store_u32(row + CHANNEL.generation, load_u32(row + CHANNEL.generation) + 1)
    store_u32(row + CHANNEL.complete, 0)
    store_i64(row + CHANNEL.covered, first_sequence + count - 1)


@kernel
def examine_event(healing, feed, event, counters):
    """What becomes of an event that came on the channel `feed` (enum heal_verdict); store.channel is feed.snapshot_of."""
    kind, instrument = load_u8(event + EVENT.kind), load_u32(event + EVENT.instrument)
    of_snapshot = load_u8(event + EVENT.flags) & OF_SNAPSHOT != 0 or load_u32(feed + FEED.role) == SNAPSHOTS
    if of_snapshot or kind in (BEGIN, END):
        if instrument >= load_i64(healing + HEALING.instruments):
            count_reason(counters, FIELD)
            return PASS
        return examine_snapshot(healing, feed, event, kind, instrument, counters)
    if MOVES >> kind & 1 == 0 or instrument >= load_i64(healing + HEALING.instruments):
        return APPLY
    channel = channel_row(healing, load_u32(feed + FEED.channel))
    if load_i64(event + EVENT.sequence) <= load_i64(channel + CHANNEL.applied):
        row = row_now(healing, channel, instrument)
        if load_i64(event + EVENT.sequence) <= load_i64(row + ROW.applied):
            return PASS
    if not is_waiting(healing, instrument):
        return APPLY
    return keep_event(healing, channel, event, kind, instrument, counters)


@leaf
def is_waiting(healing, instrument):
    """Whether nothing but a snapshot makes this book right; a book not opened yet is as its channel's new ones."""
    store = load_i64(healing + HEALING.store)
    flags = load_u32(book_of(store, instrument) + BOOK.flags)
    if flags & KNOWN == 0:
        flags = load_u32(channel_at(store, channel_now(store)) + BOOK_CHANNEL.flags_new)
    return flags & TRUSTED == 0 or flags & FAULT != 0


@kernel
def row_now(healing, channel, instrument):
    """The row of an instrument, begun anew when its channel was."""
    row = row_at(healing, instrument)
    generation = load_u32(channel + CHANNEL.generation)
    if load_u32(row + ROW.generation) != generation:
        drop_list(row)
        store_u32(row + ROW.generation, generation)
        store_u32(row + ROW.keeping, (1 - load_u32(channel + CHANNEL.complete)) & load_u32(healing + HEALING.eager))
        store_u32(row + ROW.building, 0)
        store_i64(row + ROW.covered, load_i64(channel + CHANNEL.covered))
        store_i64(row + ROW.applied, 0)
    return row


@kernel
def keep_event(healing, channel, event, kind, instrument, counters):
    """An event of a waiting book. A clear makes the book right; a state is told at once, and again in its place."""
    row = row_now(healing, channel, instrument)
    if kind == CLEAR:
        release(row)
        return APPLY
    if load_u32(row + ROW.keeping) == 0:
        if load_u32(healing + HEALING.eager) == 0:
            return APPLY  # nobody sends snapshots: a book that is not to be trusted is better than none
        # its book became wrong by something in front of this event, perhaps in the same packet
        store_u32(row + ROW.keeping, 1)
        store_i64(row + ROW.covered, load_i64(event + EVENT.sequence))
    keep(healing, row, event, counters)
    return APPLY if kind == STATUS else PASS


@kernel
def examine_snapshot(healing, feed, event, kind, instrument, counters):
    """An event of a snapshot: applied when the snapshot is of use, else passed over."""
    store_u32(healing + HEALING.eager, 1)
    channel = channel_row(healing, told_of(healing, feed, instrument))
    row = row_now(healing, channel, instrument)
    if kind == BEGIN:
        return begin_snapshot(healing, feed, channel, row, event, instrument, counters)
    if load_u32(row + ROW.building) == 0:
        return PASS
    own = channel_row(healing, load_u32(row + ROW.snapshot_channel))
    cut = load_u32(own + CHANNEL.generation) != load_u32(row + ROW.snapshot_generation)
    store = load_i64(healing + HEALING.store)
    cut |= load_u32(book_of(store, instrument) + BOOK.flags) & SNAPSHOT == 0
    snapshot = load_i64(row + ROW.snapshot)
    cut |= kind == END and 0 <= snapshot < load_i64(row + ROW.covered)
    if cut:
        store_u32(row + ROW.building, 0)
        count_reason(counters, USELESS)
        return PASS
    return DONE if kind == END else APPLY


@leaf
def told_of(healing, feed, instrument):
    """The channel whose events a snapshot on `feed` sums up: as configured, else the one that feeds the book."""
    configured = load_u32(feed + FEED.snapshot_of)
    if load_u32(feed + FEED.role) == SNAPSHOTS and configured == load_u32(feed + FEED.channel):
        book = book_of(load_i64(healing + HEALING.store), instrument)
        if load_u32(book + BOOK.flags) & BOUND:
            return load_u32(book + BOOK.channel)
    return configured


@kernel
def begin_snapshot(healing, feed, channel, row, event, instrument, counters):
    """Whether a snapshot is applied: its book waits and nothing is missing behind it; or the venue sends it unasked."""
    snapshot, sequence = load_i64(event + EVENT.quantity), load_i64(event + EVENT.other_id)
    if load_u32(row + ROW.building) != 0 and continues(healing, row, instrument, snapshot, sequence):
        return APPLY
    unnumbered = snapshot < 0 and sequence == 0
    in_band = unnumbered and load_u32(feed + FEED.role) != SNAPSHOTS
    if load_u32(row + ROW.building) != 0:
        store_u32(row + ROW.building, 0)
        count_reason(counters, USELESS)
    if not in_band and not is_waiting(healing, instrument):
        return PASS  # right as it is, or what it lost has been asked for
    joins = in_band or (not unnumbered and reaches(healing, feed, row, instrument, snapshot, sequence))
    if in_band:
        drop_list(row)
        store_i64(row + ROW.covered, 0)
    elif load_u32(row + ROW.keeping) == 0:
        store_i64(row + ROW.covered, last_delivered(feed, told_of(healing, feed, instrument)))
    if joins or is_waiting(healing, instrument):
        store_u32(row + ROW.keeping, 1)
    if not joins:
        count_reason(counters, USELESS)
        return PASS
    own = load_u32(feed + FEED.channel)
    store_u32(row + ROW.building, 1)
    store_u32(row + ROW.snapshot_channel, own)
    store_u32(row + ROW.snapshot_generation, load_u32(channel_row(healing, own) + CHANNEL.generation))
    store_i64(row + ROW.snapshot, snapshot)
    return APPLY


@leaf
def continues(healing, row, instrument, snapshot, sequence):
    """Whether this is the next part of the snapshot being applied: a venue may say one in several messages."""
    book = book_of(load_i64(healing + HEALING.store), instrument)
    same = load_i64(row + ROW.snapshot) == snapshot and load_i64(book + BOOK.snapshot_sequence) == sequence
    return same and (snapshot >= 0 or sequence != 0) and load_u32(book + BOOK.flags) & SNAPSHOT != 0


@kernel
def reaches(healing, feed, row, instrument, snapshot, sequence):
    """Whether nothing is missing between a snapshot and what follows it here.

    Kept events begin behind `covered`. What was not kept was applied: then the snapshot must hold all of it.
    """
    channel = told_of(healing, feed, instrument)
    unknown = load_u32(feed + FEED.role) == SNAPSHOTS and channel == load_u32(feed + FEED.channel)
    if snapshot < 0 or unknown:
        return sequence > 0 and own_sequence(healing, row, instrument, sequence)
    covered = load_i64(row + ROW.covered) if load_u32(row + ROW.keeping) != 0 else last_delivered(feed, channel)
    return snapshot >= covered


@leaf
def own_sequence(healing, row, instrument, sequence):
    """The same by the sequence of the instrument itself; a hole behind the snapshot is found when the kept ones follow."""
    book = book_of(load_i64(healing + HEALING.store), instrument)
    return load_u32(row + ROW.keeping) != 0 or sequence >= load_i64(book + BOOK.sequence)


@leaf
def last_delivered(feed, channel):
    """Last sequence delivered of a channel; the rows of all channels stand in one array with `feed`."""
    apart = channel - load_u32(feed + FEED.channel)
    return load_i64(feed + apart * FEED_BYTES + FEED.next_sequence) - 1


@leaf
def release(row):
    """The book is right: nothing is kept for it any more."""
    drop_list(row)
    store_u32(row + ROW.keeping, 0)
    store_u32(row + ROW.building, 0)


@kernel
def replay_kept(healing, feed, instrument, counters, tap):
    """Behind the end of a snapshot: what was kept beyond it goes to the book, and by `tap` to the link. How many did."""
    channel, store = channel_row(healing, told_of(healing, feed, instrument)), load_i64(healing + HEALING.store)
    row = row_at(healing, instrument)
    snapshot, link, applied = load_i64(row + ROW.snapshot), load_u32(row + ROW.head), 0
    for _ in range(load_i64(healing + HEALING.kept_max)):
        if link == 0:
            break
        kept = kept_at(healing, link - 1)
        link = load_u32(kept + KEPT.next)
        if load_i64(kept + EVENT.sequence) > snapshot:
            apply_and_tell(tap, store, kept, counters, QUIET)
            applied += 1
    release(row)
    store_i64(row + ROW.applied, max(snapshot, 0))
    store_i64(channel + CHANNEL.applied, max(snapshot, load_i64(channel + CHANNEL.applied)))
    return applied
