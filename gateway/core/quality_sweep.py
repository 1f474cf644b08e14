"""What only time tells of data quality ⑤: instruments that fell silent, and venues that drifted apart. Once a millisecond.

    sweep ──┬── books in use, the next few: quiet when no event came for `stale_after_ns`; named rows join their group
            └── groups, the next few:       apart when the middles of live members differ for `apart_ns`

Hard rule: one sweep looks at QUALITY_SWEEP_MAX books and QUALITY_SWEEP_GROUPS groups at most. So a mark comes late by a
round over all books; the gate does not wait for it and compares the age of the book itself.
"""

import numpy as np
from numba import float64

from gateway.core.book_rows import listed_book
from gateway.core.counters import add_to
from gateway.core.decimals import EXPONENT_LAST
from gateway.core.instruments import hash_text, same_text, signed_32
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import copy_bytes, load_i64, load_u8, load_u32, store_i64, store_u8, store_u32
from gateway.core.quality import (
    ACCOUNT,
    BOOK,
    BOOK_BYTES,
    CROSSED,
    EVENT,
    FAULT,
    QUALITY,
    QUIET,
    ROW,
    ROW_BYTES,
    ROW_DIVERGENT,
    STALE,
    STORE,
    VALID,
    begin_samples,
    load_double,
)
from gateway.layout import offsets, size, value

GROUP = offsets("quality_group")
NAME = offsets("quality_name")
STATUS = value("EVENT_STATUS")
LISTING = offsets("instrument")
EVENT_BYTES = size("event")
GROUP_BYTES, NAME_BYTES, LISTING_BYTES = size("quality_group"), size("quality_name"), size("instrument")
MEMBERS_MAX, SWEEP_MAX = value("QUALITY_MEMBERS_MAX"), value("QUALITY_SWEEP_MAX")
SWEEP_GROUPS = value("QUALITY_SWEEP_GROUPS")
ROW_NAMED = value("QUALITY_NAMED")
IN_USE, LISTING_DIVERGENT = value("LISTING_IN_USE"), value("LISTING_DIVERGENT")
TRADING_UNKNOWN, TRADING_OPEN = value("TRADING_UNKNOWN"), value("TRADING_OPEN")
TRUST = VALID | STALE | CROSSED | FAULT | QUIET
MILLISECOND_NS = 1_000_000
SPACE = ord(" ")
POWER_LAST = 8 * EXPONENT_LAST
POWERS = np.array([10.0**power for power in range(-POWER_LAST, POWER_LAST + 1)])


@leaf
def sweep(quality, now_ns):
    """Called behind every record, works once a millisecond of their time. Returns how many struct event rows it wrote.

    Each of them restates the trading status of a book that has become quiet, so that its strategy hears of it: sequence 0.
    """
    passed_ns = now_ns - load_i64(quality + QUALITY.swept_ns)
    return sweep_all(quality, now_ns, passed_ns) if passed_ns >= MILLISECOND_NS or passed_ns < 0 else 0


