"""What is held and what it may cost ⑦⑧: positions, cost, profit, exposure and margin, kept right with every change.

    reserve, fill, mark ──► a row's own numbers ──► settle_row ──► account: gross, net, margin, equity
                                                        └────────► group: long, short

Hard rule: sums are never added up anew. A row remembers what it added to every sum, and a change adds the difference; so
rounding cannot pile up, and every sum is exactly that of its rows. Integers only; values that do not fit are held at a
bound (memory.SCALED_MAX) that every limit is below.

Source of the definitions: docs/adr/0024-the-complete-gate.md.
"""

from numba import int64

from gateway.core.counters import add_to
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, load_u32, relaxed, scale_down, scale_up, store_i64, store_u32
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
ROW = offsets("gate_row")
ACCOUNT = offsets("gate_account")
RATE = offsets("gate_rate")
GROUP = offsets("gate_group")
STRATEGY = offsets("gate_strategy")
HOLDING = offsets("gate_holding")
EXECUTIONS = offsets("gate_executions")
ORDER = offsets("order")

SIDE_BUY = value("SIDE_BUY")
ROW_BYTES, RATE_BYTES, GROUP_BYTES = size("gate_row"), size("gate_rate"), size("gate_group")
STRATEGY_BYTES, HOLDING_BYTES, EXECUTIONS_BYTES = size("gate_strategy"), size("gate_holding"), size("gate_executions")
STRATEGY_LAST, CURRENCY_LAST = value("GATE_STRATEGIES") - 1, value("GATE_CURRENCIES") - 1
GROUP_LAST = value("GATE_GROUPS") - 1
EXECUTIONS_LAST = value("GATE_EXECUTIONS") - 1
NOTIONAL_MAX = 1 << 61
POSITION_MAX = (1 << 31) - 1  # a larger position is valued as this one, which no limit allows
assert all(last & (last + 1) == 0 for last in (STRATEGY_LAST, CURRENCY_LAST, GROUP_LAST, EXECUTIONS_LAST))


@leaf
def row_at(path, instrument):
    """Address of a struct gate_row."""
    return load_i64(path + PATH.rows) + instrument * ROW_BYTES


@leaf
def rate_of(account, row):
    """Address of the struct gate_rate of a row's currency."""
    return account + ACCOUNT.rates + (load_u32(row + ROW.currency) & CURRENCY_LAST) * RATE_BYTES


@leaf
def group_of(account, row):
    """Address of the struct gate_group of a row; group 0 is none."""
    return account + ACCOUNT.groups + (load_u32(row + ROW.group) & GROUP_LAST) * GROUP_BYTES


@leaf
def strategy_at(account, strategy):
    """Address of a struct gate_strategy; the caller knows the number to be one."""
    return account + ACCOUNT.strategies + (strategy & STRATEGY_LAST) * STRATEGY_BYTES


@leaf
def holding_at(path, strategy, instrument):
    """Address of what a strategy holds in an instrument."""
    number = (strategy & STRATEGY_LAST) * load_i64(path + PATH.instruments) + instrument
    return load_i64(path + PATH.holdings) + number * HOLDING_BYTES


@leaf
def bounded(number, largest):
    """`number`, held within `largest` of zero."""
    return min(max(number, -largest), largest)


@leaf
def open_notional(row, offset):
    """Notional of open orders; what wrapped around or is beyond all bounds counts as the bound."""
    notional = load_i64(row + offset)
    return NOTIONAL_MAX if (notional < 0) | (notional > NOTIONAL_MAX) else notional


@leaf
def margin_of(worst, fraction):
    """Margin that a worst exposure requires."""
    return scale_up(max(worst, 0), fraction)


@kernel
def settle_row(path, row):
    """Works out what a row may cost and has earned, and adds what changed to account and group."""
    account = load_i64(path + PATH.account)
    store_u32(row + ROW.settled_version, relaxed(account + ACCOUNT.limits_version))
    rate = load_i64(rate_of(account, row) + RATE.fraction)
    held = bounded(load_i64(row + ROW.position), POSITION_MAX) * load_i64(row + ROW.mark)
    long_value = scale_up(held + open_notional(row, ROW.open_buy_notional), rate)
    short_value = scale_up(open_notional(row, ROW.open_sell_notional) - held, rate)
    profit = scale_down(bounded(load_i64(row + ROW.cash), NOTIONAL_MAX) + held, rate)
    worst = max(long_value, short_value)
    margin = margin_of(worst, load_i64(row + ROW.margin_fraction))
    worst_before = max(load_i64(row + ROW.long_value), load_i64(row + ROW.short_value))
    add_to(account + ACCOUNT.gross_value, worst - worst_before)
    replace_share(account + ACCOUNT.net_long, row + ROW.long_value, long_value)
    replace_share(account + ACCOUNT.net_short, row + ROW.short_value, short_value)
    replace_share(account + ACCOUNT.margin_value, row + ROW.margin_value, margin)
    replace_share(account + ACCOUNT.profit_value, row + ROW.profit_value, profit)
    if load_u32(row + ROW.group) | load_u32(row + ROW.settled_group) != 0:
        settle_group(account, row, long_value, short_value)
    settle_equity(account)


@leaf
def replace_share(total, share, now):
    """A row's share of a sum is `now`: the sum moves by the difference."""
    add_to(total, now - load_i64(share))
    store_i64(share, now)


