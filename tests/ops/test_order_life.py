"""`gateway order`: what the journal tells of an order, whatever id is given, over replacements, restarts and torn ends."""

import json

import numpy as np
import pytest

from gateway import layout
from gateway.cli import main as command
from gateway.ops.order_search import candidates, reference_of
from tests.journal_desk import RUN, STAMP_NS, Book, accept, fill, traded
from tests.order_desk import Desk


@pytest.fixture
def book(tmp_path):
    made = Book(tmp_path)
    made.begin()
    return made


@pytest.mark.parametrize(
    "text", ["1", "2", "900", "901", "5", "A0000100000001", "client:A0000100000002", "signal:5", "0x385"]
)
def test_every_id_of_an_order_leads_to_it_and_to_those_it_replaced_or_was_replaced_by(book, text):
    traded(book)
    first, second = book.life(text)["orders"]
    assert (first["reference"], first["state"], first["replaced_by"]) == (1, "replaced", 2)
    assert (second["reference"], second["replaces"], second["venue_order_id"]) == (2, 1, 901)
    assert (second["state"], second["filled"], second["average_price"]) == ("cancelled", 40, 1_000_100.0)
    assert (second["symbol"], second["side"], second["time_in_force"], second["signal"]) == ("AAPL", "buy", "ioc", 5)
    assert second["client_order_id"] == "A0000100000002"


def test_the_events_of_an_order_are_its_decision_with_inputs_and_stamps_and_each_report(book):
    traded(book)
    _, order = book.life("2")["orders"]
    decision, replaced, executed, cancel, cancelled = order["events"]
    assert (decision["event"], decision["intent"], decision["passed"], decision["refused_by"]) == (
        "decision",
        "replace",
        True,
        [],
    )
    assert (decision["bid"], decision["ask"], decision["position"]) == (1_000_000, 1_000_200, 0)
    assert decision["stamps_ns"]["receive"] == 0 and decision["stamps_ns"]["decode"] == 5, "22 minus 11 ticks"
    assert decision["stamps_ns"]["order"] > 0 and decision["sequence"] == 3
    assert (replaced["report"], replaced["type"], replaced["price"]) == ("Order Replaced", "U", 1_000_300)
    facts = {name: executed[name] for name in ("report", "quantity", "price", "match", "time_venue_ns")}
    expected = {"report": "Order Executed", "quantity": 40, "price": 1_000_100, "match": 77, "time_venue_ns": STAMP_NS + 5}
    assert facts == expected and executed["utc"] == "2023-11-14T22:13:22.000000Z"
    assert (cancel["intent"], cancel["signal"]) == ("cancel", 6)
    assert (cancelled["reason"], cancelled["quantity"], cancelled["position"]) == ("U", 20, 40)


def test_a_refused_order_names_the_controls_that_refused_it(book):
    traded(book)
    (order,) = book.life("3")["orders"]
    (event,) = order["events"]
    assert order["state"] == "refused" and not event["passed"] and event["refused_by"] == ["QTY", "VALUE"]


def test_fields_of_an_order_record_come_from_the_run_that_began_last(book):
    desk = traded(book)
    book.begin(records={**RUN["records"], "execution_algorithm": "algo 8"}, capacity="agency")
    desk.send(signal_id=9)
    book.take(desk)
    (order,) = book.life("4")["orders"]
    record = {
        name: order["record"][name] for name in ("client", "decision_maker", "execution_algorithm", "capacity", "firm")
    }
    expected = {"client": "fund 9", "decision_maker": "pm 4", "execution_algorithm": "algo 8", "capacity": "agency"}
    assert record == {**expected, "firm": None}
    first, _ = book.life("1")["orders"]
    assert (first["record"]["execution_algorithm"], first["record"]["capacity"]) == ("momentum", "principal")
    assert (order["record"]["sequence"], order["record"]["validity"]) == (book.written, "ioc")


def test_times_are_unproven_until_a_disciplined_clock_says_how_far_they_may_be_off(book):
    desk = Desk().open()
    desk.send()
    book.take(desk)
    book.say(kind="clock", offset_ns=2_500, error_us=40, disciplined=True)
    desk.send()
    book.take(desk)
    book.say(kind="clock", offset_ns=-1_000, error_us=None, disciplined=False)
    desk.send()
    book.take(desk)
    events = [book.life(text)["orders"][0]["events"][0] for text in "123"]
    assert [event["utc_state"] for event in events] == ["UNPROVEN", "PROVEN", "UNPROVEN"]
    assert [event["utc_error_us"] for event in events] == [None, 40, None]
    assert [event["utc"][-8:-1] for event in events] == [".000000", ".999997", ".000001"], "the offset is taken out"


def test_an_order_that_a_restarted_core_heard_again_is_one_order_and_each_report_stands_once(book):
    desk = Desk().open()
    desk.send(signal_id=5)
    accept(desk, 1)
    fill(desk, 1, 30)
    book.take(desk)
    book.begin()
    heard = Desk().open()
    accept(heard, 1)
    fill(heard, 1, 30)
    fill(heard, 1, 70, match=78, stamp=STAMP_NS + 6)
    book.take(heard)
    (order,) = book.life("1")["orders"]
    assert [event.get("report", event["event"]) for event in order["events"]] == [
        "decision",
        "Order Accepted",
        "Order Executed",
        "Order Executed",
    ]
    assert (order["state"], order["filled"], order["signal"]) == ("filled", 100, 5)


