"""The file of instruments, beside the corridor: symbols, identifiers, ticks and lots that no definition message brings.

    [[instrument]]                             symbol,identifier,tick,lot,price_exponent,quantity_exponent
    symbol = "BTC-PERPETUAL"                   BTC-PERPETUAL,210838,0.5,10,-4,0
    identifier = 210838
    tick = 0.5                                 NAME.toml and NAME.csv say the same; tick and lot are exact decimals
    price_exponent = -4

Hard rule: what does not come out as whole units is refused with its line, never rounded.
"""

import csv
import io
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.decimals import EXPONENT_LAST, UNITS_MAX
from gateway.core.instruments import NO_ROW, SYMBOL_BYTES, Instruments, define, row_for, row_for_text
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError

KEYS = ("symbol", "identifier", "layer", "tick", "lot", "price_exponent", "quantity_exponent")
FILE_BYTES_MAX = 1 << 26
LAYER_LAST = (1 << 30) - 1
TABLE_LINE = re.compile(r"\s*\[\[\s*instrument\s*\]\]")


@dataclass(frozen=True)
class Listing:
    """One instrument of a file: tick and lot in units of their exponents, 0 where the file is silent."""

    line: int
    symbol: str
    identifier: int | None  # None: the venue names it by its symbol
    layer: int
    tick: int
    lot: int
    price_exponent: int
    quantity_exponent: int


def load_instrument_file(path: Path | str, price_exponent: int = 0, quantity_exponent: int = 0) -> list[Listing]:
    """Every instrument of a TOML or CSV file; the exponents are for entries that state none.

    Raises ConfigurationError, one line that names file, line and mend.
    """
    path = Path(path)
    text = _text_of_file(path)
    entries = _toml_entries(path, text) if path.suffix == ".toml" else _csv_entries(path, text)
    listings: list[Listing] = []
    seen: dict[tuple[Any, ...], int] = {}
    for line, entry in entries:
        try:
            listing = _listing(line, entry, {"price_exponent": price_exponent, "quantity_exponent": quantity_exponent})
        except ValueError as problem:
            raise ConfigurationError(f"{path}:{line}: {problem}") from None
        key = (listing.layer, listing.symbol if listing.identifier is None else listing.identifier)
        if key in seen:
            raise ConfigurationError(f"{path}:{line}: the same instrument stands in line {seen[key]}; remove one")
        if len(listings) == limits.INSTRUMENTS_MAX:
            raise ConfigurationError(f"{path}:{line}: more than {limits.INSTRUMENTS_MAX} instruments; leave some out")
        seen[key] = line
        listings.append(listing)
    return listings


def define_listings(instruments: Instruments, listings: list[Listing]) -> list[int]:
    """Gives every listing its row and defines it; the rows. Raises ConfigurationError where the table refuses."""
    rows = []
    for listing in listings:
        symbol = np.frombuffer(listing.symbol.encode() or b"\0", dtype=np.uint8)
        address, symbol_bytes = address_of(symbol), len(listing.symbol.encode())
        if listing.identifier is None:
            row = row_for_text(instruments.address, address, symbol_bytes, listing.layer)
        else:
            row = row_for(instruments.address, _signed(listing.identifier), listing.layer)
        exponents = (listing.price_exponent, listing.quantity_exponent)
        if row == NO_ROW or not define(
            instruments.address, row, listing.tick, listing.lot, *exponents, address, symbol_bytes
        ):
            reason = "no row is left for it" if row == NO_ROW else "it contradicts what the table already holds"
            raise ConfigurationError(f"instrument in line {listing.line}: {reason}; leave it out")
        rows.append(row)
    return rows


def _text_of_file(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigurationError(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB; is it a file of instruments?")
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path}: {problem.strerror or problem}") from None
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"{path}: byte {problem.start} is no UTF-8; save the file as UTF-8") from None


def _toml_entries(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: {problem}") from None
    except InvalidOperation:
        raise ConfigurationError(f"{path}: a number that no decimal holds; write tick and lot as plain decimals") from None
    entries = tables.pop("instrument", [])
    listed = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if tables or not listed:
        name = next(iter(tables), "instrument")
        raise ConfigurationError(f"{path}: {name} is no table of instruments; write [[instrument]] before each")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if TABLE_LINE.match(line)]
    for index, entry in enumerate(entries):
        yield (lines[index] if index < len(lines) else 1), entry


def _csv_entries(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        for entry in reader:
            if "" in entry or None in entry.values():
                raise ConfigurationError(f"{path}:{reader.line_num}: not as many columns as the first line has")
            yield reader.line_num, {key.strip(): word.strip() for key, word in entry.items() if word.strip()}
    except csv.Error as problem:
        raise ConfigurationError(f"{path}:{reader.line_num}: {problem}") from None


def _listing(line: int, entry: dict[str, Any], default: dict[str, int]) -> Listing:
    unknown = next((key for key in entry if key not in KEYS), None)
    if unknown is not None:
        raise ValueError(f"{unknown!r} is no key; use {', '.join(KEYS)}")
    symbol = entry.get("symbol", "")
    if not isinstance(symbol, str) or len(symbol.encode()) > SYMBOL_BYTES or not symbol.isprintable():
        raise ValueError(f"symbol is no text of at most {SYMBOL_BYTES} bytes")
    if not symbol and "identifier" not in entry:
        raise ValueError("neither symbol nor identifier; write one")
    identifier = _whole(entry, "identifier", 0, (1 << 64) - 1) if "identifier" in entry else None
    exponents = {key: _whole(entry, key, -EXPONENT_LAST, EXPONENT_LAST) if key in entry else default[key] for key in default}
    return Listing(
        line=line,
        symbol=symbol,
        identifier=identifier,
        layer=_whole(entry, "layer", 0, LAYER_LAST) if "layer" in entry else 0,
        tick=_units(entry, "tick", exponents["price_exponent"]),
        lot=_units(entry, "lot", exponents["quantity_exponent"]),
        **exponents,
    )


def _decimal(entry: dict[str, Any], key: str) -> Decimal:
    written = entry[key]
    try:
        number = Decimal(written) if isinstance(written, str | int | Decimal) and not isinstance(written, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise ValueError(f"{key} is no decimal number")
    return number


def _whole(entry: dict[str, Any], key: str, first: int, last: int) -> int:
    number = _decimal(entry, key)
    if not first <= number <= last or number != int(number):
        raise ValueError(f"{key} is {number}: use a whole number from {first} to {last}")
    return int(number)


def _units(entry: dict[str, Any], key: str, exponent: int) -> int:
    if key not in entry:
        return 0
    number = _decimal(entry, key)
    sign, digits, power = number.as_tuple()
    if sign or not any(digits):
        raise ValueError(f"{key} is {number}: use a number above zero, or leave it out")
    assert isinstance(power, int)
    shift = power - exponent
    mantissa = int("".join(map(str, digits)))
    if shift > 2 * EXPONENT_LAST or shift < -2 * EXPONENT_LAST - len(digits):
        raise ValueError(f"{key} is {number}: too far from 10^{exponent}")
    units, rest = (mantissa * 10**shift, 0) if shift >= 0 else divmod(mantissa, 10**-shift)
    if rest:
        raise ValueError(f"{key} {number} is no multiple of 10^{exponent}; write a smaller exponent")
    if units > UNITS_MAX:
        raise ValueError(f"{key} is {number}: too large in units of 10^{exponent}")
    return units


def _signed(identifier: int) -> int:
    return identifier - (1 << 64) if identifier >= 1 << 63 else identifier
