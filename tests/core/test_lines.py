"""Which channel a datagram belongs to: every destination finds its own row, every other the fallback or nothing."""

import random

import pytest

from gateway.core.lines import REPORTS, Line, find_line, make_lines
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
    table, (rows,) = make_lines([*lines, Line(7, 7, 0, role=REPORTS)])
    for line in lines:
        assert found(table, rows, line.address, line.port) == (line.channel, line.index, 1)
    assert found(table, rows, 7, 7) == (0, 0, REPORTS)
    for address, port in places:
        assert found(table, rows, address, port ^ 1) is None or (address, port ^ 1) in places
        assert found(table, rows, address ^ 1, port) is None or (address ^ 1, port) in places


def test_the_fallback_takes_what_no_line_names():
    table, (rows,) = make_lines([Line(1, 1, 0), Line(2, 2, 0, role=REPORTS)], Line(0, 0, 3, 1))
    assert found(table, rows, 9, 9) == (3, 1, 1)
    assert found(table, rows, 2, 2) == (0, 0, REPORTS)


def test_a_destination_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match=r"10\.77\.0\.1:31001"):
        make_lines([Line(0x0A4D0001, 31001, 0), Line(0x0A4D0001, 31001, 1)])
