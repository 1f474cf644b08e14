"""The table of instruments: against a dictionary, against a feed that makes its identifiers collide, and definitions."""

import random

import numpy as np
import pytest

from gateway import layout
from gateway.core.instrument_file import define_listings, load_instrument_file
from gateway.core.instrument_reader import name_of, read_instruments
from gateway.core.instruments import (
    MULTIPLIER,
    count_off_tick,
    define,
    find_row,
    find_row_text,
    hash_text,
    home_of,
    make_instruments,
    price_exponent_of,
    quantity_exponent_of,
    row_for,
    row_for_text,
    tick_of,
)
from gateway.core.kernel import kernel
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError
from tests.naive_instruments import NaiveInstruments

PROBES = layout.value("INSTRUMENT_PROBES")
SEED = 7_001


@kernel
def tick_at(table, row):
    return tick_of(table, row)


@kernel
def exponents_at(table, row):
    return price_exponent_of(table, row) * 100 + quantity_exponent_of(table, row)


@kernel
def count_one(table, row):
    count_off_tick(table, row)


@kernel
def home(table, identifier, layer):
    return home_of(table, identifier, layer)


def held(text: bytes) -> np.ndarray:
    return np.frombuffer(text or b"\0", dtype=np.uint8)


def of_text(table, text: bytes, layer: int = 0, look=row_for_text) -> int:
    array = held(text)
    return look(table.address, address_of(array), len(text), layer)


def say(table, row: int, tick=0, lot=0, price=-2, quantity=0, symbol: bytes = b"") -> int:
    array = held(symbol)
    return define(table.address, row, tick, lot, price, quantity, address_of(array), len(symbol))


@pytest.mark.slow
@pytest.mark.parametrize("rows_max", [1, 7, 64, 500])
def test_rows_are_those_of_a_dictionary_whatever_comes(rows_max):
    draw = random.Random(SEED + rows_max)
    table, naive = make_instruments(rows_max + 5, first=5), NaiveInstruments(rows_max, first=5)
    lengths = (0, 1, 3, 8, 9, 47, 48, 49)
    texts = [bytes(draw.randrange(33, 127) for _ in range(draw.choice(lengths))) for _ in range(300)]
    numbers = [draw.choice((draw.getrandbits(4), draw.getrandbits(63), -draw.getrandbits(63))) for _ in range(200)]
    numbers += [draw.getrandbits(8) << 40 for _ in range(100)]
    for _ in range(4_000):
        layer, text = draw.choice((0, 0, 0, 1, 2, (1 << 30) - 1)), draw.random() < 0.5
        key = draw.choice(texts) if text else draw.choice(numbers)
        if draw.random() < 0.3:
            found = of_text(table, key, layer, find_row_text) if text else find_row(table.address, key, layer)
            assert found == naive.find(key, layer), f"seed {SEED + rows_max}"
        else:
            found = of_text(table, key, layer) if text else row_for(table.address, key, layer)
            assert found == naive.row_for(key, layer), f"seed {SEED + rows_max}"
    handle = table.handle[0]
    assert (int(handle["used"]), int(handle["refused"])) == (len(naive.rows), naive.refused)
    assert [instrument.row for instrument in read_instruments(table.rows)] == sorted(naive.rows.values())
    assert not table.rows[:5].tobytes().strip(b"\0"), "rows of another feed are not touched"


def colliding(table, count: int) -> list[int]:
    """Identifiers that all want the slot of identifier 1."""
    wanted, found, candidate = home(table.address, 1, 0), [], 1
    while len(found) < count:
        if home(table.address, candidate, 0) == wanted:
            found.append(candidate)
        candidate += 1
    return found


def test_identifiers_that_collide_get_rows_of_their_own_until_the_walk_is_too_long():
    table = make_instruments(200)
    identifiers = colliding(table, PROBES + 3)
    rows = [row_for(table.address, identifier, 0) for identifier in identifiers]
    assert rows == [*range(PROBES), -1, -1, -1]
    assert [find_row(table.address, identifier, 0) for identifier in identifiers] == rows
    assert int(table.handle["refused"][0]) == 3
    other = make_instruments(200, multiplier=MULTIPLIER ^ 0x5A5A5A5A00)
    assert [row_for(other.address, identifier, 0) for identifier in identifiers] == [*range(PROBES + 3)]


