"""The pre-trade gate ⑦: every intent of a strategy is judged here before it can reach a ring.

Each control answers 1 when it refuses; the answers are shifted to their place in the reason mask (enum gate_reason) and
all of them are evaluated, so the mask keeps everything that failed. 0 means the order may pass.
Hard rule: memory full of zeros refuses everything, and no two numbers are multiplied before both are bounded.

    NEW, REPLACE   every control                    CANCEL, REDUCE, MASS CANCEL   ORDERS, RING and the quantity only
    NEW, reduce-only   every control but KILL, DISABLED and KEYS, and REDUCE

    gate_pass.py       all of them at once: does anything speak against it? If so, or in doubt:
    gate.py            KILL FENCE DISABLED KEYS JOURNAL RING ORDERS SESSION REDUCE, and what is counted
    gate_market.py     STATE STALE QTY PRICE: the instrument against its book
    gate_exposure.py   VALUE POSITION EXPOSURE MARGIN: the instrument against account, group and strategy
    gate_origin.py     PERM DUP SELF REPEAT: who sends it, and what of ours is there already
    gate_rate.py       RATE

Source of the controls: docs/adr/0005-gate.md, docs/adr/0024-the-complete-gate.md.
"""

from numba import int64

from gateway.core import ring
from gateway.core.gate_exposure import exposure_mask
from gateway.core.gate_market import market_mask
from gateway.core.gate_origin import origin_mask
from gateway.core.gate_pass import all_pass
from gateway.core.gate_rate import rate_fails
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    acquire,
    fence_acquire,
    load_i64,
    load_u8,
    load_u32,
    relaxed,
    settled,
    store_i64,
    trailing_zeros,
)
from gateway.core.orders import live_row, may_open
from gateway.core.portfolio import ROW_BYTES, STRATEGY, strategy_at
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
ACCOUNT = offsets("gate_account")
CONTROL = offsets("control_block")
INTENT = offsets("intent")
ROW = offsets("gate_row")
INTENTS = offsets("intents")
ORDER = offsets("order")

KILL, FENCE, STATE, QTY, RATE = (value(f"GATE_{name}") for name in ("KILL", "FENCE", "STATE", "QTY", "RATE"))
DISABLED, JOURNAL, RING = (value(f"GATE_{name}") for name in ("DISABLED", "JOURNAL", "RING"))
ORDERS, SESSION, REDUCE = value("GATE_ORDERS"), value("GATE_SESSION"), value("GATE_REDUCE")
KEYS, KEYS_PLACE = value("GATE_KEYS"), value("POST_TRADE_KEYS")  # in the mask, in the account's halts
KEYS_HALT = 1 << KEYS_PLACE
REDUCE_ONLY_BIT = value("INTENT_REDUCE_ONLY").bit_length() - 1
PASSED_BY_REDUCTIONS = 1 << KILL | 1 << DISABLED | 1 << KEYS
INTENT_NEW = value("INTENT_NEW")
INTENT_REPLACE, INTENT_MASS_CANCEL = value("INTENT_REPLACE"), value("INTENT_MASS_CANCEL")
SIDE_BUY = value("SIDE_BUY")

QUANTITY_MAX = value("ORDER_QUANTITY_MAX")
SPAN_MAX = 1 << 60  # two of them add up without an overflow
SHIFT_MAX = 63
BOOK_BYTES = size("book")
COUNTER_BYTES = 8


@kernel
def decide_new(path, intent, reference, now_ns):
    """Reason mask of a new or replacing order that would carry `reference`; 0: it passes and is charged to the rate.

    `path` is a struct order_path, `intent` a struct intent, `now_ns` the receive time of the frame that caused it.
    """
    account = load_i64(path + PATH.account)
    version = acquire(account + ACCOUNT.limits_version)
    instrument, instruments = load_u32(intent + INTENT.instrument), load_i64(path + PATH.instruments)
    known = int64(instrument < instruments)
    instrument *= known
    row = load_i64(path + PATH.rows) + instrument * ROW_BYTES
    book = load_i64(path + PATH.books) + instrument * BOOK_BYTES
    mask = (1 - known) << STATE
    if (known & all_pass(path, account, row, book, intent, reference, instrument, now_ns)) == 0:
        mask |= refusals(path, account, row, book, intent, reference, instrument, now_ns)
    fence_acquire()
    changed = relaxed(account + ACCOUNT.limits_version) != version
    mask |= (int64(changed) | (version & 1)) << STATE
    settle(account, mask, now_ns, ACCOUNT.accepted)
    return mask


@kernel
def refusals(path, account, row, book, intent, reference, instrument, now_ns):
    """Reason mask of every control but an unknown instrument; what gate_pass.py was not sure of."""
    price, quantity = load_i64(intent + INTENT.price), load_i64(intent + INTENT.quantity)
    mask = settled(environment(path, account, row, intent, reference, now_ns))
    shift = size_shift(account, intent)
    mask = market_mask(mask, account, row, book, price, quantity, shift, now_ns)
    mask = exposure_mask(mask, path, account, row, intent, instrument, shift, now_ns)
    mask = origin_mask(mask, path, account, row, intent, now_ns)
    mask = settled(reduce_mask(mask, row, intent))
    return mask | (rate_fails(account, now_ns) << RATE)


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
        mask |= int64(own_row(path, intent) == 0) << ORDERS
    settle(account, mask, now_ns, ACCOUNT.cancels)
    return mask


