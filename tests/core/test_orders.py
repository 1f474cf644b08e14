"""Our own orders ⑧: what each report does to a row, to what is reserved, and to the position."""

import pytest

from gateway import layout
from gateway.core.orders import open_orders, open_references
from gateway.protocols import ouch50
from tests.order_desk import Desk

SELL = layout.value("SIDE_SELL")
PRICE = 1_000_200


@pytest.fixture
def desk():
    """A desk with one buy order of 100 sent, reference 1."""
    desk = Desk().open()
    assert desk.send() == set()
    return desk


def accept(desk, reference=1, quantity=100, price=PRICE, state="L"):
    terms = {"quantity": quantity, "price": price, "order_state": state, "order_reference_number": 900 + reference}
    return desk.report("OrderAccepted", user_ref_num=reference, timestamp=1, **terms)


def fill(desk, quantity, match, reference=1, price=PRICE):
    return desk.report("OrderExecuted", user_ref_num=reference, quantity=quantity, price=price, match_number=match)


def cancelled(desk, quantity, stamp, reference=1):
    return desk.report("OrderCanceled", user_ref_num=reference, quantity=quantity, timestamp=stamp, reason="U")


def reserved(desk):
    return int(desk.rows["open_buy"][1])


def test_exposure_is_reserved_when_the_order_is_sent(desk):
    assert desk.state(1) == "SENT" and reserved(desk) == 100
    assert desk.rows["orders_sent"][1] == 1


def test_an_accept_brings_the_venues_facts(desk):
    assert accept(desk, quantity=80, price=PRICE - 100) == 1
    row = desk.order(1)
    assert (desk.state(1), row["open"], row["price"], row["venue_order_id"]) == ("ACCEPTED", 80, PRICE - 100, 901)
    assert reserved(desk) == 80


def test_the_first_accept_counts_and_the_next_is_a_duplicate(desk):
    accept(desk)
    fill(desk, 60, match=1)
    assert accept(desk) == 0
    assert reserved(desk) == 40 and desk.feed_reason("DUPLICATE") == 1


def test_an_order_dead_on_arrival_gives_everything_back(desk):
    accept(desk, state="D")
    assert desk.state(1) == "CANCELLED" and reserved(desk) == 0


def test_fills_move_what_was_reserved_to_the_position(desk):
    accept(desk)
    fill(desk, 30, match=1)
    assert (desk.state(1), reserved(desk), desk.rows["position"][1]) == ("PARTIAL", 70, 30)
    fill(desk, 70, match=2, price=PRICE - 100)
    assert (desk.state(1), reserved(desk), desk.rows["position"][1]) == ("FILLED", 0, 100)
    assert desk.rows["cash"][1] == -(30 * PRICE + 70 * (PRICE - 100))
    assert desk.order(1)["notional_filled"] == 30 * PRICE + 70 * (PRICE - 100)


def test_a_sale_makes_the_position_smaller_and_the_cash_larger(desk):
    desk.send(side=SELL, price=PRICE + 100)
    accept(desk, reference=2)
    fill(desk, 100, match=1, reference=2)
    assert desk.rows["position"][1] == -100 and desk.rows["cash"][1] == 100 * PRICE


def test_a_fill_before_its_accept_is_believed(desk):
    fill(desk, 30, match=1)
    accept(desk)
    assert (desk.state(1), reserved(desk)) == ("PARTIAL", 70)


def test_the_same_match_number_is_the_same_fill(desk):
    accept(desk)
    assert fill(desk, 30, match=1) == 1
    assert fill(desk, 30, match=1) == 0
    assert desk.rows["position"][1] == 30 and desk.feed_reason("DUPLICATE") == 1


def test_both_sides_of_a_trade_with_ourselves_count(desk):
    desk.send(side=SELL, price=PRICE + 100)
    accept(desk), accept(desk, reference=2)
    assert fill(desk, 100, match=5) == 1 and fill(desk, 100, match=5, reference=2) == 1
    assert desk.rows["position"][1] == 0 and desk.state(2) == "FILLED"


def test_more_than_was_open_is_absorbed_and_counted(desk):
    accept(desk)
    fill(desk, 150, match=1)
    assert (desk.state(1), reserved(desk), desk.rows["position"][1]) == ("FILLED", 0, 150)
    assert desk.feed_reason("QUANTITY_EXCESS") == 1


def test_a_fill_after_the_end_of_an_order_still_moves_the_position(desk):
    accept(desk)
    cancelled(desk, 100, stamp=5)
    fill(desk, 20, match=1)
    assert (desk.state(1), reserved(desk), desk.rows["position"][1]) == ("CANCELLED", 0, 20)


