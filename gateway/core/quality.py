"""Data quality between book ⑤ and strategy ⑥: prices that do not look right are flagged, and books fed no more are marked.

    judge(quality, event, changed)     after each applied event: EVENT_OUTLIER, EVENT_DIVERGENT
    sweep(quality, now_ns)             behind each record: quality_sweep.py marks quiet books and compares groups

A sample is the price of a trade, or the middle of a trusted book whose top moved. Mean and variance forget exponentially, so
one line per instrument holds them. An outlier leaves both as they are, until `agree` outliers in a row agree: then the
market has moved, and they are the mean. Hard rule: floats end here as flags; a book or a limit never sees one.
"""

from numba import float64

from gateway.core.counters import add_to
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import bits_of, double_of, load_i64, load_u8, load_u32, store_i64, store_u8, store_u32
from gateway.layout import offsets, size, value

QUALITY = offsets("quality")
ACCOUNT = offsets("quality_account")
ROW = offsets("quality_row")
STORE = offsets("book_store")
BOOK = offsets("book")
EVENT = offsets("event")
ROW_BYTES, BOOK_BYTES = size("quality_row"), size("book")
EXECUTE, TRADE, GAP = value("EVENT_EXECUTE"), value("EVENT_TRADE"), value("EVENT_GAP")
NONE, SYSTEM, INFORMATION = value("EVENT_NONE"), value("EVENT_SYSTEM"), value("EVENT_INFORMATION")
RECOVERED = value("EVENT_RECOVERED")
SILENT = 1 << NONE | 1 << SYSTEM | 1 << INFORMATION | 1 << GAP | 1 << RECOVERED  # kinds that bring no news of an instrument
NON_PRINTABLE, OF_SNAPSHOT = value("EVENT_NON_PRINTABLE"), value("EVENT_OF_SNAPSHOT")
OUTLIER, DIVERGENT = value("EVENT_OUTLIER"), value("EVENT_DIVERGENT")
VALID, STALE, CROSSED = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_CROSSED")
FAULT, QUIET, SNAPSHOT = value("BOOK_FAULT"), value("BOOK_QUIET"), value("BOOK_SNAPSHOT")
ROW_NAMED, ROW_DIVERGENT = value("QUALITY_NAMED"), value("QUALITY_DIVERGENT")
STREAK_TIMES = value("QUALITY_STREAK_TIMES")


@leaf
def load_double(address):
    """A double."""
    return double_of(load_i64(address))


@leaf
def store_double(address, number):
    """Stores a double."""
    store_i64(address, bits_of(number))


@leaf
def judge(quality, event, changed):
    """Flags an applied event; `changed`: what apply_event said of the top. Returns the flags it set."""
    instrument, kind = load_u32(event + EVENT.instrument), load_u8(event + EVENT.kind)
    if instrument >= load_i64(quality + QUALITY.rows_max) or (SILENT >> (kind & 63)) & 1 != 0:
        return 0
    book = load_i64(load_i64(quality + QUALITY.store) + STORE.books) + instrument * BOOK_BYTES
    touched = load_i64(book + BOOK.time_ns) == load_i64(event + EVENT.time_receive_ns)
    if load_u32(book + BOOK.flags) & QUIET != 0 and touched:
        store_u32(book + BOOK.flags, load_u32(book + BOOK.flags) & ~QUIET)
    row = load_i64(quality + QUALITY.rows) + instrument * ROW_BYTES
    flags = DIVERGENT if load_u32(row + ROW.flags) & ROW_DIVERGENT != 0 else 0
    if load_i64(quality + QUALITY.filters) == 0:
        pass
    elif kind in (EXECUTE, TRADE):
        flags |= judge_trade(quality, row, event, book)
    elif changed != 0:
        flags |= judge_top(quality, row, event, book)
    if flags != 0:
        store_u8(event + EVENT.flags, load_u8(event + EVENT.flags) | flags)
    return flags


@kernel
def judge_trade(quality, row, event, book):
    """A print, unless it does not count. Half the spread is no distance: sellers and buyers take turns."""
    if load_u8(event + EVENT.flags) & (NON_PRINTABLE | OF_SNAPSHOT) != 0 or load_i64(event + EVENT.quantity) <= 0:
        return 0
    bid, ask = load_i64(book + BOOK.bid_price), load_i64(book + BOOK.ask_price)
    two_sided = load_i64(book + BOOK.bid_quantity) > 0 and load_i64(book + BOOK.ask_quantity) > 0
    margin = 0.5 * (float64(ask) - float64(bid)) if two_sided and bid < ask else 0.0
    return take_sample(quality, row, float64(load_i64(event + EVENT.price)), margin, event, book)


