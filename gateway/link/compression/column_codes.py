"""The prefix codes of packed columns, and the tables that both kernels read: one block of constants, made once.

A residual u becomes a symbol and raw bits. With `floor` bits: u of at most that many bits is symbol 0 and its low `floor`
bits; one of floor + s bits is symbol s and all its bits but the first, which is 1; longer ones are the escape, six bits of
length and the bits. LENGTHS gives the bits of each symbol in eight codes, canonical, first bit of a code first.
Hard rule: every code is complete (Kraft's sum is 1), so that any bits decode to something that is then checked.
"""

import numpy as np

ESCAPE = 13  # the last symbol
CODE_BITS_MAX = 8
CODES = 8
FIXED = 0  # the code of one symbol: every value has `floor` bits

# The bits of symbols 0 … 12 and of the escape. The first is FIXED; docs/adr/0035 says what the others were fitted to.
LENGTHS = (
    (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (1, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 7),
    (1, 4, 4, 6, 5, 5, 5, 4, 5, 5, 5, 6, 4, 5),
    (2, 1, 3, 5, 5, 6, 7, 7, 8, 7, 8, 8, 8, 7),
    (2, 5, 3, 5, 6, 5, 5, 5, 4, 4, 4, 7, 7, 2),
    (2, 5, 5, 4, 5, 4, 3, 4, 4, 4, 3, 5, 5, 5),
    (4, 8, 6, 6, 1, 4, 5, 8, 5, 7, 7, 3, 7, 3),
    (5, 5, 6, 5, 3, 1, 3, 4, 5, 6, 6, 7, 8, 8),
)

POWERS_OF_FIVE = 16
WORD = 1 << 64


def codes_of(lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    """(code with its first bit lowest, bits) of every symbol."""
    order = sorted(range(len(lengths)), key=lambda symbol: (lengths[symbol], symbol))
    codes, code, before = [(0, 0)] * len(lengths), 0, 0
    for symbol in order:
        code <<= lengths[symbol] - before
        before = lengths[symbol]
        codes[symbol] = (int(f"{code:0{before}b}"[::-1], 2) if before else 0, before)
        code += 1
    return codes


def _write_tables() -> np.ndarray:
    """Bytes of the constants at the places below."""
    block = np.zeros(CONSTANTS_BYTES, np.uint8)
    decode = block[DECODE:ENCODE].view(np.uint16).reshape(CODES, 1 << CODE_BITS_MAX)
    encode = block[ENCODE:COSTS].view(np.uint16).reshape(CODES, 16)
    costs = block[COSTS:INVERSES].reshape(CODES, 16)
    for number, lengths in enumerate(LENGTHS):
        if number == FIXED:
            continue
        assert sum(2.0**-bits for bits in lengths) == 1.0, f"code {number} is not complete"
        for symbol, (code, bits) in enumerate(codes_of(lengths)):
            decode[number, code :: 1 << bits] = symbol | bits << 8
            encode[number, symbol] = code | bits << 8
            costs[number, symbol] = bits + (6 if symbol == ESCAPE else 0)
        costs[number, MIDDLE] = round(sum(symbol * 2.0**-bits for symbol, bits in enumerate(lengths)))
    five = [5**power for power in range(POWERS_OF_FIVE)]
    block[INVERSES:BOUNDS].view(np.uint64)[:] = [pow(number, -1, WORD) for number in five]
    block[BOUNDS:POWERS].view(np.uint64)[:] = [(WORD - 1) // number for number in five]
    block[POWERS:CONSTANTS_BYTES].view(np.uint64)[:] = five
    return block


DECODE = 0  # u16 for each code and next eight bits: symbol, bits << 8
ENCODE = DECODE + CODES * (1 << CODE_BITS_MAX) * 2  # u16 for each code and symbol: code, bits << 8
COSTS = ENCODE + CODES * 16 * 2  # u8 for each code and symbol: bits, those of an escape's length included
MIDDLE = 15  # in the place of a symbol that there is not: the mean symbol of a code
INVERSES = COSTS + CODES * 16  # u64 for each power of five: its inverse modulo 2^64
BOUNDS = INVERSES + POWERS_OF_FIVE * 8  # u64: (2^64 - 1) / power; x is a multiple where x * inverse is not above it
POWERS = BOUNDS + POWERS_OF_FIVE * 8
CONSTANTS_BYTES = POWERS + POWERS_OF_FIVE * 8
CONSTANTS = _write_tables()