def test_a_cancel_gives_back_what_the_venue_took_off_and_no_more(desk):
    accept(desk)
    desk.send("CANCEL", order_reference=1)
    assert desk.state(1) == "CANCELLING" and reserved(desk) == 100
    cancelled(desk, 70, stamp=5)  # 30 were filled, and that report is still on its way
    assert reserved(desk) == 30
    fill(desk, 30, match=1)
    assert (desk.state(1), reserved(desk)) == ("FILLED", 0)


def test_the_same_cancel_report_twice_counts_once(desk):
    accept(desk)
    assert cancelled(desk, 40, stamp=5) == 1
    assert cancelled(desk, 40, stamp=5) == 0
    assert reserved(desk) == 60 and desk.state(1) == "ACCEPTED"


def test_a_refused_cancel_leaves_the_order_working(desk):
    accept(desk)
    desk.send("CANCEL", order_reference=1)
    desk.report("CancelPending", user_ref_num=1)
    assert desk.state(1) == "CANCELLING"
    desk.report("CancelReject", user_ref_num=1)
    assert (desk.state(1), reserved(desk)) == ("ACCEPTED", 100)


def test_self_match_prevention_cancels_like_any_cancel(desk):
    accept(desk)
    desk.report("AIQCanceled", user_ref_num=1, timestamp=5, decrement_shares=100)
    assert (desk.state(1), reserved(desk)) == ("CANCELLED", 0)


def test_a_reject_gives_everything_back(desk):
    desk.report("Rejected", user_ref_num=1, reason=0x0102)
    assert (desk.state(1), reserved(desk)) == ("REJECTED", 0)
    assert desk.order(1)["reject_code"] == 255 and desk.counters["venue_rejects"][0] == 1
    assert desk.report("Rejected", user_ref_num=1) == 0 and desk.counters["venue_rejects"][0] == 1


def test_a_refusal_of_io_gives_everything_back_once(desk):
    assert desk.refuse(1) == 1
    assert (desk.state(1), reserved(desk)) == ("REJECTED", 0)
    assert desk.refuse(1) == 0 and desk.refuse(2) == 0


def test_a_refusal_of_an_order_the_venue_has_changes_nothing(desk):
    accept(desk)
    assert desk.refuse(1) == 0
    assert (desk.state(1), reserved(desk)) == ("ACCEPTED", 100)


def test_a_replacement_reserves_its_own_quantity_until_the_venue_confirms_it(desk):
    accept(desk)
    assert desk.send("REPLACE", order_reference=1, quantity=60, price=PRICE - 100) == set()
    assert reserved(desk) == 160
    terms = {"quantity": 60, "price": PRICE - 100, "order_state": "L", "order_reference_number": 77}
    assert desk.report("OrderReplaced", orig_user_ref_num=1, user_ref_num=2, **terms) == 1
    assert (desk.state(1), desk.state(2), reserved(desk)) == ("CANCELLED", "ACCEPTED", 60)
    assert desk.order(2)["replaces"] == 1


def test_a_rejected_replacement_leaves_the_old_order_as_it_was(desk):
    accept(desk)
    desk.send("REPLACE", order_reference=1, quantity=60)
    desk.report("Rejected", user_ref_num=2, reason=1)
    assert (desk.state(1), desk.state(2), reserved(desk)) == ("ACCEPTED", "REJECTED", 100)


def test_a_broken_trade_is_taken_back_once(desk):
    accept(desk)
    fill(desk, 100, match=8)
    assert desk.report("BrokenTrade", user_ref_num=1, match_number=8, reason="E") == 1
    assert desk.report("BrokenTrade", user_ref_num=1, match_number=8, reason="E") == 0
    assert desk.rows["position"][1] == 0 and desk.rows["cash"][1] == 0
    assert desk.account["session_lost"] == 0


def test_a_priority_update_and_a_modification_bring_the_venues_facts(desk):
    accept(desk)
    desk.report("OrderPriorityUpdate", user_ref_num=1, price=PRICE - 200, order_reference_number=55)
    assert (desk.order(1)["price"], desk.order(1)["venue_order_id"]) == (PRICE - 200, 55)
    desk.report("OrderModified", user_ref_num=1, side="B", quantity=40)
    assert reserved(desk) == 40


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("OrderExecuted", {"quantity": 1, "price": 1, "match_number": 1}),
        ("OrderAccepted", {"quantity": 1, "price": 1}),
        ("OrderReplaced", {"quantity": 1, "price": 1, "orig_user_ref_num": 1}),
        ("BrokenTrade", {"match_number": 1}),
    ],
)
def test_a_report_about_an_order_we_do_not_have_stops_new_risk(desk, name, fields):
    assert desk.report(name, user_ref_num=50, **fields) == 0
    assert desk.feed_reason("REPORT_UNKNOWN") == 1
    assert desk.ask() == {"SESSION"}


