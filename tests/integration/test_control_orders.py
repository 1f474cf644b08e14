"""The orders of a real kill, one by one: `gateway order` tells why control sent them and what the venue said of them."""

import json
import os

import pytest

from gateway.cli import main as command
from gateway.ops.control_record import RECORD_FILE, read
from gateway.ops.kill_drill import is_of_control
from tests.kill_desk import Desk

OWN = ("decision", "report")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    made = Desk(tmp_path_factory.mktemp("control-orders"))
    try:
        yield made
    finally:
        made.stop()


def lives_of(desk, capsys, report):
    """Every order of a report as `gateway order` tells it, once core has heard the last of them."""
    lives = []
    for line in report["orders"]:
        words = ["order", str(line["reference"]), "--instance", desk.name, "--json"]

        def over(words=words):
            assert command.main(words) == 0
            order = json.loads(capsys.readouterr().out)["orders"][0]
            return order if order["state"] in ("filled", "cancelled", "rejected") else None

        lives.append(desk.wait_for(over, 20))
    return lives


def judge(desk, report, lives):
    """The lives are those of the orders that the venue got from control, all of them, decision first."""
    account = desk.account()
    of_kill = [line["reference"] for line in report["orders"]]
    theirs = [row.reference for row in account.orders.values() if is_of_control(row.client_order_id)]
    assert of_kill and set(of_kill) <= set(theirs) and report["flatten_orders"] == len(of_kill)
    for life in lives:
        order, (sent, *reports) = account.orders[life["reference"]], life["events"]
        assert (sent["control"]["because"], sent["control"]["latched_ns"]) == ("kill COMMAND", report["latched_ns"])
        assert (life["client_order_id"], life["strategy"]) == (order.client_order_id, "control")
        assert (life["symbol"], life["filled"], life["side"]) == (order.symbol, order.filled, order.side)
        assert sent["bid"] and sent["position"] and reports[0]["report"] in ("Order Accepted", "Rejected")
        assert all(event["event"] in OWN for event in reports)


@pytest.mark.slow
def test_each_order_and_cancel_of_a_kill_is_written_down_with_its_reason_and_told_whole(desk, capsys):
    desk.under_load()
    report = desk.kill().report
    lives = lives_of(desk, capsys, report)
    judge(desk, report, lives)
    lines = read(desk.state)
    assert report["records_unwritten"] == 0 and {line["latched_ns"] for line in lines} == {report["latched_ns"]}
    cancelled = next(line["reference"] for line in lines if line["kind"] == "cancel")
    assert command.main(["order", str(cancelled), "--instance", desk.name, "--json"]) == 0
    (order,) = json.loads(capsys.readouterr().out)["orders"]
    assert any(event.get("control") for event in order["events"])
    used = max(line["reference"] for line in lines if line["kind"] in ("order", "mass_cancel"))
    assert int(desk.instance.control[0]["reference_used"]) == used
    desk.wait_for(lambda: int(desk.instance.regions["orders"].view("order_table")[0]["next_reference"]) > used, 5)
    desk.rearm()


@pytest.mark.slow
def test_with_a_full_disk_positions_are_closed_all_the_same_and_the_orders_stand_in_memory(desk, capsys):
    if os.geteuid() != 0:
        pytest.skip("a file system of its own for the state folder takes root")
    desk.under_load()
    before = (desk.state / RECORD_FILE).read_bytes()
    with desk.full_disk():
        figures = desk.kill()
    report = figures.report
    assert not figures.positions and not figures.open_orders
    assert report["records_unwritten"] > 0 and "No space" in report["record_problem"], "but what the last page had room for"
    assert {line["reference"] for line in read(desk.instance.folder)} - {line["reference"] for line in read(desk.state)}
    assert (desk.state / RECORD_FILE).read_bytes().startswith(before)
    judge(desk, report, lives_of(desk, capsys, report))
