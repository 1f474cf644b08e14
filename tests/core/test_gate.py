"""The gate ⑦: each control fires on its boundary tick and not one tick before."""

import threading
import time

import pytest
from numba import njit

from gateway import layout
from gateway.core.gate import decide_new
from tests.order_desk import BITS, LIMITS, NOW_NS, SECOND_NS, Desk

SELL = layout.value("SIDE_SELL")
BIT_STATE, BIT_QTY, BIT_VALUE = BITS["STATE"], BITS["QTY"], BITS["VALUE"]
INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)


@pytest.fixture
def desk():
    return Desk().open()


def test_an_ordinary_order_passes_every_control(desk):
    assert desk.ask() == set()
    assert desk.ask(side=SELL) == set()


def test_memory_full_of_zeros_denies_everything():
    desk = Desk()
    expected = {"FENCE", "STATE", "STALE", "PERM", "QTY", "PRICE", "VALUE", "POSITION", "EXPOSURE", "MARGIN", "RATE"}
    expected |= {"DUP", "REPEAT"}
    assert desk.ask() == expected
    assert desk.ask("CANCEL", order_reference=1) == {"ORDERS"}
    assert desk.ask("REPLACE", order_reference=1) == expected | {"ORDERS"}


def test_a_set_latch_stops_new_risk_and_lets_cancels_pass(desk):
    assert desk.send() == set()
    desk.control["kill_latch"] = layout.value("KILL_COMMAND")
    assert desk.ask() == {"KILL"}
    assert desk.ask("REPLACE", order_reference=1) == {"KILL"}
    assert desk.ask("CANCEL", order_reference=1) == set()
    assert desk.ask("CANCEL", order_reference=1, quantity=50) == set()
    assert desk.ask("MASS_CANCEL") == set()


def test_another_epoch_fences_this_node(desk):
    for epoch in (0, 6, 8, 2**63):
        desk.control["epoch"] = epoch
        assert desk.ask() == {"FENCE"}


def test_a_lease_fences_from_the_nanosecond_it_expires(desk):
    desk.control["lease_expires_ns"] = NOW_NS + 1
    assert desk.ask() == set()
    desk.control["lease_expires_ns"] = NOW_NS
    assert desk.ask() == {"FENCE"}


@pytest.mark.parametrize(
    "flags", [0, 1, 4, 1 | 2 | 4, 2], ids=["nothing", "no limits", "not permitted", "restricted", "only restricted"]
)
def test_an_instrument_needs_permission_and_limits_and_no_restriction(desk, flags):
    desk.set_limits(1, flags=flags)
    assert desk.ask() == {"STATE"}


def test_trading_must_be_open(desk):
    for state in range(5):
        desk.set_book(1, trading=state)
        assert desk.ask() == (set() if state == layout.value("TRADING_OPEN") else {"STATE"})


def test_a_crossed_or_faulty_book_is_not_traded_on(desk):
    for flag in ("BOOK_CROSSED", "BOOK_FAULT"):
        desk.set_book(1, flags=layout.value("BOOK_VALID") | layout.value(flag))
        assert desk.ask() == {"STATE"}


def test_an_instrument_without_a_symbol_cannot_be_written_into_an_order(desk):
    desk.set_book(1, symbol=b"")
    assert desk.ask() == {"STATE"}


def test_an_instrument_outside_the_table_is_refused_and_nothing_is_read(desk):
    assert "STATE" in desk.ask(instrument=4)
    assert "STATE" in desk.ask(instrument=2**32 - 1)


def test_limits_that_are_being_written_deny(desk):
    desk.account["limits_version"] = 3
    assert desk.ask() == {"STATE"}
    desk.account["limits_version"] = 4
    assert desk.ask() == set()


def test_a_book_is_stale_one_nanosecond_after_its_limit(desk):
    assert desk.ask(now_ns=NOW_NS + SECOND_NS) == set()
    assert desk.ask(now_ns=NOW_NS + SECOND_NS + 1) == {"STALE"}
    desk.set_account(bucket_ns=0)
    desk.set_limits(1, stale_ns=0)
    assert desk.ask() == set()
    assert desk.ask(now_ns=NOW_NS + 1) == {"STALE"}
    desk.set_limits(1, stale_ns=-1)
    assert desk.ask() == {"STALE"}


def test_a_time_that_runs_backwards_or_is_absurd_is_stale(desk):
    assert desk.ask(now_ns=NOW_NS - 1) == {"STALE", "PRICE"}
    desk.set_book(1, time_ns=0)
    assert desk.ask() == {"STALE"}
    desk.set_book(1, time_ns=INT64_MIN)
    assert desk.ask() == {"STALE"}
    desk.set_book(1, time_ns=NOW_NS)
    assert desk.ask(now_ns=0) == {"STATE", "STALE", "PRICE", "DUP", "RATE"}
    assert "STALE" in desk.ask(now_ns=INT64_MAX)


