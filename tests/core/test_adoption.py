"""Orders that core hears of without having sent them are adopted, whole; new risk waits for the rest."""

import random

import numpy as np
import pytest
from numba import njit

from gateway import kernel_cache, layout
from gateway.core.adoption import find_instrument, open_new_risk, strategy_of, use_up
from gateway.core.memory import address_of
from gateway.core.order_frames import client_order_id
from gateway.core.reports import take_parked
from gateway.core.resolution import apply_resolution, sweep_unanswered, take_resolutions
from tests.core.test_session_news import tell
from tests.order_desk import NOW_NS, SECOND_NS, Desk, Ring

NEVER, WORKING, ASK = (layout.value(f"RESOLUTION_{name}") for name in ("NEVER_ARRIVED", "WORKING", "ASK"))
ADOPTED, FOUND = layout.value("ORDER_ADOPTED"), layout.value("ORDER_FOUND")
LAST_ROW = layout.value("GATE_STRATEGIES") - 1

kernel_cache.prepare()


@njit(cache=True)
def _strategy_of(text):
    return strategy_of(text)


@njit(cache=True)
def _find(path, word):
    return find_instrument(path, word)


@njit(cache=True)
def _use_up(path, reference):
    use_up(path, reference)


@njit(cache=True)
def _parked(path, now_ns):
    take_parked(path, now_ns)


@njit(cache=True)
def _open(path, now_ns):
    open_new_risk(path, now_ns)


@njit(cache=True)
def _sweep(path, now_ns):
    return sweep_unanswered(path, now_ns)


@njit(cache=True)
def _resolve(path, kind, reference, now_ns):
    return apply_resolution(path, kind, reference, now_ns)


@njit(cache=True)
def _take(path, reader, now_ns):
    return take_resolutions(path, reader, now_ns)


@pytest.fixture
def desk() -> Desk:
    return Desk().open()


def accept(desk: Desk, reference: int, strategy: int = 0, **terms: object) -> int:
    given = {"side": "B", "quantity": 100, "symbol": "AAPL", "price": 1_000_000, "time_in_force": "0", "order_state": "L"}
    identity = client_order_id("A", 1, reference, strategy)
    given |= {"cl_ord_id": identity, "order_reference_number": reference + 1000, **terms}
    return desk.report("OrderAccepted", user_ref_num=reference, **given)


def parked(desk: Desk) -> int:
    return int(desk.adoption["parked_count"][0])


def test_an_order_nobody_sent_here_is_adopted_with_its_reservation_and_its_strategy(desk: Desk) -> None:
    assert accept(desk, 40, strategy=3) == 1
    row = desk.order(40)
    assert (desk.state(40), row["open"], row["strategy"], row["instrument"]) == ("ACCEPTED", 100, 3, 1)
    assert (
        desk.rows["open_buy"][1] == 100 and desk.holdings["open_buy"][3, 1] == 100 and desk.rows["own_bid"][1] == 1_000_000
    )
    assert desk.table["next_reference"][0] == 41 == desk.intents["next_reference"][0]
    assert desk.counters["orders_adopted"][0] == 1 and desk.account["session_lost"][0] == 0
    desk.report("OrderExecuted", user_ref_num=40, quantity=30, price=999_900, match_number=5)
    desk.report("OrderCanceled", user_ref_num=40, quantity=70, reason="U")
    assert (desk.state(40), desk.rows["position"][1], desk.rows["open_buy"][1]) == ("CANCELLED", 30, 0)
    assert desk.holdings["position"][3, 1] == 30


def test_references_that_somebody_else_used_are_passed_over_and_never_come_again(desk: Desk) -> None:
    for used, following in ((0, 1), (40, 41), (12, 41), (2**31, 41), (2**31 - 1, 2**31)):
        _use_up(desk.path.address, used)
        assert desk.table["next_reference"][0] == following == desk.intents["next_reference"][0]


def test_what_is_heard_again_is_no_execution_for_repeat(desk: Desk) -> None:
    desk.set_strategy(0, repeat_max=2, repeat_ns=SECOND_NS)
    accept(desk, 4)
    for match in range(5):
        desk.report("OrderExecuted", user_ref_num=4, quantity=1, price=1_000_000, match_number=match + 1)
    assert desk.account["strategies"]["repeated"][0, 0] == 0 and desk.rows["position"][1] == 5


