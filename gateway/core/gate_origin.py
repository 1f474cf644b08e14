"""Who sends an order, and what of ours is there already ⑦: PERM, DUP, SELF and REPEAT. Read first: gate.py.

Hard rule: nobody trades by default. A strategy needs its row, and a bit in the instrument's row for each side.
"""

from numba import int64

from gateway.core.kernel import leaf
from gateway.core.memory import load_i64, load_u8, load_u32, settled, shift_right
from gateway.core.portfolio import EXECUTIONS_LAST, STRATEGY, STRATEGY_LAST, strategy_at
from gateway.core.recent import repeated_fails
from gateway.layout import offsets, value

ROW = offsets("gate_row")
INTENT = offsets("intent")

PERM, DUP, SELF, REPEAT = (value(f"GATE_{name}") for name in ("PERM", "DUP", "SELF", "REPEAT"))
SIDE_BUY, SIDE_SELL = value("SIDE_BUY"), value("SIDE_SELL")
TIME_DAY, TIME_IOC, TIME_FOK = value("TIME_DAY"), value("TIME_IOC"), value("TIME_FOK")
POST_ONLY, FLAGS_KNOWN = value("INTENT_POST_ONLY"), value("INTENT_POST_ONLY") | value("INTENT_REDUCE_ONLY")
INTENT_NEW, INTENT_REPLACE = value("INTENT_NEW"), value("INTENT_REPLACE")
STRATEGY_SET = value("STRATEGY_SET")
assert (SIDE_BUY, SIDE_SELL) == (1, 2), "the two bits of a strategy"


@leaf
def origin_mask(mask, path, account, row, intent, now_ns):
    """`mask` with PERM, DUP, SELF and REPEAT in their places."""
    number = load_u32(intent + INTENT.strategy)
    strategy = strategy_at(account, number)
    mask = settled(mask | (permission_fails(row, intent, number, strategy) << PERM))
    mask = settled(mask | (repeated_fails(path, account, intent, now_ns) << DUP))
    return mask | (self_fails(row, intent) << SELF) | (executions_fail(strategy) << REPEAT)


@leaf
def permission_fails(row, intent, number, strategy):
    """A kind, a side and terms this gate knows, of a strategy that may trade this instrument on this side.

    No good till cancelled: OUCH has none. Nothing that never rests is post-only, and a replacement always may rest.
    """
    kind, side, life = load_u8(intent + INTENT.kind), load_u8(intent + INTENT.side), load_u8(intent + INTENT.time_in_force)
    known_kind = (kind == INTENT_NEW) | (kind == INTENT_REPLACE)
    known_side = (side == SIDE_BUY) | (side == SIDE_SELL)
    known_strategy = (number <= STRATEGY_LAST) & (load_i64(strategy + STRATEGY.flags) == STRATEGY_SET)
    permitted = shift_right(load_i64(row + ROW.permits), 2 * (number & STRATEGY_LAST) + ((side - 1) & 1)) & 1
    flags = load_u8(intent + INTENT.flags)
    whole = (life == TIME_FOK) & (kind == INTENT_NEW)
    known_terms = (life == TIME_DAY) | (((life == TIME_IOC) | whole) & (flags & POST_ONLY == 0))
    known_terms &= flags & ~FLAGS_KNOWN == 0
    return int64(not (known_kind & known_side & known_strategy & known_terms)) | (1 - permitted)


@leaf
def self_fails(row, intent):
    """The order would meet an own working order of the other side; the newest is refused."""
    price, buying = load_i64(intent + INTENT.price), load_u8(intent + INTENT.side) == SIDE_BUY
    bid, ask = load_u32(row + ROW.own_bid), load_u32(row + ROW.own_ask)
    meets_ask, meets_bid = (ask != 0) & (price >= ask), (bid != 0) & (price <= bid)
    return int64(meets_ask if buying else meets_bid)


@leaf
def executions_fail(strategy):
    """The strategy had so many executions in its window that it was disabled; a limit that is unset denies too."""
    repeat_max = load_i64(strategy + STRATEGY.repeat_max)
    unset = (repeat_max <= 0) | (repeat_max > EXECUTIONS_LAST + 1) | (load_i64(strategy + STRATEGY.repeat_ns) <= 0)
    return int64(unset | (load_i64(strategy + STRATEGY.repeated) != 0))
