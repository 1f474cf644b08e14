"""Executions of a region: every fill of the table is told once, with its details where the journal still has them."""

import json

import numpy as np
import pytest

from gateway import layout, limits
from gateway.core import ring
from gateway.core.memory import address_of
from gateway.errors import GatewayError
from gateway.instance import Instance, handle_address
from gateway.link.execution_log import OwnExecutions, RemoteExecutions
from gateway.link.executions import Executions
from tests.stage_bench import unique_name

SECOND_NS = 1_000_000_000
LIFE = bytes(range(16))
SELL, BUY = layout.value("SIDE_SELL"), layout.value("SIDE_BUY")


class Region:
    """An instance whose core is the test."""

    def __init__(self):
        self.instance = Instance.create(unique_name("fills"))
        self.journal = self.instance.writer("core_journal")
        self.instance.rows("books")["symbol"][3] = b"AAPL    "

    def report(self, reference, match, quantity=100, letter="E", side=BUY):
        """A report in the journal, and the fill in the table behind it."""
        slot = np.zeros(1, layout.dtype("journal_slot"))
        slot["kind"], slot["reasons"] = layout.value("JOURNAL_REPORT"), ord(letter)
        slot["reference"], slot["match"], slot["quantity"], slot["price"] = reference, match, quantity, 1_000_000
        slot["intent"]["side"], slot["intent"]["instrument"], slot["intent"]["quantity"] = side, 3, quantity
        slot["position"], slot["time_venue_ns"] = quantity, 7
        address = address_of(slot)
        assert ring.put(handle_address(self.journal), address, 64, address + 64, limits.JOURNAL_SLOT_BYTES - 64)
        ring_reader = self.instance.reader("core_journal")
        ring.drain(handle_address(ring_reader), address_of(np.zeros(limits.JOURNAL_SLOT_BYTES, np.uint8)), 1)
        ring.acknowledge_drained(handle_address(ring_reader))
        self.fill(reference, match, quantity)

    def fill(self, reference, match, quantity=100, broken=0):
        """A row of the table alone."""
        rows, head = self.instance.rows("fills"), self.instance.regions["orders"].view("order_table")[0]
        row = rows[(reference * 31 + match) % len(rows)]
        row["reference"], row["match"], row["quantity"], row["price"] = reference, match, quantity, 1_000_000
        row["broken"] = broken
        head["fills"] += 1

    def order(self, reference):
        """The order of a fill, in the table of orders."""
        row = self.instance.rows("orders")[reference % limits.ORDERS_MAX]
        row["reference"], row["side"], row["instrument"], row["strategy"] = reference, SELL, 3, 1


@pytest.fixture
def region():
    made = Region()
    yield made
    made.instance.close(remove=True)


def everything(executions, now_ns=10 * SECOND_NS, turns=8):
    """What it tells in some turns, each a second later."""
    found = [executions.take(now_ns + turn * SECOND_NS) for turn in range(turns)]
    return np.concatenate(found)


def test_reports_become_executions_in_their_order_with_their_details(region):
    executions = Executions(region.instance)
    region.report(1, 10)
    region.report(2, 11, quantity=50, side=SELL)
    rows = everything(executions)
    assert rows["sequence"].tolist() == [1, 2] and rows["match"].tolist() == [10, 11]
    assert rows["symbol"].tolist() == [b"AAPL    ", b"AAPL    "] and rows["quantity"].tolist() == [100, 50]
    assert rows["side"].tolist() == [BUY, SELL] and rows["time_venue_ns"].tolist() == [7, 7]
    assert executions.recovered == 0


def test_a_report_that_comes_twice_is_told_once_and_a_broken_trade_beside_it(region):
    executions = Executions(region.instance)
    region.report(1, 10)
    region.report(1, 10)
    region.report(1, 10, letter="B")
    rows = everything(executions)
    assert rows["broken"].tolist() == [0, 1] and rows["sequence"].tolist() == [1, 2]