def test_a_replacement_of_an_adopted_order_is_adopted_and_ends_it(desk: Desk) -> None:
    accept(desk, 4)
    terms = {"side": "S", "quantity": 60, "symbol": "AAPL", "price": 1_000_300, "order_state": "L"}
    identity = client_order_id("A", 1, 9)
    desk.report("OrderReplaced", orig_user_ref_num=4, user_ref_num=9, cl_ord_id=identity, order_reference_number=7, **terms)
    assert (desk.state(4), desk.state(9), int(desk.order(9)["open"])) == ("CANCELLED", "ACCEPTED", 60)
    assert (desk.rows["open_buy"][1], desk.rows["open_sell"][1]) == (0, 60)


def test_an_order_dead_on_arrival_is_over_and_gives_everything_back(desk: Desk) -> None:
    accept(desk, 4, order_state="D")
    assert desk.state(4) == "CANCELLED" and desk.rows["open_buy"][1] == 0


@pytest.mark.parametrize(
    ("text", "row"),
    [(client_order_id("A", 7, 2**31 - 1, 6), 6), (client_order_id("Z", 33_000_000, 1, 0), 0)]
    + [("SOMEBODY ELSE ", LAST_ROW), ("\xff" * 14, LAST_ROW), (" " * 14, LAST_ROW), ("A00001000000Gw", LAST_ROW)],
)
def test_the_strategy_stands_in_the_client_order_id_and_foreign_ones_are_controls(text: str, row: int) -> None:
    data = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
    assert _strategy_of(address_of(data)) == row


def test_every_strategy_and_reference_is_read_back_from_its_id() -> None:
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    for _ in range(200):
        strategy, reference = draw.randrange(8), draw.randrange(1, 2**31)
        data = np.frombuffer(client_order_id("A", 1, reference, strategy).encode(), dtype=np.uint8)
        assert _strategy_of(address_of(data)) == strategy, f"seed {seed}"


@pytest.mark.parametrize("terms", [{"side": "X"}, {"quantity": 0}, {"price": 0}, {"price": 2**32}, {"quantity": 2**31}])
def test_an_accepted_that_no_order_can_be_is_lost_and_stops_new_risk(desk: Desk, terms: dict) -> None:
    assert accept(desk, 4, **terms) == 0
    assert desk.account["session_lost"][0] == 1 and desk.counters["orders_adopted"][0] == 0


def test_a_row_that_a_live_order_or_a_later_one_holds_is_not_taken(desk: Desk) -> None:
    accept(desk, 4)
    assert accept(desk, 4 + 64) == 0 and desk.account["session_lost"][0] == 1
    desk.report("OrderCanceled", user_ref_num=4, quantity=100, reason="U")
    accept(desk, 4 + 64)
    assert desk.state(4 + 64) == "ACCEPTED"
    assert accept(desk, 4) == 0 and desk.account["session_lost"][0] == 2


def test_reports_of_an_instrument_without_a_name_wait_in_order_until_it_has_one(desk: Desk) -> None:
    desk.books["symbol"][2] = b""
    desk.books_used[0] = 2
    tell(desk, 1, first=8, last=0)
    accept(desk, 3)
    accept(desk, 5, symbol="MSFT")
    desk.report("OrderExecuted", user_ref_num=5, quantity=40, price=1_000_000, match_number=1)
    assert parked(desk) == 2 and desk.rows["open_buy"][2] == 0 and desk.account["session_lost"][0] == 0
    desk.account["session_connection"] = 0
    tell(desk, 2, first=8, last=0)
    assert desk.account["session_connection"][0] == 0, "new risk waits for what is parked"
    desk.report("OrderExecuted", user_ref_num=5, quantity=10, price=1_000_000, match_number=2)
    desk.books["symbol"][2] = b"MSFT    "
    desk.books_used[0] = 3
    _parked(desk.path.address, NOW_NS)
    _open(desk.path.address, NOW_NS + SECOND_NS)
    assert parked(desk) == 0 and desk.account["session_connection"][0] == 2
    assert (desk.rows["position"][2], desk.rows["open_buy"][2], desk.state(5)) == (50, 50, "PARTIAL")
    assert desk.counters["reports_parked"][0] == 3


def test_more_reports_than_may_wait_are_lost_and_stop_new_risk(desk: Desk) -> None:
    desk.adoption["parked_count"] = layout.value("ADOPTION_PARKED")
    assert accept(desk, 5, symbol="NOBODY") == 0 and desk.account["session_lost"][0] == 1