@kernel
def judge_top(quality, row, event, book):
    """A top that moved. Books being rebuilt, and sides that are empty, say nothing."""
    flags = load_u32(book + BOOK.flags) & (VALID | STALE | FAULT | SNAPSHOT)
    if flags != VALID or load_u8(event + EVENT.flags) & OF_SNAPSHOT != 0:
        return 0
    if load_i64(book + BOOK.bid_quantity) <= 0 or load_i64(book + BOOK.ask_quantity) <= 0:
        return 0
    middle = 0.5 * (float64(load_i64(book + BOOK.bid_price)) + float64(load_i64(book + BOOK.ask_price)))
    return take_sample(quality, row, middle, 0.0, event, book)


@kernel
def take_sample(quality, row, price, margin, event, book):
    """Judges a price against the mean, then learns from it. Returns OUTLIER or 0."""
    if load_i64(row + ROW.name) != load_i64(book + BOOK.symbol):
        begin_samples(row, load_i64(book + BOOK.symbol))
    add_to(load_i64(quality + QUALITY.account) + ACCOUNT.judged, 1)
    store_i64(row + ROW.time_ns, load_i64(event + EVENT.time_receive_ns))
    mean, samples = load_double(row + ROW.mean), load_u32(row + ROW.samples)
    distance = abs(price - mean) - margin
    warm = samples >= load_i64(quality + QUALITY.warm_up)
    if warm and beyond(quality, distance, mean, load_double(row + ROW.variance)):
        on_outlier(quality, row, price)
        return OUTLIER
    learn(quality, row, price, samples)
    return 0


@leaf
def beyond(quality, distance, mean, variance):
    """Further from the mean than the Z-score, or than the share of it, allows; never within the floor."""
    scale = abs(mean)
    z_squared, deviation = load_double(quality + QUALITY.z_squared), load_double(quality + QUALITY.deviation)
    by_score = z_squared > 0.0 and distance * distance > z_squared * variance
    by_share = deviation > 0.0 and distance > deviation * scale
    return (by_score or by_share) and distance > load_double(quality + QUALITY.floor) * scale


@leaf
def learn(quality, row, price, samples):
    """A price that is no outlier moves mean and variance by its weight; the first ones weigh as in a plain average."""
    weight = load_double(quality + QUALITY.weight)
    if float64(samples) * weight < 1.0:
        weight = max(weight, 1.0 / float64(samples + 1))
    mean = load_double(row + ROW.mean)
    distance = price - mean
    step = weight * distance
    store_double(row + ROW.mean, mean + step)
    store_double(row + ROW.variance, (1.0 - weight) * (load_double(row + ROW.variance) + distance * step))
    store_u32(row + ROW.samples, min(samples + 1, 0xFFFFFFFF))
    store_u32(row + ROW.agreeing, 0)
    store_u32(row + ROW.streak, 0)


@kernel
def on_outlier(quality, row, price):
    """Counts it. Outliers that agree, or that do not end, are where the market is now."""
    account, agree = load_i64(quality + QUALITY.account), load_i64(quality + QUALITY.agree)
    add_to(account + ACCOUNT.outliers, 1)
    store_u32(row + ROW.outliers, load_u32(row + ROW.outliers) + 1)
    candidate, agreeing = load_double(row + ROW.candidate), load_u32(row + ROW.agreeing)
    apart = abs(price - candidate)
    if agreeing == 0 or beyond(quality, apart, candidate, load_double(row + ROW.variance)):
        candidate, agreeing = price, 0
    agreeing += 1
    candidate += (price - candidate) / float64(agreeing)
    streak = load_u32(row + ROW.streak) + 1
    if agreeing >= agree or streak >= agree * STREAK_TIMES:
        add_to(account + ACCOUNT.accepted, 1)
        store_double(row + ROW.mean, candidate)
        if agreeing < agree:
            # prices all over the place: the variance was wrong too
            store_double(row + ROW.variance, max(load_double(row + ROW.variance), apart * apart))
        agreeing = streak = 0
    store_double(row + ROW.candidate, candidate)
    store_u32(row + ROW.agreeing, agreeing)
    store_u32(row + ROW.streak, streak)


@kernel
def begin_samples(row, name):
    """Another instrument stands on this row now: what was learnt is of no use. The sweep finds its group."""
    for offset in range(0, ROW.group, 8):
        store_i64(row + offset, 0)
    store_i64(row + ROW.name, name)
    store_u32(row + ROW.flags, load_u32(row + ROW.flags) & ~ROW_NAMED)
