"""What an order may cost ⑦: VALUE, POSITION, EXPOSURE and MARGIN. Read first: gate.py; the sums are kept by portfolio.py.

Hard rule: an order that makes no exposure larger passes EXPOSURE and MARGIN whatever the sums say, or nobody could ever
reduce; everything else is compared with what the sums would be if every open order of its side filled.
"""

from numba import int64

from gateway.core.kernel import leaf
from gateway.core.memory import FRACTION_ONE, SCALED_MAX, load_i64, load_u8, load_u32, settled, share_up, shift_right
from gateway.core.portfolio import GROUP, HOLDING, RATE, STRATEGY, group_of, holding_at, rate_of, strategy_at
from gateway.layout import offsets, value

ROW = offsets("gate_row")
ACCOUNT = offsets("gate_account")
INTENT = offsets("intent")

VALUE, POSITION, EXPOSURE, MARGIN = (value(f"GATE_{name}") for name in ("VALUE", "POSITION", "EXPOSURE", "MARGIN"))
SIDE_BUY = value("SIDE_BUY")
QUANTITY_MAX, PRICE_MAX = value("ORDER_QUANTITY_MAX"), value("ORDER_PRICE_MAX")
BITS = 0x7FFFFFFF
RATE_MAX = 1 << 40
EXPOSURE_MAX = 1 << 60  # sums of two such numbers do not overflow


@leaf
def exposure_mask(mask, path, account, row, intent, instrument, shift, now_ns):
    """`mask` with VALUE, POSITION, EXPOSURE and MARGIN in their places; `shift` halves what a strategy may send and hold."""
    price, quantity = load_i64(intent + INTENT.price), load_i64(intent + INTENT.quantity)
    buying = load_u8(intent + INTENT.side) == SIDE_BUY
    bounded = (price > 0) & (price <= PRICE_MAX) & (quantity > 0) & (quantity <= QUANTITY_MAX)
    notional = (price & BITS) * (quantity & BITS)
    rate = load_i64(rate_of(account, row) + RATE.fraction)
    worth = share_up(notional, rate)
    over = (notional > load_i64(row + ROW.value_max) >> shift) | (worth > load_i64(account + ACCOUNT.signal_value) >> shift)
    over |= (not bounded) | (worth >= SCALED_MAX) | (rate_fails(account, row, rate, now_ns) != 0)
    mask = settled(mask | (int64(over) << VALUE))
    mask = settled(mask | (position_fails(path, account, row, intent, instrument, shift, buying) << POSITION))
    long_before, short_before = load_i64(row + ROW.long_value), load_i64(row + ROW.short_value)
    before = max(long_before, short_before)
    after = max(long_before + worth * int64(buying), short_before + worth * int64(not buying))
    mask = settled(mask | (gross_fails(account, after - before, worth, buying) << EXPOSURE))
    mask = settled(mask | (group_fails(account, row, worth, buying) << EXPOSURE))
    return settled(mask | (margin_fails(account, row, before, after) << MARGIN))


@leaf
def rate_fails(account, row, rate, now_ns):
    """The rate into the account's currency: there, plausible, and not too old; the account's own never ages."""
    age_ns = now_ns - load_i64(rate_of(account, row) + RATE.time_ns)
    old = (age_ns < 0) | (age_ns > load_i64(account + ACCOUNT.rate_age_ns))
    return int64((rate <= 0) | (rate > RATE_MAX) | (old & (load_u32(row + ROW.currency) != 0)))


@leaf
def position_fails(path, account, row, intent, instrument, shift, buying):
    """If everything open on this side and this order filled, and nothing of the other side: are both caps kept?"""
    number, quantity = load_u32(intent + INTENT.strategy), load_i64(intent + INTENT.quantity)
    holding, strategy = holding_at(path, number, instrument), strategy_at(account, number)
    own = load_i64(holding + (HOLDING.open_buy if buying else HOLDING.open_sell))
    all_of_us = load_i64(row + (ROW.open_buy if buying else ROW.open_sell))
    return cap_fails(
        load_i64(row + ROW.position), all_of_us, quantity, buying, load_i64(row + ROW.position_max)
    ) | cap_fails(
        load_i64(holding + HOLDING.position), own, quantity, buying, load_i64(strategy + STRATEGY.position_max) >> shift
    )


@leaf
def cap_fails(held, reserved, quantity, buying, limit):
    """Held, reserved and this order against a cap."""
    signed = held if buying else -held
    # one word tells whether any of the three is negative or too large to be added
    overflow = shift_right((signed + EXPOSURE_MAX) | reserved | quantity, 61)
    return int64((signed + reserved + quantity > limit) | (overflow != 0) | (limit <= 0))


@leaf
def gross_fails(account, rise, worth, buying):
    """Gross and net of the account."""
    gross_max, net_max = load_i64(account + ACCOUNT.gross_max), load_i64(account + ACCOUNT.net_max)
    net = load_i64(account + ACCOUNT.net_long) if buying else load_i64(account + ACCOUNT.net_short)
    gross_over = (rise > 0) & (load_i64(account + ACCOUNT.gross_value) + rise > gross_max)
    return int64(gross_over | (net + worth > net_max) | (gross_max <= 0) | (net_max <= 0))


@leaf
def group_fails(account, row, worth, buying):
    """The group's own cap and the share of equity that any group may have; a negative weight turns the side around."""
    group, weight = group_of(account, row), load_i64(row + ROW.weight_fraction)
    upward = buying == (weight >= 0)
    there = load_i64(group + GROUP.long_value) if upward else load_i64(group + GROUP.short_value)
    weighed = share_up(worth, min(abs(weight), FRACTION_ONE))
    limit = min(load_i64(group + GROUP.value_max), load_i64(account + ACCOUNT.group_value))
    over = (there + weighed > limit) | (weight < -FRACTION_ONE) | (weight > FRACTION_ONE)
    return int64(over & (load_u32(row + ROW.group) != 0))


@leaf
def margin_fails(account, row, before, after):
    """What the order adds to the required margin against what is free."""
    fraction = load_i64(row + ROW.margin_fraction)
    more = share_up(max(after, 0), fraction) - share_up(max(before, 0), fraction)
    over = (more > load_i64(account + ACCOUNT.free_value)) & (after > before)
    return int64(over | (fraction <= 0) | (fraction > FRACTION_ONE))
