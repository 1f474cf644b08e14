"""The messages of a synthetic ITCH 5.0 day: which comes next, and its bytes.

Hard rule: layouts are typed here a second time (TotalView-ITCH 5.0, sections 1.1 to 1.6), nothing comes from protocols/.
"""

from gateway.core.kernel import inner
from gateway.core.memory import store_be16, store_be32, store_be64, store_i64, store_u8
from gateway.ops.bench.itch_day_orders import (
    BUY,
    SELL,
    draw_order,
    draw_share,
    draw_shares,
    draw_symbol,
    price_of,
    settle,
    stand,
)
from gateway.venues.simulator.draws import below

MESSAGE_BYTES_MAX = 50 + 2
MESSAGE_GAP_NS = 400  # between messages of a packet, at most
LETTER_A, LETTER_B, LETTER_C, LETTER_D, LETTER_E, LETTER_F = (ord(letter) for letter in "ABCDEF")
LETTER_H, LETTER_I, LETTER_N, LETTER_O, LETTER_P, LETTER_Q = (ord(letter) for letter in "HINOPQ")
LETTER_R, LETTER_S, LETTER_T, LETTER_U, LETTER_X, LETTER_Y = (ord(letter) for letter in "RSTUXY")
BLANK, BLANKS = 0x20, 0x20202020
ATTRIBUTION = int.from_bytes(b"GWAY", "big")

# The mix once the morning is over, in steps of the sum: A and F 46 %, D 41 %, U 6 %, E and C 4 %, X 1.5 %, P 1.2 %, I 0.3 %.
UNTIL_ADD, UNTIL_DELETE, UNTIL_REPLACE, UNTIL_EXECUTE, UNTIL_REDUCE, UNTIL_TRADE = 0.46, 0.87, 0.93, 0.97, 0.985, 0.997
MORNING_ADDS, ATTRIBUTED, PRICED = 0.9, 0.015, 0.075
WHOLE = 0.7  # share of executions that take all of an order
CANDIDATES = 3  # orders of which the nearest to the touch is executed


@inner
def write_message(flow, at):
    """The next message of the day at address `at`; returns its bytes."""
    total = flow.totals[0]
    roll = draw_share(flow.random)
    total.time_ns += below(flow.random, MESSAGE_GAP_NS)
    morning = total.live < flow.live_target and roll < MORNING_ADDS
    if total.live < CANDIDATES or morning or (roll < UNTIL_ADD and total.live + 1 < len(flow.orders)):
        return _add(flow, at)
    if roll < UNTIL_DELETE:
        return _delete(flow, at)
    if roll < UNTIL_REPLACE:
        return _replace(flow, at)
    if roll < UNTIL_EXECUTE:
        return _execute(flow, at)
    if roll < UNTIL_REDUCE:
        return _reduce(flow, at)
    return _trade(flow, at) if roll < UNTIL_TRADE else _imbalance(flow, at)


@inner
def write_state(flow, index, at):
    """Message `index` of the opening: O, a directory for every symbol, S, a trading action for every symbol, Q."""
    symbols = len(flow.symbols)
    flow.totals[0].time_ns += below(flow.random, MESSAGE_GAP_NS)
    place = index % (symbols + 1)
    if place == 0:
        _head(flow, at, LETTER_S, 0)
        store_u8(at + 11, LETTER_O if index == 0 else LETTER_S if index == symbols + 1 else LETTER_Q)
        return 12
    _head(flow, at, LETTER_R if index <= symbols else LETTER_H, place)
    store_i64(at + 11, flow.stocks[place])
    if index > symbols:
        store_u8(at + 19, LETTER_T)
        store_u8(at + 20, BLANK)
        store_be32(at + 21, BLANKS)
        return 25
    _directory(at)
    return 39


@inner
def _directory(at):
    """What follows the symbol in a Stock Directory (section 1.2.1)."""
    store_u8(at + 19, LETTER_Q)
    store_u8(at + 20, LETTER_N)
    store_be32(at + 21, 100)
    store_u8(at + 25, LETTER_N)
    store_u8(at + 26, LETTER_C)
    store_be16(at + 27, LETTER_Y << 8 | BLANK)
    for offset, letter in ((29, LETTER_P), (30, LETTER_N), (31, LETTER_N), (32, ord("1")), (33, LETTER_N), (38, LETTER_N)):
        store_u8(at + offset, letter)
    store_be32(at + 34, 0)