def test_two_texts_with_one_hash_are_two_instruments():
    table = make_instruments(4)
    row = of_text(table, b"BTC-PERPETUAL")
    table.rows[row]["symbol"] = b"ETH-PERPETUAL"  # as if the hash of this text had been the same
    assert of_text(table, b"BTC-PERPETUAL", look=find_row_text) == -1
    assert of_text(table, b"BTC-PERPETUAL") == 1
    assert of_text(table, b"BTC-PERPETUAL") == 1


def test_a_number_that_is_the_hash_of_a_text_is_another_instrument():
    table, text = make_instruments(4), held(b"XBTUSD")
    number = hash_text(address_of(text), 6)
    assert [of_text(table, b"XBTUSD"), row_for(table.address, number, 0), of_text(table, b"XBTUSD")] == [0, 1, 0]


def test_texts_that_differ_in_one_byte_or_length_differ_in_their_hash():
    bases = (b"BTCUSDT", b"\0\0\0\0", b"a" * 48)
    texts = {text for base in bases for text in (base, base[:-1], base[:-1] + b"z", b"z" + base[1:])}
    hashes = {hash_text(address_of(held(text)), len(text)) for text in texts}
    assert len(hashes) == len(texts)


def test_every_row_can_be_given_out_and_found_again():
    table = make_instruments(65_536)
    for identifier in range(65_536):
        row_for(table.address, identifier << 20, 0)
    assert int(table.handle["refused"][0]) == 0 and int(table.handle["used"][0]) == 65_536
    assert find_row(table.address, 65_535 << 20, 0) == 65_535
    assert row_for(table.address, 1, 0) == -1


def test_a_definition_keeps_what_it_does_not_say():
    table = make_instruments(2, price_exponent=-4, quantity_exponent=-8, tick=100, lot=10)
    row = row_for(table.address, 9, 0)
    assert tick_at(table.address, row) == 100 and exponents_at(table.address, row) == -408
    assert say(table, row, tick=25, price=-4, quantity=-8, symbol=b"ESZ6") == 1
    assert say(table, row, lot=5, price=-4, quantity=-8) == 1
    count_one(table.address, row)
    (instrument,) = read_instruments(table.rows)
    assert (instrument.tick, instrument.lot, instrument.symbol, instrument.off_tick) == (25, 5, "ESZ6", 1)
    assert instrument.flags == ("in_use", "defined")
    assert (instrument.price_text(-125), instrument.quantity_text(1)) == ("-0.0125", "0.00000001")


@pytest.mark.parametrize(
    "words",
    [{"tick": -1}, {"lot": -1}, {"price": 19}, {"quantity": -19}, {"symbol": b"x" * 49}, {"price": -(1 << 31)}],
    ids=["tick", "lot", "price exponent", "quantity exponent", "symbol", "exponent of the last word"],
)
def test_a_definition_that_cannot_be_changes_nothing(words):
    table = make_instruments(2)
    row_for(table.address, 9, 0)
    before = table.rows.tobytes()
    assert say(table, 0, **words) == 0
    assert table.rows.tobytes() == before and int(table.handle["contradicted"][0]) == 1


def test_an_exponent_does_not_change_under_prices():
    books = np.zeros(2, dtype=layout.dtype("book"))
    table = make_instruments(2, price_exponent=-2, books=address_of(books))
    row_for(table.address, 9, 0), row_for(table.address, 10, 0)
    assert say(table, 1, price=-4) == 1, "nothing stands there yet"
    for field in ("bid_quantity", "ask_quantity", "orders", "last_price"):
        books[:] = 0
        books[1][field] = 1
        assert say(table, 1, price=-3) == 0
        assert say(table, 1, price=-4, quantity=-1) == 0
        assert say(table, 1, price=-4, tick=5) == 1, "the same exponents may be said again"
        assert say(table, 0, price=-3) == 1, "the other book is empty"
    assert int(table.handle["contradicted"][0]) == 8


def test_the_symbol_of_a_row_found_by_text_stays():
    table = make_instruments(2)
    row = of_text(table, b"BTCUSDT")
    assert say(table, row, tick=1, symbol=b"ETHUSDT") == 0
    assert say(table, row, tick=1, symbol=b"BTCUSDT") == 1
    assert of_text(table, b"BTCUSDT", look=find_row_text) == row


