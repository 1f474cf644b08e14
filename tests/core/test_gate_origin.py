"""PERM, DUP, SELF, REPEAT and DISABLED ⑦, and the hours, auctions and rolling window that the rest of the gate knows."""

import pytest

from gateway import layout
from tests.order_desk import NOW_NS, SECOND_NS, STRATEGY, Desk

SELL = layout.value("SIDE_SELL")
BUY_BIT, SELL_BIT = 0b01, 0b10


@pytest.fixture
def desk():
    desk = Desk().open()
    desk.set_limits(1, stale_ns=1 << 60)
    return desk


def fill(desk, reference, match, now_ns=NOW_NS, quantity=1):
    terms = {"quantity": quantity, "price": 1_000_200, "match_number": match}
    desk.report("OrderExecuted", now_ns=now_ns, user_ref_num=reference, **terms)


@pytest.mark.parametrize(("permits", "buys", "sells"), [(0, 0, 0), (BUY_BIT, 1, 0), (SELL_BIT, 0, 1), (0b11 << 2, 0, 0)])
def test_a_strategy_trades_the_sides_of_an_instrument_that_it_was_given(desk, permits, buys, sells):
    desk.set_limits(1, permits=permits)
    assert desk.ask() == (set() if buys else {"PERM"})
    assert desk.ask(side=SELL) == (set() if sells else {"PERM"})


def test_a_strategy_without_its_row_has_no_permission(desk):
    desk.set_limits(1, permits=2**64 - 1)
    assert desk.ask(strategy=7) == {"PERM", "POSITION", "REPEAT"}
    desk.set_strategy(7, **STRATEGY)
    assert desk.ask(strategy=7) == set()
    assert desk.ask(strategy=8) == {"PERM"}
    assert desk.ask(strategy=2**32 - 1) == {"PERM"}


def test_the_same_order_of_the_same_signal_is_a_duplicate_until_its_window_ends(desk):
    assert desk.send(signal_id=7) == set()
    assert desk.ask(signal_id=7) == {"DUP"}
    assert desk.ask(signal_id=7, now_ns=NOW_NS + SECOND_NS - 1) == {"DUP"}
    assert desk.ask(signal_id=7, now_ns=NOW_NS + SECOND_NS) == set()


def test_another_signal_or_another_order_is_no_duplicate(desk):
    desk.set_strategy(1, **STRATEGY)
    desk.set_limits(1, permits=0b1111)
    desk.set_limits(2, stale_ns=1 << 60)
    assert desk.send(signal_id=7) == set()
    others = [{"signal_id": 8}, {"quantity": 99}, {"price": 1_000_300}, {"instrument": 2}, {"strategy": 1}]
    for fields in (*others, {"side": SELL, "price": 1_000_300}):
        assert desk.ask(**{"signal_id": 7, **fields}) == set(), fields


def test_a_signal_without_a_name_is_one_signal(desk):
    assert desk.send(signal_id=0) == set()
    assert desk.ask(signal_id=0) == {"DUP"}


def test_only_what_left_makes_a_duplicate(desk):
    assert desk.send(signal_id=7, quantity=5000) == {"QTY"}
    assert desk.send(signal_id=7, quantity=5000) == {"QTY"}


def test_an_order_that_cannot_be_remembered_is_refused(desk):
    desk.recent["times_ns"] = NOW_NS
    assert desk.ask() == {"DUP"}
    desk.recent["times_ns"][:, 3] = NOW_NS - SECOND_NS
    assert desk.ask() == set()


@pytest.mark.parametrize("window_ns", [0, -1, -(2**63), 2**63 - 1])
def test_a_window_that_is_unset_or_absurd_denies(desk, window_ns):
    desk.set_account(dup_ns=window_ns)
    assert desk.ask() == {"DUP"}


def test_an_order_that_would_meet_our_own_is_refused_on_its_tick(desk):
    assert desk.send(price=1_000_200) == set()
    assert desk.ask(side=SELL, price=1_000_300) == set()
    assert desk.ask(side=SELL, price=1_000_200) == {"SELF"}
    assert desk.ask(side=SELL, price=1_000_100) == {"SELF"}
    assert desk.ask(side=SELL, price=1_000_100, instrument=2) == set()


