"""VALUE, POSITION, EXPOSURE and MARGIN ⑦: each fires on its boundary unit and not one before, and sums follow the orders."""

import pytest

from gateway import layout
from gateway.core.memory import FRACTION_ONE, SCALED_MAX
from tests.order_desk import NOW_NS, SECOND_NS, WEALTH, Desk

SELL = layout.value("SIDE_SELL")
PRICE, WORTH = 1_000_200, 1_000_200 * 100  # of the desk's order
HALF = FRACTION_ONE // 2


@pytest.fixture
def desk():
    return Desk().open()


def fill(desk, reference, match, quantity=100, price=PRICE):
    desk.report("OrderExecuted", user_ref_num=reference, quantity=quantity, price=price, match_number=match)


def test_an_order_is_worth_no_more_than_its_share_of_equity(desk):
    desk.set_account(capital=50 * WORTH, value_fraction=FRACTION_ONE // 50)
    desk.settle()
    assert desk.account["signal_value"] == 50 * WORTH * (FRACTION_ONE // 50) // FRACTION_ONE
    desk.set_account(signal_value=WORTH)
    assert desk.ask() == set()
    desk.set_account(signal_value=WORTH - 1)
    assert desk.ask() == {"VALUE"}


def test_without_equity_nothing_may_be_bought(desk):
    desk.set_account(capital=0)
    desk.settle()
    assert desk.ask() == {"VALUE", "MARGIN"}
    desk.set_account(capital=-WORTH)
    desk.settle()
    assert desk.ask() == {"VALUE", "MARGIN"}


def test_a_foreign_value_is_converted_and_rounded_against_us(desk):
    desk.set_limits(1, currency=1)
    desk.account["rates"]["time_ns"][0, 1] = NOW_NS
    desk.account["rates"]["fraction"][0, 1] = FRACTION_ONE // 3
    desk.set_account(signal_value=-(-WORTH // 3))
    assert desk.ask() == set()
    desk.set_account(signal_value=-(-WORTH // 3) - 1)
    assert desk.ask() == {"VALUE"}


def test_a_rate_is_too_old_one_nanosecond_after_its_age(desk):
    desk.set_limits(1, currency=1, stale_ns=1 << 60)
    desk.account["rates"]["fraction"][0, 1] = FRACTION_ONE
    desk.account["rates"]["time_ns"][0, 1] = NOW_NS
    assert desk.ask(now_ns=NOW_NS + SECOND_NS) == set()
    assert desk.ask(now_ns=NOW_NS + SECOND_NS + 1) == {"VALUE"}
    desk.set_account(bucket_ns=0)
    desk.account["rates"]["time_ns"][0, 1] = NOW_NS + 1
    assert desk.ask() == {"VALUE"}, "a rate of the future"
    desk.set_limits(1, currency=0)
    assert desk.ask(now_ns=NOW_NS + SECOND_NS + 1) == set(), "the account's own needs none"


@pytest.mark.parametrize("fraction", [0, -1, 2**40 + 1, 2**63 - 1])
def test_an_absurd_rate_denies(desk, fraction):
    desk.account["rates"]["fraction"][0, 0] = fraction
    assert "VALUE" in desk.ask()


def test_what_does_not_fit_is_worth_more_than_any_limit(desk):
    desk.account["rates"]["fraction"][0, 0] = 2**40
    desk.set_limits(1, value_max=2**62, quantity_max=10**9)
    desk.set_account(signal_value=2**62)
    assert "VALUE" in desk.ask(quantity=10**9)
    assert SCALED_MAX > WEALTH


def test_a_strategy_has_a_position_cap_of_its_own(desk):
    desk.set_strategy(0, position_max=150)
    assert desk.send() == set()
    assert desk.ask(quantity=50) == set()
    assert desk.ask(quantity=51) == {"POSITION"}
    desk.set_strategy(1, flags=1, position_max=10**6, repeat_max=10, repeat_ns=1)
    desk.set_limits(1, permits=0b1111)
    assert desk.ask(quantity=51, strategy=1) == set()
    fill(desk, 1, match=1)
    assert desk.holdings["position"][0, 1] == 100 and desk.holdings["open_buy"][0, 1] == 0
    assert desk.ask(quantity=51) == {"POSITION"}
    assert desk.ask(side=SELL, quantity=250) == set()
    assert desk.ask(side=SELL, quantity=251) == {"POSITION"}


def test_gross_exposure_counts_open_orders_from_the_moment_they_are_sent(desk):
    desk.set_account(gross_max=2 * WORTH)
    assert desk.send() == set()
    assert desk.account["gross_value"] == WORTH
    assert desk.ask() == set()
    assert desk.ask(quantity=101) == {"EXPOSURE"}
    assert desk.send(instrument=2, side=SELL) == set()
    assert desk.account["gross_value"] == 2 * WORTH
    assert desk.ask(instrument=3, quantity=1) == {"EXPOSURE"}


def test_an_order_that_only_reduces_passes_a_full_account(desk):
    assert desk.send() == set()
    fill(desk, 1, match=1)
    desk.set_account(gross_max=1, capital=0, value_fraction=FRACTION_ONE)
    desk.settle()
    desk.set_account(signal_value=WORTH)
    assert desk.account["free_value"] < 0
    assert desk.ask(side=SELL, price=PRICE, quantity=100) == set()
    assert desk.ask(quantity=1) == {"EXPOSURE", "MARGIN"}


def test_net_exposure_is_capped_in_both_directions(desk):
    desk.set_account(net_max=WORTH)
    assert desk.ask() == set()
    assert desk.ask(quantity=101) == {"EXPOSURE"}
    assert desk.ask(side=SELL) == set()
    assert desk.ask(side=SELL, quantity=101) == {"EXPOSURE"}
    assert desk.send() == set()
    assert desk.ask(instrument=2, quantity=1) == {"EXPOSURE"}, "long here and long there"
    assert desk.ask(instrument=2, side=SELL) == set()


@pytest.mark.parametrize("name", ["gross_max", "net_max"])
@pytest.mark.parametrize("number", [0, -1, -(2**63)])
def test_an_exposure_limit_that_is_unset_denies(desk, name, number):
    desk.set_account(**{name: number})
    assert desk.ask() == {"EXPOSURE"}


def test_correlated_instruments_share_one_cap(desk):
    desk.set_group(1, value_max=WORTH + WORTH // 2)
    desk.set_limits(1, group=1, weight_fraction=FRACTION_ONE)
    desk.set_limits(2, group=1, weight_fraction=HALF)
    desk.settle_rows()
    assert desk.send() == set()
    assert desk.ask(instrument=2) == set()
    assert desk.ask(instrument=2, quantity=101) == {"EXPOSURE"}
    assert desk.ask(instrument=3, quantity=1000) == set(), "not of the group"


def test_a_negative_weight_turns_an_instrument_around(desk):
    desk.set_group(1, value_max=WORTH)
    desk.set_limits(1, group=1, weight_fraction=FRACTION_ONE)
    desk.set_limits(2, group=1, weight_fraction=-FRACTION_ONE)
    desk.settle_rows()
    assert desk.send() == set()
    assert desk.ask(instrument=2, side=SELL, quantity=1) == {"EXPOSURE"}, "a short of what moves against it adds"
    assert desk.ask(instrument=2) == set()


def test_a_group_may_have_no_more_than_its_share_of_equity(desk):
    desk.set_limits(1, group=1, weight_fraction=FRACTION_ONE)
    desk.set_account(group_value=WORTH)
    assert desk.ask() == set()
    desk.set_account(group_value=WORTH - 1)
    assert desk.ask() == {"EXPOSURE"}


def test_an_instrument_that_changes_its_group_takes_its_share_along(desk):
    desk.set_limits(1, group=1, weight_fraction=FRACTION_ONE)
    assert desk.send() == set()
    assert desk.account["groups"]["long_value"][0, 1] == WORTH
    desk.set_limits(1, group=2, weight_fraction=HALF)
    desk.settle_rows()
    assert desk.account["groups"]["long_value"][0, :3].tolist() == [0, 0, WORTH // 2]
    desk.set_limits(1, group=0)
    desk.settle_rows()
    assert desk.account["groups"]["long_value"][0].sum() == 0


@pytest.mark.parametrize("weight", [FRACTION_ONE + 1, -FRACTION_ONE - 1, 2**62])
def test_an_absurd_weight_denies(desk, weight):
    desk.set_limits(1, group=1, weight_fraction=weight)
    assert desk.ask() == {"EXPOSURE"}


def test_margin_is_reserved_at_send_and_released_by_a_terminal_state_only(desk):
    desk.set_limits(1, margin_fraction=HALF)
    desk.set_account(capital=WORTH, signal_value=WORTH)
    desk.settle()
    assert desk.send() == set() and desk.account["free_value"] == WORTH // 2
    assert desk.send() == set() and desk.account["free_value"] == 0
    assert desk.ask(quantity=1) == {"MARGIN"}
    desk.orders["state"][1] = layout.value("ORDER_UNKNOWN")
    assert desk.ask(quantity=1) == {"MARGIN"}, "an order whose fate is unknown stays reserved"
    desk.report("OrderCanceled", user_ref_num=1, quantity=100, timestamp=5, reason="U")
    assert desk.account["free_value"] == WORTH // 2
    assert desk.ask() == set()
    assert desk.ask(quantity=101) == {"VALUE", "MARGIN"}


@pytest.mark.parametrize("fraction", [0, -1, FRACTION_ONE + 1, 2**63 - 1])
def test_a_margin_that_is_unset_or_absurd_denies(desk, fraction):
    desk.set_limits(1, margin_fraction=fraction)
    assert "MARGIN" in desk.ask()