def test_what_was_written_before_the_link_came_is_told_from_the_ring(region):
    region.report(1, 10)
    assert everything(Executions(region.instance))["match"].tolist() == [10]


def test_a_fill_whose_record_nobody_saw_is_told_from_the_table_a_second_later(region):
    executions = Executions(region.instance)
    region.report(1, 10)
    region.order(5)
    region.fill(5, 12, quantity=30)
    rows = everything(executions)
    assert rows["match"].tolist() == [10, 12] and rows["side"].tolist() == [BUY, SELL]
    assert rows["letter"].tolist() == [ord("E"), 0] and executions.recovered == 1


def test_an_observer_that_was_overrun_makes_it_good_from_the_table(region):
    executions = Executions(region.instance, batch=16)
    region.report(1, 10)
    everything(executions)
    for number in range(40):
        region.fill(100 + number, 1000 + number)
    region.instance.rings["core_journal"].view("ring_header")[0]["claimed"] += 2 * limits.JOURNAL_RING_DEPTH
    rows = everything(executions)
    assert sorted(rows["match"].tolist()) == [1000 + number for number in range(40)]
    assert rows["sequence"].tolist() == list(range(2, 42))


def test_a_link_that_is_started_again_numbers_its_executions_as_before(region, tmp_path):
    log = OwnExecutions(tmp_path / "own.bin", LIFE)
    executions = Executions(region.instance)
    region.report(2, 20)
    region.report(1, 10)
    before = everything(executions)
    log.append(before)
    log.close()
    with (tmp_path / "own.bin").open("ab") as file:
        file.write(b"torn")
    again = OwnExecutions(tmp_path / "own.bin", LIFE)
    restarted = Executions(region.instance)
    restarted.known(again.rows)
    region.report(3, 30)
    assert again.rows.tobytes() == before.tobytes()
    rows = everything(restarted)
    assert rows["match"].tolist() == [30] and rows["sequence"].tolist() == [3]
    again.close()


def test_the_executions_of_another_life_of_the_instance_are_forgotten(tmp_path):
    log = OwnExecutions(tmp_path / "own.bin", LIFE)
    log.append(np.zeros(3, layout.dtype("link_execution")))
    log.close()
    other = OwnExecutions(tmp_path / "own.bin", LIFE[::-1])
    assert len(other.rows) == 0
    other.close()


def remote_rows(*numbers):
    rows = np.zeros(len(numbers), layout.dtype("link_execution"))
    rows["sequence"] = rows["reference"] = rows["match"] = numbers
    rows["symbol"], rows["side"] = b"MSFT    ", SELL
    return rows


def test_another_regions_executions_stand_in_the_file_once_whatever_is_repeated(tmp_path):
    path = tmp_path / "executions-paris.jsonl"
    log = RemoteExecutions(path)
    assert log.append(remote_rows(1, 2), LIFE) == 2 and log.append(remote_rows(2, 3), LIFE) == 1
    log.close()
    with path.open("a") as file:
        file.write('{"boot": "torn')
    again = RemoteExecutions(path)
    assert again.append(remote_rows(1, 2, 3, 4), LIFE) == 1 and again.repeated == 3
    again.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["match"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["symbol"] == "MSFT" and lines[0]["side"] == "sell" and lines[0]["boot"] == LIFE.hex()


def test_the_cursor_stands_behind_what_the_file_has(tmp_path):
    log = RemoteExecutions(tmp_path / "executions-paris.jsonl")
    assert log.cursor(7) is None
    log.append(remote_rows(1, 2, 3), LIFE)
    log.close()
    again = RemoteExecutions(tmp_path / "executions-paris.jsonl")
    found = again.cursor(7)
    assert (found.node, found.boot_id, found.sequence) == (7, LIFE, 4)
    again.close()


def test_a_file_that_is_something_else_is_refused_in_one_line(tmp_path):
    path = tmp_path / "executions-paris.jsonl"
    path.write_text("no json\n")
    with pytest.raises(GatewayError, match="put it aside"):
        RemoteExecutions(path)
