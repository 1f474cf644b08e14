"""A seeded, synthetic day of ITCH 5.0 in MoldUDP64 packets, beside the dense twin that says what every book must hold.

    opening   system events, a directory and a trading action for every symbol: what a follower wants to see first
    batches   the morning until `live_target` orders stand, then the mix of a liquid day (itch_day_messages.py)

The day keeps its own live orders, so that every delete, execution and replacement names one that lives, and adds up each
level in a plain array [symbol, side, step from the symbol's middle]: nothing of it is the book's code or layout. Packets
arrive as a self-exciting (Hawkes) process with an exponential kernel, and are the fuller the hotter it is.
What it leaves out: a symbol's middle stands still, the rate has no time of day, and types follow each other freely.
Hard rule: a day is a function of its seed and of the batches it is written in.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from gateway.core.kernel import inner
from gateway.core.memory import store_be16, store_be64, store_i64
from gateway.ops.bench.itch_day_messages import MESSAGE_BYTES_MAX, write_message, write_state
from gateway.ops.bench.itch_day_orders import ORDER, REACH, TOTALS, draw_share

__all__ = ["LIVE_ORDERS", "REACH", "SYMBOLS", "Flow", "batch_bytes_max", "make_flow", "write_batch", "write_opening"]

SYMBOLS = 8000
LIVE_ORDERS = 1_000_000
PACKET_BYTES_MAX, MOLD_HEADER_BYTES = 1400, 20
SPACES = 0x2020202020202020
START_OF_DAY_NS = 34_200_000_000_000  # 09:30 since midnight

# Arrivals: each packet causes BRANCHING more on average, and these come within BURST_NS on average.
MESSAGES_PER_SECOND = 20_000  # 400 to 500 million in a session of six and a half hours
MESSAGES_PER_PACKET = 12  # on average, with the two figures below
BRANCHING, BURST_NS = 0.8, 200_000.0
HEAT_PER_PACKET = BRANCHING / BURST_NS
HEAT_BASE = (1 - BRANCHING) * MESSAGES_PER_SECOND / MESSAGES_PER_PACKET / 1e9
QUIET_MESSAGES, HOT_MESSAGES = 3.0, 3.4  # mean messages of a packet: in quiet, and more for the heat of one packet


class Flow(NamedTuple):
    """The state: `levels` and `counts` are the twin, [symbol, side - 1, steps from the middle]."""

    orders: np.ndarray  # ORDER × room, the oldest first, roughly
    totals: np.ndarray  # TOTALS × 1
    symbols: np.ndarray  # stock locates, the busiest first
    stocks: np.ndarray  # the eight letters of each symbol as they lie in memory
    middles: np.ndarray  # price of each symbol's middle
    steps: np.ndarray  # price of one step
    levels: np.ndarray  # shares, int32
    counts: np.ndarray  # orders, int32
    by_type: np.ndarray  # messages written, by letter
    random: int  # address of the word that all draws come from (simulator/draws.py)
    live_target: int


def make_flow(seed: int, symbols: int = SYMBOLS, live_target: int = LIVE_ORDERS) -> Flow:
    """A day before its first message; stock locates are 1 to `symbols`."""
    choose = np.random.default_rng(seed)
    totals = np.zeros(1, TOTALS)
    totals["next_id"] = totals["sequence"] = 1
    totals["time_ns"], totals["random"] = START_OF_DAY_NS, choose.integers(1 << 62)
    cheap = choose.random(symbols + 1) < 0.02  # below one dollar: a hundredth of a cent is a step
    dollars = choose.integers(5, 500, symbols + 1) * 10_000
    names = np.array([f"S{number}".ljust(8) for number in range(symbols + 1)], "S8")
    return Flow(
        orders=np.zeros(live_target * 5 // 4, ORDER),
        totals=totals,
        symbols=1 + choose.permutation(symbols),
        stocks=names.view("<i8"),
        middles=np.where(cheap, 5000, dollars),
        steps=np.where(cheap, 1, 100),
        levels=np.zeros((symbols + 1, 2, REACH + 1), np.int32),
        counts=np.zeros((symbols + 1, 2, REACH + 1), np.int32),
        by_type=np.zeros(128, np.int64),
        random=totals.ctypes.data + TOTALS.fields["random"][1],  # type: ignore[index]
        live_target=live_target,
    )


def batch_bytes_max(messages: int) -> int:
    """Room that `write_batch` may need."""
    return messages * (MESSAGE_BYTES_MAX + MOLD_HEADER_BYTES)


def write_batch(flow: Flow, messages: int, data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> int:
    """The next `messages` messages as MoldUDP64 packets; returns the packets written."""
    return int(_write_batch(flow, messages, data.ctypes.data, offsets, sizes))


def write_opening(flow: Flow, data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> int:
    """System events, then a directory and a trading action for every symbol; returns the packets written."""
    return int(_write_opening(flow, data.ctypes.data, offsets, sizes))


def opening_messages(flow: Flow) -> int:
    """Messages that `write_opening` writes."""
    return 2 * len(flow.symbols) + 3


def mix_of(flow: Flow) -> dict[str, int]:
    """Messages written so far, by type."""
    return {chr(letter): int(flow.by_type[letter]) for letter in np.flatnonzero(flow.by_type)}


@njit
def _write_batch(flow, messages, data, offsets, sizes):
    total, packets, written, at = flow.totals[0], 0, 0, data
    while written < messages:
        wanted = min(_packet_messages(flow), messages - written)
        _wait(flow)
        begin, count = at, 0
        at += MOLD_HEADER_BYTES
        while count < wanted and at - begin + MESSAGE_BYTES_MAX <= PACKET_BYTES_MAX:
            size = write_message(flow, at + 2)
            store_be16(at, size)
            at += size + 2
            count += 1
        _close_packet(total, begin, count)
        offsets[packets], sizes[packets] = begin - data, at - begin
        packets, written = packets + 1, written + count
    return packets


@njit
def _write_opening(flow, data, offsets, sizes):
    """One message a packet: O, R for every symbol, S, H for every symbol, Q."""
    total, at, packets = flow.totals[0], data, 0
    symbols = len(flow.symbols)
    for index in range(2 * symbols + 3):
        size = write_state(flow, index, at + MOLD_HEADER_BYTES + 2)
        store_be16(at + MOLD_HEADER_BYTES, size)
        _close_packet(total, at, 1)
        offsets[packets], sizes[packets] = at - data, size + 2 + MOLD_HEADER_BYTES
        at += size + 2 + MOLD_HEADER_BYTES
        packets += 1
    return packets


@inner
def _packet_messages(flow):
    mean = QUIET_MESSAGES + HOT_MESSAGES * flow.totals[0].heat / HEAT_PER_PACKET
    return 1 + np.int64(np.log(draw_share(flow.random)) / np.log(1 - 1 / mean))


@inner
def _wait(flow):
    """Moves the clock to the next arrival: thinning of a Poisson process that is as fast as the heat now (Ogata, 1981)."""
    total = flow.totals[0]
    while True:
        ceiling = HEAT_BASE + total.heat
        gap = -np.log(draw_share(flow.random)) / ceiling
        total.time_ns += np.int64(gap)
        total.heat *= np.exp(-gap / BURST_NS)
        if draw_share(flow.random) * ceiling < HEAT_BASE + total.heat:
            break
    total.heat += HEAT_PER_PACKET


@inner
def _close_packet(total, begin, count):
    """MoldUDP64 downstream header: session, sequence number of the first message, message count."""
    for word in range(2):
        store_i64(begin + word * 2, SPACES)
    store_be64(begin + 10, total.sequence)
    store_be16(begin + 18, count)
    total.sequence += count
