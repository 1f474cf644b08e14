"""Instruments by row ④: the venue's identifier or text → the row that books ⑤, gate ⑦ and tools know it by.

    row = row_for(table, identifier, layer)                  numbers: the decoder's path, one line touched
    row = row_for_text(table, address, size, layer)          texts, by a hash that is never believed by itself
    define(table, row, tick, lot, price exponent, quantity exponent, symbol, bytes)

A row is given out when an identifier is first seen, and for good. Hard rule: two instruments never share a row, and the
exponent of a row does not change under prices that stand in its book.
"""

from typing import Any

import numpy as np

from gateway.core.decimals import EXPONENT_LAST
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    address_of,
    copy_bytes,
    load_i64,
    load_u8,
    load_u32,
    multiply_wrapping,
    shift_right,
    store_i64,
    store_u32,
)
from gateway.layout import dtype, offsets, size, value

TABLE = offsets("instrument_table")
SLOT = offsets("instrument_slot")
ROW = offsets("instrument")
BOOK = offsets("book")
ROW_BYTES, SLOT_BYTES, BOOK_BYTES = size("instrument"), size("instrument_slot"), size("book")
IN_USE, DEFINED, BY_TEXT = value("LISTING_IN_USE"), value("LISTING_DEFINED"), value("LISTING_BY_TEXT")
SYMBOL_BYTES, PROBES = value("INSTRUMENT_SYMBOL_BYTES"), value("INSTRUMENT_PROBES")
LAYERS_OF_DEPTH = 4
TEXT_LAYER = value("INSTRUMENT_BY_TEXT")
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd
LAYER_MULTIPLIER = 0x2545F4914F6CDD1D
TEXT_MULTIPLIER = 0x5851F42D4C957F2D
NO_ROW = -1


@leaf
def row_of(table, row):
    """Address of a row's struct instrument."""
    return load_i64(table + TABLE.rows) + row * ROW_BYTES


@leaf
def row_for(table, identifier, layer):
    """The row of an identifier, given out if it is new; -1: no room, the caller counts FEED_INSTRUMENTS_FULL.

    Layers are 0 … 2^30 - 1; the bits above are not looked at.
    """
    layer &= TEXT_LAYER - 1
    slot = home_of(table, identifier, layer)
    if load_i64(slot + SLOT.identifier) == identifier and load_u32(slot + SLOT.layer) == layer:
        row = load_u32(slot + SLOT.row_next) - 1
        if row >= 0:
            return row
    return probe(table, identifier, layer, 0, 0, 1)


@kernel
def find_row(table, identifier, layer):
    """The row of an identifier; -1: not seen yet."""
    return probe(table, identifier, layer & (TEXT_LAYER - 1), 0, 0, 0)


@kernel
def row_for_text(table, text, size_bytes, layer):
    """The row of an instrument that the venue names by text; -1: no room, or a text that is empty or too long."""
    if size_bytes <= 0 or size_bytes > SYMBOL_BYTES:
        store_i64(table + TABLE.refused, load_i64(table + TABLE.refused) + 1)
        return NO_ROW
    return probe(table, hash_text(text, size_bytes), layer & (TEXT_LAYER - 1) | TEXT_LAYER, text, size_bytes, 1)


@kernel
def find_row_text(table, text, size_bytes, layer):
    """The row of a text; -1: not seen yet."""
    if size_bytes <= 0 or size_bytes > SYMBOL_BYTES:
        return NO_ROW
    return probe(table, hash_text(text, size_bytes), layer & (TEXT_LAYER - 1) | TEXT_LAYER, text, size_bytes, 0)


@leaf
def home_of(table, identifier, layer):
    """Address of the slot an entry would like to stand in."""
    multiplier = load_i64(table + TABLE.multiplier)
    mixed = multiply_wrapping(identifier ^ multiply_wrapping(layer, LAYER_MULTIPLIER), multiplier)
    mixed = multiply_wrapping(mixed ^ shift_right(mixed, 32), multiplier)
    return load_i64(table + TABLE.slots) + shift_right(mixed, load_i64(table + TABLE.slot_shift)) * SLOT_BYTES


@kernel
def probe(table, identifier, layer, text, size_bytes, allocate):
    """Walks from the home slot to the entry or to a free slot, PROBES slots at most; `text` 0: numbers alone decide."""
    slots = load_i64(table + TABLE.slots)
    last = slots + load_i64(table + TABLE.slot_mask) * SLOT_BYTES
    slot = home_of(table, identifier, layer)
    for _ in range(PROBES):
        row = load_u32(slot + SLOT.row_next) - 1
        if row < 0:
            return occupy(table, slot, identifier, layer, text, size_bytes) if allocate else NO_ROW
        same = load_i64(slot + SLOT.identifier) == identifier and load_u32(slot + SLOT.layer) == layer
        if same and (text == 0 or same_symbol(row_of(table, row), text, size_bytes) != 0):
            return row
        slot = slot + SLOT_BYTES if slot != last else slots
    if allocate:
        store_i64(table + TABLE.refused, load_i64(table + TABLE.refused) + 1)
    return NO_ROW