def test_a_quiet_book_is_stale_whatever_its_age(desk):
    desk.set_book(1, flags=layout.value("BOOK_VALID") | layout.value("BOOK_QUIET"), time_ns=NOW_NS)
    assert desk.ask() == desk.ask("REPLACE", order_reference=1) - {"ORDERS"} == {"STALE"}


def test_a_book_that_is_not_valid_or_has_a_gap_is_stale(desk):
    desk.set_book(1, flags=0)
    assert desk.ask() == {"STALE"}
    desk.set_book(1, flags=layout.value("BOOK_VALID") | layout.value("BOOK_STALE"))
    assert desk.ask() == {"STALE"}


def test_an_unknown_side_kind_or_lifetime_has_no_permission(desk):
    assert desk.ask(side=0) == {"PERM"}
    assert desk.ask(side=3) == {"PERM"}
    assert desk.ask(time_in_force=1) == {"PERM"}
    assert desk.ask("NONE") == {"PERM"}


def test_quantity_is_capped_at_its_limit(desk):
    assert desk.ask(quantity=1000) == set()
    assert desk.ask(quantity=1001) == {"QTY"}
    assert desk.ask(quantity=1) == set()
    assert desk.ask(quantity=0) == {"QTY", "VALUE"}


def test_quantity_is_a_multiple_of_the_lot(desk):
    desk.set_limits(1, lot=100)
    assert desk.ask(quantity=200) == set()
    assert desk.ask(quantity=199) == {"QTY"}
    for lot in (0, -100, 2**32, 2**32 + 100, INT64_MAX):
        desk.set_limits(1, lot=lot)
        assert desk.ask(quantity=200) == {"QTY"}


def test_price_is_a_multiple_of_the_tick(desk):
    assert desk.ask(price=1_000_300) == set()
    assert desk.ask(price=1_000_301) == {"PRICE"}
    for tick in (0, -100, 2**32, 2**32 + 100, INT64_MAX):
        desk.set_limits(1, tick=tick)
        assert desk.ask() == {"PRICE"}


def test_the_collar_around_the_middle_ends_on_its_tick(desk):
    desk.set_limits(1, tick=1)
    # the middle is 1,000,100 and five per cent of it 50,005
    for side in (1, 2):
        assert desk.ask(side=side, price=1_050_105) == set()
        assert desk.ask(side=side, price=1_050_106) == {"PRICE"}
        assert desk.ask(side=side, price=950_095) == set()
        assert desk.ask(side=side, price=950_094) == {"PRICE"}


def test_the_collar_keeps_the_half_of_an_odd_spread(desk):
    desk.set_limits(1, tick=1, collar_ppm=1)
    desk.set_book(1, bid_price=1_000_000, ask_price=1_000_001)  # one millionth of the middle is 1.0000005
    assert desk.ask(price=1_000_001) == set()
    assert desk.ask(price=1_000_002) == {"PRICE"}
    assert desk.ask(price=999_999) == {"PRICE"}


def test_the_last_trade_is_the_reference_where_a_side_is_missing(desk):
    desk.set_limits(1, tick=1)
    desk.set_book(1, ask_quantity=0, ask_price=0, last_price=500_000)
    desk.set_limits(1, last_price=500_000)
    assert desk.ask(price=525_000) == set()
    assert desk.ask(price=525_001) == {"PRICE"}
    assert desk.ask(price=1_000_200) == {"PRICE"}


def test_an_order_without_a_reference_price_is_denied(desk):
    desk.set_book(1, bid_quantity=0, last_price=0)
    assert desk.ask() == {"PRICE"}
    desk.set_book(1, last_price=-1_000_100)
    assert desk.ask() == {"PRICE"}
    desk.set_book(1, last_price=2**32 + 1_000_100)
    assert desk.ask() == {"PRICE"}


def test_a_collar_that_is_unset_or_absurd_denies(desk):
    for collar in (0, 1_000_001, 2**20 + 50_000, 2**32 - 1):
        desk.set_limits(1, collar_ppm=collar)
        assert desk.ask() == {"PRICE"}
    desk.set_limits(1, collar_ppm=1_000_000)
    assert desk.ask() == set()


