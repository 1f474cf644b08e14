"""Whether nothing at all speaks against an order ⑦: one word for every control at once. Read first: gate.py.

Most orders pass, and for them no reason has to be put in its place. `all_pass` asks the plain case: a new order that is not
reduce-only, on an open two-sided book, in the account's own currency, of a strategy whose size is not reduced. Whatever it
is not sure of goes to the controls themselves (`refusals` of gate.py), which then may still let it pass.
Hard rule: 1 only where every control answers 0. It may err on the other side alone.
"""

from numba import int64, uint64

from gateway.core import ring
from gateway.core.gate_exposure import EXPOSURE_MAX
from gateway.core.gate_market import INSTRUMENT_FLAGS, PPM, TRADABLE
from gateway.core.gate_rate import rate_fails
from gateway.core.kernel import leaf
from gateway.core.memory import (
    FRACTION_BITS,
    FRACTION_ONE,
    SCALED_MAX,
    is_multiple,
    load_i64,
    load_u32,
    relaxed,
    settled,
    shift_right,
)
from gateway.core.orders import may_open
from gateway.core.portfolio import (
    EXECUTIONS_LAST,
    GROUP,
    HOLDING,
    RATE,
    STRATEGY,
    STRATEGY_LAST,
    group_of,
    holding_at,
    strategy_at,
)
from gateway.core.recent import repeated_fails
from gateway.layout import offsets, value

PATH = offsets("order_path")
ACCOUNT = offsets("gate_account")
CONTROL = offsets("control_block")
INTENT = offsets("intent")
INTENTS = offsets("intents")
ROW = offsets("gate_row")
BOOK = offsets("book")

# kind, side, time in force and flags stand in one word; side and flags in their lowest bits
NEW = value("INTENT_NEW")
TERMS_OTHER = 0xF8F8FCFF  # kind other than NEW, and what none of the four may have
SIDES = 1 << value("SIDE_BUY") | 1 << value("SIDE_SELL")
POST_ONLY = value("INTENT_POST_ONLY")
TERMS = 0
for _life, _flags in (("DAY", 0), ("DAY", POST_ONLY), ("IOC", 0)):  # fill or kill is told by more bits, and left out
    TERMS |= 1 << (value(f"TIME_{_life}") + 8 * _flags)
# flags and trading state of a book stand in one word
BOOK_FLAGS = sum(value(f"BOOK_{name}") for name in ("VALID", "STALE", "QUIET", "CROSSED", "FAULT"))
BOOK_ASKED = -1 << 32 | BOOK_FLAGS
BOOK_GOOD = value("BOOK_VALID") | value("TRADING_OPEN") << 32
STRATEGY_SET = value("STRATEGY_SET")
QUANTITY_BITS = value("ORDER_QUANTITY_MAX").bit_length()
PRICE_BITS = value("ORDER_PRICE_MAX").bit_length()
COARSE = 15  # bits of a share that are not looked at
assert ((SCALED_MAX >> COARSE) + 1) * FRACTION_ONE < 1 << 64, "one word, without a sign"
assert QUANTITY_BITS == PRICE_BITS == 31 and max(TERMS, POST_ONLY << 3) < 1 << 63
assert (INTENT.side, INTENT.time_in_force, INTENT.flags) == (INTENT.kind + 1, INTENT.kind + 2, INTENT.kind + 3)
assert BOOK.trading == BOOK.flags + 4
assert (ROW.open_sell, ROW.own_ask, HOLDING.open_sell) == (ROW.open_buy + 8, ROW.own_bid + 4, HOLDING.open_buy + 8)
assert (ACCOUNT.net_short, GROUP.short_value) == (ACCOUNT.net_long + 8, GROUP.long_value + 8)


@leaf
def all_pass(path, account, row, book, intent, reference, instrument, now_ns):
    """1: no control has anything against this order. 0: one may have."""
    number = load_u32(intent + INTENT.strategy)
    strategy = strategy_at(account, number)
    price, quantity = load_i64(intent + INTENT.price), load_i64(intent + INTENT.quantity)
    selling = load_u32(intent + INTENT.kind) >> 9 & 1  # SIDE_BUY 1, SIDE_SELL 2
    fails = settled(halted(path, account, row, strategy))
    fails = settled(fails | closed(path, reference, now_ns))
    fails = settled(fails | terms_fail(row, intent, number, strategy))
    fails = settled(fails | state_fails(account, row, book, now_ns))
    fails = settled(fails | price_fails(account, row, book, price, quantity, now_ns))
    notional = price * quantity
    fails = settled(fails | value_fails(account, row, notional) | self_fails(row, price, selling))
    fails = settled(fails | position_fails(path, row, strategy, number, instrument, quantity, selling))
    fails = settled(fails | exposure_fails(account, row, notional, selling))
    fails = settled(fails | repeated_fails(path, account, intent, now_ns))
    fails = settled(fails | rate_fails(account, now_ns))
    return int64(fails == 0)