@kernel
def occupy(table, slot, identifier, layer, text, size_bytes):
    """The next free row, in this slot; readers elsewhere see it complete, its flags are written last."""
    used = load_i64(table + TABLE.used)
    if used >= load_i64(table + TABLE.rows_max):
        store_i64(table + TABLE.refused, load_i64(table + TABLE.refused) + 1)
        return NO_ROW
    row = load_i64(table + TABLE.first) + used
    address = row_of(table, row)
    store_i64(address + ROW.identifier, identifier)
    store_u32(address + ROW.layer, layer & ~TEXT_LAYER)
    store_i64(address + ROW.tick, load_i64(table + TABLE.tick))
    store_i64(address + ROW.lot, load_i64(table + TABLE.lot))
    store_u32(address + ROW.price_exponent, load_u32(table + TABLE.price_exponent))
    store_u32(address + ROW.quantity_exponent, load_u32(table + TABLE.quantity_exponent))
    layer_here, books = layer & ~TEXT_LAYER, load_i64(table + TABLE.books)
    if books != 0 and 1 <= layer_here <= LAYERS_OF_DEPTH:
        depth = load_u32(table + TABLE.layer_depths + 4 * (layer_here - 1))
        store_u32(books + row * BOOK_BYTES + BOOK.depth, depth)
    flags = IN_USE
    if text != 0:
        name_row(address, text, size_bytes)
        flags |= BY_TEXT
    store_u32(address + ROW.flags, flags)
    store_i64(slot + SLOT.identifier, identifier)
    store_u32(slot + SLOT.layer, layer)
    store_u32(slot + SLOT.row_next, row + 1)
    store_i64(table + TABLE.used, used + 1)
    return row


@kernel
def hash_text(text, size_bytes):
    """64 bits of a text of 1 to 48 bytes. Not proof against a forger, and need not be: the texts are compared too."""
    mixed = multiply_wrapping(size_bytes, TEXT_MULTIPLIER)
    for position in range(size_bytes):
        mixed = multiply_wrapping(mixed ^ load_u8(text + position), TEXT_MULTIPLIER)
        mixed ^= shift_right(mixed, 29)
    return mixed


@leaf
def same_symbol(row, text, size_bytes):
    """1 when the row's symbol is this text."""
    return same_text(row + ROW.symbol, load_u32(row + ROW.symbol_bytes), text, size_bytes)


@kernel
def same_text(first, first_bytes, second, second_bytes):
    """1 when two texts are the same, byte by byte."""
    if first_bytes != second_bytes:
        return 0
    for position in range(first_bytes):
        if load_u8(first + position) != load_u8(second + position):
            return 0
    return 1


@kernel
def name_row(row, text, size_bytes):
    """Sets the symbol of a row, padded with zeros; the caller has bounded the size by 48."""
    for offset in range(0, SYMBOL_BYTES, 8):
        store_i64(row + ROW.symbol + offset, 0)
    copy_bytes(row + ROW.symbol, text, size_bytes)
    store_u32(row + ROW.symbol_bytes, size_bytes)


@kernel
def define(table, row, tick, lot, price_exponent, quantity_exponent, symbol, symbol_bytes):
    """What a definition says of a row; tick or lot 0 and symbol_bytes 0: not said, what is known stays. 1: taken.

    Refused whole, and counted in `contradicted`: a negative tick or lot, an exponent outside -18 … 18, a symbol that is too
    long, another symbol for a row that is found by its text, another exponent under a book that has prices. After the last,
    what the venue means by its prices is not what the book holds: the caller marks it BOOK_FAULT.
    """
    address = row_of(table, row)
    if not may_define(table, row, address, price_exponent, quantity_exponent, symbol, symbol_bytes) or tick < 0 or lot < 0:
        store_i64(table + TABLE.contradicted, load_i64(table + TABLE.contradicted) + 1)
        return 0
    if tick != 0:
        store_i64(address + ROW.tick, tick)
    if lot != 0:
        store_i64(address + ROW.lot, lot)
    store_u32(address + ROW.price_exponent, price_exponent)
    store_u32(address + ROW.quantity_exponent, quantity_exponent)
    if symbol_bytes != 0 and load_u32(address + ROW.flags) & BY_TEXT == 0:
        name_row(address, symbol, symbol_bytes)
    store_u32(address + ROW.flags, load_u32(address + ROW.flags) | IN_USE | DEFINED)
    return 1


