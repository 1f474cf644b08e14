"""A seeded order flow over 8,000 symbols as ITCH 5.0 packets, beside the dense twin that says what every book must hold.

The flow keeps its own live orders, so that every delete, execution and replacement names one that lives, and adds up
each level in a plain array [symbol, side, step from the symbol's middle]: nothing of it is the book's code or layout.
The mix is that of a liquid day, 46 % add, 41 % delete, 6 % replace, 7 % execute and reduce, once the live orders of the
morning are there; symbols are drawn by Zipf's law, orders to change uniformly, which is hard on caches.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from gateway.core.memory import store_be16, store_be32, store_be64, store_i64, store_u8
from gateway.layout import value

SYMBOLS = 8000
REACH = 256  # steps a price stands from the middle, at most
LIVE_ORDERS = 1_000_000
DRAWS = 1 << 16  # entries of the table that draws a symbol
PACKET_MESSAGES, PACKET_BYTES_MAX, MOLD_HEADER_BYTES = 12, 1400, 20
MESSAGE_BYTES_MAX = 36 + 2
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
LETTER_A, LETTER_B, LETTER_D, LETTER_E, LETTER_S, LETTER_U, LETTER_X = (ord(letter) for letter in "ABDESUX")
SPACES = 0x2020202020202020

ORDER = np.dtype([("id", "i8"), ("symbol", "i4"), ("place", "i4"), ("side", "i4"), ("shares", "i4")])
TOTALS = np.dtype([("live", "i8"), ("next_id", "i8"), ("sequence", "i8"), ("match", "i8")])


@dataclass
class Flow:
    """The state: `levels` and `counts` are the twin, [symbol, side - 1, steps from the middle]."""

    orders: np.ndarray  # ORDER × room
    totals: np.ndarray  # TOTALS × 1
    draws: np.ndarray  # symbols by frequency
    middles: np.ndarray  # price of each symbol's middle
    steps: np.ndarray  # price of one step
    levels: np.ndarray  # shares, int32
    counts: np.ndarray  # orders, int32
    live_target: int


def make_flow(seed: int, symbols: int = SYMBOLS, live_target: int = LIVE_ORDERS) -> Flow:
    """A flow before its first message; stock locates are 1 to `symbols`."""
    choose = np.random.default_rng(seed)
    _seed(seed)
    shares = 1 / np.arange(1, symbols + 1)
    totals = np.zeros(1, TOTALS)
    totals["next_id"] = totals["sequence"] = 1
    cheap = choose.random(symbols + 1) < 0.02  # below one dollar: a hundredth of a cent is a step
    dollars = choose.integers(5, 500, symbols + 1) * 10_000
    return Flow(
        orders=np.zeros(live_target * 5 // 4, ORDER),
        totals=totals,
        draws=1 + choose.permutation(symbols)[choose.choice(symbols, DRAWS, p=shares / shares.sum())],
        middles=np.where(cheap, 5000, dollars),
        steps=np.where(cheap, 1, 100),
        levels=np.zeros((symbols + 1, 2, REACH + 1), np.int32),
        counts=np.zeros((symbols + 1, 2, REACH + 1), np.int32),
        live_target=live_target,
    )


def batch_bytes_max(messages: int) -> int:
    """Room that `write_batch` may need."""
    return messages * (MESSAGE_BYTES_MAX + MOLD_HEADER_BYTES)


def write_batch(flow: Flow, messages: int, data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> int:
    """The next `messages` messages as MoldUDP64 packets; returns the packets written."""
    return int(
        _write_batch(
            *(flow.orders, flow.totals[0:1], flow.draws, flow.middles, flow.steps, flow.levels, flow.counts),
            *(flow.live_target, messages, data.ctypes.data, offsets, sizes),
        )
    )


@njit
def _seed(seed):
    np.random.seed(seed)


@njit
def _write_batch(orders, totals, draws, middles, steps, levels, counts, live_target, messages, data, offsets, sizes):
    total, packets, written, at = totals[0], 0, 0, data
    while written < messages:
        wanted = min(np.random.geometric(1 / PACKET_MESSAGES), messages - written)
        begin, count = at, 0
        at += MOLD_HEADER_BYTES
        while count < wanted and at - begin + MESSAGE_BYTES_MAX <= PACKET_BYTES_MAX:
            size = _message(orders, total, draws, middles, steps, levels, counts, live_target, at + 2)
            store_be16(at, size)
            at += size + 2
            count += 1
        for word in range(2):
            store_i64(begin + word * 2, SPACES)
        store_be64(begin + 10, total.sequence)
        store_be16(begin + 18, count)
        total.sequence += count
        offsets[packets], sizes[packets] = begin - data, at - begin
        packets, written = packets + 1, written + count
    return packets


@njit
def _message(orders, total, draws, middles, steps, levels, counts, live_target, at):
    roll = np.random.random()
    morning = total.live < live_target and roll < 0.9
    if total.live < 2 or morning or (roll < 0.47 and total.live + 1 < len(orders)):
        return _add(orders, total, draws, middles, steps, levels, counts, at)
    index = np.random.randint(0, total.live)
    if roll < 0.88:
        return _delete(orders, total, levels, counts, index, at)
    if roll < 0.94:
        return _replace(orders, total, middles, steps, levels, counts, index, at)
    return _take(orders, total, levels, counts, index, at, LETTER_E if roll < 0.98 else LETTER_X)


@njit
def _head(at, letter, symbol, order_id):
    """Type, locate, tracking number, time since midnight, order reference number: TotalView-ITCH 5.0, section 1.3."""
    store_u8(at, letter)
    store_be16(at + 1, symbol)
    store_be32(at + 3, 0)
    store_be32(at + 7, 34_200)
    store_be64(at + 11, order_id)


@njit
def _draw_place():
    """Steps from the middle: near it mostly, now and then anywhere."""
    if np.random.random() < 0.03:
        return np.random.randint(1, REACH + 1)
    return min(np.random.geometric(0.1), REACH)


@njit
def _settle(orders, total, levels, counts, index, shares):
    """Takes shares from an order and its level; the order goes when that is all."""
    order = orders[index]
    levels[order.symbol, order.side - 1, order.place] -= shares
    if shares < order.shares:
        order.shares -= shares
        return
    counts[order.symbol, order.side - 1, order.place] -= 1
    total.live -= 1
    last = orders[total.live]
    order.id, order.symbol, order.place, order.side, order.shares = last.id, last.symbol, last.place, last.side, last.shares


@njit
def _stand(orders, total, levels, counts, symbol, side):
    """A new order; returns (price in steps from the middle, row)."""
    order = orders[total.live]
    total.live += 1
    total.next_id += np.random.randint(1, 6)
    order.id, order.symbol, order.side = total.next_id, symbol, side
    order.place, order.shares = _draw_place(), 100 * np.random.geometric(0.3)
    levels[symbol, side - 1, order.place] += order.shares
    counts[symbol, side - 1, order.place] += 1
    return order


@njit
def _price(middles, steps, order):
    return middles[order.symbol] + (order.place if order.side == SELL else -order.place) * steps[order.symbol]


@njit
def _add(orders, total, draws, middles, steps, levels, counts, at):
    symbol = draws[np.random.randint(0, DRAWS)]
    order = _stand(orders, total, levels, counts, symbol, BUY if np.random.random() < 0.5 else SELL)
    _head(at, LETTER_A, symbol, order.id)
    store_u8(at + 19, LETTER_B if order.side == BUY else LETTER_S)
    store_be32(at + 20, order.shares)
    store_i64(at + 24, SPACES)
    store_be32(at + 32, _price(middles, steps, order))
    return 36


@njit
def _delete(orders, total, levels, counts, index, at):
    _head(at, LETTER_D, orders[index].symbol, orders[index].id)
    _settle(orders, total, levels, counts, index, orders[index].shares)
    return 19


@njit
def _replace(orders, total, middles, steps, levels, counts, index, at):
    symbol, side = orders[index].symbol, orders[index].side
    _head(at, LETTER_U, symbol, orders[index].id)
    _settle(orders, total, levels, counts, index, orders[index].shares)
    order = _stand(orders, total, levels, counts, symbol, side)
    store_be64(at + 19, order.id)
    store_be32(at + 27, order.shares)
    store_be32(at + 31, _price(middles, steps, order))
    return 35


@njit
def _take(orders, total, levels, counts, index, at, letter):
    order = orders[index]
    shares = order.shares if np.random.random() < 0.5 else np.random.randint(1, order.shares + 1)
    _head(at, letter, order.symbol, order.id)
    store_be32(at + 19, shares)
    _settle(orders, total, levels, counts, index, shares)
    if letter == LETTER_X:
        return 23
    total.match += 1
    store_be64(at + 23, total.match)
    return 31