@leaf
def halted(path, account, row, strategy):
    """KILL, FENCE, DISABLED, KEYS, SESSION, REPEAT, and a size that control has reduced: words to be 0, or equal."""
    control, epoch = load_i64(path + PATH.control), load_i64(path + PATH.epoch)
    word = relaxed(control + CONTROL.kill_latch) | (relaxed(control + CONTROL.epoch) ^ epoch)
    word |= relaxed(control + CONTROL.session_connection) ^ load_i64(account + ACCOUNT.session_connection)
    word |= relaxed(account + ACCOUNT.halted) | load_i64(account + ACCOUNT.session_lost) | relaxed(row + ROW.halted)
    word |= relaxed(strategy + STRATEGY.halted) | relaxed(strategy + STRATEGY.size_shift)
    word |= load_i64(strategy + STRATEGY.repeated) | load_u32(load_i64(path + PATH.intents) + INTENTS.halted)
    repeats = uint64(load_i64(strategy + STRATEGY.repeat_max) - 1) > uint64(EXECUTIONS_LAST)
    return word | int64((epoch <= 0) | repeats | (load_i64(strategy + STRATEGY.repeat_ns) <= 0))


@leaf
def closed(path, reference, now_ns):
    """The lease of FENCE, JOURNAL, RING and ORDERS."""
    lease_ns = relaxed(load_i64(path + PATH.control) + CONTROL.lease_expires_ns)
    full = (ring.room(load_i64(path + PATH.journal)) <= 0) | (ring.room(load_i64(path + PATH.core_io)) <= 0)
    return int64(full | ((lease_ns != 0) & (now_ns >= lease_ns))) | (1 - may_open(path, reference))


@leaf
def terms_fail(row, intent, number, strategy):
    """PERM, and whatever is not a plain new order."""
    terms = load_u32(intent + INTENT.kind)
    life = terms >> 16 & 0x07 | terms >> 21 & 0x38
    side = terms >> 8 & 3
    permitted = shift_right(load_i64(row + ROW.permits), 2 * (number & STRATEGY_LAST) + (side >> 1))
    known = (TERMS >> life) & (SIDES >> side) & permitted & 1
    other = ((terms ^ NEW) & TERMS_OTHER) | (load_i64(strategy + STRATEGY.flags) ^ STRATEGY_SET)
    return other | (1 - known) | int64(number > STRATEGY_LAST)


@leaf
def state_fails(account, row, book, now_ns):
    """STATE and STALE, and an auction."""
    word = (load_i64(book + BOOK.flags) ^ BOOK_GOOD) & BOOK_ASKED
    word |= (load_i64(row + ROW.flags) & INSTRUMENT_FLAGS) ^ TRADABLE
    time_ns = load_i64(book + BOOK.time_ns)
    fails = (now_ns < load_i64(account + ACCOUNT.hours_open_ns)) | (now_ns >= load_i64(account + ACCOUNT.hours_close_ns))
    fails |= (load_i64(book + BOOK.symbol) == 0) | (time_ns <= 0) | (now_ns < time_ns)
    return word | int64(fails | (now_ns - time_ns > load_i64(row + ROW.stale_ns)))


@leaf
def price_fails(account, row, book, price, quantity, now_ns):
    """QTY and PRICE, and a side of the book that is empty."""
    bid, ask, mean = load_i64(book + BOOK.bid_price), load_i64(book + BOOK.ask_price), load_i64(row + ROW.window_price)
    # from 1 to the largest: neither the number nor the one below it reaches bit 31
    wide = price | (price - 1) | quantity | (quantity - 1) | mean | (mean - 1) | bid | ask
    fails = (load_i64(book + BOOK.bid_quantity) <= 0) | (load_i64(book + BOOK.ask_quantity) <= 0)
    fails |= quantity > load_i64(row + ROW.quantity_max)
    even = is_multiple(quantity, load_i64(row + ROW.lot_multiple)) & is_multiple(price, load_i64(row + ROW.tick_multiple))
    collar, window = load_u32(row + ROW.collar_ppm), load_u32(row + ROW.window_ppm)
    fails |= (uint64(collar - 1) >= uint64(PPM)) | (uint64(window - 1) >= uint64(PPM))
    fails |= abs(2 * price - bid - ask) * PPM > collar * (bid + ask)
    fails |= abs(price - mean) * PPM > window * mean
    age_ns = now_ns - load_i64(row + ROW.window_ns)
    fails |= (age_ns < 0) | (age_ns > load_i64(account + ACCOUNT.window_ns))
    return shift_right(wide, 31) | (1 - even) | int64(fails)


