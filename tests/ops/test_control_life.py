"""`gateway order` of what control sent or cancelled by itself: why, on which inputs, then the reports of any core."""

import json

import numpy as np
import pytest

from gateway.cli import main as command
from gateway.core.order_frames import client_order_id
from gateway.ops.control_record import RECORD_FILE
from tests.journal_desk import RUN, STAMP_NS, Book, accept, fill
from tests.order_desk import NOW_NS, SECOND_NS, Desk

FIRST_NS, SECOND_RUN_NS, THIRD_NS = 1_000, 2_000, 3_000  # where the clocks of the runs begin
REFERENCE = 1026
CLIENT = client_order_id("A", 1, REFERENCE, strategy=7)
INPUTS = {"step": 1, "through_ppm": 0, "price_source": "book", "open_against": 0, "believed": "the venue's drop copy"}
MARKET = {"bid": 1_000_000, "ask": 1_000_200, "position": 100}
CAUSE = {"because": "kill COMMAND", "by": "gateway kill", "latched_ns": NOW_NS}
TERMS = {"side": "sell", "symbol": "AAPL", "quantity": 100, "price": 1_000_000, "time_in_force": "ioc"}


def clock(run_ns):
    return {"clock": {**RUN["clock"], "ns_base": run_ns}}


@pytest.fixture
def book(tmp_path):
    made = Book(tmp_path)
    made.begin(**clock(FIRST_NS))
    return made


def line(kind="order", reference=REFERENCE, run_ns=FIRST_NS, time_ns=NOW_NS, **facts):
    head = {"time": "2023-11-14T22:13:20Z", "run": run_ns, "time_ns": time_ns, **CAUSE, "kind": kind, "reference": reference}
    facts = {**TERMS, **INPUTS, **MARKET, "client_order_id": CLIENT, **facts} if kind == "order" else facts
    return {**head, **facts}


def heard(book, quantity=100, stamp=STAMP_NS):
    """A core hears of control's order, adopts it, and that it was filled."""
    desk = Desk().open()
    accept(desk, REFERENCE, price=TERMS["price"], quantity=quantity, stamp=stamp)
    fill(desk, REFERENCE, quantity, stamp=stamp + 5)
    book.take(desk)


def test_an_order_of_a_kill_begins_with_why_it_was_sent_and_goes_on_with_what_core_heard(book):
    book.lines = [line()]
    heard(book)
    (order,) = book.life(str(REFERENCE))["orders"]
    sent, accepted, executed = order["events"]
    assert sent["control"] == {**CAUSE, **INPUTS} and {**sent, **MARKET} == sent
    assert (sent["event"], sent["intent"], sent["sequence"], sent["time_ns"]) == ("decision", "new", None, NOW_NS)
    assert (accepted["report"], executed["report"]) == ("Order Accepted", "Order Executed")
    assert (order["state"], order["filled"], order["strategy"]) == ("filled", 100, "control")
    assert {**order, **TERMS} == order and order["price_exponent"] == -4


def test_an_order_that_core_was_dead_for_is_told_with_the_reports_of_the_next_run(book):
    book.lines = [line()]
    book.begin(**clock(SECOND_RUN_NS))
    heard(book)
    (order,) = book.life(str(REFERENCE))["orders"]
    assert [event["event"] for event in order["events"]] == ["decision", "report", "report"] and order["state"] == "filled"


def test_an_order_that_nobody_heard_of_is_told_from_control_s_own_record(book):
    book.lines = [line()]
    for text in (str(REFERENCE), f"reference:{REFERENCE}", CLIENT, f"client:{CLIENT}"):
        (order,) = book.life(text)["orders"]
        assert (order["state"], order["filled"], order["venue_order_id"]) == ("sent", 0, None) and len(order["events"]) == 1
    assert book.life("venue:1026") is None and book.life("1027") is None


def test_an_order_that_the_ring_did_not_take_was_not_sent(book):
    book.lines = [line(), line("unsent", time_ns=NOW_NS + 1)]
    (order,) = book.life(str(REFERENCE))["orders"]
    assert order["state"] == "not sent" and order["events"][1]["report"] == "not sent: the ring was full"


def test_a_cancel_of_control_s_stands_in_the_life_of_the_strategy_s_order(book):
    desk = Desk().open()
    desk.send()
    accept(desk, 1)
    desk.report("OrderCanceled", NOW_NS + 3 * SECOND_NS, user_ref_num=1, quantity=100, reason="U", timestamp=STAMP_NS + 9)
    book.take(desk)
    book.lines = [line("cancel", 1, time_ns=NOW_NS + 2 * SECOND_NS), line("cancel", 2)]
    (order,) = book.life("1")["orders"]
    decision, accepted, cancel, cancelled = order["events"]
    assert decision["control"] is None and accepted["report"] == "Order Accepted"
    assert (cancel["intent"], cancel["control"]["because"]) == ("cancel", "kill COMMAND")
    assert cancelled["reason"] == "U" and order["state"] == "cancelled" and order["strategy"] == "momentum"


