"""Marks, the rolling window and what a position has earned: by hand, beside the seeded twin of the gate."""

import pytest

from gateway import layout
from gateway.core.memory import FRACTION_ONE
from tests.order_desk import NOW_NS, SECOND_NS, WEALTH, Desk

SELL = layout.value("SIDE_SELL")
TENTH_NS = 30 * SECOND_NS


@pytest.fixture
def desk():
    desk = Desk().open()
    desk.set_limits(1, window_price=0, window_ns=0)
    return desk


def trade(desk, side, quantity, price, match):
    """An order that fills at once."""
    reference = int(desk.table["next_reference"][0])
    desk.set_limits(1, window_price=1_000_100, window_ns=NOW_NS)
    assert desk.send(side=side, quantity=quantity, price=price) == set()
    terms = {"user_ref_num": reference, "quantity": quantity, "price": price, "match_number": match}
    desk.report("OrderExecuted", **terms)


def test_profit_is_realised_by_what_leaves_at_the_average_price(desk):
    trade(desk, 1, 100, 1_000_000, 1)
    trade(desk, 1, 100, 1_000_300, 2)
    row = desk.rows[1]
    assert row["cost"] == 100 * 1_000_000 + 100 * 1_000_300
    trade(desk, SELL, 50, 1_000_500, 3)
    assert row["cost"] == 150 * 1_000_150
    assert row["cash"] + row["cost"] == 50 * (1_000_500 - 1_000_150), "realised"
    trade(desk, SELL, 250, 1_000_500, 4)
    assert (row["position"], row["cost"]) == (-100, -100 * 1_000_500), "what is left is short at its own price"


def test_a_mark_moves_equity_and_a_position_without_one_is_worth_its_fill(desk):
    trade(desk, 1, 100, 1_000_200, 1)
    assert desk.rows["mark"][1] == 1_000_200 and desk.account["equity"] == WEALTH
    assert desk.look_at(1) == 1
    assert desk.rows["mark"][1] == 1_000_100 and desk.account["equity"] == WEALTH - 100 * 100
    assert desk.account["gross_value"] == 100 * 1_000_100
    assert desk.look_at(1) == 0


@pytest.mark.parametrize("flag", ["STALE", "CROSSED", "FAULT", "QUIET"])
def test_a_book_that_is_not_trusted_moves_nothing(desk, flag):
    desk.set_book(1, flags=layout.value("BOOK_VALID") | layout.value(f"BOOK_{flag}"))
    assert desk.look_at(1) == 0
    assert desk.rows["mark"][1] == 0 and desk.rows["window_price"][1] == 0


def test_a_price_below_zero_marks_a_position_and_makes_no_window(desk):
    trade(desk, SELL, 100, 1_000_200, 1)
    desk.set_limits(1, window_price=0)
    desk.set_book(1, bid_price=-501, ask_price=-500)
    assert desk.look_at(1) == 1
    assert desk.rows["mark"][1] == -501 and desk.rows["window_price"][1] == 0
    assert desk.account["equity"] == WEALTH + 100 * (1_000_200 + 501)


@pytest.mark.parametrize("price", [-(2**63), -(2**62), 2**62, 2**63 - 1])
def test_a_price_that_no_order_may_carry_marks_nothing(desk, price):
    for touch in ({"bid_price": price}, {"ask_price": price}, {"bid_quantity": 0, "last_price": price}):
        desk.set_book(1, **{"bid_price": 1_000_000, "bid_quantity": 100, "ask_price": 1_000_200, **touch})
        assert desk.look_at(1) == 0 and desk.rows["mark"][1] == 0, touch


def test_the_window_is_the_mean_of_a_sample_a_tenth_and_forgets_what_is_older(desk):
    prices = [1_000_000 + 1000 * step for step in range(12)]
    for step, price in enumerate(prices):
        desk.set_book(1, bid_price=price, ask_price=price)
        desk.look_at(1, NOW_NS + step * TENTH_NS)
        desk.set_book(1, bid_price=2 * price, ask_price=2 * price)
        desk.look_at(1, NOW_NS + step * TENTH_NS + 1)  # the first of a tenth counts
        seen = prices[max(0, step - 9) : step + 1]
        assert desk.rows["window_price"][1] == sum(seen) // len(seen)


def test_an_order_finds_a_sample_of_its_own_tenth(desk):
    assert desk.send() == set()
    assert desk.rows["window_price"][1] == 1_000_100 and desk.rows["window_ns"][1] == NOW_NS


def test_the_sweep_comes_by_every_instrument_in_turn(desk):
    for place in range(4):
        desk.set_book(place, listed=place + 1)
    desk.set_limits(0, flags=0)
    assert desk.sweep(4) == 3
    assert desk.account["swept"] == 4
    assert desk.sweep(0) == desk.sweep(4) == 0


def test_new_limits_are_worked_out_when_the_sweep_comes_by(desk):
    assert desk.send() == set()
    desk.set_limits(1, margin_fraction=FRACTION_ONE // 2)
    desk.set_account(limits_version=2)
    assert desk.account["margin_value"] == 1_000_200 * 100
    desk.look_at(1)
    assert desk.account["margin_value"] == 1_000_200 * 50
