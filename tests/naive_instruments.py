"""The table of instruments as a dictionary, and exact decimals by decimal.Decimal: slow and obvious."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

UNITS_MAX = (1 << 62) - 1
EXACT, OFF, REFUSED = 0, 1, 2
WIDE = Context(prec=1500, Emax=10_000, Emin=-10_000)
NOISE = Decimal(2) ** -48


def units_of(number: Decimal, exponent: int) -> tuple[int, int]:
    """(units, status) of an exact number."""
    scaled = number.scaleb(-exponent, WIDE)
    units = scaled.to_integral_value(ROUND_HALF_EVEN, WIDE)
    if abs(units) > UNITS_MAX:
        return 0, REFUSED
    return int(units), EXACT if units == scaled else OFF


def units_of_double(number: float, exponent: int, tick: int = 0) -> tuple[int, int]:
    """(units, status) of a double, which means the decimal it is next to."""
    if number != number or number in (float("inf"), float("-inf")):
        return 0, REFUSED
    exact = Decimal(number)
    units, status = units_of(exact, exponent)
    if status == REFUSED:
        return 0, REFUSED
    if abs(exact - Decimal(units).scaleb(exponent, WIDE)) > abs(exact) * NOISE:
        return units, OFF
    return units, OFF if tick and units % tick else EXACT


def units_of_text(text: str, exponent: int) -> tuple[int, int]:
    """(units, status) of a decimal text as JSON writes it, a plus sign and leading zeros allowed."""
    mantissa, mark, power = text.lower().partition("e")
    whole, dot, rest = mantissa.lstrip("+-").partition(".")
    formed = mantissa.count("+") + mantissa.count("-") <= 1 and mantissa[:1] not in (".", "")
    formed = formed and whole.isdigit() and (rest.isdigit() if dot else True)
    formed = formed and (not mark or (1 <= len(power.lstrip("+-")) <= 3 and power.lstrip("+-").isdigit()))
    significant = (whole + rest).strip("0")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return 0, REFUSED
    if not formed or len(text) > 64 or len(significant) > 18:
        return 0, REFUSED
    shift = int(number.normalize(WIDE).as_tuple().exponent) - exponent if number else 0
    return (0, REFUSED) if abs(shift) > 18 else units_of(number, exponent)


@dataclass
class NaiveInstruments:
    """Identifier and layer, or text and layer → row, in the order of their first sight."""

    rows_max: int
    first: int = 0
    rows: dict[tuple[int | bytes, int], int] = field(default_factory=dict)
    refused: int = 0

    def row_for(self, key: int | bytes, layer: int) -> int:
        """The row; -1: full, or a text that is empty or too long."""
        if isinstance(key, bytes) and not 1 <= len(key) <= 48:
            self.refused += 1
            return -1
        if (key, layer) in self.rows:
            return self.rows[key, layer]
        if len(self.rows) == self.rows_max:
            self.refused += 1
            return -1
        self.rows[key, layer] = self.first + len(self.rows)
        return self.rows[key, layer]

    def find(self, key: int | bytes, layer: int) -> int:
        """The row, or -1."""
        return self.rows.get((key, layer), -1)
