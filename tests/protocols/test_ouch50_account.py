"""The venue's account from its reports: every report counts once, positions are the sum of trades, nothing read raises."""

import random

import pytest

from gateway.protocols import ouch50
from gateway.protocols.ouch50_account import Execution, VenueAccount, VenueOrder

AAPL = {"symbol": "AAPL", "price": 1_000_000, "cl_ord_id": "A00001000000G1", "order_state": "L"}


def accepted(reference: int, quantity: int = 100, side: str = "B", **given: object) -> bytes:
    return ouch50.encode("OrderAccepted", user_ref_num=reference, quantity=quantity, side=side, **AAPL | given)


def executed(reference: int, quantity: int, match: int, price: int = 1_000_000) -> bytes:
    return ouch50.encode("OrderExecuted", user_ref_num=reference, quantity=quantity, price=price, match_number=match)


def canceled(reference: int, quantity: int, stamp: int = 1) -> bytes:
    return ouch50.encode("OrderCanceled", user_ref_num=reference, quantity=quantity, timestamp=stamp)


def test_an_accepted_order_is_open_and_a_fill_moves_it_to_the_position() -> None:
    account = VenueAccount({"MSFT": -7}).apply_all([accepted(5), executed(5, 30, match=9, price=999_900)])
    assert account.open_orders == {5: VenueOrder(5, "AAPL", "buy", 1_000_000, 100, 70, 30, "A00001000000G1")}
    assert account.positions == {"AAPL": 30, "MSFT": -7} and account.reference_max == 5
    assert account.executions == {(9, 5): Execution("AAPL", "buy", 999_900, 30)}


def test_filled_cancelled_dead_and_replaced_orders_are_not_open() -> None:
    replaced = ouch50.encode(
        "OrderReplaced", orig_user_ref_num=3, user_ref_num=4, quantity=40, side="S", **AAPL | {"price": 1_000_100}
    )
    messages = [accepted(1), executed(1, 100, 1), accepted(2), canceled(2, 100), accepted(3, side="S"), replaced]
    account = VenueAccount().apply_all([*messages, accepted(5, order_state="D")])
    assert list(account.open_orders) == [4] and account.open_orders[4].open == 40 and account.open_orders[4].side == "sell"
    assert account.positions == {"AAPL": 100} and not account.refused and account.knows(2) and not account.knows(6)


def test_a_report_counts_once_however_often_it_comes() -> None:
    twice = [accepted(1), accepted(1), executed(1, 30, 1), executed(1, 30, 1), canceled(1, 10), canceled(1, 10)]
    account = VenueAccount().apply_all(twice)
    assert account.open_orders[1].open == 60 and account.positions == {"AAPL": 30}
    assert account.refused == {"duplicate": 3}


def test_both_sides_of_a_trade_with_ourselves_count() -> None:
    account = VenueAccount().apply_all([accepted(1), accepted(2, side="S"), executed(1, 50, 7), executed(2, 50, 7)])
    assert account.positions == {} and len(account.executions) == 2 and account.open_orders[2].open == 50


def test_a_broken_trade_is_taken_back_once_and_the_order_does_not_work_again() -> None:
    broken = ouch50.encode("BrokenTrade", user_ref_num=1, match_number=3)
    account = VenueAccount().apply_all([accepted(1), executed(1, 100, 3), broken, broken, executed(1, 100, 3)])
    assert account.positions == {} and account.executions == {} and account.open_orders == {}
    assert account.orders[1].filled == 0 and account.refused == {"duplicate": 2}


def test_more_filled_than_was_open_is_a_fact_and_counted() -> None:
    account = VenueAccount().apply_all([accepted(1, 10), executed(1, 25, 1)])
    assert account.positions == {"AAPL": 25} and account.open_orders == {} and account.refused == {"quantity_excess": 1}


def test_rejects_queries_and_mass_cancels_use_references_up() -> None:
    account = VenueAccount().apply_all([ouch50.encode("Rejected", user_ref_num=8)])
    assert account.knows(8) and account.is_past(8) and not account.is_past(9)
    account.apply(ouch50.encode("AccountQueryResponse", next_user_ref_num=12))
    assert (account.next_reference, account.answers, account.reference_max) == (12, 1, 11)
    account.apply(ouch50.encode("MassCancelResponse", user_ref_num=12))
    assert account.is_past(12) and not account.knows(12)


@pytest.mark.parametrize("name", sorted(message.key for message in ouch50.MESSAGES[ouch50.OUTBOUND].values()))
def test_a_message_cut_short_anywhere_changes_nothing_and_is_counted(name: str) -> None:
    account = VenueAccount().apply_all([accepted(1), executed(1, 10, 1)])
    before = (dict(account.open_orders), dict(account.positions), account.reference_max)
    whole = ouch50.encode(name, user_ref_num=0) if name not in ("SystemEvent", "AccountQueryResponse") else b"S"
    whole = whole if name not in ("SystemEvent", "AccountQueryResponse") else ouch50.encode(name)
    for length in range(len(whole)):
        account.apply(whole[:length])
    assert account.refused["message_length"] == len(whole)
    assert (dict(account.open_orders), dict(account.positions), account.reference_max) == before


def test_no_bytes_raise_and_what_is_refused_is_counted() -> None:
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    letters = b"SAUCDEBJPITMRXGKQ"
    account = VenueAccount()
    for number in range(20_000):
        length = draw.choice((0, 1, 5, 13, 20, 40, 64, 70, 100))
        message = bytes([draw.choice(letters)]) + draw.randbytes(length) if draw.random() < 0.9 else draw.randbytes(length)
        if draw.random() < 0.3:
            message = bytearray(draw.choice((accepted(number % 50 + 1), executed(number % 50 + 1, 1, number))))
            message[draw.randrange(len(message))] ^= 1 << draw.randrange(8)
        try:
            account.apply(bytes(message))
        except Exception as problem:
            pytest.fail(f"seed {seed}, message {number}, {bytes(message).hex()}: {problem!r}")
    assert account.messages == 20_000 and sum(account.refused.values()) > 1000
    assert all(order.open > 0 for order in account.open_orders.values()), f"seed {seed}"
