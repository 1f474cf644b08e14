"""Positions carried over from earlier days ⑤→⑦: an instrument has its own from the moment the directory names it.

Hard rule: once. The row says what was given, so a directory that is said twice gives nothing twice.
"""

from typing import Any

import numpy as np

from gateway.core.admission import ADMISSION, place_of, symbol_words
from gateway.core.counters import add_to
from gateway.core.kernel import kernel
from gateway.core.memory import address_of, load_i64, load_u32, store_i64
from gateway.core.portfolio import HOLDING, ROW, ROW_BYTES, holding_at, settle_row
from gateway.layout import dtype, offsets, size

PATH = offsets("order_path")
EVENT = offsets("event")
CARRIED = offsets("carried_position")
CARRIED_BYTES = size("carried_position")
OWNER_ROW = 0  # the strategy that may reduce it


@kernel
def carry(path, admission, event):
    """Gives the instrument of an EVENT_INSTRUMENT what is held from earlier days."""
    count, symbol = load_i64(admission + ADMISSION.carried_count), load_i64(event + EVENT.order_id)
    place = place_of(load_i64(admission + ADMISSION.carried_words), count, symbol)
    if place >= count or load_i64(load_i64(admission + ADMISSION.carried_words) + place * 8) != symbol:
        return
    carried = load_i64(admission + ADMISSION.carried) + place * CARRIED_BYTES
    if load_i64(carried + CARRIED.given) != 0:
        return
    store_i64(carried + CARRIED.given, 1)
    instrument = load_u32(event + EVENT.instrument)
    quantity, price = load_i64(carried + CARRIED.quantity), load_i64(carried + CARRIED.price)
    row, holding = load_i64(path + PATH.rows) + instrument * ROW_BYTES, holding_at(path, OWNER_ROW, instrument)
    add_to(row + ROW.position, quantity)
    add_to(row + ROW.cash, -quantity * price)
    add_to(row + ROW.cost, quantity * price)
    add_to(holding + HOLDING.position, quantity)
    add_to(holding + HOLDING.cash, -quantity * price)
    add_to(holding + HOLDING.cost, quantity * price)
    if load_i64(row + ROW.mark) == 0:
        store_i64(row + ROW.mark, price)
    settle_row(path, row)


def fill_carried(admission: np.ndarray, positions: dict[str, tuple[int, int]]) -> list[Any]:
    """Writes (signed quantity, price) by symbol into a struct admission; returns what must be kept alive."""
    symbols = sorted(positions, key=lambda symbol: int(symbol_words([symbol])[0]))
    words, rows = symbol_words(symbols), np.zeros(max(1, len(symbols)), dtype=dtype("carried_position"))
    for index, symbol in enumerate(symbols):
        rows["quantity"][index], rows["price"][index] = positions[symbol]
    admission["carried_words"], admission["carried"] = address_of(words), address_of(rows)
    admission["carried_count"] = len(symbols)
    return [words, rows]