@leaf
def own_row(path, intent):
    """Address of the live order that an intent is about, if its strategy is the one that sent it; 0: there is none."""
    order = live_row(path, load_i64(intent + INTENT.order_reference))
    if order == 0:
        return 0
    return order if load_u32(order + ORDER.strategy) == load_u32(intent + INTENT.strategy) else 0


@leaf
def environment(path, account, row, intent, reference, now_ns):
    """KILL, FENCE, DISABLED, KEYS, SESSION, JOURNAL, RING and ORDERS: what does not depend on price and quantity."""
    control = load_i64(path + PATH.control)
    epoch = load_i64(path + PATH.epoch)
    lease_ns = relaxed(control + CONTROL.lease_expires_ns)
    fenced = (epoch <= 0) | (relaxed(control + CONTROL.epoch) != epoch) | ((lease_ns != 0) & (now_ns >= lease_ns))
    mask = (
        (int64(relaxed(control + CONTROL.kill_latch) != 0) << KILL)
        | (int64(fenced) << FENCE)
        | (disabled_fails(path, account, row, intent) << DISABLED)
        | (((relaxed(account + ACCOUNT.halted) >> KEYS_PLACE) & 1) << KEYS)
        | (session_fails(control, account) << SESSION)
        | (int64(ring.room(load_i64(path + PATH.journal)) <= 0) << JOURNAL)
        | (int64(ring.room(load_i64(path + PATH.core_io)) <= 0) << RING)
        | ((1 - may_open(path, reference)) << ORDERS)
    )
    if load_u8(intent + INTENT.kind) == INTENT_REPLACE:
        mask |= replace_fails(path, intent) << ORDERS
    return mask


@leaf
def reduce_mask(mask, row, intent):
    """REDUCE: position and open orders of this side in sum stay on their side of zero; then neither kill nor halt counts."""
    asked = (load_u8(intent + INTENT.flags) >> REDUCE_ONLY_BIT) & 1
    fails = reduce_fails(row, intent)
    lifted = (asked & (1 - fails)) * PASSED_BY_REDUCTIONS
    return (mask | ((asked & fails) << REDUCE)) & ~lifted


@leaf
def reduce_fails(row, intent):
    """1 when the order, and all that is open on its side, could do more than close the position; a replacement always."""
    buying = load_u8(intent + INTENT.side) == SIDE_BUY
    position, quantity = load_i64(row + ROW.position), load_i64(intent + INTENT.quantity)
    to_close = -position if buying else position
    reserved = load_i64(row + ROW.open_buy) if buying else load_i64(row + ROW.open_sell)
    bounded = (quantity > 0) & (quantity <= QUANTITY_MAX) & (reserved >= 0) & (reserved < SPAN_MAX)
    is_new = load_u8(intent + INTENT.kind) == INTENT_NEW
    return int64(not (bounded & is_new & (reserved + (quantity & QUANTITY_MAX) <= to_close)))


@leaf
def session_fails(control, account):
    """A report was lost, or core has not heard the beginning of the connection that is up (without one: of none)."""
    other = relaxed(control + CONTROL.session_connection) != load_i64(account + ACCOUNT.session_connection)
    return int64(other) | int64(load_i64(account + ACCOUNT.session_lost) != 0)


@leaf
def disabled_fails(path, account, row, intent):
    """Account, strategy or instrument was halted by control, or the strategy of this process raised."""
    intents, strategy = load_i64(path + PATH.intents), load_u32(intent + INTENT.strategy)
    raised = (load_u32(intents + INTENTS.halted) != 0) & (load_u32(intents + INTENTS.strategy) == strategy)
    halted = relaxed(strategy_at(account, strategy) + STRATEGY.halted) | (relaxed(account + ACCOUNT.halted) & ~KEYS_HALT)
    return int64(raised | (halted | relaxed(row + ROW.halted) != 0))


@leaf
def size_shift(account, intent):
    """By how many halvings control has reduced what a strategy may send; beyond what a number has bits, nothing is left."""
    shift = relaxed(strategy_at(account, load_u32(intent + INTENT.strategy)) + STRATEGY.size_shift)
    return (shift & SHIFT_MAX) | SHIFT_MAX * int64(shift != shift & SHIFT_MAX)


@leaf
def replace_fails(path, intent):
    """The replaced order is live, and of the same strategy, instrument and side."""
    order = own_row(path, intent)
    if order == 0:
        return 1
    instrument = load_u32(order + ORDER.instrument) == load_u32(intent + INTENT.instrument)
    return int64(not (instrument & (load_u8(order + ORDER.side) == load_u8(intent + INTENT.side))))


@leaf
def settle(account, mask, now_ns, accepted_offset):
    """Counts the decision; what passed is charged to the bucket and to the day."""
    store_i64(account + ACCOUNT.decisions, load_i64(account + ACCOUNT.decisions) + 1)
    if mask == 0:
        store_i64(account + accepted_offset, load_i64(account + accepted_offset) + 1)
        store_i64(account + ACCOUNT.day_messages, load_i64(account + ACCOUNT.day_messages) + 1)
        # cancels may overdraw the bucket, but never by more than the whole of it
        used_ns = max(load_i64(account + ACCOUNT.bucket_ns), now_ns) + load_i64(account + ACCOUNT.rate_interval_ns)
        store_i64(account + ACCOUNT.bucket_ns, min(used_ns, now_ns + load_i64(account + ACCOUNT.rate_whole_ns)))
        return
    while mask != 0:
        counter = account + ACCOUNT.rejects + trailing_zeros(mask) * COUNTER_BYTES
        store_i64(counter, load_i64(counter) + 1)
        mask &= mask - 1
