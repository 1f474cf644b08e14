"""What the simulated venue answers to each kind of OUCH message, one path at a time."""

import pytest

from gateway.protocols import ouch50, udp
from gateway.venues.simulator.books import books, client_orders
from gateway.venues.simulator.settings import FaultPlan
from tests.venues.desk import ADDRESSES, Desk, order_frame, quiet

MILLION = 1_000_000


@pytest.fixture
def desk() -> Desk:
    return Desk(quiet())


def names(reports: list[dict]) -> list[str]:
    return [report["message"] for report in reports]


def replacement(desk: Desk, original: int, **terms: object) -> bytes:
    desk.reference += 1
    terms = {"quantity": 100, "price": desk.middle(), "time_in_force": "0", "display": "Y", **terms}
    return ouch50.encode("ReplaceOrder", orig_user_ref_num=original, user_ref_num=desk.reference, **terms)


def cancel(reference: int, quantity: int = 0) -> bytes:
    return ouch50.encode("CancelOrder", user_ref_num=reference, quantity=quantity)


def mass_cancel(desk: Desk, symbol: str = "") -> bytes:
    desk.reference += 1
    return ouch50.encode("MassCancel", user_ref_num=desk.reference, firm="FIRM", symbol=symbol)


def test_an_accepted_order_echoes_every_term_and_rests_on_the_feed(desk):
    before = len(desk.feed)
    (accepted,) = desk.enter(side="S", quantity=300, symbol="SIM0002", price=desk.middle(2) + 500)
    assert accepted["message"] == "Order Accepted"
    asked = ouch50.decode(desk.order("S", 300, desk.middle(2) + 500, "SIM0002", reference=1), ouch50.INBOUND)
    for name in asked.keys() - {"message", "message_type", "appendage_length"}:
        assert accepted[name] == asked[name], name
    assert accepted["order_state"] == "L"
    (added,) = desk.heard(before)
    assert added["message"] == "Add Order - No MPID Attribution"
    assert (added["stock"], added["shares"], added["stock_locate"]) == ("SIM0002", 300, 3)
    assert added["order_reference_number"] == accepted["order_reference_number"]
    assert added["timestamp"] == accepted["timestamp"] == int(desk.bench.clock[0]) % 86_400_000_000_000


def test_an_immediate_order_takes_what_is_there_and_the_rest_is_cancelled(desk):
    desk.enter(side="S", quantity=60)
    before = len(desk.feed)
    accepted, first, second, canceled = desk.enter(side="B", quantity=100, life="3")
    assert (accepted["user_ref_num"], canceled["quantity"], canceled["reason"]) == (2, 40, "I")
    assert (first["user_ref_num"], first["quantity"], first["liquidity_flag"]) == (1, 60, "A")
    assert (second["user_ref_num"], second["quantity"], second["liquidity_flag"]) == (2, 60, "R")
    assert first["match_number"] == second["match_number"]
    (executed,) = desk.heard(before)
    assert (executed["message"], executed["executed_shares"]) == ("Order Executed", 60)
    assert executed["match_number"] == first["match_number"]


def test_an_immediate_order_with_nothing_to_take_never_shows_on_the_feed(desk):
    before = len(desk.feed)
    assert names(desk.enter(life="3")) == ["Order Accepted", "Order Canceled"]
    assert desk.heard(before) == []


def test_a_buyer_pays_the_resting_price_not_its_own_limit(desk):
    desk.enter(side="S", price=desk.middle() + 100)
    reports = desk.enter(side="B", price=desk.middle() + 900)
    assert {report["price"] for report in reports if report["message"] == "Order Executed"} == {
        f"{(desk.middle() + 100) / 10_000:.4f}"
    }
    book = books(desk.venue)[0]
    assert (book.client_position, book.client_bought, book.client_sold, book.client_cash) == (0, 100, 100, 0)


def test_a_user_reference_that_is_not_new_is_ignored(desk):
    desk.enter()
    assert desk.enter(reference=1) == []
    assert desk.ask(ouch50.encode("MassCancel", user_ref_num=1, firm="FIRM", symbol="")) == []
    assert desk.venue.counters["duplicates_ignored"] == 2
    assert len(client_orders(desk.venue)) == 1


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"symbol": "NOBODY"}, 0x17),
        ({"quantity": 0}, 0x13),
        ({"quantity": MILLION}, 0x13),
        ({"price": 1}, 0x1D),
        ({"price": 2**62}, 0x1D),
        ({"side": "X"}, 0x09),
        ({"display": "N"}, 0x03),
        ({"life": "5"}, 0x0F),
    ],
)
def test_an_order_that_cannot_be_taken_is_rejected_with_its_reason(desk, terms, reason):
    (rejected,) = desk.enter(**terms)
    assert (rejected["message"], rejected["reason"], rejected["cl_ord_id"]) == ("Rejected", reason, "ID1")
    assert desk.venue.counters["rejects"][reason] == 1
    assert desk.venue.counters["resting_orders"] == 0