def test_the_best_own_price_follows_the_orders_that_are_there(desk):
    for price in (1_000_000, 1_000_200, 1_000_100):
        assert desk.send(price=price) == set()
    assert desk.rows["own_bid"][1] == 1_000_200
    desk.report("Rejected", user_ref_num=2, reason=1)
    assert desk.rows["own_bid"][1] == 1_000_100
    desk.report("OrderPriorityUpdate", user_ref_num=1, price=1_000_400, order_reference_number=5)
    assert desk.rows["own_bid"][1] == 1_000_400
    desk.report("OrderPriorityUpdate", user_ref_num=1, price=999_900, order_reference_number=5)
    assert desk.rows["own_bid"][1] == 1_000_100
    desk.report("Rejected", user_ref_num=3, reason=1)
    desk.report("Rejected", user_ref_num=1, reason=1)
    assert desk.rows["own_bid"][1] == 0 and desk.rows["buys"][1] == 0
    assert desk.ask(side=SELL, price=999_900) == set()


def test_an_order_whose_fate_is_unknown_may_still_be_met(desk):
    assert desk.send() == set()
    desk.orders["state"][1] = layout.value("ORDER_UNKNOWN")
    assert desk.ask(side=SELL, price=1_000_200) == {"SELF"}


def test_the_last_execution_that_fits_into_the_window_disables_the_strategy(desk):
    desk.set_strategy(0, repeat_max=3, repeat_ns=SECOND_NS)
    assert desk.send() == set()
    fill(desk, 1, 1, NOW_NS)
    fill(desk, 1, 2, NOW_NS + 1)
    assert desk.ask() == set()
    fill(desk, 1, 3, NOW_NS + SECOND_NS)  # the first is out of the window by now
    assert desk.ask() == set()
    fill(desk, 1, 4, NOW_NS + SECOND_NS)  # two and a half: this is the third within it
    assert desk.ask() == {"REPEAT"}
    assert desk.ask(now_ns=NOW_NS + 100 * SECOND_NS) == {"REPEAT"}, "until a human enables it"
    assert desk.ask("CANCEL", order_reference=1) == set()
    desk.set_strategy(0, repeated=0)
    assert desk.ask() == set()


def test_a_duplicate_report_is_no_execution(desk):
    desk.set_strategy(0, repeat_max=2, repeat_ns=SECOND_NS)
    assert desk.send() == set()
    for _ in range(5):
        fill(desk, 1, 1)
    assert desk.ask() == set()


def test_a_disabled_strategy_stays_disabled_for_the_next_core(desk):
    desk.set_strategy(0, repeat_max=1, repeat_ns=SECOND_NS)
    desk.send()
    fill(desk, 1, 1)
    desk.attach()
    assert desk.ask() == {"REPEAT"}


@pytest.mark.parametrize("fields", [{"repeat_max": 0}, {"repeat_max": -1}, {"repeat_max": 1025}, {"repeat_ns": 0}], ids=str)
def test_a_repeat_limit_that_is_unset_or_absurd_denies(desk, fields):
    desk.set_strategy(0, **fields)
    assert desk.ask() == {"REPEAT"}


def test_a_halted_account_or_strategy_is_disabled(desk):
    desk.set_account(halted=1)
    assert desk.ask() == {"DISABLED"}
    desk.set_account(halted=0)
    desk.set_strategy(0, halted=1)
    assert desk.ask() == {"DISABLED"}
    desk.set_strategy(1, **STRATEGY)
    desk.set_limits(1, permits=0b1111)
    desk.intents["halted"] = 1
    assert desk.ask(strategy=1) == set(), "the one that raised is the other"


def test_a_halted_instrument_is_disabled_and_its_neighbour_is_not(desk):
    desk.set_limits(1, halted=1 << 5)
    assert desk.ask() == {"DISABLED"}
    assert desk.ask(instrument=2) == set()
    desk.set_limits(1, halted=0)
    assert desk.ask() == set()


def test_a_reduced_strategy_sends_half_the_quantity_and_not_one_lot_more(desk):
    desk.set_limits(1, quantity_max=1000)
    desk.set_strategy(0, size_shift=1)
    assert desk.ask(quantity=500) == set()
    assert desk.ask(quantity=501) == {"QTY"}
    desk.set_strategy(1, **STRATEGY)
    desk.set_limits(1, permits=0b1111)
    assert desk.ask(strategy=1, quantity=1000) == set(), "the other one's sizes are whole"


