"""The pre-trade gate ⑦: every intent of a strategy is judged here before it can reach a ring.

Each control answers 1 when it refuses; the answers are shifted to their place in the reason mask (enum gate_reason) and
all of them are evaluated, so the mask keeps everything that failed. 0 means the order may pass.
Hard rule: memory full of zeros refuses everything, and no two numbers are multiplied before both are bounded.

    NEW, REPLACE   every control                    CANCEL, REDUCE, MASS CANCEL   ORDERS, RING and the quantity only

Source of the controls: docs/adr/0005-gate.md.
"""

from numba import int64

from gateway.core import ring
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    acquire,
    fence_acquire,
    load_i64,
    load_u8,
    load_u32,
    quotient_u32,
    relaxed,
    remainder_u32,
    shift_right,
    store_i64,
    trailing_zeros,
)
from gateway.core.orders import live_row, may_open
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
ROW = offsets("gate_row")
ACCOUNT = offsets("gate_account")
CONTROL = offsets("control_block")
BOOK = offsets("book")
INTENT = offsets("intent")
INTENTS = offsets("intents")
ORDER = offsets("order")

KILL, FENCE, STATE, STALE = (value(f"GATE_{name}") for name in ("KILL", "FENCE", "STATE", "STALE"))
PERM, QTY, PRICE, VALUE = (value(f"GATE_{name}") for name in ("PERM", "QTY", "PRICE", "VALUE"))
POSITION, RATE, DISABLED = (value(f"GATE_{name}") for name in ("POSITION", "RATE", "DISABLED"))
JOURNAL, RING, ORDERS, SESSION = (value(f"GATE_{name}") for name in ("JOURNAL", "RING", "ORDERS", "SESSION"))

TRADABLE = value("INSTRUMENT_PERMITTED") | value("INSTRUMENT_LIMITS_SET")
INSTRUMENT_FLAGS = TRADABLE | value("INSTRUMENT_RESTRICTED")
BOOK_VALID, BOOK_STALE, BOOK_QUIET = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_QUIET")
BOOK_UNTRUSTED = value("BOOK_CROSSED") | value("BOOK_FAULT")
TRADING_OPEN = value("TRADING_OPEN")
SIDE_BUY, SIDE_SELL = value("SIDE_BUY"), value("SIDE_SELL")
TIME_DAY, TIME_IOC = value("TIME_DAY"), value("TIME_IOC")
INTENT_NEW, INTENT_REPLACE = value("INTENT_NEW"), value("INTENT_REPLACE")
INTENT_MASS_CANCEL = value("INTENT_MASS_CANCEL")

BITS = 0x7FFFFFFF  # what a bounded price or quantity fits in
QUANTITY_MAX, PRICE_MAX = value("ORDER_QUANTITY_MAX"), value("ORDER_PRICE_MAX")
PPM = 1_000_000
PPM_BITS = (1 << 20) - 1
BURST_MAX = (1 << 24) - 1
SECOND_NS = 1_000_000_000
TIME_MAX_NS = 1 << 62
EXPOSURE_MAX = 1 << 60  # sums of two such numbers do not overflow
ROW_BYTES, BOOK_BYTES = size("gate_row"), size("book")
COUNTER_BYTES = 8
assert QUANTITY_MAX == BITS and PRICE_MAX == BITS and PPM <= PPM_BITS


@kernel
def decide_new(path, intent, reference, now_ns):
    """Reason mask of a new or replacing order that would carry `reference`; 0: it passes and is charged to the rate.

    `path` is a struct order_path, `intent` a struct intent, `now_ns` the receive time of the frame that caused it.
    """
    account = load_i64(path + PATH.account)
    version = acquire(account + ACCOUNT.limits_version)
    instrument = load_u32(intent + INTENT.instrument)
    known = int64(instrument < load_i64(path + PATH.instruments))
    row = load_i64(path + PATH.rows) + instrument * known * ROW_BYTES
    book = load_i64(path + PATH.books) + instrument * known * BOOK_BYTES
    price, quantity = load_i64(intent + INTENT.price), load_i64(intent + INTENT.quantity)
    interval_ns = rate_interval_ns(account)
    mask = (
        ((1 - known) << STATE)
        | limits_and_market(row, book, price, quantity, now_ns)
        | (position_fails(row, load_u8(intent + INTENT.side), quantity) << POSITION)
        | (form_fails(intent) << PERM)
        | (rate_fails(account, interval_ns, now_ns) << RATE)
        | environment(path, intent, reference, now_ns)
    )
    fence_acquire()
    changed = relaxed(account + ACCOUNT.limits_version) != version
    mask |= (int64(changed) | (version & 1)) << STATE
    settle(account, mask, interval_ns, now_ns, ACCOUNT.accepted)
    return mask


