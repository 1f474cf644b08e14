"""Reads the table of instruments from Python: names, ticks, exponents of rows. Beside the corridor, for commands and tests.

Hard rule: reads only, and trusts nothing: in another process the core may be in the middle of a row.
"""

from dataclasses import dataclass

import numpy as np

from gateway.core.decimals import EXPONENT_LAST, text_of
from gateway.layout import names, value

IN_USE = value("LISTING_IN_USE")
SYMBOL_BYTES = value("INSTRUMENT_SYMBOL_BYTES")
FLAGS = {number: name.lower() for number, name in sorted(names("listing_flag", "LISTING_").items())}


@dataclass(frozen=True)
class Instrument:
    """One row as a tool sees it; tick and lot in units of 10^exponent, 0 while unknown."""

    row: int
    identifier: int
    layer: int
    symbol: str
    tick: int
    lot: int
    price_exponent: int
    quantity_exponent: int
    off_tick: int
    flags: tuple[str, ...]

    def price_text(self, price: int) -> str:
        """A price of this instrument as an exact decimal."""
        return text_of(price, self.price_exponent)

    def quantity_text(self, quantity: int) -> str:
        """A quantity of this instrument as an exact decimal."""
        return text_of(quantity, self.quantity_exponent)


def instrument_of(rows: np.ndarray, row: int) -> Instrument | None:
    """The instrument of a row of struct instrument; None while the row is free."""
    record = rows[row]
    flags = int(record["flags"])
    if not flags & IN_USE:
        return None
    symbol_bytes = min(int(record["symbol_bytes"]), SYMBOL_BYTES)
    return Instrument(
        row=row,
        identifier=int(record["identifier"]),
        layer=int(record["layer"]),
        symbol=_symbol(record["symbol"], symbol_bytes),
        tick=int(record["tick"]),
        lot=int(record["lot"]),
        price_exponent=_exponent(record["price_exponent"]),
        quantity_exponent=_exponent(record["quantity_exponent"]),
        off_tick=int(record["off_tick"]),
        flags=tuple(name for bit, name in FLAGS.items() if flags & bit),
    )


def read_instruments(rows: np.ndarray) -> list[Instrument]:
    """Every row in use, by row."""
    found = (instrument_of(rows, int(row)) for row in np.flatnonzero(rows["flags"] & IN_USE))
    return [instrument for instrument in found if instrument is not None]


def name_of(row: int, rows: np.ndarray, books: np.ndarray) -> str:
    """What a person calls a row: its symbol here, else the book's (feeds that number rows themselves), else a number."""
    instrument = instrument_of(rows, row) if row < len(rows) else None
    if instrument is not None and instrument.symbol:
        return instrument.symbol
    symbol = _symbol(books[row]["symbol"], 8).rstrip() if row < len(books) else ""
    return symbol or str(instrument.identifier if instrument is not None else row)


def _symbol(stored: bytes, symbol_bytes: int) -> str:
    text = stored[:symbol_bytes].decode("utf-8", "replace").rstrip("\0")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _exponent(stored: np.integer) -> int:
    return max(-EXPONENT_LAST, min(EXPONENT_LAST, int(stored)))