def test_a_reduced_strategy_sends_half_the_value_and_holds_half_the_position(desk):
    desk.set_limits(1, value_max=200 * 1_000_200)
    desk.set_strategy(0, size_shift=1, position_max=400)
    assert desk.ask(quantity=100) == set()
    assert desk.ask(quantity=101) == {"VALUE"}
    desk.set_limits(1, value_max=10**10)
    assert desk.ask(quantity=200) == set()
    assert desk.ask(quantity=201) == {"POSITION"}
    desk.set_strategy(0, size_shift=2)
    assert desk.ask(quantity=101) == {"POSITION"}


@pytest.mark.parametrize("shift", [63, 64, 65, 127, 1 << 32, (1 << 64) - 1])
def test_sizes_that_are_halved_beyond_all_bits_are_nothing(desk, shift):
    desk.set_strategy(0, size_shift=shift)
    assert {"QTY", "VALUE", "POSITION"} <= desk.ask(quantity=1)


def test_a_reduced_strategy_may_sell_what_it_holds_however_much_that_is(desk):
    desk.set_strategy(0, position_max=400)
    for reference in (1, 2, 3):
        assert desk.send(quantity=100) == set()
        fill(desk, reference, reference, quantity=100)
    desk.set_strategy(0, size_shift=8)
    desk.set_limits(1, quantity_max=100_000, value_max=10**12)
    assert desk.ask(side=2, quantity=300, price=1_000_000) == set()
    assert "POSITION" in desk.ask(quantity=1)


def test_orders_leave_from_the_nanosecond_of_opening_to_the_last_before_closing(desk):
    desk.set_account(hours_open_ns=NOW_NS, hours_close_ns=NOW_NS + 10)
    assert desk.ask() == set()
    assert desk.ask(now_ns=NOW_NS + 9) == set()
    assert desk.ask(now_ns=NOW_NS + 10) == {"STATE"}
    desk.set_account(hours_open_ns=NOW_NS + 1)
    assert desk.ask() == {"STATE"}


def test_an_auction_is_traded_in_only_where_it_is_allowed(desk):
    crossed = layout.value("BOOK_VALID") | layout.value("BOOK_CROSSED")
    desk.set_book(1, trading=layout.value("TRADING_AUCTION"), flags=crossed)
    assert desk.ask() == {"STATE"}
    flags = [layout.value(f"INSTRUMENT_{name}") for name in ("PERMITTED", "LIMITS_SET", "AUCTION")]
    desk.set_limits(1, flags=sum(flags))
    assert desk.ask() == set(), "a crossed book is normal there"
    desk.set_book(1, trading=layout.value("TRADING_OPEN"))
    assert desk.ask() == {"STATE"}


def test_the_collar_around_the_rolling_window_ends_on_its_tick(desk):
    desk.set_limits(1, tick=1, window_ppm=1000, window_price=1_000_000)
    assert desk.ask(price=1_001_000) == set()
    assert desk.ask(price=1_001_001) == {"PRICE"}
    assert desk.ask(price=999_000) == set()
    assert desk.ask(price=998_999) == {"PRICE"}


def test_a_window_without_a_sample_or_with_old_ones_denies(desk):
    desk.set_account(window_ns=SECOND_NS)
    assert desk.ask(now_ns=NOW_NS + SECOND_NS) == set()
    assert desk.ask(now_ns=NOW_NS + SECOND_NS + 1) == {"PRICE"}
    desk.set_account(bucket_ns=0)
    for price in (0, -1, 2**31, 2**32 + 1_000_100):
        desk.set_limits(1, window_price=price)
        assert desk.ask() == {"PRICE"}


def test_a_last_trade_is_a_reference_until_it_is_too_old(desk):
    desk.set_book(1, ask_quantity=0)
    assert desk.ask(now_ns=NOW_NS + SECOND_NS) == set()
    assert desk.ask(now_ns=NOW_NS + SECOND_NS + 1) == {"PRICE"}
    desk.set_account(bucket_ns=0)
    desk.set_book(1, last_price=1_000_200)  # nobody has seen since when
    assert desk.ask() == {"PRICE"}


@pytest.mark.parametrize("price", [-1_000_200, -100, -(2**63)])
def test_a_negative_price_is_a_market_but_no_order(desk, price):
    desk.set_book(1, bid_price=-2_000_000, ask_price=-1_000_000)
    assert desk.ask(price=price) == {"PRICE", "VALUE"}
    assert desk.ask() == {"PRICE"}