def test_new_risk_waits_until_what_an_earlier_run_left_is_cancelled(desk: Desk) -> None:
    desk.adoption["cancel_found"] = 1
    accept(desk, 3)
    assert desk.order(3)["flags"] == ADOPTED | FOUND
    tell(desk, 1, first=8, last=0)
    assert desk.account["session_connection"][0] == 0
    desk.report("OrderCanceled", user_ref_num=3, quantity=100, reason="U")
    _open(desk.path.address, NOW_NS + SECOND_NS)
    assert desk.account["session_connection"][0] == 1 and desk.table["next_reference"][0] == 8
    accept(desk, 20)
    assert desk.order(20)["flags"] == ADOPTED, "control's own, in the middle of the day"


def test_an_order_given_up_that_the_venue_accepts_after_all_is_adopted(desk: Desk) -> None:
    desk.send(time_in_force=0)
    tell(desk, 1, first=1, last=1)
    assert desk.state(1) == "REJECTED" and desk.rows["open_buy"][1] == 0
    accept(desk, 1)
    assert desk.state(1) == "ACCEPTED" and desk.rows["open_buy"][1] == 100


def test_an_order_or_a_cancel_without_an_answer_is_unknown_on_the_tick_and_stays_reserved(desk: Desk) -> None:
    desk.adoption["unknown_ns"] = SECOND_NS
    desk.send(time_in_force=0)
    accept(desk, 1)
    desk.send(time_in_force=0, price=1_000_000)
    desk.send("CANCEL", now_ns=NOW_NS + 5, order_reference=1)
    assert _sweep(desk.path.address, NOW_NS + SECOND_NS - 1) == 0
    assert _sweep(desk.path.address, NOW_NS + SECOND_NS) == 1 and desk.state(2) == "UNKNOWN"
    assert _sweep(desk.path.address, NOW_NS + SECOND_NS + 5) == 1 and desk.state(1) == "UNKNOWN"
    assert desk.rows["open_buy"][1] == 200 and desk.counters["unknown_orders"][0] == 2
    assert _sweep(desk.path.address, NOW_NS + 9 * SECOND_NS) == 0, "once"


def test_what_control_finds_out_moves_only_what_is_still_unknown(desk: Desk) -> None:
    desk.adoption["unknown_ns"] = SECOND_NS
    desk.send(time_in_force=0)
    assert _resolve(desk.path.address, NEVER, 1, NOW_NS) == 0 and desk.state(1) == "SENT"
    _sweep(desk.path.address, NOW_NS + SECOND_NS)
    for kind, reference in ((WORKING, 1), (ASK, 1), (9, 1), (NEVER, 2), (NEVER, 0), (NEVER, 2**62)):
        assert _resolve(desk.path.address, kind, reference, NOW_NS) == 0
    assert desk.state(1) == "UNKNOWN"
    control_core = Ring(8, 64)
    slot = np.zeros(1, dtype=layout.dtype("resolution_slot"))
    slot["kind"], slot["reference"] = NEVER, 1
    control_core.put(slot)
    assert _take(desk.path.address, control_core.reader_address, NOW_NS) == 1
    assert desk.state(1) == "REJECTED" and desk.rows["open_buy"][1] == 0 and desk.counters["orders_resolved"][0] == 1
    desk.send(time_in_force=0, price=1_000_000)
    accept(desk, 2)
    desk.send("CANCEL", order_reference=2)
    _sweep(desk.path.address, NOW_NS + SECOND_NS)
    assert _resolve(desk.path.address, NEVER, 2, NOW_NS) == 0, "the venue has said it has it"
    assert _resolve(desk.path.address, WORKING, 2, NOW_NS) == 1 and desk.state(2) == "ACCEPTED"


def test_a_symbol_is_found_wherever_it_stands_and_only_there(desk: Desk) -> None:
    for name, row in (("AAPL", 1), ("MSFT", 2), ("ZVZZT", 3), ("AAP", -1), ("", -1)):
        word = int.from_bytes(name.encode().ljust(8), "little", signed=True)
        assert [_find(desk.path.address, word) for _ in range(2)] == [row, row]


def test_rows_are_the_venue_s_numbers_and_the_last_listed_one_is_found_like_the_first(desk: Desk) -> None:
    desk.books["symbol"][:] = b""
    desk.books["symbol"][2], desk.books["symbol"][3] = b"MSFT    ", b"AAPL    "
    desk.books["listed"][:2] = (2 + 1, 3 + 1)  # two are listed, rows 2 and 3
    desk.books_used[0] = 2
    assert accept(desk, 3) == 1 and desk.order(3)["instrument"] == 3
    assert accept(desk, 5, symbol="MSFT") == 1 and desk.order(5)["instrument"] == 2 and parked(desk) == 0