@kernel
def sweep_all(quality, now_ns, passed_ns):
    """One sweep; a clock that went back counts as a millisecond."""
    store_i64(quality + QUALITY.swept_ns, now_ns)
    sweep_groups(quality, now_ns)
    return sweep_books(quality, now_ns, max(1, min(passed_ns // MILLISECOND_NS, SWEEP_MAX)))


@kernel
def sweep_books(quality, now_ns, passed_ms):
    """The next books in use, as many as the time that passed is worth. Returns how many of them became quiet."""
    store = load_i64(quality + QUALITY.store)
    used = min(load_i64(store + STORE.used), load_i64(quality + QUALITY.rows_max))
    count = min(used, SWEEP_MAX, passed_ms * load_i64(quality + QUALITY.books_per_ms))
    position, quiet = load_i64(quality + QUALITY.cursor), 0
    for _ in range(count):
        position = position + 1 if position + 1 < used else 0
        book = listed_book(store, position)
        if load_i64(quality + QUALITY.name_count) != 0:
            find_group(quality, book)
        if became_quiet(quality, book, now_ns):
            restate(load_i64(quality + QUALITY.events) + quiet * EVENT_BYTES, book, now_ns)
            quiet += 1
    store_i64(quality + QUALITY.cursor, position)
    return quiet


@leaf
def became_quiet(quality, book, now_ns):
    """Marks a book that no event has touched for too long. True when it was not marked before."""
    flags, limit_ns = load_u32(book + BOOK.flags), load_i64(quality + QUALITY.stale_after_ns)
    if limit_ns <= 0 or flags & QUIET != 0 or now_ns - load_i64(book + BOOK.time_ns) <= limit_ns:
        return False
    store_u32(book + BOOK.flags, flags | QUIET)
    add_to(load_i64(quality + QUALITY.account) + ACCOUNT.quiet, 1)
    return True


@kernel
def restate(event, book, now_ns):
    """The trading status of a book, as an event that the venue did not send."""
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(event + offset, 0)
    store_i64(event + EVENT.quantity, load_u32(book + BOOK.trading))
    store_u32(event + EVENT.instrument, load_u32(book + BOOK.instrument))
    store_u8(event + EVENT.kind, STATUS)
    store_i64(event + EVENT.time_receive_ns, now_ns)


@kernel
def find_group(quality, book):
    """A row whose name is new begins its samples anew, and looks for its group."""
    instrument = load_u32(book + BOOK.instrument)
    row = load_i64(quality + QUALITY.rows) + instrument * ROW_BYTES
    if load_i64(row + ROW.name) != load_i64(book + BOOK.symbol):
        begin_samples(row, load_i64(book + BOOK.symbol))
    if load_u32(row + ROW.flags) & ROW_NAMED == 0:
        leave_group(quality, row, instrument)
        join_group(quality, row, book, instrument)


@kernel
def join_group(quality, row, book, instrument):
    """Looks the symbol up among those of the groups; a row without a symbol is asked again next time."""
    listing = load_i64(quality + QUALITY.listings) + instrument * LISTING_BYTES
    text, text_bytes = listing + LISTING.symbol, load_u32(listing + LISTING.symbol_bytes)
    if load_u32(listing + LISTING.flags) & IN_USE == 0 or text_bytes == 0:
        text, text_bytes = book + BOOK.symbol, 8
        while text_bytes > 0 and (load_u8(text + text_bytes - 1) == SPACE or load_u8(text + text_bytes - 1) == 0):
            text_bytes -= 1
    if text_bytes == 0:
        return
    store_u32(row + ROW.flags, load_u32(row + ROW.flags) | ROW_NAMED)
    name = find_name(quality, text, text_bytes)
    if name == 0:
        return
    group = group_at(quality, load_u32(name + NAME.group))
    members = load_u32(group + GROUP.members)
    if members < MEMBERS_MAX:
        store_u32(group + GROUP.rows + members * 4, instrument)
        store_u32(group + GROUP.scales + members * 4, load_u32(name + NAME.scale))
        store_u32(group + GROUP.members, members + 1)
        store_u32(row + ROW.group, load_u32(name + NAME.group) + 1)


@kernel
def find_name(quality, text, text_bytes):
    """Address of the struct quality_name with this symbol, or 0: binary search by hash, then the text itself."""
    names, count = load_i64(quality + QUALITY.names), load_i64(quality + QUALITY.name_count)
    wanted, low, high = hash_text(text, text_bytes), 0, count
    while low < high:
        middle = (low + high) // 2
        if load_i64(names + middle * NAME_BYTES + NAME.hash) < wanted:
            low = middle + 1
        else:
            high = middle
    while low < count and load_i64(names + low * NAME_BYTES + NAME.hash) == wanted:
        name = names + low * NAME_BYTES
        if same_text(name + NAME.symbol, load_u32(name + NAME.symbol_bytes), text, text_bytes) != 0:
            return name
        low += 1
    return 0


@kernel
def leave_group(quality, row, instrument):
    """The row stands for another instrument now: its place in the group goes to the last member."""
    if load_u32(row + ROW.group) == 0:
        return
    mark_divergent(quality, instrument, 0)
    group = group_at(quality, load_u32(row + ROW.group) - 1)
    store_u32(row + ROW.group, 0)
    last = load_u32(group + GROUP.members) - 1
    for member in range(min(last + 1, MEMBERS_MAX)):
        if load_u32(group + GROUP.rows + member * 4) == instrument:
            copy_bytes(group + GROUP.rows + member * 4, group + GROUP.rows + last * 4, 4)
            copy_bytes(group + GROUP.scales + member * 4, group + GROUP.scales + last * 4, 4)
            store_u32(group + GROUP.members, last)
            return


@leaf
def group_at(quality, index):
    """Address of a group."""
    return load_i64(quality + QUALITY.groups) + index * GROUP_BYTES


@kernel
def sweep_groups(quality, now_ns):
    """The next groups."""
    count = load_i64(quality + QUALITY.group_count)
    if count == 0 or load_double(quality + QUALITY.apart) <= 0.0:
        return
    index = load_i64(quality + QUALITY.group_cursor)
    for _ in range(min(count, SWEEP_GROUPS)):
        index = index + 1 if index + 1 < count else 0
        compare_group(quality, group_at(quality, index), now_ns)
    store_i64(quality + QUALITY.group_cursor, index)


@kernel
def compare_group(quality, group, now_ns):
    """Lowest and highest middle of the live members; apart once they have differed for longer than the bound."""
    lowest, highest, live = 0.0, 0.0, 0
    for member in range(load_u32(group + GROUP.members)):
        if is_live(quality, load_u32(group + GROUP.rows + member * 4)):
            middle = scaled_middle(quality, group, member)
            lowest = middle if live == 0 else min(lowest, middle)
            highest = middle if live == 0 else max(highest, middle)
            live += 1
    differ = live >= 2 and highest - lowest > load_double(quality + QUALITY.apart) * max(abs(lowest), abs(highest))
    since_ns = load_i64(group + GROUP.since_ns)
    if not differ:
        since_ns = 0
    elif since_ns == 0:
        since_ns = now_ns
    store_i64(group + GROUP.since_ns, since_ns)
    settle_group(quality, group, 1 if differ and now_ns - since_ns >= load_i64(quality + QUALITY.apart_ns) else 0)


@kernel
def settle_group(quality, group, apart):
    """Marks the live members of a group that is apart, and no others."""
    account, before = load_i64(quality + QUALITY.account), load_u32(group + GROUP.apart)
    if apart == 0 and before == 0:
        return
    add_to(account + ACCOUNT.divergences, 1 if apart > before else 0)
    add_to(account + ACCOUNT.groups_apart, apart - before)
    store_u32(group + GROUP.apart, apart)
    for member in range(load_u32(group + GROUP.members)):
        instrument = load_u32(group + GROUP.rows + member * 4)
        mark_divergent(quality, instrument, apart if is_live(quality, instrument) else 0)


@kernel
def mark_divergent(quality, instrument, apart):
    """Sets or clears the mark that events of this row carry, and the one that tools read."""
    row = load_i64(quality + QUALITY.rows) + instrument * ROW_BYTES + ROW.flags
    listing = load_i64(quality + QUALITY.listings) + instrument * LISTING_BYTES + LISTING.flags
    store_u32(row, load_u32(row) & ~ROW_DIVERGENT | (ROW_DIVERGENT if apart != 0 else 0))
    store_u32(listing, load_u32(listing) & ~LISTING_DIVERGENT | (LISTING_DIVERGENT if apart != 0 else 0))


@kernel
def is_live(quality, instrument):
    """A trusted book with two sides, fed, and in no auction or halt."""
    book = load_i64(load_i64(quality + QUALITY.store) + STORE.books) + instrument * BOOK_BYTES
    trading = load_u32(book + BOOK.trading)
    two_sided = load_i64(book + BOOK.bid_quantity) > 0 and load_i64(book + BOOK.ask_quantity) > 0
    trusted = load_u32(book + BOOK.flags) & TRUST == VALID
    return trusted and two_sided and trading in (TRADING_OPEN, TRADING_UNKNOWN)


@kernel
def scaled_middle(quality, group, member):
    """Middle of a member's book in the group's common unit."""
    instrument = load_u32(group + GROUP.rows + member * 4)
    book = load_i64(load_i64(quality + QUALITY.store) + STORE.books) + instrument * BOOK_BYTES
    listing = load_i64(quality + QUALITY.listings) + instrument * LISTING_BYTES
    exponent = load_i64(quality + QUALITY.price_exponent)
    if load_u32(listing + LISTING.flags) & IN_USE != 0:
        exponent = signed_32(load_u32(listing + LISTING.price_exponent))
    power = exponent + signed_32(load_u32(group + GROUP.scales + member * 4))
    power = max(-POWER_LAST, min(POWER_LAST, power))
    middle = 0.5 * (float64(load_i64(book + BOOK.bid_price)) + float64(load_i64(book + BOOK.ask_price)))
    return middle * POWERS[power + POWER_LAST]
