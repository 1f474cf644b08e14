"""Seeded draws of the simulated venue: one 64-bit word of state, splitmix64 (Steele, Lea and Flood, 2014).

Beside the corridor, inside the venue. Hard rules: whatever is random in the venue comes from here, so that a seed and a
clock reproduce every byte; arithmetic that wraps is done on uint64, because the compiler takes it for granted that
int64 never overflows.
"""

import numpy as np
from numba import njit

from gateway.core.memory import load_i64, shift_right, store_i64

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@njit
def mix(word):
    """A well-spread word for every word (the finaliser of splitmix64)."""
    spread = np.uint64(word ^ shift_right(word, 30)) * _FIRST
    word = np.int64(spread)
    spread = np.uint64(word ^ shift_right(word, 27)) * _SECOND
    word = np.int64(spread)
    return word ^ shift_right(word, 31)


@njit
def below(state, limit):
    """The next draw of the generator at address `state`: 0 … limit - 1, for limit ≤ 2**31."""
    word = np.int64(np.uint64(load_i64(state)) + _GAMMA)
    store_i64(state, word)
    return shift_right(shift_right(mix(word), 33) * limit, 31)