@kernel
def may_define(table, row, address, price_exponent, quantity_exponent, symbol, symbol_bytes):
    """Whether a definition contradicts neither the bounds nor what stands on the row."""
    if abs(price_exponent) > EXPONENT_LAST or abs(quantity_exponent) > EXPONENT_LAST:
        return False
    if symbol_bytes < 0 or symbol_bytes > SYMBOL_BYTES:
        return False
    fixed = symbol_bytes != 0 and load_u32(address + ROW.flags) & BY_TEXT != 0
    if fixed and same_symbol(address, symbol, symbol_bytes) == 0:
        return False
    same = load_u32(address + ROW.price_exponent) == price_exponent & 0xFFFFFFFF
    same = same and load_u32(address + ROW.quantity_exponent) == quantity_exponent & 0xFFFFFFFF
    return same or not has_prices(table, row)


@kernel
def has_prices(table, row):
    """Whether the book of this row holds, or ever printed, a price."""
    books = load_i64(table + TABLE.books)
    if books == 0:
        return False
    book = books + row * BOOK_BYTES
    quantities = load_i64(book + BOOK.bid_quantity) | load_i64(book + BOOK.ask_quantity)
    return (quantities | load_u32(book + BOOK.orders) | load_i64(book + BOOK.last_price)) != 0


@leaf
def price_exponent_of(table, row):
    """Exponent of a row's prices, signed."""
    return signed_32(load_u32(row_of(table, row) + ROW.price_exponent))


@leaf
def quantity_exponent_of(table, row):
    """Exponent of a row's quantities, signed."""
    return signed_32(load_u32(row_of(table, row) + ROW.quantity_exponent))


@leaf
def tick_of(table, row):
    """Tick of a row in units of its price; 0: not known."""
    return load_i64(row_of(table, row) + ROW.tick)


@leaf
def signed_32(word):
    """The signed number in the low 32 bits."""
    return (word ^ 0x80000000) - 0x80000000


@leaf
def count_off_tick(table, row):
    """One more price of this row that was no multiple of its tick; the caller counts FEED_OFF_TICK."""
    address = row_of(table, row) + ROW.off_tick
    store_i64(address, load_i64(address) + 1)


class Instruments:
    """A table of instruments: `address` is the struct instrument_table that kernels and struct decoder take.

    `rows` is a live view of the struct instrument rows, all feeds' of them. Keep the object alive.
    """

    def __init__(self, handle: np.ndarray, rows: np.ndarray, slots: np.ndarray, keep: Any):
        self.handle = handle
        self.rows = rows
        self.slots = slots
        self.address = address_of(handle)
        self._keep = keep


def make_instruments(
    rows: np.ndarray | int,
    *,
    first: int = 0,
    rows_max: int | None = None,
    price_exponent: int = 0,
    quantity_exponent: int = 0,
    tick: int = 0,
    lot: int = 0,
    books: int = 0,
    layer_depths: tuple[int, ...] = (),
    multiplier: int = MULTIPLIER,
) -> Instruments:
    """A table over rows of struct instrument: the array of a shared region, or a number of rows of its own memory.

    The table gives out `rows_max` rows from row `first` on (None: all behind it); they must be zeros. Exponents, tick and
    lot are what a new row begins with; `books` is the address of struct book 0, so that exponents are guarded;
    `layer_depths` are levels a side of books of layers 1 to 4 (0: as the store says); `multiplier` is odd.
    Raises ValueError for what cannot be.
    """
    array = np.zeros(rows, dtype=dtype("instrument")) if isinstance(rows, int) else rows
    if rows_max is None:
        rows_max = len(array) - first
    if first < 0 or rows_max < 1 or first + rows_max > len(array):
        raise ValueError(f"rows {first} to {first + rows_max} of {len(array)}: use rows that are there")
    if max(abs(price_exponent), abs(quantity_exponent)) > EXPONENT_LAST or multiplier % 2 == 0:
        raise ValueError(f"exponents {price_exponent}, {quantity_exponent}: use -18 to 18; and an odd multiplier")
    if tick < 0 or lot < 0:
        raise ValueError(f"tick {tick}, lot {lot}: use 0 for unknown, or more")
    slots = np.zeros(1 << max(4, (2 * rows_max - 1).bit_length()), dtype=dtype("instrument_slot"))
    handle = np.zeros(1, dtype=dtype("instrument_table"))
    row = handle[0]
    row["rows"], row["slots"], row["slot_mask"] = address_of(array), address_of(slots), len(slots) - 1
    row["slot_shift"], row["multiplier"] = 65 - len(slots).bit_length(), multiplier
    row["first"], row["rows_max"], row["books"] = first, rows_max, books
    row["price_exponent"], row["quantity_exponent"] = price_exponent, quantity_exponent
    row["tick"], row["lot"] = tick, lot
    row["layer_depths"][: len(layer_depths)] = layer_depths
    return Instruments(handle, array, slots, rows)
