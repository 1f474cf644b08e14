"""One id from signal to fill, over a real appliance: `gateway order` while it runs and afterwards, and the log."""

import json

import pytest

from gateway.cli import main as command
from gateway.ops.journal import read
from tests.integration.appliance import EAGER, Appliance
from tests.integration.test_corridor_run import Feed, opened

RECORDS = '\n[records]\ndecision_maker = "pm 4"\nclient = "fund 9"\n[journal]\nsync_ms = 0\n'


@pytest.fixture
def running(tmp_path):
    made = Appliance(tmp_path, strategy=EAGER, more=RECORDS)
    try:
        yield made
    finally:
        made.close()


def asked(capsys, *words):
    """`gateway order … --json`."""
    assert command.main(["order", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_an_order_is_told_whole_while_it_runs_and_afterwards_under_every_id_and_in_the_log(running, capsys):
    feed, orders = Feed(), []
    running.send(opened(feed))
    running.wait_for(lambda: orders.extend(running.orders()) or orders, 20)
    first = orders[0]["user_ref_num"]
    running.accept(orders[0])
    running.report("OrderExecuted", user_ref_num=first, quantity=1, price="100.0000", match_number=9)
    running.wait_for(lambda: running.core["fills"] == 1, 20)
    journal = running.folder / "state" / "journal.bin"
    running.wait_for(lambda: len(read(journal)) >= 3, 20)

    (live,) = asked(capsys, str(first), "--instance", running.name)["orders"]
    decision, accepted, executed = live["events"]
    assert (live["state"], live["filled"], live["strategy"]) == ("filled", 1, "main")
    assert live["symbol"] == "TEST" and live["client_order_id"] == orders[0]["cl_ord_id"]
    assert decision["passed"] and 0 < decision["bid"] < decision["ask"] and decision["limits_version"] > 0
    stamps = decision["stamps_ns"]
    assert stamps["receive"] == 0 < stamps["decode"] < stamps["order"] < 10_000_000_000
    assert (accepted["venue_order_id"], executed["match"]) == (first + 1000, 9)
    assert live["record"]["decision_maker"] == "pm 4" and live["record"]["utc_state"] in ("PROVEN", "UNPROVEN")
    assert abs(decision["utc_offset_ns"]) < 100_000_000

    ended = running.stop()
    assert ended["exit_code"] == 0
    for words in (str(first + 1000), f"signal:{live['signal']}", live["client_order_id"]):
        (after,) = asked(capsys, words, "--config", str(running.path))["orders"]
        assert after["events"][:3] == live["events"] and after["reference"] == first
    lines = [json.loads(line) for line in (running.folder / "state" / "log" / "control.jsonl").read_text().splitlines()]
    (fill,) = [line for line in lines if line.get("report") == "Order Executed"]
    assert (fill["reference"], fill["signal"], fill["match"]) == (first, live["signal"], 9)
    assert fill["instance"] == running.name and fill["process"] == "control"
    running.peer.close()