@kernel
def decide_cancel(path, intent, now_ns):
    """Reason mask of a cancel, reduction or mass cancel: lowers risk, so only what makes it impossible stops it."""
    account = load_i64(path + PATH.account)
    quantity = load_i64(intent + INTENT.quantity)
    mask = int64((quantity < 0) | (quantity > QUANTITY_MAX)) << QTY
    mask |= int64(ring.room(load_i64(path + PATH.core_io)) <= 0) << RING
    if load_u8(intent + INTENT.kind) == INTENT_MASS_CANCEL:
        mask |= int64(load_u32(intent + INTENT.instrument) >= load_i64(path + PATH.instruments)) << STATE
    else:
        mask |= int64(live_row(path, load_i64(intent + INTENT.order_reference)) == 0) << ORDERS
    settle(account, mask, rate_interval_ns(account), now_ns, ACCOUNT.cancels)
    return mask


@leaf
def limits_and_market(row, book, price, quantity, now_ns):
    """STATE, STALE, QTY, PRICE and VALUE: the instrument's limits against its book."""
    bounded_price = (price > 0) & (price <= PRICE_MAX)
    bounded_quantity = (quantity > 0) & (quantity <= QUANTITY_MAX)
    notional = (price & BITS) * (quantity & BITS)
    value_fails = int64(notional > load_i64(row + ROW.value_max)) | int64(not (bounded_price & bounded_quantity))
    return (
        (state_fails(row, book) << STATE)
        | (stale_fails(row, book, now_ns) << STALE)
        | ((quantity_fails(row, quantity) | int64(not bounded_quantity)) << QTY)
        | ((tick_fails(row, price) | collar_fails(row, book, price) | int64(not bounded_price)) << PRICE)
        | (value_fails << VALUE)
    )


@leaf
def state_fails(row, book):
    """Permitted, not restricted, limits present, trading open, book neither crossed nor faulty, symbol known."""
    flags = load_i64(row + ROW.flags) & INSTRUMENT_FLAGS
    untrusted = load_u32(book + BOOK.flags) & BOOK_UNTRUSTED
    closed = load_u32(book + BOOK.trading) != TRADING_OPEN
    nameless = load_i64(book + BOOK.symbol) == 0
    return int64(flags != TRADABLE) | int64(untrusted != 0) | int64(closed) | int64(nameless)


@leaf
def stale_fails(row, book, now_ns):
    """Valid, no gap open, not quiet, and the last event at most `stale_ns` old; a time that runs backwards fails."""
    flags = load_u32(book + BOOK.flags) & (BOOK_VALID | BOOK_STALE | BOOK_QUIET)
    time_ns = load_i64(book + BOOK.time_ns)
    sane = (time_ns > 0) & (now_ns >= time_ns) & (now_ns < TIME_MAX_NS)
    return int64(flags != BOOK_VALID) | int64(not sane) | int64(now_ns - time_ns > load_i64(row + ROW.stale_ns))


@leaf
def quantity_fails(row, quantity):
    """At most `quantity_max`, a multiple of the lot. The caller bounds the quantity itself."""
    lot = load_i64(row + ROW.lot)
    odd = remainder_u32(quantity, lot) != 0
    return int64(quantity > load_i64(row + ROW.quantity_max)) | int64((lot <= 0) | (lot > QUANTITY_MAX)) | int64(odd)


@leaf
def tick_fails(row, price):
    """A multiple of the tick. The caller bounds the price itself."""
    tick = load_i64(row + ROW.tick)
    return int64((tick <= 0) | (tick > PRICE_MAX)) | int64(remainder_u32(price, tick) != 0)


@leaf
def collar_fails(row, book, price):
    """Within `collar_ppm` of the middle of the book, of the last trade where a side is empty; no reference fails.

    Both sides are doubled so that the middle of an odd spread stays exact.
    """
    bid, ask = load_i64(book + BOOK.bid_price), load_i64(book + BOOK.ask_price)
    two_sided = (load_i64(book + BOOK.bid_quantity) > 0) & (load_i64(book + BOOK.ask_quantity) > 0)
    doubled = (bid & BITS) + (ask & BITS) if two_sided else 2 * (load_i64(book + BOOK.last_price) & BITS)
    beyond = ((bid | ask) if two_sided else load_i64(book + BOOK.last_price)) & ~BITS
    collar_ppm = load_i64(row + ROW.collar_ppm)
    distance = abs(2 * (price & BITS) - doubled)
    outside = distance * PPM > (collar_ppm & PPM_BITS) * doubled
    unset = (collar_ppm <= 0) | (collar_ppm > PPM)
    return int64(outside) | int64(unset) | int64((doubled <= 0) | (beyond != 0))


@leaf
def position_fails(row, side, quantity):
    """If everything open on this side and this order filled, and nothing of the other side, is the cap kept?"""
    held = load_i64(row + ROW.position)
    buying = side == SIDE_BUY
    signed = held if buying else -held
    reserved = load_i64(row + ROW.open_buy) if buying else load_i64(row + ROW.open_sell)
    # one word tells whether any of the three is negative or too large to be added
    overflow = shift_right((signed + EXPOSURE_MAX) | reserved | quantity, 61)
    limit = load_i64(row + ROW.position_max)
    return int64(signed + reserved + quantity > limit) | int64(overflow != 0) | int64(limit <= 0)