@kernel
def settle_group(account, row, long_value, short_value):
    """The same for the group: a negative weight turns long into short, another group takes the share over."""
    if load_u32(row + ROW.settled_group) != load_u32(row + ROW.group):
        before = account + ACCOUNT.groups + (load_u32(row + ROW.settled_group) & GROUP_LAST) * GROUP_BYTES
        replace_share(before + GROUP.long_value, row + ROW.group_long, 0)
        replace_share(before + GROUP.short_value, row + ROW.group_short, 0)
        store_u32(row + ROW.settled_group, load_u32(row + ROW.group))
    if load_u32(row + ROW.group) == 0:
        return
    group, weight = group_of(account, row), load_i64(row + ROW.weight_fraction)
    upward, downward = (long_value, short_value) if weight >= 0 else (short_value, long_value)
    replace_share(group + GROUP.long_value, row + ROW.group_long, scale_up(upward, abs(weight)))
    replace_share(group + GROUP.short_value, row + ROW.group_short, scale_up(downward, abs(weight)))


@kernel
def settle_equity(account):
    """What depends on equity: free margin, and what one order and one group may be worth."""
    equity = load_i64(account + ACCOUNT.capital) + load_i64(account + ACCOUNT.profit_value)
    store_i64(account + ACCOUNT.equity, equity)
    worth = max(equity, 0)
    store_i64(account + ACCOUNT.free_value, equity - load_i64(account + ACCOUNT.margin_value))
    store_i64(account + ACCOUNT.signal_value, scale_down(worth, load_i64(account + ACCOUNT.value_fraction)))
    store_i64(account + ACCOUNT.group_value, scale_down(worth, load_i64(account + ACCOUNT.group_fraction)))


@kernel
def note_open(path, order, quantity, price):
    """`quantity` (negative: less) of an order at `price` is open: instrument, strategy and notional; no sum yet."""
    instrument = load_u32(order + ORDER.instrument)
    row = row_at(path, instrument)
    holding = holding_at(path, load_u32(order + ORDER.strategy), instrument)
    if load_u8(order + ORDER.side) == SIDE_BUY:
        add_to(row + ROW.open_buy, quantity)
        add_to(row + ROW.open_buy_notional, quantity * price)
        add_to(holding + HOLDING.open_buy, quantity)
    else:
        add_to(row + ROW.open_sell, quantity)
        add_to(row + ROW.open_sell_notional, quantity * price)
        add_to(holding + HOLDING.open_sell, quantity)


@kernel
def note_trade(path, order, price, quantity):
    """One fill of an order; a negative quantity takes one back. Position, cash and cost, of instrument and strategy."""
    instrument = load_u32(order + ORDER.instrument)
    row = row_at(path, instrument)
    holding = holding_at(path, load_u32(order + ORDER.strategy), instrument)
    signed = quantity if load_u8(order + ORDER.side) == SIDE_BUY else -quantity
    store_i64(row + ROW.cost, cost_after(load_i64(row + ROW.position), load_i64(row + ROW.cost), price, signed))
    held, cost = load_i64(holding + HOLDING.position), load_i64(holding + HOLDING.cost)
    store_i64(holding + HOLDING.cost, cost_after(held, cost, price, signed))
    add_to(row + ROW.position, signed)
    add_to(row + ROW.cash, -signed * price)
    add_to(holding + HOLDING.position, signed)
    add_to(holding + HOLDING.cash, -signed * price)
    if load_i64(row + ROW.mark) == 0:
        store_i64(row + ROW.mark, price)


@kernel
def cost_after(position, cost, price, signed):
    """Cost of a position after a trade, average price method: what leaves takes its share of the cost, rounded down.

    Realised profit is cash + cost, unrealised is position * mark - cost.
    """
    if (position >= 0) == (signed >= 0) or position == 0:
        return cost + signed * price
    size_held, size_traded = abs(position), abs(signed)
    if size_traded >= size_held:
        return (position + signed) * price
    average = cost // size_held
    rest = cost - average * size_held
    share = rest * size_traded // size_held if size_held <= POSITION_MAX else int64(0)
    return cost - average * size_traded - share


@kernel
def note_execution(path, order, now_ns):
    """REPEAT: one more execution of a strategy; the last one that fits into its window disables it."""
    number = load_u32(order + ORDER.strategy) & STRATEGY_LAST
    strategy = strategy_at(load_i64(path + PATH.account), number)
    times = load_i64(path + PATH.executions) + number * EXECUTIONS_BYTES + EXECUTIONS.times_ns
    count, repeat_max = load_i64(strategy + STRATEGY.executions), load_i64(strategy + STRATEGY.repeat_max)
    store_i64(times + (count & EXECUTIONS_LAST) * 8, now_ns)
    store_i64(strategy + STRATEGY.executions, count + 1)
    if (repeat_max <= 0) | (repeat_max > EXECUTIONS_LAST + 1) | (count + 1 < repeat_max):
        return
    first_ns = load_i64(times + ((count + 1 - repeat_max) & EXECUTIONS_LAST) * 8)
    if now_ns - first_ns < load_i64(strategy + STRATEGY.repeat_ns) and load_i64(strategy + STRATEGY.repeated) == 0:
        store_i64(strategy + STRATEGY.repeated, 1)
        store_i64(strategy + STRATEGY.repeated_ns, now_ns)