def test_another_day_s_order_of_the_same_reference_is_another_order(book):
    traded(book)
    book.begin()
    desk = Desk().open()
    desk.send(price=1_000_100, signal_id=50)
    accept(desk, 1, venue_order=5000, price=1_000_100)
    book.take(desk)
    book.begin()
    stranger = Desk().open()
    accept(stranger, 1, venue_order=7000)
    book.take(stranger)
    life = book.life("1", run=1)
    assert (life["runs"], life["orders"][0]["venue_order_id"], len(life["orders"][0]["events"])) == ([0, 1, 2], 5000, 2)
    assert [event["event"] for event in book.life("1")["orders"][0]["events"]] == ["report"], "nobody here decided it"
    assert book.life("1", run=0)["orders"][0]["venue_order_id"] == 900


def test_an_order_that_never_left_says_so(book):
    desk = Desk().open()
    desk.send()
    desk.refuse(1, "REFUSAL_LATE")
    book.take(desk)
    (order,) = book.life("1")["orders"]
    assert order["state"] == "not sent" and order["events"][1]["report"] == "not sent: LATE"


def test_a_trade_that_was_broken_does_not_count_and_one_that_was_told_twice_counts_once(book):
    desk = Desk().open()
    desk.send()
    accept(desk, 1)
    for match in (7, 7, 8):
        fill(desk, 1, 30, match=match)
    desk.report("BrokenTrade", user_ref_num=1, match_number=8, reason="E", timestamp=STAMP_NS)
    book.take(desk)
    (order,) = book.life("1")["orders"]
    assert (order["filled"], order["state"]) == (30, "partly filled")


def test_ids_that_nobody_wrote_are_one_line_and_exit_code_1(book, capsys):
    traded(book)
    for text in ("77", "venue:1", "signal:77", "A0000100000077"):
        assert command.main(["order", text, "--journal", str(book.path)]) == 1
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "--journal" in err and repr(text) in err


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "0", "venue:", "signal:x", "client:12", "1.5", str(1 << 64), "A000010000000W"]
)
def test_what_is_no_id_is_refused_with_the_forms_there_are(book, capsys, text):
    assert command.main(["order", "--journal", str(book.path), "--", text]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_torn_last_record_and_a_torn_last_line_are_left_out(book, capsys):
    traded(book)
    with book.path.open("ab") as file:
        file.write(b"\xff" * 100)
    with book.path.with_suffix(".jsonl").open("a") as file:
        file.write('{"record": 3, "ki')
    assert command.main(["order", "2", "--json", "--journal", str(book.path)]) == 0
    life = json.loads(capsys.readouterr().out)
    assert [order["state"] for order in life["orders"]] == ["replaced", "cancelled"] and life["journal"] == str(book.path)


def test_a_journal_without_its_context_still_tells_what_it_knows(book, capsys):
    traded(book)
    book.path.with_suffix(".jsonl").unlink()
    first, _ = book.life("1")["orders"]
    assert (first["symbol"], first["client_order_id"], first["events"][0]["stamps_ns"]["order"]) == (None, None, None)
    assert first["record"]["utc_state"] == "UNPROVEN"
    assert command.main(["order", "1", "--journal", str(book.path)]) == 0
    assert "instrument 1" in capsys.readouterr().out


def test_for_people_an_order_is_its_terms_ids_and_a_line_an_event(book, capsys):
    traded(book)
    assert command.main(["order", "signal:5", "--journal", str(book.path)]) == 0
    out = capsys.readouterr().out
    for words in (
        "order 2   buy 60 AAPL at 100.0300 ioc   cancelled, 40 filled at 100.0100",
        "client order id A0000100000002   venue order id 901   signal 5   strategy momentum   replaces 1",
        "client fund 9   decision maker pm 4   execution algorithm momentum   capacity principal",
        "times UNPROVEN against UTC",
        "decision: replace 60 at 100.0300   passed   bid 100.0000 ask 100.0200 position 0   limits 0   decode +5 ns",
        "2023-11-14 22:13:22.000000   Order Executed   40   at 100.0100   match 77   venue 09:30:00.000000128",
    ):
        assert words in out, out


def test_random_ids_never_raise_anything_but_a_refusal(book):
    traded(book)
    draw = np.random.default_rng(11)
    for _ in range(300):
        text = "".join(draw.choice(list("0123456789ABVZxa:-ev ")) for _ in range(draw.integers(1, 18)))
        try:
            candidates(text)
            book.life(text)
        except Exception as problem:
            assert type(problem).__name__ == "UsageError", (text, problem)


def test_the_reference_in_a_client_order_id_is_what_core_wrote_there():
    desk = Desk().open()
    for reference in (1, 31, 32, layout.value("ORDER_REFERENCE_MAX")):
        assert reference_of(desk.frames.client_order_id(reference)) == reference


@pytest.mark.parametrize(("said", "state"), [("UNKNOWN", "unknown"), ("WORKING", "working"), ("NEVER_ARRIVED", "not sent")])
def test_what_our_own_side_found_out_about_an_order_is_where_it_stands(book, said, state):
    desk = Desk().open()
    desk.send()
    desk.refuse(1, f"REFUSAL_{said}")
    book.take(desk)
    (order,) = book.life("1")["orders"]
    assert order["state"] == state and order["events"][1]["refusal"] == said
