"""The strategy contract ⑥: what a file may say, what its mistakes look like, and what a raise does."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from gateway import layout
from gateway.core.memory import address_of, call_strategy
from gateway.core.strategy_file import load_strategy, view_of
from gateway.errors import ConfigurationError
from tests.order_desk import NOW_NS, Desk

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = ROOT / "gateway" / "strategies"
API = "from gateway.core.strategy import *\n"


@njit(cache=True)
def _call(function, state, event, book, orders):
    call_strategy(function, state, event, book, orders)


class Caller:
    """A strategy, a desk, and one event to hand to it."""

    def __init__(self, strategy, desk=None):
        self.strategy, self.desk = strategy, desk or Desk().open()
        self.event = np.zeros(1, dtype=layout.dtype("event"))
        self.event["instrument"], self.event["kind"] = 1, layout.value("EVENT_ADD")
        self.desk.intents["time_ns"] = NOW_NS

    def call(self, instrument=1, time_ns=NOW_NS):
        """on_event; returns the intents it left, as rows."""
        self.desk.intents["time_ns"] = time_ns
        self.event["instrument"] = instrument
        book = address_of(self.desk.books) + instrument * layout.size("book")
        place = address_of(self.event), book, self.desk.path.intents_address
        _call(self.strategy.address, self.strategy.state_address, *place)
        return self.desk.intents["rows"][0][: int(self.desk.intents["count"][0])]


@pytest.fixture
def write(tmp_path):
    """Writes a strategy file and returns its path."""

    def writer(text, name="mine.py", api=True):
        path = tmp_path / name
        path.write_text((API if api else "") + textwrap.dedent(text))
        return path

    return writer


BODY = "\ndef on_event(state, event, book, orders):\n    "


@pytest.mark.slow
def test_a_strategy_reads_event_book_state_and_says_an_order(write):
    path = write(
        """
        STATE = [("seen", "i8"), ("ladder", "i8", (4,))]
        PARAMETERS = {"lot": 100}
        def on_event(state, event, book, orders):
            state.seen += 1
            state.ladder[state.seen % 4] = book.ask_price
            if event.kind == ADD and state.seen == 2:
                state.ladder[0] = buy(orders, event.instrument, state.lot, book.ask_price, IOC)
        """
    )
    caller = Caller(load_strategy(path, {"lot": 200}))
    assert len(caller.call()) == 0
    (intent,) = caller.call()
    assert (intent["kind"], intent["side"], intent["quantity"], intent["price"]) == (1, 1, 200, 1_000_200)
    assert intent["time_in_force"] == layout.value("TIME_IOC")
    assert caller.strategy.state["ladder"][0].tolist() == [1, 1_000_200, 1_000_200, 0]
    assert caller.desk.submit() == 1 and caller.desk.order(1)["quantity"] == 200


def test_references_are_known_before_anything_is_sent(write):
    path = write(
        """
        STATE = [("first", "i8"), ("second", "i8"), ("left", "i8"), ("again", "i8")]
        def on_event(state, event, book, orders):
            if state.first == 0:
                state.first = buy(orders, 1, 100, book.bid_price, DAY)
                state.second = sell(orders, 1, 100, book.ask_price, IOC)
            else:
                state.left = order_open(orders, state.first)
                state.again = cancel(orders, state.first)
        """
    )
    caller = Caller(load_strategy(path))
    caller.call()
    caller.desk.submit()
    caller.call()
    state = caller.strategy.state[0]
    assert (state["first"], state["second"], state["left"], state["again"]) == (1, 2, 100, 1)
    caller.desk.submit()
    assert [int(slot["reference"]) for slot, _ in caller.desk.sent()] == [1, 2, 1]
    assert caller.desk.state(1) == "CANCELLING"


def test_positions_and_open_quantities_are_what_the_gate_holds(write):
    path = write(
        """
        STATE = [("held", "i8"), ("buying", "i8"), ("selling", "i8"), ("outside", "i8")]
        def on_event(state, event, book, orders):
            state.held = position(orders, event.instrument)
            state.buying = open_quantity(orders, 1, BUY)
            state.selling = open_quantity(orders, 1, SELL)
            state.outside = position(orders, 4) + position(orders, -1) + open_quantity(orders, 70000, BUY)
        """
    )
    caller = Caller(load_strategy(path))
    caller.desk.set_limits(1, position=-7, open_buy=11, open_sell=13)
    caller.call()
    assert caller.strategy.state[0].tolist() == (-7, 11, 13, 0)


def test_replace_reduce_and_cancel_all_become_their_intents(write):
    path = write(
        """
        STATE = [("answers", "i8", (4,))]
        def on_event(state, event, book, orders):
            state.answers[0] = replace(orders, 1, 50, book.bid_price)
            state.answers[1] = reduce(orders, 1, 30)
            state.answers[2] = cancel_all(orders, 1)
            state.answers[3] = cancel(orders, 9)
        """
    )
    caller = Caller(load_strategy(path))
    caller.desk.send()
    kinds = [layout.names("intent_kind", "INTENT_")[int(row["kind"])] for row in caller.call()]
    assert kinds == ["REPLACE", "CANCEL", "MASS_CANCEL"]
    assert caller.strategy.state["answers"][0].tolist() == [2, 1, 3, 0]
    assert caller.desk.submit() == 3


@pytest.mark.slow
def test_the_seventeenth_intent_of_a_call_is_refused_and_counted(write):
    path = write(
        """
        STATE = [("last", "i8")]
        def on_event(state, event, book, orders):
            for _ in range(20):
                state.last = buy(orders, 1, 1, book.ask_price, IOC)
        """
    )
    caller = Caller(load_strategy(path))
    assert len(caller.call()) == 16
    assert caller.strategy.state["last"] == 0 and caller.desk.intents["refused"] == 4


def test_an_intent_for_an_instrument_outside_the_table_is_refused(write):
    caller = Caller(load_strategy(write(BODY + "buy(orders, 4, 1, 1, IOC); buy(orders, -1, 1, 1, IOC)")))
    assert len(caller.call()) == 0 and caller.desk.intents["refused"] == 2


def test_a_lifetime_outside_its_byte_is_not_wrapped_into_another(write):
    caller = Caller(load_strategy(write(BODY + "buy(orders, 1, 1, book.ask_price, 256 + IOC)")))
    (intent,) = caller.call()
    assert intent["time_in_force"] == 255


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "state.x = 1 // (book.bid_price - 1000000)",
        "state.rows[event.instrument + 3] = 1",
        "raise ValueError('no')",
        "assert False",
    ],
    ids=["division by zero", "index", "raise", "assert"],
)
def test_a_strategy_that_raises_is_halted_counted_and_denied(write, body):
    text = 'STATE = [("x", "i8"), ("rows", "i8", (4,)), ("calls", "i8")]\n' + BODY + "state.calls += 1\n    "
    caller = Caller(load_strategy(write(text + "buy(orders, 1, 1, book.ask_price, IOC)\n    " + body)))
    caller.call()
    assert (caller.desk.intents["halted"][0], caller.desk.intents["faults"][0]) == (1, 1)
    caller.call()
    assert caller.strategy.state["calls"][0] == 1 and caller.desk.intents["faults"][0] == 1
    assert caller.desk.submit() == 0
    assert caller.desk.account["rejects"][0][layout.value("GATE_DISABLED")] == 1


def test_helpers_and_constants_of_the_file_are_compiled_with_it(write):
    path = write(
        """
        STEP = 100
        def better(price):
            return price - STEP
        def on_event(state, event, book, orders):
            buy(orders, 1, 1, better(book.ask_price), IOC)
        """
    )
    (intent,) = Caller(load_strategy(path)).call()
    assert intent["price"] == 1_000_100


def test_integers_stay_integers_in_the_strategys_view():
    for struct in ("event", "book", "intents"):
        kinds = {field[0].kind for field in view_of(struct).fields.values() if field[0].itemsize == 8}
        assert kinds <= {"i", "S"}
        assert view_of(struct).itemsize == layout.size(struct)


MISTAKES = {
    "syntax": ("x = 1\ndef on_event(state event):\n    pass\n", 2, "valid Python"),
    "import": ("x = 1\nimport not_there\ndef on_event(state, event, book, orders):\n    pass\n", 2, "not_there"),
    "missing": ("x = 1\n", 1, "define on_event"),
    "arguments": ("\ndef on_event(state, event):\n    pass\n", 2, "write on_event(state, event, book, orders)"),
    "typing": ("\ndef on_event(state, event, book, orders):\n    x = 1\n    state.nothing = 1\n", 4, "nothing"),
    "text": ("\ndef on_event(state, event, book, orders):\n    x = event.kind + 'a'\n", 3, "numba cannot compile"),
    "state": ("STATE = 7\ndef on_event(state, event, book, orders):\n    pass\n", 1, "list of (name, type)"),
    "object": ("STATE = [('a', 'O')]\ndef on_event(state, event, book, orders):\n    pass\n", 1, "record of numbers"),
    "parameters": ("PARAMETERS = {'a': 'b'}\ndef on_event(state, event, book, orders):\n    pass\n", 1, "int or a float"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_file_the_line_and_the_mend(write, mistake):
    text, line, mend = MISTAKES[mistake]
    path = write(text, api=False)
    with pytest.raises(ConfigurationError) as caught:
        load_strategy(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") and mend in message and "\n" not in message


def test_an_unreadable_file_says_where_to_name_another(tmp_path):
    with pytest.raises(ConfigurationError, match="strategy"):
        load_strategy(tmp_path / "absent.py")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"share": float("nan")}, "does not fit"),
        ({"lots": 1}, "no parameter 'lots'; it knows: lot, share"),
        ({"lot": 1.5}, "does not fit"),
        ({"lot": 2**63}, "does not fit"),
        ({"lot": float("nan")}, "does not fit"),
        ({"lot": float("inf")}, "does not fit"),
    ],
)
def test_a_parameter_that_is_unknown_or_does_not_fit_is_refused(write, given, words):
    path = write('PARAMETERS = {"lot": 100, "share": 0.5}\n' + BODY + "pass")
    with pytest.raises(ConfigurationError, match=words):
        load_strategy(path, given)


@pytest.mark.slow
def test_a_second_process_loads_the_machine_code_from_disk(write, tmp_path):
    path = write(BODY + "buy(orders, 1, 1, book.ask_price, IOC)")
    script = (
        "import sys, time; from gateway.core.strategy_file import load_strategy\n"
        "began = time.process_time(); strategy = load_strategy(sys.argv[1])\n"
        "print(strategy.function.cache_hits, time.process_time() - began)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}

    def load():
        run = [sys.executable, "-c", script, str(path)]
        words = subprocess.run(run, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout.split()
        return int(words[0]), float(words[1])

    assert load()[0] == 0
    hits, seconds = load()
    assert hits == 1 and seconds < 2
    path.write_text(path.read_text() + "\nX = 2\n")
    assert load()[0] == 0, "another text is another strategy"


def test_the_null_strategy_intends_nothing():
    assert len(Caller(load_strategy(STRATEGIES / "null.py")).call()) == 0


@pytest.fixture
def imbalance():
    caller = Caller(load_strategy(STRATEGIES / "imbalance.py"))
    caller.desk.set_book(1, bid_quantity=801, ask_quantity=199)
    return caller


def test_a_heavy_bid_buys_at_the_ask_and_a_heavy_ask_sells_at_the_bid(imbalance):
    (intent,) = imbalance.call()
    assert (intent["side"], intent["price"], intent["quantity"]) == (1, 1_000_200, 100)
    imbalance.desk.submit()
    imbalance.desk.set_book(1, bid_quantity=199, ask_quantity=801)
    (intent,) = imbalance.call(time_ns=NOW_NS + 100_000_000)
    assert (intent["side"], intent["price"]) == (2, 1_000_000)


def test_an_imbalance_below_its_threshold_says_nothing(imbalance):
    imbalance.desk.set_book(1, bid_quantity=800, ask_quantity=200)
    assert len(imbalance.call()) == 0


def test_the_taker_rests_between_two_orders_of_an_instrument(imbalance):
    assert len(imbalance.call()) == 1
    imbalance.desk.submit()
    assert len(imbalance.call(time_ns=NOW_NS + 99_999_999)) == 0
    assert len(imbalance.call(time_ns=NOW_NS + 100_000_000)) == 1


def test_the_taker_stops_at_its_position_open_orders_included(imbalance):
    imbalance.desk.set_limits(1, position=300, open_buy=100)
    assert len(imbalance.call()) == 1
    imbalance.desk.submit()
    imbalance.desk.set_limits(1, position=300, open_buy=101)
    assert len(imbalance.call(time_ns=NOW_NS + 10**9)) == 0


def test_the_taker_says_nothing_about_a_book_it_cannot_trust(imbalance):
    for fields in ({"flags": 3}, {"flags": 0}, {"trading": 2}, {"bid_quantity": 0}, {"ask_price": 1_000_000 + 501}):
        before = {name: imbalance.desk.books[name][1] for name in fields}
        imbalance.desk.set_book(1, **fields)
        assert len(imbalance.call()) == 0, fields
        imbalance.desk.set_book(1, **before)
    assert len(imbalance.call()) == 1


def test_an_idle_call_costs_nanoseconds():
    caller = Caller(load_strategy(STRATEGIES / "null.py"))
    place = address_of(caller.event), address_of(caller.desk.books), caller.desk.path.intents_address
    _repeat(caller.strategy.address, caller.strategy.state_address, *place, 10)
    began = time.thread_time_ns()
    _repeat(caller.strategy.address, caller.strategy.state_address, *place, 1_000_000)
    assert (time.thread_time_ns() - began) / 1_000_000 < 100


@njit(cache=True)
def _repeat(function, state, event, book, orders, rounds):
    for _ in range(rounds):
        call_strategy(function, state, event, book, orders)
