"""Admission: only a symbol that is permitted by name gets limits, and its state is never touched."""

import numpy as np
import pytest

from gateway.core.admission import admit, contains, make_admission, symbol_words
from gateway.core.memory import address_of
from gateway.layout import dtype, size, value

PERMITTED, RESTRICTED, SET = (value(f"INSTRUMENT_{name}") for name in ("PERMITTED", "RESTRICTED", "LIMITS_SET"))
LIMITS = {"flags": SET, "quantity_max": 500, "value_max": 9, "position_max": 8, "collar_ppm": 7, "stale_ns": 6}
TICK = 100


def admitted(symbol, instruments, restricted=(), instrument=3):
    """The gate rows after one instrument is defined; its row had a state before."""
    record, keep = make_admission(list(instruments), list(restricted), LIMITS)
    rows = np.zeros(8, dtype=dtype("gate_row"))
    rows["position"], rows["orders_sent"] = 5, 4
    event = np.zeros(1, dtype=dtype("event"))
    event["order_id"] = int.from_bytes(symbol.encode().ljust(8), "little")
    event["instrument"], event["price"] = instrument, TICK
    admit(address_of(record), address_of(rows), address_of(event))
    assert keep and (rows["position"] == 5).all() and (rows["orders_sent"] == 4).all(), "state is core's"
    return rows


@pytest.mark.parametrize("instruments", [["AAPL"], ["*"], ["ZZZZ", "AAPL", "A", "MSFT"]])
def test_a_permitted_symbol_gets_the_limits_and_the_tick(instruments):
    row = admitted("AAPL", instruments)[3]
    assert row["flags"] == PERMITTED | SET and row["tick"] == TICK and row["lot"] == 1
    assert {name: row[name] for name in LIMITS if name != "flags"} == {k: v for k, v in LIMITS.items() if k != "flags"}


@pytest.mark.parametrize("instruments", [[], ["AAPLX"], ["AAP"], ["aapl"], ["MSFT", "ZZZZ"]])
def test_a_symbol_that_is_not_named_keeps_a_row_of_zeros(instruments):
    row = admitted("AAPL", instruments)[3]
    assert row["flags"] == row["tick"] == row["lot"] == row["quantity_max"] == row["position_max"] == 0


def test_only_the_row_of_the_instrument_is_written():
    rows = admitted("AAPL", ["*"])
    assert np.flatnonzero(rows["flags"]).tolist() == [3]


def test_restricted_wins_over_permitted():
    assert admitted("AAPL", ["*"], ["AAPL"])[3]["flags"] == PERMITTED | SET | RESTRICTED
    assert admitted("AAPL", ["*"], ["MSFT"])[3]["flags"] == PERMITTED | SET


def test_restricted_alone_permits_nothing():
    assert admitted("AAPL", [], ["AAPL"])[3]["flags"] == 0


def relisted(symbols, symbol="AAPL", before=0, rows_used=None):
    """The halt of an instrument behind its listing; `symbols` stand in the region of halted ones, `before` in its row."""
    region = np.zeros(1 << 14, dtype=np.uint8)
    account = region[: size("post_trade_account")].view(dtype("post_trade_account"))
    words = region[size("post_trade_account") :].view(np.uint64)
    for index, halted in enumerate(symbols):
        words[index] = int.from_bytes(halted.encode().ljust(8), "little")
    account["symbols"] = len(symbols) if rows_used is None else rows_used
    record, keep = make_admission(["*"], [], LIMITS, None, address_of(region))
    rows, event = np.zeros(8, dtype=dtype("gate_row")), np.zeros(1, dtype=dtype("event"))
    rows["halted"][3] = before
    event["order_id"], event["instrument"] = int.from_bytes(symbol.encode().ljust(8), "little"), 3
    admit(address_of(record), address_of(rows), address_of(event))
    assert keep and rows["flags"][3] == PERMITTED | SET
    return int(rows["halted"][3])


GAP = 1 << value("POST_TRADE_GAP")


@pytest.mark.parametrize(("symbols", "halted"), [([], 0), (["MSFT"], 0), (["AAPL"], GAP), (["MSFT", "A", "AAPL"], GAP)])
def test_a_symbol_that_was_halted_is_halted_from_its_listing_on(symbols, halted):
    assert relisted(symbols) == halted


def test_a_listing_lifts_no_halt_and_keeps_what_control_wrote():
    assert relisted([], before=64) == 64 and relisted(["AAPL"], before=64) == 64 | GAP


def test_symbols_behind_the_rows_in_use_and_a_count_beyond_the_region_are_no_matter():
    assert relisted(["MSFT", "AAPL"], rows_used=1) == 0
    assert relisted(["AAPL"], rows_used=1 << 40) == GAP and relisted(["MSFT"], rows_used=1 << 40) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_the_search_finds_what_is_there_and_nothing_else(count):
    words = symbol_words([f"S{number:03}" for number in range(count)])
    found = [contains(address_of(words), count, int(word)) for word in words]
    absent = symbol_words(["S", "T", "A0", "ZZZZZZZZ", "S0005"])
    assert all(found) and not any(contains(address_of(words), count, int(word)) for word in absent)


def test_symbols_of_eight_letters_beyond_ascii_order_sort_as_signed_words():
    words = symbol_words(["~~~~~~~~", "A", "zzzzzzzz", "BRK.A"])
    assert words.dtype == np.int64 and (np.diff(words) > 0).all()
