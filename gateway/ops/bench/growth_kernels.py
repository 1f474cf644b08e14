"""Loops of the suite `growth` over the corridor's kernels; machine code is kept on the disk: a run needs no compiler.

Hard rule: arrays come as addresses; what a loop does is what the suites `book` and `gate` do.
"""

from gateway.core.book import apply_events
from gateway.core.book_depth import best_level, next_level
from gateway.core.book_rows import book_of
from gateway.core.gate import decide_new
from gateway.core.kernel import cached
from gateway.core.levels import level_at, price_of, side_of
from gateway.core.memory import load_i32, load_i64, load_u32
from gateway.layout import offsets, size
from gateway.protocols.itch50_decode import decode_packet

LEVEL = offsets("level")
EVENT_BYTES = size("event")


@cached
def feed_packets(table, data, places, sizes, packets, events, counters, store, wanted):
    """Messages of `packets` packets, decoded, and applied to the books whenever `wanted` events have gathered."""
    total = count = 0
    for index in range(packets):
        packet, size_bytes = data + load_i64(places + 8 * index), load_i64(sizes + 8 * index)
        count += decode_packet(table, packet, size_bytes, 0, 1, events + count * EVENT_BYTES, counters)
        if count >= wanted or index + 1 == packets:
            apply_events(store, events, count, counters)
            total, count = total + count, 0
    return total


@cached
def wrong_levels(store, symbols, reach, middles, steps, levels, counts):
    """Levels that differ from the twin's of itch_day.py: int64 × symbols twice, int32 [symbol, side - 1, place] twice."""
    wrong = 0
    for symbol in range(1, symbols + 1):
        middle, step = load_i64(middles + 8 * symbol), load_i64(steps + 8 * symbol)
        for number in (1, 2):
            side, towards = side_of(book_of(store, symbol), number), step * (1 if number == 2 else -1)
            index, row = best_level(store, side, number), (symbol * 2 + number - 1) * (reach + 1)
            for place in range(reach + 1):
                orders = load_i32(counts + 4 * (row + place))
                if orders == 0:
                    continue
                price, level = middle + place * towards, level_at(store, index)
                same = index != 0 and price_of(store, index) == price
                same = same and load_i64(level + LEVEL.quantity) == load_i32(levels + 4 * (row + place))
                wrong += not (same and load_u32(level + LEVEL.orders) == orders)
                index = next_level(store, side, number, price)
            wrong += index != 0
    return wrong


@cached
def decide_pairs(pairs, count, rounds, now_ns):
    """Decides `count` intents, each with its account's memory: int64 pairs (path, intent). The sum of masks times place."""
    total = 0
    for _ in range(rounds):
        for index in range(count):
            place = pairs + 16 * index
            total += decide_new(load_i64(place), load_i64(place + 8), 1, now_ns) * (index + 1)
    return total