def test_lines_of_another_run_s_order_of_the_same_reference_are_not_this_one_s(book):
    desk = Desk().open()
    desk.send()
    accept(desk, 1, venue_order=900)
    book.take(desk)
    book.begin(**clock(SECOND_RUN_NS))
    other = Desk().open()
    other.send()
    accept(other, 1, venue_order=5000)
    book.take(other)
    book.lines = [
        line("cancel", 1, run_ns=SECOND_RUN_NS),
        line("order", 1, run_ns=FIRST_NS),
        line("cancel", 1, run_ns=THIRD_NS),
    ]
    (first,), (second,) = (book.life("1", run=run)["orders"] for run in (0, 1))
    assert [event["event"] for event in first["events"]] == ["decision", "report"], (
        "core decided it: control did not send it"
    )
    assert [event.get("intent") for event in second["events"]].count("cancel") == 1


def test_a_line_with_other_terms_than_the_venue_accepted_is_not_the_order_s(book):
    book.lines = [line(quantity=70)]
    heard(book)
    (order,) = book.life(str(REFERENCE))["orders"]
    assert [event["event"] for event in order["events"]] == ["report", "report"]


def test_a_refused_decision_that_came_to_the_same_reference_is_another_order_and_both_are_told(book):
    book.lines = [line()]
    heard(book)
    desk = Desk().open()
    desk.table["next_reference"] = REFERENCE
    desk.control["kill_latch"] = 1
    assert desk.send(signal_id=33) == {"KILL"}
    book.take(desk)
    for text in (str(REFERENCE), "signal:33"):
        ours, refused = book.life(text)["orders"]
        assert [event["event"] for event in ours["events"]] == ["decision", "report", "report"]
        assert (ours["strategy"], ours["state"]) == ("control", "filled") and ours["events"][0]["control"]
        assert (refused["strategy"], refused["state"], refused["signal"]) == ("momentum", "refused", 33)
        assert refused["events"][0]["refused_by"] == ["KILL"] and len(refused["events"]) == 1


def test_an_earlier_day_s_reports_of_the_reference_are_left_out(book):
    heard(book, stamp=STAMP_NS)
    book.begin(**clock(SECOND_RUN_NS))
    book.lines = [line(run_ns=SECOND_RUN_NS)]
    desk = Desk().open()
    accept(desk, REFERENCE, venue_order=7000, price=TERMS["price"], stamp=STAMP_NS + 50)
    book.take(desk)
    (order,) = book.life(str(REFERENCE))["orders"]
    assert [event["event"] for event in order["events"]] == ["decision", "report"] and order["venue_order_id"] == 7000


def test_the_command_reads_the_record_beside_the_journal_and_says_it_in_words(book, capsys):
    heard(book)
    path = book.path.with_name(RECORD_FILE)
    path.write_text(json.dumps(line()) + "\n")
    assert command.main(["order", str(REFERENCE), "--journal", str(book.path)]) == 0
    out = capsys.readouterr().out
    for words in (
        f"order {REFERENCE}   sell 100 AAPL at 100.0000 ioc   filled, 100 filled at 100.0100",
        "strategy control",
        "decision: new 100 at 100.0000   because kill COMMAND   by gateway kill   step 1 (0 ppm through)",
        "   prices of the book   ",
        "position by the venue's drop copy   open against it 0   bid 100.0000 ask 100.0200 position 100",
        "Order Executed   100   at 100.0100",
    ):
        assert words in out, out


def test_without_any_journal_the_record_alone_is_enough(tmp_path, capsys):
    (tmp_path / RECORD_FILE).write_text(json.dumps(line()) + "\n")
    journal = str(tmp_path / "journal.bin")
    assert command.main(["order", str(REFERENCE), "--json", "--journal", journal]) == 0
    (order,) = json.loads(capsys.readouterr().out)["orders"]
    assert order["state"] == "sent" and order["events"][0]["utc_state"] == "UNPROVEN"
    assert command.main(["order", "5", "--journal", journal]) == 1
    assert command.main(["order", "5", "--journal", str(tmp_path / "other" / "journal.bin")]) != 0


def test_random_lines_in_random_runs_never_raise(book):
    heard(book)
    book.begin(**clock(SECOND_RUN_NS))
    heard(book)
    draw = np.random.default_rng(5)
    kinds, runs = ("order", "cancel", "mass_cancel", "unsent", "?"), (FIRST_NS, SECOND_RUN_NS, THIRD_NS)
    for _ in range(100):
        book.lines = [
            line(str(draw.choice(kinds)), REFERENCE, int(draw.choice(runs)), NOW_NS + int(draw.integers(-9, 9)) * SECOND_NS)
            for _ in range(draw.integers(1, 6))
        ]
        assert book.life(str(REFERENCE))["orders"]