def test_a_name_is_looked_for_in_both_tables():
    table, books = make_instruments(4), np.zeros(4, dtype=layout.dtype("book"))
    row_for(table.address, 700, 0), row_for(table.address, 701, 0)
    say(table, 0, symbol=b"ESZ6")
    books["symbol"][1:3] = b"WRONG   ", b"AAPL    "
    assert [name_of(row, table.rows, books) for row in range(4)] == ["ESZ6", "WRONG", "AAPL", "3"]
    table.rows["symbol_bytes"][0] = 4_000_000  # torn by its writer
    assert name_of(0, table.rows, books) == "ESZ6"


def test_a_table_that_cannot_be_is_refused():
    for options in ({"first": 4}, {"rows_max": 5}, {"rows_max": 0}, {"price_exponent": 19}, {"multiplier": 2}, {"tick": -1}):
        with pytest.raises(ValueError, match="use"):
            make_instruments(4, **options)


TOML = """# ours
[[instrument]]
symbol = "BTC-PERPETUAL"
identifier = 210838
tick = 0.5
lot = "10"
price_exponent = -4

[[instrument]]
symbol = "ETHUSDT"
tick = 0.01
"""
CSV = "symbol,identifier,tick,lot,price_exponent\nBTC-PERPETUAL, 210838 ,0.5,10,-4\nETHUSDT,,0.01,,\n"


@pytest.mark.parametrize(("name", "text"), [("a.toml", TOML), ("a.csv", CSV)])
def test_a_file_defines_exactly_what_it_says(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    listings = load_instrument_file(tmp_path / name, price_exponent=-2)
    table = make_instruments(8, price_exponent=-2)
    assert define_listings(table, listings) == [0, 1]
    assert find_row(table.address, 210838, 0) == 0 and of_text(table, b"ETHUSDT", look=find_row_text) == 1
    first, second = read_instruments(table.rows)
    assert (first.symbol, first.tick, first.lot, first.price_exponent) == ("BTC-PERPETUAL", 5000, 10, -4)
    assert (second.symbol, second.tick, second.lot, second.price_exponent) == ("ETHUSDT", 1, 0, -2)


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.csv", "symbol,tick\nA,0.005\n", ":2: ", "no multiple of 10^-2"),
        ("a.csv", "symbol,tick\nA,0.01\nB,0\n", ":3: ", "above zero"),
        ("a.csv", "symbol,tick\nA,NaN\n", ":2: ", "no decimal number"),
        ("a.csv", "symbol,tick\nA,1e99\n", ":2: ", "too far"),
        ("a.csv", "symbol,tick\nA,99999999999999999999\n", ":2: ", "too large"),
        ("a.csv", "symbol,tick\nA\n", ":2: ", "columns"),
        ("a.csv", "symbol,colour\nA,red\n", ":2: ", "no key"),
        ("a.csv", "symbol,tick\nA,1\nA,1\n", ":3: ", "line 2"),
        ("a.csv", "symbol,identifier\nA,1.5\n", ":2: ", "whole number"),
        ("a.csv", "symbol,price_exponent\nA,19\n", ":2: ", "-18 to 18"),
        ("a.csv", "symbol,tick\n,1\n", ":2: ", "neither"),
        ("a.csv", "symbol\n" + "x" * 49 + "\n", ":2: ", "48 bytes"),
        ("a.toml", "\n[[instrument]]\nsymbol = 'A'\n\n[[instrument]]\nsymbol = 5\n", ":5: ", "no text"),
        ("a.toml", "[instrument]\nsymbol = 'A'\n", ": ", "[[instrument]]"),
        ("a.toml", "[[instrument]]\ntick = \n", "line 2", "line 2"),
        ("a.toml", "[[instrument]]\nsymbol = 'A'\ntick = true\n", ":1: ", "no decimal"),
        ("a.toml", "[[instrument]]\nsymbol = 'A'\ntick = inf\n", ":1: ", "no decimal"),
        ("a.csv", b"symbol\n\xff\n", ": ", "UTF-8"),
        ("b.csv", None, "b.csv: ", "No such file"),
    ],
)
def test_a_file_that_is_wrong_is_one_line_with_its_place(tmp_path, name, text, line, words):
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load_instrument_file(tmp_path / name, price_exponent=-2)
    message = str(caught.value)
    assert line in message and words in message and "\n" not in message


def test_a_full_table_refuses_a_file_by_line(tmp_path):
    (tmp_path / "a.csv").write_text("symbol\nA\nB\n")
    with pytest.raises(ConfigurationError, match="line 3: no row is left"):
        define_listings(make_instruments(1), load_instrument_file(tmp_path / "a.csv"))
