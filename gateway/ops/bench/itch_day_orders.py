"""The live orders of a synthetic ITCH day: who is drawn, where a new one stands, and the twin of levels.

    symbols   Zipf's law over all symbols; three in ten stay with the symbol before
    orders    a younger one is changed rather than an older one: its rank by age is drawn log-uniformly, so that half of
              all changes meet the youngest √(live orders), and what stood at the start mostly stays for the day
    prices    near the symbol's middle mostly, a quarter far away, those on round prices

Hard rule: every draw comes from the flow's own word, so that two days beside each other do not disturb each other.
"""

import numpy as np

from gateway.core.kernel import inner
from gateway.layout import value
from gateway.venues.simulator.draws import below

REACH = 256  # steps a price stands from the middle, at most
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
SAME_SYMBOL, ODD_LOT, FAR, SLOPE = 0.3, 0.2, 0.25, 0.16

ORDER = np.dtype([("id", "i8"), ("symbol", "i4"), ("place", "i4"), ("side", "i4"), ("shares", "i4")])
TOTALS = np.dtype(
    [("live", "i8"), ("next_id", "i8"), ("sequence", "i8"), ("match", "i8"), ("time_ns", "i8"), ("symbol", "i8")]
    + [("random", "i8"), ("heat", "f8")]
)


@inner
def draw_share(random):
    """A number above 0 and below 1."""
    return (below(random, 1 << 31) + 0.5) / (1 << 31)


@inner
def _draw_log_uniform(random, count):
    """1 to `count`, each number as likely as it is small: Zipf's law with exponent 1."""
    return min(np.int64(np.exp(draw_share(random) * np.log(count + 1.0))), count)


@inner
def draw_symbol(flow):
    """A stock locate."""
    total = flow.totals[0]
    if total.symbol == 0 or draw_share(flow.random) >= SAME_SYMBOL:
        total.symbol = flow.symbols[_draw_log_uniform(flow.random, len(flow.symbols)) - 1]
    return total.symbol


@inner
def _draw_place(random):
    """Steps from the middle: near it mostly; far away on every fifth or tenth step."""
    if draw_share(random) >= FAR:
        return min(1 + np.int64(np.log(draw_share(random)) / np.log(1 - SLOPE)), REACH)
    step = 10 if draw_share(random) < 0.5 else 5
    place = (_draw_log_uniform(random, REACH) + step - 1) // step * step
    return min(place, REACH // step * step)


@inner
def draw_shares(random):
    """Round lots mostly, 200 shares on average; one in five an odd lot."""
    if draw_share(random) < ODD_LOT:
        return 1 + below(random, 99)
    return 100 + 100 * np.int64(np.log(draw_share(random)) / np.log(0.5))


@inner
def draw_order(flow):
    """Index of the order that changes: rarely an old one."""
    live = flow.totals[0].live
    return live - _draw_log_uniform(flow.random, live)


@inner
def stand(flow, symbol, side):
    """A new order, the youngest; returns its row."""
    total = flow.totals[0]
    order = flow.orders[total.live]
    total.live += 1
    total.next_id += 1 + below(flow.random, 5)
    order.id, order.symbol, order.side = total.next_id, symbol, side
    order.place, order.shares = _draw_place(flow.random), draw_shares(flow.random)
    flow.levels[symbol, side - 1, order.place] += order.shares
    flow.counts[symbol, side - 1, order.place] += 1
    return order


@inner
def settle(flow, index, shares):
    """Takes shares from an order and its level; the order goes when that is all.

    The hole is filled by an order half as far from the youngest, that one's place likewise, and so on: by age the rows
    stay sorted but for a factor, at the price of a few moves.
    """
    total, orders = flow.totals[0], flow.orders
    order = orders[index]
    flow.levels[order.symbol, order.side - 1, order.place] -= shares
    if shares < order.shares:
        order.shares -= shares
        return
    flow.counts[order.symbol, order.side - 1, order.place] -= 1
    youngest = total.live - 1
    rank = youngest - index
    while rank > 0:
        orders[youngest - rank] = orders[youngest - rank // 2]
        rank //= 2
    total.live -= 1


@inner
def price_of(flow, symbol, side, place):
    """The price `place` steps from the symbol's middle."""
    return flow.middles[symbol] + (place if side == SELL else -place) * flow.steps[symbol]