def test_a_price_between_two_ticks_is_rejected(desk):
    (rejected,) = desk.enter(price=desk.middle() + 50)
    assert rejected["reason"] == 0x1D


def test_a_price_at_either_end_of_the_window_is_taken_and_one_tick_beyond_is_not(desk):
    floor = int(desk.venue.symbols[0]["floor_price"])
    for price, name in ((floor, "Order Accepted"), (floor + 1023 * 100, "Order Accepted")):
        assert names(desk.enter(price=price, side="B" if price == floor else "S"))[0] == name
    for price in (floor - 100, floor + 1024 * 100):
        assert names(desk.enter(price=price)) == ["Rejected"]


def test_a_cancel_to_a_smaller_size_keeps_the_place_and_a_cancel_to_zero_deletes(desk):
    desk.enter(quantity=300)
    before = len(desk.feed)
    (partly,) = desk.ask(cancel(1, 200))
    assert (partly["quantity"], partly["reason"]) == (100, "U")
    (whole,) = desk.ask(cancel(1))
    assert whole["quantity"] == 200
    assert names(desk.heard(before)) == ["Order Cancel", "Order Delete"]


def test_a_cancel_counts_executed_shares_into_the_size_it_names(desk):
    desk.enter(quantity=300)
    desk.enter(side="S", quantity=100, life="3")
    (canceled,) = desk.ask(cancel(1, 250))
    assert canceled["quantity"] == 50
    assert client_orders(desk.venue)[0]["quantity"] == 150


def test_a_cancel_of_an_order_that_is_not_open_is_ignored(desk):
    desk.enter()
    assert desk.ask(cancel(9)) == []
    assert desk.ask(cancel(1, 100)) == []
    assert desk.venue.counters["cancels_ignored"] == 2
    assert desk.venue.counters["cancels_received"] == 2


def test_a_quiet_replacement_is_one_replace_message_with_a_new_id(desk):
    (accepted,) = desk.enter()
    before = len(desk.feed)
    (replaced,) = desk.ask(replacement(desk, 1, quantity=500, price=desk.middle() - 200))
    assert (replaced["message"], replaced["orig_user_ref_num"], replaced["quantity"]) == ("Order Replaced", 1, 500)
    (told,) = desk.heard(before)
    assert told["message"] == "Order Replace"
    assert told["original_order_reference_number"] == accepted["order_reference_number"]
    assert told["new_order_reference_number"] == replaced["order_reference_number"]


def test_a_replacement_that_trades_is_delete_execution_and_add(desk):
    desk.enter(side="S", quantity=100, price=desk.middle() + 300)
    desk.enter(side="B", quantity=100)
    before = len(desk.feed)
    reports = desk.ask(replacement(desk, 2, quantity=250, price=desk.middle() + 300))
    assert names(reports) == ["Order Replaced", "Order Executed", "Order Executed"]
    heard = ["Order Delete", "Order Executed", "Add Order - No MPID Attribution"]
    assert names(desk.heard(before)) == heard
    assert client_orders(desk.venue)[0]["quantity"] == 150


def test_an_immediate_replacement_leaves_nothing_behind(desk):
    desk.enter()
    assert names(desk.ask(replacement(desk, 1, time_in_force="3"))) == ["Order Replaced", "Order Canceled"]
    assert client_orders(desk.venue) == []


def test_a_replacement_of_an_order_that_is_not_open_is_rejected(desk):
    (rejected,) = desk.ask(replacement(desk, 7))
    assert (rejected["message"], rejected["reason"]) == ("Rejected", 0x15)


def test_a_refused_replacement_leaves_the_order_as_it_was(desk):
    desk.enter()
    (rejected,) = desk.ask(replacement(desk, 1, quantity=0))
    assert rejected["reason"] == 0x13
    assert client_orders(desk.venue)[0]["user_reference"] == 1


def test_a_mass_cancel_answers_first_and_then_for_each_order_oldest_first(desk):
    for symbol in ("SIM0000", "SIM0001", "SIM0000"):
        desk.enter(symbol=symbol, price=desk.middle(int(symbol[3:])))
    reports = desk.ask(mass_cancel(desk, "SIM0000"))
    assert names(reports) == ["Mass Cancel Response", "Order Canceled", "Order Canceled"]
    assert (reports[0]["firm"], reports[0]["symbol"]) == ("FIRM", "SIM0000")
    assert [report["user_ref_num"] for report in reports[1:]] == [1, 3]
    assert names(desk.ask(mass_cancel(desk))) == ["Mass Cancel Response", "Order Canceled"]


