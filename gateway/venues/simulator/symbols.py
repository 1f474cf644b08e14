"""Symbols of the simulated venue: their names, prices and popularity, and the way from a name to a row.

Beside the corridor, inside the venue. Hard rule: everything about a symbol follows from the seed and its index.
"""

import numpy as np

from gateway import layout
from gateway.core.kernel import inner
from gateway.core.memory import address_of, load_i64, load_u32
from gateway.venues.simulator.draws import mix
from gateway.venues.simulator.feed import SYMBOL, symbol_at
from gateway.venues.simulator.frames import VENUE

SLOTS = layout.value("VENUE_SYMBOL_SLOTS")
LEVELS = layout.value("VENUE_LADDER_LEVELS")
TICK = 100  # 0.01 in 1/10000
PRICE_MIN = 100_000  # 10.00: half the window below it is still above zero
PRICE_MAX = 5_000_000  # 500.00
ZIPF_EXPONENT = 1.1
SHARE_WHOLE = 1 << 31


@inner
def find_symbol(venue, word):
    """Index of the symbol whose 8 characters are `word`, or -1."""
    table = load_i64(venue + VENUE.symbol_slots)
    slot = mix(word) & (SLOTS - 1)
    for _ in range(SLOTS):
        index = load_u32(table + slot * 4) - 1
        if index < 0 or load_i64(symbol_at(venue, index) + SYMBOL.word) == word:
            return index
        slot = (slot + 1) & (SLOTS - 1)
    return -1


def symbol_name(index: int) -> str:
    """The name of a symbol; none exists on a real exchange."""
    return f"SIM{index:04d}"


def symbol_word(name: str) -> int:
    """A symbol's 8 characters as a little-endian word."""
    return int.from_bytes(name.encode("ascii").ljust(8), "little")


def slots_of(words: list[int]) -> np.ndarray:
    """The table that `find_symbol` reads: uint32 index + 1 by open addressing."""
    table = np.zeros(SLOTS, dtype=np.uint32)
    for index, word in enumerate(words):
        slot = int(mix(np.int64(word))) & (SLOTS - 1)
        while table[slot]:
            slot = (slot + 1) & (SLOTS - 1)
        table[slot] = index + 1
    return table


def popularity_of(symbols: int) -> np.ndarray:
    """Cumulative shares of 2**31 by Zipf's law, symbol 0 the most popular: int64, the last one is 2**31."""
    weights = 1.0 / np.arange(1, symbols + 1) ** ZIPF_EXPONENT
    shares = np.cumsum(weights) / weights.sum() * SHARE_WHOLE
    table = shares.astype(np.int64)
    table[-1] = SHARE_WHOLE
    return table


def floor_price_of(seed: int, index: int) -> int:
    """Price of level 0: the middle of the window is a round price drawn between 10 and 500."""
    drawn = int(mix(np.int64((seed * 1_000_003 + index) & 0x7FFFFFFFFFFFFFFF))) & (SHARE_WHOLE - 1)
    middle = PRICE_MIN + drawn % ((PRICE_MAX - PRICE_MIN) // TICK) * TICK
    return middle - LEVELS // 2 * TICK


def fill_symbols(rows: np.ndarray, ladders: np.ndarray, seed: int) -> None:
    """Empty books: `rows` of struct venue_symbol, `ladders` of struct venue_level by symbol and level."""
    for index, row in enumerate(rows):
        row["word"] = symbol_word(symbol_name(index))
        row["levels"] = address_of(ladders[index])
        row["floor_price"] = floor_price_of(seed, index)
        row["tick"] = TICK
        row["best_bid"] = -1
        row["best_ask"] = LEVELS
