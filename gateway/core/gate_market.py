"""The instrument against its book ⑦: STATE, STALE, QTY and PRICE. Read first: gate.py.

Hard rule: as in gate.py. An order may carry a price from 1 to ORDER_PRICE_MAX; a book that is elsewhere, or below zero, is
no reference, and so denies.
"""

from numba import int64

from gateway.core.kernel import leaf
from gateway.core.memory import is_multiple, load_i64, load_u32, settled
from gateway.layout import offsets, value

ROW = offsets("gate_row")
ACCOUNT = offsets("gate_account")
BOOK = offsets("book")

STATE, STALE, QTY, PRICE = (value(f"GATE_{name}") for name in ("STATE", "STALE", "QTY", "PRICE"))
TRADABLE = value("INSTRUMENT_PERMITTED") | value("INSTRUMENT_LIMITS_SET")
INSTRUMENT_FLAGS = TRADABLE | value("INSTRUMENT_RESTRICTED")
IN_AUCTION = value("INSTRUMENT_AUCTION")
BOOK_VALID, BOOK_STALE, BOOK_QUIET = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_QUIET")
BOOK_CROSSED, BOOK_FAULT = value("BOOK_CROSSED"), value("BOOK_FAULT")
TRADING_OPEN, TRADING_AUCTION = value("TRADING_OPEN"), value("TRADING_AUCTION")

QUANTITY_MAX, PRICE_MAX = value("ORDER_QUANTITY_MAX"), value("ORDER_PRICE_MAX")
BITS = 0x7FFFFFFF  # what a bounded price or quantity fits in
PPM = 1_000_000
PPM_BITS = (1 << 20) - 1
TIME_MAX_NS = 1 << 62
assert QUANTITY_MAX == BITS and PRICE_MAX == BITS and PPM <= PPM_BITS


@leaf
def market_mask(mask, account, row, book, price, quantity, shift, now_ns):
    """`mask` with STATE, STALE, QTY and PRICE in their places; `shift` halves what may be sent."""
    mask = settled(mask | (state_fails(account, row, book, now_ns) << STATE) | (stale_fails(row, book, now_ns) << STALE))
    mask = settled(mask | (quantity_fails(row, quantity, shift) << QTY))
    return settled(mask | (price_fails(account, row, book, price, now_ns) << PRICE))


@leaf
def state_fails(account, row, book, now_ns):
    """Permitted, not restricted, limits present; within the hours; open, or in an auction where that is allowed; the book
    neither crossed (but in an auction) nor faulty; symbol known.
    """
    flags, book_flags, trading = load_i64(row + ROW.flags), load_u32(book + BOOK.flags), load_u32(book + BOOK.trading)
    auction = (trading == TRADING_AUCTION) & (flags & IN_AUCTION != 0)
    closed = (trading != TRADING_OPEN) & (not auction)
    crossed = (book_flags & BOOK_CROSSED != 0) & (not auction)
    early = now_ns < load_i64(account + ACCOUNT.hours_open_ns)
    late = now_ns >= load_i64(account + ACCOUNT.hours_close_ns)
    nameless = load_i64(book + BOOK.symbol) == 0
    forbidden = flags & INSTRUMENT_FLAGS != TRADABLE
    return int64(forbidden | closed | crossed | (book_flags & BOOK_FAULT != 0) | early | late | nameless)


@leaf
def stale_fails(row, book, now_ns):
    """Valid, no gap open, not quiet, and the last event at most `stale_ns` old; a time that runs backwards fails."""
    flags = load_u32(book + BOOK.flags) & (BOOK_VALID | BOOK_STALE | BOOK_QUIET)
    time_ns = load_i64(book + BOOK.time_ns)
    sane = (time_ns > 0) & (now_ns >= time_ns) & (now_ns < TIME_MAX_NS)
    return int64((flags != BOOK_VALID) | (not sane) | (now_ns - time_ns > load_i64(row + ROW.stale_ns)))


@leaf
def quantity_fails(row, quantity, shift):
    """From 1 to `quantity_max`, halved `shift` times, a multiple of the lot."""
    odd = is_multiple(quantity & BITS, load_i64(row + ROW.lot_multiple)) == 0
    bounded = (quantity > 0) & (quantity <= QUANTITY_MAX)
    return int64(odd | (not bounded) | (quantity > load_i64(row + ROW.quantity_max) >> shift))


@leaf
def price_fails(account, row, book, price, now_ns):
    """From 1 to ORDER_PRICE_MAX, a multiple of the tick, inside both collars."""
    odd = is_multiple(price & BITS, load_i64(row + ROW.tick_multiple)) == 0
    bounded = (price > 0) & (price <= PRICE_MAX)
    outside = collar_fails(row, book, price & BITS, now_ns) | window_fails(account, row, price & BITS, now_ns)
    return int64(odd | (not bounded)) | outside


@leaf
def collar_fails(row, book, price, now_ns):
    """Within `collar_ppm` of the middle of the book, of the last trade where a side is empty; no reference fails.

    Both sides are doubled so that the middle of an odd spread stays exact. The middle is as old as the book (STALE); a last
    trade has an age of its own.
    """
    bid, ask = load_i64(book + BOOK.bid_price), load_i64(book + BOOK.ask_price)
    two_sided = (load_i64(book + BOOK.bid_quantity) > 0) & (load_i64(book + BOOK.ask_quantity) > 0)
    doubled, beyond, old = (bid & BITS) + (ask & BITS), (bid | ask) & ~BITS, False
    if not two_sided:  # seldom: another line is read
        last = load_i64(book + BOOK.last_price)
        doubled, beyond = 2 * (last & BITS), last & ~BITS
        age_ns = now_ns - load_i64(row + ROW.last_price_ns)
        old = (last != load_i64(row + ROW.last_price)) | (age_ns < 0) | (age_ns > load_i64(row + ROW.last_age_ns))
    collar_ppm = load_u32(row + ROW.collar_ppm)
    outside = abs(2 * price - doubled) * PPM > (collar_ppm & PPM_BITS) * doubled
    unset = (collar_ppm == 0) | (collar_ppm > PPM)
    return int64(outside | unset | old | (doubled <= 0) | (beyond != 0))


@leaf
def window_fails(account, row, price, now_ns):
    """Within `window_ppm` of the mean of the rolling window, whose newest sample is not older than the window."""
    mean, window_ppm = load_i64(row + ROW.window_price), load_u32(row + ROW.window_ppm)
    age_ns = now_ns - load_i64(row + ROW.window_ns)
    old = (age_ns < 0) | (age_ns > load_i64(account + ACCOUNT.window_ns))
    outside = abs(price - (mean & BITS)) * PPM > (window_ppm & PPM_BITS) * (mean & BITS)
    unset = (window_ppm == 0) | (window_ppm > PPM) | (mean <= 0) | (mean > PRICE_MAX)
    return int64(old | outside | unset)