def test_a_fill_repeated_after_its_row_went_to_another_order_is_a_duplicate():
    desk = Desk(orders_rows=2).open()
    desk.send()
    fill(desk, 100, match=1)
    desk.send(), desk.send()
    assert desk.order(1)["reference"] == 3
    assert fill(desk, 100, match=1) == 0
    assert desk.feed_reason("DUPLICATE") == 1 and desk.account["session_lost"] == 0


def test_a_late_cancel_or_reject_of_an_unknown_order_is_only_counted(desk):
    for name in ("OrderCanceled", "Rejected", "CancelReject"):
        assert desk.report(name, user_ref_num=50) == 0
    assert desk.feed_reason("REPORT_UNKNOWN") == 3
    assert desk.ask() == set()


@pytest.mark.parametrize("field", [{"quantity": 0}, {"quantity": 2**31}, {"price": 0}, {"price": 2**31}, {"price": 2**63}])
def test_a_fill_outside_its_domain_moves_nothing_and_stops_new_risk(desk, field):
    assert desk.report("OrderExecuted", user_ref_num=1, match_number=1, **{"quantity": 1, "price": PRICE, **field}) == 0
    assert desk.feed_reason("MESSAGE_FIELD") == 1 and desk.rows["position"][1] == 0
    assert desk.ask() == {"SESSION"}


def test_every_report_cut_anywhere_is_refused_without_reading_on(desk):
    cut = 0
    for message in ouch50.MESSAGES[ouch50.OUTBOUND].values():
        whole = ouch50.encode(message.key)
        for size in range(1, len(whole)):
            assert desk.report_bytes(whole[:size]) == 0
            cut += 1
    assert desk.report_bytes(b"") == 0
    assert desk.feed_reason("MESSAGE_LENGTH") == cut + 1
    assert desk.ask() == {"SESSION"}


def test_an_unknown_report_stops_new_risk(desk):
    assert desk.report_bytes(b"\xff" * 40) == 0
    assert desk.feed_reason("MESSAGE_UNKNOWN") == 1 and desk.ask() == {"SESSION"}


def test_reports_that_move_no_order_are_counted_and_nothing_else(desk):
    for name in ("SystemEvent", "CancelPending", "OrderRestated", "MassCancelResponse", "AccountQueryResponse"):
        assert desk.report(name) == 0
    assert desk.counters["reports"][0] == 5 and desk.ask() == set()


def test_a_new_core_finds_orders_reservations_and_references_where_they_were(desk):
    accept(desk)
    fill(desk, 30, match=1)
    desk.attach()
    assert desk.send() == set()
    assert desk.order(2)["state"] == layout.value("ORDER_SENT") and reserved(desk) == 170
    assert fill(desk, 30, match=1) == 0 and fill(desk, 70, match=2) == 1
    assert desk.rows["position"][1] == 100


def test_a_row_that_is_still_live_is_not_used_again():
    desk = Desk(orders_rows=4).open()
    desk.set_limits(1, position_max=10**6)
    assert [desk.send() for _ in range(4)] == [set()] * 4
    assert desk.send() == {"ORDERS"}
    desk.report("Rejected", user_ref_num=2)
    assert desk.send() == set()  # reference 6 takes the row of 2
    assert open_references(desk.orders) == [1, 3, 4, 6]


def test_open_orders_are_the_live_rows_oldest_first(desk):
    for _ in range(3):
        desk.send()
    desk.report("Rejected", user_ref_num=2)
    desk.send("CANCEL", order_reference=3)
    assert open_references(desk.orders) == [1, 3, 4]
    assert open_orders(desk.orders)["open"].tolist() == [100, 100, 100]


def test_every_report_about_an_order_is_journalled(desk):
    desk.journal.drain()
    accept(desk)
    fill(desk, 30, match=9)
    records = desk.records()
    assert [int(record["kind"]) for record in records] == [layout.value("JOURNAL_REPORT")] * 2
    assert [chr(record["reasons"]) for record in records] == ["A", "E"]
    assert (records[1]["reference"], records[1]["match"]) == (1, 9)
