"""Gives an instrument its gate row when the venue's directory defines it: between book ⑤ and gate ⑦, once a day each.

Hard rule: an instrument that is not permitted by name keeps a zeroed row, which denies every order.
"""

from typing import Any

import numpy as np

from gateway import limits
from gateway.core.kernel import kernel
from gateway.core.memory import address_of, copy_bytes, load_i64, load_u32, multiple_of, relaxed, store_i64
from gateway.layout import dtype, offsets, size, value

ADMISSION = offsets("admission")
EVENT = offsets("event")
ROW = offsets("gate_row")
ROW_BYTES = size("gate_row")
LIMITS_BYTES = offsets("gate_row").halted  # what a halt says is control's; the lines of state behind it are core's
FULL_WORD = (1 << 64) - 1  # every number is a multiple of 1
ACCOUNT = offsets("post_trade_account")
SYMBOLS_AT, SYMBOLS_MAX, SYMBOL_BYTES = size("post_trade_account"), limits.HALTED_SYMBOLS_MAX, size("halted_symbol")
GAP_BIT = 1 << value("POST_TRADE_GAP")
PERMITTED, RESTRICTED = value("INSTRUMENT_PERMITTED"), value("INSTRUMENT_RESTRICTED")


@kernel
def admit(admission, gate_rows, event):
    """Writes the limits of the instrument that an EVENT_INSTRUMENT defines; its state stays as it is."""
    symbol = load_i64(event + EVENT.order_id)
    row = gate_rows + load_u32(event + EVENT.instrument) * ROW_BYTES
    permitted = load_i64(admission + ADMISSION.permit_all) != 0 or contains(
        load_i64(admission + ADMISSION.permitted), load_i64(admission + ADMISSION.permitted_count), symbol
    )
    if not permitted:
        return
    words, count = load_i64(admission + ADMISSION.named), load_i64(admission + ADMISSION.named_count)
    place = place_of(words, count, symbol)
    named = place < count and load_i64(words + place * 8) == symbol
    chosen = load_i64(admission + ADMISSION.named_limits) + place * ROW_BYTES if named else admission + ADMISSION.limits
    if is_halted(load_i64(admission + ADMISSION.halted), symbol):
        store_i64(row + ROW.halted, load_i64(row + ROW.halted) | GAP_BIT)
    copy_bytes(row, chosen, LIMITS_BYTES)
    tick = load_i64(event + EVENT.price)
    store_i64(row + ROW.tick, tick)
    store_i64(row + ROW.tick_multiple, multiple_of(tick))
    restricted = contains(
        load_i64(admission + ADMISSION.restricted), load_i64(admission + ADMISSION.restricted_count), symbol
    )
    flags = load_i64(row + ROW.flags) | PERMITTED
    store_i64(row + ROW.flags, flags | RESTRICTED if restricted else flags)


@kernel
def is_halted(post_trade, symbol):
    """Whether control has halted a symbol, in this run or an earlier one; `post_trade` is the region's address, 0: none."""
    if post_trade == 0:
        return False
    for index in range(min(relaxed(post_trade + ACCOUNT.symbols), SYMBOLS_MAX)):
        if relaxed(post_trade + SYMBOLS_AT + index * SYMBOL_BYTES) == symbol:
            return True
    return False


@kernel
def contains(words, count, word):
    """Whether sorted signed words hold one."""
    place = place_of(words, count, word)
    return place < count and load_i64(words + place * 8) == word


@kernel
def place_of(words, count, word):
    """Binary search: the first place whose word is not smaller."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if load_i64(words + middle * 8) < word:
            low = middle + 1
        else:
            high = middle
    return low


def symbol_words(symbols: list[str]) -> np.ndarray:
    """Symbols as sorted signed words, the way ITCH writes them: 8 bytes, space padded."""
    texts = [symbol.encode("ascii").ljust(8) for symbol in symbols]
    return np.sort(np.array([int.from_bytes(text, "little", signed=True) for text in texts], dtype=np.int64))


def make_admission(
    instruments: list[str],
    restricted: list[str],
    terms: dict[str, int],
    named: dict[str, dict[str, int]] | None = None,
    post_trade: int = 0,
) -> tuple[np.ndarray, list[Any]]:
    """A struct admission (array of one) and what it points into, to be kept alive.

    `terms` are fields of struct gate_row for every instrument that may be traded; `named` replaces some of them for
    single symbols; `post_trade` is the address of the region that names halted symbols.
    """
    record = np.zeros(1, dtype=dtype("admission"))
    permitted_words = symbol_words([symbol for symbol in instruments if symbol != "*"])
    restricted_words = symbol_words(restricted)
    record["halted"] = post_trade
    record["permit_all"] = int("*" in instruments)
    record["permitted"], record["permitted_count"] = address_of(permitted_words), len(permitted_words)
    record["restricted"], record["restricted_count"] = address_of(restricted_words), len(restricted_words)
    terms = {"lot": 1, "lot_multiple": FULL_WORD, **terms}  # Nasdaq trades odd lots
    fill(record["limits"], terms)
    symbols = sorted(named or {}, key=lambda symbol: int(symbol_words([symbol])[0]))
    named_words, named_limits = symbol_words(symbols), np.zeros(max(1, len(symbols)), dtype=dtype("gate_row"))
    for index, symbol in enumerate(symbols):
        fill(named_limits[index : index + 1], {**terms, **(named or {})[symbol]})
    record["named"], record["named_count"] = address_of(named_words), len(named_words)
    record["named_limits"] = address_of(named_limits)
    return record, [permitted_words, restricted_words, named_words, named_limits]


def fill(row: np.ndarray, limits: dict[str, int]) -> None:
    """Fields of a struct gate_row (array of one)."""
    for field, number in limits.items():
        row[field] = number