def test_a_mass_cancel_of_thousands_of_orders_loses_no_answer():
    desk = Desk(quiet())
    for batch in range(6):
        for _ in range(1000):
            desk.say(desk.order(price=desk.middle() - 100 * batch))
        desk.step()
    reports = desk.ask(mass_cancel(desk))
    assert len(reports) == 6001
    assert desk.venue.counters["frames_lost"] == 0
    assert client_orders(desk.venue) == []


def test_after_the_close_orders_are_rejected_and_cancels_honoured_until_the_session_ends():
    desk = Desk(quiet(seconds=1.0, grace_seconds=1.0))
    desk.enter()
    desk.enter()
    desk.step(1_000_000_000)
    (rejected,) = desk.enter()
    assert rejected["reason"] == 0x02
    assert names(desk.ask(cancel(1))) == ["Order Canceled"]
    desk.step(1_000_000_000)
    assert names(desk.ask(cancel(2))) == ["Cancel Reject"]
    assert names(desk.ask(mass_cancel(desk))) == ["Cancel Reject"]
    assert [order["user_reference"] for order in client_orders(desk.venue)] == [2]


@pytest.mark.parametrize(
    "payload",
    [b"", b"O", b"?" * 47, ouch50.encode("EnterOrder")[:-1], ouch50.encode("EnterOrder") + b"\0", b"X" + bytes(9)],
)
def test_a_message_of_another_length_than_the_specifications_is_counted_and_not_answered(desk, payload):
    assert desk.ask(payload) == []
    assert desk.venue.counters["frames_malformed"] == 1


def test_a_message_this_venue_does_not_serve_is_counted(desk):
    assert desk.ask(ouch50.encode("ModifyOrder", user_ref_num=1, side="S", quantity=1)) == []
    assert desk.venue.counters["messages_unsupported"] == 1


def test_an_account_query_is_answered_with_the_next_new_reference(desk):
    (answer,) = desk.ask(ouch50.encode("AccountQuery"))
    assert (answer["message"], answer["next_user_ref_num"]) == ("Account Query Response", 1)
    desk.ask(desk.order())
    (answer,) = desk.ask(ouch50.encode("AccountQuery"))
    assert answer["next_user_ref_num"] == desk.venue.state[0]["last_reference"] + 1 > 1
    assert desk.venue.counters["queries_received"] == 2


def test_frames_for_somebody_else_are_counted_and_left_alone(desk):
    elsewhere = udp.frame(
        desk.order(), source="10.77.0.1", destination=ADDRESSES.venue.address, source_port=1, destination_port=41009
    )
    corrupt = bytearray(order_frame(desk.order()))
    corrupt[-1] ^= 1
    for frame in (elsewhere, bytes(corrupt), b"", bytes(60)):
        assert desk.bench.send(frame)
    desk.step()
    assert desk.reports == []
    assert desk.venue.counters["frames_foreign"] == desk.venue.counters["frames_received"] == 4


def test_the_time_of_the_last_order_and_of_the_last_cancel_is_kept(desk):
    desk.enter()
    entered = int(desk.bench.clock[0]) - 50_000
    desk.ask(cancel(1))
    counters = desk.venue.counters
    assert counters["time_last_order_ns"] == entered
    assert counters["time_last_cancel_ns"] == entered + 50_000


def test_every_order_is_rejected_when_the_plan_says_so():
    desk = Desk(quiet(faults=FaultPlan(reject=MILLION)))
    (rejected,) = desk.enter()
    assert rejected["reason"] == 0x0F
    assert desk.venue.counters["faults_rejected"] == 1


def test_a_partial_fill_of_the_plan_trades_less_than_possible_and_cancels_the_rest():
    desk = Desk(quiet(faults=FaultPlan(partial=MILLION)))
    desk.enter(side="S", quantity=1000)
    reports = desk.enter(side="B", quantity=1000)
    canceled = reports[-1]
    traded = sum(report["quantity"] for report in reports if report.get("liquidity_flag") == "R")
    assert canceled["message"] == "Order Canceled" and canceled["reason"] == "Z"
    assert traded + canceled["quantity"] == 1000 and canceled["quantity"] > 0
    assert desk.venue.counters["faults_partial"] == 1


def test_the_faults_of_the_feed_never_touch_the_reports():
    rates = (200_000, 200_000, 200_000, 200_000)
    desk = Desk(quiet(faults=FaultPlan(lines=(rates, rates), drop_both=300_000)))
    for _ in range(50):
        assert names(desk.enter()) == ["Order Accepted"]
    assert desk.venue.counters["lost_packets"] > 0