def test_value_is_capped_at_its_limit(desk):
    desk.set_limits(1, value_max=1_000_200 * 100)
    assert desk.ask() == set()
    assert desk.ask(quantity=101) == {"VALUE"}
    desk.set_limits(1, value_max=1_000_200 * 100 - 1)
    assert desk.ask() == {"VALUE"}
    desk.set_limits(1, value_max=0)
    assert desk.ask() == {"VALUE"}


@pytest.mark.parametrize("number", [-1, INT64_MIN, INT64_MAX, 2**31, 2**32, 2**32 + 100, 2**62, -(2**32) + 100])
def test_a_number_beyond_all_bounds_never_passes_by_overflow(desk, number):
    desk.set_limits(1, tick=1, quantity_max=INT64_MAX, value_max=INT64_MAX, position_max=INT64_MAX)
    assert {"QTY", "VALUE"} <= desk.ask(quantity=number)
    assert {"PRICE", "VALUE"} <= desk.ask(price=number)


def test_the_largest_price_and_quantity_multiply_without_overflow(desk):
    largest = 2**31 - 1
    desk.set_limits(1, tick=1, quantity_max=INT64_MAX, value_max=INT64_MAX, position_max=INT64_MAX, window_price=largest)
    desk.set_book(1, bid_price=largest, ask_price=largest)
    desk.set_account(signal_value=INT64_MAX, gross_max=INT64_MAX, net_max=INT64_MAX, free_value=INT64_MAX)
    desk.set_strategy(0, position_max=INT64_MAX)
    assert desk.ask(price=largest, quantity=largest) == {"VALUE"}, "what does not fit is never small"
    assert desk.ask(price=largest, quantity=2**15) == set()
    desk.set_limits(1, value_max=largest * 2**15 - 1)
    assert desk.ask(price=largest, quantity=2**15) == {"VALUE"}


def test_position_counts_what_is_held_what_is_open_and_this_order(desk):
    desk.set_limits(1, position=4000, open_buy=900, open_sell=0)
    assert desk.ask(quantity=100) == set()
    assert desk.ask(quantity=101) == {"POSITION"}
    assert desk.ask(side=SELL, quantity=1000) == set()


def test_a_short_position_is_capped_like_a_long_one(desk):
    desk.set_limits(1, position=-4000, open_sell=900)
    assert desk.ask(side=SELL, quantity=100) == set()
    assert desk.ask(side=SELL, quantity=101) == {"POSITION"}
    assert desk.ask(quantity=1000) == set()


def test_open_orders_of_the_other_side_do_not_make_room(desk):
    desk.set_limits(1, position=5000, open_sell=5000)
    assert desk.ask(quantity=1) == {"POSITION"}


@pytest.mark.parametrize("position", [INT64_MIN, INT64_MIN + 1, INT64_MAX, 2**60 + 1, -(2**60) - 1])
def test_a_position_that_would_overflow_denies(desk, position):
    desk.set_limits(1, position=position, position_max=INT64_MAX)
    assert "POSITION" in desk.ask() | desk.ask(side=SELL)
    desk.set_limits(1, position=0, open_buy=INT64_MAX, open_sell=INT64_MAX)
    assert desk.ask() == {"POSITION"}
    desk.set_limits(1, open_buy=-1)
    assert desk.ask() == {"POSITION"}


def test_position_without_a_cap_denies(desk):
    desk.set_limits(1, position_max=0, position=-1000)
    assert desk.ask() == {"POSITION"}


def test_a_lost_report_stops_new_risk_but_not_cancels(desk):
    assert desk.send() == set()
    desk.account["session_lost"] = 1
    assert desk.ask() == {"SESSION"}
    assert desk.ask("CANCEL", order_reference=1) == set()


def test_a_halted_strategy_is_disabled(desk):
    desk.intents["halted"] = 1
    assert desk.ask() == {"DISABLED"}


def test_a_full_order_ring_refuses_orders_and_cancels(desk):
    for _ in range(desk.core_io.depth - 1):
        assert desk.send() == set()
    assert desk.send() == set()
    desk.journal.drain()
    assert desk.ask() == {"RING"}
    assert desk.ask("CANCEL", order_reference=1) == {"RING"}
    desk.core_io.drain(1)
    assert desk.ask() == set()


def test_a_full_journal_stops_new_risk_and_lets_cancels_pass(desk):
    while desk.journal.depth - desk.journal.writer.position > 0:
        desk.send()
        desk.core_io.drain()
    assert desk.send() == {"JOURNAL"}
    assert desk.send("CANCEL", order_reference=1) == set()
    assert len(desk.sent()) == 1
    assert desk.journal.writer.shed == 2
    desk.journal.drain(1)
    assert desk.ask() == set()


