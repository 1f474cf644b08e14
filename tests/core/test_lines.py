"""Which channel a datagram belongs to: every destination finds its own row, every other the fallback or nothing."""

import random

import numpy as np
import pytest

from gateway.core.lines import REPORTS, Line, Rule, find_line, make_lines
from gateway.core.memory import address_of
from gateway.layout import dtype

ROW_BYTES = dtype("line").itemsize


def found(table, rows, address, port):
    """(channel, index, role) of a destination, None when it is not ours."""
    row = find_line(address_of(table), address, port)
    if row == 0:
        return None
    line = rows[(row - address_of(rows)) // ROW_BYTES]
    return int(line["channel"]), int(line["index"]), int(line["role"])


@pytest.mark.parametrize("count", [1, 3, 64, 190])
def test_every_destination_finds_its_own_row_and_no_other(count):
    draw = random.Random(count)
    places = [(draw.getrandbits(32), draw.randrange(1, 65536)) for _ in range(count)]
    lines = [Line(address, port, index // 2, index % 2) for index, (address, port) in enumerate(places)]
    table, (rows, _) = make_lines([*lines, Line(7, 7, 0, role=REPORTS)])
    for line in lines:
        assert found(table, rows, line.address, line.port) == (line.channel, line.index, 1)
    assert found(table, rows, 7, 7) == (0, 0, REPORTS)
    for address, port in places:
        assert found(table, rows, address, port ^ 1) is None or (address, port ^ 1) in places
        assert found(table, rows, address ^ 1, port) is None or (address ^ 1, port) in places


def test_the_fallback_takes_what_no_line_names():
    table, (rows, _) = make_lines([Line(1, 1, 0), Line(2, 2, 0, role=REPORTS)], Line(0, 0, 3, 1))
    assert found(table, rows, 9, 9) == (3, 1, 1)
    assert found(table, rows, 2, 2) == (0, 0, REPORTS)


def test_a_destination_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match=r"10\.77\.0\.1:31001"):
        make_lines([Line(0x0A4D0001, 31001, 0), Line(0x0A4D0001, 31001, 1)])


CME = (Rule(15000, 15999, 1000, 1, address_counts=False), Rule(14000, 14999, address_counts=False), Rule(channel_role=1))


def test_rules_make_channels_of_destinations_and_pair_lines_by_port():
    channels = np.zeros(4, dtype("feed"))
    table, (rows, _) = make_lines([Line(7, 7, 0, role=REPORTS)], None, CME, channels)
    assert found(table, rows, 1, 14310) == (0, 0, 1)
    assert found(table, rows, 2, 15310) == (0, 1, 1)
    assert found(table, rows, 2, 15311) == (1, 1, 1)
    assert found(table, rows, 9, 14311) == (1, 0, 1)
    assert found(table, rows, 5, 6000) == (2, 0, 1)
    assert found(table, rows, 6, 6000) == (3, 0, 1), "the last rule tells destinations apart by their address too"
    assert found(table, rows, 8, 6000) is None, "every channel is in use"
    assert found(table, rows, 1, 14310) == (0, 0, 1)
    assert found(table, rows, 7, 7) == (0, 0, REPORTS)
    assert channels["role"].tolist() == [0, 0, 1, 1]
    assert table["channels_used"][0] == 4


def test_a_flood_of_destinations_fills_neither_the_table_nor_the_time():
    channels = np.zeros(64, dtype("feed"))
    table, (rows, _) = make_lines([], None, (Rule(address_counts=False),), channels)
    taken = sum(found(table, rows, address, 5000) is not None for address in range(1, 5000))
    assert taken == int(table["lines_used"][0]) and 4 * taken <= len(rows)
    assert table["channels_used"][0] == 1