@leaf
def form_fails(intent):
    """A kind, a side and a lifetime this gate knows."""
    kind, side, life = load_u8(intent + INTENT.kind), load_u8(intent + INTENT.side), load_u8(intent + INTENT.time_in_force)
    known_kind = (kind == INTENT_NEW) | (kind == INTENT_REPLACE)
    known_side = (side == SIDE_BUY) | (side == SIDE_SELL)
    return int64(not (known_kind & known_side & ((life == TIME_DAY) | (life == TIME_IOC))))


@leaf
def rate_interval_ns(account):
    """Nanoseconds one message costs, rounded up; 0 while rate or burst are unset or absurd."""
    rate, burst = load_i64(account + ACCOUNT.rate_per_second), load_i64(account + ACCOUNT.rate_burst)
    set_right = (rate > 0) & (rate <= SECOND_NS) & (burst > 0) & (burst <= BURST_MAX)
    return quotient_u32(SECOND_NS + rate - 1, rate) if set_right else 0


@leaf
def rate_fails(account, interval_ns, now_ns):
    """Token bucket kept as a time, and the day's count. The reserve of the bucket is for cancels."""
    burst, reserve = load_i64(account + ACCOUNT.rate_burst), load_i64(account + ACCOUNT.reserve_percent)
    unset = (interval_ns == 0) | (reserve < 0) | (reserve > 100)
    tokens = quotient_u32((burst & BURST_MAX) * (100 - (reserve & 127)), 100)
    used_ns = max(load_i64(account + ACCOUNT.bucket_ns), now_ns)
    empty = used_ns - now_ns > (tokens - 1) * interval_ns
    spent = load_i64(account + ACCOUNT.day_messages) >= load_i64(account + ACCOUNT.day_messages_max)
    return int64(unset) | int64(empty) | int64(spent) | int64((now_ns <= 0) | (now_ns >= TIME_MAX_NS))


@leaf
def environment(path, intent, reference, now_ns):
    """KILL, FENCE, DISABLED, SESSION, JOURNAL, RING and ORDERS: what does not depend on price and quantity."""
    control = load_i64(path + PATH.control)
    account = load_i64(path + PATH.account)
    epoch = load_i64(path + PATH.epoch)
    lease_ns = relaxed(control + CONTROL.lease_expires_ns)
    fenced = (epoch <= 0) | (relaxed(control + CONTROL.epoch) != epoch) | ((lease_ns != 0) & (now_ns >= lease_ns))
    halted = load_u32(load_i64(path + PATH.intents) + INTENTS.halted) != 0
    mask = (
        (int64(relaxed(control + CONTROL.kill_latch) != 0) << KILL)
        | (int64(fenced) << FENCE)
        | (int64(halted) << DISABLED)
        | (session_fails(control, account) << SESSION)
        | (int64(ring.room(load_i64(path + PATH.journal)) <= 0) << JOURNAL)
        | (int64(ring.room(load_i64(path + PATH.core_io)) <= 0) << RING)
        | ((1 - may_open(path, reference)) << ORDERS)
    )
    if load_u8(intent + INTENT.kind) == INTENT_REPLACE:
        mask |= replace_fails(path, intent) << ORDERS
    return mask


@leaf
def session_fails(control, account):
    """A report was lost, or core has not heard the beginning of the connection that is up (without one: of none)."""
    other = relaxed(control + CONTROL.session_connection) != load_i64(account + ACCOUNT.session_connection)
    return int64(other) | int64(load_i64(account + ACCOUNT.session_lost) != 0)


@leaf
def replace_fails(path, intent):
    """The replaced order is live, and of the same instrument and side."""
    order = live_row(path, load_i64(intent + INTENT.order_reference))
    if order == 0:
        return 1
    instrument = load_u32(order + ORDER.instrument) == load_u32(intent + INTENT.instrument)
    return int64(not (instrument & (load_u8(order + ORDER.side) == load_u8(intent + INTENT.side))))


@leaf
def settle(account, mask, interval_ns, now_ns, accepted_offset):
    """Counts the decision; what passed is charged to the bucket and to the day."""
    store_i64(account + ACCOUNT.decisions, load_i64(account + ACCOUNT.decisions) + 1)
    if mask == 0:
        store_i64(account + accepted_offset, load_i64(account + accepted_offset) + 1)
        store_i64(account + ACCOUNT.day_messages, load_i64(account + ACCOUNT.day_messages) + 1)
        # cancels may overdraw the bucket, but never by more than the whole of it
        used_ns = max(load_i64(account + ACCOUNT.bucket_ns), now_ns) + interval_ns
        whole_ns = load_i64(account + ACCOUNT.rate_burst) * interval_ns
        store_i64(account + ACCOUNT.bucket_ns, min(used_ns, now_ns + whole_ns))
        return
    while mask != 0:
        counter = account + ACCOUNT.rejects + trailing_zeros(mask) * COUNTER_BYTES
        store_i64(counter, load_i64(counter) + 1)
        mask &= mask - 1