def test_an_order_needs_a_free_row(desk):
    desk.table["next_reference"] = len(desk.orders) + 5
    desk.orders["state"][5] = layout.value("ORDER_UNKNOWN")
    assert desk.ask() == {"ORDERS"}
    desk.orders["state"][5] = layout.value("ORDER_FILLED")
    assert desk.ask() == set()


def test_references_end_before_they_wrap(desk):
    desk.table["next_reference"] = 2**31 - 1
    assert desk.ask() == set()
    desk.table["next_reference"] = 2**31
    assert desk.ask() == {"ORDERS"}
    desk.table["next_reference"] = 0
    assert desk.ask() == {"ORDERS"}


def test_an_order_needs_room_for_its_fills(desk):
    half = len(desk.fills) // 2
    desk.table["fills"] = half - 1
    assert desk.ask() == set()
    desk.table["fills"] = half
    assert desk.ask() == {"ORDERS"}


def test_only_a_live_order_of_the_same_side_and_instrument_is_replaced(desk):
    assert desk.send() == set()
    assert desk.ask("REPLACE", order_reference=1) == set()
    assert desk.ask("REPLACE", order_reference=2) == {"ORDERS"}
    assert desk.ask("REPLACE", order_reference=0) == {"ORDERS"}
    assert desk.ask("REPLACE", order_reference=1, side=SELL, price=1_000_300) == {"ORDERS"}
    desk.orders["strategy"][1] = 1
    assert desk.ask("REPLACE", order_reference=1) == {"ORDERS"}
    desk.orders["strategy"][1] = 0
    assert desk.ask("REPLACE", order_reference=1, instrument=2) == {"ORDERS"}
    desk.orders["state"][1] = layout.value("ORDER_FILLED")
    assert desk.ask("REPLACE", order_reference=1) == {"ORDERS"}


def test_only_a_live_order_is_cancelled(desk):
    assert desk.ask("CANCEL", order_reference=1) == {"ORDERS"}
    assert desk.send() == set()
    assert desk.ask("CANCEL", order_reference=1) == set()
    assert desk.ask("CANCEL", order_reference=1, quantity=-1) == {"QTY"}
    assert desk.ask("CANCEL", order_reference=1 + len(desk.orders)) == {"ORDERS"}
    assert desk.ask("CANCEL", order_reference=2**63) == {"ORDERS"}
    desk.orders["strategy"][1] = 1
    assert desk.ask("CANCEL", order_reference=1) == {"ORDERS"}, "another strategy's"


def test_a_mass_cancel_names_an_instrument_of_the_table(desk):
    assert desk.ask("MASS_CANCEL", instrument=3) == set()
    assert desk.ask("MASS_CANCEL", instrument=4) == {"STATE"}


def test_a_decision_counts_under_every_reason_that_failed(desk):
    assert desk.ask(quantity=0, side=0) == {"QTY", "VALUE", "PERM"}
    assert desk.ask() == set()
    counted = {name for name, bit in BITS.items() if desk.account["rejects"][0][bit.bit_length() - 1] == 1}
    assert counted == {"QTY", "VALUE", "PERM"}
    assert desk.account["decisions"] == 2 and desk.account["accepted"] == 1


def test_every_limit_of_a_row_is_required(desk):
    for name in LIMITS:
        if name in ("stale_ns", "last_age_ns", "last_price", "last_price_ns"):
            continue  # zero is a limit too: only a book of this very instant
        desk.set_limits(1, **{**LIMITS, name: 0})
        assert desk.ask() != set(), name
        desk.set_limits(1, **LIMITS)
    assert desk.ask() == set()


@njit(nogil=True)
def _believed(path, intent, now_ns, rounds):
    """Decisions that saw stable limits; -1 when one of them saw neither or both of two limits that move together."""
    stable = 0
    for _ in range(rounds):
        mask = decide_new(path, intent, 1, now_ns)
        if mask & BIT_STATE == 0:
            stable += 1
            if ((mask & BIT_QTY) != 0) == ((mask & BIT_VALUE) != 0):
                return -1
    return stable


def test_limits_changed_while_they_are_read_are_never_believed():
    desk = Desk().open()
    desk.intend()
    desk.set_limits(1, quantity_max=10)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for quantity_max, value_max in ((1000, 1), (10, 10_000_000_000)):
                desk.account["limits_version"] += 1
                desk.set_limits(1, quantity_max=quantity_max, value_max=value_max)
                desk.account["limits_version"] += 1
                time.sleep(0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        stable = _believed(desk.path.address, desk.intent_address(0), NOW_NS, 1_000_000)
    finally:
        stop.set()
        writer.join()
    assert stable > 0, "the limits were torn, or never still"
