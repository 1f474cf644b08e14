"""Marks and rolling windows ⑤→⑦: a few instruments at each look at the timers, in turn, so that no event pays for it.

    on_time ─► sweep_marks ─► SWEPT_ROWS instruments in use:  middle ─► window ─► PRICE
    submit ──► freshen ─────► the instrument of an order         └────► mark ──► settle_row ─► equity

Hard rule: only a book that may be traded on moves a mark or a window; what is held keeps its last mark otherwise.
"""

from numba import int64

from gateway import limits
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u32, relaxed, store_i64, store_u32
from gateway.core.portfolio import ROW, row_at, settle_equity, settle_row
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
ACCOUNT = offsets("gate_account")
BOOK = offsets("book")
WINDOW = offsets("gate_window")
BOOK_BYTES, WINDOW_BYTES = size("book"), size("gate_window")
SAMPLES = value("GATE_SAMPLES")
VALID = value("BOOK_VALID")
TRUST = VALID | value("BOOK_STALE") | value("BOOK_QUIET") | value("BOOK_CROSSED") | value("BOOK_FAULT")
PERMITTED = value("INSTRUMENT_PERMITTED")
PRICE_MAX = value("ORDER_PRICE_MAX")
WORD = 0xFFFFFFFF
SWEPT_ROWS = limits.SWEPT_ROWS


@kernel
def sweep_marks(path, used, now_ns):
    """Looks at the next instruments of the `used` ones that have a book; returns how many were marked anew."""
    account = load_i64(path + PATH.account)
    cursor, changed = load_i64(account + ACCOUNT.swept), 0
    for _ in range(min(used, SWEPT_ROWS)):
        if (cursor < 0) | (cursor >= used):
            cursor = 0
        book = load_i64(path + PATH.books) + cursor * BOOK_BYTES
        instrument = load_u32(book + BOOK.listed) - 1
        cursor += 1
        if (instrument >= 0) & (instrument < load_i64(path + PATH.instruments)):
            changed += look_at(path, account, instrument, now_ns)
    store_i64(account + ACCOUNT.swept, cursor)
    settle_equity(account)
    return changed


@kernel
def look_at(path, account, instrument, now_ns):
    """Window, last trade and mark of one instrument; 1 when its mark moved. New limits are worked out anew."""
    row = row_at(path, instrument)
    if is_settled(account, row) == 0:
        settle_row(path, row)
    if load_i64(row + ROW.flags) & PERMITTED == 0:
        return 0
    book = load_i64(path + PATH.books) + instrument * BOOK_BYTES
    last = load_i64(book + BOOK.last_price)
    if last != load_i64(row + ROW.last_price):
        store_i64(row + ROW.last_price, last)
        store_i64(row + ROW.last_price_ns, now_ns)
    if load_u32(book + BOOK.flags) & TRUST != VALID:
        return 0
    price = fair_price(book)
    if price > 0:
        sample(path, account, row, instrument, price, now_ns)
    if (price == 0) | (price == load_i64(row + ROW.mark)):
        return 0
    store_i64(row + ROW.mark, price)
    if load_i64(row + ROW.position) != 0:
        settle_row(path, row)
    return 1


@kernel
def freshen(path, instrument, now_ns):
    """Before an order is judged: an instrument whose window has no sample of this tenth yet is looked at out of turn."""
    if (instrument < 0) | (instrument >= load_i64(path + PATH.instruments)):
        return
    account, row = load_i64(path + PATH.account), row_at(path, instrument)
    tenth_ns = load_i64(account + ACCOUNT.window_ns) // SAMPLES
    age_ns = now_ns - load_i64(row + ROW.window_ns)
    if (is_settled(account, row) == 0) | (age_ns < 0) | (age_ns >= tenth_ns):
        look_at(path, account, instrument, now_ns)


@leaf
def is_settled(account, row):
    """1 when the row has worked out what it may cost under the limits that hold now."""
    return int64(load_u32(row + ROW.settled_version) == relaxed(account + ACCOUNT.limits_version) & WORD)


@kernel
def fair_price(book):
    """The middle, rounded down; the last trade where a side is missing; 0: neither, or beyond what an order may carry."""
    if load_i64(book + BOOK.bid_quantity) > 0 and load_i64(book + BOOK.ask_quantity) > 0:
        bid, ask = load_i64(book + BOOK.bid_price), load_i64(book + BOOK.ask_price)
        return (bid + ask) >> 1 if is_payable(bid) and is_payable(ask) else 0
    last = load_i64(book + BOOK.last_price)
    return last if is_payable(last) else 0


@leaf
def is_payable(price):
    """Whether an order may carry it. No abs: the lowest word has none, and would pass."""
    return (price >= -PRICE_MAX) & (price <= PRICE_MAX)


@kernel
def sample(path, account, row, instrument, price, now_ns):
    """One price per tenth of the window, the first that is seen in it; the reference is the mean of those that are there."""
    length_ns = load_i64(account + ACCOUNT.window_ns)
    if (length_ns < SAMPLES) | (now_ns <= 0):
        return
    window = load_i64(path + PATH.windows) + instrument * WINDOW_BYTES
    slot, before = now_ns // (length_ns // SAMPLES), load_i64(window + WINDOW.slot)
    if (slot <= before) & (before - slot <= SAMPLES):
        return
    oldest = slot - SAMPLES + 1
    for skipped in range(max(before + 1, oldest) if slot > before else oldest, slot + 1):
        store_u32(window + WINDOW.prices + skipped % SAMPLES * 4, 0)
    store_u32(window + WINDOW.prices + slot % SAMPLES * 4, price)
    store_i64(window + WINDOW.slot, slot)
    total, count = 0, 0
    for index in range(SAMPLES):
        price_then = load_u32(window + WINDOW.prices + index * 4)
        total += price_then
        count += 1 if price_then != 0 else 0
    store_i64(row + ROW.window_price, total // max(count, 1))
    store_i64(row + ROW.window_ns, now_ns)