@leaf
def value_fails(account, row, notional):
    """VALUE in the account's own currency, and any other currency."""
    over = (notional > load_i64(row + ROW.value_max)) | (notional > load_i64(account + ACCOUNT.signal_value))
    foreign = load_u32(row + ROW.currency) | (load_i64(account + ACCOUNT.rates + RATE.fraction) ^ FRACTION_ONE)
    return foreign | int64(over | (notional >= SCALED_MAX))


@leaf
def self_fails(row, price, selling):
    """SELF: what lies beyond the price on the other side, seen from there."""
    other = load_u32(row + ROW.own_bid + 4 * (1 - selling))
    beyond = ((price - other) ^ -selling) + selling
    return int64((beyond >= 0) & (other != 0))


@leaf
def position_fails(path, row, strategy, number, instrument, quantity, selling):
    """POSITION of the instrument and of the strategy."""
    holding = holding_at(path, number, instrument)
    reserved, own = load_i64(row + ROW.open_buy + 8 * selling), load_i64(holding + HOLDING.open_buy + 8 * selling)
    held = (load_i64(row + ROW.position) ^ -selling) + selling
    mine = (load_i64(holding + HOLDING.position) ^ -selling) + selling
    all_max, mine_max = load_i64(row + ROW.position_max), load_i64(strategy + STRATEGY.position_max)
    over = (held + reserved + quantity > all_max) | (mine + own + quantity > mine_max) | (all_max <= 0) | (mine_max <= 0)
    return shift_right((held + EXPOSURE_MAX) | reserved | (mine + EXPOSURE_MAX) | own, 61) | int64(over)


@leaf
def share_at_most(number, fraction):
    """Not less than `share_up` of a number below SCALED_MAX and a fraction of at most one, in one word: what is short of a
    limit by 2^-31 of itself is left to the controls."""
    return shift_right(((number >> COARSE) + 1) * fraction, FRACTION_BITS - COARSE) + 1


@leaf
def exposure_fails(account, row, worth, selling):
    """EXPOSURE and MARGIN: an order that makes the exposure no larger is left to the controls themselves."""
    long_before, short_before = load_i64(row + ROW.long_value), load_i64(row + ROW.short_value)
    bought = worth & (selling - 1)
    rise = max(long_before + bought, short_before + (worth - bought)) - max(long_before, short_before)
    gross_max, net_max = load_i64(account + ACCOUNT.gross_max), load_i64(account + ACCOUNT.net_max)
    fails = (gross_max <= 0) | (net_max <= 0) | (load_i64(account + ACCOUNT.gross_value) + rise > gross_max)
    fails |= load_i64(account + ACCOUNT.net_long + 8 * selling) + worth > net_max
    fraction = load_i64(row + ROW.margin_fraction)
    fails |= uint64(fraction - 1) >= uint64(FRACTION_ONE)
    # of the whole it is never less than the difference of two that are rounded up
    fails |= share_at_most(max(rise, 0), fraction) > load_i64(account + ACCOUNT.free_value)
    return int64(fails) | group_fails(account, row, worth, selling)


@leaf
def group_fails(account, row, worth, selling):
    """EXPOSURE of the group: a negative weight turns the side around."""
    group, weight = group_of(account, row), load_i64(row + ROW.weight_fraction)
    turned = shift_right(weight, 63)
    size = (weight ^ -turned) + turned
    there = load_i64(group + GROUP.long_value + 8 * (selling ^ turned))
    limit = min(load_i64(group + GROUP.value_max), load_i64(account + ACCOUNT.group_value))
    over = (there + share_at_most(worth, size) > limit) | (uint64(size) > uint64(FRACTION_ONE))
    return int64(over & (load_u32(row + ROW.group) != 0))
