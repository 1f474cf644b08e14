"""What a record of core_journal says of a decision and of a report: terms, market, stamps, and the venue's own words."""

import pytest

from gateway import layout
from gateway.protocols.ouch50 import type_of
from tests.order_desk import NOW_NS, SECOND_NS, Desk

STAMP_NS = 34_200_000_000_123
FACTS = ("match", "price", "quantity", "venue_order_id", "time_venue_ns")


@pytest.fixture
def desk():
    return Desk().open()


def facts(record):
    return {name: int(record[name]) for name in FACTS}


def test_a_decision_says_what_it_was_made_on_and_carries_the_stamps_of_its_order(desk):
    desk.rows["position"][1], desk.account["limits_version"] = -250, 6
    desk.send(price=1_000_200, quantity=100, signal_id=9)
    ((slot, _),) = desk.sent()
    (record,) = desk.records()
    assert (record["bid"], record["ask"], record["position"]) == (1_000_000, 1_000_200, -250)
    assert facts(record) == {**dict.fromkeys(FACTS, 0), "match": 6}, "the version of the limits, and nothing of a venue"
    assert (record["ticks_receive"], record["ticks_decode"]) == (11, 22)
    assert record["ticks_order"] == slot["ticks_order"] > 0
    assert (record["intent"]["price"], record["intent"]["quantity"], record["flags"]) == (1_000_200, 100, 0)


def test_a_refused_decision_is_stamped_too_and_an_unknown_instrument_has_no_market(desk):
    assert "STATE" in desk.send(instrument=77)
    (record,) = desk.records()
    assert record["ticks_order"] > 0 and record["intent"]["instrument"] == 77
    assert (record["bid"], record["ask"], record["position"]) == (0, 0, 0)


def test_a_cancel_shows_the_market_of_the_order_it_means(desk):
    desk.set_book(2, bid_price=2_000_000, ask_price=2_000_200, last_price=2_000_100)
    desk.set_limits(2, window_price=2_000_100, last_price=2_000_100)
    assert desk.send(instrument=2, price=2_000_200) == set()
    assert desk.send("CANCEL", instrument=0, order_reference=1) == set()
    opened, cancel = desk.records()
    assert opened["bid"] == cancel["bid"] == 2_000_000 and cancel["intent"]["order_reference"] == 1


def test_a_report_carries_its_order_s_terms_and_the_venue_s_facts(desk):
    desk.send(quantity=100, price=1_000_200, signal_id=5)
    desk.records()
    accepted = {"user_ref_num": 1, "quantity": 100, "price": 1_000_100, "order_reference_number": 900}
    desk.report("OrderAccepted", **accepted, order_state="L", timestamp=STAMP_NS)
    executed = {"user_ref_num": 1, "quantity": 40, "price": 1_000_050, "match_number": 77}
    desk.report("OrderExecuted", NOW_NS + SECOND_NS, **executed, timestamp=STAMP_NS + 1)
    desk.report("OrderCanceled", user_ref_num=1, quantity=60, reason="U", timestamp=STAMP_NS + 2)
    accept, fill, cancel = desk.records()
    for record, letter in ((accept, "OrderAccepted"), (fill, "OrderExecuted"), (cancel, "OrderCanceled")):
        assert (record["kind"], record["reasons"]) == (layout.value("JOURNAL_REPORT"), type_of(letter))
        terms = record["intent"]
        assert (terms["kind"], terms["instrument"], terms["side"], terms["signal_id"]) == (0, 1, 1, 5)
        assert (terms["strategy"], terms["quantity"], terms["time_in_force"]) == (0, 100, 3)
        assert (record["ticks_receive"], record["ticks_order"]) == (0, 0)
    assert accept["intent"]["price"] == 1_000_200 and fill["intent"]["price"] == 1_000_100, "as the table had it before"
    expected = {"match": 0, "price": 1_000_100, "quantity": 100, "venue_order_id": 900, "time_venue_ns": STAMP_NS}
    assert facts(accept) == expected
    expected = {"match": 77, "price": 1_000_050, "quantity": 40, "venue_order_id": 0, "time_venue_ns": STAMP_NS + 1}
    assert facts(fill) == expected and fill["time_ns"] == NOW_NS + SECOND_NS and fill["position"] == 0
    expected = {"match": 0, "price": 0, "quantity": 60, "venue_order_id": 0, "time_venue_ns": STAMP_NS + 2}
    assert facts(cancel) == expected and cancel["flags"] == ord("U") and cancel["position"] == 40


def test_a_rejection_keeps_the_venue_s_reason_and_a_replacement_names_both_orders(desk):
    desk.send()
    desk.report("OrderAccepted", user_ref_num=1, quantity=100, price=1_000_200, order_reference_number=9, order_state="L")
    desk.send("REPLACE", order_reference=1, quantity=60, price=1_000_300)
    desk.records()
    replaced = {"orig_user_ref_num": 1, "user_ref_num": 2, "quantity": 60, "price": 1_000_300, "order_reference_number": 10}
    desk.report("OrderReplaced", **replaced, order_state="L", timestamp=STAMP_NS)
    desk.send()
    desk.report("Rejected", user_ref_num=3, reason=0x0102, timestamp=STAMP_NS)
    record, _, rejected = desk.records()
    assert (record["reference"], record["intent"]["order_reference"], record["venue_order_id"]) == (2, 1, 10)
    assert (rejected["reference"], rejected["flags"]) == (3, 0x0102)


def test_a_report_about_an_order_we_never_sent_has_the_venue_s_facts_and_no_terms(desk):
    desk.report("OrderExecuted", user_ref_num=50, quantity=40, price=1_000_050, match_number=77, timestamp=STAMP_NS)
    (record,) = desk.records()
    assert (record["reference"], record["match"], record["quantity"]) == (50, 77, 40)
    assert (record["bid"], record["position"]) == (0, 0)
    assert record["intent"].tobytes() == bytes(layout.size("intent"))


def test_a_record_leaves_nothing_of_the_one_that_lay_in_its_slot_before(desk):
    for _ in range(40):  # the ring of the desk has 32 slots: each is written over
        desk.send("CANCEL", order_reference=1, quantity=3, price=7, signal_id=8, side=2)
        desk.report("OrderExecuted", user_ref_num=50, quantity=40, price=1_000_050, match_number=77, timestamp=STAMP_NS)
        desk.report("CancelReject", user_ref_num=50, timestamp=STAMP_NS)
        *_, last = desk.records()
        assert facts(last) == {**dict.fromkeys(FACTS, 0), "time_venue_ns": STAMP_NS} and last["flags"] == 0
        assert last["intent"].tobytes() == bytes(layout.size("intent"))
