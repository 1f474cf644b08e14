"""RATE ⑦: the token bucket, its reserve for cancels, and the day's count, to the message and to the nanosecond."""

import pytest

from tests.order_desk import NOW_NS, SECOND_NS, Desk

INTERVAL_NS = SECOND_NS // 1000  # of 1,000 messages a second


@pytest.fixture
def desk():
    desk = Desk().open()
    desk.set_limits(1, stale_ns=1 << 60)
    return desk


def test_the_bucket_lets_a_burst_pass_without_its_reserve(desk):
    assert [desk.ask() for _ in range(80)] == [set()] * 80
    assert desk.ask() == {"RATE"}


def test_a_token_comes_back_after_its_interval_and_not_a_nanosecond_before(desk):
    for _ in range(80):
        desk.ask()
    assert desk.ask(now_ns=NOW_NS + INTERVAL_NS - 1) == {"RATE"}
    assert desk.ask(now_ns=NOW_NS + INTERVAL_NS) == set()
    assert desk.ask(now_ns=NOW_NS + INTERVAL_NS) == {"RATE"}


def test_an_interval_is_rounded_against_us(desk):
    desk.set_account(rate_per_second=3, rate_burst=1, reserve_percent=0)
    assert desk.ask() == set()
    assert desk.ask(now_ns=NOW_NS + 333_333_333) == {"RATE"}
    assert desk.ask(now_ns=NOW_NS + 333_333_334) == set()


def test_a_refused_order_costs_nothing(desk):
    for _ in range(1000):
        assert desk.ask(quantity=0) == {"QTY", "VALUE"}
    assert desk.account["day_messages"] == 0
    assert desk.ask() == set()


def test_cancels_pass_an_empty_bucket_and_are_charged_to_it(desk):
    assert desk.send() == set()
    for _ in range(10):
        assert desk.ask("CANCEL", order_reference=1) == set()
    assert [desk.ask() for _ in range(69)] == [set()] * 69
    assert desk.ask() == {"RATE"}
    for _ in range(1000):
        assert desk.ask("CANCEL", order_reference=1) == set()


def test_cancels_overdraw_the_bucket_by_no_more_than_the_whole_of_it(desk):
    assert desk.send() == set()
    for _ in range(5000):
        desk.ask("CANCEL", order_reference=1)
    full_again_ns = NOW_NS + (100 - 80 + 1) * INTERVAL_NS
    assert desk.ask(now_ns=full_again_ns - 1) == {"RATE"}
    assert desk.ask(now_ns=full_again_ns) == set()


def test_the_day_ends_on_its_last_message(desk):
    desk.set_account(day_messages_max=3)
    assert desk.send() == set()
    assert desk.send("CANCEL", order_reference=1) == set()
    assert desk.send() == set()
    assert desk.send() == {"RATE"}
    assert desk.send("CANCEL", order_reference=1) == set()
    assert desk.account["day_messages"] == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"rate_per_second": 0},
        {"rate_per_second": -1},
        {"rate_per_second": SECOND_NS + 1},
        {"rate_per_second": 2**32 + 1000},
        {"rate_burst": 0},
        {"rate_burst": -5},
        {"rate_burst": 2**24},
        {"rate_burst": 2**40 + 100},
        {"rate_burst": 1},  # the reserve takes the only token
        {"reserve_percent": -1},
        {"reserve_percent": 100},
        {"reserve_percent": 101},
        {"reserve_percent": 128},
        {"day_messages_max": 0},
        {"day_messages_max": -1},
    ],
    ids=str,
)
def test_a_rate_that_is_unset_or_absurd_denies(desk, fields):
    desk.set_account(**fields)
    assert desk.ask() == {"RATE"}


def test_the_highest_rate_and_burst_do_not_overflow(desk):
    desk.set_account(rate_per_second=1, rate_burst=2**24 - 1, reserve_percent=0)
    assert desk.ask() == set()
    assert desk.account["bucket_ns"] == NOW_NS + SECOND_NS
    desk.set_account(rate_per_second=SECOND_NS, bucket_ns=0)
    assert desk.ask() == set()
