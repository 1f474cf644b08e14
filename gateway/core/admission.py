"""Gives an instrument its gate row when the venue's directory defines it: between book ⑤ and gate ⑦, once a day each.

Hard rule: an instrument that is not permitted by name keeps a zeroed row, which denies every order.
"""

from typing import Any

import numpy as np
from numba import njit

from gateway.core.memory import address_of, copy_bytes, load_i64, load_u32, store_i64
from gateway.layout import dtype, offsets, size, value

ADMISSION = offsets("admission")
EVENT = offsets("event")
ROW = offsets("gate_row")
ROW_BYTES = size("gate_row")
LIMITS_BYTES = offsets("gate_row").position  # the line of limits; the line of state behind it is core's
PERMITTED, RESTRICTED = value("INSTRUMENT_PERMITTED"), value("INSTRUMENT_RESTRICTED")


@njit
def admit(admission, gate_rows, event):
    """Writes the limits line of the instrument that an EVENT_INSTRUMENT defines; its state line stays as it is."""
    symbol = load_i64(event + EVENT.order_id)
    row = gate_rows + load_u32(event + EVENT.instrument) * ROW_BYTES
    permitted = load_i64(admission + ADMISSION.permit_all) != 0 or contains(
        load_i64(admission + ADMISSION.permitted), load_i64(admission + ADMISSION.permitted_count), symbol
    )
    if not permitted:
        return
    copy_bytes(row, admission + ADMISSION.limits, LIMITS_BYTES)
    store_i64(row + ROW.tick, load_i64(event + EVENT.price))
    restricted = contains(
        load_i64(admission + ADMISSION.restricted), load_i64(admission + ADMISSION.restricted_count), symbol
    )
    flags = load_i64(row + ROW.flags) | PERMITTED
    store_i64(row + ROW.flags, flags | RESTRICTED if restricted else flags)


@njit
def contains(words, count, word):
    """Binary search in sorted signed words."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if load_i64(words + middle * 8) < word:
            low = middle + 1
        else:
            high = middle
    return low < count and load_i64(words + low * 8) == word


def symbol_words(symbols: list[str]) -> np.ndarray:
    """Symbols as sorted signed words, the way ITCH writes them: 8 bytes, space padded."""
    texts = [symbol.encode("ascii").ljust(8) for symbol in symbols]
    return np.sort(np.array([int.from_bytes(text, "little", signed=True) for text in texts], dtype=np.int64))


def make_admission(instruments: list[str], restricted: list[str], limits: dict[str, int]) -> tuple[np.ndarray, list[Any]]:
    """A struct admission (array of one) and what it points into, to be kept alive; `limits` are fields of gate_row."""
    record = np.zeros(1, dtype=dtype("admission"))
    permitted_words = symbol_words([symbol for symbol in instruments if symbol != "*"])
    restricted_words = symbol_words(restricted)
    record["permit_all"] = int("*" in instruments)
    record["permitted"], record["permitted_count"] = address_of(permitted_words), len(permitted_words)
    record["restricted"], record["restricted_count"] = address_of(restricted_words), len(restricted_words)
    for field, number in limits.items():
        record["limits"][field] = number
    record["limits"]["lot"] = 1  # Nasdaq trades odd lots
    return record, [permitted_words, restricted_words]