@inner
def _head(flow, at, letter, symbol):
    """Type, locate, tracking number, time since midnight: TotalView-ITCH 5.0, section 1."""
    time_ns = flow.totals[0].time_ns
    store_u8(at, letter)
    store_be16(at + 1, symbol)
    store_be16(at + 3, time_ns & 0xFFFE)
    store_be16(at + 5, time_ns >> 32)
    store_be32(at + 7, time_ns & 0xFFFFFFFF)
    flow.by_type[letter] += 1


@inner
def _add(flow, at):
    symbol = draw_symbol(flow)
    order = stand(flow, symbol, BUY if draw_share(flow.random) < 0.5 else SELL)
    attributed = draw_share(flow.random) < ATTRIBUTED
    _head(flow, at, LETTER_F if attributed else LETTER_A, symbol)
    _terms(flow, at, order.id, symbol, order.side, order.shares, price_of(flow, symbol, order.side, order.place))
    if attributed:
        store_be32(at + 36, ATTRIBUTION)
        return 40
    return 36


@inner
def _terms(flow, at, order_id, symbol, side, shares, price):
    """Order reference number, side, shares, stock, price: what an add and a trade have in common."""
    store_be64(at + 11, order_id)
    store_u8(at + 19, LETTER_B if side == BUY else LETTER_S)
    store_be32(at + 20, shares)
    store_i64(at + 24, flow.stocks[symbol])
    store_be32(at + 32, price)


@inner
def _delete(flow, at):
    index = draw_order(flow)
    order = flow.orders[index]
    _head(flow, at, LETTER_D, order.symbol)
    store_be64(at + 11, order.id)
    settle(flow, index, order.shares)
    return 19


@inner
def _replace(flow, at):
    index = draw_order(flow)
    symbol, side = flow.orders[index].symbol, flow.orders[index].side
    _head(flow, at, LETTER_U, symbol)
    store_be64(at + 11, flow.orders[index].id)
    settle(flow, index, flow.orders[index].shares)
    order = stand(flow, symbol, side)
    store_be64(at + 19, order.id)
    store_be32(at + 27, order.shares)
    store_be32(at + 31, price_of(flow, symbol, side, order.place))
    return 35


@inner
def _execute(flow, at):
    index = draw_order(flow)
    for _ in range(CANDIDATES - 1):
        other = draw_order(flow)
        if flow.orders[other].place < flow.orders[index].place:
            index = other
    order, total = flow.orders[index], flow.totals[0]
    shares = order.shares if draw_share(flow.random) < WHOLE else 1 + below(flow.random, order.shares)
    priced = draw_share(flow.random) < PRICED
    _head(flow, at, LETTER_C if priced else LETTER_E, order.symbol)
    total.match += 1
    store_be64(at + 11, order.id)
    store_be32(at + 19, shares)
    store_be64(at + 23, total.match)
    if priced:
        store_u8(at + 31, LETTER_Y if draw_share(flow.random) < 0.8 else LETTER_N)
        store_be32(at + 32, price_of(flow, order.symbol, order.side, max(order.place - 1, 0)))
    settle(flow, index, shares)
    return 36 if priced else 31


@inner
def _reduce(flow, at):
    """An Order Cancel takes a part; an order of one share is deleted instead."""
    index = draw_order(flow)
    order = flow.orders[index]
    if order.shares == 1:
        return _delete(flow, at)
    shares = 1 + below(flow.random, order.shares - 1)
    _head(flow, at, LETTER_X, order.symbol)
    store_be64(at + 11, order.id)
    store_be32(at + 19, shares)
    settle(flow, index, shares)
    return 23


@inner
def _trade(flow, at):
    """Against an order that was never shown: its number is 0."""
    symbol = draw_symbol(flow)
    _head(flow, at, LETTER_P, symbol)
    _terms(flow, at, 0, symbol, BUY, draw_shares(flow.random), flow.middles[symbol])
    flow.totals[0].match += 1
    store_be64(at + 36, flow.totals[0].match)
    return 44


@inner
def _imbalance(flow, at):
    """Net Order Imbalance Indicator (section 1.6)."""
    symbol = draw_symbol(flow)
    _head(flow, at, LETTER_I, symbol)
    store_be64(at + 11, 100 * below(flow.random, 10_000))
    store_be64(at + 19, 100 * below(flow.random, 1_000))
    store_u8(at + 27, LETTER_B if draw_share(flow.random) < 0.5 else LETTER_S)
    store_i64(at + 28, flow.stocks[symbol])
    for offset in (36, 40, 44):
        store_be32(at + offset, flow.middles[symbol])
    store_u8(at + 48, LETTER_O)
    store_u8(at + 49, BLANK)
    return 50
