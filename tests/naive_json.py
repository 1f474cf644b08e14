"""JSON the slow way: orjson says whether a text is JSON, the standard library reads it, numbers as text, repeats visible."""

import json
import re
from decimal import Decimal
from typing import Any

import orjson

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
DIGITS_MAX = 10**18 - 1
UNITS_MAX = 2**62 - 1
DEPTH_MAX = 60


class Refused(Exception):
    """The message is refused."""


class Number(str):
    """A bare number as it was printed."""


class Pairs(list[tuple[str, Any]]):
    """An object: its keys and values in their order."""


def load(data: bytes) -> Any:
    """The value of a JSON text; raises Refused. Numbers beyond a double's range count as refused, as by orjson."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Refused("no JSON") from None
    return json.loads(data, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number)


def get(pairs: Any, key: str) -> Any:
    """The value of a key, None when it is null or not there. Raises Refused when it is there twice."""
    if not isinstance(pairs, Pairs):
        raise Refused("no object")
    found = [value for name, value in pairs if name == key and value is not None]
    if len(found) > 1:
        raise Refused(f"{key} twice")
    return found[0] if found else None


def text(pairs: Any, key: str) -> str | None:
    """A string."""
    value = get(pairs, key)
    if value is not None and (not isinstance(value, str) or isinstance(value, Number) or len(value.encode()) > 10_000):
        raise Refused(f"{key} is no text")
    return value


def decimal_of(value: Any) -> Decimal:
    """A number, bare or quoted, with at most 18 significant digits."""
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise Refused("no number")
    sign, digits, exponent = Decimal(value).as_tuple()
    assert isinstance(exponent, int)
    mantissa = int("".join(map(str, digits)))
    fraction = len(NUMBER.fullmatch(value)[2] or ".") - 1  # type: ignore[index]
    while mantissa > DIGITS_MAX and fraction and mantissa % 10 == 0:
        mantissa, fraction = mantissa // 10, fraction - 1
    if mantissa > DIGITS_MAX or (mantissa and abs(exponent) > 9999):
        raise Refused("too long")
    return Decimal(value)


def decimal(pairs: Any, key: str) -> Decimal | None:
    """A number, bare or quoted."""
    value = get(pairs, key)
    return None if value is None else decimal_of(value)


def integer(pairs: Any, key: str) -> int | None:
    """A number without fraction."""
    value = decimal(pairs, key)
    if value is not None and value.as_tuple().exponent != 0:
        raise Refused(f"{key} is not whole")
    return None if value is None else int(value)


def units(value: Decimal, exponent: int) -> int:
    """In units of 10^exponent."""
    result = value.scaleb(-exponent)
    if result != result.to_integral_value() or abs(result) > UNITS_MAX:
        raise Refused("no whole number of units")
    return int(result)


def rows_of(value: Any, side: int, named: bool = False) -> list[tuple[int, Decimal, Decimal, list[Any]]]:
    """(side, price, quantity, rest) of an array of levels; `named`: a text may stand in front."""
    if not isinstance(value, list) or isinstance(value, Pairs):
        raise Refused("no array of levels")
    result = []
    for level in value:
        if not isinstance(level, list) or isinstance(level, Pairs) or not level:
            raise Refused("no level")
        first, gone, of_side = level[0], False, side
        if named and isinstance(first, str) and not isinstance(first, Number) and not re.match(r'[\x00-9"]', first):
            if first not in ("buy", "sell", "new", "change", "delete"):
                raise Refused("no action")
            of_side, gone, level = {"buy": 1, "sell": 2}.get(first, side), first == "delete", level[1:]
        if len(level) < 2 or of_side == 0:
            raise Refused("short level")
        price, quantity = decimal_of(level[0]), decimal_of(level[1])
        result.append((of_side, price, Decimal(0) if gone else quantity, level[2:]))
    return result
