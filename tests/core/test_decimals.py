"""Exact decimals: doubles, mantissas and texts against decimal.Decimal."""

import math
import random
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gateway import kernel_cache
from gateway.core.decimals import EXACT, OFF, REFUSED, UNITS_MAX, rescale, text_of, units_from_double, units_from_text
from gateway.core.memory import address_of
from tests.naive_instruments import NOISE, units_of, units_of_double, units_of_text

CASES = 100_000
SEED = 20_261_121
kernel_cache.prepare()


@njit(cache=True)
def double_units(bits, exponents, ticks, units, statuses):
    """units_from_double of every row."""
    for index in range(len(bits)):
        units[index], statuses[index] = units_from_double(bits[index], exponents[index], ticks[index])


def bits_of(number: float) -> int:
    return struct.unpack("<q", struct.pack("<d", number))[0]


def of_text(text: bytes, exponent: int) -> tuple[int, int]:
    held = np.frombuffer(text or b"\0", dtype=np.uint8)
    return units_from_text(address_of(held), len(text), exponent)


def doubles_of_every_kind(draw: random.Random, exponent: int) -> float:
    kind = draw.randrange(7)
    if kind == 0:  # what a venue sends: the double next to a decimal
        return float(Decimal(draw.randrange(-(1 << 53), 1 << 53)).scaleb(exponent))
    if kind == 1:  # … with the noise of its own arithmetic
        number = float(Decimal(draw.randrange(1 << 50)).scaleb(exponent))
        for _ in range(draw.randrange(40)):
            number = math.nextafter(number, math.inf)
        return number
    if kind == 2:  # half way between two units, or next to it
        number = float(Decimal(2 * draw.randrange(1 << 52) + 1).scaleb(exponent) / 2)
        return math.nextafter(number, draw.choice((-math.inf, math.inf, number)))
    if kind == 3:
        return draw.uniform(-1e6, 1e6)
    if kind == 4:  # where units end
        return math.nextafter(float(Decimal(UNITS_MAX).scaleb(exponent)), draw.choice((0.0, math.inf)))
    if kind == 5:
        return draw.choice((0.0, -0.0, 5e-324, -1e-300, 1e300, math.inf, -math.inf, math.nan, 0.5, 1.5, 2.5))
    return struct.unpack("<d", struct.pack("<Q", draw.getrandbits(64)))[0]


def at_the_bound(number: float, units: int, exponent: int) -> bool:
    if not math.isfinite(number):
        return False
    distance = abs(Decimal(number) - Decimal(units).scaleb(exponent))
    return abs(distance - abs(Decimal(number)) * NOISE) <= Decimal(math.ulp(number))


@pytest.mark.slow
def test_every_double_becomes_the_units_that_decimal_says():
    draw = random.Random(SEED)
    exponents = np.array([-draw.randrange(19) for _ in range(CASES)])
    numbers = np.array([doubles_of_every_kind(draw, int(exponent)) for exponent in exponents])
    ticks = np.array([draw.choice((0, 1, 5, 25, 1000)) for _ in range(CASES)])
    units, statuses = np.zeros(CASES, dtype=np.int64), np.zeros(CASES, dtype=np.int64)
    double_units(numbers.view(np.int64), exponents, ticks, units, statuses)
    seen = set()
    for index in range(CASES):
        case = (float(numbers[index]), int(exponents[index]), int(ticks[index]))
        wanted = units_of_double(*case)
        found = (int(units[index]), int(statuses[index]))
        assert found[0] == wanted[0], f"seed {SEED}: {case} is {found}, Decimal says {wanted}"
        # beyond 2^53 units, and within one unit in the last place of the bound on noise, the status may go either way
        if abs(wanted[0]) < 1 << 53 and not at_the_bound(case[0], wanted[0], case[1]):
            assert found == wanted, f"seed {SEED}: {case} is {found}, Decimal says {wanted}"
        seen.add(found[1])
    assert seen == {EXACT, OFF, REFUSED}


@settings(max_examples=300, deadline=None)
@given(number=st.floats(), exponent=st.integers(-18, 0))
def test_any_double_is_rounded_as_decimal_rounds_it(number, exponent):
    assert units_from_double(bits_of(number), exponent, 0)[0] == units_of_double(number, exponent)[0]


@settings(max_examples=300, deadline=None)
@given(units=st.integers(1 - (1 << 52), (1 << 52) - 1), exponent=st.integers(-18, 0))
def test_a_decimal_sent_as_a_double_comes_back_exactly(units, exponent):
    assert units_from_double(bits_of(float(Decimal(units).scaleb(exponent))), exponent, 0) == (units, EXACT)


@pytest.mark.parametrize("exponent", [1, -19, 400])
def test_an_exponent_that_doubles_do_not_have_is_refused(exponent):
    assert units_from_double(bits_of(1.0), exponent, 0) == (0, REFUSED)


def test_a_price_off_the_tick_is_said_and_not_moved():
    assert units_from_double(bits_of(0.0015), -4, 5) == (15, EXACT)
    assert units_from_double(bits_of(0.0005 * 3), -4, 5) == (15, EXACT)
    assert units_from_double(bits_of(0.0017), -4, 5) == (17, OFF)
    assert units_from_double(bits_of(-0.00151), -4, 5) == (-15, OFF)
    assert units_from_double(bits_of(math.nan), -4, 5) == (0, REFUSED)


@settings(max_examples=500, deadline=None)
@given(
    mantissa=st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-1000, 1000),
    exponent=st.integers(-18, 18),
    target=st.integers(-18, 18),
)
def test_a_mantissa_is_moved_exactly_or_says_so(mantissa, exponent, target):
    wanted = units_of(Decimal(mantissa).scaleb(exponent), target)
    if mantissa and (abs(exponent - target) > 18 or mantissa == -(1 << 63)):
        wanted = (0, REFUSED)
    assert rescale(mantissa, exponent, target) == wanted


TEXT = st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{0,4})?", fullmatch=True) | st.text(
    "0159.-+eE x", max_size=9
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(text=TEXT, exponent=st.integers(-18, 4))
def test_a_text_becomes_what_decimal_says_or_nothing(text, exponent):
    assert of_text(text.encode(), exponent) == units_of_text(text, exponent)


def test_texts_of_feeds_are_read_to_the_last_digit():
    assert of_text(b"67012.50000000", -2) == (6_701_250, EXACT)
    assert of_text(b"0.00000001", -8) == (1, EXACT)
    assert of_text(b"-0.5", -1) == (-5, EXACT)
    assert of_text(b"1.5E+2", 0) == (150, EXACT)
    assert of_text(b"100000000000.00000000", -6) == (10**17, EXACT)
    assert of_text(b"0.125", -2) == (12, OFF)
    for bad in (b"", b"-", b".5", b"1.", b"1e", b"1e5x", b"1 ", b"NaN", b"0x10", b"1_0", b"--1", b"9" * 19, b"0" * 65):
        assert of_text(bad, -2) == (0, REFUSED), bad


@settings(max_examples=300, deadline=None)
@given(units=st.integers(-(1 << 62), 1 << 62), exponent=st.integers(-18, 18))
def test_printed_units_are_the_number(units, exponent):
    assert Decimal(text_of(units, exponent)) == Decimal(units).scaleb(exponent)
    assert len(text_of(units, exponent).partition(".")[2]) == max(0, -exponent)


def test_printed_units_have_the_decimals_of_their_exponent():
    assert [text_of(-1250, -3), text_of(5, -4), text_of(12, 2), text_of(-1, -1)] == ["-1.250", "0.0005", "1200", "-0.1"]
